//! `[limits]`: how much, how often, how long.

use std::time::Duration;

use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{Integer, Span};

/// How much, how often, how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// REST calls in flight at the same time, per vCenter.
    pub max_concurrent_reads: usize,
    /// Objects in one answer of the property collector, at most.
    pub page_size: usize,
    /// Time to open a connection, TLS included.
    pub connect_timeout: Duration,
    /// Time for one request, from sending it to the end of the answer. Long polls may take their own waiting time more.
    pub request_timeout: Duration,
    /// Longest pause between two attempts to reach a vCenter that does not answer.
    pub max_retry_delay: Duration,
    /// How old the data of a vCenter may be before it counts as stale.
    pub stale_after: Duration,
    /// Interval between two full readings of all tags, which heal what events missed.
    pub tags_full_refresh: Duration,
    /// Interval between two listings of the SDDCs of an organisation.
    pub sddc_refresh: Duration,
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

static MAX_CONCURRENT_READS: Key<Integer> = Key {
    name: "max_concurrent_reads",
    kind: Integer { min: 1, max: 32 },
    need: Need::Default("4"),
    doc: "REST calls in flight at the same time, per vCenter.",
    example: "4",
};

static PAGE_SIZE: Key<Integer> = Key {
    name: "page_size",
    kind: Integer { min: 10, max: 10_000 },
    need: Need::Default("1000"),
    doc: "Objects in one answer of vCenter's property collector, at most. Less memory with fewer, fewer round trips with more.",
    example: "1000",
};

static CONNECT_TIMEOUT: Key<Span> = Key {
    name: "connect_timeout",
    kind: Span { min: SECOND, max: Duration::from_secs(120) },
    need: Need::Default("10s"),
    doc: "Time to open a connection, TLS included.",
    example: "\"10s\"",
};

static REQUEST_TIMEOUT: Key<Span> = Key {
    name: "request_timeout",
    kind: Span { min: SECOND, max: Duration::from_secs(900) },
    need: Need::Default("2m"),
    doc: "Time for one request, from sending it to the end of the answer. Waiting for changes, which vCenter answers only when there are some, may take longer.",
    example: "\"2m\"",
};

static MAX_RETRY_DELAY: Key<Span> = Key {
    name: "max_retry_delay",
    kind: Span { min: SECOND, max: Duration::from_secs(900) },
    need: Need::Default("1m"),
    doc: "Longest pause between two attempts to reach a vCenter that does not answer. Pauses start short and grow.",
    example: "\"1m\"",
};

static STALE_AFTER: Key<Span> = Key {
    name: "stale_after",
    kind: Span { min: Duration::from_secs(30), max: Duration::from_secs(24 * 3600) },
    need: Need::Default("5m"),
    doc: "How old the data of a vCenter may be before it counts as stale. A stale part of the fleet is shown with its age and nothing is removed because of it.",
    example: "\"5m\"",
};

static TAGS_FULL_REFRESH: Key<Span> = Key {
    name: "tags_full_refresh",
    kind: Span { min: MINUTE, max: Duration::from_secs(24 * 3600) },
    need: Need::Default("15m"),
    doc: "Interval between two full readings of all tags. Tag events make changes visible at once; the full reading heals what they missed. Where events are not permitted or turned off, full readings begin every 40 s instead, one call for every 1,000 VMs, and take no more than a third of the time.",
    example: "\"15m\"",
};

static SDDC_REFRESH: Key<Span> = Key {
    name: "sddc_refresh",
    kind: Span { min: Duration::from_secs(10), max: HOUR },
    need: Need::Default("5m"),
    doc: "Interval between two listings of the SDDCs of each `[[vmc]]` organisation.",
    example: "\"5m\"",
};

pub(super) static SECTION: Section = Section {
    name: "limits",
    shape: Shape::One,
    doc: "How much, how often, how long. The defaults suit most installations.",
    keys: &[
        &MAX_CONCURRENT_READS,
        &PAGE_SIZE,
        &CONNECT_TIMEOUT,
        &REQUEST_TIMEOUT,
        &MAX_RETRY_DELAY,
        &STALE_AFTER,
        &TAGS_FULL_REFRESH,
        &SDDC_REFRESH,
    ],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<Limits> {
    let max_concurrent_reads = table.get(&MAX_CONCURRENT_READS);
    let page_size = table.get(&PAGE_SIZE);
    let connect_timeout = table.get(&CONNECT_TIMEOUT);
    let request_timeout = table.get(&REQUEST_TIMEOUT);
    let max_retry_delay = table.get(&MAX_RETRY_DELAY);
    let stale_after = table.get(&STALE_AFTER);
    let tags_full_refresh = table.get(&TAGS_FULL_REFRESH);
    let sddc_refresh = table.get(&SDDC_REFRESH);
    Some(Limits {
        max_concurrent_reads: max_concurrent_reads?,
        page_size: page_size?,
        connect_timeout: connect_timeout?,
        request_timeout: request_timeout?,
        max_retry_delay: max_retry_delay?,
        stale_after: stale_after?,
        tags_full_refresh: tags_full_refresh?,
        sddc_refresh: sddc_refresh?,
    })
}
