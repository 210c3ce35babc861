//! Whether a window patches, and whom it reaches.

use std::collections::BTreeSet;
use std::sync::Arc;

use mappings::glob::NamePattern;

use super::{Groups, Window};
use crate::aws::{NodeId, NodeTags, TargetSet, WindowTarget, WindowTargetId, WindowTask, WindowTaskId};

/// The documents of AWS that patch. They install unless their parameter `Operation` says `Scan`. In windows for hybrid nodes
/// the third has no effect today, which may change any day.
const PATCHING: [&str; 3] =
    ["AWS-RunPatchBaseline", "AWS-RunPatchBaselineWithHooks", "AWS-RunPatchBaselineAssociation"];
/// The resource type of hybrid nodes in `resource-groups:ResourceTypeFilters`.
const HYBRID: &str = "AWS::SSM::ManagedInstance";
/// The same of EC2 instances.
const INSTANCE: &str = "AWS::EC2::Instance";

/// Whether a window patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Patching {
    /// It does something else, or nothing.
    No,
    /// It looks for patches and installs none.
    Scans,
    /// It installs.
    Installs,
}

/// How a node is reached by tasks that patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reached {
    /// All the ways, at least one.
    pub ways: Vec<Way>,
}

/// One way in which a task reaches a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The task.
    pub task: WindowTaskId,
    /// The registered target; `None` when the task itself names what it runs on.
    pub target: Option<WindowTargetId>,
    /// The document that the task runs before it installs, and whose failure keeps it from installing.
    pub hook: Option<Arc<str>>,
    /// By what.
    pub by: By,
}

/// What makes a node part of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// It is named by its id.
    Id,
    /// Its tags. All conditions hold, and each rests on some keys: a condition holds no longer when *all* of its keys are
    /// gone, and the node is out when *one* condition holds no longer.
    Tags(Vec<BTreeSet<Arc<str>>>),
    /// It is a member of this resource group. Which tags that depends on, the group does not say here.
    Group(Arc<str>),
}

impl Reached {
    /// Every key of a tag that plays a part.
    #[must_use]
    pub fn keys(&self) -> BTreeSet<Arc<str>> {
        let conditions = self.ways.iter().filter_map(|way| match &way.by {
            By::Tags(conditions) => Some(conditions.iter().flatten()),
            By::Id | By::Group(_) => None,
        });
        conditions.flatten().cloned().collect()
    }

    /// Tags whose removal keeps the node from being patched, where only those may go that `removable` says, and where ways
    /// need not be closed whose hook `holds` the node by itself. Empty: the hooks are enough. It need not be the smallest set.
    ///
    /// # Errors
    /// A way that cannot be closed.
    pub fn to_close(
        &self,
        removable: impl Fn(&str) -> bool,
        holds: impl Fn(&str) -> bool,
    ) -> Result<BTreeSet<Arc<str>>, &Way> {
        let mut gone: BTreeSet<Arc<str>> = BTreeSet::new();
        let open = self.ways.iter().filter(|way| !way.hook.as_deref().is_some_and(&holds));
        for way in open {
            let conditions: &[BTreeSet<Arc<str>>] = match &way.by {
                By::Tags(conditions) => conditions,
                By::Id | By::Group(_) => return Err(way),
            };
            let possible = conditions.iter().filter(|keys| keys.iter().all(|key| removable(key)));
            // What is removed already costs nothing more.
            let cheapest = possible.min_by_key(|keys| keys.difference(&gone).count());
            gone.extend(cheapest.ok_or(way)?.iter().cloned());
        }
        Ok(gone)
    }
}

