//! What holds for tag sync whatever the fleet, the rules and the nodes are, and whatever happened before.
//!
//! A history is a row of steps: VMs get other tags, the operator changes the rules, somebody else lays hands on nodes, data
//! becomes old, and now and then the plan is carried out. After each step the plan has to be one that may be carried out,
//! judged by a ledger of the test's own and by the service model of AWS.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use mappings::tags::{Invalid, Kind, Long, RuleSpec, Several};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::json;

use super::*;
use crate::aws::{Node, NodeTags, Ping, Platform};
use crate::cloud::TargetView;
use crate::fleet::testing::{TestVcenter, TestVm};
use crate::fleet::{FleetUpdate, SharedFleet, TagUpdate};
use crate::store::Approval;

const SETTLE: Duration = Duration::from_secs(20);
const INSTALLATION: &str = "0123abcd";
/// VMs of a fleet, each with a node.
const VMS: u32 = 3;
const CATEGORIES: [&str; 6] = ["Patch Group", "Env", "Owner", "Größe", "a/b %", "aws:x"];

/// Something that happens.
#[derive(Debug, Clone)]
enum Step {
    /// A VM has these tags now.
    Retag(u32, Vec<(String, String)>),
    /// The tags of a VM can no longer be made out.
    Unreadable(u32),
    Rules(Vec<RuleSpec>),
    Adopt(bool),
    Mode(Mode),
    /// Somebody else writes or removes a tag of a node.
    Hand(u32, Index, Option<String>),
    /// The vCenter is lost, or read again.
    Current(bool),
    /// The tags of the nodes are not known, or are.
    Known(bool),
    /// The state is put back from a time before everything.
    Forget,
    /// Time passes, and everything is read again.
    Read,
    /// The plan is carried out.
    Apply,
}

fn odd_text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => select(vec!["Prod", "Test", "Dev", "", " ", "aws:reserved", "AWS:x", "x y", "a=b+c@d", "Zürich"]).prop_map(str::to_owned),
        2 => "[ -~]{0,40}",
        2 => "\\PC{0,20}",
        1 => "[a-zé日_]{200,400}",
        1 => any::<String>(),
    ]
}

fn vm_tags() -> impl Strategy<Value = Vec<(String, String)>> {
    let few = prop::collection::vec((select(&CATEGORIES[..]).prop_map(str::to_owned), odd_text()), 0..5);
    let many = (40..70_u32).prop_map(|count| {
        (0..count).map(|number| (format!("App{number}"), format!("v{number}"))).collect::<Vec<_>>()
    });
    prop_oneof![8 => few, 1 => many]
}

fn rule(name: usize) -> impl Strategy<Value = RuleSpec> {
    let source = prop_oneof![
        5 => select(&CATEGORIES[..5]).prop_map(|category| (Some(category.to_owned()), None, None)),
        2 => Just((Some("App*".to_owned()), None, Some("vs:{category}".to_owned()))),
        1 => Just((Some("*".to_owned()), None, Some("all:{category}".to_owned()))),
        2 => odd_text().prop_map(|text| (None, Some(text), Some("fixed".to_owned()))),
        1 => Just((None, Some("{name}".to_owned()), Some("Name".to_owned()))),
    ];
    let invalid = select(vec![Invalid::Replace, Invalid::Encode, Invalid::Error]);
    let several = select(vec![Several::Error, Several::First, Several::Join]);
    let long = select(vec![Long::HashSuffix, Long::Error]);
    (source, invalid, several, long).prop_map(move |((category, value, key), invalid, several, long)| {
        RuleSpec {
            name: format!("rule {name}"),
            kind: if category.as_deref() == Some("Patch Group") { Kind::PatchGroup } else { Kind::Plain },
            category,
            value,
            key,
            invalid,
            several,
            long,
            ..RuleSpec::default()
        }
    })
}

