//! From a target of the configuration to clients.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ssm::config::ProvideCredentials as _;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{self, TrustStore};
use vsphere_client::error::chain;
use vsphere_client::tls::{TlsTrust, client_config};

use crate::config::{AwsTarget, Limits};

/// Name of our sessions in CloudTrail.
const SESSION_NAME: &str = "vmbridge";

/// What went wrong before anything was sent.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The authorities cannot be read.
    #[error("the CA file {path} cannot be read: {source}")]
    Authorities {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The authorities cannot be used.
    #[error("the CA file {path} holds no usable certificates: {detail}")]
    Unusable {
        /// The file.
        path: String,
        /// Why.
        detail: String,
    },
}

/// Finds the credentials of a target, with its role on top. Gives the access key, shortened: it names them in IAM and is no
/// secret, and all of it is nobody's business in a report.
///
/// # Errors
/// Why there are none.
pub async fn found_credentials(target: &AwsTarget, limits: &Limits) -> Result<String, String> {
    let config = sdk_config(target, limits.connect_timeout, limits.request_timeout)
        .await
        .map_err(|error| error.to_string())?;
    let Some(provider) = config.credentials_provider() else {
        return Err("there are no credentials".to_owned());
    };
    let found = provider.provide_credentials().await.map_err(|error| chain(&error))?;
    let key = found.access_key_id();
    let (first, last) = (key.get(..4), key.get(key.len().saturating_sub(4)..));
    Ok(format!("{}…{}", first.unwrap_or_default(), last.unwrap_or_default()))
}

/// The settings of the SDK for a target: credentials by the chain that all tools of AWS use (environment, profile,
/// web identity, container, instance metadata, `credential_process` and so IAM Roles Anywhere), and the role on top.
///
/// # Errors
/// When the authorities cannot be used.
pub(super) async fn sdk_config(
    target: &AwsTarget,
    connect_timeout: Duration,
    request_timeout: Duration,
) -> Result<SdkConfig, ConnectError> {
    let timeouts =
        TimeoutConfig::builder().connect_timeout(connect_timeout).operation_timeout(request_timeout).build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(target.region.clone()))
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .use_fips(target.fips)
        .use_dual_stack(target.dual_stack);
    if let Some(profile) = &target.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(endpoint) = &target.endpoint {
        loader = loader.endpoint_url(endpoint.as_str().trim_end_matches('/'));
    }
    if let Some(path) = &target.ca_file {
        let name = || path.display().to_string();
        let pem = tokio::fs::read(path)
            .await
            .map_err(|source| ConnectError::Authorities { path: name(), source })?;
        // The SDK takes what is no certificate for a reason to panic, later.
        let trust = TlsTrust { extra_ca_pem: Some(pem.clone()), pins: Vec::new() };
        client_config(&trust)
            .map_err(|error| ConnectError::Unusable { path: name(), detail: error.to_string() })?;
        let context = tls::TlsContext::builder()
            .with_trust_store(TrustStore::default().with_pem_certificate(pem))
            .build()
            .map_err(|error| ConnectError::Unusable { path: name(), detail: error.to_string() })?;
        let client = Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
            .tls_context(context)
            .build_https();
        loader = loader.http_client(client);
    }
    let base = loader.load().await;
    let Some(role) = &target.role_arn else { return Ok(base) };
    let mut provider = AssumeRoleProvider::builder(role).session_name(SESSION_NAME).configure(&base);
    if let Some(id) = &target.external_id {
        provider = provider.external_id(id);
    }
    let provider = provider.build().await;
    Ok(base
        .to_builder()
        .credentials_provider(aws_sdk_ssm::config::SharedCredentialsProvider::new(provider))
        .build())
}
