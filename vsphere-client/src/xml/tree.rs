//! Values whose type nobody knows beforehand: what an element says, kept as it is, within limits.
//!
//! The properties of a fleet have types of their own, which are read without anything in between. What rules read is named by the
//! rules, and is kept as a small tree. The tree is written down while the walk goes over an element, whoever walks: so a property
//! that has a type of its own is read only once, too. One list of elements and one text hold all of it, and what is not wanted
//! is forgotten at once.

use std::fmt;
use std::sync::Arc;

/// How large a tree may become. What is larger is not kept at all, since half a value would be a wrong value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeLimits {
    /// Elements inside elements, the outermost counted.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Bytes of names, types and texts.
    pub bytes: usize,
}

impl Default for TreeLimits {
    /// The largest honest values are the networks and devices of a host: some thousands of elements, some hundred KiB.
    fn default() -> Self {
        Self { depth: 24, elements: 20_000, bytes: 1 << 20 }
    }
}

/// The elements of a list that are wanted, by the text of the element `key` in each: of the hundreds of settings of a VM or a
/// host only those that somebody reads are kept. Letters in either case are the same, as they are to vSphere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys(Arc<[Box<str>]>);

impl<S: AsRef<str>> FromIterator<S> for Keys {
    fn from_iter<I: IntoIterator<Item = S>>(keys: I) -> Self {
        let mut keys: Vec<Box<str>> =
            keys.into_iter().map(|key| key.as_ref().to_ascii_lowercase().into()).collect();
        keys.sort_unstable();
        keys.dedup();
        Self(keys.into())
    }
}

impl Keys {
    /// Whether elements with this key are wanted.
    #[must_use]
    pub fn wants(&self, key: &str) -> bool {
        let lower = || key.bytes().map(|byte| byte.to_ascii_lowercase());
        self.0.binary_search_by(|known| known.bytes().cmp(lower())).is_ok()
    }
}

/// Why a value was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the value is larger than a value may be ({0})")]
pub struct TooLarge(pub(crate) &'static str);

/// A value of any type: an element with its text, or with the elements inside it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// In the order of the document: each element is followed by those inside it.
    elements: Vec<Entry>,
    text: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Entry {
    /// Where the next element beside it would be.
    end: u32,
    name: Span,
    xsi_type: Span,
    text: Span,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

/// An element of a [`Tree`].
#[derive(Clone, Copy)]
pub struct TreeRef<'a> {
    tree: &'a Tree,
    at: usize,
}

impl Tree {
    /// The outermost element; nothing in a tree that was made empty.
    #[must_use]
    pub fn root(&self) -> Option<TreeRef<'_>> {
        self.element(0)
    }

    fn element(&self, at: usize) -> Option<TreeRef<'_>> {
        (at < self.elements.len()).then_some(TreeRef { tree: self, at })
    }

    fn str(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    fn push(&mut self, text: &str) -> Span {
        let start = self.position();
        self.text.push_str(text);
        Span { start, end: self.position() }
    }

    /// The limits keep it far below what fits.
    fn position(&self) -> u32 {
        u32::try_from(self.text.len()).unwrap_or(u32::MAX)
    }
}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.root() {
            Some(root) => root.fmt(f),
            None => f.write_str("nothing"),
        }
    }
}

impl fmt::Debug for TreeRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        if let Some(name) = self.type_name() {
            write!(f, ":{name}")?;
        }
        match self.text() {
            Some(text) => write!(f, "={text:?}"),
            None => f.debug_list().entries(self.children()).finish(),
        }
    }
}

impl<'a> TreeRef<'a> {
    fn entry(self) -> Entry {
        self.tree.elements[self.at]
    }

    /// The element's name.
    #[must_use]
    pub fn name(self) -> &'a str {
        self.tree.str(self.entry().name)
    }

    /// Its type, where the answer names one (`xsi:type`, without prefix).
    #[must_use]
    pub fn type_name(self) -> Option<&'a str> {
        Some(self.tree.str(self.entry().xsi_type)).filter(|name| !name.is_empty())
    }

    /// Its text; nothing when it has elements inside it, or could have some: an empty list is no empty text.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        let entry = self.entry();
        let is_leaf = entry.end as usize == self.at + 1;
        let text = is_leaf.then(|| self.tree.str(entry.text))?;
        let is_list = text.is_empty() && self.type_name().is_some_and(|name| name.starts_with("ArrayOf"));
        (!is_list).then_some(text)
    }

    /// The elements inside it, in order.
    pub fn children(self) -> impl Iterator<Item = TreeRef<'a>> {
        let end = self.entry().end as usize;
        let mut at = self.at + 1;
        std::iter::from_fn(move || {
            let child = (at < end).then(|| self.tree.element(at)).flatten()?;
            at = child.entry().end as usize;
            Some(child)
        })
    }

    /// The first element inside it that is called so.
    #[must_use]
    pub fn child(self, name: &str) -> Option<TreeRef<'a>> {
        self.children().find(|child| child.name() == name)
    }
}

