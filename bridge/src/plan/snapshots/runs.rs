//! The openings of windows that matter now: those that come within the horizon, and those that are open.
//!
//! AWS tells of an opening until it has come. From the time at which its snapshots begin it is remembered as well
//! ([`Scope`]), and stays what it was then: who was reached then belongs to it, whatever AWS says of the node meanwhile, and
//! also while nobody can say it.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use mappings::protection::Run;
use mappings::recurrence::Recurrence;
use mappings::selector::{Verdict, VmFacts as _};
use mappings::tags::RuleSet;

use super::Scene;
use super::index::Index;
use crate::aws::{NodeId, NodeTags, Place, WindowId};
use crate::cloud::TargetView;
use crate::cloud::window::{Patching, Reached, Window};
use crate::config::SnapshotSettings;
use crate::fleet::VmView;
use crate::plan::identity::Matching;
use crate::snapshot::{HoldBy, Scope};
use crate::store::VmId;

/// Before the names of windows that are a tag of vSphere.
const TAG_WINDOW: &str = "tag:";

/// The openings that matter now.
pub(super) struct Runs<'a> {
    settings: &'a SnapshotSettings,
    rules: &'a RuleSet,
    memory: &'a BTreeMap<(Arc<str>, Timestamp), Scope>,
    now: Timestamp,
    until: Timestamp,
    /// By target, in the order of the policy: windows that patch, with their openings.
    targets: Vec<Target<'a>>,
    /// Openings of windows of AWS that are not over, by the VMs that belong to them.
    members: foldhash::HashMap<&'a VmId, Vec<&'a Scope>>,
    /// Windows of the configuration, with their openings.
    own: Vec<Vec<Run>>,
    /// Windows that are tags, by the name of the tag. None: the tag is no window.
    tags: Mutex<HashMap<String, Option<Arc<[Run]>>>>,
}

struct Target<'a> {
    place: Option<&'a Place>,
    view: Option<&'a TargetView>,
    windows: Vec<(&'a Window, Vec<Run>)>,
    index: Index<'a>,
}

/// How a window reaches a VM.
pub(super) struct Reach<'a> {
    pub(super) run: Run,
    /// How a window of AWS does now. None: it is remembered that it did, or it is no window of AWS.
    pub(super) reached: Option<Reached>,
    /// Tags of the node that count although they are not there, because it was we who took them to keep it out of a window.
    pub(super) withheld: Vec<Arc<str>>,
    /// What is remembered of it.
    pub(super) scope: Option<&'a Scope>,
    /// It belongs to the run because it was reached when the scope froze, and is not reached any more.
    pub(super) is_left: bool,
}

impl<'a> Runs<'a> {
    pub(super) fn of(scene: &Scene<'a, '_>) -> Self {
        let settings = &scene.policy.snapshots;
        let horizon = SignedDuration::try_from(settings.horizon).unwrap_or(SignedDuration::MAX);
        let until = scene.now.checked_add(horizon).unwrap_or(Timestamp::MAX);
        let is_void = |scope: &Scope| is_cancelled(scene, scope) || is_harmless(scene, scope);
        let live: Vec<&'a Scope> = scene
            .memory
            .scopes
            .values()
            .filter(|scope| scope.run.closes > scene.now && !is_void(scope))
            .collect();
        let targets = scene.matchings.iter().map(|matching| match matching {
            Ok((place, view, _)) => Target::of(place, view, scene, &live, until),
            Err(_) => Target { place: None, view: None, windows: Vec::new(), index: Index::default() },
        });
        let mut members: foldhash::HashMap<&VmId, Vec<&Scope>> = foldhash::HashMap::default();
        for scope in live.iter().filter(|scope| scope.place.is_some()) {
            for member in &scope.members {
                members.entry(&member.vm).or_default().push(scope);
            }
        }
        let own = settings
            .windows
            .iter()
            .map(|window| openings(&window.recurrence, &window.name, scene.now, until));
        Self {
            settings,
            rules: &scene.policy.rules,
            memory: &scene.memory.scopes,
            now: scene.now,
            until,
            targets: targets.collect(),
            members,
            own: own.collect(),
            tags: Mutex::default(),
        }
    }

    /// Whether there is any window at all that could reach a VM.
    pub(super) fn is_empty(&self) -> bool {
        self.targets.iter().all(|target| target.windows.is_empty())
            && self.members.is_empty()
            && self.own.iter().all(Vec::is_empty)
            && self.settings.window_category.is_none()
    }

