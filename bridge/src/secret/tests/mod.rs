//! Each source against what it is, and AWS against a stand-in.

mod referee;

use std::error::Error as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ssm::config::{Credentials, SharedCredentialsProvider};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;

const SECRET: &str = "hunter2-ü";

async fn resolve(resolver: &SecretResolver, source: SecretSource) -> Result<String, SecretError> {
    let reference = SecretRef::new("vcenter.dc1.password", source);
    resolver.resolve(&reference).await.map(|secret| secret.expose_secret().to_owned())
}

/// Everything that an error says, its causes included.
fn said(error: &SecretError) -> String {
    let mut text = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

fn write(path: &Path, bytes: &[u8], mode: u32) {
    std::fs::write(path, bytes).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

async fn from_file(bytes: &[u8], mode: u32) -> Result<String, SecretError> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    write(&path, bytes, mode);
    resolve(&SecretResolver::new(Environment::default()), SecretSource::File(path)).await
}

#[tokio::test]
async fn a_file_holds_the_secret_and_perhaps_a_newline() {
    for (bytes, secret) in [
        ("hunter2", "hunter2"),
        ("hunter2\n", "hunter2"),
        ("hunter2\r\n", "hunter2"),
        ("hunter2\n\n", "hunter2\n"),
        (" hunter2 ", " hunter2 "),
        ("hunter2-ü\n", SECRET),
    ] {
        assert_eq!(from_file(bytes.as_bytes(), 0o600).await.unwrap(), secret, "{bytes:?}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_trusted_or_is_no_secret_is_refused() {
    let large = vec![b'x'; LARGEST + 1];
    for (bytes, mode, word) in [
        (&b"hunter2"[..], 0o620, "chmod go-w"),
        (b"hunter2", 0o602, "chmod go-w"),
        (b"", 0o600, "empty"),
        (b"\n", 0o600, "empty"),
        (b"hunter2\xff", 0o600, "UTF-8"),
        (&large, 0o600, "longer"),
    ] {
        let error = from_file(bytes, mode).await.unwrap_err();
        let said = said(&error);
        assert!(said.contains(word) && said.contains("vcenter.dc1.password"), "{said}");
        assert!(!said.contains("hunter2") && !said.contains("104, 117"), "{said}");
    }
    // Readable by all is only warned about.
    assert_eq!(from_file(b"hunter2", 0o644).await.unwrap(), "hunter2");
}

#[tokio::test]
async fn what_is_no_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let resolver = SecretResolver::new(Environment::default());
    let missing = resolve(&resolver, SecretSource::File(directory.path().join("none"))).await.unwrap_err();
    assert!(said(&missing).contains("No such file"), "{}", said(&missing));
    let folder = resolve(&resolver, SecretSource::File(directory.path().to_owned())).await.unwrap_err();
    assert!(said(&folder).contains("not a regular file"), "{}", said(&folder));
}

#[tokio::test]
async fn a_rotated_file_takes_effect_with_the_next_use() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("password");
    let resolver = SecretResolver::new(Environment::default());
    for secret in ["first", "second"] {
        write(&path, secret.as_bytes(), 0o400);
        assert_eq!(resolve(&resolver, SecretSource::File(path.clone())).await.unwrap(), secret);
        std::fs::remove_file(&path).unwrap();
    }
}

#[tokio::test]
async fn a_variable_holds_the_secret_as_it_is() {
    let resolver = SecretResolver::new([("PW", "hunter2\n"), ("EMPTY", "")].into_iter().collect());
    let of = |name: &str| SecretSource::Env(name.to_owned());
    assert_eq!(resolve(&resolver, of("PW")).await.unwrap(), "hunter2\n");
    assert!(said(&resolve(&resolver, of("EMPTY")).await.unwrap_err()).contains("empty"));
    let error = resolve(&resolver, of("NONE")).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the secret of vcenter.dc1.password cannot be read from environment variable NONE: it is not set"
    );
    assert!(!format!("{resolver:?}").contains("hunter2"));
}

