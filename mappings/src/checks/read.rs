//! What a rule reads of an object, and how the answer is reduced to it.

use std::fmt;
use std::sync::Arc;

use super::reading::Reading;
use super::{build, certificate};

/// The most values of one reading.
const MOST_VALUES: usize = 1024;
/// The longest value, in bytes. vSphere's own texts are shorter; whatever is longer is not known, since half a value could
/// be judged wrongly.
const LONGEST_VALUE: usize = 4096;

/// A value as vCenter sent it: an element of XML, say. A leaf has text; a record has children with names, and a list is
/// several children with one name (`ArrayOfOptionValue` has children `OptionValue`, each with `key` and `value`).
pub trait Tree: Copy {
    /// The text of a leaf; nothing for a record.
    fn text(&self) -> Option<&str>;
    /// The concrete type (`xsi:type`), without a namespace, where it is told.
    fn type_name(&self) -> Option<&str>;
    /// Calls `each(name, child)` for all children, in their order.
    fn children(&self, each: &mut dyn FnMut(&str, Self));
}

/// The way from a record to something within it: names with dots between.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath(Box<str>);

impl FieldPath {
    /// A path; nothing if one of its names is empty.
    #[must_use]
    pub fn new(text: &str) -> Option<Self> {
        let name = |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        text.split('.').all(name).then(|| Self(text.into()))
    }

    /// The path as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What to take of certain elements of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Take {
    /// How many there are.
    Count,
    /// A field of each; elements without it are passed over.
    Field(FieldPath),
}

/// What to take of a property.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pick {
    /// The value itself, or all values of a list.
    Whole,
    /// Something within a record. (The property collector takes no paths through what only a subtype has, such as
    /// `configurationEx.dasConfig`: there the record is read, and the field picked.)
    Field(FieldPath),
    /// Of a list whose elements have a `key`: a field of the element with this key, or of all elements with one of these
    /// keys. Keys are compared without regard to case; of several elements with one key the first counts.
    Keyed {
        /// The keys, sorted.
        keys: Box<[Box<str>]>,
        /// The field, usually `value`.
        field: FieldPath,
    },
    /// Certain elements of a list.
    Elements {
        /// Of these concrete types, sorted; empty: of every type.
        types: Box<[Box<str>]>,
        /// Only those of which this field has this value, without regard to case.
        only: Option<(FieldPath, Box<str>)>,
        /// What is taken of them.
        take: Take,
    },
    /// The end of the validity of a certificate, whose bytes (PEM or DER) the property is.
    CertificateEnd,
    /// When the build of ESXi that the property is (`config.product` of a host) was out at the latest, as far as that is known.
    BuildReleased,
}

/// One thing that rules read of an object of some kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Read {
    /// The property, as the property collector knows it.
    pub path: Box<str>,
    /// What is taken of it.
    pub pick: Pick,
}

impl Read {
    /// Reduces a value of the property to what rules ask. Where the property is not set the reading is
    /// [`Reading::Missing`], and where it cannot be read [`Reading::Unreadable`]: that is for the caller to say.
    #[must_use]
    pub fn take<T: Tree>(&self, tree: T) -> Reading {
        let mut values = Values::default();
        match &self.pick {
            Pick::Whole => values.leaves(tree),
            // A list has no fields: whoever asks for one would take every list for one without values.
            Pick::Field(_) if tree.type_name().is_some_and(|name| name.starts_with("ArrayOf")) => {
                return Reading::Unreadable;
            }
            Pick::Field(path) => values.field(tree, path.as_str()),
            Pick::Keyed { keys, field } => {
                let mut found = vec![false; keys.len()];
                tree.children(&mut |_, element| {
                    let mut at = None;
                    element.children(&mut |name, child| {
                        if name == "key" && at.is_none() {
                            let key = child.text().map(str::trim);
                            at = key.and_then(|key| {
                                keys.iter().position(|wanted| wanted.eq_ignore_ascii_case(key))
                            });
                        }
                    });
                    if let Some(found) = at.and_then(|at| found.get_mut(at))
                        && !std::mem::replace(found, true)
                    {
                        values.field(element, field.as_str());
                    }
                });
            }
            Pick::Elements { types, only, take } => {
                let mut count = 0_usize;
                tree.children(&mut |_, element| {
                    let kind = types.is_empty()
                        || element
                            .type_name()
                            .is_some_and(|name| types.iter().any(|wanted| **wanted == *name));
                    if !kind || !only.as_ref().is_none_or(|(field, value)| is(element, field.as_str(), value))
                    {
                        return;
                    }
                    match take {
                        Take::Count => count += 1,
                        Take::Field(field) => values.field(element, field.as_str()),
                    }
                });
                if *take == Take::Count {
                    return Reading::One(count.to_string().into());
                }
            }
            Pick::CertificateEnd => return certificate::end(tree),
            Pick::BuildReleased => return build::released(tree),
        }
        values.reading()
    }
}

