use std::ops::ControlFlow;

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
struct Vm {
    vcenter: String,
    name: Option<String>,
    folder: Option<String>,
    cluster: Fact<&'static str>,
    guest: Fact<GuestFamily>,
    power: Fact<PowerState>,
    template: Fact<bool>,
    tags: Vec<(String, String)>,
    tags_known: TagsKnown,
    attributes: Vec<(String, String)>,
}

fn vm() -> Vm {
    Vm {
        vcenter: "dc1".to_owned(),
        name: Some("web-01".to_owned()),
        folder: Some("/Prod/Web".to_owned()),
        cluster: Fact::Known("Gold"),
        guest: Fact::Known(GuestFamily::Linux),
        power: Fact::Known(PowerState::On),
        template: Fact::Known(false),
        tags: vec![("Env".to_owned(), "prod".to_owned()), ("Patch Group".to_owned(), "Friday".to_owned())],
        tags_known: TagsKnown::Yes,
        attributes: vec![("Owner".to_owned(), "Web Team".to_owned())],
    }
}

fn known(text: Option<&String>) -> Fact<&str> {
    text.map_or(Fact::Unknown, |text| Fact::Known(text))
}

impl VmFacts for Vm {
    fn vcenter(&self) -> &str {
        &self.vcenter
    }
    fn name(&self) -> Fact<&str> {
        known(self.name.as_ref())
    }
    fn folder(&self) -> Fact<&str> {
        known(self.folder.as_ref())
    }
    fn datacenter(&self) -> Fact<&str> {
        Fact::Known("Frankfurt 1")
    }
    fn cluster(&self) -> Fact<&str> {
        self.cluster
    }
    fn guest_family(&self) -> Fact<GuestFamily> {
        self.guest
    }
    fn power_state(&self) -> Fact<PowerState> {
        self.power
    }
    fn is_template(&self) -> Fact<bool> {
        self.template
    }
    fn visit_tags<'a>(&'a self, visit: &mut dyn FnMut(&'a str, &'a str) -> ControlFlow<()>) -> TagsKnown {
        for (category, name) in &self.tags {
            if visit(category, name).is_break() {
                break;
            }
        }
        self.tags_known
    }
    fn custom_attribute(&self, name: &str) -> Fact<&str> {
        self.attributes
            .iter()
            .find(|(attribute, _)| attribute.eq_ignore_ascii_case(name))
            .map_or(Fact::Absent, |(_, value)| Fact::Known(value))
    }
}

