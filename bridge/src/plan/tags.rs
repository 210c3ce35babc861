//! Tag sync: what has to be written to a node so that its tags are what the rules say.
//!
//! Only what vmbridge wrote is changed or removed. What a rule cannot decide (a fact that is not known, a value that cannot
//! be used) leaves what is there as it is.

use std::borrow::Cow;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use mappings::tags::{Desired, RuleSet, TagKey, TagValue};

use super::action::{Action, TagRemoval, TagWrite, Why};
use super::reason::{Note, Reason};
use crate::aws::{NodeId, NodeTags, Place};
use crate::cloud::Cloud;
use crate::store::{Holder, Owned, OwnedChange, VmId};

/// Key of our mark on a node: who owns which of its tags, so that a lost state can be rebuilt.
pub(crate) const MARK: &str = "vmbridge:owner";
/// The rule that the mark comes from.
const MARK_RULE: &str = "vmbridge";
/// Key of the tag that a node has which must not be patched now. The hook of a window looks for it.
pub(crate) const HOLD_TAG: &str = "vmbridge:hold";
/// The rule that keeps nodes out of windows.
pub(crate) const HOLD_RULE: &str = "hold";
/// The most tags that a resource can have (Systems Manager, service quotas). Those of AWS itself do not count.
const MOST_TAGS: usize = 50;

/// One node and what is known of it.
pub(super) struct Subject<'a> {
    pub place: &'a Place,
    pub node: &'a NodeId,
    pub vm: VmId,
    pub label: Arc<str>,
    /// The node again, as the one who holds what is owned.
    pub holder: &'a Holder,
    pub installation: &'a str,
    /// The tags as they were read.
    pub observed: &'a NodeTags,
    /// When that reading began.
    pub as_of: Timestamp,
    /// How long a reading may lag behind.
    pub settle: SignedDuration,
    pub owned: Option<&'a BTreeMap<Arc<str>, Owned>>,
    pub adopt: bool,
    /// Tags that the node must not have now, whatever the rules say.
    pub withheld: &'a [Arc<str>],
    /// Whether a tag was taken from it to keep it out of a window.
    pub was_withheld: &'a dyn Fn(&str) -> bool,
    /// The value of the tag by which a hook keeps the node from being patched.
    pub hold: Option<&'a str>,
    pub hashes: &'a KeyHashes,
}

/// What is to be done about a node.
#[derive(Debug, Default)]
pub(super) struct Difference {
    pub actions: Vec<Action>,
    pub notes: Vec<Note>,
    /// What the store has to be told without anything being done.
    pub housekeeping: Vec<OwnedChange>,
    /// Tags of ours that are as they should be.
    pub in_step: usize,
}

/// What we wrote and is no longer there.
type Vanished<'a> = Vec<&'a Arc<str>>;

/// One tag of the node as it is, as far as can be told.
struct Current<'a> {
    value: &'a Arc<str>,
    /// We wrote it.
    ours: bool,
    /// It is ours, and somebody else changed it.
    drift: bool,
}

/// The tags of the node, in the order of their names; those that were dealt with are taken out.
struct Table<'a>(Vec<(&'a Arc<str>, Option<Current<'a>>)>);

impl<'a> Table<'a> {
    fn iter(&self) -> impl Iterator<Item = (&'a Arc<str>, &Current<'a>)> {
        self.0.iter().filter_map(|(name, tag)| Some((*name, tag.as_ref()?)))
    }

    fn remove(&mut self, name: &str) -> Option<Current<'a>> {
        let at = self.0.binary_search_by(|(known, _)| (***known).cmp(name)).ok()?;
        self.0[at].1.take()
    }

    fn into_rest(self) -> impl Iterator<Item = (&'a Arc<str>, Current<'a>)> {
        self.0.into_iter().filter_map(|(name, tag)| Some((name, tag?)))
    }
}

