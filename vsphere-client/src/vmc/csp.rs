//! Access tokens of the Cloud Services Platform.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use tokio::time::Instant;

use super::{VmcError, VmcErrorKind};
use crate::http::{Api, Expect};
use crate::single_flight::{Generation, SessionCell};

/// Longest answer to an exchange.
const MOST_OF_AN_ANSWER: usize = 256 << 10;
/// A token is exchanged anew this long before it expires, so that it does not expire on its way.
const MARGIN: Duration = Duration::from_secs(120);
/// How long a token is used whose server does not say how long it is good for.
const UNSTATED: Duration = Duration::from_secs(600);
/// A token is never used for longer than this, whatever the server says.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How to log in to VMware Cloud.
#[derive(Clone)]
pub enum CspAuth {
    /// With a user's API (refresh) token.
    RefreshToken(SecretString),
    /// As a server-to-server OAuth app.
    OAuthApp {
        /// The app's id.
        id: String,
        /// The app's secret.
        secret: SecretString,
    },
}

impl fmt::Debug for CspAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RefreshToken(_) => f.write_str("RefreshToken(…)"),
            Self::OAuthApp { id, .. } => f.debug_struct("OAuthApp").field("id", id).finish_non_exhaustive(),
        }
    }
}

/// An access token.
#[derive(Debug)]
pub(super) struct Token {
    secret: SecretString,
    header: HeaderValue,
    renew_at: Instant,
}

impl Token {
    pub(super) fn secret(&self) -> &SecretString {
        &self.secret
    }

    /// The value of the header that shows it.
    pub(super) fn header(&self) -> HeaderValue {
        self.header.clone()
    }
}

/// Exchanges and remembers access tokens, one exchange at a time.
pub(super) struct Tokens {
    csp: Api,
    auth: Arc<CspAuth>,
    cell: SessionCell<Arc<Token>, VmcError>,
}

#[derive(Deserialize)]
struct Told {
    access_token: SecretString,
    expires_in: Option<f64>,
}

impl Tokens {
    pub(super) fn new(csp: Api, auth: CspAuth) -> Self {
        Self { csp, auth: Arc::new(auth), cell: SessionCell::new() }
    }

    /// An access token that is good for a while.
    pub(super) async fn get(&self) -> Result<(Generation, Arc<Token>), VmcError> {
        let (generation, token) = self.take().await?;
        if Instant::now() < token.renew_at {
            return Ok((generation, token));
        }
        self.cell.expire(generation);
        self.take().await
    }

    async fn take(&self) -> Result<(Generation, Arc<Token>), VmcError> {
        let (csp, auth) = (self.csp.clone(), self.auth.clone());
        self.cell
            .get_or_login(move || Box::pin(async move { exchange(&csp, &auth).await.map(Arc::new) }))
            .await
            .map_err(|failure| failure.unwrap_or_else(|| self.csp.error("log in", VmcErrorKind::Closed)))
    }

    /// The token of this generation is no longer accepted.
    pub(super) fn expire(&self, generation: Generation) {
        self.cell.expire(generation);
    }
}

async fn exchange(csp: &Api, auth: &CspAuth) -> Result<Token, VmcError> {
    let base = ["csp", "gateway", "am", "api", "auth"];
    let (path, secret): (&[&str], _) = match auth {
        CspAuth::RefreshToken(token) => (&["api-tokens", "authorize"], token),
        CspAuth::OAuthApp { secret, .. } => (&["authorize"], secret),
    };
    let url = csp.url(base.iter().chain(path).copied())?;
    let operation = format!("POST {}", url.path());
    let request = csp.http().post(url).header("accept", "application/json");
    let request = match auth {
        CspAuth::RefreshToken(token) => {
            request.form(&[("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())])
        }
        CspAuth::OAuthApp { id, secret } => {
            request.basic_auth(id, Some(secret.expose_secret())).form(&[("grant_type", "client_credentials")])
        }
    };
    let expect = Expect { most: MOST_OF_AN_ANSWER, sent: &[secret], secret: true };
    let asked_at = Instant::now();
    let answer = csp.send(&operation, request, expect).await?;
    // A wrong or revoked token is `invalid_grant` with status 400, a wrong app 401 or 403.
    if matches!(answer.status(), 400 | 401 | 403) {
        return Err(answer.error(VmcErrorKind::LoginRefused(answer.message().clone())));
    }
    let told: Told = answer.json()?;
    let Ok(mut header) = HeaderValue::from_str(told.access_token.expose_secret()) else {
        let reason = "the access token cannot be one".to_owned();
        return Err(answer.error(VmcErrorKind::Unreadable { reason, incomplete: false }));
    };
    header.set_sensitive(true);
    Ok(Token { secret: told.access_token, header, renew_at: asked_at + good_for(told.expires_in) })
}

/// How long to use a token that is valid for `seconds`.
fn good_for(seconds: Option<f64>) -> Duration {
    let Some(seconds) = seconds else { return UNSTATED };
    let valid = Duration::try_from_secs_f64(seconds).unwrap_or_default().min(LONGEST);
    // Of a short life at least the half is used.
    valid.saturating_sub(MARGIN).max(valid / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_used_until_shortly_before_its_end() {
        assert_eq!(good_for(Some(1799.0)), Duration::from_secs(1679));
        assert_eq!(good_for(Some(60.0)), Duration::from_secs(30));
        assert_eq!(good_for(None), UNSTATED);
        for nonsense in [-5.0, 0.0, f64::NAN, f64::INFINITY] {
            assert_eq!(good_for(Some(nonsense)), Duration::ZERO, "{nonsense}");
        }
        assert_eq!(good_for(Some(1e12)), LONGEST - MARGIN);
    }
}
