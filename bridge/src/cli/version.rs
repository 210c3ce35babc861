//! `vmbridge version`

use clap::Args;
use serde::Serialize;
use vsphere_client::soap::ApiVersion;

use super::{Exit, Failure, output};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// What this build is.
#[derive(Serialize)]
struct Version {
    version: &'static str,
    build: &'static str,
    target: String,
    oldest_vsphere_api: String,
    newest_vsphere_api: String,
}

pub(super) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let version = Version {
        version: env!("CARGO_PKG_VERSION"),
        build: if cfg!(debug_assertions) { "debug" } else { "release" },
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        oldest_vsphere_api: ApiVersion::OLDEST.to_string(),
        newest_vsphere_api: ApiVersion::NEWEST.to_string(),
    };
    output::write(|out| {
        if arguments.json {
            serde_json::to_writer(&mut *out, &version)?;
            return writeln!(out);
        }
        let Version { version, build, target, oldest_vsphere_api: oldest, newest_vsphere_api: newest } =
            version;
        writeln!(out, "vmbridge {version} ({build}, {target})\nspeaks vSphere API {oldest} to {newest}")
    })?;
    Ok(Exit::Done)
}
