//! Tasks and snapshots.

mod live;
mod scripted;
mod wire;
