//! Names and descriptions of snapshots, and the mark by which one of ours is known again.
//!
//! The name is for people; nothing is ever decided by it. The first line of the description is the [`Mark`]: who made the
//! snapshot, of which VM, and under which record. Anybody may write anything into a description, so a mark is read strictly, and
//! even then it only says where to look: what counts is the record.
//!
//! ```
//! use mappings::snapshot::name::{Mark, snapshot_name};
//!
//! let opens = "2026-11-28T02:00:00Z".parse()?;
//! assert_eq!(snapshot_name("Sundays 2/4", opens), "vmbridge/Sundays 2-4/20261128T0200Z");
//!
//! let uuid = "5d2a3c2e-6f0c-4d0e-9f4e-0123456789ab";
//! let mark = Mark::new("0a1b2c3d", uuid, "vm-1042", None, 0x1f)?;
//! let description = mark.description("Sundays 2/4", opens);
//! assert!(description.starts_with("vmbridge owner=0a1b2c3d vcenter=5d2a3c2e-"));
//! assert_eq!(Mark::parse(&description), Some(mark));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fmt;

use jiff::Timestamp;
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// The longest name of a snapshot that vCenter accepts, in characters.
pub const LONGEST_NAME: usize = 80;

/// What names and marks of ours begin with.
const OURS: &str = "vmbridge";
/// The longest first line of a description that can be a mark, in bytes. The parts of a mark are never longer together.
const LONGEST_MARK: usize = 512;
/// The longest owner and `MoRef` in a mark, in bytes.
const LONGEST_PART: usize = 80;
/// How much of a text from outside is shown within a sentence, in characters.
const LONGEST_SHOWN: usize = 60;

/// The name of a snapshot before an opening of a window: `vmbridge/<window>/<time>`.
///
/// Window names come from people: characters that cannot be seen are left out, and slashes and percent signs, which vCenter
/// escapes in names, become `-`. What is too long is cut.
#[must_use]
pub fn snapshot_name(window: &str, opens: Timestamp) -> String {
    let time = opens.strftime("%Y%m%dT%H%MZ").to_string();
    let around = OURS.len() + time.chars().count() + 2;
    let window = window.chars().map(|character| if "/\\%".contains(character) { '-' } else { character });
    let window = cleaned(window, LONGEST_NAME.saturating_sub(around));
    let window = if window.is_empty() { "window" } else { &window };
    format!("{OURS}/{window}/{time}")
}

/// A text from outside, fit to stand within a sentence: one line, without characters that cannot be seen, and not long.
pub(crate) fn tidy(text: &str) -> String {
    let mut tidy = cleaned(text.chars(), LONGEST_SHOWN);
    if text.chars().count() > LONGEST_SHOWN {
        tidy.push('…');
    }
    tidy
}

/// At most so many characters; white space becomes single spaces, what cannot be seen is left out.
fn cleaned(text: impl Iterator<Item = char>, longest: usize) -> String {
    let mut out = String::new();
    let mut length = 0;
    for character in text {
        let character = if character.is_whitespace() { ' ' } else { character };
        let unseen = matches!(
            character.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::PrivateUse
                | GeneralCategory::Unassigned
        );
        if unseen || (character == ' ' && (out.is_empty() || out.ends_with(' '))) {
            continue;
        }
        if length == longest {
            break;
        }
        out.push(character);
        length += 1;
    }
    out.truncate(out.trim_end().len());
    out
}

/// Whose snapshot it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Mark {
    owner: String,
    vcenter: String,
    vm: String,
    instance: Option<String>,
    record: u64,
}

/// Why something cannot stand in a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// The owner.
    #[error("the owner of a snapshot is 1 to 80 letters, digits and `-`, `_` or `.`")]
    Owner,
    /// The vCenter.
    #[error("the vCenter of a snapshot is named by its UUID")]
    Vcenter,
    /// The VM.
    #[error("the VM of a snapshot is named by its MoRef: 1 to 80 letters, digits and `-`, `_` or `.`")]
    Vm,
    /// The VM's instance UUID.
    #[error("the instance of a snapshot's VM is named by its UUID")]
    Instance,
}

impl Mark {
    /// A mark: the installation that owns the snapshot, the UUID of the vCenter (`about.instanceUuid`), the VM's `MoRef`
    /// there, its instance UUID where it has one, and the number of the record. UUIDs are kept in lower case.
    ///
    /// # Errors
    /// When a part has another form.
    pub fn new(
        owner: &str,
        vcenter: &str,
        vm: &str,
        instance: Option<&str>,
        record: u64,
    ) -> Result<Self, MarkError> {
        let token = |text: &str| is_token(text).then(|| text.to_owned());
        let uuid = |text: &str| Some(text.to_ascii_lowercase()).filter(|text| is_uuid(text));
        Ok(Self {
            owner: token(owner).ok_or(MarkError::Owner)?,
            vcenter: uuid(vcenter).ok_or(MarkError::Vcenter)?,
            vm: token(vm).ok_or(MarkError::Vm)?,
            instance: instance.map(|text| uuid(text).ok_or(MarkError::Instance)).transpose()?,
            record,
        })
    }

