//! Watches programs in guests, and has AWS read while a node is awaited.
//!
//! vCenter tells nobody how a process in a guest is, so it is asked: at about the time at which such programs have ended lately,
//! then ever more rarely. So few questions are enough, and no time is lost. A guest that cannot be asked is asked again; when it
//! takes too long, the plan gives up.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::{SignedDuration, Timestamp};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, RealHands, Records, Seen};
use crate::enrol::{Enrolment, Event, Stage};
use crate::store::VmId;

/// How often it is looked whether it is time to ask anybody.
const TICK: Duration = Duration::from_millis(250);
/// The first pause after a start, as long as nobody knows how long such a program takes.
const FIRST: SignedDuration = SignedDuration::from_secs(2);
/// The least time after the expected end.
const MARGIN: SignedDuration = SignedDuration::from_millis(250);
/// The longest time until a guest is asked first, however long others took: one that is slow, or lies, delays nobody else.
const LATEST: SignedDuration = SignedDuration::from_secs(60);
/// The shortest pause between two questions.
const SHORTEST: SignedDuration = SignedDuration::from_secs(1);
/// The longest pause between two questions.
const LONGEST: SignedDuration = SignedDuration::from_secs(20);
/// Pause between two readings of AWS while a node is awaited.
const AWAITING: SignedDuration = SignedDuration::from_secs(10);
/// Guests asked at the same time.
const AT_ONCE: usize = 8;

/// When something is asked next, and after which pause.
#[derive(Debug, Clone, Copy)]
struct Appointment {
    since: Timestamp,
    next: Timestamp,
    pause: SignedDuration,
}

/// How long programs take: moving averages of their time and of how far it strays, as TCP estimates round trips.
#[derive(Debug, Clone, Copy)]
struct Typical {
    mean: SignedDuration,
    deviation: SignedDuration,
}

impl Typical {
    /// What another one, that took so long, makes of it.
    fn with(known: Option<Self>, took: SignedDuration) -> Self {
        match known {
            None => Self { mean: took, deviation: took / 8 },
            Some(Self { mean, deviation }) => {
                Self { mean: (mean * 3 + took) / 4, deviation: (deviation * 3 + (took - mean).abs()) / 4 }
            }
        }
    }

    /// When it is asked first, and the pause after that. A little later than most: asking once is better than asking twice.
    fn first(known: Option<Self>) -> (SignedDuration, SignedDuration) {
        known.map_or((FIRST, FIRST), |Self { mean, deviation }| {
            let pause = deviation.max(mean / 10).clamp(SHORTEST, LONGEST);
            ((mean + (deviation * 2).max(MARGIN)).min(LATEST), pause)
        })
    }
}

/// Who is asked when.
#[derive(Debug, Default)]
struct Book {
    appointments: HashMap<VmId, Appointment>,
    /// Those that are being asked.
    asking: HashSet<VmId>,
    preparing: Option<Typical>,
    registering: Option<Typical>,
}

impl Book {
    fn typical(&mut self, stage: Stage) -> &mut Option<Typical> {
        match stage {
            Stage::Registering { .. } => &mut self.registering,
            _ => &mut self.preparing,
        }
    }

    /// Takes note of an answer.
    fn answered(&mut self, Answered { vm, stage, ran }: Answered) {
        self.asking.remove(&vm);
        if let Some(ran) = ran {
            let known = self.typical(stage);
            *known = Some(Typical::with(*known, ran));
        }
    }

