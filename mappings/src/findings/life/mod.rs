//! The life of findings: created when a problem appears, updated when it changes, refreshed before Security Hub forgets it,
//! resolved when it is over, reopened when it comes back.
//!
//! A [`Record`] is what we know of one finding in Security Hub. [`plan`] compares records with the problems of now and says
//! what is to be sent; [`settle`] says what the record is after the answer, and [`Change::intent`] what it is before, so that a
//! process that is killed in between sends again what may have been lost. Sending twice does no harm.
//!
//! What belongs to people stays theirs. An import cannot change notes and workflow, and Security Hub itself makes a resolved
//! finding new again when its problem comes back. The one thing of theirs that we set is the workflow status of a finding whose
//! problem is over, and only after it was read: [`closing`].

mod adopt;
mod batch;
mod book;
mod close;
mod kin;
mod plan;
mod record;
mod settle;

pub use adopt::{Adopted, Claim, Listed, Workflow, adopt, claims};
pub use batch::{Batch, Batches, Call, batches};
pub use book::{Book, Others, Stranger, Unusable};
pub use close::{Closing, WorkflowStatus, closing};
pub use plan::{Change, ChangeKind, Foreign, Plan, Policy, Refused, Sight, plan, withdraw};
pub use record::{Failure, Record, State, WorkflowDue};
pub use settle::{Outcome, settle};