/// A stand-in for the one operation of AWS Systems Manager that is used.
async fn parameter_store() -> (Url, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let answer = move |headers: HeaderMap, body: String| {
        let call = counted.fetch_add(1, Ordering::SeqCst);
        async move { get_parameter(&headers, &body, call) }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    let router = Router::new().route("/", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, calls)
}

fn get_parameter(headers: &HeaderMap, body: &str, call: usize) -> (StatusCode, Json<Value>) {
    let refuse = |code: &str| {
        let status = if code == "InternalServerError" { 500 } else { 400 };
        let message = format!("{SECRET} must not be repeated");
        (StatusCode::from_u16(status).unwrap(), Json(json!({ "__type": code, "message": message })))
    };
    let header = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap_or(""));
    if header("x-amz-target") != "AmazonSSM.GetParameter"
        || header("content-type") != "application/x-amz-json-1.1"
    {
        return refuse("UnknownOperationException");
    }
    if !header("authorization").contains("/eu-west-9/ssm/aws4_request") {
        return refuse("InvalidSignatureException");
    }
    let request: Value = serde_json::from_str(body).unwrap_or_default();
    if request["WithDecryption"] != json!(true) {
        return refuse("ValidationException");
    }
    let name = request["Name"].as_str().unwrap_or_default();
    let parameter = |kind: &str| {
        let parameter = json!({ "Name": name, "Type": kind, "Value": SECRET, "Version": 1 });
        (StatusCode::OK, Json(json!({ "Parameter": parameter })))
    };
    match name {
        "/secure" | "/aws/reference/secretsmanager/vmbridge" => parameter("SecureString"),
        "/json" | "/aws/reference/secretsmanager/json" => {
            let value = json!({ "password": SECRET, "port": 443 }).to_string();
            (
                StatusCode::OK,
                Json(json!({ "Parameter": { "Name": name, "Type": "SecureString", "Value": value } })),
            )
        }
        "/plain" => parameter("String"),
        "/flaky" if call == 0 => refuse("InternalServerError"),
        "/flaky" => parameter("SecureString"),
        "/broken" => refuse("InternalServerError"),
        "/denied" => refuse("AccessDeniedException"),
        "/nothing" => (StatusCode::OK, Json(json!({}))),
        "/valueless" => (StatusCode::OK, Json(json!({ "Parameter": { "Name": name } }))),
        _ => refuse("ParameterNotFound"),
    }
}

fn aws(endpoint: Option<&Url>, region: Option<&str>) -> SdkConfig {
    let credentials = Credentials::new("AKIDEXAMPLE", "key", None, None, "test");
    let mut builder = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(SharedCredentialsProvider::new(credentials));
    if let Some(endpoint) = endpoint {
        builder = builder.endpoint_url(endpoint.as_str().trim_end_matches('/'));
    }
    builder.region(region.map(|region| Region::new(region.to_owned()))).build()
}

fn parameter(name: &str) -> SecretSource {
    SecretSource::SsmParameter { name: name.to_owned(), field: None, region: None, endpoint: None }
}