fn rules() -> impl Strategy<Value = Vec<RuleSpec>> {
    (rule(0), rule(1), rule(2), rule(3), 0..5_usize).prop_map(|(a, b, c, d, count)| {
        let mut specs = vec![a, b, c, d];
        specs.truncate(count);
        specs
    })
}

fn step() -> impl Strategy<Value = Step> {
    let vm = 1..=VMS;
    prop_oneof![
        4 => (vm.clone(), vm_tags()).prop_map(|(vm, tags)| Step::Retag(vm, tags)),
        1 => vm.clone().prop_map(Step::Unreadable),
        2 => rules().prop_map(Step::Rules),
        1 => any::<bool>().prop_map(Step::Adopt),
        1 => select(vec![Mode::Off, Mode::Observe, Mode::Enforce]).prop_map(Step::Mode),
        3 => (vm, any::<Index>(), prop::option::of(odd_text())).prop_map(|(vm, key, value)| Step::Hand(vm, key, value)),
        1 => any::<bool>().prop_map(Step::Current),
        1 => any::<bool>().prop_map(Step::Known),
        1 => Just(Step::Forget),
        2 => Just(Step::Read),
        5 => Just(Step::Apply),
    ]
}

fn node_id(number: u32) -> NodeId {
    NodeId::from(format!("mi-{number:017x}"))
}

fn rule_set(specs: Vec<RuleSpec>) -> Arc<RuleSet> {
    // Of rules that cannot go together, the first ones.
    let mut kept: Vec<RuleSpec> = Vec::new();
    for spec in specs {
        let together: Vec<RuleSpec> = kept.iter().cloned().chain([spec]).collect();
        if RuleSet::new(together.clone()).is_ok() {
            kept = together;
        }
    }
    Arc::new(RuleSet::new(kept).unwrap())
}

struct Estate {
    fleet: SharedFleet,
    vcenter: TestVcenter,
    vms: Vec<TestVm>,
    /// What the nodes have.
    nodes: BTreeMap<NodeId, NodeTags>,
    /// What was read of them.
    view: TargetView,
    /// Whether their tags are known.
    known: bool,
    current: bool,
    memory: Memory,
    policy: Policy,
    now: Timestamp,
    /// The state was put back.
    forgot: bool,
    /// Nodes that somebody else changed since the last reading.
    unread: BTreeSet<NodeId>,
    /// The test's own account of what vmbridge wrote and has not let go.
    ledger: BTreeMap<NodeId, BTreeMap<Arc<str>, Arc<str>>>,
}

impl Estate {
    fn new(count: u32) -> Self {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let fleet = SharedFleet::new();
        let vcenter = TestVcenter::new(&fleet, "dc1", 1);
        let vms: Vec<TestVm> = (1..=count).map(|number| TestVm::new(number, &[])).collect();
        vcenter.read(&vms, now);
        let node = |vm: &TestVm| Node {
            id: node_id(vm.number),
            computer_name: Some(vm.name.as_str().into()),
            ip_address: vm.address.parse().ok(),
            platform: Some(Platform::Linux),
            agent_version: None,
            ping: Ping::Online,
            last_ping: None,
            activation: None,
            registered: None,
        };
        let view = TargetView {
            place: Some(Place::new("111122223333", "eu-central-1")),
            nodes: vms.iter().map(|vm| (node_id(vm.number), Arc::new(node(vm)))).collect(),
            ..TargetView::default()
        };
        let target = TargetPolicy {
            name: "main".into(),
            region: "eu-central-1".into(),
            vms: Selector::default(),
            node_role: "SSMServiceRole".into(),
            settle: SETTLE,
            poll_slow: Duration::from_secs(600),
        };
        let policy = Policy {
            targets: vec![target],
            tags: Mode::Enforce,
            rules: rule_set(Vec::new()),
            adopt_tags: false,
            writeback: Mode::Off,
            adopt_attributes: false,
            enrol: crate::plan::EnrolPolicy::off(),
            snapshots: Arc::new(crate::config::SnapshotSettings::off()),
            report: Arc::new(crate::plan::ReportPolicy::off()),
            guard: Guard {
                max_change_percent: 100,
                floor: 5,
                window: Duration::from_secs(600),
                approval_lifetime: Duration::from_secs(3600),
            },
            stale_after: Duration::from_secs(24 * 3600),
        };
        let mut estate = Self {
            fleet,
            vcenter,
            nodes: vms.iter().map(|vm| (node_id(vm.number), NodeTags::default())).collect(),
            vms,
            view,
            known: true,
            current: true,
            memory: Memory { installation: INSTALLATION.into(), ..Memory::default() },
            policy,
            now,
            forgot: false,
            unread: BTreeSet::new(),
            ledger: BTreeMap::new(),
        };
        estate.read();
        estate
    }

