//! `vmbridge run`

use super::{Context, Exit, Failure, Hangup, Stop};
use crate::logging::{Log, Settings};
use crate::run::{self, Origin};

pub(super) async fn run(context: &Context) -> Result<Exit, Failure> {
    let (path, config) = context.load()?;
    let stop = Stop::listen(Hangup::IsNotOurs).map_err(Failure::Runtime)?;
    let log = Log::start(&Settings {
        filter: context.log.clone().unwrap_or_else(|| config.log.level.clone()),
        format: config.log.format,
        color: context.colored(&std::io::stderr()),
        progress: None,
    })?;
    let origin = Origin {
        path,
        environment: context.environment.clone(),
        // A level that was given by hand is not overruled by a file.
        log: context.log.is_none().then_some(log),
    };
    run::serve(origin, config, stop.requested())
        .await
        .map_err(|error| Failure::Service(error.to_string()))?;
    Ok(Exit::Done)
}