/// What a node has at the least that a window reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gate<'a> {
    /// One of these ids; `*` is every node.
    Id(&'a [Box<str>]),
    /// A tag of this key with one of these values.
    Tag(&'a str, &'a [Box<str>]),
    /// A tag of one of these keys.
    Key(&'a [Box<str>]),
    /// It is in one of these groups.
    Group(&'a [Box<str>]),
}

impl Window {
    /// Who has none of these is not [reached](Self::targets_of): one condition of each target that a task that installs is for.
    pub(crate) fn gates<'a>(
        &'a self,
        documents: &'a [NamePattern],
    ) -> impl Iterator<Item = Gate<'a>> + use<'a> {
        self.patching_tasks(documents).flat_map(|task| {
            let (registered, own): (Vec<&TargetSet>, Vec<&TargetSet>) =
                task.sets.iter().partition(|set| matches!(Condition::of(&set.key), Condition::Registered));
            let targets = registered.into_iter().flat_map(|set| &set.values).filter_map(|id| self.target(id));
            let mut gates: Vec<Gate<'a>> = targets.filter_map(|target| gate(&target.sets)).collect();
            gates.extend(gate(own));
            gates
        })
    }

    /// Whether it patches, where `documents` are those that count beside [the ones of AWS](Self::patching_tasks).
    #[must_use]
    pub fn patches(&self, documents: &[NamePattern]) -> Patching {
        self.tasks.iter().map(|task| patches(task, documents)).max().unwrap_or(Patching::No)
    }

    /// The tasks that install: `AWS-RunPatchBaseline`, `AWS-RunPatchBaselineWithHooks` and `AWS-RunPatchBaselineAssociation`
    /// unless they only scan, and every task with another one of `documents`. A task of AWS whose parameters are not known counts.
    pub fn patching_tasks<'a>(
        &'a self,
        documents: &'a [NamePattern],
    ) -> impl Iterator<Item = &'a WindowTask> {
        self.tasks.iter().filter(|task| patches(task, documents) == Patching::Installs)
    }

    /// The pre-install hooks that its patching tasks use.
    #[must_use]
    pub fn hooks(&self, documents: &[NamePattern]) -> BTreeSet<Arc<str>> {
        self.patching_tasks(documents).filter_map(hook).collect()
    }

    /// The resource groups that its targets name.
    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        let all = self.targets.iter().flat_map(|target| &target.sets);
        let all = all.chain(self.tasks.iter().flat_map(|task| &task.sets));
        all.filter(|set| matches!(Condition::of(&set.key), Condition::Groups))
            .flat_map(|set| set.values.iter().map(|name| &**name))
    }

    /// How a node with these tags is reached by tasks that install; `None`: it is not, as far as can be known, and what
    /// cannot be known [`Self::doubts`] tells. The tags may be those that there are or those that there are to be.
    #[must_use]
    pub fn targets_of(
        &self,
        documents: &[NamePattern],
        node: &NodeId,
        tags: &NodeTags,
        groups: &Groups,
    ) -> Option<Reached> {
        let mut ways = Vec::new();
        for task in self.patching_tasks(documents) {
            let mut way = |target: Option<&WindowTargetId>, found: Vec<By>| {
                ways.extend(found.into_iter().map(|by| Way {
                    task: task.id.clone(),
                    target: target.cloned(),
                    hook: hook(task),
                    by,
                }));
            };
            let (registered, own): (Vec<_>, Vec<_>) =
                task.sets.iter().partition(|set| matches!(Condition::of(&set.key), Condition::Registered));
            for target in registered.iter().flat_map(|set| &set.values).filter_map(|id| self.target(id)) {
                let sets: Vec<_> = target.sets.iter().collect();
                way(Some(&target.id), taken_by(&sets, node, tags, groups));
            }
            way(None, taken_by(&own, node, tags, groups));
        }
        (!ways.is_empty()).then_some(Reached { ways })
    }

    /// Whether one of its targets, registered or named by a task, takes a node of either kind, whatever the tasks do there.
    /// `tags` is `None` where the node's tags are not known, and `is_member` says `None` of a group that is not. `None`: what
    /// is not known may decide it.
    #[must_use]
    pub fn takes(
        &self,
        node: &str,
        tags: Option<&NodeTags>,
        is_member: impl Fn(&str) -> Option<bool>,
    ) -> Option<bool> {
        let registered = self.targets.iter().map(|target| target.sets.iter().collect::<Vec<_>>());
        let own = self.tasks.iter().map(|task| {
            let own =
                task.sets.iter().filter(|set| !matches!(Condition::of(&set.key), Condition::Registered));
            own.collect::<Vec<_>>()
        });
        any(registered.chain(own).filter(|sets| !sets.is_empty()).map(|sets| {
            all(sets.into_iter().map(|set| {
                let is_value = |text: &str| set.values.iter().any(|value| **value == *text);
                match Condition::of(&set.key) {
                    Condition::Ids => Some(is_value(node) || is_value("*")),
                    Condition::Tag(key) => {
                        tags.map(|tags| tags.get(key).is_some_and(|value| is_value(value)))
                    }
                    Condition::AnyTag => tags.map(|tags| tags.keys().any(|key| is_value(key))),
                    Condition::Groups => any(set.values.iter().map(|name| is_member(name))),
                    Condition::GroupTypes => {
                        let kind = if node.starts_with("mi-") { HYBRID } else { INSTANCE };
                        Some(set.values.iter().any(|value| value.eq_ignore_ascii_case(kind)))
                    }
                    Condition::Registered | Condition::Unknown => None,
                }
            }))
        }))
    }

    /// Whether it depends on tags whom it takes.
    #[must_use]
    pub fn asks_for_tags(&self) -> bool {
        let all = self.targets.iter().flat_map(|target| &target.sets);
        let mut all = all.chain(self.tasks.iter().flat_map(|task| &task.sets));
        all.any(|set| matches!(Condition::of(&set.key), Condition::Tag(_) | Condition::AnyTag))
    }

    /// Why it cannot be said for every node whether a task that installs reaches it.
    #[must_use]
    pub fn doubts(&self, documents: &[NamePattern], groups: &Groups) -> Vec<String> {
        let mut doubts = Vec::new();
        for task in self.patching_tasks(documents) {
            if task.sets.is_empty() {
                doubts.push(format!("task {} does not say which nodes it is for", task.id));
            }
            for set in &task.sets {
                if !matches!(Condition::of(&set.key), Condition::Registered) {
                    doubts.extend(doubt(set, groups));
                    continue;
                }
                for id in &set.values {
                    match self.target(id) {
                        Some(target) => {
                            doubts.extend(target.sets.iter().filter_map(|set| doubt(set, groups)));
                        }
                        None => doubts.push(format!(
                            "task {} is for the target {id}, which is not among those of the window",
                            task.id
                        )),
                    }
                }
            }
        }
        doubts.sort_unstable();
        doubts.dedup();
        doubts
    }

    fn target(&self, id: &str) -> Option<&WindowTarget> {
        self.targets.iter().find(|target| target.id.as_str() == id)
    }
}

