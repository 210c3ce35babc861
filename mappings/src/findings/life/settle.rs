//! What a record is after an attempt.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::plan::{Change, ChangeKind};
use super::record::{Failure, LONGEST_WAIT, Record, later};
use crate::findings::text::fit;

/// What became of one finding of a call. Each has its own: `BatchImportFindings` and `BatchUpdateFindings` name those that
/// failed, and the others took place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Security Hub took it.
    Accepted,
    /// Nothing had to be sent: the workflow status is somebody's decision.
    Left,
    /// It was refused, and will be as long as it says the same (`InvalidInput`).
    Refused {
        /// The code of the error.
        code: Arc<str>,
        /// What Security Hub said.
        message: Arc<str>,
    },
    /// It did not take place, and may the next time (throttled, no access, an error inside of AWS).
    Failed {
        /// The code of the error.
        code: Arc<str>,
        /// What Security Hub said.
        message: Arc<str>,
    },
    /// Nobody knows: the answer was lost.
    Lost,
}

/// The first distance between attempts; it doubles up to [`LONGEST_WAIT`].
const FIRST: SignedDuration = SignedDuration::from_secs(30);
/// The longest message of Security Hub that is kept.
const MESSAGE: usize = 512;

/// The record after an attempt; none if there is nothing to remember. What comes back is written down before anything else is
/// sent about the same finding.
#[must_use]
pub fn settle(change: &Change, outcome: &Outcome, now: Timestamp) -> Option<Record> {
    let wanted = &change.record;
    match outcome {
        Outcome::Accepted | Outcome::Left if change.kind == ChangeKind::Close => {
            let mut record = wanted.clone();
            record.failure = None;
            if *outcome == Outcome::Accepted {
                record.workflow_at = Some(now);
            }
            Some(record)
        }
        Outcome::Accepted | Outcome::Left => {
            let mut record = wanted.clone();
            record.imported_at = Some(now);
            record.in_doubt = false;
            record.failure = change.refused_besides().cloned();
            Some(record)
        }
        Outcome::Refused { code, message } => Some(change.failed(code, message, true, now)),
        Outcome::Failed { code, message } => Some(change.failed(code, message, false, now)),
        Outcome::Lost => {
            let mut record = change.intent(now);
            record.failure = Some(change.failure("Lost", "the answer was lost", false, now));
            Some(record)
        }
    }
}

impl Change {
    /// What is written down before it is sent. A process that is killed now finds a record in doubt, and sends again.
    #[must_use]
    pub fn intent(&self, now: Timestamp) -> Record {
        let mut record = self.kept();
        match self.kind {
            // It stays to be looked at; reading it tells whether it was done.
            ChangeKind::Close => record.workflow_at = Some(now),
            // What may be open has to be resolved again when its problem goes before the answer comes.
            ChangeKind::Reopen => {
                record = self.record.clone();
                record.in_doubt = true;
            }
            ChangeKind::Create | ChangeKind::Resolve(_) | ChangeKind::Update | ChangeKind::Refresh => {
                record.in_doubt = true;
            }
        }
        record
    }

    /// Why what it is to say is not taken, while what was taken before is only kept from being forgotten.
    fn refused_besides(&self) -> Option<&Failure> {
        let refused = self.record.failure.as_ref().filter(|_| self.kind == ChangeKind::Refresh)?;
        (refused.permanent && refused.hash != self.record.hash).then_some(refused)
    }

    /// What was known before, with the time of this attempt.
    fn kept(&self) -> Record {
        let wanted = &self.record;
        let Some(before) = &self.before else { return wanted.clone() };
        let mut record = Record::clone(before);
        record.updated_at = wanted.updated_at;
        if record.imported_at.is_none() && record.state == wanted.state {
            // Nothing is known of what Security Hub has; what was wanted last is as good as anything.
            record.content = Arc::clone(&wanted.content);
            record.hash = wanted.hash.clone();
            record.parts.clone_from(&wanted.parts);
        }
        record
    }

    fn failed(&self, code: &str, message: &str, permanent: bool, now: Timestamp) -> Record {
        let mut record = self.kept();
        record.failure = Some(self.failure(code, message, permanent, now));
        record
    }

    fn failure(&self, code: &str, message: &str, permanent: bool, now: Timestamp) -> Failure {
        let before = self.before.as_ref().and_then(|before| before.failure.as_ref());
        let attempts = before.map_or(0, |failure| failure.attempts).saturating_add(1);
        let distance = FIRST.checked_mul(1 << attempts.saturating_sub(1).min(16)).unwrap_or(LONGEST_WAIT);
        let distance = distance.min(LONGEST_WAIT);
        if let Some(refused) = self.refused_besides() {
            return Failure { attempts, retry_at: later(now, distance), ..refused.clone() };
        }
        Failure {
            attempts,
            retry_at: later(now, distance),
            permanent,
            hash: self.record.hash.clone(),
            code: fit(code, 128).into(),
            message: fit(message, MESSAGE).into(),
        }
    }
}
