//! What became of the SDDCs since they were listed before.

use std::collections::BTreeMap;

use secrecy::ExposeSecret as _;

use super::{Sddc, SddcId};

/// The difference between two listings.
#[derive(Debug, Clone, Default)]
pub struct SddcChanges {
    /// Those that were not there before.
    pub came: Vec<Sddc>,
    /// Those that are no longer there, as they were.
    pub went: Vec<Sddc>,
    /// Those of which something changed: before and now.
    pub changed: Vec<(Sddc, Sddc)>,
}

impl SddcChanges {
    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.came.is_empty() && self.went.is_empty() && self.changed.is_empty()
    }
}

/// Compares two listings by id, so that a new name is a change. Order does not matter; of an id listed twice the last counts.
#[must_use]
pub fn diff(previous: &[Sddc], now: &[Sddc]) -> SddcChanges {
    let by_id = |sddcs: &'_ [Sddc]| -> BTreeMap<SddcId, Sddc> {
        sddcs.iter().map(|sddc| (sddc.id.clone(), sddc.clone())).collect()
    };
    let mut before = by_id(previous);
    let mut changes = SddcChanges::default();
    for (id, sddc) in by_id(now) {
        match before.remove(&id) {
            None => changes.came.push(sddc),
            Some(old) if old != sddc => changes.changed.push((old, sddc)),
            Some(_) => {}
        }
    }
    changes.went.extend(before.into_values());
    changes
}

impl PartialEq for Sddc {
    /// Whether both tell the same, the password included.
    fn eq(&self, other: &Self) -> bool {
        // Taken apart, so that a new field cannot be forgotten here.
        let Self { id, name, state, provider, region, vc_url, vc_management_ip, vc_public_ip, cloudadmin } =
            self;
        let account = match (cloudadmin, &other.cloudadmin) {
            (Some(a), Some(b)) => {
                a.username == b.username && a.password.expose_secret() == b.password.expose_secret()
            }
            (None, None) => true,
            _ => false,
        };
        account
            && (id, name, state, provider, region)
                == (&other.id, &other.name, &other.state, &other.provider, &other.region)
            && (vc_url, vc_management_ip, vc_public_ip)
                == (&other.vc_url, &other.vc_management_ip, &other.vc_public_ip)
    }
}

impl Eq for Sddc {}
