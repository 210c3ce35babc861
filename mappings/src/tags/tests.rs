//! Tests of rules as a whole.

mod fixture;
mod messages;
mod rules;
