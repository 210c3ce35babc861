//! Integration tests of the client.

mod hostile;
mod wire;
