//! A client of AWS of a few lines, for tests only: it signs what it is told and shows the answer.

use aws_lc_rs::{digest, hmac};
use jiff::Timestamp;
use serde_json::{Value, json};
use vmbridge_simulator::{Aws, AwsConfig, Simulator, SimulatorConfig};

use crate::client::http;

/// Somebody who signs, in one Region.
#[derive(Clone)]
pub(crate) struct Signer {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: Option<String>,
    pub(crate) region: String,
    /// Seconds by which its clock is ahead.
    pub(crate) skew: i64,
}

/// The text that a signature is of, and what it is made of.
pub(crate) struct Text {
    pub(crate) to_sign: String,
    scope: String,
    names: String,
    headers: Vec<(String, String)>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> reqwest::Result<Self> {
        let response = request.send().await?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Ok(Self { status, headers, text: response.text().await? })
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or(Value::Null)
    }

    /// The answer of a call that must work.
    #[track_caller]
    pub(crate) fn good(&self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// The code of an error, in whatever protocol.
    pub(crate) fn code(&self) -> String {
        if let Some(code) = self.headers.get("x-amzn-errortype") {
            return code.to_str().unwrap().to_owned();
        }
        if let Some((_, rest)) = self.text.split_once("<Code>") {
            return rest.split('<').next().unwrap().to_owned();
        }
        self.json()["__type"].as_str().unwrap_or_default().to_owned()
    }

    #[track_caller]
    pub(crate) fn refused(&self, code: &str) {
        assert!(self.status >= 400 && self.code() == code, "not {code}: {} {}", self.status, self.text);
        assert!(self.headers.contains_key("x-amzn-requestid"));
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

#[expect(clippy::disallowed_methods, reason = "requests are signed with the time of day")]
fn now() -> Timestamp {
    Timestamp::now()
}

impl Signer {
    pub(crate) fn new(aws: &Aws) -> Self {
        let account = &aws.accounts()[0];
        Self {
            http: http(aws.ca_pem()),
            url: aws.url(),
            key: account.access_key_id.clone(),
            secret: account.secret().to_owned(),
            token: None,
            region: account.regions[0].clone(),
            skew: 0,
        }
    }

    /// The same with another account's keys.
    pub(crate) fn of_account(aws: &Aws, at: usize) -> Self {
        let account = &aws.accounts()[at];
        Self { key: account.access_key_id.clone(), secret: account.secret().to_owned(), ..Self::new(aws) }
    }

    /// What a signature of this request is of.
    pub(crate) fn text(
        &self,
        service: &str,
        method: &str,
        path: &str,
        extra: &[(&str, &str)],
        body: &str,
    ) -> Text {
        let time =
            (now() + jiff::SignedDuration::from_secs(self.skew)).strftime("%Y%m%dT%H%M%SZ").to_string();
        let host = self.url.strip_prefix("https://").unwrap();
        let mut headers: Vec<(String, String)> =
            vec![("host".into(), host.into()), ("x-amz-date".into(), time.clone())];
        headers.extend(extra.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        if let Some(token) = &self.token {
            headers.push(("x-amz-security-token".into(), token.clone()));
        }
        headers.sort();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let names = names.join(";");
        let listed: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!("{method}\n{path}\n\n{listed}\n{names}\n{}", sha256(body.as_bytes()));
        let scope = format!("{}/{}/{service}/aws4_request", &time[..8], self.region);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
        Text { to_sign, scope, names, headers }
    }

    /// The request with this signature by this key.
    pub(crate) fn signed(
        &self,
        text: &Text,
        (method, path): (&str, &str),
        (key, signature): (&str, &str),
        body: &str,
    ) -> reqwest::RequestBuilder {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={key}/{}, SignedHeaders={}, Signature={signature}",
            text.scope, text.names
        );
        let mut request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url));
        for (name, value) in text.headers.iter().filter(|(name, _)| name != "host") {
            request = request.header(name, value);
        }
        request.header("authorization", authorization).body(body.to_owned())
    }

    /// The signed request.
    pub(crate) fn request(
        &self,
        service: &str,
        method: &str,
        path: &str,
        extra: &[(&str, &str)],
        body: &str,
    ) -> reqwest::RequestBuilder {
        let text = self.text(service, method, path, extra, body);
        let sign = |key: &[u8], text: &str| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
        };
        let secret = format!("AWS4{}", self.secret).into_bytes();
        let key = text.scope.split('/').fold(secret, |key, part| sign(&key, part));
        let signature = hex(&sign(&key, &text.to_sign));
        self.signed(&text, (method, path), (&self.key, &signature), body)
    }

