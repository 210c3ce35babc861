//! Property collectors: filters, versions, and the pages of answers that are too long for one.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::config::User;
use crate::props;
use crate::world::{Change, Entity, ObjId, World};
use crate::xml::Xml;

use super::fault::Fault;
use super::select::{Spec, Target, concerned, may_read};
use super::service::{self, Reader};

/// How many versions a collector can go back to.
const KEPT_VERSIONS: usize = 64;

/// The rest of a RetrievePropertiesEx answer.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) specs: Arc<Vec<Spec>>,
    pub(crate) rest: VecDeque<Target>,
    pub(crate) size: usize,
}

/// What is new about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
enum News {
    Enter,
    /// These paths (of those in the specification) have new values.
    Modify(Vec<String>),
    Leave,
}

#[derive(Debug)]
struct Filter {
    id: String,
    spec: Spec,
    /// The first version whose answer contains the filter's initial state; 0: none yet.
    since: u64,
    /// For specifications that traverse: what was reported, because the log alone does not tell.
    reported: HashSet<Target>,
}

#[derive(Debug)]
struct Pending {
    version: u64,
    rest: VecDeque<(usize, Target, News)>,
    filters: Vec<String>,
    position: u64,
}

/// A property collector of a session.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    filters: Vec<Filter>,
    last: u64,
    /// Version, and the position in the log up to which it knows.
    versions: VecDeque<(u64, u64)>,
    pending: Option<Pending>,
    /// The wait that is under way.
    waiting: Option<CancellationToken>,
}

impl Collector {
    pub(crate) fn add_filter(&mut self, id: String, spec: Spec) {
        self.filters.push(Filter { id, spec, since: 0, reported: HashSet::new() });
    }

    /// Takes a filter away; false when it is not of this collector.
    pub(crate) fn remove_filter(&mut self, id: &str) -> bool {
        let before = self.filters.len();
        self.filters.retain(|f| f.id != id);
        self.filters.len() != before
    }

    /// Begins a wait; one that is under way is cancelled, for a collector waits for one caller only.
    pub(crate) fn start_wait(&mut self) -> CancellationToken {
        self.cancel_wait();
        let token = CancellationToken::new();
        self.waiting = Some(token.clone());
        token
    }

    /// Ends the wait that is under way.
    pub(crate) fn cancel_wait(&mut self) {
        if let Some(token) = self.waiting.take() {
            token.cancel();
        }
    }

    /// What a client that has `version` does not know yet, at most `limit` objects of it; `None` when it knows all.
    pub(crate) fn updates(
        &mut self,
        reader: &Reader<'_>,
        version: &str,
        limit: usize,
    ) -> Result<Option<String>, Fault> {
        let wanted: u64 = match version {
            "" => 0,
            text => text.parse().map_err(|_| Fault::invalid_collector_version())?,
        };
        let continues = wanted != 0 && self.pending.as_ref().is_some_and(|p| p.version == wanted);
        if !continues {
            let end = reader.world.log.end();
            let news = if wanted == 0 {
                self.versions.clear();
                for filter in &mut self.filters {
                    filter.since = 0;
                }
                self.compute(reader, 0, end)?
            } else {
                let known = self.versions.iter().find(|(v, _)| *v == wanted);
                let position = known.map(|(_, p)| *p).ok_or_else(Fault::invalid_collector_version)?;
                self.compute_from(reader, wanted, position, end)?
            };
            self.pending = None;
            if news.is_empty() && wanted != 0 {
                if let Some(known) = self.versions.iter_mut().find(|(v, _)| *v == wanted) {
                    known.1 = end;
                }
                return Ok(None);
            }
            let filters = self.filters.iter().map(|f| f.id.clone()).collect();
            self.pending = Some(Pending { version: 0, rest: news.into(), filters, position: end });
        }
        let Some(mut pending) = self.pending.take() else { return Ok(None) };
        self.last += 1;
        let version = self.last;
        let page: Vec<_> = pending.rest.drain(..limit.max(1).min(pending.rest.len())).collect();
        let truncated = !pending.rest.is_empty();
        let answer = self.write(reader, version, &page, &pending.filters, truncated);
        if truncated {
            pending.version = version;
            self.pending = Some(pending);
        } else {
            self.versions.push_back((version, pending.position));
            if self.versions.len() > KEPT_VERSIONS {
                self.versions.pop_front();
            }
        }
        Ok(Some(answer))
    }

