//! Findings under our names that are not ours.

use std::borrow::Cow;
use std::collections::BTreeSet;

use mappings::findings::Owner;
use mappings::findings::life::adopt;

use super::{ForeignFindings, UnusableFinding};
use crate::aws::Place;
use crate::plan::{TargetPolicy, View, reach, strangers};

/// What there is of them. A daemon knows that from its last comparison; else it is in what was just read.
pub(super) fn told(view: &View<'_>) -> (Vec<ForeignFindings>, Vec<UnusableFinding>) {
    let mut others = Cow::Borrowed(&view.memory.findings.others);
    for (_, target) in view.cloud.targets() {
        let (Some(place), Some(listed)) = (&target.hub.place, &target.hub.ours.value) else { continue };
        let of = reach::target(place);
        let adopted = adopt(listed, &of, &view.memory.finding_owners());
        others.to_mut().replace(&of, adopted.others);
    }
    let mut strangers = strangers::of(&others, &view.memory.findings.records, view.fleet.parts());
    // Where no target sends findings any more nobody reads what became of those of others.
    let place_of = |target: &TargetPolicy| view.cloud.target(&target.name)?.hub.place.as_ref();
    let places: Option<BTreeSet<&Place>> = view.policy.targets.iter().map(place_of).collect();
    if let Some(places) = places.filter(|places| !places.is_empty()) {
        strangers.foreign.retain(|one| places.contains(&one.place));
        strangers.unusable.retain(|(place, ..)| places.contains(place));
    }
    let foreign = strangers.foreign.iter().map(|one| ForeignFindings {
        place: one.place.to_string(),
        installation: one.installation.as_ref().map(Owner::to_string),
        findings: one.count,
        vcenters: one.vcenters.iter().map(ToString::to_string).collect(),
        sentence: one.sentence(),
    });
    let unusable = strangers.unusable.iter().map(|(place, id, why)| UnusableFinding {
        id: id.to_string(),
        place: place.to_string(),
        why: (*why).to_owned(),
    });
    (foreign.collect(), unusable.collect())
}
