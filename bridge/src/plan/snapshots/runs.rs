//! The openings of windows that matter now: those that come within the horizon, and those that are open.
//!
//! AWS tells of an opening until it has come. From the time at which its snapshots begin it is remembered as well
//! ([`Scope`]), and stays what it was then.

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use mappings::protection::Run;
use mappings::recurrence::Recurrence;
use mappings::selector::{Verdict, VmFacts as _};

use super::Scene;
use crate::aws::{NodeId, NodeTags, Place, WindowId};
use crate::cloud::TargetView;
use crate::cloud::window::{Patching, Reached, Window};
use crate::config::SnapshotSettings;
use crate::fleet::VmView;
use crate::snapshot::Scope;
use crate::store::VmId;

/// Before the names of windows that are a tag of vSphere.
const TAG_WINDOW: &str = "tag:";

/// The openings that matter now.
pub(super) struct Runs<'a> {
    settings: &'a SnapshotSettings,
    memory: &'a BTreeMap<(Arc<str>, Timestamp), Scope>,
    now: Timestamp,
    until: Timestamp,
    /// By target, in the order of the policy: windows that patch, with their openings.
    targets: Vec<Target<'a>>,
    /// Windows of the configuration, with their openings.
    own: Vec<Vec<Run>>,
    /// Windows that are tags, by the name of the tag. None: the tag is no window.
    tags: Mutex<HashMap<String, Option<Arc<[Run]>>>>,
}

struct Target<'a> {
    place: Option<&'a Place>,
    view: Option<&'a TargetView>,
    windows: Vec<(&'a Window, Vec<Run>)>,
    /// Openings that are remembered, and of whose window nothing is known (any more).
    orphans: Vec<Run>,
}

/// How a window reaches a VM.
pub(super) struct Reach<'a> {
    pub(super) run: Run,
    /// How a window of AWS does now. None: it is remembered that it did, or it is no window of AWS.
    pub(super) reached: Option<Reached>,
    /// What is remembered of it.
    pub(super) scope: Option<&'a Scope>,
}

impl<'a> Runs<'a> {
    pub(super) fn of(scene: &Scene<'a, '_>) -> Self {
        let settings = &scene.policy.snapshots;
        let horizon = SignedDuration::try_from(settings.horizon).unwrap_or(SignedDuration::MAX);
        let until = scene.now.checked_add(horizon).unwrap_or(Timestamp::MAX);
        let targets = scene.matchings.iter().map(|matching| {
            let Ok((place, view, _)) = matching else {
                return Target { place: None, view: None, windows: Vec::new(), orphans: Vec::new() };
            };
            Target::of(place, view, scene, until)
        });
        let own = settings
            .windows
            .iter()
            .map(|window| openings(&window.recurrence, &window.name, scene.now, until));
        Self {
            settings,
            memory: &scene.memory.scopes,
            now: scene.now,
            until,
            targets: targets.collect(),
            own: own.collect(),
            tags: Mutex::default(),
        }
    }

    /// Whether there is any window at all that could reach a VM.
    pub(super) fn is_empty(&self) -> bool {
        self.targets.iter().all(|target| target.windows.is_empty() && target.orphans.is_empty())
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
            self.by_aws(vm, target, node, tags, &mut out);
        }
        let mut add = |runs: &[Run]| {
            out.extend(runs.iter().map(|run| Reach {
                run: run.clone(),
                reached: None,
                scope: self.scope(run),
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
        target: usize,
        node: &NodeId,
        tags: Option<&NodeTags>,
        out: &mut Vec<Reach<'a>>,
    ) {
        let target = &self.targets[target];
        let Some(view) = target.view else { return };
        for (window, runs) in &target.windows {
            let none = NodeTags::new();
            let tags = tags.unwrap_or(&none);
            let reached = window.targets_of(&self.settings.documents, node, tags, &view.windows.groups);
            for run in runs {
                let scope = self.scope(run);
                let was_member = scope.is_some_and(|scope| scope.member(vm).is_some());
                // Who is held is no target any more, and belongs to it all the same.
                if reached.is_some() || was_member {
                    out.push(Reach { run: run.clone(), reached: reached.clone(), scope });
                }
            }
        }
        for run in &target.orphans {
            let scope = self.scope(run);
            if scope.is_some_and(|scope| scope.member(vm).is_some()) {
                out.push(Reach { run: run.clone(), reached: None, scope });
            }
        }
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

    /// Whether AWS does not know of an opening any more that has not come yet. Only who could see it can say so.
    pub(super) fn is_cancelled(&self, scope: &Scope) -> bool {
        let Some(place) = scope.place.as_ref().filter(|_| scope.run.opens > self.now) else { return false };
        let Some(target) = self.targets.iter().find(|target| target.place == Some(place)) else {
            return false;
        };
        let Some(view) = target.view else { return false };
        let windows = &view.windows;
        if windows.as_of.is_none_or(|as_of| as_of <= scope.frozen) || windows.error.is_some() {
            return false;
        }
        match windows.known.get(&WindowId::from(&*scope.run.window)) {
            None => true,
            Some(window) => {
                let is_read = window.details_as_of.is_some_and(|as_of| as_of > scope.frozen);
                !window.identity.enabled || (is_read && !window.coming.contains(&scope.run.opens))
            }
        }
    }

    /// Why it cannot be said for certain whom the window reaches.
    pub(super) fn doubts(&self, run: &Run) -> Vec<String> {
        let Some(view) = self.target_of(&run.window).and_then(|target| target.view) else {
            return Vec::new();
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
    fn of(place: &'a Place, view: &'a TargetView, scene: &Scene<'a, '_>, until: Timestamp) -> Self {
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
            let remembered = scene.memory.scopes.values().filter(|scope| &*scope.run.window == name);
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
        let known = |scope: &&Scope| view.windows.known.contains_key(&WindowId::from(&*scope.run.window));
        let of_here = scene.memory.scopes.values().filter(|scope| scope.place.as_ref() == Some(place));
        let orphans = of_here.filter(|scope| !known(scope) && scope.run.closes > now);
        Self {
            place: Some(place),
            view: Some(view),
            windows,
            orphans: orphans.map(|scope| scope.run.clone()).collect(),
        }
    }
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