    fn compute_from(
        &mut self,
        reader: &Reader<'_>,
        version: u64,
        position: u64,
        end: u64,
    ) -> Result<Vec<(usize, Target, News)>, Fault> {
        for filter in &mut self.filters {
            if filter.since > version {
                filter.since = 0;
            }
        }
        self.compute(reader, position, end)
    }

    /// The news of every filter: the whole state for new ones, else what the log says since `position`.
    fn compute(
        &mut self,
        reader: &Reader<'_>,
        position: u64,
        end: u64,
    ) -> Result<Vec<(usize, Target, News)>, Fault> {
        let mut out = Vec::new();
        let next = self.last + 1;
        for (at, filter) in self.filters.iter_mut().enumerate() {
            if filter.since == 0 {
                filter.since = next;
                let selected = filter.spec.select(reader.world, reader.user)?;
                let selected: Vec<Target> =
                    selected.into_iter().filter(|t| filter.spec.paths(t).is_some()).collect();
                if !filter.spec.is_direct() {
                    filter.reported = selected.iter().cloned().collect();
                }
                out.extend(selected.into_iter().map(|t| (at, t, News::Enter)));
            } else if position < end {
                let changes =
                    reader.world.log.since(position).ok_or_else(Fault::invalid_collector_version)?;
                let changes: Vec<&Change> = changes.collect();
                let news = if filter.spec.is_direct() {
                    direct_news(reader, &filter.spec, &changes)
                } else {
                    traversed_news(reader, filter, &changes)?
                };
                out.extend(news.into_iter().map(|(target, news)| (at, target, news)));
            }
        }
        Ok(out)
    }

    fn write(
        &self,
        reader: &Reader<'_>,
        version: u64,
        page: &[(usize, Target, News)],
        filters: &[String],
        truncated: bool,
    ) -> String {
        let mut xml = Xml::new();
        xml.open("returnval");
        xml.val("version", version);
        let mut rest = page;
        while let Some((at, _, _)) = rest.first() {
            let count = rest.iter().take_while(|(other, _, _)| other == at).count();
            let id = filters.get(*at).map_or("", String::as_str);
            if let Some(filter) = self.filters.iter().find(|f| f.id == id) {
                xml.open("filterSet");
                xml.named_ref("filter", "PropertyFilter", id);
                for (_, target, news) in &rest[..count] {
                    write_update(reader, &filter.spec, target, news, &mut xml);
                }
                xml.close("filterSet");
            }
            rest = &rest[count..];
        }
        if truncated {
            xml.val("truncated", true);
        }
        xml.close("returnval");
        xml.into_string()
    }
}

/// What happened to one object over a stretch of the log.
#[derive(Default)]
struct Story {
    created: bool,
    removed_from: Option<Option<ObjId>>,
    moved_from: Option<Option<ObjId>>,
    paths: BTreeSet<&'static str>,
}

