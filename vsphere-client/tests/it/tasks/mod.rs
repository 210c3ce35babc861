//! Tasks and snapshots.

mod live;
mod scripted;
mod server;
mod wire;
