//! The same against moto, which others wrote: it decides what an answer of AWS looks like.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use aws_sdk_ssm::types::ParameterType as Kind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

/// A moto server of our own, ended with the test.
struct Moto {
    process: Child,
    address: SocketAddr,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

async fn moto() -> Moto {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../.venv/bin/moto_server");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let process = Command::new(program)
        .args(["-H", "127.0.0.1", "-p", &free.port().to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}; `scripts/setup test` puts it there"));
    let moto = Moto { process, address: free };
    for _ in 0..300 {
        if TcpStream::connect(moto.address).await.is_ok() {
            return moto;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("moto did not start");
}

/// Creates a secret in Secrets Manager, for which there is no SDK here.
async fn create_secret(moto: &Moto, name: &str, value: &str) {
    let body = json!({ "Name": name, "SecretString": value, "ClientRequestToken": "0123456789012345678901234567890123" });
    let body = body.to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Type: application/x-amz-json-1.1\r\n\
         X-Amz-Target: secretsmanager.CreateSecret\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/secretsmanager/aws4_request, SignedHeaders=host, Signature=0\r\n\
         Content-Length: {}\r\n\r\n{body}",
        moto.address,
        body.len()
    );
    let mut stream = TcpStream::connect(moto.address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn moto_gives_the_same_secrets() {
    let moto = moto().await;
    let url = Url::parse(&format!("http://{}", moto.address)).unwrap();
    let shared = aws(Some(&url), Some("eu-central-1"));
    let client = aws_sdk_ssm::Client::new(&shared);
    for (name, kind) in [("/vmbridge/secure", Kind::SecureString), ("/vmbridge/plain", Kind::String)] {
        client.put_parameter().name(name).value(SECRET).r#type(kind).send().await.unwrap();
    }
    let resolver = SecretResolver::with_aws(Environment::default(), shared);
    for name in ["/vmbridge/secure", "/vmbridge/plain"] {
        assert_eq!(resolve(&resolver, parameter(name)).await.unwrap(), SECRET, "{name}");
    }

    // Rotation is seen with the next use.
    let rotated = client.put_parameter().name("/vmbridge/secure").value("rotated").r#type(Kind::SecureString);
    rotated.overwrite(true).send().await.unwrap();
    assert_eq!(resolve(&resolver, parameter("/vmbridge/secure")).await.unwrap(), "rotated");

    let error = resolve(&resolver, parameter("/vmbridge/none")).await.unwrap_err();
    assert!(error.to_string().contains("no such parameter"), "{}", said(&error));

    // A secret of Secrets Manager, in another Region than that of the AWS configuration.
    create_secret(&moto, "vmbridge-oauth", SECRET).await;
    let reference = |region: &str| SecretSource::SsmParameter {
        name: "/aws/reference/secretsmanager/vmbridge-oauth".to_owned(),
        field: None,
        region: Some(region.to_owned()),
        endpoint: None,
    };
    assert_eq!(resolve(&resolver, reference("eu-west-1")).await.unwrap(), SECRET);
    let error = resolve(&resolver, reference("eu-west-2")).await.unwrap_err();
    assert!(error.to_string().contains("no such parameter"), "{}", said(&error));
}
