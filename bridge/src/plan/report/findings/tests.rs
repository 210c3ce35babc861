//! What is found wrong, one thing at a time.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use mappings::checks::{self, ApiVersion, Reading, RuleSet, Sources, Status as CheckStatus};
use mappings::findings::{Class, Severity, Status, Target};
use mappings::protection::Run;
use mappings::selector::VmFacts;

use super::checks::{Dictionary, Meaning, meaning, problem};
use super::subject::of_vm;
use super::vm::{Found, Look};
use crate::aws::{Node, Ping, Place, Platform};
use crate::config::{Environment, FindingsSettings};
use crate::enrol::Problem as EnrolProblem;
use crate::fleet::testing::{TestVcenter, TestVm};
use crate::fleet::{SharedFleet, VmView};
use crate::memory::Memory;
use crate::plan::snapshots::LastWindows;
use crate::plan::{Policy, Reason};
use crate::snapshot::{Entered, HoldBy, Member, Scope};
use crate::store::VmId;

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn policy(more: &str) -> Policy {
    let text = format!(
        "[[vcenter]]\nname='a'\nurl='https://a'\nusername='u'\npassword={{file='/x'}}\n[[aws]]\nname='main'\nregion='eu-central-1'\n{more}"
    );
    let config = crate::config::parse(&text, Path::new("vmbridge.toml"), &Environment::default());
    Policy::of(&config.unwrap_or_else(|mistakes| panic!("{mistakes}")))
}

/// Looks at the VM of a fleet.
fn with_view<T>(vm: &TestVm, look: impl FnOnce(&VmView<'_>, &VmId) -> T) -> T {
    let fleet = SharedFleet::new();
    let vcenter = TestVcenter::new(&fleet, "dc1", 1);
    vcenter.read(std::slice::from_ref(vm), now());
    let id = VmId { vcenter: vcenter.uuid.parse().unwrap(), vm: vm.moref().shared_value() };
    let reading = fleet.read();
    let view = reading.part(&vcenter.name).unwrap().vm(vm.moref().value()).unwrap();
    look(&view, &id)
}

fn node(ping: Ping, last_ping: Option<Timestamp>) -> Node {
    Node {
        id: "mi-0123456789abcdef0".into(),
        computer_name: None,
        ip_address: None,
        platform: Some(Platform::Linux),
        agent_version: None,
        ping,
        last_ping,
        activation: None,
        registered: None,
    }
}

/// The word for what came of a rule.
fn found(
    vm: &TestVm,
    rule: &str,
    enrol: Option<&Reason>,
    node: Option<&Node>,
    (memory, policy): (&Memory, &Policy),
) -> &'static str {
    with_view(vm, |view, id| {
        let (node, windows) = (node.map(Some), LastWindows::of(memory, now()));
        let (last_window, disputed, patches, now) = (windows.get(id), false, None, now());
        let look = Look { view, id, enrol, disputed, node, last_window, patches, memory, policy, now };
        let all = look.found(&FindingsSettings::off());
        let (_, found) = all.into_iter().find(|(own, _)| own.id == rule).unwrap();
        match found {
            Found::Bad(_) => "bad",
            Found::Good => "good",
            Found::NotAsked => "notAsked",
            Found::Unknown => "unknown",
        }
    })
}