    /// Everything that was written can be seen.
    fn read(&mut self) {
        self.now += SignedDuration::from_secs(60);
        self.unread.clear();
        self.view.as_of = Some(self.now);
        let tags = self.nodes.iter().filter(|_| self.known);
        self.view.tags =
            tags.map(|(node, tags)| (node.clone(), Arc::new(tags.clone()))).collect::<HashMap<_, _>>();
        self.now += SignedDuration::from_secs(1);
        self.memory.trim(self.now, self.policy.guard.window);
    }

    fn plan(&self) -> Plan {
        let mut cloud = Cloud::default();
        cloud.put("main".into(), self.view.clone());
        plan(&self.fleet.read(), &cloud, &self.memory, &self.policy, self.now)
    }

    fn tell_tags(&self, number: u32) {
        let vm = &self.vms[usize::try_from(number).unwrap() - 1];
        if vm.tags.is_none() {
            let unknown = TagUpdate::ForObjects(vec![(vm.moref(), None)]);
            self.fleet.apply(&self.vcenter.name, FleetUpdate::Tags(unknown), self.now);
        } else {
            self.vcenter.tag(std::slice::from_ref(vm), self.now);
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Retag(number, tags) => {
                // This is how the test's vCenter writes them; a category with a colon would be another one.
                let tags =
                    tags.iter().map(|(category, name)| format!("{}:{name}", category.replace(':', "-")));
                self.vms[usize::try_from(number).unwrap() - 1].tags = Some(tags.collect());
                self.tell_tags(number);
            }
            Step::Unreadable(number) => {
                self.vms[usize::try_from(number).unwrap() - 1].tags = None;
                self.tell_tags(number);
            }
            Step::Rules(specs) => self.policy.rules = rule_set(specs),
            Step::Adopt(adopt) => self.policy.adopt_tags = adopt,
            Step::Mode(mode) => self.policy.tags = mode,
            Step::Hand(number, key, value) => self.hand(&node_id(number), &key, value),
            Step::Current(true) => {
                self.current = true;
                self.vcenter.read(&self.vms, self.now);
                (1..=VMS).for_each(|number| self.tell_tags(number));
            }
            Step::Current(false) => {
                self.current = false;
                let lost = FleetUpdate::Interrupted { error: "gone".to_owned(), retry_at: None };
                self.fleet.apply(&self.vcenter.name, lost, self.now);
            }
            Step::Known(known) => {
                self.known = known;
                self.read();
            }
            Step::Forget => {
                self.read();
                self.forgot = true;
                self.memory.owned.clear();
                self.memory.identities.clear();
            }
            Step::Read => self.read(),
            Step::Apply => {
                let plan = self.plan();
                self.apply(&plan);
            }
        }
    }

    /// Somebody else writes or removes one of the keys that there are, or one of those that rules may write.
    fn hand(&mut self, node: &NodeId, key: &Index, value: Option<String>) {
        let tags = self.nodes.get_mut(node).unwrap();
        let others = ["Patch Group", "Env", "fixed", "CostCenter", "vs:App1", "all:Env"];
        let mut keys: Vec<Arc<str>> = others.into_iter().map(Arc::from).chain(tags.keys().cloned()).collect();
        // Who writes our mark says that it is ours to judge.
        keys.retain(|key| **key != *tags::MARK);
        let key = key.get(&keys).clone();
        self.unread.insert(node.clone());
        match value {
            Some(value) if mappings::tags::TagValue::new(&value).is_ok() && tags.len() < 50 => {
                tags.insert(key, value.into());
            }
            Some(_) => {}
            None => {
                tags.remove(&key);
            }
        }
    }

