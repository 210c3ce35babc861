//! Data objects and enumerations of the vSphere API that this client gives a meaning, and how they are decoded.
//!
//! A data object here holds what its users need, not everything vCenter sends; the rest is passed over. Adding a field means
//! one line in the struct and one in its decoder.

mod about;
mod custom_field;
mod device;
mod enums;
mod event;
mod guest;
mod snapshot;
mod task;

pub use about::{AboutInfo, ServiceContent};
pub use custom_field::{CustomFieldDef, CustomValue};
pub use device::{Controller, Device, DeviceKind, Disk, Ethernet};
pub use enums::*;
pub use event::{Event, EventArgument};
pub use guest::{FaultToleranceInfo, GuestNic, ManagedBy};
pub use snapshot::{SnapshotInfo, SnapshotTree};
pub use task::{FaultCause, FaultMessage, TaskFailure, TaskInfo};

/// Declares a data object with all its fields optional or defaulted, and its decoder: `"element" => field`.
macro_rules! data_object {
    ($(#[$doc:meta])* $vis:vis struct $name:ident { $($(#[$fdoc:meta])* $element:literal => $field:ident: $kind:ident $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq)]
        $vis struct $name { $($(#[$fdoc])* pub $field: data_object!(@type $kind $type),)* }

        impl crate::xml::FromXml for $name {
            fn from_xml(d: &mut crate::xml::Decoder) -> Result<Self, crate::xml::XmlError> {
                let mut value = Self::default();
                while d.child()? {
                    match d.name() {
                        $($element => data_object!(@set $kind value.$field, d),)*
                        _ => d.skip()?,
                    }
                }
                Ok(value)
            }
        }
    };
    (@type opt $type:ty) => { Option<$type> };
    (@type one $type:ty) => { $type };
    (@type many $type:ty) => { Vec<$type> };
    (@set opt $place:expr, $d:ident) => { $place = Some($d.read()?) };
    (@set one $place:expr, $d:ident) => { $place = $d.read()? };
    (@set many $place:expr, $d:ident) => { $place.push($d.read()?) };
}
pub(crate) use data_object;

/// A name as people wrote it: vCenter escapes `%`, `/` and `\` in the names of inventory objects as `%25`, `%2f` and `%5c`.
///
/// Nothing else is an escape, so any other `%` stays as it is.
#[must_use]
pub fn unescape_name(name: &str) -> std::borrow::Cow<'_, str> {
    if !name.contains('%') {
        return name.into();
    }
    let mut plain = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find('%') {
        plain.push_str(&rest[..at]);
        let escape = rest.get(at..at + 3).unwrap_or_default();
        let c = match escape {
            "%25" => '%',
            "%2f" | "%2F" => '/',
            "%5c" | "%5C" => '\\',
            _ => {
                plain.push('%');
                rest = &rest[at + 1..];
                continue;
            }
        };
        plain.push(c);
        rest = &rest[at + 3..];
    }
    plain.push_str(rest);
    plain.into()
}

/// The reverse of [`unescape_name`]: a name as vCenter wants it.
#[must_use]
pub fn escape_name(name: &str) -> std::borrow::Cow<'_, str> {
    if !name.contains(['%', '/', '\\']) {
        return name.into();
    }
    name.replace('%', "%25").replace('/', "%2f").replace('\\', "%5c").into()
}

#[cfg(test)]
mod tests {
    use super::{escape_name, unescape_name};

    #[test]
    fn an_escaped_name_is_read_as_it_was_written() {
        assert_eq!(escape_name("vmbridge/50%/a\\b"), "vmbridge%2f50%25%2fa%5cb");
        for name in ["web01", "%2f", "%252f", "a/b\\c%", ""] {
            assert_eq!(unescape_name(&escape_name(name)), name);
        }
    }

    #[test]
    fn names_are_unescaped_once_and_only_where_vcenter_escapes() {
        for (raw, plain) in [
            ("web01", "web01"),
            ("a%2fb%5Cc", "a/b\\c"),
            ("100%25", "100%"),
            ("%252f", "%2f"),
            ("50%", "50%"),
            ("%2", "%2"),
            ("%ü2f", "%ü2f"),
            ("%41", "%41"),
        ] {
            assert_eq!(unescape_name(raw), plain, "{raw}");
        }
    }
}
