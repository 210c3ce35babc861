//! The rules as a whole.

use std::collections::{BTreeMap, BTreeSet};

use mappings::checks::{
    ApiVersion, Inapplicable, Keep, Kind, Pick, Reading, Rule, RuleSet, Scope, Sources, Status, Subject,
    Suppression, Unread, catalogue, defaults, end_of_day, parse,
};
use mappings::selector::{Fact, Key};

use crate::fixtures::{all, defaults as set, now};
use crate::object::{Facts, bare, readings};

const V8: ApiVersion = ApiVersion::new([8, 0, 3, 0]);

#[test]
fn there_are_enough_of_them_and_their_texts_are_in_order() {
    let rules = defaults().unwrap();
    assert!(rules.len() >= 60, "{}", rules.len());
    let mut ids = BTreeSet::new();
    let mut titles = BTreeSet::new();
    for rule in &rules {
        let id = rule.id.as_str();
        assert!(ids.insert(id), "{id} is there twice");
        assert!(titles.insert((rule.kind, &rule.title)), "{id}: another rule has this title too");
        assert!(id.starts_with(rule.kind.as_str()), "{id} does not begin with `{}`", rule.kind);
        assert!(!rule.title.ends_with('.'), "{id}: a title has no full stop");
        for text in [&rule.rationale, &rule.remediation] {
            assert!(text.ends_with('.') && !text.contains('\n'), "{id}: {text}");
        }
        assert!(rule.link.is_some(), "{id} has no link");
        for reference in rule.references.iter() {
            let (source, name) = reference.split_once(' ').unwrap();
            let known = match source {
                "SCG" => ["vm-", "esxi-", "vcenter-", "guest-"].iter().any(|kind| name.starts_with(kind)),
                "STIG" => ["VMCH-", "ESXI-", "VCSA-"].iter().any(|kind| name.starts_with(kind)),
                "CIS" => BENCHMARKS.iter().any(|benchmark| {
                    name.strip_prefix(benchmark).is_some_and(|number| {
                        let part = |part: &str| part.parse::<u8>().is_ok_and(|part| part > 0);
                        (2..=3).contains(&number.split('.').count()) && number.split('.').all(part)
                    })
                }),
                _ => false,
            };
            assert!(known, "{id}: {reference}");
        }
    }
    let cited = |benchmark: &&str| {
        rules.iter().filter(|rule| rule.references.cis.iter().any(|one| one.starts_with(*benchmark))).count()
    };
    assert!(BENCHMARKS.iter().all(|benchmark| cited(benchmark) > 40));
}

/// The benchmarks whose numbers are given: they change from version to version.
const BENCHMARKS: &[&str] = &["ESXi 8.0 v1.2.0 ", "ESXi 7.0 v1.4.0 "];

/// Whoever follows a link wants to know what to do, not to search for it.
#[test]
fn links_lead_further_than_to_a_front_page() {
    for rule in defaults().unwrap() {
        let link = rule.link.as_deref().unwrap();
        let path = link.trim_start_matches("https://").split_once('/').map_or("", |(_, path)| path);
        let is_repository = link.starts_with("https://github.com/") && path.split('/').count() < 3;
        assert!(!path.is_empty() && !is_repository, "{}: {link}", rule.id);
        assert!(!link.ends_with("/vmware-cis/vsphere.html"), "{}: {link}", rule.id);
    }
}

/// What makes a rule what it is.
fn demand(rule: &Rule) -> String {
    format!("{:?} {:?} {:?} {:?}", rule.read, rule.when, rule.applies, rule.cases)
}

#[test]
fn no_two_rules_demand_the_same() {
    for kind in Kind::ALL {
        let rules = set();
        let mut demands = BTreeMap::new();
        for rule in rules.rules(*kind) {
            if let Some(other) = demands.insert(demand(rule), &rule.id) {
                panic!("{} and {other} are met by the same", rule.id);
            }
        }
    }
}

