//! `[guard]`: how much may change without a person's consent.

use std::time::Duration;

use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{Integer, Span};

/// How much may change without a person's consent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guard {
    /// The largest share of what a capability manages that it may change or remove, in percent.
    pub max_change_percent: usize,
    /// So many changes are always allowed.
    pub floor: usize,
    /// The time over which changes are added up.
    pub window: Duration,
    /// How long an approval is good for.
    pub approval_lifetime: Duration,
}

static MAX_CHANGE_PERCENT: Key<Integer> = Key {
    name: "max_change_percent",
    kind: Integer { min: 0, max: 100 },
    need: Need::Default("20"),
    doc: "The largest share of what a capability manages in an account and Region (or a vCenter) that it may change or remove within `window`, in percent. Above it the capability stops there, says so, and waits for `vmbridge approve`. 100 turns the guard off.",
    example: "20",
};

static FLOOR: Key<Integer> = Key {
    name: "floor",
    kind: Integer { min: 0, max: 10_000 },
    need: Need::Default("5"),
    doc: "So many objects may always change, however small the fleet is.",
    example: "5",
};

static WINDOW: Key<Span> = Key {
    name: "window",
    kind: Span { min: Duration::from_secs(1), max: Duration::from_secs(24 * 3600) },
    need: Need::Default("10m"),
    doc: "The time over which changes are added up, so that a fleet that is stripped little by little is noticed too.",
    example: "\"10m\"",
};

static APPROVAL_LIFETIME: Key<Span> = Key {
    name: "approval_lifetime",
    kind: Span { min: Duration::from_secs(60), max: Duration::from_secs(7 * 24 * 3600) },
    need: Need::Default("24h"),
    doc: "How long an approval is good for. It covers the changes that were shown, and no others.",
    example: "\"24h\"",
};

pub(super) static SECTION: Section = Section {
    name: "guard",
    shape: Shape::One,
    doc: "How much may change without a person's consent. It protects against an emptied tag category or a lost permission in vCenter.",
    keys: &[&MAX_CHANGE_PERCENT, &FLOOR, &WINDOW, &APPROVAL_LIFETIME],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<Guard> {
    let max_change_percent = table.get(&MAX_CHANGE_PERCENT);
    let floor = table.get(&FLOOR);
    let window = table.get(&WINDOW);
    let approval_lifetime = table.get(&APPROVAL_LIFETIME);
    Some(Guard {
        max_change_percent: max_change_percent?,
        floor: floor?,
        window: window?,
        approval_lifetime: approval_lifetime?,
    })
}
