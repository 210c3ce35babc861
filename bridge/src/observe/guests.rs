//! Watches programs in guests, and has AWS read while a node is awaited.
//!
//! vCenter tells nobody how a process in a guest is, so it is asked: soon after the start, then ever more rarely. A guest that
//! cannot be asked is asked again; when it takes too long, the plan gives up.

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
/// The first pause after a start.
const FIRST: SignedDuration = SignedDuration::from_secs(2);
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

/// Watches until stopped.
pub(crate) async fn watch<S: Records>(engine: Engine<S>, hands: RealHands, stop: CancellationToken) {
    let mut appointments: HashMap<VmId, Appointment> = HashMap::new();
    loop {
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            () = stop.cancelled() => return,
        }
        let due = due(&engine, &hands, &mut appointments);
        let looks = due.into_iter().map(|(vm, enrolment)| look(&engine, &hands, vm, enrolment));
        tokio::select! {
            () = futures_util::stream::iter(looks).buffer_unordered(AT_ONCE).collect::<()>() => {}
            () = stop.cancelled() => return,
        }
    }
}

/// The guests that it is time to ask.
fn due<S: Records>(
    engine: &Engine<S>,
    hands: &RealHands,
    appointments: &mut HashMap<VmId, Appointment>,
) -> Vec<(VmId, Enrolment)> {
    let now = engine.now();
    let waiting = engine.waiting_enrolments();
    appointments.retain(|vm, _| waiting.iter().any(|(waiting, _)| waiting == vm));
    let after = |pause| now.checked_add(pause).unwrap_or(Timestamp::MAX);
    waiting
        .into_iter()
        .filter(|(vm, enrolment)| {
            let first = Appointment { since: enrolment.since, next: after(FIRST), pause: FIRST };
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
            appointment.pause = (appointment.pause * 3 / 2).min(LONGEST);
            appointment.next = after(appointment.pause);
            true
        })
        .collect()
}

async fn look<S: Records>(engine: &Engine<S>, hands: &RealHands, vm: VmId, enrolment: Enrolment) {
    let event = match hands.guests().look(&vm, &enrolment).await {
        Ok(Seen::Running) => return,
        Ok(Seen::Ended { code, report }) => Event::Ended { code, report },
        Ok(Seen::Vanished) => Event::Vanished,
        Err(error) => {
            tracing::debug!(vm = %enrolment.label, error = error.reason, "the program in the guest cannot be seen now");
            return;
        }
    };
    if matches!(enrolment.stage, Stage::Registering { .. }) {
        hands.nudge(&enrolment.place);
    }
    if let Err(error) = engine.saw(&vm, event).await {
        tracing::warn!(vm = %enrolment.label, %error, "what a program in a guest did cannot be written down yet");
    }
}