impl fmt::Display for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match &self.pick {
            Pick::Whole => Ok(()),
            Pick::Field(field) => write!(f, ".{field}"),
            Pick::Keyed { keys, field } => {
                match &keys[..] {
                    [first, .., last] => write!(f, "[{first} … {last}]")?,
                    keys => write!(f, "[{}]", keys.concat())?,
                }
                if field.as_str() == "value" { Ok(()) } else { write!(f, ".{field}") }
            }
            Pick::Elements { types, only, take } => {
                write!(f, "[{}]", if types.is_empty() { "*".to_owned() } else { types.join(", ") })?;
                if let Some((field, value)) = only {
                    write!(f, " with {field} = {value}")?;
                }
                match take {
                    Take::Count => f.write_str(", how many"),
                    Take::Field(field) => write!(f, ", {field}"),
                }
            }
            Pick::CertificateEnd => f.write_str(", the end of its validity"),
            Pick::BuildReleased => f.write_str(", when its build was out"),
        }
    }
}

/// Whether a field of an element has this value, without regard to case.
fn is<T: Tree>(element: T, field: &str, value: &str) -> bool {
    let (name, rest) = field.split_once('.').map_or((field, None), |(name, rest)| (name, Some(rest)));
    let mut equal = false;
    element.children(&mut |child_name, child| {
        if child_name == name {
            equal |= match rest {
                Some(rest) => is(child, rest, value),
                None => child.text().is_some_and(|text| text.trim().eq_ignore_ascii_case(value)),
            };
        }
    });
    equal
}

/// Values as they are collected.
#[derive(Default)]
struct Values {
    values: Vec<Arc<str>>,
    too_much: bool,
}

impl Values {
    fn push(&mut self, text: &str) {
        if text.len() > LONGEST_VALUE || self.values.len() == MOST_VALUES {
            self.too_much = true;
        } else {
            self.values.push(text.into());
        }
    }

    /// The text of a leaf, or the texts of all leaves right below a record. A record without any counts as one value, the
    /// name of its type, so that whether it is set can be asked.
    fn leaves<T: Tree>(&mut self, tree: T) {
        if let Some(text) = tree.text() {
            self.push(text);
            return;
        }
        let (mut leaves, mut records) = (false, false);
        tree.children(&mut |_, child| match child.text() {
            Some(text) => {
                leaves = true;
                self.push(text);
            }
            None => records = true,
        });
        if records && !leaves {
            self.push(tree.type_name().unwrap_or("set"));
        }
    }

    fn field<T: Tree>(&mut self, tree: T, path: &str) {
        let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
        tree.children(&mut |child_name, child| {
            if child_name == name {
                match rest {
                    Some(rest) => self.field(child, rest),
                    None => self.leaves(child),
                }
            }
        });
    }

    fn reading(self) -> Reading {
        if self.too_much { Reading::Unreadable } else { Reading::of(self.values) }
    }
}

#[cfg(test)]
mod tests;