/// Two rules that read the same thing differ for some object.
#[test]
fn rules_that_read_the_same_behave_differently() {
    let rules = set();
    let facts = Facts::default();
    for kind in Kind::ALL {
        let mut behaviour: BTreeMap<String, Vec<&'static str>> = BTreeMap::new();
        for (_, fixture) in all().iter().filter(|(of, _)| of == kind) {
            let readings = readings(&rules, *kind, &fixture.properties, &fixture.unreadable);
            for version in ["6.7", "7.0.3", "8.0.3", "9.0"] {
                let version = ApiVersion::parse(version);
                let subject = Subject { kind: *kind, version, is_provider_managed: false, facts: &facts };
                for outcome in rules.evaluate(&subject, &readings, now()) {
                    behaviour.entry(outcome.rule.id.to_string()).or_default().push(outcome.status.word());
                }
            }
        }
        for one in rules.rules(*kind) {
            for other in rules.rules(*kind).filter(|other| other.id > one.id && other.read == one.read) {
                assert_ne!(
                    behaviour[one.id.as_str()],
                    behaviour[other.id.as_str()],
                    "{} and {}",
                    one.id,
                    other.id
                );
            }
        }
    }
}

/// Names of one fact, each in the words of [`Read`]'s `Display`: properties and advanced settings behind which vSphere keeps one and
/// the same value, or of which one is the old name of another. Two rules may read one of these names, but not two of them.
const ONE_FACT: &[&[&str]] = &[
    &["config.flags.monitorType", "config.flags.runWithDebugInfo"],
    &["config.hardware.device[VirtualMachineVideoCard], enable3DSupport", "config.extraConfig[mks.enable3d]"],
    &[
        "config.hardware.device[VirtualMachineVMCIDevice], allowUnrestrictedCommunication",
        "config.extraConfig[vmci0.unrestricted]",
    ],
    &["config.guestAutoLockEnabled", "config.extraConfig[tools.guest.desktop.autolock]"],
    &["config.flags.enableLogging", "config.extraConfig[logging]"],
    &["config.flags.vbsEnabled", "config.extraConfig[vbs.enabled]"],
    &["config.firmware", "config.extraConfig[firmware]"],
    &["config.bootOptions.efiSecureBootEnabled", "config.extraConfig[uefi.secureBoot.enabled]"],
    &["config.bootOptions.enterBIOSSetup", "config.extraConfig[bios.forceSetupOnce]"],
    &["config.nestedHVEnabled", "config.extraConfig[vhv.enable]"],
    &["config.migrateEncryption", "config.extraConfig[migrate.encryptionMode]"],
    &["config.ftEncryptionMode", "config.extraConfig[ftcpt.ftEncryptionMode]"],
    &["config.version", "config.hardware.version", "config.extraConfig[virtualHW.version]"],
    &["config.guestId", "summary.config.guestId", "config.extraConfig[guestOS]"],
    &["guest.toolsRunningStatus", "guest.toolsStatus", "summary.guest.toolsRunningStatus"],
    &["guest.toolsVersionStatus2", "guest.toolsVersionStatus", "summary.guest.toolsVersionStatus2"],
    &["runtime.powerState", "summary.runtime.powerState"],
    &["config.lockdownMode", "config.adminDisabled"],
    &["config.product.version", "summary.config.product.version"],
    &["config.product.build", "summary.config.product.build", "summary.config.product.fullName"],
    &["runtime.bootTime", "summary.runtime.bootTime"],
    &["config.dateTimeInfo.systemClockProtocol", "config.dateTimeInfo.enabled"],
    &["configurationEx.dasConfig.enabled", "configuration.dasConfig.enabled"],
    &["configurationEx.drsConfig.enabled", "configuration.drsConfig.enabled"],
    &["config.type", "config.policy.type"],
];