/// Writes a tree down while a walk goes over its element.
#[derive(Debug)]
pub(crate) struct Recorder {
    tree: Tree,
    limits: TreeLimits,
    keys: Option<Keys>,
    /// The elements that are open, the outermost first.
    open: Vec<usize>,
    /// Open elements inside these that are not written down.
    passed: usize,
    /// Where the element of the list that is open began, and whether its key is wanted.
    item: Item,
    too_large: Option<TooLarge>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Item {
    elements: usize,
    text: usize,
    key: Option<bool>,
}

/// How many elements are open inside an element of a list: the value, and the element.
const IN_ITEM: usize = 2;

impl Recorder {
    pub(crate) fn new(keys: Option<Keys>, limits: TreeLimits) -> Self {
        Self {
            tree: Tree::default(),
            limits,
            keys,
            open: Vec::new(),
            passed: 0,
            item: Item::default(),
            too_large: None,
        }
    }

    /// Whether elements that begin now are not written down.
    pub(crate) fn passes(&self) -> bool {
        let unwanted = self.item.key == Some(false) && self.open.len() >= IN_ITEM;
        self.passed > 0 || unwanted || self.too_large.is_some()
    }

    /// An element begins.
    pub(crate) fn open(&mut self, name: &str, xsi_type: &str) {
        if self.passes() {
            self.passed += 1;
            return;
        }
        let bytes = self.tree.text.len() + name.len() + xsi_type.len();
        let limit = if self.open.len() >= self.limits.depth {
            Some("elements inside elements")
        } else if self.tree.elements.len() >= self.limits.elements {
            Some("elements")
        } else if bytes > self.limits.bytes {
            Some("bytes")
        } else {
            None
        };
        if let Some(limit) = limit {
            self.give_up(limit);
            self.passed += 1;
            return;
        }
        if self.open.len() + 1 == IN_ITEM {
            self.item = Item { elements: self.tree.elements.len(), text: self.tree.text.len(), key: None };
        }
        let (name, xsi_type) = (self.tree.push(name), self.tree.push(xsi_type));
        let text = Span { start: xsi_type.end, end: xsi_type.end };
        self.open.push(self.tree.elements.len());
        self.tree.elements.push(Entry { end: 0, name, xsi_type, text });
    }

    /// A piece of text in the element that is open.
    pub(crate) fn text(&mut self, piece: &str) {
        if self.passed > 0 || self.too_large.is_some() {
            return;
        }
        let Some(&at) = self.open.last() else { return };
        // Between elements stands nothing but white space.
        if at + 1 != self.tree.elements.len() {
            return;
        }
        if self.tree.text.len() + piece.len() > self.limits.bytes {
            self.give_up("bytes");
            return;
        }
        let end = self.tree.push(piece).end;
        self.tree.elements[at].text.end = end;
    }

    /// An element ends.
    pub(crate) fn close(&mut self) {
        if self.passed > 0 {
            self.passed -= 1;
            return;
        }
        let depth = self.open.len();
        let Some(at) = self.open.pop() else { return };
        if self.too_large.is_some() {
            return;
        }
        self.tree.elements[at].end = u32::try_from(self.tree.elements.len()).unwrap_or(u32::MAX);
        let Some(keys) = &self.keys else { return };
        if depth == IN_ITEM + 1 {
            let element = TreeRef { tree: &self.tree, at };
            if element.name() == "key" && self.item.key.is_none() {
                self.item.key = Some(element.text().is_some_and(|key| keys.wants(key)));
            }
        } else if depth == IN_ITEM && self.item.key != Some(true) {
            self.tree.elements.truncate(self.item.elements);
            self.tree.text.truncate(self.item.text);
        }
    }

    fn give_up(&mut self, limit: &'static str) {
        self.too_large = Some(TooLarge(limit));
        self.tree = Tree::default();
    }

    pub(crate) fn finish(mut self) -> Result<Tree, TooLarge> {
        match self.too_large {
            Some(error) => Err(error),
            None => {
                self.tree.elements.shrink_to_fit();
                self.tree.text.shrink_to_fit();
                Ok(self.tree)
            }
        }
    }
}
