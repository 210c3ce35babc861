use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;
use crate::selector::{GuestFamily, PowerState, TagsKnown};

#[derive(Debug, Clone, Default)]
struct Vm {
    tags: Option<Vec<(String, String)>>,
    attribute: Option<String>,
    cluster: Option<String>,
}

impl VmFacts for Vm {
    fn vcenter(&self) -> &str {
        "dc1"
    }
    fn name(&self) -> Fact<&str> {
        Fact::Known("web, 1")
    }
    fn folder(&self) -> Fact<&str> {
        Fact::Known("/Prod/Web")
    }
    fn datacenter(&self) -> Fact<&str> {
        Fact::Unknown
    }
    fn cluster(&self) -> Fact<&str> {
        self.cluster.as_deref().map_or(Fact::Absent, Fact::Known)
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
    fn visit_tags<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a str) -> ControlFlow<()>) -> TagsKnown {
        for (category, name) in self.tags.iter().flatten() {
            if visit(category, name).is_break() {
                break;
            }
        }
        if self.tags.is_some() { TagsKnown::Yes } else { TagsKnown::No }
    }
    fn custom_attribute(&self, name: &str) -> Fact<&str> {
        match &self.attribute {
            Some(value) if name == "Cost" => Fact::Known(value),
            _ => Fact::Absent,
        }
    }
}

impl TagFacts for Vm {
    fn resource_pool(&self) -> Fact<&str> {
        Fact::Absent
    }
    fn guest_os(&self) -> Fact<&str> {
        Fact::Known("Debian GNU/Linux 12 (64-bit)")
    }
    fn host_name(&self) -> Fact<&str> {
        Fact::Absent
    }
}

fn vm(tags: &[(&str, &str)]) -> Vm {
    let tags = tags.iter().map(|(category, name)| ((*category).to_owned(), (*name).to_owned()));
    Vm { tags: Some(tags.collect()), ..Vm::default() }
}

fn spec(name: &str) -> RuleSpec {
    RuleSpec { name: name.to_owned(), ..RuleSpec::default() }
}

fn category(category: &str) -> RuleSpec {
    RuleSpec { category: Some(category.to_owned()), ..spec(category) }
}

fn value(key: &str, value: &str) -> RuleSpec {
    RuleSpec { value: Some(value.to_owned()), key: Some(key.to_owned()), ..spec(key) }
}

fn told(rules: Vec<RuleSpec>, vm: &Vm) -> Vec<String> {
    let rules = RuleSet::new(rules).unwrap();
    let desired = rules.desired(vm);
    let mut lines: Vec<String> =
        desired.tags.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect();
    lines.extend(desired.undetermined.iter().map(ToString::to_string));
    lines.extend(desired.problems.iter().map(ToString::to_string));
    lines
}

#[test]
fn categories_attributes_and_templates() {
    let mut vm = vm(&[("Env", "Prod"), ("Other", "x")]);
    vm.attribute = Some("42".into());
    vm.cluster = Some("c1".into());
    let cost = RuleSpec { attribute: Some("Cost".into()), key: Some("CostCenter".into()), ..spec("cost") };
    let rules = vec![
        category("Env"),
        cost,
        value("where", "{vcenter}{{}}/{cluster}"),
        value("pool", "{resource-pool}"),
    ];
    assert_eq!(told(rules, &vm), ["Env=Prod", "CostCenter=42", "where=dc1__/c1"]);
}

#[test]
fn a_pattern_of_categories_makes_keys() {
    let rule = RuleSpec { key: Some("vs:{category}".into()), ..category("App*") };
    let vm = vm(&[("AppB", "2"), ("AppA", "1"), ("App,", "3"), ("Env", "x")]);
    let lines = told(vec![rule], &vm);
    assert_eq!(lines[..2], ["vs:AppA=1", "vs:AppB=2"]);
    assert!(lines[2].contains("the key cannot be used"), "{}", lines[2]);
}

#[test]
fn several_tags_of_a_category() {
    let vm = vm(&[("Owner", "b"), ("Owner", "a")]);
    let rule = |several| RuleSpec { several, ..category("Owner") };
    assert_eq!(told(vec![rule(Several::Join)], &vm), ["Owner=a/b"]);
    assert_eq!(told(vec![rule(Several::First)], &vm), ["Owner=a"]);
    assert!(told(vec![rule(Several::Error)], &vm)[0].contains("several tags (a, b)"));
}

