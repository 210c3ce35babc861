//! Windows by what a node has to have so that they can reach it.
//!
//! A large account has many nodes and some windows, and a window reaches few of the nodes. To ask every window about every node
//! would take longer than all the rest of a plan.

use foldhash::HashMap;

use crate::aws::{NodeId, NodeTags};
use crate::cloud::window::{Gate, Groups, Window};
use mappings::glob::NamePattern;

/// The windows of one target, by their numbers.
#[derive(Default)]
pub(super) struct Index<'a> {
    everybody: Vec<usize>,
    by_id: HashMap<&'a str, Vec<usize>>,
    by_tag: HashMap<&'a str, HashMap<&'a str, Vec<usize>>>,
    by_key: HashMap<&'a str, Vec<usize>>,
}

impl<'a> Index<'a> {
    pub(super) fn of(
        windows: impl Iterator<Item = &'a Window>,
        documents: &'a [NamePattern],
        groups: &'a Groups,
    ) -> Self {
        let mut index = Self::default();
        for (number, window) in windows.enumerate() {
            for gate in window.gates(documents) {
                index.add(number, gate, groups);
            }
        }
        index
    }

    fn add(&mut self, number: usize, gate: Gate<'a>, groups: &'a Groups) {
        match gate {
            Gate::Id(ids) => {
                for id in ids {
                    match &**id {
                        "*" => self.everybody.push(number),
                        id => self.by_id.entry(id).or_default().push(number),
                    }
                }
            }
            Gate::Tag(key, values) => {
                let by_value = self.by_tag.entry(key).or_default();
                values.iter().for_each(|value| by_value.entry(value).or_default().push(number));
            }
            Gate::Key(keys) => {
                keys.iter().for_each(|key| self.by_key.entry(key).or_default().push(number));
            }
            Gate::Group(names) => {
                let known = names.iter().filter_map(|name| groups.get(&**name));
                for node in known.flat_map(|group| &group.nodes) {
                    self.by_id.entry(node.as_str()).or_default().push(number);
                }
            }
        }
    }

    /// Those that may reach a node, in order.
    pub(super) fn of_node(&self, node: &NodeId, tags: &NodeTags) -> Vec<usize> {
        let mut found = self.everybody.clone();
        found.extend(self.by_id.get(node.as_str()).into_iter().flatten());
        for (key, by_value) in &self.by_tag {
            let value = tags.get(*key);
            found.extend(value.and_then(|value| by_value.get(&**value)).into_iter().flatten());
        }
        for (key, windows) in &self.by_key {
            if tags.contains_key(*key) {
                found.extend(windows);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}
