//! The store is tried against a real database, a full disk, damage, other users and other versions of it.

use std::time::Duration;

use jiff::SignedDuration;

use super::*;
use crate::aws::{NodeId, Place};

const T0: &str = "2026-01-02T03:04:05.678901Z";

fn t0() -> Timestamp {
    T0.parse().unwrap()
}

fn node() -> NodeId {
    NodeId::from("mi-0123456789abcdef0")
}

fn place() -> Place {
    Place::new("111122223333", "eu-central-1")
}

fn entry(object: &str) -> Entry {
    Entry {
        id: EntryId(0),
        plan: "p1".into(),
        capability: "tags".into(),
        kind: "addTags".into(),
        place: place().to_string(),
        object: object.into(),
        label: "web-01 'quoted' ü".into(),
        intent: serde_json::json!({ "tags": [["Patch Group", "Prod"]] }),
        intended: t0(),
        outcome: None,
        ended: None,
        duration_micros: None,
        error: None,
    }
}

fn owned(name: &str, value: Option<&str>) -> OwnedChange {
    OwnedChange {
        holder: Holder::node(&place(), &node()),
        name: name.into(),
        owned: Some(Owned { value: value.map(Into::into), rule: "patch-group".into(), written: t0() }),
    }
}

fn done(owned: Vec<OwnedChange>) -> Conclusion {
    Conclusion {
        outcome: Outcome::Done,
        ended: t0(),
        duration: Duration::from_micros(1500),
        error: None,
        owned,
        failures: Vec::new(),
        step: None,
        refusal: None,
        protection: None,
        findings: Vec::new(),
    }
}

fn problem(result: Result<Store, StoreError>) -> StoreProblem {
    result.expect_err("it must be refused").problem
}

#[tokio::test]
async fn enrolments_are_there_after_a_restart_with_all_that_follows_from_them() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let vm = VmId { vcenter: "11111111-2222-3333-4444-555555555555".parse().unwrap(), vm: "vm-1".into() };
    let enrolment = crate::enrol::testing::enrolment(t0());
    let identity = Identity {
        place: place(),
        node: node(),
        vm: vm.clone(),
        instance: None,
        basis: Some(Basis::Enrolled),
        since: t0(),
    };
    let step = Step {
        vm: vm.clone(),
        enrolment: Some(enrolment.clone()),
        identity: Some(identity.clone()),
        owned: vec![owned("Env", Some("prod"))],
    };
    store.put_steps(std::slice::from_ref(&step)).await.unwrap();
    let refusal =
        Refusal { vm: vm.clone(), credentials: "root".into(), fingerprint: "0123".into(), since: t0() };
    let failed = Conclusion {
        outcome: Outcome::Failed,
        step: Some(Step { vm: VmId { vm: "vm-2".into(), ..vm.clone() }, ..step }),
        refusal: Some(refusal.clone()),
        ..done(Vec::new())
    };
    let entry = store.begin(&entry("vm-1")).await.unwrap();
    store.conclude(entry, &failed).await.unwrap();
    store.close().await;

    let store = Store::open(directory.path()).await.unwrap();
    let contents = store.contents().await.unwrap();
    let other = VmId { vm: "vm-2".into(), ..vm.clone() };
    assert_eq!(contents.enrolments, [(vm.clone(), enrolment.clone()), (other, enrolment)]);
    assert_eq!((contents.refusals, contents.identities), (vec![refusal], vec![identity]));
    assert_eq!(contents.owned, [owned("Env", Some("prod"))]);
    let mut exported = Vec::new();
    Reader::open(directory.path()).await.unwrap().export(&mut exported).await.unwrap();
    let exported = String::from_utf8(exported).unwrap();
    for table in ["enrolment", "refusal"] {
        assert!(exported.contains(&format!("\"table\":\"{table}\"")), "{exported}");
    }
    // And all of it can be taken back.
    let gone = Step { vm: vm.clone(), enrolment: None, identity: None, owned: Vec::new() };
    store.put_steps(&[gone]).await.unwrap();
    store.forget_refusals(&vm).await.unwrap();
    let contents = store.contents().await.unwrap();
    assert_eq!((contents.enrolments.len(), contents.refusals.len()), (1, 0));
}

