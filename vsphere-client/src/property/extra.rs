//! Properties that are read beside the built-in ones, because somebody has named them: what rules check, for one.
//!
//! They are more paths in the same filter, so they cost no call of their own, and changes to them come like all others. Their
//! values have no type here: each is a [`Tree`].

use std::collections::HashMap;
use std::sync::Arc;

use crate::ids::MoKind;
use crate::xml::{Decoder, Keys, Tree, TreeLimits, XmlError};

/// A property to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraPath {
    /// Its path, such as `config.bootOptions`. It may be one of the built-in ones, which is then read once and told twice.
    pub path: Box<str>,
    /// For a list of elements that have keys: those that are wanted. Nothing: all of it.
    pub keep: Option<Keys>,
}

impl From<&str> for ExtraPath {
    fn from(path: &str) -> Self {
        Self { path: path.into(), keep: None }
    }
}

/// The properties to read beside the built-in ones, for each type of managed object. Clones share them; usually there are none.
///
/// A type is exactly that type, without those derived from it.
#[derive(Debug, Clone, Default)]
pub struct Extra(Option<Arc<[Set]>>);

#[derive(Debug, Clone)]
struct Set {
    kind: MoKind,
    paths: Arc<[ExtraPath]>,
    by_path: Arc<HashMap<Box<str>, usize>>,
    /// Paths that the server does not know, by number.
    unknown: Vec<usize>,
}

/// What a report says of one of them.
#[derive(Debug, Clone, PartialEq)]
pub struct ExtraReport {
    /// Its number among the paths of its type, in the order in which they were given.
    pub index: usize,
    /// What it is now.
    pub change: ExtraChange,
}

/// What became of a property that is read beside the built-in ones. What a first report does not mention has no value.
#[derive(Debug, Clone, PartialEq)]
pub enum ExtraChange {
    /// It has this value now, all of it.
    Set(Tree),
    /// It has no value any more.
    Unset,
    /// It cannot be read.
    Unreadable(Unreadable),
}

/// Why a property cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unreadable {
    /// The server does not give it for this object; most often a privilege is missing.
    NotPermitted,
    /// The server does not know such a property. Told in the first report on each object.
    Unknown,
    /// Its value is larger than values may be.
    TooLarge,
}

impl Extra {
    /// The properties `paths` of each type. A type that occurs twice has the paths of both, and a path that is given twice is
    /// told as the first of them.
    pub fn new(sets: impl IntoIterator<Item = (MoKind, Vec<ExtraPath>)>) -> Self {
        let mut all: Vec<(MoKind, Vec<ExtraPath>)> = Vec::new();
        for (kind, paths) in sets {
            match all.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, known)) => known.extend(paths),
                None => all.push((kind, paths)),
            }
        }
        let sets = all.into_iter().filter(|(_, paths)| !paths.is_empty()).map(|(kind, paths)| {
            let mut by_path = HashMap::with_capacity(paths.len());
            for (index, extra) in paths.iter().enumerate() {
                by_path.entry(extra.path.clone()).or_insert(index);
            }
            Set { kind, paths: paths.into(), by_path: Arc::new(by_path), unknown: Vec::new() }
        });
        let sets: Arc<[Set]> = sets.collect();
        Self((!sets.is_empty()).then_some(sets))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    fn sets(&self) -> &[Set] {
        self.0.as_deref().unwrap_or_default()
    }

    fn set(&self, kind: &MoKind) -> Option<&Set> {
        self.sets().iter().find(|set| set.kind == *kind)
    }

    /// The types, each with the paths to ask of it: without those that the server does not know.
    pub(crate) fn asked(&self) -> impl Iterator<Item = (&MoKind, impl Iterator<Item = &str>)> {
        self.sets().iter().map(|set| {
            let known = |(index, _): &(usize, &ExtraPath)| !set.unknown.contains(index);
            (&set.kind, set.paths.iter().enumerate().filter(known).map(|(_, extra)| &*extra.path))
        })
    }

    /// The same without what the server calls `name`, which is a property that it does not know; and the paths that this leaves
    /// out. Servers name all of a path or a part of it. If it is none of these that is meant, it may still be that one of these
    /// is to blame, and then all are left out: better no rule is checked than no VM is seen.
    pub(crate) fn without(&self, name: &str, is_other: bool) -> (Self, Vec<Box<str>>) {
        let dotted = |long: &str, short: &str| long.strip_prefix(short).is_some_and(|r| r.starts_with('.'));
        let ends = |long: &str, short: &str| long.strip_suffix(short).is_some_and(|r| r.ends_with('.'));
        let ways: [&dyn Fn(&str) -> bool; 4] = [
            &|path| path == name,
            &|path| dotted(path, name) || dotted(name, path),
            &|path| !name.is_empty() && ends(path, name),
            &|_| true,
        ];
        for way in ways.into_iter().take(if is_other { 1 } else { 4 }) {
            let mut sets = self.sets().to_vec();
            let mut left_out = Vec::new();
            let mut is_meant = false;
            for set in &mut sets {
                for (index, extra) in set.paths.iter().enumerate().filter(|(_, extra)| way(&extra.path)) {
                    is_meant = true;
                    if !set.unknown.contains(&index) {
                        set.unknown.push(index);
                        left_out.push(extra.path.clone());
                    }
                }
            }
            if is_meant {
                return (Self(Some(sets.into())), left_out);
            }
        }
        (self.clone(), Vec::new())
    }

    /// The number of a path of this type, and what of its value is wanted.
    pub(super) fn find(&self, kind: &MoKind, path: &str) -> Option<(usize, Option<Keys>)> {
        let set = self.set(kind)?;
        let index = *set.by_path.get(path)?;
        Some((index, set.paths.get(index)?.keep.clone()))
    }

    /// What a first report on an object of this type says by itself.
    pub(super) fn unknown(&self, kind: &MoKind) -> impl Iterator<Item = ExtraReport> {
        let change = ExtraChange::Unreadable(Unreadable::Unknown);
        let unknown = self.set(kind).map_or(&[][..], |set| &set.unknown[..]);
        unknown.iter().map(move |&index| ExtraReport { index, change: change.clone() })
    }
}

impl ExtraReport {
    /// Reads the current element with `typed` and keeps it as a tree, too.
    pub(super) fn read(
        d: &mut Decoder,
        index: usize,
        keep: Option<Keys>,
        typed: impl FnOnce(&mut Decoder) -> Result<(), XmlError>,
    ) -> Result<Self, XmlError> {
        d.record(keep, TreeLimits::default());
        typed(d)?;
        let change = match d.recorded() {
            Ok(tree) => ExtraChange::Set(tree),
            Err(error) => {
                tracing::warn!(%error, "a property is not read");
                ExtraChange::Unreadable(Unreadable::TooLarge)
            }
        };
        Ok(Self { index, change })
    }
}

#[cfg(test)]
mod tests;