#[tokio::test]
async fn parameters_are_read_and_decrypted() {
    let (url, calls) = parameter_store().await;
    let resolver = SecretResolver::with_aws(Environment::default(), aws(Some(&url), Some("eu-west-9")));
    for name in ["/secure", "/plain", "/aws/reference/secretsmanager/vmbridge"] {
        assert_eq!(resolve(&resolver, parameter(name)).await.unwrap(), SECRET, "{name}");
    }
    // Nothing is kept.
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_field_of_a_json_object_is_the_secret() {
    let (url, _) = parameter_store().await;
    let resolver = SecretResolver::with_aws(Environment::default(), aws(Some(&url), Some("eu-west-9")));
    let field = |name: &str, field: Option<&str>| SecretSource::SsmParameter {
        name: name.to_owned(),
        field: field.map(str::to_owned),
        region: None,
        endpoint: None,
    };
    for name in ["/json", "/aws/reference/secretsmanager/json"] {
        assert_eq!(resolve(&resolver, field(name, Some("password"))).await.unwrap(), SECRET);
    }
    for (name, asked, word) in [
        ("/aws/reference/secretsmanager/json", None, "field = "),
        ("/json", Some("passwd"), "no field `passwd`"),
        ("/json", Some("port"), "not text"),
        ("/secure", Some("password"), "not a JSON object"),
    ] {
        let error = resolve(&resolver, field(name, asked)).await.unwrap_err();
        assert!(said(&error).contains(word) && !said(&error).contains(SECRET), "{}", said(&error));
    }
    // A parameter may hold whatever it likes.
    assert!(resolve(&resolver, field("/json", None)).await.unwrap().starts_with('{'));
}

#[tokio::test]
async fn region_and_endpoint_of_the_reference_win() {
    let (url, _) = parameter_store().await;
    let elsewhere = Url::parse("http://127.0.0.1:9").unwrap();
    let resolver = SecretResolver::with_aws(Environment::default(), aws(Some(&elsewhere), Some("eu-west-1")));
    let source = SecretSource::SsmParameter {
        name: "/secure".to_owned(),
        field: None,
        region: Some("eu-west-9".to_owned()),
        endpoint: Some(url),
    };
    assert_eq!(resolve(&resolver, source).await.unwrap(), SECRET);
}

#[tokio::test]
async fn what_aws_refuses_is_explained_without_repeating_its_message_in_the_first_line() {
    let (url, calls) = parameter_store().await;
    let resolver = SecretResolver::with_aws(Environment::default(), aws(Some(&url), Some("eu-west-9")));
    for (name, word) in [
        ("/missing", "no such parameter"),
        ("/denied", "kms:Decrypt"),
        ("/nothing", "no parameter"),
        ("/valueless", "no value"),
    ] {
        let error = resolve(&resolver, parameter(name)).await.unwrap_err();
        let line = error.to_string();
        assert!(
            line.contains(word) && line.contains(name) && line.contains("vcenter.dc1.password"),
            "{line}"
        );
        assert!(!line.contains(SECRET), "{line}");
    }
    assert_eq!(calls.load(Ordering::SeqCst), 4, "what is refused is not tried again");
}

#[tokio::test]
async fn a_passing_failure_is_tried_again_but_not_for_ever() {
    let (url, calls) = parameter_store().await;
    let resolver = SecretResolver::with_aws(Environment::default(), aws(Some(&url), Some("eu-west-9")));
    assert_eq!(resolve(&resolver, parameter("/flaky")).await.unwrap(), SECRET);
    assert_eq!(calls.swap(0, Ordering::SeqCst), 2);
    resolve(&resolver, parameter("/broken")).await.unwrap_err();
    assert_eq!(calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn trouble_on_the_way_to_aws_is_told_apart() {
    let nobody = Url::parse("http://127.0.0.1:9").unwrap();
    let resolver = SecretResolver::with_aws(Environment::default(), aws(Some(&nobody), Some("eu-west-9")));
    let error = resolve(&resolver, parameter("/secure")).await.unwrap_err();
    assert!(error.to_string().contains("cannot be reached"), "{}", said(&error));

    let resolver = SecretResolver::with_aws(Environment::default(), aws(Some(&nobody), None));
    let error = resolve(&resolver, parameter("/secure")).await.unwrap_err();
    assert!(error.to_string().contains("no AWS Region"), "{}", said(&error));

    let (url, _) = parameter_store().await;
    let without = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-9"))
        .endpoint_url(url.as_str().trim_end_matches('/'))
        .build();
    let resolver = SecretResolver::with_aws(Environment::default(), without);
    let error = resolve(&resolver, parameter("/secure")).await.unwrap_err();
    assert!(error.to_string().contains("credentials"), "{}", said(&error));
}

#[test]
fn a_reference_holds_no_secret() {
    let reference = SecretRef::new("vcenter.dc1.password", parameter("/vmbridge/dc1"));
    assert_eq!(reference.source().to_string(), "SSM parameter /vmbridge/dc1");
    assert_eq!(reference.setting(), "vcenter.dc1.password");
}
