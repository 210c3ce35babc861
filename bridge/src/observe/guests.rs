//! Watches programs in guests, and has AWS read while a node is awaited.
//!
//! vCenter tells nobody how a process in a guest is, so it is asked: at about the time at which such programs have ended lately,
//! then ever more rarely. So few questions are enough, and no time is lost. A guest that cannot be asked is asked again; when it
//! takes too long, the plan gives up.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, RealHands, Records, Seen};
use crate::enrol::{Enrolment, Event, Stage};
use crate::store::VmId;

/// How often it is looked whether it is time to ask anybody.
const TICK: Duration = Duration::from_millis(500);
/// The first pause after a start, as long as nobody knows how long such a program takes.
const FIRST: SignedDuration = SignedDuration::from_secs(2);
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

/// How long programs took lately, by what they do: a moving average.
#[derive(Debug, Default)]
struct Typical {
    preparing: Option<SignedDuration>,
    registering: Option<SignedDuration>,
}

impl Typical {
    fn of(&mut self, stage: Stage) -> &mut Option<SignedDuration> {
        match stage {
            Stage::Registering { .. } => &mut self.registering,
            _ => &mut self.preparing,
        }
    }

    /// Takes note of one that took so long.
    fn note(&mut self, stage: Stage, took: SignedDuration) {
        let known = self.of(stage);
        *known = Some(known.map_or(took, |known| (known * 3 + took) / 4));
    }

    /// When it is asked first, and the pause after that.
    fn first(&mut self, stage: Stage) -> (SignedDuration, SignedDuration) {
        match *self.of(stage) {
            None => (FIRST, FIRST),
            // A little later than most: asking once is better than asking twice.
            Some(typical) => (typical + SHORTEST / 2, (typical / 10).clamp(SHORTEST, LONGEST)),
        }
    }
}

/// Watches until stopped.
pub(crate) async fn watch<S: Records>(engine: Engine<S>, hands: RealHands, stop: CancellationToken) {
    let (mut appointments, mut typical) = (HashMap::new(), Typical::default());
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = stop.cancelled() => return,
        }
        let due = due(&engine, &hands, &mut appointments, &mut typical);
        let looks = due.into_iter().map(|(vm, enrolment)| look(&engine, &hands, vm, enrolment));
        tokio::select! {
            ended = futures_util::stream::iter(looks).buffer_unordered(AT_ONCE).collect::<Vec<_>>() => {
                ended.into_iter().flatten().for_each(|(stage, took)| typical.note(stage, took));
            }
            () = stop.cancelled() => return,
        }
    }
}

/// The guests that it is time to ask.
fn due<S: Records>(
    engine: &Engine<S>,
    hands: &RealHands,
    appointments: &mut HashMap<VmId, Appointment>,
    typical: &mut Typical,
) -> Vec<(VmId, Enrolment)> {
    let now = engine.now();
    let waiting = engine.waiting_enrolments();
    appointments.retain(|vm, _| waiting.iter().any(|(waiting, _)| waiting == vm));
    let after = |pause| now.checked_add(pause).unwrap_or(Timestamp::MAX);
    waiting
        .into_iter()
        .filter(|(vm, enrolment)| {
            let (wait, pause) = typical.first(enrolment.stage);
            let next = enrolment.since.checked_add(wait).unwrap_or(Timestamp::MAX);
            let first = Appointment { since: enrolment.since, next, pause };
            let appointment = appointments.entry(vm.clone()).or_insert(first);
            if appointment.since != enrolment.since {
                *appointment = first;
            }
            if appointment.next > now {
                return false;
            }
            if enrolment.stage == Stage::Verify {
                appointment.next = after(AWAITING);
                hands.nudge(&enrolment.place);
                return false;
            }
            appointment.next = after(appointment.pause);
            appointment.pause = (appointment.pause * 3 / 2).min(LONGEST);
            true
        })
        .collect()
}

/// Asks one guest; tells how long the program took, if it has ended.
async fn look<S: Records>(
    engine: &Engine<S>,
    hands: &RealHands,
    vm: VmId,
    enrolment: Enrolment,
) -> Option<(Stage, SignedDuration)> {
    let event = match hands.guests().look(&vm, &enrolment).await {
        Ok(Seen::Running) => return None,
        Ok(Seen::Ended { code, report }) => Event::Ended { code, report },
        Ok(Seen::Vanished) => Event::Vanished,
        Err(error) => {
            tracing::debug!(vm = %enrolment.label, error = error.reason, "the program in the guest cannot be seen now");
            return None;
        }
    };
    let ended = matches!(event, Event::Ended { .. });
    let took = engine.now().duration_since(enrolment.since);
    if matches!(enrolment.stage, Stage::Registering { .. }) {
        hands.nudge(&enrolment.place);
    }
    if let Err(error) = engine.saw(&vm, event).await {
        tracing::warn!(vm = %enrolment.label, %error, "what a program in a guest did cannot be written down yet");
    }
    ended.then_some((enrolment.stage, took))
}
