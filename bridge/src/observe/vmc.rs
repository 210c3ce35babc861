//! Follows the SDDCs of one organisation of VMware Cloud on AWS: each that comes is followed, each that goes is forgotten.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use vsphere_client::error::chain;
use vsphere_client::retry::Backoff;
use vsphere_client::vmc::{Sddc, VmcClient};

use super::progress::{Progress, SourceState};
use super::{Context, Mode, Running, What, part};
use crate::clock;
use crate::config::Vmc;
use crate::source::{self, Source};

/// Listings without an SDDC before it is forgotten: a listing that is wrong once must not make a fleet disappear.
const MISSING_LISTINGS: u32 = 2;

/// Follows the organisation until told to stop; in [`Mode::Once`] its SDDCs are read once and their sessions stay
/// open until then.
pub(super) async fn follow(entry: Vmc, context: Context, stop: CancellationToken) {
    let mut pace = Backoff::new(Duration::from_secs(2), context.limits.sddc_refresh);
    let mut organisation = Organisation { entry, context, client: None, sddcs: BTreeMap::new() };
    loop {
        let listed = tokio::select! {
            listed = organisation.list() => listed,
            () = stop.cancelled() => break,
        };
        let name = &organisation.entry.name;
        let delay = match listed {
            Ok(sddcs) => {
                pace.reset();
                organisation.compare(sddcs).await;
                organisation.tell(Ok(()));
                organisation.context.board.state(&organisation.entry.name, SourceState::Ready);
                organisation.context.limits.sddc_refresh
            }
            Err(error) => {
                tracing::warn!(vmc = name, error, "the SDDCs cannot be listed");
                organisation.tell(Err(error.clone()));
                organisation.context.board.state(name, SourceState::Failed(error));
                pace.next_delay()
            }
        };
        if organisation.context.mode == Mode::Once {
            organisation.wait_for_all(&stop).await;
            // The sessions stay open for as long as those of other vCenters.
            stop.cancelled().await;
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(delay) => {}
            () = stop.cancelled() => break,
        }
    }
    organisation.end().await;
}

struct Organisation {
    entry: Vmc,
    context: Context,
    client: Option<VmcClient>,
    sddcs: BTreeMap<String, Followed>,
}

/// An SDDC that is followed.
struct Followed {
    running: Running,
    missing: u32,
}

impl Organisation {
    fn tell(&self, outcome: Result<(), String>) {
        self.context.fleet.listed(&part(&self.entry.name), outcome, clock::now());
    }

    /// The SDDCs. The client is kept, since it remembers its access token, until something fails: then the secret is read anew.
    async fn list(&mut self) -> Result<Vec<Sddc>, String> {
        let client = match self.client.take() {
            Some(client) => client,
            None => self.connect().await?,
        };
        let sddcs = client.sddcs().await.map_err(|error| error.line())?;
        self.client = Some(client);
        Ok(sddcs)
    }

    async fn connect(&self) -> Result<VmcClient, String> {
        let Context { secrets, limits, .. } = &self.context;
        let secret = secrets.resolve(source::secret_of(&self.entry)).await.map_err(|error| chain(&error))?;
        let trust = source::trust(self.entry.ca_file.as_ref(), &self.entry.thumbprints).await?;
        source::organisation(&self.entry, secret, &trust, limits)
    }

    /// Starts to follow what came or changed, and forgets what went.
    async fn compare(&mut self, listed: Vec<Sddc>) {
        let mut wanted = BTreeMap::new();
        for sddc in listed.iter().filter(|sddc| self.entry.sddcs.selects(&sddc.name)) {
            match Source::of_sddc(&self.entry, sddc) {
                Ok(source) => {
                    if let Some(other) = wanted.insert(source.name.clone(), source) {
                        tracing::error!(
                            sddc = other.name,
                            "two SDDCs of one organisation have the same name; one is left out"
                        );
                    }
                }
                Err(reason) => tracing::warn!(sddc = sddc.name, state = sddc.state, %reason, "not followed"),
            }
        }
        let mut ending = Vec::new();
        for (name, followed) in &mut self.sddcs {
            match wanted.get(name) {
                Some(source) if What::Vcenter(Box::new(source.clone())) == followed.running.what => {
                    followed.missing = 0;
                }
                Some(_) => ending.push((name.clone(), false)),
                None => {
                    followed.missing += 1;
                    if followed.missing >= MISSING_LISTINGS {
                        ending.push((name.clone(), true));
                    }
                }
            }
        }
        for (name, gone) in ending {
            if let Some(followed) = self.sddcs.remove(&name) {
                followed.running.end().await;
            }
            if gone {
                tracing::info!(sddc = name, "the SDDC is gone");
                self.context.fleet.remove(&part(&name));
                self.context.board.remove(&name);
            }
        }
        for (name, source) in wanted {
            let context = &self.context;
            self.sddcs.entry(name).or_insert_with(|| Followed {
                running: Running::start(context, What::Vcenter(Box::new(source))),
                missing: 0,
            });
        }
    }

    /// Waits until every SDDC has been read once, or could not be.
    async fn wait_for_all(&self, stop: &CancellationToken) {
        let mut board = self.context.board.subscribe();
        let all = |progress: &Progress| {
            let settled = |name| progress.0.get(name).is_none_or(|source| source.state.is_settled());
            self.sddcs.keys().all(settled)
        };
        tokio::select! {
            // The board lives as long as this context.
            _ = board.wait_for(all) => {}
            () = stop.cancelled() => {}
        }
    }

    async fn end(self) {
        let ending: Vec<_> =
            self.sddcs.into_values().map(|followed| tokio::spawn(followed.running.end())).collect();
        for end in ending {
            if let Err(error) = end.await {
                tracing::error!(%error, "an observer could not be ended");
            }
        }
    }
}
