//! What findings, generators and resources are called. No name of a VM, host or folder is in it, so that nothing is told anew
//! when something is renamed or moved.

use serde::{Deserialize, Serialize};

use super::ids::{Family, FindingId, RuleId};
use super::problem::{Object, Target};
use super::text::part;

/// The prefix of ids, generators and product fields.
pub const PREFIX: &str = "vmbridge/";
/// The longest part of an id; eight of them are far below the 512 that there may be.
const LONGEST: usize = 56;

/// What one finding is about, within its subject.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scope {
    /// One rule.
    Rule(RuleId),
    /// All rules of a family, folded.
    Family(Family),
}

impl Scope {
    pub(super) fn is_folded(&self) -> bool {
        matches!(self, Self::Family(_))
    }

    fn part(&self, most: usize) -> String {
        match self {
            Self::Rule(rule) => part(rule.as_str(), most),
            Self::Family(family) => format!("family/{}", part(family.as_str(), most)),
        }
    }

    /// The generator (`GeneratorId`): `vmbridge/<rule>` or `vmbridge/family/<family>`.
    #[must_use]
    pub fn generator(&self) -> String {
        format!("{PREFIX}{}", self.part(400))
    }
}

/// The id of a finding: account, Region, kind, vCenter, `MoRef`, instance UUID, and rule or family. The same problem has the same
/// id for ever, whoever computes it; a `MoRef` that was given again to another VM has another.
#[must_use]
pub fn finding_id(target: &Target, object: &Object, scope: &Scope) -> FindingId {
    let instance = object.instance.as_ref().map_or("", |instance| instance.as_str());
    let place = [
        target.account.as_str(),
        target.region.as_str(),
        object.kind.word(),
        object.vcenter.as_str(),
        object.moref.as_str(),
        instance,
    ];
    let place: Vec<String> = place.iter().map(|text| part(text, LONGEST)).collect();
    format!("{PREFIX}{}/{}", place.join("/"), scope.part(LONGEST)).into()
}

/// The name of an object of vSphere as a resource: the same in all findings of it, whatever it is called.
#[must_use]
pub fn urn(object: &Object) -> String {
    let Object { kind, vcenter, moref, .. } = object;
    format!(
        "urn:vmbridge:{}:{}:{}",
        kind.word(),
        part(vcenter.as_str(), LONGEST),
        part(moref.as_str(), LONGEST)
    )
}
