//! VMs of a test as a vCenter has them: snapshot trees, tasks that take their time, and what goes wrong with both.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use mappings::protection::{Act, SnapshotId, TaskId, Trouble};
use mappings::snapshot::name::Mark;
use vsphere_client::ids::MoRef;
use vsphere_client::model::{SnapshotInfo, SnapshotTree};

use super::*;
use crate::engine::{Look, OnVm, Shot, SnapshotPort, Spec, TaskSeen};

/// How long a call is on its way, and its answer on the way back.
pub(super) const WAY: Duration = Duration::from_millis(3);
/// How long what a task was not waited for goes on behind it.
const BEHIND: SignedDuration = SignedDuration::from_secs(90);

/// What goes wrong with something that is asked of a VM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mishap {
    /// The call is refused.
    Refused,
    /// It is not done, and the answer is lost.
    LostBefore,
    /// It is done, and the answer is lost.
    LostAfter,
    /// Its task fails: the guest cannot be quiesced.
    Quiesce,
    /// Its task fails: there is no space.
    Space,
    /// Its task fails because it took too long, and it is done all the same, later.
    TimesOut,
    /// vCenter forgets the task while it goes on.
    Forgotten,
    /// vCenter forgets the task, and it comes to nothing.
    Dropped,
}

pub(super) const MISHAPS: [Mishap; 8] = [
    Mishap::Refused,
    Mishap::LostBefore,
    Mishap::LostAfter,
    Mishap::Quiesce,
    Mishap::Space,
    Mishap::TimesOut,
    Mishap::Forgotten,
    Mishap::Dropped,
];

/// Something that a task did to a VM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deed {
    pub time: Timestamp,
    pub vm: Arc<str>,
    pub act: Act,
    /// The snapshot that it made, removed or went back to.
    pub snapshot: Option<SnapshotId>,
    /// Whether anything is different because of it.
    pub changed: bool,
}

#[derive(Debug, Clone)]
struct Stored {
    id: SnapshotId,
    name: Arc<str>,
    description: Box<str>,
    created: Timestamp,
    parent: Option<SnapshotId>,
}

#[derive(Debug, Clone)]
struct Machine {
    vm: TestVm,
    shots: Vec<Stored>,
    current: Option<SnapshotId>,
    /// A removal leaves disks behind.
    sticks: bool,
    /// So many consolidations come to nothing.
    stuck: u32,
    mishaps: BTreeMap<Act, VecDeque<Mishap>>,
}

#[derive(Debug, Clone)]
enum Work {
    Create(Spec),
    Remove(SnapshotId),
    Revert(SnapshotId),
    Consolidate,
    PowerOn,
}

#[derive(Debug, Clone)]
struct Task {
    vm: Arc<str>,
    work: Work,
    /// When its effect takes place. None: never.
    effect: Option<Timestamp>,
    /// When it ends, as vCenter says.
    ends: Timestamp,
    fails: Option<Trouble>,
    /// vCenter does not know it any more.
    forgotten: bool,
    made: Option<(SnapshotId, Timestamp)>,
    over: bool,
}

/// How a task is.
pub(super) enum Told {
    Runs,
    Done(Option<(SnapshotId, Timestamp)>),
    Failed(Trouble),
    Unknown,
}

#[derive(Default)]
struct State {
    machines: BTreeMap<Arc<str>, Machine>,
    tasks: BTreeMap<TaskId, Task>,
    changed: Vec<Arc<str>>,
    gone: Vec<MoRef>,
    deeds: Vec<Deed>,
    calls: BTreeMap<&'static str, usize>,
    numbers: u32,
    most_creates: usize,
    took: SignedDuration,
}

/// The VMs of a test. Clones share them.
#[derive(Clone)]
pub(super) struct FakeSnapshots {
    state: Arc<Mutex<State>>,
    clock: Clock,
    news: Arc<Notify>,
}

impl Work {
    fn act(&self) -> Act {
        match self {
            Self::Create(_) => Act::Create,
            Self::Remove(_) => Act::Remove,
            Self::Revert(_) => Act::Revert,
            Self::Consolidate => Act::Consolidate,
            Self::PowerOn => Act::PowerOn,
        }
    }
}

