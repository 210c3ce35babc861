//! Snapshots before maintenance windows: what may be done, when, and what is written on them.
//!
//! - [`hazard`]: may a snapshot of this VM be taken now?
//! - [`space`]: is there room for it, with all the others of the window?
//! - [`pacing`]: when does each begin, so that all are done in time and no store is overrun?
//! - [`name`]: what it is called, and the mark by which it is known again.

pub mod hazard;
pub mod name;
pub mod pacing;
pub mod space;