/// Compares what the rules want with what is there.
pub(super) fn difference(
    subject: &Subject<'_>,
    rules: &RuleSet,
    desired: &Desired,
) -> Result<Difference, Reason> {
    let mut out = Difference::default();
    let mark = subject.observed.get(MARK).and_then(|value| Mark::read(value));
    let holder = subject.holder;
    let owns_mark = subject.owned.is_some_and(|owned| owned.contains_key(MARK));
    if let Some(mark) = &mark
        && mark.installation != subject.installation
        && !owns_mark
    {
        return Err(Reason::OtherInstallation(mark.installation.to_owned()));
    }
    let owned = known_as_ours(subject, holder, mark.as_ref(), &mut out);
    let (mut current, mut vanished) = current(subject, owned.as_ref(), &mut out);

    let foreign = current
        .iter()
        .filter(|(key, tag)| !tag.ours && !is_of_aws(key))
        .filter(|(key, _)| !(subject.adopt && desired.tags.iter().any(|tag| *tag.key.as_str() == ***key)))
        .count();
    // What stays takes up room too: what is let go, and what nobody can tell of whether it is wanted.
    let staying = current
        .iter()
        .filter(|(key, tag)| tag.ours && ***key != *MARK)
        .filter(|(key, _)| !desired.tags.iter().any(|tag| *tag.key.as_str() == ***key))
        .filter(|(key, tag)| tag.drift || TagKey::new(key).is_ok_and(|key| desired.keeps(rules, &key)))
        .count();
    let holding = usize::from(subject.hold.is_some());
    let (kept, dropped) =
        mappings::tags::fit(desired, MOST_TAGS.saturating_sub(foreign + staying + 1 + holding));
    for tag in dropped {
        out.notes.push(Note::NoRoom { name: tag.key.as_str().into(), foreign });
    }
    let there = current.iter().filter(|(key, _)| !is_of_aws(key)).count();

    let mut writes: Vec<TagWrite> = Vec::new();
    let mut ours: Vec<TagKey> = Vec::with_capacity(kept.len());
    for tag in kept.iter().filter(|tag| !subject.withheld.iter().any(|key| **key == *tag.key.as_str())) {
        let (name, value) = (tag.key.as_str(), tag.value.as_str());
        let mut write = |before: Option<Arc<str>>, why| {
            writes.push(TagWrite {
                key: tag.key.clone(),
                value: tag.value.clone(),
                before,
                rule: rules.name(tag.rule).into(),
                why,
            });
        };
        match current.remove(name) {
            None => {
                let before = vanished.len();
                vanished.retain(|gone| ***gone != *name);
                let is_back = (subject.was_withheld)(name);
                let gone = if vanished.len() < before { Why::Drift } else { Why::New };
                write(None, if is_back { Why::PutBack } else { gone });
            }
            Some(Current { ours: false, value: found, .. }) if !subject.adopt => {
                out.notes.push(Note::Foreign {
                    name: name.into(),
                    value: found.clone(),
                    wanted: value.into(),
                });
                continue;
            }
            Some(Current { ours: false, value: found, .. }) => write(Some(found.clone()), Why::Adopted),
            Some(Current { value: found, drift, .. }) if **found != *value => {
                write(Some(found.clone()), if drift { Why::Drift } else { Why::Changed });
            }
            Some(_) => out.in_step += 1,
        }
        ours.push(tag.key.clone());
    }

    hold_write(subject, &mut current, &mut writes, &mut ours);
    let mut removals: Vec<TagRemoval> = Vec::new();
    for (name, tag) in current.into_rest() {
        if !tag.ours || **name == *MARK {
            continue;
        }
        // Every key that we wrote was valid when we wrote it.
        let Ok(key) = TagKey::new(name) else { continue };
        if subject.withheld.contains(name) || **name == *HOLD_TAG {
            removals.push(TagRemoval { key, before: tag.value.clone(), rule: HOLD_RULE.into() });
            continue;
        }
        // What there is no room for is wanted, so that there is no doubt that it has to go.
        let no_room = dropped.iter().any(|tag| tag.key == key);
        if !no_room && desired.keeps(rules, &key) {
            ours.push(key);
            out.in_step += 1;
        } else if tag.drift {
            out.notes.push(Note::LetGo { name: name.clone(), found: tag.value.clone() });
            out.housekeeping.push(OwnedChange { holder: holder.clone(), name: name.clone(), owned: None });
        } else {
            let rule = owned.get(name).map_or_else(|| MARK_RULE.into(), |owned| owned.rule.clone());
            removals.push(TagRemoval { key, before: tag.value.clone(), rule });
        }
    }
    // What somebody removed and no rule wants any more is simply gone.
    let wanted = |name: &str| kept.iter().any(|tag| tag.key.as_str() == name);
    for name in vanished.into_iter().filter(|name| !wanted(name)) {
        out.housekeeping.push(OwnedChange { holder: holder.clone(), name: name.clone(), owned: None });
    }
    mark_writes(subject, &ours, &mut writes, &mut removals);
    rule_notes(desired, &mut out.notes);
    actions(subject, there, writes, removals, &mut out.actions);
    Ok(out)
}

