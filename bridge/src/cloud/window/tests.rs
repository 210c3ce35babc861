//! Who is reached by which window, in tables.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::aws::{NodeTags, TargetSet, TaskKind, TaskParameters, WindowTargetId};

const NODE: &str = "mi-0123456789abcdef0";
const OTHER: &str = "mi-0123456789abcdef1";

fn set(key: &str, values: &[&str]) -> TargetSet {
    TargetSet { key: key.into(), values: values.iter().map(|&value| value.into()).collect() }
}

fn task(document: &str, operation: Option<&str>, sets: Vec<TargetSet>) -> WindowTask {
    let operation = operation.map(Into::into);
    WindowTask {
        id: format!("task of {document}").into(),
        name: None,
        kind: TaskKind::RunCommand,
        document: document.into(),
        sets,
        parameters: operation
            .map(|operation| TaskParameters { operation: Some(operation), ..TaskParameters::default() }),
    }
}

fn window(targets: Vec<(&str, Vec<TargetSet>)>, tasks: Vec<WindowTask>) -> Window {
    let identity = WindowIdentity {
        id: "mw-0123456789abcdef0".into(),
        name: "patch night".into(),
        enabled: true,
        schedule: "cron(0 2 ? * SUN *)".into(),
        time_zone: None,
        duration: Duration::from_secs(3 * 3600),
        cutoff: Duration::from_secs(3600),
        next: None,
    };
    let target = |(id, sets): (&str, _)| WindowTarget { id: id.into(), name: None, sets };
    Window { targets: targets.into_iter().map(target).collect(), tasks, ..Window::new(identity) }
}

/// A window whose one target, with these conditions, is patched.
fn patching(sets: Vec<TargetSet>) -> Window {
    let patch = task("AWS-RunPatchBaseline", Some("Install"), vec![set("WindowTargetIds", &["t1"])]);
    window(vec![("t1", sets)], vec![patch])
}

fn tags(pairs: &[(&str, &str)]) -> NodeTags {
    pairs.iter().map(|&(key, value)| (key.into(), value.into())).collect()
}

fn keys(keys: &[&str]) -> BTreeSet<Arc<str>> {
    keys.iter().map(|&key| key.into()).collect()
}

fn reached(window: &Window, pairs: &[(&str, &str)], groups: &Groups) -> Option<Vec<By>> {
    let reached = window.targets_of(&[], &NODE.into(), &tags(pairs), groups)?;
    Some(reached.ways.into_iter().map(|way| way.by).collect())
}

fn group(name: &str, nodes: &[&str], problem: Option<&str>) -> Groups {
    let nodes = nodes.iter().map(|&node| node.into()).collect();
    let group = Group { nodes, problem: problem.map(str::to_owned), ..Group::default() };
    BTreeMap::from([(name.into(), Arc::new(group))])
}

#[test]
fn conditions_of_one_target_all_have_to_hold_and_any_of_their_values() {
    let site = || set("tag:Site", &["Bonn", "Ulm"]);
    let patch = || set("tag:Patch Group", &["web"]);
    for (sets, pairs, by) in [
        (vec![site()], &[("Site", "Ulm")][..], Some(By::Tags(vec![keys(&["Site"])]))),
        (vec![site()], &[("Site", "ulm")], None),
        (vec![site()], &[("site", "Ulm")], None),
        (vec![site()], &[("Site", "")], None),
        (vec![site()], &[], None),
        (vec![set("tag:Site", &[])], &[("Site", "Ulm")], None),
        (
            vec![site(), patch()],
            &[("Site", "Bonn"), ("Patch Group", "web")],
            Some(By::Tags(vec![keys(&["Site"]), keys(&["Patch Group"])])),
        ),
        (vec![site(), patch()], &[("Site", "Bonn")], None),
        (vec![site(), patch()], &[("Site", "Bonn"), ("Patch Group", "db")], None),
        // A key with a colon in it is a key.
        (vec![set("tag:a:b", &["c"])], &[("a:b", "c")], Some(By::Tags(vec![keys(&["a:b"])]))),
        (
            vec![set("tag-key", &["Site", "Patch Group", "Owner"])],
            &[("Site", "x"), ("Owner", ""), ("Other", "")],
            Some(By::Tags(vec![keys(&["Site", "Owner"])])),
        ),
        (vec![set("tag-key", &["Site"])], &[("site", "x")], None),
        (vec![set("InstanceIds", &[OTHER, NODE])], &[], Some(By::Id)),
        (vec![set("InstanceIds", &[OTHER])], &[], None),
        (
            vec![set("InstanceIds", &[NODE]), site()],
            &[("Site", "Ulm")],
            Some(By::Tags(vec![keys(&["Site"])])),
        ),
        (vec![set("InstanceIds", &[NODE]), site()], &[], None),
        (vec![set("aws:NoSuchThing", &["x"])], &[], None),
        (vec![set("aws:NoSuchThing", &["x"]), site()], &[("Site", "Ulm")], None),
        (vec![], &[("Site", "Ulm")], None),
    ] {
        let told = format!("{sets:?} {pairs:?}");
        assert_eq!(reached(&patching(sets), pairs, &Groups::new()), by.map(|by| vec![by]), "{told}");
    }
}

