//! Property filter specifications: which objects, and which of their properties.

use std::sync::Arc;

use crate::config::User;
use crate::props;
use crate::world::{Change, Entity, Kind, ObjId, World};
use crate::xml::Xml;

use super::fault::Fault;
use super::request::Node;
use super::session::{HistoryCollector, ListView, Session, View};

/// Something whose properties can be read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// An inventory object.
    Object(ObjId),
    /// A manager or an object of the session: type and value.
    Service(&'static str, String),
}

/// A checked `PropertyFilterSpec`.
#[derive(Debug)]
pub(crate) struct Spec {
    props: Vec<PropSet>,
    objects: Vec<ObjectSet>,
    report_missing: bool,
}

#[derive(Debug)]
struct PropSet {
    type_name: String,
    paths: Vec<String>,
}

#[derive(Debug)]
struct ObjectSet {
    start: Start,
    skip: bool,
    select: Vec<Node>,
}

#[derive(Debug)]
enum Start {
    Target(Target),
    View(Arc<View>),
    List(Arc<ListView>),
    History(String, HistoryCollector),
}

/// The managers that have readable properties, and the paths.
const SERVICES: &[(&str, &str, &[&str])] = &[
    ("ServiceInstance", "ServiceInstance", &["content", "serverClock", "capability"]),
    ("SessionManager", "SessionManager", &["currentSession", "sessionList", "defaultLocale"]),
    ("EventManager", "EventManager", &["latestEvent", "maxCollector"]),
    ("AuthorizationManager", "AuthorizationManager", &["roleList", "privilegeList"]),
    ("PropertyCollector", "propertyCollector", &["filter"]),
    ("ViewManager", "ViewManager", &["viewList"]),
    (
        "GuestOperationsManager",
        "guestOperationsManager",
        &["authManager", "fileManager", "processManager", "aliasManager"],
    ),
];
const VIEW_PATHS: &[&str] = &["view", "container", "type", "recursive"];
const LIST_PATHS: &[&str] = &["view"];
const HISTORY_PATHS: &[&str] = &["latestPage", "filter"];

fn path_is_known(type_name: &str, path: &str) -> Option<bool> {
    let has = |paths: &[&str]| Some(paths.contains(&path));
    match type_name {
        "ContainerView" => has(VIEW_PATHS),
        "ListView" => has(LIST_PATHS),
        "EventHistoryCollector" => has(HISTORY_PATHS),
        _ => match SERVICES.iter().find(|(name, _, _)| *name == type_name) {
            Some((_, _, paths)) => has(paths),
            None if props::is_known_type(type_name) => Some(props::known_path(type_name, path).is_some()),
            None => None,
        },
    }
}

/// Finds what a reference names, in the inventory or the session.
fn resolve(world: &World, session: &Session, node: &Node) -> Result<Start, Fault> {
    let type_name = node.type_name.as_deref().unwrap_or_default();
    let value = node.text.trim();
    let missing = || Fault::no_such_object(type_name, value);
    match type_name {
        "ContainerView" => session.views.get(value).cloned().map(Start::View).ok_or_else(missing),
        "ListView" => session.lists.get(value).cloned().map(Start::List).ok_or_else(missing),
        "EventHistoryCollector" => {
            let history = session.histories.get(value).cloned().ok_or_else(missing)?;
            Ok(Start::History(value.to_owned(), history))
        }
        _ => {
            if let Some((name, id, _)) = SERVICES.iter().find(|(name, _, _)| *name == type_name) {
                return if value == *id {
                    Ok(Start::Target(Target::Service(name, value.to_owned())))
                } else {
                    Err(missing())
                };
            }
            Ok(Start::Target(Target::Object(object(world, node)?)))
        }
    }
}