    /// Those among the waiting that it is time to ask now.
    fn due(&mut self, waiting: Vec<(VmId, Enrolment)>, now: Timestamp) -> Vec<(VmId, Enrolment)> {
        let names: HashSet<&VmId> = waiting.iter().map(|(vm, _)| vm).collect();
        self.appointments.retain(|vm, _| names.contains(vm));
        let after = |pause| now.checked_add(pause).unwrap_or(Timestamp::MAX);
        let mut due = Vec::new();
        for (vm, enrolment) in waiting {
            let (wait, pause) = Typical::first(*self.typical(enrolment.stage));
            let next = enrolment.since.checked_add(wait).unwrap_or(Timestamp::MAX);
            let first = Appointment { since: enrolment.since, next, pause };
            let appointment = self.appointments.entry(vm.clone()).or_insert(first);
            if appointment.since != enrolment.since {
                *appointment = first;
            }
            if appointment.next > now || self.asking.len() >= AT_ONCE || self.asking.contains(&vm) {
                continue;
            }
            if enrolment.stage == Stage::Verify {
                appointment.next = after(AWAITING);
            } else {
                appointment.next = after(appointment.pause);
                appointment.pause = (appointment.pause * 3 / 2).min(LONGEST);
                self.asking.insert(vm.clone());
            }
            due.push((vm, enrolment));
        }
        due
    }
}

/// What came of asking a guest.
struct Answered {
    vm: VmId,
    stage: Stage,
    /// How long the program ran, if it has ended.
    ran: Option<SignedDuration>,
}

/// Watches until stopped.
pub(crate) async fn watch<S: Records>(engine: Engine<S>, hands: RealHands, stop: CancellationToken) {
    let mut book = Book::default();
    let mut looks = FuturesUnordered::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(answered) = looks.next() => book.answered(answered),
            _ = ticks.tick() => {
                for (vm, enrolment) in book.due(engine.waiting_enrolments(), engine.now()) {
                    if enrolment.stage == Stage::Verify {
                        hands.nudge(&enrolment.place);
                    } else {
                        looks.push(look(&engine, &hands, vm, enrolment));
                    }
                }
            }
        }
    }
}

/// Asks one guest.
async fn look<S: Records>(engine: &Engine<S>, hands: &RealHands, vm: VmId, enrolment: Enrolment) -> Answered {
    let stage = enrolment.stage;
    let (event, ran) = match hands.guests().look(&vm, &enrolment).await {
        Ok(Seen::Running) => return Answered { vm, stage, ran: None },
        Ok(Seen::Ended { code, ran, report }) => (Event::Ended { code, report }, ran),
        Ok(Seen::Vanished) => (Event::Vanished, None),
        Err(error) => {
            tracing::debug!(vm = %enrolment.label, error = error.reason, "the program in the guest cannot be seen now");
            return Answered { vm, stage, ran: None };
        }
    };
    // It is the guest that says so, and no program ran for longer than it has been watched.
    let watched = engine.now().duration_since(enrolment.since).max(SignedDuration::ZERO);
    let ran = ran.map(|ran| ran.clamp(SignedDuration::ZERO, watched));
    if matches!(stage, Stage::Registering { .. }) {
        hands.nudge(&enrolment.place);
    }
    if let Err(error) = engine.saw(&vm, event).await {
        tracing::warn!(vm = %enrolment.label, %error, "what a program in a guest did cannot be written down yet");
    }
    Answered { vm, stage, ran }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: SignedDuration = SignedDuration::from_secs(1);

    #[test]
    fn what_always_takes_as_long_is_asked_once_right_after_its_end() {
        let mut known = None;
        for _ in 0..30 {
            known = Some(Typical::with(known, SECOND * 10));
        }
        assert_eq!(Typical::first(known), (SECOND * 10 + MARGIN, SECOND));
    }

    #[test]
    fn what_strays_is_given_time() {
        let mut known = None;
        for turn in 0..100 {
            known = Some(Typical::with(known, SECOND * if turn % 2 == 0 { 10 } else { 30 }));
        }
        let (first, pause) = Typical::first(known);
        assert!(first > SECOND * 30 && first < SECOND * 50, "{first:?}");
        assert!(pause > SECOND * 5 && pause <= LONGEST, "{pause:?}");
    }

    #[test]
    fn who_takes_for_ever_delays_nobody_else() {
        let mut known = None;
        for _ in 0..100 {
            known = Some(Typical::with(known, SignedDuration::from_hours(24 * 365 * 9000)));
        }
        assert_eq!(Typical::first(known), (LATEST, LONGEST));
    }
}
