//! The first picture of the fleet, with progress for whoever waits for it.

use std::sync::Arc;

use mappings::checks::RuleSet;

use super::progress::Bars;
use super::{Context, Failure, Stop, can_show_progress};
use crate::config::Config;
use crate::fleet::SharedFleet;
use crate::observe::{self, Mode, Observers};

/// Starts the log and the observers of `config`, which read what `rules` need, and waits for the first picture.
///
/// Nothing is returned but the observers if `stop` came first; they are to be closed in either case.
pub(super) async fn first(
    context: &Context,
    config: &Config,
    fleet: &SharedFleet,
    mode: Mode,
    rules: Option<Arc<RuleSet>>,
    stop: &Stop,
) -> Result<(Observers, bool), Failure> {
    let bars = can_show_progress(&context.environment).then(Bars::new);
    context.start_log(bars.as_ref().map(Bars::multi))?;
    let observers = observe::start(config, context.environment.clone(), fleet.clone(), mode, rules);
    let progress = async {
        match &bars {
            Some(bars) => bars.follow(observers.progress()).await,
            None => std::future::pending().await,
        }
    };
    let complete = tokio::select! {
        () = observers.first_picture() => true,
        () = stop.requested() => false,
        () = progress => false,
    };
    Ok((observers, complete))
}