fn trouble(word: &str, passes: bool) -> Trouble {
    Trouble {
        word: word.into(),
        sentence: format!("{word}, says the test").into(),
        fix: None,
        passes,
        quiescing: word == "QuiesceFailed",
    }
}

impl Machine {
    fn info(&self) -> Option<SnapshotInfo> {
        let tree = |parent: Option<&SnapshotId>| self.below(parent);
        let moref = |id: &SnapshotId| MoRef::new("VirtualMachineSnapshot", id.as_str());
        let roots = tree(None);
        (!roots.is_empty()).then(|| SnapshotInfo { current: self.current.as_ref().map(moref), roots })
    }

    fn below(&self, parent: Option<&SnapshotId>) -> Vec<SnapshotTree> {
        let children = self.shots.iter().filter(|shot| shot.parent.as_ref() == parent);
        let tree = |shot: &Stored| SnapshotTree {
            snapshot: Some(MoRef::new("VirtualMachineSnapshot", shot.id.as_str())),
            name: (&*shot.name).into(),
            description: shot.description.clone(),
            created: Some(shot.created),
            children: self.below(Some(&shot.id)),
            ..SnapshotTree::default()
        };
        children.map(tree).collect()
    }

    fn add(&mut self, id: SnapshotId, name: &str, description: &str, created: Timestamp) {
        let parent = self.current.replace(id.clone());
        let (name, description) = (name.into(), description.into());
        self.shots.push(Stored { id, name, description, created, parent });
    }

    fn remove(&mut self, id: &SnapshotId) -> bool {
        let Some(at) = self.shots.iter().position(|shot| shot.id == *id) else { return false };
        let gone = self.shots.remove(at);
        if self.current.as_ref() == Some(id) {
            self.current.clone_from(&gone.parent);
        }
        for shot in self.shots.iter_mut().filter(|shot| shot.parent.as_ref() == Some(id)) {
            shot.parent.clone_from(&gone.parent);
        }
        self.vm.machine.left_over |= self.sticks;
        true
    }

    /// Does what a task does. Gives the snapshot that it is about, and whether anything is different.
    fn work(&mut self, work: &Work, id: SnapshotId, now: Timestamp) -> (Option<SnapshotId>, bool) {
        match work {
            Work::Create(spec) => {
                self.add(id.clone(), &spec.name, &spec.description, now);
                (Some(id), true)
            }
            Work::Remove(snapshot) => (Some(snapshot.clone()), self.remove(snapshot)),
            Work::Revert(snapshot) => {
                self.current = Some(snapshot.clone());
                self.vm.machine.on = false;
                (Some(snapshot.clone()), true)
            }
            Work::Consolidate => {
                let works = self.stuck == 0;
                self.stuck = self.stuck.saturating_sub(1);
                let changed = works && std::mem::take(&mut self.vm.machine.left_over);
                (None, changed)
            }
            Work::PowerOn => (None, !std::mem::replace(&mut self.vm.machine.on, true)),
        }
    }
}