/// Rules that ask for one fact by two of its names.
fn twice(rules: &RuleSet) -> Vec<String> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        for names in ONE_FACT {
            let asked: BTreeMap<String, &str> = rules
                .rules(*kind)
                .map(|rule| (rule.read.to_string(), rule.id.as_str()))
                .filter(|(name, _)| names.iter().any(|one| one.eq_ignore_ascii_case(name)))
                .collect();
            if asked.len() > 1 {
                found.push(format!("{kind}: {asked:?}"));
            }
        }
    }
    found
}

#[test]
fn no_fact_is_asked_for_by_two_of_its_names() {
    assert_eq!(twice(&set()), Vec::<String>::new());
    // The two pairs that once were: each of these is the other name of what a shipped rule reads.
    for (read, wanted) in [
        ("path = \"config.flags.runWithDebugInfo\"", "vm-monitor-release"),
        ("path = \"config.extraConfig\", key = \"MKS.enable3D\"", "vm-video-card-3d-disabled"),
    ] {
        let text = OWN.replace("path = \"config.annotation\"", read);
        let sources = Sources { files: vec![parse("acme.toml", &text).unwrap()], ..Sources::default() };
        let found = twice(&RuleSet::new(sources).unwrap());
        assert!(found.len() == 1 && found[0].contains(wanted), "{found:?}");
    }
}

/// The issue's own example: not set is a finding for 7.0 and none for 8.0.
#[test]
fn a_missing_setting_is_judged_by_the_version() {
    let rules = set();
    let facts = Facts::default();
    let readings = bare(&rules, Kind::Vm);
    for (version, wanted) in
        [(Some("7.0.3"), "failed"), (Some("8.0"), "passed"), (Some("9.0"), "passed"), (None, "not-readable")]
    {
        let version = version.and_then(ApiVersion::parse);
        let subject = Subject { kind: Kind::Vm, version, is_provider_managed: false, facts: &facts };
        let outcome = rules.evaluate(&subject, &readings, now());
        let outcome =
            outcome.filter(|outcome| outcome.rule.id.as_str() == "vm-copy-disabled").last().unwrap();
        assert_eq!(outcome.status.word(), wanted, "{version:?}");
    }
}

#[test]
fn the_provider_looks_after_everything_but_vms() {
    let rules = set();
    let facts = Facts::default();
    for kind in Kind::ALL {
        let subject = Subject { kind: *kind, version: Some(V8), is_provider_managed: true, facts: &facts };
        for readings in [vec![], vec![Reading::Missing; rules.reads(*kind).len()]] {
            for outcome in rules.evaluate(&subject, &readings, now()) {
                assert_eq!(
                    outcome.status == Status::ProviderManaged,
                    *kind != Kind::Vm,
                    "{}: {:?}",
                    outcome.rule.id,
                    outcome.status
                );
            }
        }
    }
}

#[test]
fn what_was_not_read_is_neither_good_nor_bad() {
    let rules = set();
    let facts = Facts::default();
    for kind in Kind::ALL {
        let subject = Subject { kind: *kind, version: Some(V8), is_provider_managed: false, facts: &facts };
        for outcome in rules.evaluate(&subject, &[], now()) {
            let fine = matches!(
                outcome.status,
                Status::NotReadable(Unread::Value(_)) | Status::NotApplicable(Inapplicable::Version(_))
            );
            assert!(fine, "{}: {:?}", outcome.rule.id, outcome.status);
        }
    }
}

/// A VM whose files cannot be reached has no configuration: that is no finding of every rule about one.
#[test]
fn an_object_without_a_configuration_has_no_findings_about_it() {
    let rules = set();
    let facts = Facts::default();
    for kind in Kind::ALL {
        let subject = Subject { kind: *kind, version: Some(V8), is_provider_managed: false, facts: &facts };
        let readings = vec![Reading::Missing; rules.reads(*kind).len()];
        for outcome in rules.evaluate(&subject, &readings, now()) {
            let fine = matches!(outcome.status.word(), "not-readable" | "not-applicable")
                || !outcome.rule.read.path.starts_with("config");
            assert!(fine, "{}: {:?}", outcome.rule.id, outcome.status);
        }
        let bare = bare(&rules, *kind);
        let failed = rules.evaluate(&subject, &bare, now());
        assert!(failed.filter(|outcome| outcome.status == Status::Failed).count() > 0, "{kind}");
    }
}