#[tokio::test]
async fn what_is_written_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let installation = store.installation().to_owned();
    let one = store.begin(&entry("mi-1")).await.unwrap();
    let two = store.begin(&entry("mi-2")).await.unwrap();
    assert!(two > one);
    store.conclude(one, &done(vec![owned("Patch Group", Some("Prod")), owned("Old", None)])).await.unwrap();
    let identity = Identity {
        place: place(),
        node: node(),
        vm: VmId { vcenter: "11111111-2222-3333-4444-555555555555".parse().unwrap(), vm: "vm-1".into() },
        instance: Some("50111111-2222-3333-4444-555555555555".parse().unwrap()),
        basis: Some(Basis::Linked),
        since: t0(),
    };
    let not =
        Identity { vm: VmId { vm: "vm-2".into(), ..identity.vm.clone() }, basis: None, ..identity.clone() };
    store.put_identities(&[identity.clone(), not.clone()]).await.unwrap();
    let approval = Approval {
        plan: "p1".into(),
        changes: vec!["a".into(), "b".into()],
        approved: t0(),
        expires: t0() + SignedDuration::from_hours(24),
    };
    store.approve(&approval).await.unwrap();
    let failing = Failing { capability: "tags".into(), place: "p".into(), object: "o".into() };
    let failure = Failure { failures: 3, since: t0(), retry_at: t0(), reason: "no".into() };
    store
        .put_failure(&FailureChange { failing: failing.clone(), failure: Some(failure.clone()) })
        .await
        .unwrap();
    store.close().await;

    let store = Store::open(directory.path()).await.unwrap();
    assert_eq!(store.installation(), installation);
    assert!(!store.is_copied());
    let contents = store.contents().await.unwrap();
    assert_eq!(contents.identities, [identity, not]);
    assert_eq!(contents.owned, [owned("Old", None), owned("Patch Group", Some("Prod"))]);
    assert_eq!(contents.open, [Entry { id: two, ..entry("mi-2") }]);
    assert_eq!(contents.approvals, [approval]);
    assert_eq!(contents.failures, [FailureChange { failing: failing.clone(), failure: Some(failure) }]);
    // And all of it can be taken back.
    let gone = OwnedChange { owned: None, ..owned("Old", None) };
    store.put_owned(&[gone]).await.unwrap();
    store.put_failure(&FailureChange { failing, failure: None }).await.unwrap();
    store.forget_identities(&place(), &node()).await.unwrap();
    let contents = store.contents().await.unwrap();
    assert_eq!(contents.owned, [owned("Patch Group", Some("Prod"))]);
    assert!(contents.identities.is_empty() && contents.failures.is_empty());
}

#[tokio::test]
async fn one_writer_and_any_number_of_readers() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let second = problem(Store::open(directory.path()).await);
    let pid = std::process::id().to_string();
    assert!(matches!(&second, StoreProblem::InUse { pid: Some(other) } if *other == pid), "{second}");
    let reader = Reader::open(directory.path()).await.unwrap();
    let id = store.begin(&entry("mi-1")).await.unwrap();
    assert_eq!(reader.contents().await.unwrap().open.len(), 1);
    store.conclude(id, &done(vec![])).await.unwrap();
    assert!(reader.contents().await.unwrap().open.is_empty());
    let reader = &reader;
    let query = |query: Query| async move { reader.journal(&query).await.unwrap().len() };
    assert_eq!(query(Query { object: Some("web-01 'quoted' ü".into()), ..Query::default() }).await, 1);
    assert_eq!(query(Query { object: Some("mi-2".into()), ..Query::default() }).await, 0);
    assert_eq!(query(Query { outcome: Some(Outcome::Done), ..Query::default() }).await, 1);
    assert_eq!(query(Query { open: true, ..Query::default() }).await, 0);
    assert_eq!(
        query(Query { since: Some(t0() + SignedDuration::from_secs(1)), ..Query::default() }).await,
        0
    );
    drop(store);
    assert!(Store::open(directory.path()).await.is_ok(), "the lock is gone with its holder");
}

