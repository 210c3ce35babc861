//! Observes one target of AWS: all hybrid nodes, their tags and the activations, in bulk, again and again.
//!
//! AWS tells nobody of changes, so it is asked: soon again after something changed, and ever more rarely while nothing does.
//! A reading that fails changes nothing but the error in the view; the next one comes by itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::aws::{AwsError, AwsErrorKind, Node, NodeId, NodeTags, Page, Place, Services};
use crate::clock::Clock;
use crate::cloud::{SharedCloud, TargetView};
use crate::config::AwsTarget;
use crate::texts::Texts;

use super::findings::HubPace;
use super::told::ToldPace;
use super::windows::WindowPace;

/// Pages in one listing. 10,000 pages of 50 are many more nodes than an account can have.
const MOST_PAGES: usize = 10_000;
/// Single readings at the same time; their lane sets the pace.
pub(super) const AT_ONCE: usize = 8;
/// Single readings before what is known is shown.
const AT_A_TIME: usize = 200;

/// What an observer of a target works with.
#[derive(Clone)]
pub struct Watcher {
    /// The target.
    pub target: AwsTarget,
    /// Its services.
    pub services: Services,
    /// Where readings go.
    pub cloud: SharedCloud,
    /// Asks for a reading soon, because something was changed.
    pub nudge: Arc<Notify>,
    /// The clock.
    pub clock: Clock,
    /// How often the maintenance windows are read; `None`: nobody needs them, and nothing of them is read.
    pub windows: Option<WindowPace>,
    /// How often what findings need is read; `None`: there are to be none, and nothing of it is read.
    pub hub: Option<HubPace>,
    /// How often it is read what was told of nodes; `None`: nothing is told, and nothing of it is read.
    pub told: Option<ToldPace>,
}

impl Watcher {
    /// Reads until stopped. Nodes, windows, findings and what was told do not wait for each other.
    pub async fn follow(self, stop: CancellationToken) {
        tokio::join!(
            self.follow_nodes(&stop),
            self.follow_windows(&stop),
            self.follow_hub(&stop),
            self.follow_told(&stop),
        );
    }

    async fn follow_nodes(&self, stop: &CancellationToken) {
        let mut pause = self.target.poll_fast;
        loop {
            let changed = tokio::select! {
                biased;
                changed = self.read_nodes() => changed,
                () = stop.cancelled() => return,
            };
            pause = if changed { self.target.poll_fast } else { (pause * 2).min(self.target.poll_slow) };
            tokio::select! {
                biased;
                () = tokio::time::sleep(pause) => {}
                () = self.nudge.notified() => {
                    // What was just written is not there yet, and more may follow.
                    pause = self.target.poll_fast;
                    tokio::select! {
                        biased;
                        () = tokio::time::sleep(pause) => {}
                        () = stop.cancelled() => return,
                    }
                }
                () = stop.cancelled() => return,
            }
        }
    }

    /// Reads everything once, windows and findings as far as it is time for them; says whether anything is different from
    /// before. That agents report is nothing different. What was told is not read: it heals what is lost, which is no matter of
    /// one moment.
    pub async fn read_once(&self) -> bool {
        let nodes = self.read_nodes().await;
        let windows = self.read_windows().await;
        self.read_hub().await || windows || nodes
    }

    async fn read_nodes(&self) -> bool {
        let name = self.target.name.as_str().into();
        let before = self.cloud.read().target(&name).cloned().unwrap_or_default();
        match self.reading(&before).await {
            Ok(view) => {
                let same = same(&view, &before);
                if before.error.is_some() || before.as_of.is_none() {
                    tracing::info!(target = %name, nodes = view.nodes.len(), "the nodes of this target are known");
                }
                self.cloud.update(&name, |known| {
                    // These have readings of their own, and may have been read meanwhile.
                    let (windows, hub, told) = (known.windows.clone(), known.hub.clone(), known.told.clone());
                    *known = TargetView { windows, hub, told, ..view };
                    true
                });
                !same
            }
            Err(error) => {
                let changed = before.error.as_ref() != Some(&error);
                if changed {
                    tracing::warn!(target = %name, error, "the nodes of this target could not be read");
                }
                self.cloud.update(&name, |known| {
                    known.error = Some(error);
                    true
                });
                // A failure is no reason to ask more often.
                false
            }
        }
    }

    async fn reading(&self, before: &TargetView) -> Result<TargetView, String> {
        let as_of = self.clock.now();
        let (place, arn) = match (&before.place, &before.arn) {
            (Some(place), Some(arn)) => (place.clone(), arn.clone()),
            _ => self.identity().await?,
        };
        let ssm = &self.services.ssm;
        let nodes = listing("nodes", |next| ssm.nodes(next));
        let activations = listing("activations", |next| ssm.activations(next));
        let tags = listing("tags", |next| self.services.tagging.node_tags(next));
        let (nodes, activations, tags) =
            tokio::try_join!(nodes, activations, tags).map_err(|error| said(&error))?;

        let nodes: BTreeMap<_, _> = nodes
            .into_iter()
            .map(|node| match before.nodes.get(&node.id) {
                // What did not change keeps its place in memory.
                Some(known) if **known == node => (node.id.clone(), known.clone()),
                _ => (node.id.clone(), Arc::new(node)),
            })
            .collect();
        let mut texts = Texts::default();
        let mut listed: HashMap<NodeId, Arc<NodeTags>> = tags
            .into_iter()
            .filter(|(node, _)| nodes.contains_key(node))
            .map(|(node, tags)| match before.tags.get(&node) {
                Some(known) if **known == tags => (node, known.clone()),
                _ => {
                    let tags = tags.into_iter();
                    let tags = tags.map(|(name, value)| (texts.shared(name), texts.shared(value)));
                    (node, Arc::new(tags.collect()))
                }
            })
            .collect();
        let tags_error = self.read_unlisted(&nodes.keys().collect::<Vec<_>>(), before, &mut listed).await;
        Ok(TargetView {
            place: Some(place),
            arn: Some(arn),
            nodes,
            tags: listed,
            tags_error,
            activations: activations
                .into_iter()
                .map(|activation| (activation.id.clone(), Arc::new(activation)))
                .collect(),
            windows: before.windows.clone(),
            hub: before.hub.clone(),
            told: before.told.clone(),
            as_of: Some(as_of),
            error: None,
        })
    }