#[test]
fn several_targets_and_values_are_several_ways() {
    let patch = task(
        "AWS-RunPatchBaseline",
        Some("Install"),
        vec![set("WindowTargetIds", &["t1", "t2", "gone"]), set("InstanceIds", &[NODE])],
    );
    let targets = vec![("t1", vec![set("tag:Site", &["Ulm"])]), ("t2", vec![set("tag:Tier", &["web"])])];
    let window = window(targets, vec![patch]);
    let all =
        window.targets_of(&[], &NODE.into(), &tags(&[("Site", "Ulm"), ("Tier", "web")]), &Groups::new());
    let all = all.unwrap();
    let targets: Vec<_> =
        all.ways.iter().map(|way| way.target.as_ref().map(WindowTargetId::as_str)).collect();
    assert_eq!(targets, [Some("t1"), Some("t2"), None]);
    assert_eq!(all.keys(), keys(&["Site", "Tier"]));
    assert_eq!(reached(&window, &[], &Groups::new()), Some(vec![By::Id]));
    let doubts = window.doubts(&[], &Groups::new());
    assert_eq!(
        doubts,
        ["task task of AWS-RunPatchBaseline is for the target gone, which is not among those of the window"]
    );
}

#[test]
fn groups_reach_their_members_and_what_is_not_known_is_a_doubt() {
    let sets = |filters: &[&str]| {
        let mut sets = vec![set("resource-groups:Name", &["fleet"])];
        if !filters.is_empty() {
            sets.push(set("resource-groups:ResourceTypeFilters", filters));
        }
        patching(sets)
    };
    let by = Some(vec![By::Group("fleet".into())]);
    let of = |nodes: &[&str]| group("fleet", nodes, None);
    assert_eq!(reached(&sets(&[]), &[], &of(&[OTHER, NODE])), by);
    assert_eq!(reached(&sets(&["AWS::EC2::INSTANCE", "AWS::SSM::MANAGEDINSTANCE"]), &[], &of(&[NODE])), by);
    assert_eq!(reached(&sets(&["AWS::EC2::Instance"]), &[], &of(&[NODE])), None);
    assert_eq!(reached(&sets(&[]), &[], &of(&[OTHER])), None);
    assert_eq!(sets(&[]).doubts(&[], &of(&[])), Vec::<String>::new());
    assert_eq!(reached(&sets(&[]), &[], &Groups::new()), None);
    assert_eq!(sets(&[]).doubts(&[], &Groups::new()), ["the resource group fleet has not been read yet"]);
    let stale = group("fleet", &[NODE], Some("AccessDenied"));
    assert_eq!(reached(&sets(&[]), &[], &stale), by, "what was known is kept");
    assert_eq!(sets(&[]).doubts(&[], &stale), ["the resource group fleet could not be read: AccessDenied"]);
    assert_eq!(sets(&[]).group_names().collect::<Vec<_>>(), ["fleet"]);
    let odd = patching(vec![set("aws:NoSuchThing", &["x"])]);
    assert_eq!(
        odd.doubts(&[], &Groups::new()),
        [r#"the condition "aws:NoSuchThing" of a target is not understood"#]
    );
    let nobody = window(vec![], vec![task("AWS-RunPatchBaseline", None, vec![])]);
    assert_eq!(nobody.doubts(&[], &Groups::new()).len(), 1);
}

#[test]
fn only_what_installs_is_patching() {
    let arn = "arn:aws:ssm:eu-central-1::document/AWS-RunPatchBaseline";
    let own = [NamePattern::new("Acme-Patch*").unwrap()];
    for (document, operation, documents, expected) in [
        ("AWS-RunPatchBaseline", Some("Install"), &[][..], Patching::Installs),
        ("AWS-RunPatchBaseline", Some("Scan"), &[], Patching::Scans),
        ("AWS-RunPatchBaseline", None, &[], Patching::Installs),
        (arn, Some("Install"), &[], Patching::Installs),
        (arn, Some("Scan"), &own, Patching::Scans),
        ("AWS-RunPatchBaselineWithHooks", Some("Install"), &[], Patching::Installs),
        ("AWS-RunPatchBaselineAssociation", Some("Install"), &[], Patching::Installs),
        ("AWS-RunShellScript", None, &own, Patching::No),
        ("Acme-PatchEverything", None, &[], Patching::No),
        ("Acme-PatchEverything", Some("Scan"), &own, Patching::Installs),
        ("arn:aws:ssm:eu-central-1:111122223333:document/Acme-Patch", None, &own, Patching::Installs),
        ("", None, &own, Patching::No),
    ] {
        let sets = || vec![set("InstanceIds", &[NODE])];
        let window =
            window(vec![], vec![task("AWS-RunShellScript", None, sets()), task(document, operation, sets())]);
        assert_eq!(window.patches(documents), expected, "{document} {operation:?}");
        let reached = window.targets_of(documents, &NODE.into(), &NodeTags::new(), &Groups::new());
        assert_eq!(reached.is_some(), expected == Patching::Installs, "{document} {operation:?}");
    }
    assert_eq!(window(vec![], vec![]).patches(&own), Patching::No);
}

#[test]
fn a_hook_is_one_only_where_the_document_heeds_it() {
    let hooked = |document: &str, hook: &str| {
        let mut task = task(document, Some("Install"), vec![set("InstanceIds", &[NODE])]);
        if let Some(parameters) = &mut task.parameters {
            parameters.pre_install_hook = Some(hook.into());
        }
        window(vec![], vec![task]).hooks(&[])
    };
    let with_hooks = "AWS-RunPatchBaselineWithHooks";
    assert_eq!(hooked(with_hooks, "vmbridge-hold"), keys(&["vmbridge-hold"]));
    let arn = "arn:aws:ssm:eu-central-1:111122223333:document/vmbridge-hold";
    assert_eq!(hooked(with_hooks, arn), keys(&["vmbridge-hold"]));
    assert_eq!(hooked(with_hooks, "AWS-Noop"), keys(&[]));
    assert_eq!(hooked("AWS-RunPatchBaseline", "vmbridge-hold"), keys(&[]));
}

fn way(hook: Option<&str>, by: By) -> Way {
    Way { task: "task".into(), target: None, hook: hook.map(Into::into), by }
}

#[test]
fn a_node_is_held_back_by_tags_that_may_go_or_by_the_hook() {
    let tags = |conditions: &[&[&str]]| By::Tags(conditions.iter().map(|of| keys(of)).collect());
    let mine = |key: &str| key.starts_with("My");
    let hold = |hook: &str| hook == "hold";
    for (ways, expected) in [
        (vec![way(None, tags(&[&["MySite"]]))], Some(keys(&["MySite"]))),
        (vec![way(None, tags(&[&["Site"]]))], None),
        (vec![way(None, tags(&[&["Site"], &["MySite"]]))], Some(keys(&["MySite"]))),
        (vec![way(None, tags(&[&["MySite", "Site"]]))], None),
        (vec![way(None, tags(&[&["MySite", "MyTier"]]))], Some(keys(&["MySite", "MyTier"]))),
        (vec![way(None, By::Id)], None),
        (vec![way(None, By::Group("fleet".into()))], None),
        (vec![way(Some("hold"), By::Id)], Some(keys(&[]))),
        (vec![way(Some("other"), By::Id)], None),
        // The second way goes with the tag that the first one needs.
        (vec![way(None, tags(&[&["MyB"]])), way(None, tags(&[&["MyA"], &["MyB"]]))], Some(keys(&["MyB"]))),
        (vec![way(None, tags(&[&["MyA"]])), way(None, By::Id)], None),
        (vec![way(None, tags(&[&["MyA"]])), way(Some("hold"), By::Id)], Some(keys(&["MyA"]))),
    ] {
        let told = format!("{ways:?}");
        let reached = Reached { ways };
        assert_eq!(reached.to_close(mine, hold).ok(), expected, "{told}");
    }
}

#[test]
fn the_outcome_of_a_node_is_its_worst_one_of_patching() {
    let outcome = |node: &str, document: &str, status| NodeOutcome {
        node: node.into(),
        document: document.into(),
        status,
    };
    let told = WindowExecution {
        id: "e".into(),
        status: ExecutionStatus::Failed,
        details: None,
        started: None,
        ended: None,
    };
    let outcomes = vec![
        outcome(NODE, "AWS-RunPatchBaseline", ExecutionStatus::Success),
        outcome(NODE, "AWS-RunShellScript", ExecutionStatus::Failed),
        outcome(NODE, "Acme-Patch", ExecutionStatus::TimedOut),
        outcome(OTHER, "AWS-RunShellScript", ExecutionStatus::Failed),
    ];
    let execution = Execution { told, outcomes: Some(outcomes) };
    let own = [NamePattern::new("Acme-Patch").unwrap()];
    assert_eq!(execution.outcome(&[], &NODE.into()), Some(ExecutionStatus::Success));
    assert_eq!(execution.outcome(&own, &NODE.into()), Some(ExecutionStatus::TimedOut));
    assert_eq!(execution.outcome(&own, &OTHER.into()), None);
}

#[test]
fn an_execution_belongs_to_its_opening() {
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let mut window = window(vec![], vec![]);
    let execution = |id: &str, started: &str| Execution {
        told: WindowExecution {
            id: id.into(),
            status: ExecutionStatus::Success,
            details: None,
            started: Some(at(started)),
            ended: None,
        },
        outcomes: None,
    };
    window.executions = vec![
        execution("before", "2026-12-05T02:00:01Z"),
        execution("this", "2026-12-06T01:59:59Z"),
        execution("after", "2026-12-07T02:00:00Z"),
    ];
    let of = |opening: &str| window.execution_of(at(opening)).map(|execution| execution.id().as_str());
    assert_eq!(of("2026-12-06T02:00:00Z"), Some("this"));
    assert_eq!(of("2026-12-07T02:00:00Z"), Some("after"));
    assert_eq!(of("2026-12-08T02:00:00Z"), None);
}

fn some_tags() -> impl Strategy<Value = BTreeMap<String, String>> {
    prop::collection::btree_map("[A-D]", "[xy]", 0..4)
}

fn some_sets() -> impl Strategy<Value = Vec<(String, Vec<String>)>> {
    let key = prop_oneof!["tag:[A-D]", Just("tag-key".to_owned()), Just("InstanceIds".to_owned())];
    let value = prop_oneof!["[xyA-D]".prop_map(String::from), Just(NODE.to_owned())];
    prop::collection::vec((key, prop::collection::vec(value, 1..4)), 0..4)
}

proptest! {
    /// Whoever does what `to_close` says is out; and who is not reached stays so when tags go.
    #[test]
    fn closing_all_ways_closes_them(
        held in some_tags(),
        targets in prop::collection::vec(some_sets(), 1..4),
    ) {
        let targets: Vec<_> = targets
            .iter()
            .map(|sets| sets.iter().map(|(key, values)| {
                set(key, &values.iter().map(String::as_str).collect::<Vec<_>>())
            }).collect::<Vec<_>>())
            .collect();
        let ids: Vec<String> = (0..targets.len()).map(|at| at.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let patch = task("AWS-RunPatchBaseline", Some("Install"), vec![set("WindowTargetIds", &ids)]);
        let window = window(ids.iter().copied().zip(targets).collect(), vec![patch]);
        let mut tags: NodeTags = held.iter().map(|(key, value)| (key.as_str().into(), value.as_str().into())).collect();
        let reach = |tags: &NodeTags| window.targets_of(&[], &NODE.into(), tags, &Groups::new());
        let Some(before) = reach(&tags) else {
            for key in held.keys() {
                tags.remove(key.as_str());
                prop_assert!(reach(&tags).is_none());
            }
            return Ok(());
        };
        match before.to_close(|_| true, |_| false) {
            Ok(gone) => {
                prop_assert!(gone.is_subset(&before.keys()));
                tags.retain(|key, _| !gone.contains(key));
                prop_assert!(reach(&tags).is_none());
            }
            Err(way) => {
                prop_assert_eq!(&way.by, &By::Id);
                tags.clear();
                prop_assert!(reach(&tags).is_some());
            }
        }
    }
}

#[test]
fn who_is_taken_does_not_depend_on_what_is_done_there() {
    const INSTANCE: &str = "i-0123456789abcdef0";
    let member = |group: &str| match group {
        "in" => Some(true),
        "out" => Some(false),
        _ => None,
    };
    let taken = |sets: Vec<TargetSet>, node: &str, pairs: Option<&[(&str, &str)]>| {
        let tags = pairs.map(tags);
        let scans = task("AWS-RunPatchBaseline", Some("Scan"), vec![set("WindowTargetIds", &["t1"])]);
        let window = window(vec![("t1", sets)], vec![scans]);
        window.takes(node, tags.as_ref(), member)
    };
    let web: &[(&str, &str)] = &[("Role", "web")];
    for node in [NODE, INSTANCE] {
        let tagged = || vec![set("tag:Role", &["db", "web"])];
        assert_eq!(taken(tagged(), node, Some(web)), Some(true));
        assert_eq!(taken(tagged(), node, Some(&[])), Some(false));
        assert_eq!(taken(tagged(), node, None), None);
        assert_eq!(taken(vec![set("tag-key", &["Role"])], node, Some(web)), Some(true));
        assert_eq!(taken(vec![set("InstanceIds", &[node])], node, None), Some(true));
        assert_eq!(taken(vec![set("InstanceIds", &["*"])], node, None), Some(true));
        assert_eq!(taken(vec![set("InstanceIds", &[OTHER])], node, None), Some(false));
        assert_eq!(taken(vec![set("resource-groups:Name", &["out", "in"])], node, None), Some(true));
        assert_eq!(taken(vec![set("resource-groups:Name", &["out", "dark"])], node, None), None);
        assert_eq!(taken(vec![set("resource-groups:Name", &["out"])], node, None), Some(false));
        assert_eq!(taken(vec![set("Colour", &["red"])], node, Some(web)), None);
        // Of several conditions all have to hold; one that does not decides it, whatever is not known.
        let both = vec![set("resource-groups:Name", &["dark"]), set("tag:Role", &["web"])];
        assert_eq!(taken(both.clone(), node, Some(web)), None);
        assert_eq!(taken(both, node, Some(&[])), Some(false));
        assert_eq!(
            taken(Vec::new(), node, Some(web)),
            Some(false),
            "a target without conditions takes nobody"
        );
    }
    let typed = |kind: &str| {
        vec![set("resource-groups:Name", &["in"]), set("resource-groups:ResourceTypeFilters", &[kind])]
    };
    assert_eq!(taken(typed("AWS::EC2::Instance"), INSTANCE, None), Some(true));
    assert_eq!(taken(typed("AWS::EC2::Instance"), NODE, None), Some(false));
    assert_eq!(taken(typed("AWS::SSM::ManagedInstance"), NODE, None), Some(true));
    // What a task names itself counts as well.
    let own = task("AWS-RunShellScript", None, vec![set("InstanceIds", &[INSTANCE])]);
    let window = window(Vec::new(), vec![own]);
    assert_eq!(window.takes(INSTANCE, None, |_| None), Some(true));
    assert_eq!(window.takes(NODE, None, |_| None), Some(false));
    assert!(!window.asks_for_tags() && patching(vec![set("tag-key", &["Role"])]).asks_for_tags());
}
