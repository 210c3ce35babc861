//! The program is killed around every call that changes anything: before and after its intent, its effect and its outcome are
//! written down. One night has all of them in it: a hold, a snapshot, a release, a way back, a removal, and what it leaves.

use super::*;
use crate::plan::ActionKind;

/// A call: its intent is on the disk after 4 ms, its effect takes place after 7, its answer comes after 10, its outcome is on the
/// disk after 12, and the program knows so after 14.
const MOMENTS: [i64; 9] = [-1, 1, 3, 5, 7, 9, 11, 13, 10_000];
/// A person wants the VM back then.
const WISHED: i64 = 55;

struct Night {
    estate: Estate,
    program: Program,
}

impl Night {
    async fn begin() -> Self {
        let mut estate = Estate::new(1, true);
        estate.bad.insert(1);
        estate.vms.stick(1, 0);
        estate.vms.by_hand(1, "before the upgrade", "by hand");
        estate.window(WINDOW, By::Tag, mins(30), mins(20));
        let program = estate.start().await;
        Self { estate, program }
    }

    async fn wish(&self) {
        self.estate.until(mins(WISHED)).await;
        let Some((vm, record)) = self.program.record(1) else { return };
        let wish = Event::Wished(mappings::protection::Wish::Revert);
        self.program.engine.wish(&vm, &record, wish, true).await.unwrap();
    }

    async fn killed(self, at: Timestamp, pause: SignedDuration) -> Self {
        let Self { estate, program } = self;
        estate.until(at.duration_since(estate.start)).await;
        program.kill().await;
        tokio::time::sleep(Duration::try_from(pause).unwrap()).await;
        let program = estate.start().await;
        Self { estate, program }
    }

    async fn run(kill: Option<(Timestamp, SignedDuration)>) -> Self {
        let mut night = Self::begin().await;
        let wished = night.estate.at(mins(WISHED));
        match kill {
            None => night.wish().await,
            Some((at, pause)) if at < wished => {
                night = night.killed(at, pause).await;
                night.wish().await;
            }
            Some((at, pause)) => {
                night.wish().await;
                night = night.killed(at, pause).await;
            }
        }
        night.estate.until(mins(180)).await;
        night
    }

    /// When each kind of action was intended, apart from what is written when nobody holds anything.
    fn intended(&self, kind: ActionKind) -> Option<Timestamp> {
        let begins = self.estate.at(mins(15));
        let journal = self.estate.disk.journal();
        let mut entries = journal.iter().filter(|entry| entry.intended > begins && entry.kind == kind.word());
        entries.next().map(|entry| entry.intended)
    }

    fn is_right(&self, pause: SignedDuration, about: &str) {
        let Self { estate, program } = self;
        let patched = estate.patched();
        assert!(patched.len() <= 1, "{about}");
        assert!(patched.iter().all(|patched| patched.snapshots > 0), "{about}: {patched:?}");
        assert_eq!(estate.vms.snapshots(1), [("before the upgrade".to_owned(), None)], "{about}");
        assert_eq!(estate.tagged(), [1], "{about}");
        assert!(estate.vms.is_on(1) && !estate.vms.is_left_over(1), "{about}");
        let records = program.records();
        assert!(records.iter().all(|record| !record.stage.is_active()), "{about}: {records:#?}");
        estate.journal_explains(about);
        let deeds = estate.vms.deeds();
        let of = |act: Act| deeds.iter().filter(move |deed| deed.act == act).collect::<Vec<_>>();
        let (taken, removed) = (of(Act::Create), of(Act::Remove));
        assert!(taken.len() <= 2, "{about}: {deeds:#?}");
        // Only what began too late for the window may have come to nothing.
        assert!(!taken.is_empty() || (patched.is_empty() && pause > secs(20)), "{about}: {deeds:#?}");
        assert_eq!(taken.len(), removed.len(), "{about}: {deeds:#?}");
        for deed in &deeds {
            // Going back again brings nothing else about, as long as nobody powered the VM on meanwhile.
            let again = deed.act == Act::Revert && pause > secs(20);
            let twin = |other: &&vms::Deed| other.act == deed.act && other.snapshot == deed.snapshot;
            let times = deeds.iter().filter(twin).count();
            assert!(deed.changed, "{about}: {deed:?} was done twice");
            assert!(times == 1 || again || deed.snapshot.is_none(), "{about}: {deeds:#?}");
        }
        assert!(of(Act::Revert).len() <= 1 + usize::from(pause > secs(20)), "{about}: {deeds:#?}");
        let happened = estate.world.aws.happened();
        assert!(happened.iter().all(|happened| happened.changed), "{about}: {happened:#?}");
    }
}

fn in_virtual_time<T>(future: impl Future<Output = T>) -> T {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

fn killed_around(kind: ActionKind) {
    let at = in_virtual_time(async {
        let night = Night::run(None).await;
        night.is_right(SignedDuration::ZERO, "nobody kills it");
        assert_eq!(night.estate.patched().len(), 1);
        night.intended(kind).unwrap_or_else(|| panic!("there is no {} in the night", kind.word()))
    });
    for moment in MOMENTS {
        for pause in [secs(1), secs(100)] {
            in_virtual_time(async {
                let kill = at + SignedDuration::from_millis(moment);
                let night = Night::run(Some((kill, pause))).await;
                let about = format!("killed {moment} ms after {}, back after {pause:#}", kind.word());
                night.is_right(pause, &about);
            });
        }
    }
}

#[test]
fn killed_around_a_hold() {
    killed_around(ActionKind::RemoveTags);
}

#[test]
fn killed_around_a_release() {
    killed_around(ActionKind::AddTags);
}

#[test]
fn killed_around_a_snapshot() {
    killed_around(ActionKind::CreateSnapshot);
}

#[test]
fn killed_around_a_way_back() {
    killed_around(ActionKind::RevertToSnapshot);
}

#[test]
fn killed_around_power_on() {
    killed_around(ActionKind::PowerOn);
}

#[test]
fn killed_around_a_removal() {
    killed_around(ActionKind::RemoveSnapshot);
}

#[test]
fn killed_around_a_consolidation() {
    killed_around(ActionKind::ConsolidateDisks);
}
