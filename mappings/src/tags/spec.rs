//! A rule as a person writes it: plain data, not checked yet.

use std::fmt;

/// One rule. Every field is what stands in the file; `None` and an empty list mean that nothing was written.
///
/// Exactly one of `category`, `attribute` and `value` says where the value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RuleSpec {
    /// Name of the rule, unique. It is what reports and the journal call it. Letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// Source: the tags of the vSphere category with this name, or of all categories that a pattern matches.
    pub category: Option<String>,
    /// With a pattern in `category`: categories that are left out, as patterns.
    pub except_category: Vec<String>,
    /// Source: the custom attribute with this name.
    pub attribute: Option<String>,
    /// Source: a text that may contain facts in braces, such as `{datacenter}/{cluster}`; `{{` is a brace.
    pub value: Option<String>,
    /// Key of the tag. Default: the name of the category or attribute. May contain `{category}` or `{attribute}`.
    pub key: Option<String>,
    /// [`Kind`]; default `plain`.
    pub kind: Option<String>,
    /// [`Several`]: what to do with several tags; default `error`.
    pub several: Option<String>,
    /// With `several = "join"`: what stands between the values; default `/`.
    pub separator: Option<String>,
    /// Patterns, of which the value in vSphere must match one.
    pub only: Vec<String>,
    /// Patterns, of which the value in vSphere must match none.
    pub except: Vec<String>,
    /// Selector texts: VMs that the rule is for. Default: all.
    pub include: Vec<String>,
    /// Selector texts: VMs that the rule is not for.
    pub exclude: Vec<String>,
    /// [`Invalid`]: what to do with characters that AWS does not accept; default `replace`.
    pub invalid: Option<String>,
    /// With `invalid = "replace"`: what each such character becomes; default `_`.
    pub replacement: Option<String>,
    /// [`Long`]: what to do with what is too long; default `hash-suffix`.
    pub long: Option<String>,
    /// [`Case`] of the value; default `keep`.
    pub case: Option<String>,
    /// [`Empty`]: what to do with an empty value; default `skip`.
    pub empty: Option<String>,
    /// New names of values: the first pattern that matches the value in vSphere says what it becomes.
    pub map: Vec<(String, String)>,
}

macro_rules! words {
    ($($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal, $doc:literal;)+ })+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub enum $name {
            $($(#[$vmeta])* #[doc = $doc] $variant,)+
        }

        impl $name {
            /// Every value, the default first.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// Every value as it is written.
            pub const WORDS: &[&str] = &[$($word,)+];

            /// The value as it is written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// What it means, in one sentence.
            #[must_use]
            pub fn doc(self) -> &'static str {
                match self { $(Self::$variant => $doc,)+ }
            }

            /// Reads a value, exactly as documented.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

words! {
    /// What a tag is for.
    Kind {
        #[default]
        Plain = "plain", "Nothing in particular.";
        PatchGroup = "patch-group", "The patch group of the node: key `Patch Group` or `PatchGroup`, one value, not empty.";
        MaintenanceWindow = "maintenance-window", "The name of the maintenance window of the node: one value, not empty, not a schedule.";
    }

    /// What is done when a VM has several tags that one tag of its node should be made of.
    Several {
        #[default]
        Error = "error", "Nothing is changed, and it is reported.";
        Join = "join", "They are sorted and written one after the other.";
        First = "first", "They are sorted, and the first is taken.";
    }

    /// What is done with characters that AWS does not accept.
    Invalid {
        #[default]
        Replace = "replace", "Each is replaced.";
        Encode = "encode", "Each, and `=`, becomes `=` and the hexadecimal digits of its bytes, so that it can be read back.";
        Error = "error", "Nothing is changed, and it is reported.";
    }

    /// What is done with what is longer than AWS accepts.
    Long {
        #[default]
        HashSuffix = "hash-suffix", "It is cut and ends in `-` and eight hexadecimal digits of its SHA-256.";
        Error = "error", "Nothing is changed, and it is reported.";
    }

    /// Upper and lower case.
    Case {
        #[default]
        Keep = "keep", "As in vSphere.";
        Lower = "lower", "In lower case.";
        Upper = "upper", "In upper case.";
    }

    /// What is done with an empty value.
    Empty {
        #[default]
        Skip = "skip", "There is no tag.";
        Keep = "keep", "There is a tag with an empty value. A VM without a tag of the category still gets none.";
    }
}
