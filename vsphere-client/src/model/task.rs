//! Tasks: what vCenter does after the call that asked for it has been answered.

use jiff::Timestamp;

use super::TaskState;
use crate::ids::{MoRef, SnapshotRef, TaskRef};
use crate::xml::{Decoder, FromXml, Named, XmlError, shorten_line};

/// The most causes and messages that are kept of one failure: honest ones have two or three.
const MOST: usize = 8;

/// What is known of a task (`TaskInfo`).
#[derive(Debug, Clone, PartialEq)]
pub struct TaskInfo {
    /// Its key, unique in the vCenter.
    pub key: Box<str>,
    /// The task.
    pub task: TaskRef,
    /// The method that began it, such as `CreateSnapshot_Task`; tasks that no method began have none.
    pub name: Option<Box<str>>,
    /// What it does, such as `VirtualMachine.createSnapshot`.
    pub description_id: Box<str>,
    /// The object that it works on.
    pub entity: Option<MoRef>,
    /// That object's name when the task began, escaped as in [`super::unescape_name`].
    pub entity_name: Option<Box<str>>,
    /// How far it is.
    pub state: Named<TaskState>,
    /// Whether somebody asked for it to be cancelled. It may take long until it is.
    pub cancelled: bool,
    /// Whether it can be cancelled.
    pub cancelable: bool,
    /// Why it failed; there whenever its state is [`TaskState::Error`].
    pub error: Option<TaskFailure>,
    /// The object that it made, if it made one.
    pub result: Option<MoRef>,
    /// Percent done, 0 to 100; unset while nothing is known of it.
    pub progress: Option<u8>,
    /// When it was asked for, by the server's clock.
    pub queue_time: Option<Timestamp>,
    /// When it began.
    pub start_time: Option<Timestamp>,
    /// When it ended.
    pub complete_time: Option<Timestamp>,
    /// Number that the events of this task share.
    pub event_chain_id: Option<i32>,
}

/// Why a task failed (`LocalizedMethodFault`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFailure {
    /// Type of the fault, such as `ApplicationQuiesceFault`; empty when the server gave no reason.
    pub fault: String,
    /// The sentence for people, one line; may be empty.
    pub message: String,
    /// The object that the fault is about, where it names one.
    pub object: Option<MoRef>,
    /// What it was caused by, and what that was caused by, at most eight of them.
    pub causes: Vec<FaultCause>,
    /// What vCenter and the host have to say of it, at most eight of them.
    pub messages: Vec<FaultMessage>,
}

/// A fault that caused another.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultCause {
    /// Type of the fault.
    pub fault: String,
    /// The sentence for people, one line; may be empty.
    pub message: String,
}

/// A sentence about a failure and the key that stands for it in any language (`LocalizableMessage`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultMessage {
    /// Its key, such as `msg.snapshot.error-QUIESCINGERROR`.
    pub key: String,
    /// The sentence, one line; may be empty.
    pub text: String,
}

impl TaskInfo {
    /// Whether it has ended, in whatever way.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.state.known(), Some(TaskState::Success | TaskState::Error))
    }

    /// How it ended: with the object that it made, if it made one, or with a failure; nothing while it goes on.
    #[must_use]
    pub fn outcome(&self) -> Option<Result<Option<&MoRef>, &TaskFailure>> {
        match self.state.known()? {
            TaskState::Success => Some(Ok(self.result.as_ref())),
            TaskState::Error => self.error.as_ref().map(Err),
            TaskState::Queued | TaskState::Running => None,
        }
    }

    /// The snapshot that it made.
    #[must_use]
    pub fn snapshot(&self) -> Option<SnapshotRef> {
        self.result.clone()?.try_into().ok()
    }
}

impl FromXml for TaskInfo {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        let mut task = None;
        let mut info = Self {
            key: Box::default(),
            task: TaskRef::new(""),
            name: None,
            description_id: Box::default(),
            entity: None,
            entity_name: None,
            state: Named::Unknown(Box::default()),
            cancelled: false,
            cancelable: false,
            error: None,
            result: None,
            progress: None,
            queue_time: None,
            start_time: None,
            complete_time: None,
            event_chain_id: None,
        };
        while d.child()? {
            match d.name() {
                "key" => info.key = d.read()?,
                "task" => task = Some(d.read()?),
                "name" => info.name = Some(d.read()?),
                "descriptionId" => info.description_id = d.read()?,
                "entity" => info.entity = Some(d.read()?),
                "entityName" => info.entity_name = Some(d.read()?),
                "state" => info.state = d.read()?,
                "cancelled" => info.cancelled = d.read()?,
                "cancelable" => info.cancelable = d.read()?,
                "error" => info.error = Some(d.read()?),
                // It may be of any type; only objects that were made are of use here.
                "result" if d.xsi_type() == "ManagedObjectReference" => info.result = Some(d.read()?),
                "progress" => info.progress = Some(percent(d.read()?)),
                "queueTime" => info.queue_time = Some(d.read()?),
                "startTime" => info.start_time = Some(d.read()?),
                "completeTime" => info.complete_time = Some(d.read()?),
                "eventChainId" => info.event_chain_id = Some(d.read()?),
                _ => d.skip()?,
            }
        }
        info.task = task.ok_or_else(|| d.bad_value("a task", ""))?;
        if info.state == Named::Known(TaskState::Error) && info.error.is_none() {
            info.error = Some(TaskFailure::default());
        }
        Ok(info)
    }
}

/// Servers have been seen to go beyond the hundred.
fn percent(progress: i32) -> u8 {
    progress.clamp(0, 100).try_into().unwrap_or(100)
}

impl FromXml for TaskFailure {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        let mut failure = Self::default();
        let outermost = failure.localized(d)?;
        (failure.fault, failure.message) = (outermost.fault, outermost.message);
        // They were noted from the inside out.
        failure.causes.reverse();
        Ok(failure)
    }
}

impl TaskFailure {
    /// Reads a `LocalizedMethodFault`; its causes go to `causes`, the innermost first, and all messages to `messages`.
    fn localized(&mut self, d: &mut Decoder) -> Result<FaultCause, XmlError> {
        let mut cause = FaultCause::default();
        while d.child()? {
            match d.name() {
                "fault" => {
                    cause.fault = shorten_line(d.xsi_type());
                    self.inside(d)?;
                }
                "localizedMessage" => cause.message = shorten_line(d.text()?),
                _ => d.skip()?,
            }
        }
        Ok(cause)
    }

    fn inside(&mut self, d: &mut Decoder) -> Result<(), XmlError> {
        while d.child()? {
            match d.name() {
                "faultCause" => {
                    let cause = self.localized(d)?;
                    // From the inside out, so that what is dropped is what lies outside of the innermost.
                    if self.causes.len() < MOST {
                        self.causes.push(cause);
                    }
                }
                "faultMessage" => {
                    let message = d.read()?;
                    if self.messages.len() < MOST {
                        self.messages.push(message);
                    }
                }
                // Of `ManagedObjectNotFound` and `NoPermission`.
                "obj" | "object" if self.object.is_none() && !d.mo_type().is_empty() => {
                    self.object = Some(d.read()?);
                }
                _ => d.skip()?,
            }
        }
        Ok(())
    }
}

impl FromXml for FaultMessage {
    fn from_xml(d: &mut Decoder) -> Result<Self, XmlError> {
        let mut message = Self::default();
        while d.child()? {
            match d.name() {
                "key" => message.key = shorten_line(d.text()?),
                "message" => message.text = shorten_line(d.text()?),
                _ => d.skip()?,
            }
        }
        Ok(message)
    }
}
