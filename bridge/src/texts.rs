//! One copy of each text that occurs thousands of times: keys and values of tags, names of rules.
//!
//! It is smaller, and what is looked at again and again stays near the processor. Forgetting is up to [`Texts::purge`];
//! nothing depends on whether a text is shared.

use std::sync::Arc;

use foldhash::HashSet;

/// So many texts are kept without looking for those that nobody uses any more.
const FEW: usize = 4_096;

/// Texts that are shared.
#[derive(Debug, Clone, Default)]
pub(crate) struct Texts {
    known: HashSet<Arc<str>>,
    /// How many there were after the last purge.
    purged: usize,
}

impl Texts {
    /// The shared copy of a text.
    pub(crate) fn shared(&mut self, text: Arc<str>) -> Arc<str> {
        if let Some(shared) = self.known.get(&text) {
            return shared.clone();
        }
        self.known.insert(text.clone());
        text
    }

    /// Forgets what nobody uses any more, if that may be much.
    pub(crate) fn purge(&mut self) {
        if self.known.len() > self.purged * 2 + FEW {
            self.known.retain(|text| Arc::strong_count(text) > 1);
            self.purged = self.known.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_and_the_unused_are_forgotten() {
        let mut texts = Texts::default();
        let kept = texts.shared("Patch Group".into());
        assert!(Arc::ptr_eq(&kept, &texts.shared("Patch Group".into())));
        for number in 0..2 * FEW {
            texts.shared(number.to_string().into());
        }
        texts.purge();
        assert_eq!(texts.known.len(), 1);
        assert!(Arc::ptr_eq(&kept, &texts.shared("Patch Group".into())));
    }
}