fn direct_news(reader: &Reader<'_>, spec: &Spec, changes: &[&Change]) -> Vec<(Target, News)> {
    let mut order: Vec<ObjId> = Vec::new();
    let mut stories: HashMap<ObjId, Story> = HashMap::new();
    let mut user_before: Option<Arc<User>> = None;
    let everywhere = everywhere(changes);
    for change in changes {
        if let Change::Permissions(before) = change
            && before.name == reader.user.name
            && user_before.is_none()
        {
            user_before = Some(Arc::clone(before));
        }
        let Some(id) = concerned(change) else { continue };
        let first = !stories.contains_key(&id);
        if first {
            order.push(id);
        }
        let story = stories.entry(id).or_default();
        match change {
            Change::Created(_) if first => story.created = true,
            Change::Removed(_, from) => story.removed_from = Some(*from),
            Change::Moved(_, from) => {
                story.moved_from.get_or_insert(*from);
            }
            Change::Modified(_, paths) => story.paths.extend(*paths),
            _ => {}
        }
    }
    let world = reader.world;
    if user_before.is_some() || !everywhere.is_empty() {
        // Everything may have become readable or unreadable, or has changed.
        for entity in world.all() {
            let story = stories.entry(entity.id).or_insert_with(|| {
                order.push(entity.id);
                Story::default()
            });
            story.paths.extend(&everywhere);
        }
    }
    let before = user_before.as_deref().unwrap_or(reader.user);
    let mut out = Vec::new();
    for id in order {
        let Some(story) = stories.get(&id) else { continue };
        let target = Target::Object(id);
        let Some(asked) = spec.paths(&target) else { continue };
        let now = world.get(id).map(Entity::container);
        let is_in = world.exists(id) && spec.selects(world, reader.user, id, now.flatten());
        let place = story.moved_from.or(story.removed_from).or(now).flatten();
        let was_in = !story.created && spec.selects(world, before, id, place);
        let news = match (was_in, is_in) {
            (false, true) => News::Enter,
            (true, false) => News::Leave,
            (false, false) => continue,
            (true, true) if user_before.is_some() => {
                News::Modify(asked.iter().map(|p| (*p).to_owned()).collect())
            }
            (true, true) => match touched(&asked, &story.paths) {
                paths if paths.is_empty() => continue,
                paths => News::Modify(paths),
            },
        };
        out.push((target, news));
    }
    out.extend(history_news(reader, spec, changes));
    out
}

/// The paths that have new values on every object.
fn everywhere(changes: &[&Change]) -> BTreeSet<&'static str> {
    let paths = changes.iter().filter_map(|change| match change {
        Change::Everywhere(paths) => Some(paths.iter().copied()),
        _ => None,
    });
    paths.flatten().collect()
}

fn touched(asked: &[&str], changed: &BTreeSet<&'static str>) -> Vec<String> {
    let hit = asked.iter().filter(|asked| changed.iter().any(|c| props::touches(c, asked)));
    hit.map(|path| (*path).to_owned()).collect()
}

fn history_news(reader: &Reader<'_>, spec: &Spec, changes: &[&Change]) -> Vec<(Target, News)> {
    let mut out = Vec::new();
    for (key, history) in spec.histories() {
        let target = Target::Service("EventHistoryCollector", key.to_owned());
        let asked = spec.paths(&target).is_some_and(|paths| paths.contains(&"latestPage"));
        let hit = changes.iter().any(|change| match change {
            Change::Event(event) => {
                reader.world.events.get(*event).is_some_and(|e| history.filter.matches(e, reader.world.root))
            }
            _ => false,
        });
        if asked && hit {
            out.push((target, News::Modify(vec!["latestPage".to_owned()])));
        }
    }
    out
}

fn traversed_news(
    reader: &Reader<'_>,
    filter: &mut Filter,
    changes: &[&Change],
) -> Result<Vec<(Target, News)>, Fault> {
    let mut modified: HashMap<ObjId, BTreeSet<&'static str>> = HashMap::new();
    for change in changes {
        if let Change::Modified(id, paths) = change {
            modified.entry(*id).or_default().extend(*paths);
        }
    }
    let everywhere = everywhere(changes);
    let selected = filter.spec.select(reader.world, reader.user)?;
    let selected: Vec<Target> = selected.into_iter().filter(|t| filter.spec.paths(t).is_some()).collect();
    let now: HashSet<Target> = selected.iter().cloned().collect();
    let mut out: Vec<(Target, News)> =
        filter.reported.iter().filter(|t| !now.contains(*t)).map(|t| (t.clone(), News::Leave)).collect();
    for target in selected {
        if !filter.reported.contains(&target) {
            out.push((target, News::Enter));
            continue;
        }
        if let Target::Object(id) = &target {
            let mut changed = modified.remove(id).unwrap_or_default();
            if reader.world.get(*id).is_some() {
                changed.extend(&everywhere);
            }
            let asked = filter.spec.paths(&target).unwrap_or_default();
            let paths = touched(&asked, &changed);
            if !paths.is_empty() {
                out.push((target, News::Modify(paths)));
            }
        }
    }
    out.extend(history_news(reader, &filter.spec, changes));
    filter.reported = now;
    Ok(out)
}

