//! `vmbridge state recover`: an earlier life, whose state is lost, is this one.
//!
//! What it owned carries its id: the tags of nodes in one tag of ours, findings in `vmbridge/owner`. Nothing is ever taken over by
//! itself: installations may share an account, and one that lives looks just like one that is gone.

use std::collections::BTreeMap;

use jiff::Timestamp;
use mappings::findings::life::{Claim, Listed, claims};

use super::RecoverArguments;
use crate::aws::{HubState, Place};
use crate::cli::plan::refuse_without_targets;
use crate::cli::{Context, Exit, Failure, Hangup, Stop, output};
use crate::cloud::{Cloud, SharedCloud};
use crate::engine::{AssemblyError, Targets};
use crate::inventory::text::for_terminal;
use crate::plan::{Claimed, claimed};
use crate::store::{Store, StoreError};

/// What an earlier life left.
#[derive(Debug, Default, PartialEq, Eq)]
struct Life {
    /// Tags of nodes.
    nodes: Claimed,
    /// Findings, by account and Region.
    findings: BTreeMap<Place, Claim>,
}

pub(super) async fn run(context: &Context, arguments: RecoverArguments) -> Result<Exit, Failure> {
    let (_, config) = context.load()?;
    refuse_without_targets(&config)?;
    let RecoverArguments { installation, yes } = arguments;
    let stop = Stop::listen(Hangup::Stops).map_err(Failure::Runtime)?;
    context.start_log(None)?;
    let cloud = SharedCloud::new();
    let targets = Targets::connect(&config, &cloud).await.map_err(Failure::Engine)?;
    // First the lock: a daemon that runs would go on with what it remembers.
    let store = Store::open(&config.state.directory).await.map_err(super::engine)?;
    tokio::select! {
        () = targets.read_once() => {}
        () = stop.requested() => return Ok(stop.or(Exit::Problem)),
    }
    let cloud = cloud.read();
    for (name, view) in cloud.targets() {
        if let Err(why) = view.usable(crate::clock::now(), config.limits.stale_after) {
            let why = format!("{name} cannot be read, so its marks are not known: {why}");
            return Err(Failure::Engine(AssemblyError::Unreadable(why)));
        }
        if let Some(why) = unread(&view.hub) {
            let why = format!("the findings of {name} cannot be read, so their marks are not known: {why}");
            return Err(Failure::Engine(AssemblyError::Unreadable(why)));
        }
    }
    let former = store.contents().await.map_err(super::engine)?.former;
    let known = former.iter().map(|id| &**id).chain([store.installation()]);
    let lives = lives(&cloud, known, crate::clock::now());
    let exit = match choose(lives, installation.as_deref()) {
        Err(told) => {
            eprintln!("{told}");
            Exit::Problem
        }
        Ok((id, life)) if !yes => {
            eprintln!(
                "installation {id} has {}; `vmbridge state recover --installation {id} --yes` makes that this one's, if {id} runs \
                 nowhere any more",
                life.words()
            );
            Exit::Problem
        }
        Ok((id, life)) => {
            let told = take(store, &id, &life).await.map_err(super::engine)?;
            output::write(|out| writeln!(out, "{told}"))?;
            return Ok(Exit::Done);
        }
    };
    store.close().await;
    Ok(exit)
}

/// Why it is not known which findings there are, although somebody asks for that.
fn unread(hub: &crate::cloud::hub::HubView) -> Option<String> {
    let is_off = hub.place.is_none();
    let has_none = hub.state.value.as_deref() == Some(&HubState::NotEnabled);
    hub.trouble().filter(|_| !is_off && !has_none)
}

/// Makes it so, and says what is so now.
async fn take(store: Store, id: &str, life: &Life) -> Result<String, StoreError> {
    let now = crate::clock::now();
    if life.nodes.nodes == 0 {
        store.put_former(id, now).await?;
        store.close().await;
        return Ok(format!("what installation {id} told is this one's from now on: {}", life.words()));
    }
    let store = store.take_over(id, &life.nodes.owned, now).await?;
    store.close().await;
    Ok(format!("this is installation {id} from now on, with {}", life.words()))
}

/// What each other installation left. `known`: this one, and those that it was, whose findings are its own already.
fn lives<'k>(cloud: &Cloud, known: impl Iterator<Item = &'k str>, now: Timestamp) -> BTreeMap<String, Life> {
    let mut lives: BTreeMap<String, Life> = BTreeMap::new();
    for (id, nodes) in claimed(cloud, now) {
        lives.entry(id).or_default().nodes = nodes;
    }
    // Targets may share an account and Region for their findings.
    let mut places: BTreeMap<&Place, &[Listed]> = BTreeMap::new();
    for (_, view) in cloud.targets() {
        if let (Some(place), Some(listed)) = (&view.hub.place, &view.hub.ours.value) {
            places.insert(place, listed);
        }
    }
    for (place, listed) in places {
        for (owner, claim) in claims(listed) {
            // All else is no id of an installation, whoever wrote it.
            if owner.as_str().len() == 8 && owner.as_str().bytes().all(|byte| byte.is_ascii_hexdigit()) {
                lives.entry(owner.to_string()).or_default().findings.insert(place.clone(), claim);
            }
        }
    }
    let known: Vec<&str> = known.collect();
    for (id, life) in &mut lives {
        if known.contains(&id.as_str()) {
            life.findings.clear();
        }
    }
    if let Some(own) = known.last() {
        lives.remove(*own);
    }
    lives.retain(|_, life| life.nodes.nodes > 0 || !life.findings.is_empty());
    lives
}

impl Life {
    /// What it left, in words.
    fn words(&self) -> String {
        let Claimed { nodes, owned } = &self.nodes;
        let tags = (*nodes > 0).then(|| format!("{} tags of {nodes} nodes", owned.len()));
        let findings = self.findings.iter().map(|(place, claim)| {
            let Claim { open, over, vcenters } = claim;
            let vcenters: Vec<&str> = vcenters.iter().map(String::as_str).collect();
            let of = if vcenters.is_empty() { String::new() } else { format!(" of {}", vcenters.join(", ")) };
            format!("{open} open findings{} and {over} that are over in {place}", for_terminal(&of))
        });
        tags.into_iter().chain(findings).collect::<Vec<_>>().join(", ")
    }
}

/// The earlier life that is meant, or why none is.
fn choose(mut lives: BTreeMap<String, Life>, wanted: Option<&str>) -> Result<(String, Life), String> {
    if let Some(wanted) = wanted {
        return match lives.remove_entry(wanted) {
            Some(life) => Ok(life),
            None => Err(format!("no node and no finding has a mark of another installation {wanted}")),
        };
    }
    if lives.len() > 1 {
        let ids: Vec<String> = lives.iter().map(|(id, life)| format!("{id} ({})", life.words())).collect();
        return Err(format!(
            "several other installations have marks: {}; choose with --installation",
            ids.join("; ")
        ));
    }
    lives.pop_first().ok_or_else(|| {
        "no node and no finding has a mark of another installation; there is nothing to recover".to_owned()
    })
}

#[cfg(test)]
mod tests;
