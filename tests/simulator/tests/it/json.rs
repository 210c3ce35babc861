//! A client of a few lines for everything that answers in JSON.

use serde_json::Value;
use vmbridge_simulator::Vcenter;

use crate::client::http;

/// The answer to a call.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    /// The body, which must be JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { status, headers, text: response.text().await.unwrap() }
    }
}

/// A client of the REST interface of one vCenter.
#[derive(Clone)]
pub(crate) struct Rest {
    pub(crate) http: reqwest::Client,
    pub(crate) url: String,
    pub(crate) session: Option<String>,
}

impl Rest {
    pub(crate) fn new(vcenter: &Vcenter) -> Self {
        Self { http: http(&vcenter.ca_pem()), url: vcenter.url(), session: None }
    }

    /// With a session of the newer interface.
    pub(crate) async fn logged_in(vcenter: &Vcenter) -> Self {
        let mut client = Self::new(vcenter);
        let answer = client.login("/api/session", vcenter.username(), vcenter.password()).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        client.session = Some(answer.json().as_str().unwrap().to_owned());
        client
    }

    pub(crate) async fn login(&self, path: &str, user: &str, password: &str) -> Answer {
        let request = self.http.post(format!("{}{path}", self.url));
        Answer::of(request.basic_auth(user, Some(password))).await
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method.parse().unwrap(), format!("{}{path}", self.url));
        match &self.session {
            Some(session) => request.header("vmware-api-session-id", session),
            None => request,
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request("POST", path).json(body)).await
    }
}