/// The inventory object that a reference names.
pub(crate) fn object(world: &World, node: &Node) -> Result<ObjId, Fault> {
    let type_name = node.type_name.as_deref().unwrap_or_default();
    let value = node.text.trim();
    let missing = || Fault::no_such_object(type_name, value);
    let id = ObjId::parse(value).filter(|id| id.kind.is_a(type_name)).ok_or_else(missing)?;
    if world.exists(id) { Ok(id) } else { Err(missing()) }
}

impl Spec {
    /// Checks a specification as vCenter does before it answers anything.
    pub(crate) fn parse(world: &World, session: &Session, node: &Node) -> Result<Self, Fault> {
        let mut props = Vec::new();
        for set in node.all("propSet") {
            let type_name = set.str("type").unwrap_or_default().to_owned();
            if path_is_known(&type_name, "").is_none() {
                return Err(Fault::invalid_type(&type_name));
            }
            let mut paths: Vec<String> = Vec::new();
            if set.bool("all") {
                match SERVICES.iter().find(|(name, _, _)| *name == type_name) {
                    Some((_, _, all)) => paths.extend(all.iter().map(|p| (*p).to_owned())),
                    None => paths.extend(props::all_paths(&type_name).map(str::to_owned)),
                }
            }
            for path in set.all("pathSet") {
                if path_is_known(&type_name, &path.text) != Some(true) {
                    return Err(Fault::invalid_property(&path.text));
                }
                if !paths.contains(&path.text) {
                    paths.push(path.text.clone());
                }
            }
            props.push(PropSet { type_name, paths });
        }
        let report_missing = node.bool("reportMissingObjectsInResults");
        let mut objects = Vec::new();
        for set in node.all("objectSet") {
            let Some(obj) = set.child("obj") else { continue };
            let start = match resolve(world, session, obj) {
                Ok(start) => start,
                Err(_) if report_missing => continue,
                Err(fault) => return Err(fault),
            };
            objects.push(ObjectSet {
                start,
                skip: set.bool("skip"),
                select: set.all("selectSet").cloned().collect(),
            });
        }
        Ok(Self { props, objects, report_missing })
    }

    /// Whether the objects come from views and direct references only, so that changes can be followed by the log.
    pub(crate) fn is_direct(&self) -> bool {
        self.objects.iter().all(|set| match &set.start {
            Start::View(_) => {
                set.select.iter().all(|s| is_view_traversal(s) && s.child("selectSet").is_none())
            }
            // The log does not tell who came into a list.
            Start::List(_) => false,
            _ => set.select.is_empty(),
        })
    }