/// What is asked of vCenter. A line here is a property of every object of the kind, all the time: look twice before you
/// accept another one.
#[test]
fn the_properties_that_are_read() {
    let rules = set();
    let mut out = String::new();
    for kind in Kind::ALL {
        out.push_str(&format!("{}\n", kind.managed_type()));
        for (path, keep) in rules.properties(*kind) {
            match keep {
                Keep::Everything => out.push_str(&format!("  {path}\n")),
                Keep::Keys(keys) => out.push_str(&format!("  {path}, {} keys\n", keys.len())),
            }
        }
    }
    insta::assert_snapshot!(out);
}

#[test]
fn slots_are_sorted_and_every_key_that_is_read_is_kept() {
    let rules = set();
    for kind in Kind::ALL {
        let reads = rules.reads(*kind);
        assert!(reads.is_sorted() && reads.windows(2).all(|pair| pair[0] != pair[1]));
        for read in reads {
            let (_, keep) = rules.properties(*kind).find(|(path, _)| *path == &*read.path).unwrap();
            if let Pick::Keyed { keys, .. } = &read.pick {
                assert!(keys.iter().all(|key| keep.wants(key) && keep.wants(&key.to_uppercase())));
            } else {
                assert_eq!(keep, Keep::Everything);
            }
        }
    }
    let keep = |path| rules.properties(Kind::Vm).find(|(of, _)| *of == path).unwrap().1;
    assert!(!keep("config.extraConfig").wants("guestinfo.secret"));
}

#[test]
fn only_the_families_that_are_wanted_are_read() {
    let sources = Sources { families: vec!["boot".parse().unwrap()], ..Sources::default() };
    let rules = RuleSet::new(sources).unwrap();
    assert!(rules.all().all(|rule| rule.family.as_str() == "boot"));
    assert!(rules.properties(Kind::Vm).all(|(path, _)| path != "config.extraConfig"));
    assert_eq!(rules.properties(Kind::Cluster).count(), 0);
}

const OWN: &str = r#"
[[rule]]
id = "acme-vm-owner"
kind = "vm"
title = "The VM says who owns it"
severity = "low"
family = "acme"
rationale = "Somebody has to be asked."
remediation = "Set the owner."
read = { path = "config.annotation" }
expect = { matches = "*owner:*", missing = "fail" }

[[suppress]]
rule = "acme-*"
objects = "folder=/Lab/**"
reason = "the lab has no owners"
until = 2026-12-31
"#;

fn own(facts: &Facts, at: &str) -> (String, String) {
    let sources = Sources { files: vec![parse("acme.toml", OWN).unwrap()], ..Sources::default() };
    let rules = RuleSet::new(sources).unwrap();
    let subject = Subject { kind: Kind::Vm, version: None, is_provider_managed: true, facts };
    let readings = bare(&rules, Kind::Vm);
    let outcomes = rules.evaluate(&subject, &readings, at.parse().unwrap());
    let outcome = outcomes.filter(|outcome| outcome.rule.id.as_str() == "acme-vm-owner").last().unwrap();
    (outcome.status.word().to_owned(), outcome.evidence())
}

#[test]
fn what_is_accepted_comes_back_when_the_time_is_over() {
    let lab = Facts { folder: Fact::Known("/Lab/Old"), ..Facts::default() };
    let (status, evidence) = own(&lab, "2026-12-31T23:59:59Z");
    assert_eq!(status, "suppressed");
    assert_eq!(
        evidence,
        "`config.annotation` is not set; it should be like `*owner:*`; accepted until 2026-12-31: the lab has no owners"
    );
    assert_eq!(own(&lab, "2027-01-01T00:00:00Z").0, "failed");
    assert_eq!(own(&Facts::default(), "2026-12-31T00:00:00Z").0, "failed");
}