    /// Does what may be done, as AWS would, and remembers it, as the engine would.
    fn apply(&mut self, plan: &Plan) {
        let doable: Vec<Action> = plan.doable(&self.policy).map(|planned| planned.action.clone()).collect();
        for identity in &plan.learned {
            self.memory.put_identity(identity.clone());
        }
        for change in &plan.housekeeping {
            if let Some(ledger) = self.ledger.get_mut(&NodeId::from(change.holder.object.to_string()))
                && change.owned.is_none()
            {
                ledger.remove(&change.name);
            }
            self.memory.put_owned(change.clone());
        }
        for action in doable {
            self.now += SignedDuration::from_secs(1);
            self.memory.put_recent(&action, self.now);
            match &action {
                Action::AddTags { node, tags, .. } => {
                    let mut keys: BTreeSet<&str> = self.nodes[node].keys().map(|key| &**key).collect();
                    keys.extend(tags.iter().map(|tag| tag.key.as_str()));
                    if keys.len() > 50 {
                        // AWS refuses it, which only what nobody could know of excuses.
                        assert!(self.unread.contains(node), "more than 50 tags after {action:?}");
                        continue;
                    }
                    for tag in tags {
                        let (key, value): (Arc<str>, Arc<str>) =
                            (tag.key.as_str().into(), tag.value.as_str().into());
                        self.ledger.entry(node.clone()).or_default().insert(key.clone(), value.clone());
                        self.nodes.get_mut(node).unwrap().insert(key, value);
                    }
                }
                Action::RemoveTags { node, tags, .. } => {
                    for tag in tags {
                        self.ledger.entry(node.clone()).or_default().remove(tag.key.as_str());
                        self.nodes.get_mut(node).unwrap().remove(tag.key.as_str());
                    }
                }
                other => panic!("{other:?} is none of tag sync's"),
            }
            action.owns(self.now).into_iter().for_each(|change| self.memory.put_owned(change));
        }
    }

    /// Whether a plan is one that may be carried out.
    fn check(&self, plan: &Plan) {
        if self.policy.tags == Mode::Off || !self.current || !self.known {
            assert!(plan.actions.is_empty(), "{:?}", plan.actions);
        }
        let mut touched: BTreeSet<(NodeId, ActionKind)> = BTreeSet::new();
        for Planned { action, .. } in &plan.actions {
            let (Action::AddTags { node, .. } | Action::RemoveTags { node, .. }) = action else {
                panic!("{action:?} is none of tag sync's")
            };
            assert!(touched.insert((node.clone(), action.kind())), "two calls of one kind for {node}");
            self.check_request(action);
            let ours = self.ledger.get(node).cloned().unwrap_or_default();
            let vm = self.vms.iter().find(|vm| node_id(vm.number) == *node).unwrap();
            match action {
                Action::AddTags { tags, .. } => {
                    for tag in
                        tags.iter().filter(|tag| tag.before.is_some() && tag.key.as_str() != tags::MARK)
                    {
                        let allowed = self.policy.adopt_tags || ours.contains_key(tag.key.as_str());
                        assert!(allowed, "{tag:?} is somebody else's");
                    }
                }
                Action::RemoveTags { tags, .. } => {
                    for tag in tags {
                        let key = tag.key.as_str();
                        assert!(ours.contains_key(key), "{tag:?} is somebody else's");
                        // What somebody has changed is theirs, unless all that is left to go by is our mark.
                        let changed = ours.get(key) != self.nodes[node].get(key);
                        let excused = self.forgot || self.unread.contains(node);
                        assert!(excused || !changed, "{tag:?} was changed by somebody else");
                        if vm.tags.is_none() && key != tags::MARK {
                            let wanted = (0..).take(self.policy.rules.len());
                            let wanted = wanted.filter(|rule| self.policy.rules.could_write(*rule, &tag.key));
                            // What does not come from the tags of the VM is known, whatever its tags are.
                            let known = ["fixed", "Name"].contains(&key);
                            assert!(known || wanted.count() == 0, "{tag:?} may be wanted: nobody can tell");
                        }
                    }
                }
                _ => {}
            }
        }
    }

