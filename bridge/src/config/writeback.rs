//! `[writeback]`: what people in the vSphere client see of AWS.

use super::capability::{MODES, Mode};
use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{Boolean, Integer, OneOf};

/// What people in the vSphere client see of AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WritebackSettings {
    /// How far it may go.
    pub mode: Mode,
    /// Whether values that somebody else wrote to these attributes are taken over.
    pub adopt: bool,
    /// Values written in a second, per vCenter.
    pub writes_per_second: usize,
    /// Values written at the same time, per vCenter.
    pub concurrency: usize,
}

static MODE: Key<OneOf<Mode>> = Key {
    name: "mode",
    kind: MODES,
    need: Need::Default("off"),
    doc: "`off`, `observe` or `enforce`, as for `[tags]`.",
    example: "\"enforce\"",
};

static ADOPT: Key<Boolean> = Key {
    name: "adopt",
    kind: Boolean,
    need: Need::Default("false"),
    doc: "Whether values that somebody else wrote to these attributes are taken over.",
    example: "true",
};

static WRITES: Key<Integer> = Key {
    name: "writes_per_second",
    kind: Integer { min: 1, max: 100 },
    need: Need::Default("5"),
    doc: "Values written in a second, per vCenter. Each makes a task event in the vSphere client.",
    example: "5",
};

static CONCURRENCY: Key<Integer> = Key {
    name: "concurrency",
    kind: Integer { min: 1, max: 16 },
    need: Need::Default("2"),
    doc: "Values written at the same time, per vCenter.",
    example: "2",
};

pub(super) static SECTION: Section = Section {
    name: "writeback",
    shape: Shape::One,
    doc: "Custom attributes on VMs that show in the vSphere client what AWS sees: `vmbridge.node`, `vmbridge.patch-group` and `vmbridge.status`. It needs two more privileges in vCenter; see docs/privileges.md.",
    keys: &[&MODE, &ADOPT, &WRITES, &CONCURRENCY],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<WritebackSettings> {
    let mode = table.get(&MODE);
    let adopt = table.get(&ADOPT);
    let writes_per_second = table.get(&WRITES);
    let concurrency = table.get(&CONCURRENCY);
    Some(WritebackSettings {
        mode: mode?,
        adopt: adopt?,
        writes_per_second: writes_per_second?,
        concurrency: concurrency?,
    })
}
