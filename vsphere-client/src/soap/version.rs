//! Which version of the API to speak.

use std::fmt;

use crate::xml::{Body, Decoder, Limits, XmlError};

/// A version of the vSphere API, such as `8.0.2.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    parts: [u16; 4],
    /// How many parts were written: `6.7` and `6.7.0.0` are one version, but a server knows only the spelling it announced.
    written: u8,
}

impl ApiVersion {
    /// The oldest version this client speaks: vSphere 6.7.
    pub const OLDEST: Self = Self { parts: [6, 7, 0, 0], written: 2 };
    /// The newest version this client has been made for: vSphere 9.0.
    pub const NEWEST: Self = Self { parts: [9, 0, 0, 0], written: 4 };

    /// Reads a dotted version; internal ones (`uA046D008`) are none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = [0_u16; 4];
        let mut written = 0;
        for part in text.trim().split('.') {
            *parts.get_mut(usize::from(written))? = part.parse().ok()?;
            written += 1;
        }
        (written >= 2).then_some(Self { parts, written })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, part) in self.parts.iter().take(self.written.into()).enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            write!(f, "{part}")?;
        }
        Ok(())
    }
}

/// What a server announces in `/sdk/vimServiceVersions.xml`.
#[derive(Debug, Clone, Default)]
pub struct ServiceVersions {
    /// Versions of the namespace `urn:vim25`, as announced.
    pub vim25: Vec<String>,
}

impl ServiceVersions {
    /// Reads the announcement.
    ///
    /// # Errors
    /// When it is malformed.
    pub fn decode(bytes: bytes::Bytes) -> Result<Self, XmlError> {
        let mut d = Decoder::new(Body::complete(bytes, Limits { body: 1 << 20, ..Limits::default() }));
        let mut versions = Self::default();
        if !d.child()? {
            return Ok(versions);
        }
        while d.child()? {
            let (mut name, mut announced) = (String::new(), Vec::new());
            while d.child()? {
                match d.name() {
                    "name" => name = d.read()?,
                    "version" => announced.push(d.read()?),
                    "priorVersions" => announced.extend(d.read::<Vec<String>>()?),
                    _ => d.skip()?,
                }
            }
            if name == "urn:vim25" {
                versions.vim25 = announced;
            }
        }
        d.finish()?;
        Ok(versions)
    }

    /// The newest version that both sides speak, or nothing if there is none.
    #[must_use]
    pub fn newest_common(&self) -> Option<ApiVersion> {
        self.vim25
            .iter()
            .filter_map(|version| ApiVersion::parse(version))
            .filter(|version| (ApiVersion::OLDEST..=ApiVersion::NEWEST).contains(version))
            .max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn common(versions: &[&str]) -> Option<String> {
        let vim25 = versions.iter().map(|&v| v.to_owned()).collect();
        ServiceVersions { vim25 }.newest_common().map(|v| v.to_string())
    }

    #[test]
    fn the_newest_version_both_sides_speak_is_taken_as_the_server_spells_it() {
        assert_eq!(common(&["uA046D008", "8.0.2.0", "8.0.1.0", "6.7"]).as_deref(), Some("8.0.2.0"));
        assert_eq!(common(&["6.7.3", "6.7", "6.5"]).as_deref(), Some("6.7.3"));
        assert_eq!(common(&["10.1.0.0", "9.1.0.0", "9.0.0.0", "8.0.3.0"]).as_deref(), Some("9.0.0.0"));
        assert_eq!(common(&["6.5", "5.5"]), None);
        assert_eq!(common(&["6.7.1.2.3", "x.y", ""]), None);
    }
}
