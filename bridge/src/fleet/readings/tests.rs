use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use mappings::checks::{ApiVersion, Sources, Status, Subject, parse};
use mappings::selector::{Selector, VmFacts};
use secrecy::SecretString;
use vmbridge_simulator::{Mutation, Simulator, SimulatorConfig};
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
    let rule = |(at, read): (usize, &&str)| {
        format!(
            "[[rule]]\nid = \"test-{at}\"\nkind = \"vm\"\ntitle = \"Test {at}\"\nseverity = \"low\"\nfamily = \"test\"\n\
             rationale = \"A test.\"\nremediation = \"None.\"\nlink = \"https://example.com\"\nread = {{ {read} }}\n\
             expect = {{ equals = \"{at}\", missing = \"fail\" }}\n"
        )
    };
    let text: String = reads.iter().enumerate().map(rule).collect();
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
        fleet.part(&self.name)?.vm(object)?.readings().map(<[Reading]>::to_vec)
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
        let places: BTreeSet<_> = part.vms().map(|vm| vm.readings().unwrap().as_ptr()).collect();
        assert_eq!(places.len(), 1, "they are shared");
    }
    vc.setup(Some(Arc::new(Reads::new(rules(READS)))));
    assert!(vc.readings("vm-1").is_some(), "the same rules, made again");
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

/// How often each rule gave each outcome.
type Outcomes = BTreeMap<String, BTreeMap<&'static str, usize>>;

fn evaluate(vc: &Vc, objects: &mut usize) -> Outcomes {
    let fleet = vc.fleet.read();
    let part = fleet.part(&vc.name).unwrap();
    let api = part.about().unwrap().api_version.as_str();
    let mut outcomes = Outcomes::new();
    let mut judge = |kind: Kind, version: Option<&str>, facts: &dyn VmFacts, readings: &[Reading]| {
        let version = version.or(Some(api)).and_then(ApiVersion::parse);
        let subject = Subject { kind, version, is_provider_managed: part.is_provider_managed(), facts };
        for outcome in vc.reads.rules().evaluate(&subject, readings, now()) {
            assert!(!matches!(outcome.status, Status::Suppressed { .. }));
            let of_rule = outcomes.entry(outcome.rule.id.to_string()).or_default();
            *of_rule.entry(outcome.status.word()).or_default() += 1;
        }
    };
    for vm in part.vms() {
        judge(Kind::Vm, vm.host_version(), &vm, vm.readings().unwrap());
    }
    for setup in part.setups() {
        *objects += 1;
        judge(setup.kind(), setup.version(), &setup, setup.readings().unwrap());
    }
    outcomes
}

#[tokio::test]
async fn the_default_rules_find_what_they_read_in_the_simulator() {
    let simulator = Simulator::start(SimulatorConfig::single(300, 11)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let ids = vcenter.vm_ids();
    vcenter.mutate(&Mutation::SetWeak { id: ids[0].clone(), weak: true }).unwrap();
    let password = SecretString::from(vcenter.password().to_owned());
    let trust = TlsTrust { extra_ca_pem: Some(simulator.ca_pem().as_bytes().to_vec()), pins: Vec::new() };
    let url = vcenter.url().parse().unwrap();
    let client =
        Vcenter::new(ConnectOptions::new(url, vcenter.username().to_owned(), password, trust)).unwrap();
    let vc = Vc::new(Arc::new(RuleSet::new(Sources::default()).unwrap()));
    let options = WatchOptions { extra: vc.reads.properties(), ..WatchOptions::default() };
    let mut watch = client.watch(options);
    read(&mut watch, &vc).await;
    let mut objects = 0;
    let outcomes = evaluate(&vc, &mut objects);
    let never_read: Vec<_> = outcomes
        .iter()
        .filter(|(_, outcomes)| !outcomes.contains_key("passed"))
        .map(|(rule, outcomes)| format!("{rule}: {outcomes:?}"))
        .collect();
    panic!("{objects} {never_read:#?} {:#?}", outcomes);
}