#[test]
fn what_is_not_known_is_not_nothing() {
    let rules = RuleSet::new(vec![category("Env"), value("dc", "{datacenter}"), category("App")]).unwrap();
    let unknown = rules.desired(&Vm::default());
    let key = |text: &str| TagKey::new(text).unwrap();
    assert!(unknown.tags.is_empty());
    assert!(unknown.keeps(&rules, &key("Env")) && unknown.keeps(&rules, &key("dc")));
    let known = rules.desired(&vm(&[]));
    assert!(!known.keeps(&rules, &key("Env")) && known.keeps(&rules, &key("dc")));
    assert!(!unknown.keeps(&rules, &key("Gone")), "no rule writes it");
}

#[test]
fn windows_are_named_by_a_token() {
    let rule = RuleSpec { kind: Kind::MaintenanceWindow, ..category("Window") };
    assert_eq!(told(vec![rule.clone()], &vm(&[("Window", "sun-0200")])), ["Maintenance Window=sun-0200"]);
    assert!(told(vec![rule], &vm(&[("Window", "cron(0 2 ? * SUN *)")]))[0].contains("is a schedule"));
}

#[test]
fn every_mistake_at_once() {
    let rules = vec![
        spec("nothing"),
        value("aws:x", "1"),
        value("vmbridge:x", "1"),
        value("a", "{clustre}"),
        RuleSpec { key: Some("Patch Group".into()), ..category("PG") },
        RuleSpec { kind: Kind::PatchGroup, several: Several::Join, ..category("PG2") },
        category("twice"),
        RuleSpec { key: Some("twice".into()), ..category("other") },
        category("All*x["),
        RuleSpec { key: Some("fixed".into()), ..category("All*") },
        RuleSpec { replacement: Some(",".into()), ..category("ok") },
    ];
    let errors = RuleSet::new(rules).unwrap_err();
    let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn encoding_can_be_undone() {
    assert_eq!(encode("a=b, ü"), "a=3Db=2C ü");
    assert_eq!(decode("a=3Db=2C ü").as_deref(), Some("a=b, ü"));
    assert_eq!(decode("a=3"), None);
    assert_eq!(decode("a=+1"), None);
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,20}", "\\PC{0,300}", "[a-z]{250,300}"]
}

proptest! {
    #[test]
    fn any_value_becomes_what_aws_accepts(text in any_text(), encoded: bool) {
        let invalid = if encoded { Invalid::Encode } else { Invalid::Replace };
        let rules = RuleSet::new(vec![RuleSpec { invalid, ..category("Env") }]).unwrap();
        let desired = rules.desired(&vm(&[("Env", &text)]));
        if text.is_empty() {
            prop_assert!(desired.tags.is_empty());
        } else if let [tag] = &desired.tags[..] {
            prop_assert!(TagValue::new(tag.value.as_str()).is_ok());
            if tag.changed == Some(Mapped::Encoded) {
                prop_assert_eq!(decode(tag.value.as_str()), Some(text));
            } else if tag.changed.is_none() {
                prop_assert_eq!(tag.value.as_str(), text);
            }
        } else {
            prop_assert!(text.to_ascii_lowercase().starts_with("aws:"));
        }
    }

    #[test]
    fn long_values_stay_apart(start in "[a-z]{256}", one in "[a-z]{1,20}", two in "[a-z]{1,20}") {
        let rules = RuleSet::new(vec![category("Env")]).unwrap();
        let of = |end: &str| rules.desired(&vm(&[("Env", &format!("{start}{end}"))])).tags[0].value.clone();
        prop_assert_eq!(one == two, of(&one) == of(&two));
    }
}

#[test]
fn vowel_signs_are_no_letters() {
    // क + sign i, ส + sign ii, circled a: alphabetic, but not what AWS means by letters.
    for (character, allowed) in
        [('क', true), ('\u{93f}', false), ('\u{e35}', false), ('ⓐ', false), ('٣', true), ('½', true)]
    {
        assert_eq!(is_allowed(character), allowed, "{character}");
    }
}
