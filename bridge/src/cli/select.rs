//! The arguments by which a command shows a part of the fleet.

use clap::Args;
use mappings::selector::Selector;

use super::Failure;
use crate::config::Config;
use crate::inventory::Filter;

#[derive(Debug, Args)]
pub(super) struct Select {
    /// Show only VMs that this selects, such as 'folder=/Prod/** and guest=linux'; see docs/selectors.md. May be given several
    /// times: any of them has to select a VM.
    #[arg(long = "selector", value_name = "EXPR")]
    selectors: Vec<Selector>,
    /// Show only this vCenter; an organisation stands for all of its SDDCs. May be given several times.
    #[arg(long = "vcenter", value_name = "NAME")]
    vcenters: Vec<String>,
}

impl Select {
    /// The filter, and the configuration without what it leaves out: there is no need to connect to that.
    pub(super) fn apply(self, mut config: Config) -> Result<(Config, Filter), Failure> {
        let Self { selectors, vcenters } = self;
        for wanted in &vcenters {
            let organisation =
                wanted.split_once('/').map_or(wanted.as_str(), |(organisation, _)| organisation);
            let known = config.vcenters.iter().any(|vcenter| vcenter.name == *wanted)
                || config.vmc.iter().any(|vmc| vmc.name == organisation);
            if !known {
                let names = config
                    .vcenters
                    .iter()
                    .map(|vcenter| &vcenter.name)
                    .chain(config.vmc.iter().map(|vmc| &vmc.name));
                let names: Vec<_> = names.map(String::as_str).collect();
                return Err(Failure::Usage(format!(
                    "--vcenter {wanted}: there is none of this name in the configuration; there are {}",
                    names.join(", ")
                )));
            }
        }
        if !vcenters.is_empty() {
            config.vcenters.retain(|vcenter| vcenters.contains(&vcenter.name));
            config.vmc.retain(|vmc| {
                vcenters.iter().any(|wanted| {
                    wanted
                        .strip_prefix(vmc.name.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                })
            });
        }
        Ok((config, Filter { selectors, vcenters }))
    }
}