    /// The paths to read from an object of these types (most derived first).
    fn paths_for<'a>(&'a self, types: &'a [&'a str]) -> Option<Vec<&'a str>> {
        let mut matched = false;
        let mut paths: Vec<&str> = Vec::new();
        for set in &self.props {
            if types.contains(&set.type_name.as_str()) {
                matched = true;
                for path in &set.paths {
                    if !paths.contains(&path.as_str()) {
                        paths.push(path);
                    }
                }
            }
        }
        matched.then_some(paths)
    }

    /// The paths to read from a target; `None` when no property set speaks of its type.
    pub(crate) fn paths<'a>(&'a self, target: &Target) -> Option<Vec<&'a str>> {
        match target {
            Target::Object(id) => self.paths_for(id.kind.types()),
            Target::Service(name, _) => self.props.iter().any(|p| p.type_name == *name).then(|| {
                let sets = self.props.iter().filter(|p| p.type_name == *name);
                sets.flat_map(|p| p.paths.iter().map(String::as_str)).collect()
            }),
        }
    }

    /// Every selected object, in order, each once.
    pub(crate) fn select(&self, world: &World, user: &User) -> Result<Vec<Target>, Fault> {
        let mut seen = std::collections::HashSet::new();
        let mut out = Vec::new();
        let mut push = |target: Target, out: &mut Vec<Target>| {
            if seen.insert(target.clone()) {
                out.push(target);
            }
        };
        for set in &self.objects {
            match &set.start {
                Start::View(view) => {
                    for select in set.select.iter().filter(|s| is_view_traversal(s)) {
                        for id in members(world, user, view) {
                            if !select.bool("skip") {
                                push(Target::Object(id), &mut out);
                            }
                            if select.child("selectSet").is_some() {
                                let inner: Vec<&Node> = select.all("selectSet").collect();
                                walk(world, user, id, &inner, &set.select, 0, &mut |id| {
                                    push(Target::Object(id), &mut out);
                                })?;
                            }
                        }
                    }
                }
                Start::List(list) => {
                    let members = list.members();
                    let visible = |id: &ObjId| {
                        world.exists(*id)
                            && sees(world, user, *id, world.get(*id).and_then(Entity::container))
                    };
                    for select in set.select.iter().filter(|s| is_view_traversal(s)) {
                        for id in members.iter().copied().filter(visible) {
                            if !select.bool("skip") {
                                push(Target::Object(id), &mut out);
                            }
                            let inner: Vec<&Node> = select.all("selectSet").collect();
                            walk(world, user, id, &inner, &set.select, 0, &mut |id| {
                                push(Target::Object(id), &mut out);
                            })?;
                        }
                    }
                }
                Start::History(key, _) => {
                    push(Target::Service("EventHistoryCollector", key.clone()), &mut out);
                }
                Start::Target(target) => {
                    if let Target::Object(id) = target {
                        if !world.exists(*id) {
                            if self.report_missing {
                                continue;
                            }
                            return Err(Fault::no_such_object(id.kind.type_name(), &id.to_string()));
                        }
                        if !set.skip {
                            push(target.clone(), &mut out);
                        }
                        let select: Vec<&Node> = set.select.iter().collect();
                        walk(world, user, *id, &select, &set.select, 0, &mut |id| {
                            push(Target::Object(id), &mut out);
                        })?;
                    } else if !set.skip {
                        push(target.clone(), &mut out);
                    }
                }
            }
        }
        Ok(out)
    }

    /// Whether a direct specification selects an object that exists and hangs at `container`.
    pub(crate) fn selects(&self, world: &World, user: &User, id: ObjId, container: Option<ObjId>) -> bool {
        self.objects.iter().any(|set| match &set.start {
            Start::Target(Target::Object(start)) => *start == id,
            Start::View(view) => {
                set.select.iter().any(|s| is_view_traversal(s) && !s.bool("skip"))
                    && in_view(world, view, id, container)
                    && sees(world, user, id, container)
            }
            _ => false,
        })
    }

    /// The history collectors that the specification reads.
    pub(crate) fn histories(&self) -> impl Iterator<Item = (&str, &HistoryCollector)> {
        self.objects.iter().filter_map(|set| match &set.start {
            Start::History(key, history) => Some((key.as_str(), history)),
            _ => None,
        })
    }
}

fn is_view_traversal(select: &Node) -> bool {
    let over = select.str("type");
    matches!(over, Some("ContainerView" | "ListView" | "View" | "ManagedObjectView"))
        && select.str("path") == Some("view")
}

/// Follows traversal specifications, also those called by name from each other.
fn walk(
    world: &World,
    user: &User,
    from: ObjId,
    select: &[&Node],
    top: &[Node],
    depth: usize,
    found: &mut dyn FnMut(ObjId),
) -> Result<(), Fault> {
    if depth > 64 {
        return Ok(());
    }
    for node in select {
        let traversal = if node.xsi_type.as_deref() == Some("TraversalSpec") {
            *node
        } else {
            let name = node.str("name").unwrap_or_default();
            find_named(top, name).ok_or_else(|| Fault::invalid_argument("specSet.objectSet.selectSet"))?
        };
        let type_name = traversal.str("type").unwrap_or_default();
        if !from.kind.is_a(type_name) {
            continue;
        }
        let path = traversal.str("path").unwrap_or_default();
        if props::known_path(from.kind.type_name(), path).is_none() {
            return Err(Fault::invalid_property(path));
        }
        for id in references(world, from, path) {
            if !sees(world, user, id, world.get(id).and_then(Entity::container)) {
                continue;
            }
            if !traversal.bool("skip") {
                found(id);
            }
            let inner: Vec<&Node> = traversal.all("selectSet").collect();
            if !inner.is_empty() {
                walk(world, user, id, &inner, top, depth + 1, found)?;
            }
        }
    }
    Ok(())
}

