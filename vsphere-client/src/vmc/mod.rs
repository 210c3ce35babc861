//! VMware Cloud on AWS: which SDDCs an organisation has, and how to reach their vCenters.
//!
//! Two services take part. The Cloud Services Platform (CSP) exchanges an API token of a user, or id and secret of an OAuth app,
//! for an access token; the VMC service lists SDDCs for whoever shows that. Failures are [`VmcError`]s; an access token that has
//! expired is not one of them, it is exchanged anew.

mod changes;
mod csp;
mod sddc;

use std::fmt;
use std::time::Duration;

use url::Url;

pub use crate::http::{CallError as VmcError, CallErrorKind as VmcErrorKind};
pub use crate::rest::Credentials;
pub use changes::{SddcChanges, diff};
pub use csp::CspAuth;
pub use sddc::{Sddc, SddcId};

use crate::http::{Api, Expect};
use crate::retry::{self, Policy};
use csp::Tokens;

/// Longest list of SDDCs. One of them takes some ten kilobytes.
const MOST_OF_A_LIST: usize = 32 << 20;

/// The organisation, and how to get at it.
#[derive(Clone)]
pub struct VmcOptions {
    /// Base address of the Cloud Services Platform; see [`CSP_URL`](Self::CSP_URL).
    pub csp_url: Url,
    /// Base address of the VMC service; see [`VMC_URL`](Self::VMC_URL).
    pub vmc_url: Url,
    /// The organisation's (long) id.
    pub org_id: String,
    /// How to log in.
    pub auth: CspAuth,
    /// The HTTP client to use.
    pub http: reqwest::Client,
    /// Longest time without a byte from a server while it owes one.
    pub patience: Duration,
}

impl VmcOptions {
    /// Where the Cloud Services Platform is, unless told otherwise.
    pub const CSP_URL: &'static str = "https://console.cloud.vmware.com";
    /// Where the VMC service is, unless told otherwise.
    pub const VMC_URL: &'static str = "https://vmc.vmware.com";
}

impl fmt::Debug for VmcOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmcOptions")
            .field("csp_url", &self.csp_url.as_str())
            .field("vmc_url", &self.vmc_url.as_str())
            .field("org_id", &self.org_id)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// A client for one organisation. Keep it: it remembers the access token until shortly before that expires.
pub struct VmcClient {
    vmc: Api,
    org_id: String,
    tokens: Tokens,
}

impl fmt::Debug for VmcClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmcClient").field("org_id", &self.org_id).finish_non_exhaustive()
    }
}

impl VmcClient {
    /// A client for the organisation described by `options`. Nothing is sent yet.
    #[must_use]
    pub fn new(options: VmcOptions) -> Self {
        let VmcOptions { csp_url, vmc_url, org_id, auth, http, patience } = options;
        let csp = Api::new(csp_url, http.clone(), patience);
        Self { vmc: Api::new(vmc_url, http, patience), org_id, tokens: Tokens::new(csp, auth) }
    }

    /// The organisation's SDDCs, whatever their state, but for deleted ones; by name.
    ///
    /// # Errors
    /// When a service cannot be reached or trusted, refuses the credentials or the organisation, or answers something else.
    pub async fn sddcs(&self) -> Result<Vec<Sddc>, VmcError> {
        retry::retry(&Policy::default(), || self.list()).await
    }

    async fn list(&self) -> Result<Vec<Sddc>, VmcError> {
        let mut renewed = false;
        loop {
            let (generation, token) = self.tokens.get().await?;
            let url = self.vmc.url(["vmc", "api", "orgs", &self.org_id, "sddcs"])?;
            let operation = format!("GET {}", url.path());
            let request = self
                .vmc
                .http()
                .get(url)
                .header("accept", "application/json")
                .header("csp-auth-token", token.header());
            let expect = Expect { most: MOST_OF_A_LIST, sent: &[token.secret()], secret: true };
            let answer = self.vmc.send(&operation, request, expect).await?;
            if answer.status() == 401 {
                self.tokens.expire(generation);
                if renewed {
                    return Err(answer.error(VmcErrorKind::LoginRefused(answer.message().clone())));
                }
                renewed = true;
                continue;
            }
            return Ok(sddc::tidy(answer.json::<Option<Vec<sddc::Told>>>()?.unwrap_or_default()));
        }
    }
}