    pub(crate) fn prepare(&self, service: &str, operation: &str, input: &Value) -> reqwest::RequestBuilder {
        let json = "application/x-amz-json-1.1";
        let target = |prefix: &str| format!("{prefix}.{operation}");
        match service {
            "ssm" => {
                let target = target("AmazonSSM");
                let headers = [("content-type", json), ("x-amz-target", target.as_str())];
                self.request(service, "POST", "/", &headers, &input.to_string())
            }
            "tagging" => {
                let target = target("ResourceGroupsTaggingAPI_20170126");
                let headers = [("content-type", json), ("x-amz-target", target.as_str())];
                self.request(service, "POST", "/", &headers, &input.to_string())
            }
            "sts" => {
                let mut form = format!("Action={operation}&Version=2011-06-15");
                for (name, value) in input.as_object().unwrap() {
                    form.push_str(&format!(
                        "&{name}={}",
                        value.as_str().unwrap().replace(':', "%3A").replace('/', "%2F")
                    ));
                }
                let headers = [("content-type", "application/x-www-form-urlencoded")];
                self.request(service, "POST", "/", &headers, &form)
            }
            _ => {
                let (method, path) = match operation {
                    "BatchImportFindings" => ("POST", "/findings/import"),
                    "BatchUpdateFindings" => ("PATCH", "/findings/batchupdate"),
                    "GetFindings" => ("POST", "/findings"),
                    "ListGroupResources" => ("POST", "/list-group-resources"),
                    _ => ("GET", "/accounts"),
                };
                let body = if method == "GET" { String::new() } else { input.to_string() };
                self.request(service, method, path, &[("content-type", "application/json")], &body)
            }
        }
    }

    pub(crate) async fn try_call(
        &self,
        service: &str,
        operation: &str,
        input: Value,
    ) -> reqwest::Result<Answer> {
        Answer::of(self.prepare(service, operation, &input)).await
    }

    pub(crate) async fn call(&self, service: &str, operation: &str, input: Value) -> Answer {
        self.try_call(service, operation, input).await.unwrap()
    }

    pub(crate) async fn ssm(&self, operation: &str, input: Value) -> Answer {
        self.call("ssm", operation, input).await
    }

    pub(crate) async fn tag(&self, node: &str, tags: Value) -> Answer {
        let input = json!({ "ResourceType": "ManagedInstance", "ResourceId": node, "Tags": tags });
        self.ssm("AddTagsToResource", input).await
    }

    /// The session of a role.
    pub(crate) async fn assume(&self, input: Value) -> Self {
        let answer = self.call("sts", "AssumeRole", input).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let part = |name: &str| {
            let (_, rest) = answer.text.split_once(&format!("<{name}>")).unwrap();
            rest.split('<').next().unwrap().to_owned()
        };
        Self {
            key: part("AccessKeyId"),
            secret: part("SecretAccessKey"),
            token: Some(part("SessionToken")),
            ..self.clone()
        }
    }

    /// Every page of a list.
    pub(crate) async fn all(
        &self,
        service: &str,
        operation: &str,
        mut input: Value,
        list: &str,
    ) -> Vec<Value> {
        let token = if service == "tagging" { "PaginationToken" } else { "NextToken" };
        let mut all = Vec::new();
        loop {
            let answer = self.call(service, operation, input.clone()).await.good();
            all.extend(answer[list].as_array().unwrap().iter().cloned());
            match answer[token].as_str() {
                Some(next) if !next.is_empty() => input[token] = next.into(),
                _ => return all,
            }
        }
    }
}

/// One vCenter, and AWS as it is told.
pub(crate) async fn start(vms: usize, config: AwsConfig) -> (Simulator, Aws) {
    let config = SimulatorConfig { aws: Some(config), ..SimulatorConfig::single(vms, 1) };
    let simulator = Simulator::start(config).await.unwrap();
    let aws = simulator.aws().unwrap().clone();
    (simulator, aws)
}

/// Ends a test: the simulator must not have noticed a mistake of its own.
pub(crate) async fn end(simulator: Simulator, aws: &Aws) {
    assert_eq!(aws.mistakes(), Vec::<String>::new());
    simulator.shutdown().await;
}