fn find_named<'a>(nodes: &'a [Node], name: &str) -> Option<&'a Node> {
    nodes.iter().find_map(|node| {
        let named = node.xsi_type.as_deref() == Some("TraversalSpec") && node.str("name") == Some(name);
        if named { Some(node) } else { find_named(&node.children, name) }
    })
}

/// The objects that a property refers to, read off its XML: there is one place that knows what a property holds.
fn references(world: &World, id: ObjId, path: &str) -> Vec<ObjId> {
    let mut xml = Xml::new();
    if !props::write(world, id, path, "val", &mut xml) {
        return Vec::new();
    }
    let marker = "xsi:type=\"ManagedObjectReference\">";
    let values = xml.as_str().split(marker).skip(1);
    values.filter_map(|rest| ObjId::parse(rest.split('<').next()?)).collect()
}

fn in_view(world: &World, view: &View, id: ObjId, container: Option<ObjId>) -> bool {
    if !view.types.is_empty() && !view.types.iter().any(|t| id.kind.is_a(t)) {
        return false;
    }
    if id == view.container || id == world.root || id.kind == Kind::Snapshot || id == ObjId::CUSTOM_FIELDS {
        return false;
    }
    match container {
        Some(parent) if parent == view.container => true,
        Some(_) if view.recursive && view.container == world.root => true,
        Some(parent) => view.recursive && world.is_below(parent, view.container),
        None => false,
    }
}

/// The members of a view that the user may see.
pub(crate) fn members(world: &World, user: &User, view: &View) -> Vec<ObjId> {
    let all = world.all().filter(|e| {
        let container = e.container();
        in_view(world, view, e.id, container) && sees(world, user, e.id, container)
    });
    all.map(|e| e.id).collect()
}

/// Whether the user may see an object that hangs at `container`.
pub(crate) fn sees(world: &World, user: &User, id: ObjId, container: Option<ObjId>) -> bool {
    if !user.has("System.View") {
        return false;
    }
    let Some(scope) = &user.scope else { return true };
    let decisive = world.seen_by(id);
    if decisive != id {
        return sees(world, user, decisive, world.get(decisive).and_then(Entity::container));
    }
    matches!(id.kind, Kind::CustomFieldsManager | Kind::TaskManager)
        || scope.iter().filter_map(|root| ObjId::parse(root)).any(|root| {
            id == root || container.is_some_and(|parent| parent == root || world.is_below(parent, root))
        })
}

/// Whether the user may read a property; else the fault for `missingSet`.
pub(crate) fn may_read(world: &World, user: &User, id: ObjId, path: &str) -> Result<(), Fault> {
    let visible = sees(world, user, id, world.get(id).and_then(Entity::container));
    if !visible
        || !user.has("System.Read")
        || user.denied_paths.iter().any(|denied| props::touches(denied, path))
    {
        return Err(Fault::no_permission(id, "System.Read"));
    }
    Ok(())
}

/// Whether a change in the log concerns an inventory object, and which.
pub(crate) fn concerned(change: &Change) -> Option<ObjId> {
    match change {
        Change::Created(id) | Change::Removed(id, _) | Change::Modified(id, _) | Change::Moved(id, _) => {
            Some(*id)
        }
        Change::Event(_) | Change::Views | Change::Permissions(_) | Change::Everywhere(_) => None,
    }
}
