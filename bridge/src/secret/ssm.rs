//! Secrets in AWS Systems Manager Parameter Store, and through it in Secrets Manager.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ssm::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ssm::types::ParameterType;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::OnceCell;
use url::Url;

use super::{Failure, SECRETS_MANAGER};

/// All attempts together. A start must not hang because one secret store does.
const PATIENCE: Duration = Duration::from_secs(30);
const ATTEMPT: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// A secret is needed to do anything at all, and nothing else retries it: the one place where the SDK does.
const ATTEMPTS: u32 = 3;

/// Reads parameters.
#[derive(Debug)]
pub(super) struct Parameters {
    given: Option<SdkConfig>,
    loaded: OnceCell<SdkConfig>,
}

impl Parameters {
    pub(super) fn new(given: Option<SdkConfig>) -> Self {
        Self { given, loaded: OnceCell::new() }
    }

    async fn aws(&self) -> &SdkConfig {
        match &self.given {
            Some(config) => config,
            None => self.loaded.get_or_init(|| aws_config::load_defaults(BehaviorVersion::latest())).await,
        }
    }

    /// The value of a parameter, decrypted.
    pub(super) async fn get(
        &self,
        name: &str,
        region: Option<&str>,
        endpoint: Option<&Url>,
    ) -> Result<SecretString, Failure> {
        let shared = self.aws().await;
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ATTEMPT)
            .operation_timeout(PATIENCE)
            .build();
        let mut config = aws_sdk_ssm::config::Builder::from(shared)
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS))
            .timeout_config(timeouts);
        if let Some(region) = region {
            config = config.region(Region::new(region.to_owned()));
        } else if shared.region().is_none() {
            return Err(Failure::new(
                "no AWS Region is known; set `region` next to `ssm_parameter`, or AWS_REGION",
            ));
        }
        if let Some(endpoint) = endpoint {
            config = config.endpoint_url(endpoint.as_str().trim_end_matches('/'));
        }
        let client = aws_sdk_ssm::Client::from_conf(config.build());
        let answer = client
            .get_parameter()
            .name(name)
            .with_decryption(true)
            .send()
            .await
            .map_err(|error| Failure::because(explained(&error), error))?;
        let parameter = answer.parameter.ok_or_else(|| Failure::new("the answer holds no parameter"))?;
        if parameter.r#type == Some(ParameterType::String) {
            tracing::warn!(
                parameter = name,
                "this secret is a plain String parameter; as a SecureString it would be encrypted"
            );
        }
        parameter.value.map(SecretString::from).ok_or_else(|| Failure::new("the parameter has no value"))
    }
}

/// The secret in the value of a parameter: all of it, or one field of the JSON object that it is.
///
/// The console of Secrets Manager stores JSON objects by default. Logging in with the text of one would only give "wrong
/// password", so such a secret is refused as long as nobody says which field is meant.
pub(super) fn field_of(
    name: &str,
    value: SecretString,
    field: Option<&str>,
) -> Result<SecretString, Failure> {
    let object = || match serde_json::from_str(value.expose_secret()) {
        Ok(serde_json::Value::Object(object)) => Some(object),
        // An error of the parser is not passed on: it may quote the text.
        Ok(_) | Err(_) => None,
    };
    let Some(field) = field else {
        if name.starts_with(SECRETS_MANAGER) && object().is_some() {
            return Err(Failure::new(
                "it holds a JSON object; say which of its fields, as in: field = \"password\"",
            ));
        }
        return Ok(value);
    };
    match object().map(|mut object| object.remove(field)) {
        Some(Some(serde_json::Value::String(text))) => Ok(SecretString::from(text)),
        Some(Some(_)) => Err(Failure::new(format!("its field `{field}` is not text"))),
        Some(None) => Err(Failure::new(format!("it has no field `{field}`"))),
        None => Err(Failure::new("it is not a JSON object, so it has no fields")),
    }
}

/// What went wrong with a call, and what to do about it. The details are in the error's own chain.
fn explained<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    let Some(code) = error.code() else {
        return match error {
            SdkError::TimeoutError(_) => "AWS did not answer in time",
            SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout() => {
                "AWS cannot be reached; is the endpoint right, and does the network allow it?"
            }
            SdkError::DispatchFailure(_) | SdkError::ConstructionFailure(_) => {
                "the call could not be made; are there AWS credentials?"
            }
            _ => "the answer is not one of AWS Systems Manager",
        }
        .to_owned();
    };
    let advice = match code {
        "ParameterNotFound" => "there is no such parameter in this account and Region",
        "ParameterVersionNotFound" => "the parameter has no such version",
        "AccessDeniedException" => {
            "the role needs ssm:GetParameter on it, kms:Decrypt on its key, and for Secrets Manager secretsmanager:GetSecretValue"
        }
        "InvalidKeyId" => "the key that encrypts it cannot be used; the role needs kms:Decrypt",
        "UnrecognizedClientException" | "ExpiredTokenException" | "InvalidSignatureException" => {
            "the AWS credentials are not accepted"
        }
        _ => return format!("AWS answered {code}"),
    };
    format!("{advice} ({code})")
}