impl FakeSnapshots {
    pub(super) fn new(vms: &[TestVm], clock: Clock) -> Self {
        let machine = |vm: &TestVm| Machine {
            vm: vm.clone(),
            shots: Vec::new(),
            current: None,
            sticks: false,
            stuck: 0,
            mishaps: BTreeMap::new(),
        };
        let machines = vms.iter().map(|vm| (vm.moref().shared_value(), machine(vm))).collect();
        let state = State { machines, took: SignedDuration::from_secs(20), ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), clock, news: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn with<T>(&self, number: u32, change: impl FnOnce(&mut Machine) -> T) -> T {
        let key: Arc<str> = format!("vm-{number}").into();
        let mut state = self.lock();
        state.changed.push(key.clone());
        let out = change(state.machines.get_mut(&key).unwrap());
        self.news.notify_one();
        out
    }

    /// The next times that this is asked of a VM go wrong like this.
    pub(super) fn fail(&self, number: u32, act: Act, mishaps: impl IntoIterator<Item = Mishap>) {
        self.with(number, |machine| machine.mishaps.entry(act).or_default().extend(mishaps));
    }

    /// Nothing goes wrong any more.
    pub(super) fn heal(&self) {
        self.lock().machines.values_mut().for_each(|machine| machine.mishaps.clear());
    }

    /// Removals leave disks behind, and so many consolidations come to nothing.
    pub(super) fn stick(&self, number: u32, stuck: u32) {
        self.with(number, |machine| (machine.sticks, machine.stuck) = (true, stuck));
    }

    /// Somebody else takes a snapshot.
    pub(super) fn by_hand(&self, number: u32, name: &str, description: &str) {
        let now = self.clock.now();
        let id = self.next("snapshot");
        self.with(number, |machine| machine.add(id.as_str().into(), name, description, now));
    }

    /// A VM is deleted.
    pub(super) fn delete(&self, number: u32) {
        let key: Arc<str> = format!("vm-{number}").into();
        let mut state = self.lock();
        if let Some(machine) = state.machines.remove(&key) {
            state.gone.push(machine.vm.moref());
        }
        self.news.notify_one();
    }

    fn next(&self, what: &str) -> String {
        let mut state = self.lock();
        state.numbers += 1;
        format!("{what}-{}", state.numbers)
    }

    /// The snapshots of a VM: their names, and the owners in their marks.
    pub(super) fn snapshots(&self, number: u32) -> Vec<(String, Option<String>)> {
        let key: Arc<str> = format!("vm-{number}").into();
        let state = self.lock();
        let owner = |shot: &Stored| Mark::parse(&shot.description).map(|mark| mark.owner().to_owned());
        let shots = state.machines.get(&key).into_iter().flat_map(|machine| &machine.shots);
        shots.map(|shot| (shot.name.to_string(), owner(shot))).collect()
    }

    /// How many snapshots a VM has that carry our mark.
    pub(super) fn ours(&self, number: u32) -> usize {
        self.snapshots(number).iter().filter(|(_, owner)| owner.as_deref() == Some("0123abcd")).count()
    }

    pub(super) fn is_left_over(&self, number: u32) -> bool {
        let key: Arc<str> = format!("vm-{number}").into();
        self.lock().machines.get(&key).is_some_and(|machine| machine.vm.machine.left_over)
    }

    pub(super) fn is_on(&self, number: u32) -> bool {
        let key: Arc<str> = format!("vm-{number}").into();
        self.lock().machines.get(&key).is_some_and(|machine| machine.vm.machine.on)
    }

    /// What tasks did.
    pub(super) fn deeds(&self) -> Vec<Deed> {
        self.lock().deeds.clone()
    }

    /// The calls by operation since this was asked for last.
    pub(super) fn calls(&self) -> BTreeMap<&'static str, usize> {
        std::mem::take(&mut self.lock().calls)
    }

    /// The most snapshots that were taken on one datastore at the same time.
    pub(super) fn most_creates(&self) -> usize {
        self.lock().most_creates
    }

    /// How a task is, as vCenter tells it.
    pub(super) fn task(&self, task: &TaskId) -> Told {
        let state = self.lock();
        let Some(task) = state.tasks.get(task).filter(|task| !task.forgotten) else { return Told::Unknown };
        match &task.fails {
            _ if task.ends > self.clock.now() => Told::Runs,
            Some(trouble) => Told::Failed(trouble.clone()),
            None => Told::Done(task.made.clone()),
        }
    }

    /// Lets come about what was to come about by now. Gives when something comes about next.
    pub(super) fn advance(&self) -> Option<Timestamp> {
        let now = self.clock.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let due = |task: &Task| task.effect.filter(|effect| !task.over && *effect <= now);
        let mut ready: Vec<(Timestamp, TaskId)> =
            state.tasks.iter().filter_map(|(id, task)| Some((due(task)?, id.clone()))).collect();
        ready.sort();
        for (time, id) in ready {
            state.numbers += 1;
            let made = SnapshotId::from(format!("snapshot-{}", state.numbers));
            let Some(task) = state.tasks.get_mut(&id) else { continue };
            task.over = true;
            let Some(machine) = state.machines.get_mut(&task.vm) else { continue };
            let (snapshot, changed) = machine.work(&task.work, made, time);
            if task.work.act() == Act::Create {
                task.made = snapshot.clone().map(|snapshot| (snapshot, time));
            }
            let (vm, act) = (task.vm.clone(), task.work.act());
            state.changed.push(vm.clone());
            state.deeds.push(Deed { time, vm, act, snapshot, changed });
        }
        let coming =
            |task: &Task| [task.effect.filter(|_| !task.over), Some(task.ends).filter(|ends| *ends > now)];
        state.tasks.values().flat_map(coming).flatten().filter(|time| *time > now).min()
    }