    /// The listing of tags leaves out nodes that never had one. Whether that is so is asked once for each; afterwards a node
    /// that is still not listed still has none. Says what went wrong, where something did.
    async fn read_unlisted(
        &self,
        nodes: &[&NodeId],
        before: &TargetView,
        listed: &mut HashMap<NodeId, Arc<NodeTags>>,
    ) -> Option<String> {
        let mut unknown = Vec::new();
        for node in nodes.iter().copied().filter(|node| !listed.contains_key(*node)).collect::<Vec<_>>() {
            match before.tags.get(node) {
                Some(tags) if tags.is_empty() => {
                    listed.insert(node.clone(), tags.clone());
                }
                _ => unknown.push(node.clone()),
            }
        }
        // The others are asked for by the next reading, which comes soon because this one shows something new.
        unknown.truncate(AT_A_TIME);
        let asked: Vec<_> = unknown.into_iter().map(|node| self.tags_of(node)).collect();
        let mut answers = futures_util::stream::iter(asked).buffer_unordered(AT_ONCE);
        let mut failed: Option<(NodeId, AwsError)> = None;
        while let Some((node, answer)) = answers.next().await {
            match answer {
                Ok(tags) => {
                    listed.insert(node, Arc::new(tags));
                }
                // Its tags stay unknown, so nothing is done with it; the next reading asks again.
                Err(error) => {
                    tracing::debug!(target = self.target.name, %error, "tags not known");
                    // A node that was just deregistered is no trouble. Of several, always the same one is told.
                    let first = failed.as_ref().is_none_or(|(other, _)| node < *other);
                    if first && error.kind != AwsErrorKind::NotFound {
                        failed = Some((node, error));
                    }
                }
            }
        }
        let error = said(&failed?.1);
        if before.tags_error.as_ref() != Some(&error) {
            tracing::warn!(target = self.target.name, error, "the tags of some nodes could not be read");
        }
        Some(error)
    }

    async fn tags_of(&self, node: NodeId) -> (NodeId, Result<NodeTags, AwsError>) {
        let tags = self.services.ssm.tags_of(&node).await;
        (node, tags)
    }

    async fn identity(&self) -> Result<(Place, String), String> {
        let identity = self.services.sts.identity().await.map_err(|error| said(&error))?;
        if let Some(wanted) = &self.target.account
            && *wanted != identity.account
        {
            return Err(format!(
                "the credentials belong to account {}, the configuration says {wanted}; nothing is done with them",
                identity.account
            ));
        }
        Ok((Place::new(&identity.account, &self.target.region), identity.arn))
    }
}

/// An error with its fix, where there is one.
pub(super) fn said(error: &AwsError) -> String {
    match error.kind.fix() {
        Some(fix) => format!("{error}; {fix}"),
        None => error.to_string(),
    }
}

/// Whether two views tell the same. Each agent reports every few minutes, and in a large fleet there is always one that has
/// just come or gone: if that counted, a target would be read at full speed for ever.
fn same(view: &TargetView, before: &TargetView) -> bool {
    let alike = |one: &Node, other: &Node| {
        let pings_aside = Node { ping: other.ping, last_ping: other.last_ping, ..one.clone() };
        pings_aside == *other
    };
    let TargetView {
        place,
        arn,
        nodes,
        tags,
        activations,
        windows: _,
        hub: _,
        told: _,
        as_of: _,
        error,
        tags_error,
    } = before;
    view.nodes.len() == nodes.len()
        && view.nodes.values().zip(nodes.values()).all(|(one, other)| alike(one, other))
        && view.tags == *tags
        && view.activations == *activations
        && (&view.place, &view.arn, &view.error, &view.tags_error) == (place, arn, error, tags_error)
}

/// All pages of a listing.
pub(crate) async fn listing<'a, T>(
    what: &'static str,
    page: impl Fn(Option<String>) -> BoxFuture<'a, Result<Page<T>, AwsError>>,
) -> Result<Vec<T>, AwsError> {
    let (mut items, mut next, mut seen) = (Vec::new(), None, HashSet::new());
    for _ in 0..MOST_PAGES {
        let page = page(next).await?;
        items.extend(page.items);
        match page.next {
            None => return Ok(items),
            // A token that comes back would be read for ever.
            Some(token) if !seen.insert(token.clone()) => break,
            Some(token) => next = Some(token),
        }
    }
    Err(AwsError::endless(what))
}
