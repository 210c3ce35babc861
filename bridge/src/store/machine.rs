//! On which machine the state directory is used.
//!
//! A copied appliance (a clone, a restored backup beside the original) has the same state and the same credentials; two of
//! them would work against each other. A copy of a VM has other network addresses than its original, so the state remembers
//! the machine it is used on, and elsewhere nothing is changed until a person says `vmbridge state claim`.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// What tells this machine from a copy of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// `/etc/machine-id`.
    pub id: Option<String>,
    /// Hardware addresses of network cards, sorted.
    pub addresses: Vec<String>,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn this() -> Self {
        Self::below(Path::new("/"))
    }

    fn below(root: &Path) -> Self {
        let read = |path: &Path| {
            let text = std::fs::read_to_string(path).ok()?;
            Some(text.trim().to_lowercase()).filter(|text| !text.is_empty())
        };
        let mut addresses = Vec::new();
        if let Ok(cards) = std::fs::read_dir(root.join("sys/class/net")) {
            for card in cards.flatten() {
                // Only real cards have a device; those of containers and tunnels come and go.
                if card.path().join("device").exists() {
                    addresses.extend(read(&card.path().join("address")));
                }
            }
        }
        addresses.sort();
        addresses.dedup();
        Self { id: read(&root.join("etc/machine-id")), addresses }
    }

    /// Whether `self` may be the same machine as `other`. A card that was added or replaced makes no other machine, as long
    /// as one is still there.
    #[must_use]
    pub fn may_be(&self, other: &Self) -> bool {
        let same_id = match (&self.id, &other.id) {
            (Some(one), Some(two)) => one == two,
            _ => true,
        };
        let shares_a_card = self.addresses.is_empty()
            || other.addresses.is_empty()
            || self.addresses.iter().any(|address| other.addresses.contains(address));
        same_id && shares_a_card
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(id: &str, addresses: &[&str]) -> Machine {
        Machine {
            id: Some(id.to_owned()),
            addresses: addresses.iter().map(|&text| text.to_owned()).collect(),
        }
    }

    #[test]
    fn a_copy_is_told_by_its_cards_or_its_id() {
        let original = machine("a", &["00:50:56:00:00:01", "00:50:56:00:00:02"]);
        assert!(original.may_be(&original));
        assert!(
            original.may_be(&machine("a", &["00:50:56:00:00:02", "00:50:56:00:00:03"])),
            "one was replaced"
        );
        assert!(!original.may_be(&machine("a", &["00:50:56:00:00:09"])), "a clone gets new addresses");
        assert!(!original.may_be(&machine("b", &["00:50:56:00:00:01"])), "another system");
        assert!(
            original.may_be(&Machine { id: None, addresses: Vec::new() }),
            "nothing is known: nothing is claimed"
        );
    }

    #[test]
    fn only_real_cards_count() {
        let root = tempfile::tempdir().unwrap();
        let net = root.path().join("sys/class/net");
        for (card, address, real) in
            [("ens192", "00:50:56:AA:00:01\n", true), ("docker0", "02:42:00:00:00:01\n", false)]
        {
            std::fs::create_dir_all(net.join(card)).unwrap();
            std::fs::write(net.join(card).join("address"), address).unwrap();
            if real {
                std::fs::create_dir(net.join(card).join("device")).unwrap();
            }
        }
        std::fs::create_dir_all(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/machine-id"), "abc\n").unwrap();
        assert_eq!(Machine::below(root.path()), machine("abc", &["00:50:56:aa:00:01"]));
    }
}
