//! Which earlier lives there are, and which of them is meant.

use std::sync::Arc;

use mappings::findings::life::{Book, Policy, Sight, plan};
use mappings::findings::{Class, Kind, Object, Problem, RecordState, Severity, Status, Subject, Target};

use super::*;
use crate::aws::{NodeTags, TargetName};
use crate::cloud::hub::HubView;

fn now() -> Timestamp {
    "2027-01-15T02:00:00Z".parse().unwrap()
}

fn listed(owner: &str, moref: &str, state: RecordState) -> Listed {
    let object = Object { kind: Kind::Vm, vcenter: "uuid".into(), moref: moref.into(), instance: None };
    let subject = Subject {
        object,
        name: moref.into(),
        vcenter_name: "dc1".into(),
        datacenter: None,
        cluster: None,
        host: None,
        folder: None,
        guest_os: None,
        tags: Vec::new(),
        owner: None,
        node: None,
    };
    let target =
        Target { partition: "aws".into(), account: "111122223333".into(), region: "eu-central-1".into() };
    let problem = Problem {
        rule: "vm-a".into(),
        family: "boot".into(),
        class: Class::Hardening,
        subject: Arc::new(subject),
        target: Arc::new(target),
        title: "It does not pass".into(),
        description: "It is not as it should be.".into(),
        severity: Severity::High,
        status: Status::Failed,
        advice: None,
        requirements: Vec::new(),
        evidence: BTreeMap::new(),
    };
    let (owner, policy) = (owner.into(), Policy::default());
    let plan = plan(&[problem], &Book::default(), |_, _| Sight::Seen, &owner, &policy, now());
    let finding = plan.changes[0].finding().unwrap();
    let mut content = finding.content;
    content.record_state = state;
    Listed { content, times: finding.times, workflow: None }
}

/// An account with nodes that have these marks, and these findings.
fn cloud(marks: &[&str], findings: &[Listed]) -> Cloud {
    let cloud = SharedCloud::new();
    for name in ["one", "two"] {
        cloud.update(&TargetName::from(name), |view| {
            let place = Place::new("111122223333", "eu-central-1");
            if name == "one" {
                view.place = Some(place.clone());
                for (number, mark) in marks.iter().enumerate() {
                    let tags: NodeTags =
                        [("vmbridge:owner".into(), (*mark).into()), ("Env".into(), "prod".into())]
                            .into_iter()
                            .collect();
                    view.tags.insert(format!("mi-{number:017x}").into(), Arc::new(tags));
                }
            }
            // Both send their findings to the same place.
            let mut hub = HubView { place: Some(place), ..HubView::default() };
            hub.ours.put(Ok(findings.to_vec()), now());
            view.hub = Arc::new(hub);
            true
        });
    }
    cloud.read()
}

#[test]
fn findings_tell_of_lives_that_left_no_mark_on_a_node() {
    let findings = vec![
        listed("0a0a0a0a", "vm-1", RecordState::Active),
        listed("0a0a0a0a", "vm-2", RecordState::Active),
        listed("0a0a0a0a", "vm-3", RecordState::Archived),
        listed("0b0b0b0b", "vm-4", RecordState::Active),
        listed("\u{1b}[31m", "vm-5", RecordState::Active),
    ];
    let cloud = cloud(&[], &findings);
    let all = lives(&cloud, ["ffffffff"].into_iter(), now());
    assert_eq!(all.keys().collect::<Vec<_>>(), ["0a0a0a0a", "0b0b0b0b"]);
    let words = "2 open findings of dc1 and 1 that are over in 111122223333/eu-central-1";
    assert_eq!(all["0a0a0a0a"].words(), words, "targets that share a place count once");
    let told = choose(lives(&cloud, ["ffffffff"].into_iter(), now()), None).unwrap_err();
    assert!(told.contains("0a0a0a0a (2 open") && told.contains("--installation"), "{told}");
    let (id, life) = choose(lives(&cloud, ["ffffffff"].into_iter(), now()), Some("0b0b0b0b")).unwrap();
    assert_eq!((id.as_str(), life.nodes.nodes), ("0b0b0b0b", 0));
    assert!(choose(lives(&cloud, ["ffffffff"].into_iter(), now()), Some("0c0c0c0c")).is_err());
    // What is this one's already is not offered again.
    let left = lives(&cloud, ["0a0a0a0a", "0b0b0b0b"].into_iter(), now());
    assert!(left.is_empty(), "{left:?}");
    assert!(choose(left, None).unwrap_err().contains("nothing to recover"));
}

#[tokio::test]
async fn findings_alone_are_taken_over_under_the_id_that_there_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let new = store.installation().to_owned();
    let cloud = cloud(&[], &[listed("0a0a0a0a", "vm-1", RecordState::Active)]);
    let (id, life) = choose(lives(&cloud, [new.as_str()].into_iter(), now()), None).unwrap();
    let told = take(store, &id, &life).await.unwrap();
    assert!(told.contains("what installation 0a0a0a0a told is this one's from now on: 1 open"), "{told}");
    let store = Store::open(directory.path()).await.unwrap();
    assert_eq!((store.installation(), store.contents().await.unwrap().former.len()), (&*new, 1));
}

#[tokio::test]
async fn marks_on_nodes_make_it_the_former_one_and_it_stays_what_it_was_for_findings() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let new = store.installation().to_owned();
    let mark = "0a0a0a0a SU2asxjk";
    let cloud = cloud(&[mark], &[listed("0a0a0a0a", "vm-1", RecordState::Active)]);
    let (id, life) = choose(lives(&cloud, [new.as_str()].into_iter(), now()), None).unwrap();
    let told = take(store, &id, &life).await.unwrap();
    assert!(told.starts_with("this is installation 0a0a0a0a from now on, with"), "{told}");
    assert!(told.contains("of 1 nodes, 1 open findings"), "{told}");
    let store = Store::open(directory.path()).await.unwrap();
    assert_eq!(store.installation(), "0a0a0a0a");
    assert_eq!(store.contents().await.unwrap().former, [new.as_str().into()]);
}