fn selector(text: &str) -> Selector {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn every_key_can_select_and_refuse() {
    for text in [
        "vcenter=DC1",
        "datacenter=frankfurt*",
        "cluster=gold",
        "folder=/prod/**",
        "name=WEB-??",
        "tag=env:PROD",
        "tag='patch group:*'",
        "tag=*:friday",
        "attribute='owner=web *'",
        "guest=Linux",
        "power=ON",
        "template=no",
        "template=FALSE",
        "all",
        "name=x or name=web*",
        "name=x|web*",
        "folder=/Prod/**,power=on and tag=Env:prod",
        "all except name=db*",
    ] {
        assert!(selector(text).selects(&vm()), "{text}");
    }
    for text in [
        "vcenter=dc",
        "datacenter=frankfurt",
        "cluster=gold2",
        "folder=/prod",
        "name=web-?",
        "tag=env:stage",
        "tag=Patch:Friday",
        "attribute=owner=web",
        "attribute=Missing=*",
        "guest=windows",
        "power=off|suspended",
        "template=yes",
        "name=web* and power=off",
        "all except tag=Patch?Group:*",
        "name=web* except folder=/Prod/**",
    ] {
        assert!(!selector(text).selects(&vm()), "{text}");
    }
}

#[test]
fn what_is_not_known_is_neither_yes_nor_no() {
    let mut blind = vm();
    blind.tags_known = TagsKnown::No;
    let by_tag = selector("all except tag=Patch:never");
    assert_eq!(by_tag.verdict(&blind), Verdict::Unknown(Key::Tag));
    assert_eq!(by_tag.verdict(&vm()), Verdict::Selected);
    // A tag that is seen counts, even if others may be missing.
    assert!(selector("tag=Env:prod").selects(&blind));
    // Another condition that certainly fails decides.
    assert_eq!(selector("tag=Patch:never and power=off").verdict(&blind), Verdict::NotIncluded);
    assert_eq!(selector("power=off except tag=Patch:never").verdict(&blind), Verdict::NotIncluded);
    // An exclude clause that certainly holds decides too.
    let text = "tag=Patch:never except name=web*";
    assert!(matches!(selector(text).verdict(&blind), Verdict::Excluded(_)));

    let mut standalone = vm();
    standalone.cluster = Fact::Absent;
    assert_eq!(selector("cluster=*").verdict(&standalone), Verdict::NotIncluded);
    standalone.cluster = Fact::Unknown;
    assert_eq!(selector("cluster=*").verdict(&standalone), Verdict::Unknown(Key::Cluster));
    assert_eq!(selector("cluster=x or power=on").verdict(&standalone), Verdict::Selected);
}

#[test]
fn the_clause_that_excludes_is_named() {
    let selector = selector("all except name=db* or tag='Patch Group:Friday'");
    let vm = vm();
    let Verdict::Excluded(clause) = selector.verdict(&vm) else { panic!("not excluded") };
    assert_eq!(clause.to_string(), "tag=\"Patch Group:Friday\"");
}

#[test]
fn mistakes_name_the_place_and_what_is_allowed() {
    let mistakes: Vec<String> = [
        "",
        "   ",
        "folder",
        "foldr=/x",
        "Folder=/x",
        "folder=Prod",
        "folder=/a//b",
        "tag=prod",
        "tag=Env:",
        "tag=Env:[a",
        "attribute=Owner",
        "attribute==x",
        "guest=Linx",
        "guest=windowsGuest",
        "power=poweredOn",
        "template=maybe",
        "name=My VM",
        "name=",
        "name=a|",
        "name=\"abc",
        "name=a or",
        "name=a xor name=b",
        "name=a and name=b",
        "name=a except name=b except name=c",
        "all or name=b",
        "name=ä* and powr=on",
        "name=a,",
    ]
    .into_iter()
    .map(|text| format!("{text:24} -> {}", text.parse::<Selector>().unwrap_err()))
    .collect();
    insta::assert_snapshot!(mistakes.join("\n"));
}

#[test]
fn a_clause_alone_takes_no_or() {
    assert_eq!(
        "name=a and power=on".parse::<Clause>().unwrap().keys().collect::<Vec<_>>(),
        [Key::Name, Key::Power]
    );
    assert!("name=a or name=b".parse::<Clause>().unwrap_err().to_string().contains("one clause"));
    assert!("".parse::<Clause>().is_err());
}

#[test]
fn the_text_form_is_canonical() {
    for (written, canonical) in [
        ("all", "all"),
        ("name = a , power=on", "name=a and power=on"),
        ("NAME=a".to_lowercase().as_str(), "name=a"),
        ("template=TRUE|false", "template=yes|no"),
        (
            "tag='Patch Group:a'|Env:b OR guest=LINUX EXCEPT name=c",
            "tag=\"Patch Group:a\"|Env:b or guest=linux except name=c",
        ),
        (r#"name='say "hi"'"#, r#"name="say \"hi\"""#),
        (r"name=a\ b", r#"name="a\ b""#),
        (r"attribute=A\=B=c", r"attribute=A\=B=c"),
    ] {
        assert_eq!(selector(written).to_string(), canonical);
    }
}

#[test]
fn a_fleet_of_45_000_is_matched_without_delay() {
    let selector = selector(
        "folder=/Prod/**|/Stage/** and tag=Env:prod|Env:stage and guest=linux except name=*-test or attribute=Owner=nobody",
    );
    let fleet: Vec<Vm> = (0..45_000)
        .map(|i| Vm { name: Some(format!("web-{i}{}", if i % 3 == 0 { "-test" } else { "" })), ..vm() })
        .collect();
    let selected = fleet.iter().filter(|vm| selector.selects(*vm)).count();
    assert_eq!(selected, 30_000);
}

fn patterns() -> impl Strategy<Value = String> {
    prop_oneof![r#"[a-zA-Z0-9äÖ *?,|"'=:\-]{1,12}"#, r#"(\\[\\*"'|, =:\[]|[a-c]){1,6}"#,]
}

fn conditions() -> impl Strategy<Value = (Key, Vec<String>)> {
    prop_oneof![
        (
            prop::sample::select(vec![Key::Vcenter, Key::Datacenter, Key::Cluster, Key::Name]),
            prop::collection::vec(patterns(), 1..3)
        ),
        (Just(Key::Folder), prop::collection::vec(r"(/([a-z *]{1,5}|\*\*)){1,4}", 1..3)),
        (
            prop::sample::select(vec![Key::Tag]),
            prop::collection::vec(
                (patterns(), patterns()).prop_map(|(a, b)| format!("{}:{b}", a.replace(':', ";"))),
                1..3
            )
        ),
        (
            Just(Key::Attribute),
            prop::collection::vec(
                (patterns(), patterns()).prop_map(|(a, b)| format!("{}={b}", a.replace('=', "-"))),
                1..3
            )
        ),
        (
            Just(Key::Guest),
            prop::collection::vec(
                prop::sample::select(GuestFamily::WORDS.to_vec()).prop_map(str::to_owned),
                1..3
            )
        ),
        (
            Just(Key::Power),
            prop::collection::vec(
                prop::sample::select(PowerState::WORDS.to_vec()).prop_map(str::to_owned),
                1..3
            )
        ),
        (
            Just(Key::Template),
            prop::collection::vec(prop::sample::select(vec!["yes", "no"]).prop_map(str::to_owned), 1..2)
        ),
    ]
}

fn clauses() -> impl Strategy<Value = Clause> {
    prop::collection::vec(conditions(), 1..4).prop_filter_map("nothing compiled", |conditions| {
        let mut builder = Clause::builder();
        for (key, values) in conditions {
            for value in values {
                // Some generated patterns are refused; what is left is the clause.
                let _ = builder.add(key, &value);
            }
        }
        builder.build()
    })
}

fn selectors() -> impl Strategy<Value = Selector> {
    (prop::collection::vec(clauses(), 0..4), prop::collection::vec(clauses(), 0..4))
        .prop_map(|(include, exclude)| Selector::new(include, exclude))
}

fn vms() -> impl Strategy<Value = Vm> {
    (
        prop::option::of("[a-cÄ -]{1,6}"),
        prop::option::of("/[a-c]{0,3}"),
        prop::sample::select(vec![Fact::Known("a"), Fact::Absent, Fact::Unknown]),
        prop::sample::select(vec![Fact::Known(PowerState::On), Fact::Known(PowerState::Off), Fact::Unknown]),
        prop::collection::vec(("[a-c]{1,2}", "[a-c]{1,2}"), 0..3),
        prop::sample::select(vec![TagsKnown::Yes, TagsKnown::No]),
    )
        .prop_map(|(name, folder, cluster, power, tags, tags_known)| Vm {
            name,
            folder,
            cluster,
            power,
            tags,
            tags_known,
            ..vm()
        })
}

/// The same VM with what was unknown filled in one way or another.
fn completed(vm: &Vm, other: &Vm) -> Vm {
    let mut full = vm.clone();
    full.name = full.name.or_else(|| Some("filled".to_owned()));
    full.folder = full.folder.or_else(|| Some("/filled".to_owned()));
    if full.cluster == Fact::Unknown {
        full.cluster = if other.cluster == Fact::Unknown { Fact::Absent } else { other.cluster };
    }
    if full.power == Fact::Unknown {
        full.power = Fact::Known(PowerState::Suspended);
    }
    if full.tags_known == TagsKnown::No {
        full.tags.extend(other.tags.iter().cloned());
        full.tags_known = TagsKnown::Yes;
    }
    full
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_equal(selector in selectors()) {
        let text = selector.to_string();
        let again: Selector = text.parse().map_err(|error| TestCaseError::fail(format!("{text}: {error}")))?;
        prop_assert_eq!(&again, &selector, "{}", text);
        // A quote may gain a backslash the first time; after that the text stays as it is.
        let settled = again.to_string();
        prop_assert_eq!(settled.parse::<Selector>().unwrap().to_string(), settled);
    }

    #[test]
    fn exclude_wins(selector in selectors(), clause in clauses(), vm in vms()) {
        let only = Selector::new(vec![clause.clone()], Vec::new());
        if only.selects(&vm) {
            let mut exclude = selector.exclude().to_vec();
            exclude.push(clause);
            let narrowed = Selector::new(selector.include().to_vec(), exclude);
            prop_assert!(matches!(narrowed.verdict(&vm), Verdict::Excluded(_)));
        }
    }

    #[test]
    fn a_certain_verdict_survives_learning_more(selector in selectors(), vm in vms(), other in vms()) {
        let full = completed(&vm, &other);
        match selector.verdict(&vm) {
            Verdict::Unknown(_) => {}
            Verdict::Selected => prop_assert!(selector.selects(&full)),
            Verdict::NotIncluded | Verdict::Excluded(_) => prop_assert!(!selector.selects(&full)),
        }
        let with_all_facts = selector.verdict(&full);
        prop_assert!(!matches!(with_all_facts, Verdict::Unknown(_)), "{with_all_facts:?}");
    }

    #[test]
    fn case_never_matters(selector in selectors(), vm in vms()) {
        let upper = Vm { name: vm.name.as_ref().map(|name| name.to_uppercase()), ..vm.clone() };
        prop_assert_eq!(selector.selects(&upper), selector.selects(&vm));
    }

    #[test]
    fn any_text_is_read_or_refused_at_a_place_within_it(text in "\\PC{0,80}") {
        if let Err(error) = text.parse::<Selector>() {
            prop_assert!(error.offset <= text.len());
            let _ = error.to_string();
        }
    }

    #[test]
    fn near_misses_are_read_or_refused(
        words in prop::collection::vec(prop::sample::select(vec![
            "name", "folder", "tag", "=", "|", ",", " ", "and", "or", "except", "all", "\"", "'", "\\", "/a", "x:y", "**", "[", "ü",
        ]), 0..14)
    ) {
        let text = words.concat();
        if let Err(error) = text.parse::<Selector>() {
            prop_assert!(error.offset <= text.len() && text.is_char_boundary(error.offset), "{}", error);
        }
    }
}

/// What docs/selectors.md shows is what is accepted.
#[test]
fn the_examples_in_the_documentation_are_valid() {
    let page = include_str!("../../../docs/selectors.md");
    let block = page.split("```text\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let mut seen = 0;
    for line in block.lines() {
        // A comment stands behind at least two spaces.
        let example = line.split("  ").next().unwrap();
        selector(example);
        seen += 1;
    }
    assert!(seen > 5);
    for key in Key::ALL {
        assert!(page.contains(&format!("| `{key}` ")), "{key} is not explained");
        selector(&format!("{key}={}", key.example()));
    }
    let shown = page.lines().find_map(|line| line.strip_prefix("… ")).unwrap();
    assert_eq!("foldr=/Prod/**".parse::<Selector>().unwrap_err().to_string(), shown);
}