    /// Shows what is different since the last time.
    pub(super) fn show(&self, vcenter: &TestVcenter) {
        let (changed, gone) = {
            let mut state = self.lock();
            let changed: std::collections::BTreeSet<Arc<str>> = state.changed.drain(..).collect();
            let gone = std::mem::take(&mut state.gone);
            let machines = &mut state.machines;
            let vm = |key: Arc<str>| {
                let machine = machines.get_mut(&key)?;
                machine.vm.machine.snapshots = machine.info();
                Some(machine.vm.clone())
            };
            (changed.into_iter().filter_map(vm).collect::<Vec<TestVm>>(), gone)
        };
        vcenter.tell(&changed, &gone, self.clock.now());
    }

    /// Everything is read from the beginning.
    pub(super) fn read(&self, vcenter: &TestVcenter) {
        let vms: Vec<TestVm> = {
            let mut state = self.lock();
            (state.changed, state.gone) = (Vec::new(), Vec::new());
            let machines = state.machines.values_mut().map(|machine| {
                machine.vm.machine.snapshots = machine.info();
                machine.vm.clone()
            });
            machines.collect()
        };
        vcenter.read(&vms, self.clock.now());
    }

    /// Goes on for ever, as a vCenter does, whatever becomes of the program.
    pub(super) async fn live(self, vcenter: TestVcenter, is_seen: tokio::sync::watch::Receiver<bool>) {
        loop {
            let next = self.advance();
            if *is_seen.borrow() {
                self.show(&vcenter);
            }
            let pause = next.map(|next| next.duration_since(self.clock.now()));
            let pause = pause.and_then(|pause| Duration::try_from(pause).ok());
            let pause = pause.unwrap_or(HEARTBEAT).clamp(Duration::from_millis(1), HEARTBEAT);
            let _ = tokio::time::timeout(pause, self.news.notified()).await;
        }
    }

    async fn begin(&self, vm: &VmId, work: Work) -> Result<TaskId, EffectError> {
        let act = work.act();
        tokio::time::sleep(WAY).await;
        let begun = self.start(vm, work);
        tokio::time::sleep(WAY).await;
        begun.map_err(|error| EffectError { reason: format!("{act:?}: {}", error.reason), ..error })
    }

