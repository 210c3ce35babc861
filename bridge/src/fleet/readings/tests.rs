use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use mappings::checks::{ApiVersion, Sources, Subject, parse};
use mappings::selector::{Selector, VmFacts};
use secrecy::SecretString;
use vmbridge_simulator::{Mutation, Simulator, SimulatorConfig};
use vsphere_client::ids::MoRef;
use vsphere_client::property::{ObjectReport, decode_update_set_with};
use vsphere_client::tls::TlsTrust;
use vsphere_client::vcenter::{ConnectOptions, Vcenter};
use vsphere_client::watch::{Watch, WatchEvent, WatchOptions};
use vsphere_client::xml::{Body, Decoder, Limits};

use super::*;
use crate::fleet::{FleetUpdate, SharedFleet, VcenterName};

fn now() -> Timestamp {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

/// Rules with these reads of VMs, one each.
fn rules(reads: &[&str]) -> Arc<RuleSet> {
    rules_that(reads, "A test.", None)
}

/// The same for this reason, and what is suppressed.
fn rules_that(reads: &[&str], rationale: &str, suppressed: Option<&str>) -> Arc<RuleSet> {
    let rule = |(at, read): (usize, &&str)| {
        format!(
            "[[rule]]\nid = \"test-{at}\"\nkind = \"vm\"\ntitle = \"Test {at}\"\nseverity = \"low\"\nfamily = \"test\"\n\
             rationale = \"{rationale}\"\nremediation = \"None.\"\nlink = \"https://example.com\"\nread = {{ {read} }}\n\
             expect = {{ equals = \"{at}\", missing = \"fail\" }}\n"
        )
    };
    let mut text: String = reads.iter().enumerate().map(rule).collect();
    if let Some(objects) = suppressed {
        text += &format!(
            "[[suppress]]\nfamily = \"test\"\nobjects = \"{objects}\"\nreason = \"A test.\"\nuntil = 2030-01-01\n"
        );
    }
    let file = parse("test.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    Arc::new(
        RuleSet::new(Sources { without_defaults: true, files: vec![file], ..Sources::default() }).unwrap(),
    )
}

const READS: &[&str] = &[
    "path = \"config.extraConfig\", key = \"a\"",
    "path = \"config.extraConfig\", key = \"b\"",
    "path = \"config.flags.enableLogging\"",
];

struct Vc {
    fleet: SharedFleet,
    name: VcenterName,
    reads: Arc<Reads>,
}

impl Vc {
    fn new(rules: Arc<RuleSet>) -> Self {
        let vc = Self { fleet: SharedFleet::new(), name: "one".into(), reads: Arc::new(Reads::new(rules)) };
        vc.fleet.add(&vc.name, &Selector::default());
        vc.setup(Some(vc.reads.clone()));
        vc
    }

    fn setup(&self, reads: Option<Arc<Reads>>) {
        self.apply(FleetUpdate::Setup { reads, is_provider_managed: false });
    }

    fn apply(&self, update: FleetUpdate) {
        self.fleet.apply(&self.name, update, now());
    }

    /// What the server says of an object.
    fn told(&self, kind: &str, object: &str, changes: &str) -> Vec<ObjectReport> {
        let xml = format!(
            "<r xmlns:xsi='i'><returnval><filterSet><objectSet><kind>{kind}</kind><obj type=\"VirtualMachine\">{object}</obj>\
             {changes}</objectSet></filterSet></returnval></r>"
        );
        let mut d = Decoder::new(Body::complete(xml.into(), Limits::default()));
        assert!(d.child().unwrap());
        let mut reports = Vec::new();
        decode_update_set_with(&mut d, &self.reads.properties(), |_, report| {
            reports.push(report);
            Ok(())
        })
        .unwrap();
        reports
    }

    fn tell(&self, kind: &str, object: &str, changes: &str) {
        self.apply(FleetUpdate::Objects(self.told(kind, object, changes)));
    }

    fn readings(&self, object: &str) -> Option<Vec<Reading>> {
        let fleet = self.fleet.read();
        let readings = fleet.part(&self.name)?.vm(object)?.readings()?;
        // The rules themselves read more, to know what is set up at all.
        let ours =
            |read: &checks::Read| ["config.extraConfig", "config.flags.enableLogging"].contains(&&*read.path);
        let slots = self.reads.rules().reads(Kind::Vm).iter().zip(readings);
        Some(slots.filter(|(read, _)| ours(read)).map(|(_, reading)| reading).collect())
    }
}

fn set(path: &str, value: &str) -> String {
    format!("<changeSet><name>{path}</name><op>assign</op><val>{value}</val></changeSet>")
}

fn options(pairs: &[(&str, &str)]) -> String {
    let option = |(key, value): &(&str, &str)| {
        format!("<OptionValue><key>{key}</key><value>{value}</value></OptionValue>")
    };
    set("config.extraConfig", &pairs.iter().map(option).collect::<String>())
}

fn one(text: &str) -> Reading {
    Reading::One(text.into())
}

#[test]
fn a_report_fills_the_slots_of_what_it_mentions() {
    let vc = Vc::new(rules(READS));
    let configured = set("config.template", "false");
    vc.tell("enter", "vm-1", &(configured.clone() + &options(&[("x", "1"), ("B", "two")])));
    assert_eq!(vc.readings("vm-1").unwrap(), [Reading::Missing, one("two"), Reading::Missing]);
    vc.tell("modify", "vm-1", &set("config.flags.enableLogging", "true"));
    assert_eq!(vc.readings("vm-1").unwrap(), [Reading::Missing, one("two"), one("true")]);
    vc.tell("modify", "vm-1", &options(&[("a", "one")]));
    assert_eq!(
        vc.readings("vm-1").unwrap(),
        [one("one"), Reading::Missing, one("true")],
        "a list is told whole"
    );
    vc.tell("modify", "vm-1", &set("name", "other"));
    assert_eq!(vc.readings("vm-1").unwrap(), [one("one"), Reading::Missing, one("true")]);
    vc.tell(
        "modify",
        "vm-1",
        "<changeSet><name>config.flags.enableLogging</name><op>assign</op></changeSet>\
         <missingSet><path>config.extraConfig</path><fault><fault xsi:type=\"NoPermission\"/></fault></missingSet>",
    );
    let unreadable = Reading::Unreadable;
    assert_eq!(vc.readings("vm-1").unwrap(), [unreadable.clone(), unreadable, Reading::Missing]);
    vc.tell("enter", "vm-1", &configured);
    assert_eq!(vc.readings("vm-1").unwrap(), [const { Reading::Missing }; 3], "told anew");
}

#[test]
fn a_vm_without_configuration_is_not_one_without_settings() {
    let vc = Vc::new(rules(READS));
    let all_unreadable = vec![Reading::Unreadable; 3];
    vc.tell("enter", "vm-1", &set("name", "orphan"));
    assert_eq!(vc.readings("vm-1").unwrap(), all_unreadable);
    vc.tell("modify", "vm-1", &(set("config.template", "false") + &options(&[("b", "2")])));
    assert_eq!(vc.readings("vm-1").unwrap(), [Reading::Missing, one("2"), Reading::Missing], "it is back");
    let lost = ["config.template", "config.extraConfig", "config.flags.enableLogging"]
        .map(|path| format!("<changeSet><name>{path}</name><op>assign</op></changeSet>"))
        .concat();
    vc.tell("modify", "vm-1", &lost);
    assert_eq!(vc.readings("vm-1").unwrap(), all_unreadable, "and lost again");
    vc.tell("modify", "vm-2", &options(&[("b", "2")]));
    assert_eq!(
        vc.readings("vm-2").unwrap()[2],
        Reading::Unreadable,
        "nothing was ever told of it as a whole"
    );
}

#[test]
fn equal_readings_are_kept_once_and_readings_of_other_rules_are_forgotten() {
    let vc = Vc::new(rules(READS));
    let changes = set("config.template", "false") + &options(&[("a", "one")]);
    for vm in ["vm-1", "vm-2", "vm-3"] {
        vc.tell("enter", vm, &changes);
    }
    {
        let fleet = vc.fleet.read();
        let part = fleet.part(&vc.name).unwrap();
        let runs: BTreeSet<_> =
            part.vms().flat_map(|vm| vm.vm.readings.iter().flatten().map(|run| run.as_ptr())).collect();
        assert_eq!(runs.len(), 1, "they are shared");
    }
    vc.setup(Some(Arc::new(Reads::new(rules(READS)))));
    assert!(vc.readings("vm-1").is_some(), "the same rules, made again");
    // Other rules that read the same: words, expectations and suppressions differ.
    let other = rules_that(READS, "less is enough", Some("name=vm-1"));
    vc.apply(FleetUpdate::Rules(Arc::new(Reads::new(Arc::clone(&other)))));
    assert_eq!(vc.readings("vm-1").unwrap(), [one("one"), Reading::Missing, Reading::Missing]);
    {
        let fleet = vc.fleet.read();
        let reads = fleet.part(&vc.name).unwrap().reads().unwrap();
        assert!(Arc::ptr_eq(reads.rules(), &other), "and they hold");
    }
    // One more of the same property: its values were thrown away.
    let more = [READS, &["path = \"config.extraConfig\", key = \"c\""]].concat();
    vc.apply(FleetUpdate::Rules(Arc::new(Reads::new(rules(&more)))));
    assert_eq!(vc.readings("vm-1"), None);
    vc.setup(Some(Arc::new(Reads::new(rules(&READS[..1])))));
    assert_eq!(vc.readings("vm-1"), None);
    vc.setup(None);
    vc.tell("enter", "vm-1", &changes);
    assert_eq!(vc.readings("vm-1"), None);
}

#[tokio::test]
async fn whoever_plans_is_woken_and_whoever_listens_is_not_bothered() {
    let vc = Vc::new(rules(READS));
    let about = Default::default();
    vc.apply(FleetUpdate::Started { about });
    vc.tell("enter", "vm-1", &set("config.template", "false"));
    vc.apply(FleetUpdate::Complete);
    let (mut revisions, mut changes) = (vc.fleet.revisions(), vc.fleet.changes());
    revisions.mark_unchanged();
    vc.tell("modify", "vm-1", &options(&[("a", "one")]));
    assert!(revisions.has_changed().unwrap());
    vc.tell("modify", "vm-1", &set("name", "other"));
    let told = changes.next().await.unwrap();
    assert!(format!("{told:?}").contains("other"), "the first that is told is the name: {told:?}");
}

async fn read(watch: &mut Watch, vc: &Vc) {
    loop {
        match tokio::time::timeout(Duration::from_secs(60), watch.next()).await.unwrap().unwrap() {
            WatchEvent::Started { about, .. } => vc.apply(FleetUpdate::Started { about }),
            WatchEvent::Objects(reports) => vc.apply(FleetUpdate::Objects(reports)),
            WatchEvent::Complete => return vc.apply(FleetUpdate::Complete),
            WatchEvent::Interrupted { error, .. } => panic!("{}", error.line()),
            _ => {}
        }
    }
}

/// What each rule says of each object.
type Outcomes = BTreeMap<String, BTreeMap<String, &'static str>>;

fn evaluate(vc: &Vc) -> Outcomes {
    let fleet = vc.fleet.read();
    let part = fleet.part(&vc.name).unwrap();
    let api = part.about().unwrap().api_version.as_str();
    let mut outcomes = Outcomes::new();
    let mut judge =
        |object: &MoRef, kind: Kind, version: Option<&str>, facts: &dyn VmFacts, readings: &[Reading]| {
            let version = version.or(Some(api)).and_then(ApiVersion::parse);
            let subject = Subject { kind, version, is_provider_managed: part.is_provider_managed(), facts };
            for outcome in vc.reads.rules().evaluate(&subject, readings, now()) {
                let of_rule = outcomes.entry(outcome.rule.id.to_string()).or_default();
                of_rule.insert(object.to_string(), outcome.status.word());
            }
        };
    for vm in part.vms() {
        judge(vm.moref(), Kind::Vm, vm.host_version(), &vm, &vm.readings().unwrap());
    }
    for setup in part.setups() {
        judge(setup.moref(), setup.kind(), setup.version(), &setup, &setup.readings().unwrap());
    }
    outcomes
}

/// The rules that fail for an object.
fn failed(outcomes: &Outcomes, object: &str) -> BTreeSet<String> {
    let fails = |of_rule: &BTreeMap<String, &str>| of_rule.get(object) == Some(&"failed");
    outcomes.iter().filter(|(_, of_rule)| fails(of_rule)).map(|(rule, _)| rule.clone()).collect()
}

/// Rules about what no object of the simulator has, or about the day on which the test runs.
const NEVER_MET: &[&str] =
    &["vm-console-vnc-disabled", "vm-hgfs-disabled", "host-build-age", "host-restarted-within-a-year"];

#[tokio::test]
async fn the_default_rules_find_what_they_read_in_the_simulator_and_see_it_change() {
    let simulator = Simulator::start(SimulatorConfig::single(300, 11)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let password = SecretString::from(vcenter.password().to_owned());
    let trust = TlsTrust { extra_ca_pem: Some(simulator.ca_pem().as_bytes().to_vec()), pins: Vec::new() };
    let url = vcenter.url().parse().unwrap();
    let client =
        Vcenter::new(ConnectOptions::new(url, vcenter.username().to_owned(), password, trust)).unwrap();
    let vc = Vc::new(Arc::new(RuleSet::new(Sources::default()).unwrap()));
    let mut watch = client.watch(WatchOptions { extra: vc.reads.properties(), ..WatchOptions::default() });
    read(&mut watch, &vc).await;

    let before = evaluate(&vc);
    assert!(before.len() > 100, "{} rules", before.len());
    let (configured, runs, distinct) = {
        let fleet = vc.fleet.read();
        let part = fleet.part(&vc.name).unwrap();
        let configured: BTreeSet<String> = part
            .vms()
            .filter(|vm| vm.is_template() != mappings::selector::Fact::Unknown)
            .map(|vm| vm.moref().to_string())
            .collect();
        let runs: Vec<_> =
            part.vms().flat_map(|vm| vm.vm.readings.iter().flatten().map(|run| run.as_ptr())).collect();
        let distinct: BTreeSet<_> = runs.iter().collect();
        (configured, runs.len(), distinct.len())
    };
    assert!(
        (280..300).contains(&configured.len()),
        "some have no configuration, most do: {}",
        configured.len()
    );
    assert!(distinct * 3 < runs, "{distinct} different ones of {runs} runs of readings");
    for (rule, of_rule) in &before {
        let unread: Vec<_> = of_rule
            .iter()
            .filter(|(object, word)| {
                **word == "not-readable"
                    && (!object.starts_with("VirtualMachine") || configured.contains(*object))
            })
            .collect();
        assert!(unread.is_empty(), "{rule} is not read of {unread:?}");
        let passes = of_rule.values().any(|word| *word == "passed");
        assert_eq!(!passes, NEVER_MET.contains(&rule.as_str()), "{rule}: {:?}", of_rule.values().next());
    }

    let first = |kind: Kind| {
        let fleet = vc.fleet.read();
        let setups = fleet.part(&vc.name).unwrap().setups();
        let found = setups
            .iter()
            .find(|setup| setup.kind() == kind && failed(&before, &setup.moref().to_string()).len() < 5);
        found.unwrap().moref().value().to_owned()
    };
    let (host, cluster, portgroup) = (first(Kind::Host), first(Kind::Cluster), first(Kind::Portgroup));
    let good = failed(&before, &format!("HostSystem:{host}"));
    for id in [&cluster, &portgroup] {
        vcenter.mutate(&Mutation::SetWeak { id: id.clone(), weak: true }).unwrap();
    }
    let (service, running) = ("TSM-SSH".to_owned(), Some(true));
    vcenter.mutate(&Mutation::SetService { id: host.clone(), service, running, policy: None }).unwrap();
    let option = |value: &str| Mutation::SetOption {
        id: host.clone(),
        key: "UserVars.ESXiShellTimeOut".into(),
        value: Some(value.into()),
    };
    vcenter.mutate(&option("0")).unwrap();
    let vm = vcenter.vm_ids().into_iter().find(|id| {
        let object = format!("VirtualMachine:{id}");
        configured.contains(&object) && failed(&before, &object).is_empty()
    });
    let vm = vm.unwrap();
    let key = "Isolation.tools.copy.disable".to_owned();
    vcenter.mutate(&Mutation::SetOption { id: vm.clone(), key, value: Some("FALSE".into()) }).unwrap();

    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let expected = BTreeSet::from(["host-shell-timeout".to_owned(), "host-ssh-stopped".to_owned()]);
    // The others are about what these turn on.
    let cluster_rules = BTreeSet::from(["cluster-drs-enabled".to_owned(), "cluster-ha-enabled".to_owned()]);
    loop {
        let event = tokio::time::timeout_at(deadline, watch.next()).await.expect("all changes in a minute");
        if let Some(WatchEvent::Objects(reports)) = event {
            vc.apply(FleetUpdate::Objects(reports));
        }
        let after = evaluate(&vc);
        let more: BTreeSet<_> =
            failed(&after, &format!("HostSystem:{host}")).difference(&good).cloned().collect();
        let seen = [
            more == expected,
            failed(&after, &format!("VirtualMachine:{vm}"))
                == BTreeSet::from(["vm-copy-disabled".to_owned()]),
            failed(&after, &format!("ClusterComputeResource:{cluster}")) == cluster_rules,
            failed(&after, &format!("DistributedVirtualPortgroup:{portgroup}")).len() > 8,
        ];
        if seen == [true; 4] {
            break;
        }
    }
    watch.close().await;
    client.close().await.unwrap();
}

#[test]
fn a_reading_is_small() {
    assert!(size_of::<Reading>() <= 24, "{} bytes", size_of::<Reading>());
}
