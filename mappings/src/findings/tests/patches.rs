//! Patch Manager's own findings.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::super::life::WorkflowStatus;
use super::super::patches::{self, LinkedNode, Note, PatchFinding, PatchState, PatchUpdate, calls};
use super::super::{NodeId, RecordState};
use super::*;

const NODE: &str = "mi-0123456789abcdef0";
const PRODUCT: &str = "arn:aws:securityhub:eu-central-1::product/aws/ssm-patch-manager";

fn finding(id: &str, hour: i64) -> PatchFinding {
    PatchFinding {
        id: id.into(),
        product_arn: PRODUCT.into(),
        resource: NODE.into(),
        updated_at: start() + hours(hour),
        workflow: WorkflowStatus::New,
        record_state: RecordState::Active,
        note: None,
        user_fields: BTreeMap::new(),
    }
}

fn nodes(patches: PatchState) -> BTreeMap<NodeId, LinkedNode> {
    BTreeMap::from([(NODE.into(), LinkedNode { vm: Arc::new(subject()), patches })])
}

/// The calls, when nothing has changed since the findings were listed.
fn plan(listed: &[PatchFinding], nodes: &BTreeMap<NodeId, LinkedNode>, resolve: bool) -> Vec<PatchUpdate> {
    calls(&patches::plan(listed, nodes, resolve), listed)
}

/// What Security Hub makes of the calls.
fn apply(findings: &mut [PatchFinding], updates: &[PatchUpdate]) {
    for update in updates {
        assert!((1..=100).contains(&update.findings.len()));
        for (id, product) in &update.findings {
            let found =
                findings.iter_mut().find(|finding| (&finding.id, &finding.product_arn) == (id, product));
            let finding = found.unwrap();
            if let Some(text) = &update.note {
                finding.note = Some(Note { text: text.clone(), updated_by: "vmbridge".into() });
            }
            if let Some(fields) = &update.user_fields {
                finding.user_fields = fields.clone();
            }
            if update.resolve {
                finding.workflow = WorkflowStatus::Resolved;
            }
        }
    }
}

#[test]
fn the_vm_is_named() {
    let mut findings = [finding("one", 0)];
    let nodes = nodes(PatchState::NonCompliant);
    let updates = plan(&findings, &nodes, true);
    insta::assert_debug_snapshot!(updates);
    apply(&mut findings, &updates);
    assert_eq!(plan(&findings, &nodes, true), []);
}

#[test]
fn superseded_ones_are_resolved_and_all_when_a_later_scan_is_clean() {
    let mut findings = [finding("one", 0), finding("two", 24), finding("three", 48)];
    findings[0].workflow = WorkflowStatus::Notified;
    let updates = plan(&findings, &nodes(PatchState::NonCompliant), true);
    apply(&mut findings, &updates);
    let status =
        |findings: &[PatchFinding]| findings.iter().map(|finding| finding.workflow).collect::<Vec<_>>();
    assert_eq!(status(&findings), [WorkflowStatus::Resolved, WorkflowStatus::Resolved, WorkflowStatus::New]);
    let old = PatchState::Compliant { scanned_at: start() + hours(48) };
    assert_eq!(plan(&findings, &nodes(old), true), [], "a scan that is no newer proves nothing");
    assert_eq!(plan(&findings, &nodes(PatchState::Unknown), true), []);
    let new = PatchState::Compliant { scanned_at: start() + hours(49) };
    let updates = plan(&findings, &nodes(new), true);
    assert!(updates.len() == 1 && updates[0].resolve && updates[0].note.is_none());
    apply(&mut findings, &updates);
    assert_eq!(status(&findings), [WorkflowStatus::Resolved; 3]);
    assert_eq!(plan(&findings, &nodes(new), true), []);
}

#[test]
fn what_people_wrote_and_decided_stays() {
    let mut findings =
        [finding("noted", 0), finding("suppressed", 1), finding("archived", 2), finding("full", 3)];
    findings[0].note = Some(Note { text: "mine".into(), updated_by: "ada".into() });
    findings[0].user_fields.insert("ticket".into(), "4711".into());
    findings[1].workflow = WorkflowStatus::Suppressed;
    findings[2].record_state = RecordState::Archived;
    findings[3].user_fields = (0..50).map(|at| (format!("k{at}"), "v".to_owned())).collect();
    let before = findings.clone();
    let updates = plan(&findings, &nodes(PatchState::Compliant { scanned_at: start() + hours(99) }), true);
    apply(&mut findings, &updates);
    assert_eq!(findings[0].note, before[0].note);
    assert_eq!(findings[0].user_fields["ticket"], "4711");
    assert_eq!(findings[0].user_fields["vmbridge/vm"], "web-01");
    assert_eq!(findings[0].workflow, WorkflowStatus::Resolved);
    assert_eq!(findings[1..3], before[1..3]);
    assert_eq!(findings[3].user_fields, before[3].user_fields);
}