#[test]
fn a_vm_is_unmanaged_when_something_is_in_the_way_of_what_was_asked_for() {
    let (memory, enforced) = (Memory::default(), policy("[enrol]\nmode='enforce'"));
    let observed = policy("[enrol]\nmode='observe'");
    let vm = TestVm::new(1, &[]);
    let of = |reason: Option<&Reason>, policy: &Policy| {
        found(&vm, "vm-unmanaged", reason, None, (&memory, policy))
    };
    let problem = EnrolProblem::passing("noSpace", "the disk is full");
    for (reason, word) in [
        (Reason::NoCredentials, "bad"),
        (Reason::ToolsNotRunning, "bad"),
        (Reason::CredentialsRefused(vec!["admin".into()]), "bad"),
        (Reason::EnrolFailed { problem: problem.clone(), failures: 2, retry_at: now() }, "bad"),
        (Reason::NotToBeEnrolled, "notAsked"),
        (Reason::Off, "notAsked"),
        // It is told as such.
        (Reason::EnrolQuarantined(problem.clone()), "good"),
        (Reason::PoweredOff, "unknown"),
        (Reason::EnrolUndecided, "unknown"),
        (Reason::Enrolling("prepare"), "unknown"),
        (Reason::WaitsForOthers, "unknown"),
    ] {
        assert_eq!(of(Some(&reason), &enforced), word, "{reason:?}");
    }
    // What could begin begins, unless it is only observed.
    assert_eq!((of(None, &enforced), of(None, &observed)), ("unknown", "bad"));
    assert_eq!(of(Some(&Reason::WaitsForOthers), &observed), "bad");
    let quarantined = Reason::EnrolQuarantined(problem);
    let well = node(Ping::Online, None);
    for node in [None, Some(&well)] {
        let word = found(&vm, "enrolment-quarantined", Some(&quarantined), node, (&memory, &enforced));
        assert_eq!(word, "bad", "also of a node that was to be repaired");
    }
    assert_eq!(
        found(&vm, "vm-unmanaged", Some(&Reason::NoCredentials), Some(&well), (&memory, &enforced)),
        "good"
    );
}

#[test]
fn an_agent_is_offline_when_it_is_silent_for_some_time_and_the_vm_runs() {
    let (memory, policy) = (Memory::default(), policy(""));
    let of = |vm: &TestVm, node: &Node| {
        found(vm, "agent-offline", Some(&Reason::InStep), Some(node), (&memory, &policy))
    };
    let on = TestVm::new(1, &[]);
    let mut off = on.clone();
    off.machine.on = false;
    let ago = |minutes| Some(now() - SignedDuration::from_mins(minutes));
    assert_eq!(of(&on, &node(Ping::Online, ago(60))), "good");
    assert_eq!(of(&on, &node(Ping::ConnectionLost, ago(29))), "unknown");
    assert_eq!(of(&on, &node(Ping::ConnectionLost, ago(30))), "bad");
    assert_eq!(of(&on, &node(Ping::Inactive, None)), "bad");
    assert_eq!(of(&on, &node(Ping::Unknown, ago(60))), "unknown");
    assert_eq!(of(&off, &node(Ping::Inactive, ago(60))), "good");
}

#[test]
fn a_vm_is_unprotected_that_went_into_its_last_window_without_a_snapshot() {
    let policy = policy("[snapshots]\nmode='enforce'\n[[snapshots.policy]]\nname='all'");
    let vm = TestVm::new(1, &[]);
    let of = |memory: &Memory| {
        found(&vm, "no-snapshot-before-window", Some(&Reason::InStep), None, (memory, &policy))
    };
    let id = with_view(&vm, |_, id| id.clone());
    let memory = |openings: &[(i64, Option<Entered>)]| {
        let mut memory = Memory::default();
        for (days, entered) in openings {
            let run = Run {
                window: "mw-0123456789abcdef0".into(),
                name: "patch night".into(),
                opens: now() - SignedDuration::from_hours(24 * days),
                closes: now() - SignedDuration::from_hours(24 * days - 3),
            };
            let member = Member { vm: id.clone(), hold: HoldBy::NotAsked, joined: None, entered: *entered };
            let scope = Scope { run, place: None, frozen: now(), members: vec![member] };
            memory.scopes.insert(scope.key(), scope);
        }
        memory
    };
    let taken = Entered::Protected { taken: now() };
    assert_eq!(of(&Memory::default()), "unknown", "nobody remembers a window");
    assert_eq!(of(&memory(&[(1, Some(taken))])), "good");
    assert_eq!(of(&memory(&[(1, Some(Entered::Held))])), "good");
    assert_eq!(of(&memory(&[(1, Some(Entered::Unprotected))])), "bad");
    assert_eq!(of(&memory(&[(1, None)])), "unknown", "nobody asked for a snapshot");
    assert_eq!(of(&memory(&[(8, Some(Entered::Unprotected)), (1, Some(taken))])), "good", "the last counts");
    assert_eq!(of(&memory(&[(8, Some(taken)), (1, Some(Entered::Unprotected))])), "bad");
    assert_eq!(of(&memory(&[(-1, Some(Entered::Unprotected))])), "unknown", "it comes yet");
}

