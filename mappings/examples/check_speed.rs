//! How long all checks of 45,000 VMs take on one core: `cargo run --release -p mappings --example check_speed`.

use std::ops::ControlFlow;
use std::time::Instant;

use jiff::Timestamp;
use mappings::checks::{ApiVersion, Kind, Reading, RuleSet, Sources, Status, Subject};
use mappings::selector::{Fact, GuestFamily, PowerState, TagsKnown, VmFacts};

/// The most VMs of one vCenter.
const VMS: usize = 45_000;

struct Vm;

impl VmFacts for Vm {
    fn vcenter(&self) -> &str {
        "dc1"
    }

    fn name(&self) -> Fact<&str> {
        Fact::Known("web-01")
    }

    fn folder(&self) -> Fact<&str> {
        Fact::Known("/Prod/Web")
    }

    fn datacenter(&self) -> Fact<&str> {
        Fact::Known("Frankfurt")
    }

    fn cluster(&self) -> Fact<&str> {
        Fact::Known("prod-a")
    }

    fn guest_family(&self) -> Fact<GuestFamily> {
        Fact::Known(GuestFamily::Linux)
    }

    fn power_state(&self) -> Fact<PowerState> {
        Fact::Known(PowerState::On)
    }

    fn is_template(&self) -> Fact<bool> {
        Fact::Known(false)
    }

    fn visit_tags<'a>(&'a self, _: &mut dyn FnMut(&'a str, &'a str) -> ControlFlow<()>) -> TagsKnown {
        TagsKnown::Yes
    }

    fn custom_attribute(&self, _: &str) -> Fact<&str> {
        Fact::Absent
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn main() {
    let rules = match RuleSet::new(Sources::default()) {
        Ok(rules) => rules,
        Err(mistakes) => {
            for mistake in mistakes {
                eprintln!("{mistake}");
            }
            std::process::exit(2);
        }
    };
    let now = Timestamp::from_second(1_795_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
    // Values that are long, good for some rules and bad for others, and different from one VM to the next.
    let values = ["true", "FALSE", "required", "persistent", "guestToolsCurrent", "0", "1048576", "vmx-19"];
    let slots = rules.reads(Kind::Vm).len();
    let reading = |vm: usize, slot: usize| match (vm + slot) % 10 {
        8 => Reading::Missing,
        9 => Reading::Many(vec!["persistent".into(), "independent_persistent".into()].into()),
        at => Reading::One(values[at].into()),
    };
    let fleet: Vec<Vec<Reading>> =
        (0..VMS).map(|vm| (0..slots).map(|slot| reading(vm, slot)).collect()).collect();
    let begin = Instant::now();
    let (mut passed, mut failed, mut other) = (0_u64, 0_u64, 0_u64);
    for (at, readings) in fleet.iter().enumerate() {
        let version = Some(ApiVersion::new(if at % 3 == 0 { [7, 0, 3, 0] } else { [8, 0, 3, 0] }));
        let subject = Subject { kind: Kind::Vm, version, is_provider_managed: false, facts: &Vm };
        for outcome in rules.evaluate(&subject, readings, now) {
            match outcome.status {
                Status::Passed => passed += 1,
                Status::Failed => failed += 1,
                _ => other += 1,
            }
        }
    }
    let took = begin.elapsed();
    let count = rules.rules(Kind::Vm).count();
    println!(
        "{VMS} VMs, {count} rules: {:.3} s ({passed} passed, {failed} failed, {other} else)",
        took.as_secs_f64()
    );
}
