//! What a plan says of findings as a whole.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mappings::findings::Target;
use mappings::findings::life::{Foreign, Others, Record, Refused};

use crate::aws::{Place, TargetName};
use crate::store::FindingChange;

/// What is known of a finding without anything being sent: what Security Hub has, what it has forgotten, what it never takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindingStep {
    /// The record that the plan was made from; nothing: there was none.
    pub before: Option<Record>,
    /// What it becomes.
    pub change: FindingChange,
}

/// That what is remembered was compared with what Security Hub has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reconciled {
    /// The target whose reading was used.
    pub target: TargetName,
    /// Where the findings are.
    pub place: Place,
    /// When the reading began.
    pub read: Timestamp,
    /// The same, for findings.
    pub of: Target,
    /// What else is there under our names.
    pub others: Others,
}

/// Findings of one account and Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HubPlan {
    /// The account and Region.
    pub place: Place,
    /// What is wrong now: an object and a rule each.
    pub problems: usize,
    /// How many findings that makes with `folding = "folded"`.
    pub folded: usize,
    /// How many with `folding = "full"`.
    pub full: usize,
    /// How many are open there.
    pub open: usize,
    /// How many are to be sent or changed now.
    pub changes: usize,
    /// Why nothing can be sent.
    pub trouble: Option<String>,
    /// What else a person should know.
    pub warnings: Vec<String>,
}

impl HubPlan {
    /// How many findings there would be, in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self { problems, folded, full, open, .. } = self;
        let problems = if *problems == 1 { "1 problem".to_owned() } else { format!("{problems} problems") };
        format!("{problems}: {folded} findings when folded, {full} in full; {open} are open now")
    }
}

/// What a plan says of findings as a whole.
#[derive(Debug, Clone, Default)]
pub struct FindingsPlan {
    /// By account and Region.
    pub hubs: Vec<HubPlan>,
    /// Accounts and Regions with open findings that no target reaches, and how many these are.
    pub out_of_reach: BTreeMap<Place, usize>,
    /// What Security Hub permanently refuses.
    pub refused: Vec<Refused>,
    /// Problems that another installation tells already.
    pub foreign: Vec<Foreign>,
    /// How many changes failed lately, and wait before they are tried again.
    pub waiting: usize,
    /// How many are left for the next cycle.
    pub held_back: usize,
    /// How many findings stay as they are because nobody can say how it is with them now.
    pub unseen: usize,
}
