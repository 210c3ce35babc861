//! How long a plan takes when 2,000 VMs in 20 windows are within their lead: `cargo run --release -p mappings --example plan_speed`.

use std::num::NonZeroU32;
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use mappings::protection::{
    IfImpossible, Keep, Limits, Maker, Place, Policy, Presence, Record, RecordId, Run, Subject, plan,
};
use mappings::snapshot::hazard::{Preflight, Verdict};
use mappings::snapshot::pacing::{self, Resource};
use mappings::snapshot::space::{DatastoreId, Floor, Ledger};

struct Ids(Timestamp);

impl Maker for Ids {
    fn record(&self, subject: usize, run: &Run, attempt: u32, _: bool) -> Record {
        let id = format!("{subject}/{}/{attempt}", run.window);
        Record::new(id.into(), "vm".into(), Some(run.clone()), Keep::default(), self.0)
    }

    fn id(&self, _: usize, record: &Record, attempt: u32) -> RecordId {
        format!("{}+{attempt}", record.key()).into()
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured is real time")]
fn main() {
    let now: Timestamp = Timestamp::from_second(1_795_000_000).unwrap_or(Timestamp::UNIX_EPOCH);
    let hours = SignedDuration::from_hours;
    let policy = Policy {
        name: "all".into(),
        lead: hours(6),
        deadline: SignedDuration::from_mins(15),
        keep: Keep::default(),
        if_impossible: IfImpossible::Hold,
        consolidate: true,
    };
    let number = |number: u32| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
    let all = pacing::Limits { per_datastore: number(4), per_host: number(8), per_vcenter: number(32) };
    let mut ledger = Ledger::default();
    let stores: Vec<DatastoreId> = (0..40).map(|store| DatastoreId::new(&format!("store {store}"))).collect();
    for store in &stores {
        ledger.set(store.clone(), 20_000 << 30, 15_000 << 30);
    }
    let subject = |at: u32| {
        let (window, vcenter) = (at % 20, at % 4);
        let opens = now + hours(1) + SignedDuration::from_mins(i64::from(window) * 12);
        let store = vcenter * 10 + at / 20 % 10;
        Subject {
            label: "vm".into(),
            place: Place {
                vcenter: Resource(vcenter),
                host: Some(Resource(vcenter * 16 + at / 7 % 16)),
                datastores: vec![Resource(store)],
            },
            presence: Presence::Here,
            policy: Some(&policy),
            runs: vec![Run {
                window: format!("mw-{window}").into(),
                name: "window".into(),
                opens,
                closes: opens + hours(4),
            }],
            records: Vec::new(),
            judgements: Vec::new(),
            seen: Some(Vec::new()),
            all: Vec::new(),
            as_of: now,
            preflight: Preflight { verdict: Verdict::Go, warnings: Vec::new(), quiesce: true, memory: false },
            needs: vec![(stores[store as usize].clone(), 10 << 30)],
            expected: SignedDuration::from_secs(i64::from(60 + at % 120)),
            left_over: Some(false),
            under_way: None,
            busy: false,
        }
    };
    let subjects: Vec<Subject<'_>> = (0..2000).map(subject).collect();
    let limits = Limits { create: all, remove: all };
    let mut times: Vec<_> = (0..21)
        .map(|_| {
            let begin = Instant::now();
            let decisions = plan(&subjects, &limits, &ledger, Floor::default(), &Ids(now), now);
            assert_eq!(decisions.forecasts.len(), 20);
            assert_eq!(
                decisions.forecasts.iter().map(|forecast| forecast.planned.len()).sum::<usize>(),
                2000
            );
            begin.elapsed()
        })
        .collect();
    times.sort();
    println!("2,000 VMs in 20 windows: {:?} for a plan (the slowest of 21: {:?})", times[10], times[20]);
}
