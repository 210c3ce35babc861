//! The EventManager: collectors that page through history and follow what is new.

use std::sync::Arc;

use crate::vcenter::Shared;
use crate::world::World;
use crate::world::events::{Event, EventFilter};
use crate::xml::Xml;

use super::fault::Fault;
use super::request::Node;
use super::select::object;
use super::service::{latest_page, write_event};
use super::session::{HistoryCollector, random_uuid};
use super::{Answer, Caller};

/// More than this in one call is refused.
const MAX_PAGE: i64 = 1000;
/// A new collector's latest page holds so many events.
const DEFAULT_PAGE: usize = 10;

fn gone() -> Fault {
    Fault::not_authenticated("EventManager", "EventManager")
}

fn filter(world: &World, node: &Node) -> Result<EventFilter, Fault> {
    let time = node.child("time");
    let bound = |name: &str| time.and_then(|t| t.str(name)).and_then(|t| t.trim().parse().ok());
    let entity = match node.child("entity").and_then(|e| e.child("entity")) {
        Some(entity) => Some(object(world, entity)?),
        None => None,
    };
    let max_count = match node.int("maxCount") {
        Some(n) if n <= 0 => return Err(Fault::invalid_argument("filter.maxCount")),
        Some(n) => usize::try_from(n.min(MAX_PAGE)).ok(),
        None => None,
    };
    let types = node.all("eventTypeId").chain(node.all("type")).map(|t| t.text.trim().to_owned());
    let users = node.child("userName").map(|u| u.all("userList").map(|n| n.text.clone()).collect());
    Ok(EventFilter {
        type_ids: types.collect(),
        begin: bound("beginTime"),
        end: bound("endTime"),
        entity,
        users: users.unwrap_or_default(),
        max_count,
    })
}

fn parsed(shared: &Shared, call: &Node) -> Result<EventFilter, Fault> {
    let node = call.child("filter").ok_or_else(|| Fault::invalid_argument("filter"))?;
    filter(&shared.world(), node)
}

pub(super) fn create_collector(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let filter = parsed(shared, call)?;
    let page = filter.max_count.unwrap_or(DEFAULT_PAGE);
    let mut sessions = shared.sessions();
    let session = sessions.get_mut(&caller.secret).ok_or_else(gone)?;
    let id = format!("session[{}]{}", session.key, random_uuid());
    session.histories.insert(id.clone(), HistoryCollector { filter: Arc::new(filter), page, position: 0 });
    let mut xml = Xml::new();
    xml.named_ref("returnval", "EventHistoryCollector", &id);
    Ok(xml.into_string())
}

fn with_history<T>(
    shared: &Shared,
    caller: &Caller,
    call: &Node,
    act: impl FnOnce(&mut HistoryCollector) -> T,
) -> Result<T, Fault> {
    let id = call.children[0].text.trim();
    let mut sessions = shared.sessions();
    let session = sessions.get_mut(&caller.secret).ok_or_else(gone)?;
    let history =
        session.histories.get_mut(id).ok_or_else(|| Fault::no_such_object("EventHistoryCollector", id))?;
    Ok(act(history))
}

fn count(call: &Node) -> Result<usize, Fault> {
    match call.int("maxCount") {
        Some(n @ 1..=MAX_PAGE) => Ok(usize::try_from(n).unwrap_or(1)),
        _ => Err(Fault::invalid_argument("maxCount")),
    }
}

fn written<'a>(events: impl IntoIterator<Item = &'a Event>) -> String {
    let mut xml = Xml::new();
    for event in events {
        write_event(event, "returnval", &mut xml);
    }
    xml.into_string()
}

/// ReadNextEvents and ReadPreviousEvents.
pub(super) fn read(shared: &Shared, caller: &Caller, call: &Node, forward: bool) -> Answer {
    let count = count(call)?;
    let world = shared.world();
    with_history(shared, caller, call, |history| {
        let matching = world.events.iter().filter(|e| history.filter.matches(e, world.root));
        let page: Vec<&Event> = if forward {
            matching.filter(|e| e.key > history.position).take(count).collect()
        } else {
            matching.rev().filter(|e| e.key <= history.position).take(count).collect()
        };
        if let Some(last) = page.last() {
            history.position = if forward { last.key } else { last.key - 1 };
        }
        written(page)
    })
}

/// RewindCollector (to the oldest) and ResetCollector (to the newest).
pub(super) fn rewind(shared: &Shared, caller: &Caller, call: &Node, to_newest: bool) -> Answer {
    let newest = shared.world().events.iter().next_back().map_or(0, |e| e.key);
    with_history(shared, caller, call, |history| {
        history.position = if to_newest { newest } else { 0 };
        String::new()
    })
}

pub(super) fn page_size(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let count = count(call)?;
    with_history(shared, caller, call, |history| {
        history.page = count;
        String::new()
    })
}

pub(super) fn destroy(shared: &Shared, caller: &Caller, call: &Node) -> Answer {
    let id = call.children[0].text.trim();
    let mut sessions = shared.sessions();
    let removed = sessions.get_mut(&caller.secret).ok_or_else(gone)?.histories.remove(id);
    removed.map(|_| String::new()).ok_or_else(|| Fault::no_such_object("EventHistoryCollector", id))
}

pub(super) fn query(shared: &Shared, _caller: &Caller, call: &Node) -> Answer {
    let filter = parsed(shared, call)?;
    let page = filter.max_count.unwrap_or(1000);
    let history = HistoryCollector { filter: Arc::new(filter), page, position: 0 };
    let world = shared.world();
    Ok(written(latest_page(&world, &history)))
}