fn write_target(tag: &str, target: &Target, xml: &mut Xml) {
    match target {
        Target::Object(id) => xml.moref(tag, *id),
        Target::Service(type_name, value) => xml.named_ref(tag, type_name, value),
    }
}

fn write_update(reader: &Reader<'_>, spec: &Spec, target: &Target, news: &News, xml: &mut Xml) {
    // Between working out the news and sending this page the object may have gone: the next answer says so.
    let gone = matches!(target, Target::Object(id) if !reader.world.exists(*id));
    if gone && *news != News::Leave {
        return;
    }
    xml.open("objectSet");
    let asked = spec.paths(target).unwrap_or_default();
    let (kind, paths): (_, Vec<&str>) = match news {
        News::Enter => ("enter", asked),
        News::Modify(paths) => ("modify", paths.iter().map(String::as_str).collect()),
        News::Leave => ("leave", Vec::new()),
    };
    xml.val("kind", kind);
    write_target("obj", target, xml);
    let mut missing: Vec<(&str, Fault)> = Vec::new();
    for path in paths {
        if let Target::Object(id) = target
            && let Err(fault) = may_read(reader.world, reader.user, *id, path)
        {
            missing.push((path, fault));
            continue;
        }
        let start = xml.len();
        xml.open("changeSet");
        xml.val("name", path);
        let op_at = xml.len();
        xml.val("op", "assign");
        if !service::write_value(reader, target, path, "val", xml) {
            if kind == "enter" {
                xml.truncate(start);
                continue;
            }
            // Nested in something that is gone altogether.
            let indirect = path.starts_with("config.") && is_without_config(reader.world, target);
            if indirect {
                xml.truncate(op_at);
                xml.val("op", "indirectRemove");
            }
        }
        xml.close("changeSet");
    }
    for (path, fault) in missing {
        write_missing(path, &fault, xml);
    }
    xml.close("objectSet");
}

fn is_without_config(world: &World, target: &Target) -> bool {
    let Target::Object(id) = target else { return false };
    world.get(*id).and_then(Entity::vm).is_some_and(|vm| vm.config.is_none())
}

fn write_missing(path: &str, fault: &Fault, xml: &mut Xml) {
    xml.open("missingSet");
    xml.val("path", path);
    fault.write_localized("fault", xml);
    xml.close("missingSet");
}

/// One `ObjectContent` of a RetrievePropertiesEx answer. Nothing is written for an object that is gone.
pub(crate) fn write_content(reader: &Reader<'_>, specs: &[Spec], target: &Target, tag: &str, xml: &mut Xml) {
    if matches!(target, Target::Object(id) if !reader.world.exists(*id)) {
        return;
    }
    let mut paths: Vec<&str> = Vec::new();
    for spec in specs {
        for path in spec.paths(target).unwrap_or_default() {
            if !paths.contains(&path) {
                paths.push(path);
            }
        }
    }
    xml.open(tag);
    write_target("obj", target, xml);
    let mut missing: Vec<(&str, Fault)> = Vec::new();
    for path in paths {
        if let Target::Object(id) = target
            && let Err(fault) = may_read(reader.world, reader.user, *id, path)
        {
            missing.push((path, fault));
            continue;
        }
        let start = xml.len();
        xml.open("propSet");
        xml.val("name", path);
        if service::write_value(reader, target, path, "val", xml) {
            xml.close("propSet");
        } else {
            xml.truncate(start);
        }
    }
    for (path, fault) in missing {
        write_missing(path, &fault, xml);
    }
    xml.close(tag);
}