/// Whether one holds; `None`: that depends on one of which it is not known.
fn any(held: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    all(held.map(|one| one.map(|holds| !holds))).map(|none| !none)
}

/// Whether all hold; `None`: that depends on one of which it is not known.
fn all(mut held: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let met = held.try_fold(Some(true), |known, one| match one {
        Some(false) => Err(()),
        Some(true) => Ok(known),
        None => Ok(None),
    });
    met.unwrap_or(Some(false))
}

/// The name of a document, which may be given by its ARN.
pub(super) fn document_name(document: &str) -> &str {
    match document.rsplit_once("document/") {
        Some((arn, name)) if arn.starts_with("arn:") => name,
        _ => document,
    }
}

/// Whether a document, by its name, is one that patches.
pub(super) fn is_patching(name: &str, documents: &[NamePattern]) -> bool {
    PATCHING.contains(&name) || documents.iter().any(|document| document.matches(name))
}

/// Whether the parameters of a task have to be known: only the documents of AWS have any that matter, and those of others are
/// nobody's business.
pub(crate) fn needs_parameters(task: &WindowTask) -> bool {
    PATCHING.contains(&document_name(&task.document))
}

fn patches(task: &WindowTask, documents: &[NamePattern]) -> Patching {
    let name = document_name(&task.document);
    if !PATCHING.contains(&name) {
        return if is_patching(name, documents) { Patching::Installs } else { Patching::No };
    }
    let operation = task.parameters.as_ref().and_then(|parameters| parameters.operation.as_deref());
    // One that is not known may be the one that matters.
    if operation == Some("Scan") { Patching::Scans } else { Patching::Installs }
}

fn hook(task: &WindowTask) -> Option<Arc<str>> {
    // Other documents take no notice of it.
    if document_name(&task.document) != "AWS-RunPatchBaselineWithHooks" {
        return None;
    }
    // `AWS-Noop` is what stands there when there is no hook.
    let hook = task.parameters.as_ref()?.pre_install_hook.clone()?;
    (document_name(&hook) != "AWS-Noop").then(|| document_name(&hook).into())
}