#[tokio::test]
async fn a_reader_changes_nothing_and_makes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let missing = Reader::open(directory.path()).await.unwrap_err();
    assert!(matches!(missing.problem, StoreProblem::Missing), "{missing}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    drop(Store::open(directory.path()).await.unwrap());
    let reader = Reader::open(directory.path()).await.unwrap();
    let write = sqlx::query("DELETE FROM meta").execute(&mut *reader.connection.lock().await).await;
    assert!(write.is_err());
}

#[tokio::test]
async fn a_newer_database_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (99, 'from the future', TRUE, x'00', 0)",
    )
    .execute(&mut *store.writer.lock().await)
    .await
    .unwrap();
    drop(store);
    let newer = problem(Store::open(directory.path()).await);
    assert!(matches!(newer, StoreProblem::Newer { found: 99, .. }), "{newer}");
    let newer = Reader::open(directory.path()).await.unwrap_err();
    assert!(matches!(newer.problem, StoreProblem::Newer { found: 99, .. }), "{newer}");
}

#[tokio::test]
async fn damage_and_databases_of_others_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(DATABASE);
    std::fs::write(&path, "this is no database, but long enough to be taken for one ".repeat(100)).unwrap();
    let damaged = problem(Store::open(directory.path()).await);
    assert!(matches!(damaged, StoreProblem::Damaged(_)), "{damaged}");
    std::fs::remove_file(&path).unwrap();

    let mut other = options(&path).create_if_missing(true).connect().await.unwrap();
    sqlx::query("CREATE TABLE precious (id INTEGER)").execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let before = std::fs::read(&path).unwrap();
    let foreign = problem(Store::open(directory.path()).await);
    assert!(matches!(foreign, StoreProblem::Foreign), "{foreign}");
    assert_eq!(std::fs::read(&path).unwrap().len(), before.len());
}

#[tokio::test]
async fn damage_within_is_found_by_the_check_and_before_anything_is_done() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    for number in 0..200 {
        store.begin(&entry(&format!("mi-{number}"))).await.unwrap();
    }
    store.close().await;
    assert_eq!(Reader::open(directory.path()).await.unwrap().check().await.unwrap(), []);
    let path = directory.path().join(DATABASE);
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2 / 4096 * 4096;
    bytes[middle..middle + 4096].fill(0x5a);
    std::fs::write(&path, bytes).unwrap();
    let damaged = problem(Store::open(directory.path()).await);
    assert!(matches!(damaged, StoreProblem::Damaged(_)), "{damaged}");
    let found = Reader::open(directory.path()).await.unwrap().check().await;
    assert!(found.as_ref().map_or(true, |findings| !findings.is_empty()), "{found:?}");
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_lost() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let first = store.begin(&entry("mi-0")).await.unwrap();
    {
        let mut writer = store.writer.lock().await;
        let pages: i64 = sqlx::query_scalar("PRAGMA page_count").fetch_one(&mut *writer).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {}", pages + 2)))
            .execute(&mut *writer)
            .await
            .unwrap();
    }
    let full = loop {
        let mut large = entry("mi-1");
        large.label = "x".repeat(3000);
        if let Err(error) = store.begin(&large).await {
            break error;
        }
    };
    assert!(matches!(full.problem, StoreProblem::Full), "{full}");
    sqlx::query("PRAGMA max_page_count = 1000000").execute(&mut *store.writer.lock().await).await.unwrap();
    store.conclude(first, &done(vec![owned("Patch Group", Some("Prod"))])).await.unwrap();
    assert_eq!(store.contents().await.unwrap().owned.len(), 1);
}