    /// The id of the installation that made the snapshot.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The UUID of the vCenter.
    #[must_use]
    pub fn vcenter(&self) -> &str {
        &self.vcenter
    }

    /// The VM's `MoRef`.
    #[must_use]
    pub fn vm(&self) -> &str {
        &self.vm
    }

    /// The VM's instance UUID, if it had one.
    #[must_use]
    pub fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// The number of the record.
    #[must_use]
    pub fn record(&self) -> u64 {
        self.record
    }

    /// The whole description: the mark, and a line for people who find the snapshot.
    #[must_use]
    pub fn description(&self, window: &str, opens: Timestamp) -> String {
        let opens = opens.strftime("%Y-%m-%d %H:%M UTC");
        let window = tidy(window);
        format!(
            "{self}\nBefore {window} opening {opens}; removed by vmbridge. Do not remove by hand while the window is open."
        )
    }

    /// The mark in a description, if its first line is one to the letter. Other lines may follow, but no second mark: of two
    /// nobody can say which is right.
    #[must_use]
    pub fn parse(description: &str) -> Option<Self> {
        let mut lines = description.split('\n');
        let first = lines.next()?;
        let first = first.strip_suffix('\r').unwrap_or(first);
        if first.len() > LONGEST_MARK || lines.any(|line| line.trim_start().starts_with("vmbridge owner=")) {
            return None;
        }
        let mut words = first.split(' ');
        if words.next()? != OURS {
            return None;
        }
        let mut part = |key: &str| words.next()?.strip_prefix(key)?.strip_prefix('=');
        let (owner, vcenter, vm) = (part("owner")?, part("vcenter")?, part("vm")?);
        let (instance, record) = (part("instance")?, part("record")?);
        if words.next().is_some() {
            return None;
        }
        let record = if is_hex(record, 16) { u64::from_str_radix(record, 16).ok()? } else { return None };
        let mark =
            Self::new(owner, vcenter, vm, Some(instance).filter(|instance| *instance != "-"), record).ok()?;
        // Written by us it is in lower case.
        (mark.vcenter == vcenter && mark.instance.as_deref().unwrap_or("-") == instance).then_some(mark)
    }
}

impl fmt::Display for Mark {
    /// The one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owner, vcenter, vm, instance, record } = self;
        let instance = instance.as_deref().unwrap_or("-");
        write!(f, "{OURS} owner={owner} vcenter={vcenter} vm={vm} instance={instance} record={record:016x}")
    }
}