    /// The runs that reach a VM, by their opening.
    pub(super) fn reach(
        &self,
        vm: &VmId,
        view: &VmView<'_>,
        node: Option<(usize, &NodeId, Option<&NodeTags>)>,
    ) -> Vec<Reach<'a>> {
        let mut out = Vec::new();
        if let Some((target, node, tags)) = node {
            self.by_aws(vm, view, target, node, tags, &mut out);
        }
        for scope in self.members.get(vm).into_iter().flatten() {
            if !out.iter().any(|reach| reach.run.is_same(&scope.run)) {
                // Only who sees the window and the node can say that it is not reached any more.
                let is_left = node.is_some_and(|(target, _, tags)| {
                    let id = WindowId::from(&*scope.run.window);
                    let view = self.targets[target].view;
                    tags.is_some() && view.is_some_and(|view| view.windows.known.contains_key(&id))
                });
                let run = scope.run.clone();
                out.push(Reach { run, reached: None, withheld: Vec::new(), scope: Some(*scope), is_left });
            }
        }
        let mut add = |runs: &[Run]| {
            out.extend(runs.iter().map(|run| Reach {
                run: run.clone(),
                reached: None,
                withheld: Vec::new(),
                scope: self.scope(run),
                is_left: false,
            }));
        };
        for (window, runs) in self.settings.windows.iter().zip(&self.own) {
            if !runs.is_empty() && window.vms.verdict(view) == Verdict::Selected {
                add(runs);
            }
        }
        if let Some(category) = &self.settings.window_category {
            view.visit_tags(&mut |of, tag| {
                if mappings::glob::same_name(of, category)
                    && let Some(runs) = self.of_tag(tag)
                {
                    add(&runs);
                }
                ControlFlow::Continue(())
            });
        }
        out.sort_by(|a, b| (a.run.opens, &a.run.window).cmp(&(b.run.opens, &b.run.window)));
        out.dedup_by(|a, b| a.run.is_same(&b.run));
        out
    }

    fn by_aws(
        &self,
        vm: &VmId,
        of: &VmView<'_>,
        target: usize,
        node: &NodeId,
        tags: Option<&NodeTags>,
        out: &mut Vec<Reach<'a>>,
    ) {
        let target = &self.targets[target];
        let (Some(view), Some(tags)) = (target.view, tags) else { return };
        let (tags, withheld) = self.with_withheld(vm, of, tags);
        for number in target.index.of_node(node, &tags) {
            let (window, runs) = &target.windows[number];
            let reached = window.targets_of(&self.settings.documents, node, &tags, &view.windows.groups);
            let Some(reached) = reached else { continue };
            out.extend(runs.iter().map(|run| Reach {
                run: run.clone(),
                reached: Some(reached.clone()),
                withheld: withheld.clone(),
                scope: self.scope(run),
                is_left: false,
            }));
        }
    }

    /// The tags of a node as they are when it is not kept out of any window, and those of them that are taken now. Else a node
    /// that is kept out of one window would seem to belong to no other, and would be in it without a snapshot when the first one
    /// is over.
    fn with_withheld<'t>(
        &self,
        vm: &VmId,
        of: &VmView<'_>,
        tags: &'t NodeTags,
    ) -> (Cow<'t, NodeTags>, Vec<Arc<str>>) {
        let (mut tags, mut withheld) = (Cow::Borrowed(tags), Vec::new());
        for scope in self.members.get(vm).into_iter().flatten() {
            let Some(HoldBy::Tags { keys, .. }) = scope.member(vm).map(|member| &member.hold) else {
                continue;
            };
            withheld.extend(keys.iter().filter(|key| !tags.contains_key(*key)).cloned());
        }
        if !withheld.is_empty() {
            let desired = self.rules.desired(of);
            for tag in &desired.tags {
                if let Some(key) = withheld.iter().find(|key| ***key == *tag.key.as_str()) {
                    tags.to_mut().insert(key.clone(), tag.value.as_str().into());
                }
            }
        }
        (tags, withheld)
    }

    fn of_tag(&self, tag: &str) -> Option<Arc<[Run]>> {
        let mut tags = self.tags.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tags.get(tag) {
            return known.clone();
        }
        let recurrence = Recurrence::parse(tag, &self.settings.time_zone).ok();
        let name: Arc<str> = format!("{TAG_WINDOW}{tag}").into();
        let runs = recurrence.map(|recurrence| openings(&recurrence, &name, self.now, self.until).into());
        tags.insert(tag.to_owned(), runs.clone());
        runs
    }

    /// Tags of the category that are no windows, and why.
    pub(super) fn not_windows(&self, view: &VmView<'_>) -> Vec<(String, String)> {
        let mut out = Vec::new();
        if let Some(category) = &self.settings.window_category {
            view.visit_tags(&mut |of, tag| {
                if mappings::glob::same_name(of, category) && self.of_tag(tag).is_none() {
                    let why = Recurrence::parse(tag, &self.settings.time_zone).err();
                    out.push((tag.to_owned(), why.map(|why| why.to_string()).unwrap_or_default()));
                }
                ControlFlow::Continue(())
            });
        }
        out
    }

    /// What is remembered of a run.
    pub(super) fn scope(&self, run: &Run) -> Option<&'a Scope> {
        self.memory.get(&(run.window.clone(), run.opens))
    }

    fn target_of(&self, window: &str) -> Option<&Target<'a>> {
        let id = WindowId::from(window);
        self.targets
            .iter()
            .find(|target| target.view.is_some_and(|view| view.windows.known.contains_key(&id)))
    }

    /// The account and Region of the window.
    pub(super) fn place(&self, run: &Run) -> Option<Place> {
        let now = self.target_of(&run.window).and_then(|target| target.place.cloned());
        now.or_else(|| self.scope(run).and_then(|scope| scope.place.clone()))
    }

    /// Why it cannot be said for certain whom the window reaches.
    pub(super) fn doubts(&self, run: &Run) -> Vec<String> {
        let Some(view) = self.target_of(&run.window).and_then(|target| target.view) else {
            let remembered = self.scope(run).filter(|scope| scope.place.is_some());
            let told = |scope: &Scope| {
                format!("its account cannot be read now; whom it reaches is known from {:.0}", scope.frozen)
            };
            return remembered.map(told).into_iter().collect();
        };
        let Some(window) = view.windows.known.get(&WindowId::from(&*run.window)) else { return Vec::new() };
        let mut doubts = window.doubts(&self.settings.documents, &view.windows.groups);
        doubts.extend(
            window.problem.iter().map(|problem| format!("it could not be read last time: {problem}")),
        );
        doubts
    }
}