fn target() -> Arc<Target> {
    let (account, region) = ("111122223333".into(), "eu-central-1".into());
    Arc::new(Target { partition: "aws".into(), account, region })
}

/// All outcomes of the default rules on something that has the same reading everywhere.
fn outcomes(reading: &Reading, each: &mut dyn FnMut(&checks::Outcome<'_>, &VmView<'_>, &VmId)) {
    let rules = RuleSet::new(Sources::default()).unwrap();
    with_view(&TestVm::new(1, &["Owner:Team B", "Owner:Team A", "Env:Live"]), |view, id| {
        for kind in checks::Kind::ALL {
            let readings = vec![reading.clone(); rules.reads(*kind).len()];
            let facts: &dyn VmFacts = view;
            let version = ApiVersion::parse("8.0.3");
            let subject = checks::Subject { kind: *kind, version, is_provider_managed: false, facts };
            for outcome in rules.evaluate(&subject, &readings, now()) {
                each(&outcome, view, id);
            }
        }
    });
}

#[test]
fn a_failed_check_becomes_a_problem_that_says_what_the_rule_says() {
    let (mut told, mut severities, mut words) = (0, BTreeSet::new(), Dictionary::default());
    outcomes(&Reading::One("strange".into()), &mut |outcome, view, id| {
        let is_bad = matches!(outcome.status, CheckStatus::Failed);
        assert_eq!(meaning(outcome) == Meaning::Bad, is_bad);
        if !is_bad {
            return;
        }
        let place = Place::new("111122223333", "eu-central-1");
        let node = "mi-0123456789abcdef0".into();
        let subject = Arc::new(of_vm(view, id.vcenter, Some((&place, &node)), Some("Owner")));
        assert_eq!(subject.owner.as_deref(), Some("Team A, Team B"));
        assert_eq!(subject.datacenter.as_deref(), Some("dc one"));
        assert_eq!(subject.node.as_ref().unwrap().id.as_str(), node.as_str());
        let problem = problem(outcome, &subject, &target(), &mut words);
        let rule = outcome.rule;
        assert_eq!(
            (problem.rule.as_str(), problem.family.as_str()),
            (rule.id.as_str(), rule.family.as_str())
        );
        assert_eq!((&*problem.title, problem.status), (&*rule.title, Status::Failed));
        assert_eq!(problem.class, Class::Hardening);
        assert_eq!(problem.severity.label().to_lowercase(), rule.severity.as_str());
        assert_eq!(problem.requirements.len(), rule.references.iter().count());
        assert_eq!(&*problem.advice.as_ref().unwrap().text, &*rule.remediation);
        assert_eq!(*problem.evidence["found"], *outcome.evidence());
        told += 1;
        severities.insert(problem.severity);
    });
    assert!(told > 10, "{told}");
    assert!(severities.contains(&Severity::Critical) && severities.len() > 2, "{severities:?}");
}

#[test]
fn what_cannot_be_read_is_no_problem_and_not_well_either() {
    let (mut unknown, mut bad) = (0, 0);
    outcomes(&Reading::Unreadable, &mut |outcome, _, _| match meaning(outcome) {
        Meaning::Unknown => unknown += 1,
        Meaning::Bad => bad += 1,
        Meaning::NotAsked => {
            assert!(matches!(outcome.status, CheckStatus::NotApplicable(_)), "{outcome:?}");
        }
        Meaning::Good | Meaning::Accepted => panic!("{outcome:?}"),
    });
    assert!(unknown > 40 && bad == 0, "{unknown} {bad}");
}