fn is_token(text: &str) -> bool {
    (1..=LONGEST_PART).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Lower case, in five groups.
fn is_uuid(text: &str) -> bool {
    let mut groups = text.split('-');
    let all = [8, 4, 4, 4, 12].iter().all(|length| groups.next().is_some_and(|group| is_hex(group, *length)));
    all && groups.next().is_none()
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const UUID: &str = "5d2a3c2e-6f0c-4d0e-9f4e-0123456789ab";
    const OTHER: &str = "420e1f6d-0000-4d0e-9f4e-0123456789ab";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn line() -> String {
        format!("vmbridge owner=0a1b2c3d vcenter={UUID} vm=vm-7 instance={OTHER} record=00000000000000ff")
    }

    #[test]
    fn names_are_cleaned_and_fit() {
        let opens = at("2026-11-28T02:00:59Z");
        for (window, name) in [
            ("Sunday", "vmbridge/Sunday/20261128T0200Z"),
            (" a\u{7}b\n\tc\u{202e}d ", "vmbridge/ab cd/20261128T0200Z"),
            ("50%/a\\b", "vmbridge/50--a-b/20261128T0200Z"),
            ("", "vmbridge/window/20261128T0200Z"),
            ("\u{0}\u{200b}", "vmbridge/window/20261128T0200Z"),
            ("日曜日", "vmbridge/日曜日/20261128T0200Z"),
        ] {
            assert_eq!(snapshot_name(window, opens), name, "{window:?}");
        }
        let long = snapshot_name(&"ä".repeat(200), opens);
        assert_eq!(long.chars().count(), LONGEST_NAME);
        assert!(long.ends_with("ä/20261128T0200Z"));
        // A cut that falls after a space leaves none.
        assert!(snapshot_name(&format!("{} x", "a".repeat(55)), opens).contains("aa/2026"));
    }

    #[test]
    fn a_mark_is_read_to_the_letter() {
        let line = line();
        let mark = Mark::parse(&line).unwrap();
        assert_eq!((mark.owner(), mark.vcenter(), mark.vm()), ("0a1b2c3d", UUID, "vm-7"));
        assert_eq!((mark.instance(), mark.record()), (Some(OTHER), 255));
        for more in ["", "\n", "\r\nBefore Sunday", "\n\nvmbridge", "\nfree text owner=x vcenter=y"] {
            assert_eq!(Mark::parse(&format!("{line}{more}")).as_ref(), Some(&mark), "{more:?}");
        }
        let second = line.replace("ff", "fe");
        for other in [
            String::new(),
            format!("note\n{line}"),
            format!(" {line}"),
            format!("{line} "),
            format!("{line} x=1"),
            format!("{line}\n{line}"),
            format!("{line}\nnote\n  {second}"),
            format!("{line} {second}"),
            line.replace("vmbridge ", "vmbridge  "),
            line.replace(' ', "\t"),
            line.replace("vmbridge", "VMBRIDGE"),
            line.replace("owner=0a1b2c3d", "owner="),
            line.replace("owner=0a1b2c3d", "owner=a b"),
            line.replace("owner=0a1b2c3d", "owner=ä"),
            line.replace("owner=0a1b2c3d", "owner=1 owner=2"),
            line.replace("owner=0a1b2c3d", &format!("owner={}", "a".repeat(10_000))),
            line.replace("vm=vm-7", "vm=../7"),
            line.replace(UUID, &UUID.to_uppercase()),
            line.replace(OTHER, &OTHER.to_uppercase()),
            line.replace(UUID, &UUID.replace('-', "")),
            line.replace(UUID, "-"),
            line.replace(OTHER, ""),
            line.replace("00000000000000ff", "ff"),
            line.replace("00000000000000ff", "00000000000000FF"),
            line.replace("00000000000000ff", "+0000000000000ff"),
            line.replace(" record=00000000000000ff", ""),
            line.replace(&format!(" vcenter={UUID} vm=vm-7"), &format!(" vm=vm-7 vcenter={UUID}")),
        ] {
            assert_eq!(Mark::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn what_cannot_be_in_a_mark_is_told() {
        assert_eq!(Mark::new("a b", UUID, "vm-1", None, 0), Err(MarkError::Owner));
        assert_eq!(Mark::new("a", "vc", "vm-1", None, 0), Err(MarkError::Vcenter));
        assert_eq!(Mark::new("a", UUID, "vm-1\nx", None, 0), Err(MarkError::Vm));
        assert_eq!(Mark::new("a", UUID, "vm-1", Some("-"), 0), Err(MarkError::Instance));
        let upper = Mark::new("a", &UUID.to_uppercase(), "vm-1", None, 0).unwrap();
        assert_eq!(upper.vcenter(), UUID);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            owner in "[0-9a-f]{8}",
            vm in "[A-Za-z0-9._-]{1,80}",
            vcenter in "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
            instance in proptest::option::of("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
            record: u64,
            window in "\\PC{0,90}|.{0,90}|vmbridge owner=.{0,20}",
            second in 0_i64..10_000_000_000,
        ) {
            let mark = Mark::new(&owner, &vcenter, &vm, instance.as_deref(), record).unwrap();
            let opens = Timestamp::from_second(second).unwrap();
            let description = mark.description(&window, opens);
            prop_assert_eq!(description.lines().count(), 2);
            prop_assert_eq!(Mark::parse(&description), Some(mark));
        }

        #[test]
        fn any_description_is_read_or_not(text in "(?s).{0,80}", cut in 0_usize..140, line_end in ".{0,40}") {
            let _ = Mark::parse(&text);
            // Half a mark with anything after it is none.
            let line = line();
            if cut < line.len() && !line.starts_with(&format!("{}{line_end}", &line[..cut])) {
                let changed = format!("{}{line_end}", &line[..cut]);
                if let Some(mark) = Mark::parse(&changed) {
                    prop_assert_eq!(mark.to_string(), changed.trim_end_matches('\r'));
                }
            }
        }

        #[test]
        fn any_window_gives_a_name_of_three_parts(window in "(?s).{0,120}", second in -377_000_000_000_i64..253_000_000_000) {
            let name = snapshot_name(&window, Timestamp::from_second(second).unwrap());
            prop_assert!(name.chars().count() <= LONGEST_NAME);
            prop_assert_eq!(name.split('/').count(), 3);
            let bad = |character: char| character.is_control() || "%\\".contains(character);
            prop_assert!(!name.contains(bad), "{name:?}");
        }
    }
}