/// When all that was to be done in an opening had been done, before its time.
pub(super) fn ended(window: &Window, run: &Run) -> Option<Timestamp> {
    let execution = window.execution_of(run.opens)?;
    execution.told.ended.filter(|ended| execution.told.status.is_final() && *ended >= run.opens)
}

impl<'a> Target<'a> {
    fn of(
        place: &'a Place,
        view: &'a TargetView,
        scene: &Scene<'a, '_>,
        live: &[&'a Scope],
        until: Timestamp,
    ) -> Self {
        let settings = &scene.policy.snapshots;
        let now = scene.now;
        let mut windows = Vec::new();
        for window in view.windows.known.values() {
            if window.patches(&settings.documents) != Patching::Installs {
                continue;
            }
            let coming = window.coming.iter().filter(|_| window.identity.enabled);
            let mut opens: Vec<Timestamp> = coming.copied().filter(|opens| *opens <= until).collect();
            opens.extend(&window.opened);
            let name = window.id().as_str();
            let remembered = live.iter().filter(|scope| &*scope.run.window == name);
            let mut runs: Vec<Run> = remembered.map(|scope| scope.run.clone()).collect();
            for opens in opens {
                if !runs.iter().any(|run| run.opens == opens) {
                    let (window_id, closes) = (name.into(), window.end_of(opens));
                    runs.push(Run {
                        window: window_id,
                        name: (&*window.identity.name).into(),
                        opens,
                        closes,
                    });
                }
            }
            for run in &mut runs {
                run.closes = run.closes.min(ended(window, run).unwrap_or(run.closes));
            }
            runs.retain(|run| run.closes > now);
            runs.sort();
            if !runs.is_empty() {
                windows.push((&**window, runs));
            }
        }
        let index =
            Index::of(windows.iter().map(|(window, _)| *window), &settings.documents, &view.windows.groups);
        Self { place: Some(place), view: Some(view), windows, index }
    }
}

/// What can be seen of the account and Region of an opening.
fn view_of<'a>(scene: &Scene<'a, '_>, scope: &Scope) -> Option<&'a TargetView> {
    let place = scope.place.as_ref()?;
    let of = |matching: &'a Result<(Place, &'a TargetView, Matching), String>| {
        matching.as_ref().ok().filter(|(known, ..)| known == place).map(|(_, view, _)| *view)
    };
    scene.matchings.iter().find_map(of)
}

/// Whether AWS does not know of an opening any more that has not come yet. Only who could see it can say so.
pub(super) fn is_cancelled(scene: &Scene<'_, '_>, scope: &Scope) -> bool {
    if scope.run.opens <= scene.now {
        return false;
    }
    let Some(view) = view_of(scene, scope) else { return false };
    let windows = &view.windows;
    let since = |as_of: Option<Timestamp>| as_of.is_some_and(|as_of| as_of > scope.frozen);
    let is_listed = since(windows.as_of) && windows.error.is_none();
    match windows.known.get(&WindowId::from(&*scope.run.window)) {
        None => is_listed,
        Some(window) => {
            let is_read = since(window.details_as_of);
            (is_listed && !window.identity.enabled) || (is_read && !window.coming.contains(&scope.run.opens))
        }
    }
}

/// Whether the window of an opening is known to install nothing any more.
fn is_harmless(scene: &Scene<'_, '_>, scope: &Scope) -> bool {
    let window = view_of(scene, scope)
        .and_then(|view| view.windows.known.get(&WindowId::from(&*scope.run.window)))
        .filter(|window| window.details_as_of.is_some());
    window.is_some_and(|window| window.patches(&scene.policy.snapshots.documents) != Patching::Installs)
}

fn openings(recurrence: &Recurrence, name: &Arc<str>, now: Timestamp, until: Timestamp) -> Vec<Run> {
    let current = recurrence.current(now);
    let coming = recurrence.openings(now, until);
    let run = |opening: mappings::recurrence::Opening| Run {
        window: name.clone(),
        name: name.clone(),
        opens: opening.opens,
        closes: opening.closes,
    };
    let mut runs: Vec<Run> = current.into_iter().chain(coming).map(run).collect();
    runs.sort();
    runs.dedup();
    runs
}
