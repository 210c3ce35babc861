//! Findings under our names that are not ours, in words: a lost store makes another installation of this one, and whoever is not
//! told of that believes that nothing is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mappings::findings::life::{Others, Record};
use mappings::findings::{FindingId, Owner};

use super::reach::place;
use crate::aws::Place;
use crate::fleet::Part;

/// Open findings that another installation tells of vCenters that can be seen from here. Of those of other vCenters nothing is
/// said: installations may share an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stranger {
    pub place: Place,
    /// The installation; nothing: they do not say.
    pub installation: Option<Owner>,
    pub count: usize,
    /// The vCenters, by their names.
    pub vcenters: BTreeSet<Arc<str>>,
}

/// All that is there under our names and is not ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Strangers {
    pub foreign: Vec<Stranger>,
    /// Findings that cannot be taken over, and why.
    pub unusable: Vec<(Place, FindingId, &'static str)>,
}

/// How many, and of which vCenters.
type About = (usize, BTreeSet<Arc<str>>);

/// What there is, but for what is remembered as ours.
pub(crate) fn of<'p>(
    others: &Others,
    records: &BTreeMap<FindingId, Record>,
    parts: impl Iterator<Item = &'p Part>,
) -> Strangers {
    let seen: BTreeMap<String, Arc<str>> =
        parts.filter_map(|part| Some((part.uuid()?.to_string(), part.name().as_str().into()))).collect();
    let mut foreign: BTreeMap<(Place, Option<Owner>), About> = BTreeMap::new();
    for (_, stranger) in others.strangers(records) {
        let vcenter = stranger.vcenter.as_ref().and_then(|vcenter| seen.get(vcenter.as_str()));
        let Some(vcenter) = vcenter else { continue };
        let (count, vcenters) = foreign.entry((place(&stranger.target), stranger.owner.clone())).or_default();
        *count += 1;
        vcenters.insert(Arc::clone(vcenter));
    }
    let foreign = foreign.into_iter().map(|((place, installation), (count, vcenters))| Stranger {
        place,
        installation,
        count,
        vcenters,
    });
    let unusable = others.unusable(records).map(|one| (place(&one.target), one.id.clone(), one.why));
    Strangers { foreign: foreign.collect(), unusable: unusable.collect() }
}

impl Strangers {
    /// What a person should know of one place.
    pub(super) fn warnings(&self, place: &Place) -> impl Iterator<Item = String> {
        let foreign = self.foreign.iter().filter(|one| one.place == *place).map(Stranger::sentence);
        let unusable: Vec<_> = self.unusable.iter().filter(|(at, ..)| at == place).collect();
        let unusable = unusable.first().map(|(_, id, why)| {
            let more = match unusable.len() {
                1 => String::new(),
                count => format!(" (and {} more, see `vmbridge findings`)", count - 1),
            };
            format!("finding {id} cannot be taken over: {why}; it stays as it is until Security Hub forgets it{more}")
        });
        foreign.chain(unusable).collect::<Vec<_>>().into_iter()
    }
}

impl Stranger {
    /// One sentence, with the fix.
    pub(crate) fn sentence(&self) -> String {
        let vcenters: Vec<&str> = self.vcenters.iter().map(|vcenter| &**vcenter).collect();
        let told = told_by_others(self.count, self.installation.as_ref().map(Owner::as_str));
        format!("{}: {told}", vcenters.join(", "))
    }
}

/// How many findings another installation tells, and what to do if there is none.
pub(in crate::plan) fn told_by_others(count: usize, installation: Option<&str>) -> String {
    let (findings, told, stay) = match count {
        1 => ("1 finding".to_owned(), "is told", "it stays"),
        count => (format!("{count} findings"), "are told", "they stay"),
    };
    match installation {
        Some(id) => format!(
            "{findings} {told} by another installation, `{id}`, and left alone; if that one is gone for good: vmbridge state recover"
        ),
        None => format!(
            "{findings} under names of vmbridge {told} by somebody who does not say who it is; {stay} until Security Hub forgets"
        ),
    }
}