    /// The request as it would be sent, by the service model and by what only the prose of AWS says.
    fn check_request(&self, action: &Action) {
        let (operation, input, keys) = match action {
            Action::AddTags { node, tags, .. } => {
                let list: Vec<_> = tags
                    .iter()
                    .map(|tag| json!({ "Key": tag.key.as_str(), "Value": tag.value.as_str() }))
                    .collect();
                for tag in tags {
                    assert!(!tag.value.as_str().to_lowercase().starts_with("aws:"), "{tag:?}");
                }
                let input =
                    json!({ "ResourceType": "ManagedInstance", "ResourceId": node.as_str(), "Tags": list });
                ("AddTagsToResource", input, tags.iter().map(|tag| tag.key.as_str()).collect::<Vec<_>>())
            }
            Action::RemoveTags { node, tags, .. } => {
                let keys: Vec<_> = tags.iter().map(|tag| tag.key.as_str()).collect();
                let input = json!({ "ResourceType": "ManagedInstance", "ResourceId": node.as_str(), "TagKeys": keys });
                ("RemoveTagsFromResource", input, keys)
            }
            _ => return,
        };
        let faults = vmbridge_simulator::request_faults(operation, &input);
        assert!(faults.is_empty(), "{faults:?}");
        assert!(keys.iter().all(|key| !key.to_lowercase().starts_with("aws:")), "{keys:?}");
        assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a key twice: {keys:?}");
        assert!((1..=50).contains(&keys.len()));
    }

    /// Carried out, a plan leaves nothing to do, before a reading shows it and after.
    fn settles(&mut self) {
        let first = self.plan();
        self.check(&first);
        self.apply(&first);
        let again = self.plan();
        assert!(again.actions.is_empty(), "at once: {:#?}\nafter {:#?}", again.actions, first.actions);
        self.read();
        let later = self.plan();
        assert!(
            later.actions.is_empty(),
            "after a reading: {:#?}\nafter {:#?}",
            later.actions,
            first.actions
        );
        self.apply(&later);
        assert!(self.plan().actions.is_empty(), "after what was let go");
    }

    fn healthy(&mut self) {
        self.step(Step::Known(true));
        self.step(Step::Current(true));
        self.policy.tags = Mode::Enforce;
    }
}