#[test]
fn what_people_did_since_the_listing_stays() {
    let listed =
        [finding("noted", 0), finding("suppressed", 1), finding("sent again", 2), finding("gone", 3)];
    let nodes = nodes(PatchState::Compliant { scanned_at: start() + hours(99) });
    let wishes = patches::plan(&listed, &nodes, true);
    assert_eq!((wishes.len(), wishes.iter().filter(|wish| wish.resolve).count()), (4, 4));
    let mut now = listed[..3].to_vec();
    now[0].note = Some(Note { text: "mine".into(), updated_by: "ada".into() });
    now[0].user_fields.insert("ticket".into(), "4711".into());
    now[1].workflow = WorkflowStatus::Suppressed;
    now[2].updated_at = start() + hours(100);
    let before = now.clone();
    apply(&mut now, &calls(&wishes, &before));
    assert_eq!(now[0].note, before[0].note);
    assert_eq!((&*now[0].user_fields["ticket"], &*now[0].user_fields["vmbridge/vm"]), ("4711", "web-01"));
    assert_eq!(now[0].workflow, WorkflowStatus::Resolved);
    assert_eq!(now[1], before[1]);
    assert_eq!(now[2].workflow, WorkflowStatus::New, "it tells of a later run than was looked at");
    assert!(now[2].note.is_some());
    assert_eq!(calls(&wishes, &now), []);
}

#[test]
fn only_hybrid_nodes_that_are_vms_and_only_of_patch_manager() {
    let mut findings = [finding("ec2", 0), finding("unlinked", 0), finding("other", 0), finding("arn", 0)];
    findings[0].resource = "i-0123456789abcdef0".into();
    findings[1].resource = "mi-ffffffffffffffff0".into();
    findings[2].product_arn = "arn:aws:securityhub:eu-central-1::product/aws/inspector".into();
    findings[3].resource = format!("arn:aws:ssm:eu-central-1:111122220001:managed-instance/{NODE}").into();
    let mut nodes = nodes(PatchState::NonCompliant);
    nodes.insert("i-0123456789abcdef0".into(), nodes.values().next().unwrap().clone());
    let updates = plan(&findings, &nodes, true);
    assert_eq!(updates.len(), 1);
    assert_eq!(updates[0].findings, [("arn".into(), PRODUCT.into())]);
    assert!(!updates[0].resolve);
}

#[test]
fn none_is_resolved_when_that_is_off() {
    let findings = [finding("one", 0), finding("two", 24)];
    let updates = plan(&findings, &nodes(PatchState::Compliant { scanned_at: start() + hours(99) }), false);
    assert!(updates.iter().all(|update| !update.resolve));
}

#[test]
fn equal_updates_go_in_one_call_of_a_hundred() {
    let findings: Vec<PatchFinding> = (0..250).map(|at| finding(&format!("f{at}"), at)).collect();
    let updates = plan(&findings, &nodes(PatchState::NonCompliant), true);
    let sizes: Vec<usize> = updates.iter().map(|update| update.findings.len()).collect();
    assert_eq!(sizes, [1, 100, 100, 49]);
}

#[test]
fn a_rename_is_told_and_long_names_fit() {
    let mut findings = [finding("one", 0)];
    let mut nodes = nodes(PatchState::NonCompliant);
    let updates = plan(&findings, &nodes, true);
    apply(&mut findings, &updates);
    let text: Arc<str> = "\u{1F600}\n".repeat(2000).into();
    let vm =
        Subject { name: Arc::clone(&text), folder: Some(Arc::clone(&text)), owner: Some(text), ..subject() };
    nodes.insert(NODE.into(), LinkedNode { vm: Arc::new(vm), patches: PatchState::NonCompliant });
    let updates = plan(&findings, &nodes, true);
    assert!(updates[0].note.as_ref().unwrap().encode_utf16().count() <= 512);
    assert!(
        updates[0].user_fields.as_ref().unwrap().values().all(|value| value.encode_utf16().count() <= 1024)
    );
    apply(&mut findings, &updates);
    assert_eq!(plan(&findings, &nodes, true), []);
}

proptest! {
    #[test]
    fn once_is_enough(
        specs in proptest::collection::vec((0..3_u8, 0..20_i64, 0..4_u8, any::<bool>(), 0..3_u8), 0..30),
        scan in 0..25_i64,
    ) {
        let mut findings: Vec<PatchFinding> = specs.iter().enumerate().map(|(at, (node, hour, workflow, archived, note))| {
            let mut finding = finding(&format!("f{at}"), *hour);
            finding.resource = [NODE, "mi-0000000000000000a", "i-0123456789abcdef0"][usize::from(*node)].into();
            finding.workflow = [WorkflowStatus::New, WorkflowStatus::Notified, WorkflowStatus::Suppressed, WorkflowStatus::Resolved][usize::from(*workflow)];
            if *archived { finding.record_state = RecordState::Archived; }
            finding.note = [None, Some("ada"), Some("vmbridge")][usize::from(*note)]
                .map(|by| Note { text: "old".into(), updated_by: by.into() });
            finding
        }).collect();
        let before = findings.clone();
        let nodes = nodes(PatchState::Compliant { scanned_at: start() + hours(scan) });
        apply(&mut findings, &plan(&before, &nodes, true));
        prop_assert_eq!(patches::plan(&findings, &nodes, true), []);
        prop_assert_eq!(plan(&findings, &nodes, true), []);
        for (before, after) in before.iter().zip(&findings) {
            if before.note.as_ref().is_some_and(|note| note.updated_by == "ada") {
                prop_assert_eq!(&before.note, &after.note);
            }
            let touched = before.record_state == RecordState::Active && before.workflow.is_open() && &*before.resource == NODE;
            if !touched {
                prop_assert_eq!(before, after);
            } else if before.updated_at < start() + hours(scan) {
                prop_assert_eq!(after.workflow, WorkflowStatus::Resolved);
            }
        }
    }
}