/// What keeps the node out of windows, and nothing else: what the rules want of it cannot be told now.
pub(super) fn withhold(subject: &Subject<'_>) -> Vec<Action> {
    let mut aside = Difference::default();
    let mark = subject.observed.get(MARK).and_then(|value| Mark::read(value));
    let owns_mark = subject.owned.is_some_and(|owned| owned.contains_key(MARK));
    if mark.as_ref().is_some_and(|mark| mark.installation != subject.installation) && !owns_mark {
        return Vec::new();
    }
    let owned = known_as_ours(subject, subject.holder, mark.as_ref(), &mut aside);
    let (mut current, _) = current(subject, owned.as_ref(), &mut aside);
    let there = current.iter().filter(|(key, _)| !is_of_aws(key)).count();
    let (mut writes, mut ours) = (Vec::new(), Vec::new());
    hold_write(subject, &mut current, &mut writes, &mut ours);
    let removals = current.into_rest().filter(|(name, tag)| tag.ours && subject.withheld.contains(name));
    let removal = |(name, tag): (&Arc<str>, Current<'_>)| {
        let key = TagKey::new(name).ok()?;
        Some(TagRemoval { key, before: tag.value.clone(), rule: HOLD_RULE.into() })
    };
    let removals = removals.filter_map(removal).collect();
    let mut out = Vec::new();
    actions(subject, there, writes, removals, &mut out);
    out
}

/// What is ours by the store, and what our own mark on the node says beyond that: a state that was put back from a backup
/// finds what it forgot. As long as the mark is the one that the store knows, the store knows better.
fn known_as_ours<'a>(
    subject: &Subject<'a>,
    holder: &Holder,
    mark: Option<&Mark<'_>>,
    out: &mut Difference,
) -> Cow<'a, BTreeMap<Arc<str>, Owned>> {
    let mut owned = subject.owned.map_or_else(|| Cow::Owned(BTreeMap::new()), Cow::Borrowed);
    let Some(mark) = mark.filter(|mark| mark.installation == subject.installation) else { return owned };
    if let Some(known) = owned.get(MARK) {
        let settled = subject.as_of.duration_since(known.written) >= subject.settle;
        if !settled || known.value.as_ref() == subject.observed.get(MARK) {
            return owned;
        }
    }
    for (name, value) in subject.observed {
        if !owned.contains_key(name) && (**name == *MARK || mark.names(name)) {
            let recovered =
                Owned { value: Some(value.clone()), rule: "recovered".into(), written: subject.as_of };
            out.housekeeping.push(OwnedChange {
                holder: holder.clone(),
                name: name.clone(),
                owned: Some(recovered.clone()),
            });
            owned.to_mut().insert(name.clone(), recovered);
        }
    }
    owned
}

/// The tags as they are: what was read, and on top of it what we wrote too lately for the reading to show it. Also gives what
/// we wrote and is no longer there.
fn current<'a>(
    subject: &Subject<'a>,
    owned: &'a BTreeMap<Arc<str>, Owned>,
    out: &mut Difference,
) -> (Table<'a>, Vanished<'a>) {
    let (mut table, mut vanished) = (Vec::with_capacity(subject.observed.len() + 1), Vanished::new());
    let mut put = |name, value, ours, drift| table.push((name, Some(Current { value, ours, drift })));
    let gone =
        |name: &Arc<str>| OwnedChange { holder: subject.holder.clone(), name: name.clone(), owned: None };
    // Both are in the order of their names.
    let (mut all_observed, mut all_owned) = (subject.observed.iter().peekable(), owned.iter().peekable());
    loop {
        let order = match (all_observed.peek(), all_owned.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((observed, _)), Some((owned, _))) => observed.cmp(owned),
        };
        let observed = if order.is_le() { all_observed.next() } else { None };
        let owned = if order.is_ge() { all_owned.next() } else { None };
        let Some((name, owned)) = owned else {
            observed.into_iter().for_each(|(name, found)| put(name, found, false, false));
            continue;
        };
        let found = observed.map(|(_, found)| found);
        let settled = subject.as_of.duration_since(owned.written) >= subject.settle;
        match (&owned.value, settled) {
            (None, false) => {}
            // It is gone, or somebody else has put it there again: in both cases it is no longer ours.
            (None, true) => {
                out.housekeeping.push(gone(name));
                found.into_iter().for_each(|found| put(name, found, false, false));
            }
            (Some(written), false) => put(name, written, true, false),
            (Some(written), true) => {
                let drift = found != Some(written);
                if drift && **name != *MARK {
                    out.notes.push(Note::Drift {
                        name: name.clone(),
                        written: written.clone(),
                        found: found.cloned(),
                    });
                }
                match found {
                    Some(found) => put(name, found, true, drift),
                    None => vanished.push(name),
                }
            }
        }
    }
    (Table(table), vanished)
}