/// `PROPTEST_CASES` runs more.
fn cases() -> ProptestConfig {
    ProptestConfig { max_shrink_iters: 4_000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn whatever_happened_plans_may_be_carried_out_and_then_nothing_is_left_to_do(
        steps in prop::collection::vec(step(), 1..25),
    ) {
        let mut estate = Estate::new(VMS);
        for step in steps {
            let (others, unread) = (estate.others(), estate.unread.clone());
            let hand = matches!(step, Step::Hand(..));
            estate.step(step);
            if !hand && !estate.policy.adopt_tags {
                // AWS has no way to write a tag only if it is not there, so what nobody has read yet may be written over.
                let now = estate.others();
                let gone = others.iter().find(|other| !now.contains(other) && !unread.contains(&other.0));
                prop_assert!(gone.is_none(), "{gone:?}");
            }
            estate.check(&estate.plan());
        }
        estate.healthy();
        estate.settles();
    }

    #[test]
    fn a_capability_that_is_turned_off_leaves_everything_in_place(
        steps in prop::collection::vec(step(), 1..15),
    ) {
        let mut estate = Estate::new(VMS);
        steps.into_iter().for_each(|step| estate.step(step));
        estate.healthy();
        estate.settles();
        let before = (estate.nodes.clone(), estate.memory.owned.clone());
        estate.policy.tags = Mode::Off;
        estate.policy.rules = rule_set(Vec::new());
        let plan = estate.plan();
        prop_assert!(plan.actions.is_empty() && plan.housekeeping.is_empty());
        estate.apply(&plan);
        prop_assert_eq!(before, (estate.nodes.clone(), estate.memory.owned.clone()));
        // Turned on again, it goes on where it was.
        estate.policy.tags = Mode::Enforce;
        let plan = estate.plan();
        estate.check(&plan);
    }

    #[test]
    fn without_rules_nothing_of_ours_remains_and_everything_of_others_does(
        steps in prop::collection::vec(step(), 1..15),
    ) {
        let mut estate = Estate::new(VMS);
        steps.into_iter().for_each(|step| estate.step(step));
        estate.healthy();
        estate.settles();
        let others = estate.others();
        estate.policy.rules = rule_set(Vec::new());
        estate.settles();
        for (node, tags) in &estate.nodes {
            prop_assert!(!tags.contains_key(tags::MARK), "the mark is still on {node}: {tags:?}");
            let ours = estate.ledger.get(node).cloned().unwrap_or_default();
            let left = ours.iter().find(|(key, value)| tags.get(*key) == Some(value));
            prop_assert!(left.is_none(), "{node}: {left:?}");
        }
        prop_assert!(others.iter().all(|other| estate.others().contains(other)));
    }

    #[test]
    fn the_tags_of_a_rule_that_is_removed_go_with_the_consent_of_a_person(
        value in odd_text(),
        count in 6..12_u32,
    ) {
        let mut estate = Estate::new(count);
        let kept = RuleSpec {
            name: "kept".into(), value: Some("yes".into()), key: Some("kept".into()), ..RuleSpec::default()
        };
        let going = RuleSpec {
            name: "going".into(), category: Some("Env".into()), ..RuleSpec::default()
        };
        estate.policy.guard.max_change_percent = 20;
        estate.policy.rules = rule_set(vec![kept.clone(), going]);
        for number in 1..=count {
            estate.step(Step::Retag(number, vec![("Env".into(), value.clone())]));
        }
        estate.settles();
        let had: Vec<NodeId> =
            estate.nodes.iter().filter(|(_, tags)| tags.contains_key("Env")).map(|(node, _)| node.clone()).collect();
        estate.policy.rules = rule_set(vec![kept]);
        let plan = estate.plan();
        estate.check(&plan);
        if had.is_empty() {
            // AWS has no such values, so there was nothing.
            prop_assert!(plan.actions.is_empty());
            return Ok(());
        }
        prop_assert_eq!(plan.held.len(), 1);
        prop_assert_eq!(plan.doable(&estate.policy).count(), 0);
        estate.apply(&plan);
        prop_assert!(had.iter().all(|node| estate.nodes[node].contains_key("Env")));
        estate.memory.approve(&Approval {
            plan: plan.held[0].id.clone(),
            changes: plan.held[0].fingerprints.clone(),
            approved: estate.now,
            expires: estate.now + SignedDuration::from_hours(1),
        });
        estate.settles();
        prop_assert!(estate.nodes.values().all(|tags| !tags.contains_key("Env") && tags.contains_key("kept")));
    }
}

impl Estate {
    /// Tags of others, with their values.
    fn others(&self) -> BTreeSet<(NodeId, Arc<str>, Arc<str>)> {
        let mut others = BTreeSet::new();
        for (node, tags) in &self.nodes {
            let ours = self.ledger.get(node);
            for (key, value) in tags {
                if !ours.is_some_and(|ours| ours.contains_key(key)) {
                    others.insert((node.clone(), key.clone(), value.clone()));
                }
            }
        }
        others
    }
}