    fn start(&self, vm: &VmId, work: Work) -> Result<TaskId, EffectError> {
        self.advance();
        let now = self.clock.now();
        let mut guard = self.lock();
        let state = &mut *guard;
        let act = work.act();
        let word = match act {
            Act::Create => "create",
            Act::Remove => "remove",
            Act::Revert => "revert",
            Act::Consolidate => "consolidate",
            Act::PowerOn => "powerOn",
        };
        *state.calls.entry(word).or_default() += 1;
        let refused = |word: &str, passes| {
            let trouble = trouble(word, passes);
            let reason = trouble.sentence.to_string();
            EffectError {
                trouble: Some(Box::new(trouble)),
                transient: passes,
                ..EffectError::not_now(reason)
            }
        };
        let lost = || EffectError { may_have_taken_place: true, ..EffectError::not_now("no answer") };
        let Some(machine) = state.machines.get_mut(&vm.vm) else { return Err(refused("VmGone", false)) };
        let mishap = machine.mishaps.get_mut(&act).and_then(VecDeque::pop_front);
        match mishap {
            Some(Mishap::Refused) => return Err(refused("ResourceInUse", true)),
            Some(Mishap::LostBefore) => return Err(lost()),
            _ => {}
        }
        if let Work::Remove(snapshot) | Work::Revert(snapshot) = &work
            && !machine.shots.iter().any(|shot| shot.id == *snapshot)
        {
            return Err(refused("SnapshotGone", false));
        }
        let datastore = machine.vm.machine.datastore;
        if state.tasks.values().any(|task| task.vm == vm.vm && is_at_work(task, now)) {
            return Err(refused("TaskInProgress", true));
        }
        let quiesces = matches!(&work, Work::Create(spec) if spec.quiesce);
        let ends = now.checked_add(state.took).unwrap();
        let later = ends.checked_add(BEHIND).unwrap();
        let (effect, fails) = match mishap {
            Some(Mishap::Quiesce) if quiesces => (None, Some(trouble("QuiesceFailed", true))),
            Some(Mishap::Space) => (None, Some(trouble("InsufficientSpace", false))),
            Some(Mishap::TimesOut) => (Some(later), Some(trouble("Timedout", true))),
            Some(Mishap::Dropped) => (None, None),
            _ => (Some(ends), None),
        };
        let forgotten = matches!(mishap, Some(Mishap::Forgotten | Mishap::Dropped));
        state.numbers += 1;
        let id = TaskId::from(format!("task-{}", state.numbers));
        let task = Task { vm: vm.vm.clone(), work, effect, ends, fails, forgotten, made: None, over: false };
        state.tasks.insert(id.clone(), task);
        let creates = state.tasks.values().filter(|task| {
            let of = state.machines.get(&task.vm).and_then(|machine| machine.vm.machine.datastore);
            task.work.act() == Act::Create && !task.forgotten && task.ends > now && of == datastore
        });
        state.most_creates = state.most_creates.max(creates.count());
        self.news.notify_one();
        if mishap == Some(Mishap::LostAfter) { Err(lost()) } else { Ok(id) }
    }
}

/// Whether the host is still at it, whatever vCenter says.
fn is_at_work(task: &Task, now: Timestamp) -> bool {
    !task.over && (task.ends > now || task.effect.is_some_and(|effect| effect > now))
}

impl SnapshotPort for FakeSnapshots {
    fn create<'a>(&'a self, vm: &'a VmId, spec: &'a Spec) -> OnVm<'a, TaskId> {
        Box::pin(self.begin(vm, Work::Create(spec.clone())))
    }

    fn remove<'a>(&'a self, vm: &'a VmId, snapshot: &'a SnapshotId) -> OnVm<'a, TaskId> {
        Box::pin(self.begin(vm, Work::Remove(snapshot.clone())))
    }

    fn revert<'a>(&'a self, vm: &'a VmId, snapshot: &'a SnapshotId) -> OnVm<'a, TaskId> {
        Box::pin(self.begin(vm, Work::Revert(snapshot.clone())))
    }

    fn consolidate<'a>(&'a self, vm: &'a VmId) -> OnVm<'a, TaskId> {
        Box::pin(self.begin(vm, Work::Consolidate))
    }

    fn power_on<'a>(&'a self, vm: &'a VmId) -> OnVm<'a, Option<TaskId>> {
        Box::pin(async move {
            let is_on = self.lock().machines.get(&vm.vm).is_some_and(|machine| machine.vm.machine.on);
            if is_on {
                return Ok(None);
            }
            self.begin(vm, Work::PowerOn).await.map(Some)
        })
    }

    fn look<'a>(&'a self, vm: &'a VmId) -> OnVm<'a, Option<Look>> {
        Box::pin(async move {
            tokio::time::sleep(WAY).await;
            self.advance();
            let now = self.clock.now();
            let mut state = self.lock();
            *state.calls.entry("look").or_default() += 1;
            let Some(machine) = state.machines.get(&vm.vm) else { return Ok(None) };
            let shot = |shot: &Stored| Shot {
                snapshot: shot.id.clone(),
                description: shot.description.clone(),
                created: shot.created,
            };
            let seen = state.tasks.iter().filter(|(_, task)| task.vm == vm.vm && !task.forgotten);
            let running = seen.filter(|(_, task)| task.ends > now);
            Ok(Some(Look {
                snapshots: machine.shots.iter().map(shot).collect(),
                tasks: running
                    .map(|(id, task)| TaskSeen { task: id.clone(), act: Some(task.work.act()) })
                    .collect(),
                powered_on: machine.vm.machine.on,
                left_over: Some(machine.vm.machine.left_over),
            }))
        })
    }
}
