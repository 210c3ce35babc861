//! What tests say about guests, and what they are told of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A user of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct GuestAccount {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
    /// On Linux root, on Windows an administrator with an elevated token: it may do everything.
    #[serde(default)]
    pub privileged: bool,
    /// It may become root by `sudo -n`, without a password.
    #[serde(default)]
    pub sudo: bool,
}

/// What is different about a guest. Absent parts stay as they are.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct GuestSetting {
    /// Another name of the first account.
    pub username: Option<String>,
    /// Another password of the first account, which unlocks it.
    pub password: Option<String>,
    /// Other accounts, instead of all that are there.
    pub accounts: Option<Vec<GuestAccount>>,
    /// An account is locked when its password was wrong so often in a row; 0: never.
    pub lock_after: Option<u32>,
    /// How long the installer works, in milliseconds.
    pub work_ms: Option<u64>,
    /// Exit codes of the next programs, instead of what they would do.
    pub exits: Option<Vec<i32>>,
    /// Reasons (`disk-full`) with which the next runs of a step (`prepare`) end, instead of what they would do.
    pub outcomes: Option<BTreeMap<String, Vec<String>>>,
    /// The agent registers, and says nothing for so long, in milliseconds.
    pub online_after_ms: Option<u64>,
    /// A registration that the guest has, such as that of the VM that it was cloned from. The agent is installed then.
    pub registered: Option<GuestRegistration>,
    /// The version of the agent that is installed; empty: none is.
    pub agent: Option<String>,
    /// Room on the disk for files, in bytes.
    pub disk_bytes: Option<u64>,
    /// How long the address of a transfer can be used, in milliseconds.
    pub ticket_ms: Option<u64>,
    /// Every process ends without a word, as when the guest is started again.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reboot: bool,
}

/// A registration that a guest has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GuestRegistration {
    /// The node.
    pub node: String,
    /// Its Region.
    pub region: String,
}

/// What is known of a guest, for tests.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct GuestTruth {
    /// The VM.
    pub vm: String,
    /// The files that are there, with their contents as far as they are text.
    pub files: BTreeMap<String, String>,
    /// The directories that were made and are there.
    pub directories: Vec<String>,
    /// Every command line that was ever started, with its variables.
    pub started: Vec<String>,
    /// How often a password was refused.
    pub refused: u32,
    /// The accounts that are locked.
    pub locked: Vec<String>,
    /// The registration.
    pub registered: Option<GuestRegistration>,
    /// The version of the agent, if there is one.
    pub agent: Option<String>,
}