/// The kinds of conditions.
enum Condition<'a> {
    Registered,
    Ids,
    Tag(&'a str),
    AnyTag,
    Groups,
    GroupTypes,
    Unknown,
}

impl<'a> Condition<'a> {
    fn of(key: &'a str) -> Self {
        match key {
            "WindowTargetIds" => Self::Registered,
            "InstanceIds" => Self::Ids,
            "tag-key" => Self::AnyTag,
            "resource-groups:Name" => Self::Groups,
            "resource-groups:ResourceTypeFilters" => Self::GroupTypes,
            _ => key.strip_prefix("tag:").map_or(Self::Unknown, Self::Tag),
        }
    }
}

/// By what a node is part of a target with these conditions, all of which have to hold. Several groups are several ways,
/// because leaving one is not leaving the other. What cannot be known holds for nobody.
fn taken_by(sets: &[&TargetSet], node: &NodeId, tags: &NodeTags, groups: &Groups) -> Vec<By> {
    let (mut named, mut conditions, mut member_of) = (false, Vec::new(), None);
    for set in sets {
        let is_value = |text: &str| set.values.iter().any(|value| **value == *text);
        let holds = match Condition::of(&set.key) {
            Condition::Ids => {
                named = true;
                is_value(node.as_str()) || is_value("*")
            }
            Condition::Tag(key) => match tags.get_key_value(key).filter(|(_, value)| is_value(value)) {
                Some((key, _)) => {
                    conditions.push(BTreeSet::from([key.clone()]));
                    true
                }
                None => false,
            },
            Condition::AnyTag => {
                let keys: BTreeSet<_> = tags.keys().filter(|key| is_value(key)).cloned().collect();
                let some = !keys.is_empty();
                conditions.push(keys);
                some
            }
            Condition::Groups => {
                let known = set.values.iter().filter_map(|name| groups.get_key_value(&**name));
                let of = known.filter(|(_, group)| group.nodes.contains(node)).map(|(name, _)| name.clone());
                let of: Vec<_> = of.collect();
                let some = !of.is_empty();
                member_of = Some(of);
                some
            }
            Condition::GroupTypes => set.values.iter().any(|kind| kind.eq_ignore_ascii_case(HYBRID)),
            Condition::Registered | Condition::Unknown => false,
        };
        if !holds {
            return Vec::new();
        }
    }
    match member_of {
        // Tags beside a group would be an easier way out.
        _ if !conditions.is_empty() => vec![By::Tags(conditions)],
        Some(names) => names.into_iter().map(By::Group).collect(),
        None if named => vec![By::Id],
        None => Vec::new(),
    }
}

/// The condition of a target that the fewest meet; none: nobody meets all of them.
fn gate<'a>(sets: impl IntoIterator<Item = &'a TargetSet>) -> Option<Gate<'a>> {
    let gate = |set: &'a TargetSet| match Condition::of(&set.key) {
        Condition::Ids => Some((0, Gate::Id(&set.values))),
        Condition::Tag(key) => Some((1, Gate::Tag(key, &set.values))),
        Condition::Groups => Some((2, Gate::Group(&set.values))),
        Condition::AnyTag => Some((3, Gate::Key(&set.values))),
        Condition::GroupTypes | Condition::Registered | Condition::Unknown => None,
    };
    sets.into_iter().filter_map(gate).min_by_key(|(rank, _)| *rank).map(|(_, gate)| gate)
}

/// Why it cannot be said whether a condition holds.
fn doubt(set: &TargetSet, groups: &Groups) -> Option<String> {
    match Condition::of(&set.key) {
        Condition::Unknown => Some(format!("the condition {:?} of a target is not understood", set.key)),
        Condition::Groups => set.values.iter().find_map(|name| match groups.get(&**name) {
            None => Some(format!("the resource group {name} has not been read yet")),
            Some(group) => {
                let problem = group.problem.as_ref()?;
                Some(format!("the resource group {name} could not be read: {problem}"))
            }
        }),
        Condition::Registered
        | Condition::Ids
        | Condition::Tag(_)
        | Condition::AnyTag
        | Condition::GroupTypes => None,
    }
}
