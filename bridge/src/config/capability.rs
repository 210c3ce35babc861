//! What capabilities have in common in the configuration.

use super::schema::{Key, Need};
use super::values::OneOf;

/// How far a capability may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mode {
    /// Nothing is planned.
    Off,
    /// It is planned and reported, and nothing is changed.
    Observe,
    /// What is planned is done.
    Enforce,
}

impl Mode {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Enforce => "enforce",
        }
    }
}

pub(super) const MODES: OneOf<Mode> =
    OneOf(&[("off", Mode::Off), ("observe", Mode::Observe), ("enforce", Mode::Enforce)]);

pub(super) static MODE: Key<OneOf<Mode>> = Key {
    name: "mode",
    kind: MODES,
    need: Need::Default("observe"),
    doc: "`off`: nothing is planned. `observe`: what would be done is shown by `vmbridge plan`, and nothing is changed. `enforce`: it is done.",
    example: "\"enforce\"",
};

/// How far something may go that is reported to AWS. Off unless asked for: it reads more of every VM, and more of AWS.
pub(super) static REPORT_MODE: Key<OneOf<Mode>> = Key {
    name: "mode",
    kind: MODES,
    need: Need::Default("off"),
    doc: "`off`: nothing is planned. `observe`: what would be done is shown by `vmbridge plan`, and nothing is changed. `enforce`: it is done.",
    example: "\"enforce\"",
};
