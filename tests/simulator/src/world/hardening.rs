//! How safely objects are set up. Most are set up well; some are not, by their numbers and the seed, so that no object has to
//! carry its settings around. What somebody changed is kept here, and wins.

use std::collections::BTreeMap;

use super::{Change, Kind, ObjId, World};

use super::mutate::MutateError;

/// What was changed of the settings of a vCenter's objects.
#[derive(Debug, Default)]
pub(crate) struct Hardening {
    seed: u64,
    forced: BTreeMap<ObjId, bool>,
    options: BTreeMap<ObjId, BTreeMap<String, Option<String>>>,
    services: BTreeMap<(ObjId, String), Service>,
    policies: BTreeMap<ObjId, Policy>,
}

/// A change of a service of a host.
#[derive(Debug, Clone, Default)]
pub(crate) struct Service {
    pub(crate) running: Option<bool>,
    pub(crate) policy: Option<String>,
}

/// A change of what a port group permits.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Policy {
    pub(crate) promiscuous: Option<bool>,
    pub(crate) mac_changes: Option<bool>,
    pub(crate) forged_transmits: Option<bool>,
}

/// One object in so many is set up badly.
const WEAK_OBJECTS: u64 = 8;
/// And then one setting in so many.
const WEAK_SETTINGS: u64 = 3;

fn mixed(mut number: u64) -> u64 {
    number = (number ^ (number >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    number = (number ^ (number >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    number ^ (number >> 33)
}

impl Hardening {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, ..Self::default() }
    }

    /// Whether this setting of an object is a bad one, as long as nobody has changed it.
    pub(crate) fn is_weak(&self, id: ObjId, setting: &str) -> bool {
        if let Some(forced) = self.forced.get(&id) {
            return *forced;
        }
        let object = mixed(self.seed ^ u64::from(id.num));
        object.is_multiple_of(WEAK_OBJECTS)
            && mixed(object ^ crate::fleet::hash_name(setting)).is_multiple_of(WEAK_SETTINGS)
    }

    /// What somebody has made of a setting: a value, or nothing where it was removed.
    pub(crate) fn option(&self, id: ObjId, key: &str) -> Option<Option<&str>> {
        let changed = self.options.get(&id)?;
        changed.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)).map(|(_, value)| value.as_deref())
    }

    /// All settings of an object that somebody has changed.
    pub(crate) fn options(&self, id: ObjId) -> impl Iterator<Item = (&str, Option<&str>)> {
        let changed = self.options.get(&id).into_iter().flatten();
        changed.map(|(key, value)| (key.as_str(), value.as_deref()))
    }

    /// A copy of a VM has its settings.
    pub(crate) fn copy(&mut self, from: ObjId, to: ObjId) {
        if let Some(options) = self.options.get(&from).cloned() {
            self.options.insert(to, options);
        }
        if let Some(forced) = self.forced.get(&from).copied() {
            self.forced.insert(to, forced);
        }
    }

    pub(crate) fn service(&self, host: ObjId, key: &str) -> Service {
        self.services.get(&(host, key.to_owned())).cloned().unwrap_or_default()
    }

    pub(crate) fn policy(&self, portgroup: ObjId) -> Policy {
        self.policies.get(&portgroup).copied().unwrap_or_default()
    }
}

impl World {
    fn set_up(&mut self, id: ObjId, of: &[Kind], paths: &'static [&'static str]) -> Result<(), MutateError> {
        if !of.contains(&id.kind) || self.get(id).is_none() {
            return Err(MutateError::NoSuchObject(id.to_string()));
        }
        self.log.push(Change::Modified(id, paths));
        Ok(())
    }

    /// Sets an advanced setting of a VM or a host, or removes it.
    pub(crate) fn set_option(
        &mut self,
        id: ObjId,
        key: &str,
        value: Option<&str>,
    ) -> Result<(), MutateError> {
        let paths: &[&str] = if id.kind == Kind::Host { &["config.option"] } else { &["config.extraConfig"] };
        self.set_up(id, &[Kind::Vm, Kind::Host], paths)?;
        let changed = self.hardening.options.entry(id).or_default();
        changed.retain(|known, _| !known.eq_ignore_ascii_case(key));
        changed.insert(key.to_owned(), value.map(str::to_owned));
        Ok(())
    }

    /// Starts or stops a service of a host, or changes when it starts.
    pub(crate) fn set_service(
        &mut self,
        id: ObjId,
        key: &str,
        running: Option<bool>,
        policy: Option<&str>,
    ) -> Result<(), MutateError> {
        if !crate::props::has_service(key) || policy.is_some_and(|policy| !POLICIES.contains(&policy)) {
            return Err(MutateError::NotPossible { what: "setting this service", object: key.to_owned() });
        }
        self.set_up(id, &[Kind::Host], &["config.service"])?;
        let service = self.hardening.services.entry((id, key.to_owned())).or_default();
        service.running = running.or(service.running);
        if let Some(policy) = policy {
            service.policy = Some(policy.to_owned());
        }
        Ok(())
    }

    /// Changes what a port group permits.
    pub(crate) fn set_policy(&mut self, id: ObjId, policy: Policy) -> Result<(), MutateError> {
        self.set_up(id, &[Kind::Portgroup], &["config"])?;
        let known = self.hardening.policies.entry(id).or_default();
        known.promiscuous = policy.promiscuous.or(known.promiscuous);
        known.mac_changes = policy.mac_changes.or(known.mac_changes);
        known.forged_transmits = policy.forged_transmits.or(known.forged_transmits);
        Ok(())
    }

    /// Sets an object up as badly as can be, or well; what somebody has changed by itself stays.
    pub(crate) fn set_weak(&mut self, id: ObjId, weak: bool) -> Result<(), MutateError> {
        let paths: &[&str] = match id.kind {
            Kind::Cluster => &["configuration", "configurationEx", "summary"],
            Kind::Host => &["config", "capability", "summary.tpmAttestation", "summary.config"],
            _ => &["config"],
        };
        self.set_up(id, &[Kind::Vm, Kind::Host, Kind::Cluster, Kind::Portgroup], paths)?;
        self.hardening.forced.insert(id, weak);
        Ok(())
    }
}

/// When a service of a host starts.
const POLICIES: [&str; 3] = ["on", "off", "automatic"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_are_set_up_well_and_nobody_badly_in_everything() {
        let hardening = Hardening::new(7);
        let settings = ["ssh", "syslog", "ntp", "lockdown", "shell"];
        let bad = |number| {
            let id = ObjId::new(Kind::Host, number);
            settings.iter().filter(|setting| hardening.is_weak(id, setting)).count()
        };
        let counts: Vec<usize> = (0..8000).map(bad).collect();
        let weak = counts.iter().filter(|count| **count > 0).count();
        assert!((600..1200).contains(&weak), "{weak} of 8000");
        let other = Hardening::new(8);
        assert!((0..8000).any(|n| {
            let id = ObjId::new(Kind::Host, n);
            other.is_weak(id, "ssh") != hardening.is_weak(id, "ssh")
        }));
    }
}