/// Sees to the tag by which a hook keeps the node from being patched.
fn hold_write(
    subject: &Subject<'_>,
    current: &mut Table<'_>,
    writes: &mut Vec<TagWrite>,
    ours: &mut Vec<TagKey>,
) {
    let Some(window) = subject.hold else { return };
    let (Ok(key), Ok(value)) = (TagKey::new(HOLD_TAG), TagValue::new(window)) else { return };
    match current.remove(HOLD_TAG) {
        Some(found) if **found.value == *window => {}
        found => writes.push(TagWrite {
            key: key.clone(),
            value,
            why: if found.is_some() { Why::Changed } else { Why::New },
            before: found.map(|found| found.value.clone()),
            rule: HOLD_RULE.into(),
        }),
    }
    ours.push(key);
}

/// Keeps the mark in step with what is ours.
fn mark_writes(
    subject: &Subject<'_>,
    ours: &[TagKey],
    writes: &mut Vec<TagWrite>,
    removals: &mut Vec<TagRemoval>,
) {
    let owned = subject.owned.and_then(|owned| owned.get(MARK));
    let trusted = owned.filter(|owned| subject.as_of.duration_since(owned.written) < subject.settle);
    let found: Option<Arc<str>> = match trusted {
        Some(owned) => owned.value.clone(),
        None => subject.observed.get(MARK).cloned(),
    };
    let Ok(key) = TagKey::new(MARK) else { return };
    if ours.is_empty() {
        if let Some(before) = found {
            removals.push(TagRemoval { key, before, rule: MARK_RULE.into() });
        }
        return;
    }
    let text = Mark::write(subject.installation, ours, subject.hashes);
    if found.as_deref() == Some(&*text) {
        return;
    }
    if let Ok(value) = TagValue::new(&text) {
        writes.push(TagWrite { key, value, before: found, rule: MARK_RULE.into(), why: Why::Mark });
    }
}

fn rule_notes(desired: &Desired, notes: &mut Vec<Note>) {
    for undetermined in &desired.undetermined {
        let (word, sentence) = (undetermined.as_str(), undetermined.to_string());
        notes.push(Note::Rule { word, sentence, problem: true });
    }
    for problem in &desired.problems {
        notes.push(Note::Rule { word: problem.as_str(), sentence: problem.to_string(), problem: true });
    }
    for tag in &desired.tags {
        if let Some(changed) = &tag.changed {
            let sentence = format!("`{}`: {changed}", tag.key.as_str());
            notes.push(Note::Rule { word: changed.as_str(), sentence, problem: false });
        }
    }
}

/// One call that adds, one that removes, and one of each for what keeps the node out of a window. What is removed goes first only where there is no room otherwise, which is a matter
/// of what is `there` now and not of what a reading may still show.
fn actions(
    subject: &Subject<'_>,
    there: usize,
    writes: Vec<TagWrite>,
    removals: Vec<TagRemoval>,
    out: &mut Vec<Action>,
) {
    if writes.is_empty() && removals.is_empty() {
        return;
    }
    let (place, node, vm, label) = (subject.place, subject.node, &subject.vm, &subject.label);
    let new = writes.iter().filter(|write| write.before.is_none()).count();
    let add = |tags: Vec<TagWrite>| {
        let (place, node, vm, label) = (place.clone(), node.clone(), vm.clone(), label.clone());
        (!tags.is_empty()).then_some(Action::AddTags { place, node, vm, label, tags })
    };
    let remove = |tags: Vec<TagRemoval>| {
        let (place, node, vm, label) = (place.clone(), node.clone(), vm.clone(), label.clone());
        (!tags.is_empty()).then_some(Action::RemoveTags { place, node, vm, label, tags })
    };
    // What keeps the node out of a window waits for nothing, least of all for the guard: it is a call of its own.
    let (holding, writes) = writes.into_iter().partition(TagWrite::is_hold);
    let (withheld, removals) = removals.into_iter().partition(|removal| *removal.rule == *HOLD_RULE);
    if there + new > MOST_TAGS {
        out.extend(
            remove(withheld).into_iter().chain(add(holding)).chain(remove(removals)).chain(add(writes)),
        );
    } else {
        out.extend(
            add(holding).into_iter().chain(remove(withheld)).chain(add(writes)).chain(remove(removals)),
        );
    }
}

