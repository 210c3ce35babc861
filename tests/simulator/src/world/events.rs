//! Events and who asks for which of them.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::ObjId;

/// How many events are kept, as a vCenter with a small database would.
const KEPT: usize = 20_000;

/// An event that was posted.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) key: i32,
    pub(crate) created: Timestamp,
    pub(crate) user: String,
    /// The WSDL type: `VmRenamedEvent`, `EventEx`, …
    pub(crate) class: &'static str,
    /// For `EventEx`: the id that filters match.
    pub(crate) event_type_id: Option<&'static str>,
    pub(crate) message: String,
    /// The VM concerned and its name at the moment. Tag events leave it out.
    pub(crate) vm: Option<(ObjId, Box<str>)>,
    pub(crate) host: Option<(ObjId, Box<str>)>,
    pub(crate) datacenter: Option<(ObjId, Box<str>)>,
    /// Elements of the event's own class, ready to be sent.
    pub(crate) extra: String,
    /// For `EventEx`: names and values.
    pub(crate) arguments: Vec<(&'static str, String)>,
}

impl Event {
    /// What `eventTypeId` of a filter is compared with: the id of an EventEx, else the class and its bases.
    fn is_of(&self, wanted: &str) -> bool {
        match self.event_type_id {
            Some(id) => wanted == id,
            None => {
                wanted == self.class
                    || wanted == "Event"
                    || (wanted == "VmEvent" && self.class.starts_with("Vm"))
            }
        }
    }
}

/// The part of `EventFilterSpec` that the simulator honours.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventFilter {
    /// Empty: every type.
    pub(crate) type_ids: Vec<String>,
    pub(crate) begin: Option<Timestamp>,
    pub(crate) end: Option<Timestamp>,
    /// Events of this object only.
    pub(crate) entity: Option<ObjId>,
    pub(crate) users: Vec<String>,
    pub(crate) max_count: Option<usize>,
}

impl EventFilter {
    pub(crate) fn matches(&self, event: &Event, root: ObjId) -> bool {
        (self.type_ids.is_empty() || self.type_ids.iter().any(|wanted| event.is_of(wanted)))
            && self.begin.is_none_or(|begin| event.created >= begin)
            && self.end.is_none_or(|end| event.created <= end)
            && (self.users.is_empty() || self.users.contains(&event.user))
            && self.entity.is_none_or(|entity| {
                entity == root
                    || [&event.vm, &event.host, &event.datacenter]
                        .into_iter()
                        .flatten()
                        .any(|(id, _)| *id == entity)
            })
    }
}

/// The events of one vCenter.
#[derive(Debug, Default)]
pub(crate) struct EventStore {
    events: VecDeque<Event>,
    last_key: i32,
}

impl EventStore {
    /// Keeps the event and returns its key.
    pub(crate) fn post(&mut self, mut event: Event) -> i32 {
        self.last_key += 1;
        event.key = self.last_key;
        if self.events.len() >= KEPT {
            self.events.pop_front();
        }
        self.events.push_back(event);
        self.last_key
    }

    pub(crate) fn get(&self, key: i32) -> Option<&Event> {
        let first = self.events.front()?.key;
        self.events.get(usize::try_from(key.checked_sub(first)?).ok()?)
    }

    /// All events kept, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.events.iter()
    }
}