#[tokio::test]
async fn another_program_that_holds_the_database_is_waited_for_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let mut other =
        options(&directory.path().join(DATABASE)).busy_timeout(Duration::ZERO).connect().await.unwrap();
    sqlx::query("PRAGMA busy_timeout = 50").execute(&mut *store.writer.lock().await).await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let locked = store.begin(&entry("mi-1")).await.unwrap_err();
    assert!(matches!(locked.problem, StoreProblem::Locked), "{locked}");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    assert!(store.begin(&entry("mi-1")).await.is_ok());
}

#[tokio::test]
async fn a_state_from_another_machine_is_noticed_until_it_is_claimed() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let elsewhere = Machine { id: Some("elsewhere".into()), addresses: vec!["00:50:56:00:00:01".into()] };
    write::put_machine(&mut *store.writer.lock().await, &elsewhere).await.unwrap();
    drop(store);
    let store = Store::open(directory.path()).await.unwrap();
    // A machine without an id cannot be told from another one.
    let told = Machine::this().id.is_some() || !Machine::this().addresses.is_empty();
    assert_eq!(store.is_copied(), told);
    store.claim().await.unwrap();
    assert!(!store.is_copied());
    drop(store);
    assert!(!Store::open(directory.path()).await.unwrap().is_copied());
}

#[tokio::test]
async fn backup_export_and_pruning() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let one = store.begin(&entry("mi-1")).await.unwrap();
    let two = store.begin(&entry("mi-2")).await.unwrap();
    store.conclude(one, &done(vec![owned("Patch Group", Some("Prod"))])).await.unwrap();
    let reader = Reader::open(directory.path()).await.unwrap();
    let copy = directory.path().join("copy").join(DATABASE);
    std::fs::create_dir(copy.parent().unwrap()).unwrap();
    reader.backup(&copy).await.unwrap();
    assert!(reader.backup(&copy).await.is_err(), "nothing is overwritten");
    let mut out = Vec::new();
    reader.export(&mut out).await.unwrap();
    let lines: Vec<serde_json::Value> =
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let tables: Vec<_> = lines.iter().map(|line| line["table"].as_str().unwrap()).collect();
    assert_eq!(tables, ["meta", "owned", "journal", "journal"]);

    assert_eq!(store.prune(t0() + SignedDuration::from_hours(1)).await.unwrap(), 1);
    store.conclude(two, &done(vec![])).await.unwrap();
    assert_eq!(store.prune(t0() + SignedDuration::from_hours(1)).await.unwrap(), 0, "the newest stays");
    assert!(store.begin(&entry("mi-3")).await.unwrap() > two);

    let copied = Store::open(copy.parent().unwrap()).await.unwrap();
    assert_eq!(copied.contents().await.unwrap().open.len(), 1);
    assert_eq!(copied.installation(), store.installation());
}

#[tokio::test]
async fn the_installations_that_it_was_are_remembered() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path()).await.unwrap();
    let new = store.installation().to_owned();
    assert!(store.contents().await.unwrap().former.is_empty());
    for _ in 0..2 {
        store.put_former("0a0a0a0a", t0()).await.unwrap();
    }
    let store = store.take_over("ffffffff", &[owned("Env", Some("prod"))], t0()).await.unwrap();
    store.close().await;

    let store = Store::open(directory.path()).await.unwrap();
    assert_eq!(store.installation(), "ffffffff");
    let contents = store.contents().await.unwrap();
    let mut former = vec!["0a0a0a0a", &*new];
    former.sort_unstable();
    assert_eq!(contents.former.iter().map(|id| &**id).collect::<Vec<_>>(), former);
    assert_eq!(contents.owned.len(), 1);
    let mut out = Vec::new();
    Reader::open(directory.path()).await.unwrap().export(&mut out).await.unwrap();
    let out = String::from_utf8(out).unwrap();
    assert!(out.lines().next().unwrap().contains("0a0a0a0a"), "{out}");
    let memory = crate::memory::Memory::of(contents, store.installation(), false, t0());
    assert_eq!(memory.finding_owners()[0].as_str(), "ffffffff");
    assert_eq!(memory.finding_owners().len(), 3);
}