/// Tags of AWS itself do not count, and nobody else can write them.
fn is_of_aws(key: &str) -> bool {
    key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:"))
}

/// Four characters for three bytes.
type KeyHash = [u8; 4];

/// The hashes of keys, each made once in a plan: there are few keys and many nodes.
#[derive(Debug, Default)]
pub(super) struct KeyHashes(RefCell<foldhash::HashMap<TagKey, KeyHash>>);

impl KeyHashes {
    fn of(&self, key: &TagKey) -> KeyHash {
        if let Some(hash) = self.0.borrow().get(key) {
            return *hash;
        }
        let hash = Mark::hash(key.as_str());
        self.0.borrow_mut().insert(key.clone(), hash);
        hash
    }
}

/// Our mark: the installation, and three bytes of the SHA-256 of each key that it owns. It fits into a tag's 256 characters
/// for any number of keys that a node can have.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mark<'a> {
    installation: &'a str,
    keys: &'a [u8],
}

impl<'a> Mark<'a> {
    fn hash(key: &str) -> KeyHash {
        let mut hash = KeyHash::default();
        // Three bytes are four characters, so it always fits.
        let _ = STANDARD.encode_slice(&digest(&SHA256, key.as_bytes()).as_ref()[..3], &mut hash);
        hash
    }

    fn write(installation: &str, keys: &[TagKey], hashes: &KeyHashes) -> String {
        let mut keys: Vec<KeyHash> = keys.iter().map(|key| hashes.of(key)).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut text = String::with_capacity(installation.len() + 1 + keys.len() * 4);
        text.push_str(installation);
        text.push(' ');
        text.extend(keys.as_flattened().iter().map(|byte| char::from(*byte)));
        text
    }

    fn read(text: &'a str) -> Option<Self> {
        let (installation, keys) = text.split_once(' ')?;
        let whole = installation.len() == 8
            && installation.bytes().all(|byte| byte.is_ascii_hexdigit())
            && keys.is_ascii()
            && keys.len().is_multiple_of(4);
        whole.then_some(Self { installation, keys: keys.as_bytes() })
    }

    /// Whether it says that this key is owned.
    fn names(&self, key: &str) -> bool {
        let hash = Self::hash(key);
        self.keys.chunks(4).any(|known| known == hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_names_its_keys_and_no_others() {
        let keys: Vec<TagKey> =
            ["Patch Group", "Env", "Env"].iter().map(|key| TagKey::new(key).unwrap()).collect();
        let text = Mark::write("0123abcd", &keys, &KeyHashes::default());
        assert_eq!(text, "0123abcd SU2asxjk");
        let mark = Mark::read(&text).unwrap();
        assert_eq!(mark.installation, "0123abcd");
        assert!(mark.names("Patch Group") && mark.names("Env") && !mark.names("env"));
        for other in ["0123abcd", "0123abcd abc", "0123abcx abcd", "0123abcd \u{e4}bc"] {
            assert_eq!(Mark::read(other), None, "{other}");
        }
    }

    #[test]
    fn tags_of_aws_are_known_by_their_beginning() {
        assert!(is_of_aws("aws:cloudformation:stack-id") && is_of_aws("AWS:x"));
        assert!(!is_of_aws("aws") && !is_of_aws("\u{e4}\u{e4}\u{e4}") && !is_of_aws("Owner"));
    }
}

/// What one installation owns by its marks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// On so many nodes.
    pub nodes: usize,
    /// The tags, its marks among them.
    pub owned: Vec<OwnedChange>,
}

/// What the marks on all nodes say, by installation: how a state that was lost is made again.
#[must_use]
pub fn claimed(cloud: &Cloud, now: Timestamp) -> BTreeMap<String, Claimed> {
    let mut claims: BTreeMap<String, Claimed> = BTreeMap::new();
    for (_, view) in cloud.targets() {
        let Some(place) = &view.place else { continue };
        for (node, tags) in &view.tags {
            let Some(mark) = tags.get(MARK).and_then(|value| Mark::read(value)) else { continue };
            let claim = claims.entry(mark.installation.to_owned()).or_default();
            claim.nodes += 1;
            let ours = tags.iter().filter(|(name, _)| ***name == *MARK || mark.names(name));
            claim.owned.extend(ours.map(|(name, value)| OwnedChange {
                holder: Holder::node(place, node),
                name: name.clone(),
                owned: Some(Owned { value: Some(value.clone()), rule: "recovered".into(), written: now }),
            }));
        }
    }
    claims
}
