//! Secrets: where they are, and how they are fetched.
//!
//! The configuration holds a [`SecretRef`]; only [`SecretResolver::resolve`] turns one into a secret, at the moment when
//! it is needed and not before, so that a rotated secret takes effect with the next login. Failure is a [`SecretError`]
//! that names the setting and the place, never the value.

mod file;
mod ssm;

use std::fmt;
use std::path::PathBuf;

use secrecy::SecretString;
use url::Url;

use crate::config::Environment;

/// Where a secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file. Absolute.
    File(PathBuf),
    /// An environment variable of this process.
    Env(String),
    /// A parameter of AWS Systems Manager; `/aws/reference/secretsmanager/…` is a secret of Secrets Manager.
    SsmParameter {
        /// The parameter's name or ARN.
        name: String,
        /// The field that holds the secret, if the parameter is a JSON object of several.
        field: Option<String>,
        /// The AWS Region, if not that of the AWS configuration.
        region: Option<String>,
        /// The service endpoint, if not that of the AWS configuration.
        endpoint: Option<Url>,
    },
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::SsmParameter { name, region: Some(region), .. } => {
                write!(f, "SSM parameter {name} in {region}")
            }
            Self::SsmParameter { name, .. } => write!(f, "SSM parameter {name}"),
        }
    }
}

/// A reference to a secret, and the setting that it belongs to. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretRef {
    setting: String,
    source: SecretSource,
}

impl SecretRef {
    /// A reference for `setting`, such as `vcenter.dc1.password`.
    #[must_use]
    pub fn new(setting: impl Into<String>, source: SecretSource) -> Self {
        Self { setting: setting.into(), source }
    }

    /// The setting, such as `vcenter.dc1.password`.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }

    /// Where the secret is.
    #[must_use]
    pub fn source(&self) -> &SecretSource {
        &self.source
    }
}

/// Why a secret cannot be had. Names the setting and the place, never the value.
#[derive(Debug, thiserror::Error)]
#[error("the secret of {setting} cannot be read from {location}: {reason}")]
pub struct SecretError {
    setting: String,
    location: SecretSource,
    reason: String,
    #[source]
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl SecretError {
    /// The setting, such as `vcenter.dc1.password`.
    #[must_use]
    pub fn setting(&self) -> &str {
        &self.setting
    }
}

/// Why one source gave no secret.
#[derive(Debug)]
struct Failure {
    reason: String,
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Failure {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), cause: None }
    }

    fn because(
        reason: impl Into<String>,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { reason: reason.into(), cause: Some(cause.into()) }
    }
}

/// The longest secret that is accepted, in bytes. SSM parameters hold at most 8 KiB, secrets of Secrets Manager 64 KiB.
const LARGEST: usize = 64 * 1024;

/// How names of secrets of Secrets Manager begin when they are read as parameters.
pub(crate) const SECRETS_MANAGER: &str = "/aws/reference/secretsmanager/";

/// Fetches secrets.
#[derive(Debug)]
pub struct SecretResolver {
    environment: Environment,
    ssm: ssm::Parameters,
}

impl SecretResolver {
    /// A resolver that reads variables from `environment`, and parameters with the credentials and the Region of the
    /// usual AWS configuration of this process, which is looked up when the first parameter is needed.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self { environment, ssm: ssm::Parameters::new(None) }
    }

    /// The same with a given AWS configuration.
    #[must_use]
    pub fn with_aws(environment: Environment, aws: aws_config::SdkConfig) -> Self {
        Self { environment, ssm: ssm::Parameters::new(Some(aws)) }
    }

    /// Fetches a secret. Nothing is kept: each call reads it again.
    ///
    /// # Errors
    /// When the source does not have the secret, may not be read, or holds something that cannot be one.
    pub async fn resolve(&self, secret: &SecretRef) -> Result<SecretString, SecretError> {
        let found = match &secret.source {
            SecretSource::File(path) => file::read(&secret.setting, path).await,
            SecretSource::Env(name) => self.variable(name),
            SecretSource::SsmParameter { name, field, region, endpoint } => self
                .ssm
                .get(name, region.as_deref(), endpoint.as_ref())
                .await
                .and_then(|value| ssm::field_of(name, value, field.as_deref())),
        };
        found.and_then(check).map_err(|Failure { reason, cause }| SecretError {
            setting: secret.setting.clone(),
            location: secret.source.clone(),
            reason,
            cause,
        })
    }

    fn variable(&self, name: &str) -> Result<SecretString, Failure> {
        let value = self.environment.get(name).ok_or_else(|| Failure::new("it is not set"))?;
        let text = value.to_str().ok_or_else(|| Failure::new("it is not UTF-8 text"))?;
        Ok(SecretString::from(text))
    }
}

/// Refuses what cannot be a secret.
fn check(secret: SecretString) -> Result<SecretString, Failure> {
    use secrecy::ExposeSecret;
    let text = secret.expose_secret();
    if text.is_empty() {
        return Err(Failure::new("it is empty"));
    }
    if text.len() > LARGEST {
        return Err(Failure::new(format!("it is longer than {LARGEST} bytes")));
    }
    Ok(secret)
}

#[cfg(test)]
mod tests;
