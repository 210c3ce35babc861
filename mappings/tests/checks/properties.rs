//! Whatever vCenter sends and whatever people write: nothing panics, and nothing hostile gets through.

use std::sync::{Arc, LazyLock};

use mappings::checks::{ApiVersion, Kind, LONGEST_EVIDENCE, Reading, RuleSet, Subject, parse};
use proptest::prelude::*;

use crate::fixtures::{defaults, now};
use crate::object::{Facts, Node};

static RULES: LazyLock<RuleSet> = LazyLock::new(defaults);

/// Names that rules look for, so that their ways are walked.
const NAMES: &[&str] = &[
    "key",
    "value",
    "element",
    "enabled",
    "running",
    "policy",
    "connectable",
    "connected",
    "backing",
    "diskMode",
    "vlan",
    "vlanId",
    "start",
    "dasConfig",
    "securityPolicy",
    "allowPromiscuous",
];
const TYPES: &[&str] = &["VirtualFloppy", "VirtualCdrom", "VirtualDisk", "HostActiveDirectoryInfo"];
const TEXTS: &[&str] = &[
    "true",
    "FALSE",
    "0",
    "-1",
    "99999999999999999999",
    "vmx-",
    "vmx-17",
    "TSM",
    "2026-12-01T00:00:00Z",
    "",
];

fn text() -> impl Strategy<Value = String> + Clone {
    prop_oneof![prop::sample::select(TEXTS).prop_map(str::to_owned), ".{0,40}", "\\PC{0,200}"]
}

fn node() -> impl Strategy<Value = Node> {
    let name = prop_oneof![prop::sample::select(NAMES).prop_map(str::to_owned), ".{0,8}"];
    let kind = prop::option::of(prop::sample::select(TYPES).prop_map(str::to_owned));
    text().prop_map(|text| Node::leaf(&text)).prop_recursive(5, 60, 8, move |inner| {
        let children = prop::collection::vec((name.clone(), inner), 0..8);
        (kind.clone(), children).prop_map(|(kind, children)| Node { text: None, kind, children })
    })
}

fn reading() -> impl Strategy<Value = Reading> {
    let value = text().prop_map(|text| Arc::<str>::from(text.as_str()));
    prop_oneof![
        Just(Reading::Unreadable),
        Just(Reading::Missing),
        value.clone().prop_map(Reading::One),
        prop::collection::vec(value, 0..9).prop_map(|values| Reading::Many(values.into())),
    ]
}

fn version() -> impl Strategy<Value = Option<ApiVersion>> {
    prop::option::of(any::<[u16; 4]>().prop_map(ApiVersion::new))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_tree_is_reduced(tree in node()) {
        let rules = &*RULES;
        for kind in Kind::ALL {
            for read in rules.reads(*kind) {
                let reading = read.take(&tree);
                prop_assert!(!matches!(&reading, Reading::Many(values) if values.len() < 2), "{reading:?}");
            }
        }
    }

    #[test]
    fn any_reading_is_judged(
        readings in prop::collection::vec(reading(), 0..90),
        version in version(),
        second in -100_000_000_000_i64..100_000_000_000,
    ) {
        let rules = &*RULES;
        let facts = Facts::default();
        let now = jiff::Timestamp::from_second(second).unwrap_or(now());
        for kind in Kind::ALL {
            let subject = Subject { kind: *kind, version, is_provider_managed: false, facts: &facts };
            for outcome in rules.evaluate(&subject, &readings, now) {
                let evidence = outcome.evidence();
                prop_assert!(evidence.len() <= LONGEST_EVIDENCE);
                prop_assert!(!evidence.contains(char::is_control), "{evidence:?}");
                let known = rules.reads(*kind).binary_search(&outcome.rule.read).ok()
                    .and_then(|slot| readings.get(slot))
                    .is_some_and(|reading| *reading != Reading::Unreadable);
                let judged = matches!(outcome.status.word(), "passed" | "failed" | "suppressed");
                prop_assert!(known || !judged, "{}: {:?}", outcome.rule.id, outcome.status);
            }
        }
    }

    #[test]
    fn any_file_is_read_or_refused(text in "\\PC{0,300}", tail in "(.|\n){0,120}") {
        for text in [text.clone(), format!("[[rule]]\n{tail}"), format!("[[suppress]]\n{text}")] {
            if let Err(mistakes) = parse("any.toml", &text) {
                prop_assert!(!mistakes.is_empty());
                for mistake in mistakes {
                    prop_assert!(mistake.to_string().starts_with("any.toml"));
                }
            }
        }
    }
}
