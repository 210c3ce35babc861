//! SDDCs as VMC tells of them.

use std::fmt;
use std::sync::Arc;

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, Serialize};
use url::Url;

use super::Credentials;

/// Id of an SDDC. Stays when the SDDC is renamed.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SddcId(Arc<str>);

impl SddcId {
    /// The id as the server writes it.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self(id.into())
    }

    /// The id as the server writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SddcId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An SDDC.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Sddc {
    /// Its id.
    pub id: SddcId,
    /// Its name. People may give two SDDCs the same one.
    pub name: String,
    /// Its state, such as `READY` or `DEPLOYING`.
    pub state: String,
    /// Who runs it, such as `AWS`.
    pub provider: String,
    /// Where it is, such as `US_WEST_2`.
    pub region: String,
    /// The address of its vCenter, once there is one. Always `https`.
    pub vc_url: Option<Url>,
    /// The vCenter's address inside the SDDC, reached through a VPN or Direct Connect.
    pub vc_management_ip: Option<String>,
    /// The vCenter's address on the internet.
    pub vc_public_ip: Option<String>,
    /// The cloudadmin account with the password that it was given at first, told to those who may see it. Somebody may have
    /// changed the password since.
    pub cloudadmin: Option<Credentials>,
}

/// An SDDC as it is told. Everything but the id may be missing while it is being made, and much that is told is not used.
#[derive(Deserialize)]
pub(super) struct Told {
    id: SddcId,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    sddc_state: String,
    provider: Option<String>,
    #[serde(default, deserialize_with = "or_default")]
    resource_config: Config,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Config {
    provider: Option<String>,
    region: Option<String>,
    vc_url: Option<String>,
    vc_management_ip: Option<String>,
    vc_public_ip: Option<String>,
    cloud_username: Option<String>,
    cloud_password: Option<SecretString>,
}

/// `null` is as good as nothing.
fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The SDDCs that there are, by name.
pub(super) fn tidy(told: Vec<Told>) -> Vec<Sddc> {
    let mut sddcs: Vec<_> =
        told.into_iter().filter(|sddc| sddc.sddc_state != "DELETED").map(Sddc::from).collect();
    sddcs.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    sddcs
}

impl From<Told> for Sddc {
    fn from(told: Told) -> Self {
        let Told { id, name, sddc_state, provider, resource_config: config } = told;
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let vc_url = some(config.vc_url).and_then(|text| {
            let url = Url::parse(&text).ok().filter(|url| url.scheme() == "https" && url.has_host());
            if url.is_none() {
                tracing::warn!(sddc = %id, "the address that is told for the vCenter is not one; left out");
            }
            url
        });
        let cloudadmin = some(config.cloud_username)
            .zip(config.cloud_password)
            .map(|(username, password)| Credentials { username, password });
        Self {
            name: if name.is_empty() { id.to_string() } else { name },
            state: sddc_state,
            provider: config.provider.or(provider).unwrap_or_default(),
            region: config.region.unwrap_or_default(),
            vc_url,
            vc_management_ip: some(config.vc_management_ip),
            vc_public_ip: some(config.vc_public_ip),
            cloudadmin,
            id,
        }
    }
}