/// A VM whose folder cannot be read may be one of those that are accepted: a finding must neither appear nor go.
#[test]
fn whether_it_is_accepted_may_not_be_known() {
    let somewhere = Facts { folder: Fact::Unknown, ..Facts::default() };
    let (status, evidence) = own(&somewhere, "2026-12-01T00:00:00Z");
    assert_eq!(status, "not-readable");
    assert!(evidence.contains(Key::Folder.as_str()), "{evidence}");
    assert_eq!(own(&somewhere, "2027-12-01T00:00:00Z").0, "failed");
}

fn accepted(rules: &[&str]) -> Suppression {
    Suppression {
        name: Some("lab".into()),
        scope: Scope::Rules(rules.iter().map(|rule| rule.parse().unwrap()).collect()),
        objects: "all".parse().unwrap(),
        reason: "it is a lab".into(),
        until: end_of_day(jiff::civil::date(2026, 12, 31)).unwrap(),
    }
}

#[test]
fn rules_that_are_disabled_are_not_there_and_read_nothing() {
    let sources = Sources {
        families: vec!["bo*".parse().unwrap(), "devices".parse().unwrap()],
        disable: vec!["vm-device-*".parse().unwrap()],
        suppressions: vec![accepted(&["vm-secure-boot", "vm-device-*"])],
        ..Sources::default()
    };
    let rules = RuleSet::new(sources).unwrap();
    assert!(rules.all().count() > 0 && rules.all().all(|rule| !rule.id.as_str().starts_with("vm-device-")));
    assert!(rules.all().any(|rule| rule.family.as_str() == "boot"));
    assert_eq!(rules.suppressions().len(), 1, "what a disabled rule is called is known still");
}

#[test]
fn rules_of_people_do_not_take_the_names_of_others() {
    let file = |text: &str| parse("acme.toml", text).unwrap();
    let clash = OWN.replace("acme-vm-owner", "vm-secure-boot");
    let unknown = OWN.replace("rule = \"acme-*\"", "rule = \"acme-host-*\"");
    for (sources, wanted) in [
        (
            Sources { files: vec![file(&clash.replace("acme-*", "vm-*"))], ..Sources::default() },
            "acme.toml:2: vm-secure-boot: id: the name is taken by the rules of vmbridge; give it another; one that begins with your organisation's name stays free",
        ),
        (
            Sources {
                files: vec![file(&clash.replace("acme-*", "vm-*"))],
                without_defaults: true,
                ..Sources::default()
            },
            "acme.toml:2: vm-secure-boot: id: the name is taken by the rules of vmbridge; give it another; one that begins with your organisation's name stays free",
        ),
        (
            Sources { files: vec![file(&unknown)], ..Sources::default() },
            "acme.toml: suppress: no rule is called `acme-host-*`; docs/checks.md lists the rules and their families",
        ),
        (
            Sources { families: vec!["devises".parse().unwrap()], ..Sources::default() },
            "families: no rule is of the family `devises`; did you mean `devices`?",
        ),
        (
            Sources { disable: vec!["vm-secure-bot".parse().unwrap()], ..Sources::default() },
            "disable: no rule is called `vm-secure-bot`; did you mean `vm-secure-boot`?",
        ),
        (
            Sources {
                suppressions: vec![accepted(&["vm-*"]), accepted(&["vm-*", "none-*"])],
                ..Sources::default()
            },
            "suppress[2]: no rule is called `none-*`; docs/checks.md lists the rules and their families",
        ),
    ] {
        let mistakes = RuleSet::new(sources).unwrap_err();
        assert_eq!(mistakes.iter().map(ToString::to_string).collect::<Vec<_>>(), [wanted]);
    }
}

#[test]
fn rules_of_people_are_in_the_catalogue_too() {
    let rules: Vec<Rule> = parse("acme.toml", OWN).unwrap().rules.into_iter().map(|(rule, _)| rule).collect();
    assert!(catalogue(&rules).contains("acme-vm-owner"));
}
