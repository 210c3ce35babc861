use jiff::Timestamp;
use mappings::checks::{RuleSet, Sources, Subject, parse};
use mappings::selector::{Key, Selector, Verdict};
use vsphere_client::property::{
    Change as Property, ComputeResource, HostSystem, Network, ObjectProperties, ObjectReport, ReportKind,
};

use super::*;
use crate::fleet::{FleetUpdate, SharedFleet};

fn now() -> Timestamp {
    "2026-11-28T12:00:00Z".parse().unwrap()
}

/// A fleet with a host, a cluster and a port group.
fn fleet() -> (SharedFleet, VcenterName) {
    let (fleet, name) = (SharedFleet::new(), VcenterName::from("dc1"));
    fleet.add(&name, &Selector::default());
    let entered = |kind: &str, id: &str, properties| ObjectReport {
        object: MoRef::new(kind, id),
        kind: ReportKind::Entered,
        properties,
        extras: Vec::new(),
    };
    let host = HostSystem {
        name: Property::Set("esx-1".into()),
        parent: Property::Set(MoRef::new("ClusterComputeResource", "domain-c1")),
        ..HostSystem::default()
    };
    let cluster = ComputeResource { name: Property::Set("prod".into()), ..ComputeResource::default() };
    let network = Network { name: Property::Set("web".into()), ..Network::default() };
    let reports = vec![
        entered("HostSystem", "host-1", ObjectProperties::HostSystem(Box::new(host))),
        entered("ClusterComputeResource", "domain-c1", ObjectProperties::ComputeResource(cluster)),
        entered("DistributedVirtualPortgroup", "dvportgroup-1", ObjectProperties::Network(network)),
    ];
    fleet.apply(&name, FleetUpdate::Objects(reports), now());
    (fleet, name)
}

/// What rules that nothing meets say of the host, the cluster and the port group, while this is suppressed.
fn said(objects: &str) -> Vec<&'static str> {
    let rule = |(kind, path): (&str, &str)| {
        format!(
            "[[rule]]\nid = \"acme-{kind}\"\nkind = \"{kind}\"\ntitle = \"t\"\nseverity = \"low\"\nfamily = \"acme\"\n\
             rationale = \"r\"\nremediation = \"r\"\nread = {{ path = \"{path}\" }}\n\
             expect = {{ equals = \"never\", missing = \"fail\" }}\n"
        )
    };
    let rules = [("host", "config.a"), ("cluster", "configuration.a"), ("portgroup", "config.a")];
    let text: String = rules.into_iter().map(rule).collect();
    let text = format!(
        "{text}[[suppress]]\nfamily = \"acme\"\nobjects = \"{objects}\"\nreason = \"r\"\nuntil = 2030-01-01\n"
    );
    let file = parse("acme.toml", &text).unwrap_or_else(|mistakes| panic!("{mistakes:?}"));
    let sources = Sources { without_defaults: true, files: vec![file], ..Sources::default() };
    let rules = RuleSet::new(sources).unwrap();
    let (fleet, name) = fleet();
    let fleet = fleet.read();
    let setups = fleet.part(&name).unwrap().setups();
    assert_eq!(
        setups.iter().map(SetupView::kind).collect::<Vec<_>>(),
        [Kind::Host, Kind::Cluster, Kind::Portgroup]
    );
    let say = |setup: &SetupView<'_>| {
        let subject = Subject { kind: setup.kind(), version: None, is_provider_managed: false, facts: setup };
        let readings = vec![Reading::One("set".into()); rules.reads(setup.kind()).len()];
        let words = rules.evaluate(&subject, &readings, now()).map(|outcome| outcome.status.word());
        words.last().unwrap()
    };
    setups.iter().map(say).collect()
}

/// What is never read of anything but VMs must not make every finding about it unknown for ever.
#[test]
fn a_suppression_by_what_only_vms_have_is_not_about_hosts_clusters_and_port_groups() {
    for objects in ["tag=App:legacy", "attribute=Owner=me", "guest=linux", "power=on", "folder=/Lab/**"] {
        assert_eq!(said(objects), ["failed"; 3], "{objects}");
    }
    for objects in ["all", "vcenter=dc1", "all except tag=App:*"] {
        assert_eq!(said(objects), ["suppressed"; 3], "{objects}");
    }
    assert_eq!(said("name=esx-*"), ["suppressed", "failed", "failed"]);
    assert_eq!(said("name=esx-* or tag=App:legacy"), ["suppressed", "failed", "failed"]);
    // Which cluster a host is in, and what its datacenter is called, can be known: until it is, nobody says anything.
    assert_eq!(said("cluster=prod"), ["suppressed", "suppressed", "failed"]);
    assert_eq!(said("datacenter=lab"), ["not-readable"; 3]);
}

#[test]
fn vms_that_are_there_may_have_any_tag() {
    let (fleet, name) = fleet();
    let fleet = fleet.read();
    let tagged: Selector = "tag=App:legacy".parse().unwrap();
    let of_dc1: Selector = "vcenter=dc1".parse().unwrap();
    let of_dc2: Selector = "vcenter=dc2 and tag=App:legacy".parse().unwrap();
    for setup in fleet.part(&name).unwrap().setups() {
        let vms = setup.of_its_vms();
        assert_eq!(tagged.verdict(&vms), Verdict::Unknown(Key::Tag));
        assert_eq!(tagged.verdict(&setup), Verdict::NotIncluded);
        assert_eq!(of_dc1.verdict(&vms), Verdict::Selected);
        assert_eq!(of_dc2.verdict(&vms), Verdict::NotIncluded);
    }
}
