//! Protection: the snapshot of one VM for one maintenance window, from the first intent to its last trace.
//!
//! Every snapshot has a [`Record`], which is written down before anything is done and says how far it is. What moves it on
//! is an [`Event`]: a task that ended, what the VM's snapshot tree shows, what AWS says after the window, a person. The
//! steps are pure; they start nothing and read no clock. Only what a record names by its reference is ever removed or
//! reverted to.
//!
//! ```
//! use mappings::protection::{Event, Keep, Record, Run, Stage};
//! let opens = "2026-11-29T02:00:00Z".parse().unwrap();
//! let closes = "2026-11-29T06:00:00Z".parse().unwrap();
//! let now = "2026-11-29T01:00:00Z".parse().unwrap();
//! let run = Run { window: "mw-0123456789abcdef0".into(), name: "Sunday".into(), opens, closes };
//! let record = Record::new("9f86d081884c7d65".into(), "web-1".into(), Some(run), Keep::default(), now);
//! let record = record.after(Event::Started { task: "task-7".into() }, now);
//! let record = record.after(Event::Created { snapshot: "snapshot-3".into(), created: now }, now);
//! assert_eq!(record.stage, Stage::Kept);
//! assert!(record.protects());
//! ```

mod ids;
mod judge;
mod machine;
mod plan;
mod policy;
mod record;
mod say;
mod subject;
#[cfg(test)]
mod tests;

pub use ids::{RecordId, SnapshotId, TaskId};
pub use judge::{After, Execution, PatchRun, Probe, judge};
pub use machine::Event;
pub use plan::{Decisions, Doing, Forecast, Limits, Maker, plan};
pub use policy::{IfImpossible, Keep, Policy};
pub use record::{Ending, Judgement, Record, Run, Stage, Trouble, Wish};
pub use say::Say;
pub use subject::{Act, Place, Presence, Seen, Subject};
