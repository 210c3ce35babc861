//! Security Hub: findings and their life.

use serde_json::Value;

use super::caller::Wish;
use super::error::Error;
use super::service::Call;

/// The findings of a Region.
#[derive(Debug, Default)]
pub(crate) struct Findings {}

impl Findings {
    pub(crate) fn all(&self) -> Vec<Value> {
        Vec::new()
    }
}

pub(super) fn wishes(_call: &Call<'_>) -> Vec<Wish> {
    Vec::new()
}

fn later() -> Result<Value, Error> {
    Err(Error::new(500, "InternalException", "not played yet"))
}

pub(super) fn import(_call: &Call<'_>) -> Result<Value, Error> {
    later()
}

pub(super) fn update(_call: &Call<'_>) -> Result<Value, Error> {
    later()
}

pub(super) fn get(_call: &Call<'_>) -> Result<Value, Error> {
    later()
}

pub(super) fn describe(_call: &Call<'_>) -> Result<Value, Error> {
    later()
}
