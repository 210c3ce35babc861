//! VMware Cloud on AWS: tokens, and SDDCs that come and go.

use std::time::Duration;

use serde_json::Value;
use vmbridge_simulator::{Simulator, SimulatorConfig, Vmc, VmcConfig};

use crate::client::{Client, http};
use crate::json::Answer;

const EXCHANGE: &str = "/csp/gateway/am/api/auth/api-tokens/authorize";
const APP: &str = "/csp/gateway/am/api/auth/authorize";

async fn start(token_lifetime: Duration) -> Simulator {
    let mut config = SimulatorConfig::several(2, 5, 3);
    let sddcs = vec![("Alpha".to_owned(), "vc1".to_owned())];
    config.vmc = Some(VmcConfig { sddcs, token_lifetime, ..VmcConfig::default() });
    Simulator::start(config).await.unwrap()
}

struct Cloud {
    http: reqwest::Client,
    vmc: Vmc,
}

impl Cloud {
    fn new(simulator: &Simulator) -> Self {
        Self { http: http(simulator.ca_pem()), vmc: simulator.vmc().unwrap().clone() }
    }

    async fn exchange(&self, token: &str) -> Answer {
        let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
        Answer::of(self.http.post(format!("{}{EXCHANGE}", self.vmc.url())).form(&form)).await
    }

    async fn token(&self) -> String {
        let answer = self.exchange(self.vmc.refresh_token()).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    async fn list(&self, org: &str, token: Option<&str>) -> Answer {
        let mut request = self.http.get(format!("{}/vmc/api/orgs/{org}/sddcs", self.vmc.url()));
        if let Some(token) = token {
            request = request.header("csp-auth-token", token);
        }
        Answer::of(request).await
    }

    async fn sddcs(&self, token: &str) -> Vec<Value> {
        let answer = self.list(self.vmc.org_id(), Some(token)).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json().as_array().unwrap().clone()
    }
}

#[tokio::test]
async fn an_access_token_is_had_for_the_right_secret_only() {
    let simulator = start(Duration::from_secs(1799)).await;
    let cloud = Cloud::new(&simulator);
    let refused = cloud.exchange("wrong").await;
    assert_eq!(refused.status, 400);
    assert!(refused.json()["message"].as_str().unwrap().starts_with("invalid_grant: "));
    let good = cloud.exchange(cloud.vmc.refresh_token()).await.json();
    assert_eq!((&good["expires_in"], &good["token_type"]), (&1799.into(), &"bearer".into()));

    let url = format!("{}{APP}", cloud.vmc.url());
    let (id, secret) = cloud.vmc.client();
    for (id, secret, grant, status) in [
        (id, secret, "client_credentials", 200),
        (id, "wrong", "client_credentials", 401),
        ("other", secret, "client_credentials", 401),
        (id, secret, "password", 400),
    ] {
        let request = cloud.http.post(&url).basic_auth(id, Some(secret)).form(&[("grant_type", grant)]);
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, status, "{grant} {}", answer.text);
        if status == 200 {
            let token = answer.json()["access_token"].as_str().unwrap().to_owned();
            assert_eq!(cloud.sddcs(&token).await.len(), 1);
        }
    }
    let json = cloud.http.post(&url).json(&serde_json::json!({ "grant_type": "client_credentials" }));
    assert_eq!(Answer::of(json).await.status, 415);
    let get = Answer::of(cloud.http.get(&url)).await;
    assert_eq!(get.status, 405);
    simulator.shutdown().await;
}

#[tokio::test]
async fn sddcs_are_told_to_whoever_shows_a_good_token() {
    let simulator = start(Duration::from_millis(2000)).await;
    let cloud = Cloud::new(&simulator);
    let org = cloud.vmc.org_id().to_owned();
    assert_eq!(cloud.list(&org, None).await.status, 401);
    assert_eq!(cloud.list(&org, Some("made up")).await.status, 401);
    let token = cloud.token().await;
    assert_eq!(cloud.list("5f1c6f3e-8a52-4c8e-9d5b-0c8f7b6a1eff", Some(&token)).await.status, 403);
    assert_eq!(cloud.list("short", Some(&token)).await.status, 404);

    let sddc = cloud.sddcs(&token).await.remove(0);
    assert_eq!((&sddc["name"], &sddc["sddc_state"]), (&"Alpha".into(), &"READY".into()));
    let behind = &simulator.vcenters()[0];
    let config = &sddc["resource_config"];
    assert_eq!(config["vc_url"], format!("{}/", behind.url()));
    assert_eq!(config["vc_management_ip"], "127.0.0.1");
    // What it tells is enough to log in.
    let mut client = Client::new(behind);
    let (user, password) =
        (config["cloud_username"].as_str().unwrap(), config["cloud_password"].as_str().unwrap());
    assert_eq!(client.login(user, password).await.status, 200);

    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(cloud.list(&org, Some(&token)).await.status, 401);
    let token = cloud.token().await;
    assert_eq!(cloud.list(&org, Some(&token)).await.status, 200);
    assert_eq!(cloud.vmc.expire_tokens(), 1);
    assert_eq!(cloud.list(&org, Some(&token)).await.status, 401);
    assert_eq!(cloud.vmc.tokens_given(), 2);
    assert_eq!(cloud.vmc.calls().calls["VMC GET /vmc/api/orgs/{id}/sddcs"], 8);
    simulator.shutdown().await;
}

#[tokio::test]
async fn sddcs_come_go_and_change() {
    let simulator = start(Duration::from_secs(60)).await;
    let cloud = Cloud::new(&simulator);
    let token = cloud.token().await;
    let first = cloud.sddcs(&token).await[0]["id"].clone();
    let id = cloud.vmc.add_sddc("Alpha", &simulator.vcenters()[1]);
    let both = cloud.sddcs(&token).await;
    assert_eq!(both.len(), 2);
    assert_eq!((&both[1]["id"], &both[1]["name"]), (&id.as_str().into(), &"Alpha".into()));
    assert_ne!(first, id);

    assert!(cloud.vmc.rename_sddc(&id, "Beta") && cloud.vmc.set_sddc_state(&id, "DEPLOYING"));
    let deploying = cloud.sddcs(&token).await.remove(1);
    assert_eq!((&deploying["id"], &deploying["name"]), (&id.as_str().into(), &"Beta".into()));
    assert!(deploying["resource_config"]["vc_url"].is_null());

    assert!(cloud.vmc.remove_sddc("Alpha"));
    assert!(!cloud.vmc.remove_sddc("Alpha"));
    let left = cloud.sddcs(&token).await;
    assert_eq!((left.len(), &left[0]["name"]), (1, &"Beta".into()));
    let url = format!("{}/vmc/api/orgs/{}/sddcs?includeDeleted=true", cloud.vmc.url(), cloud.vmc.org_id());
    let all = Answer::of(cloud.http.get(url).header("csp-auth-token", &token)).await.json();
    assert_eq!((all.as_array().unwrap().len(), &all[1]["sddc_state"]), (2, &"DELETED".into()));
    simulator.shutdown().await;
}

#[tokio::test]
async fn an_sddc_without_its_vcenter_is_a_mistake() {
    let mut config = SimulatorConfig::single(1, 1);
    let sddcs = vec![("Alpha".to_owned(), "nowhere".to_owned())];
    config.vmc = Some(VmcConfig { sddcs, ..VmcConfig::default() });
    let error = Simulator::start(config).await.unwrap_err();
    assert!(error.to_string().contains("nowhere"), "{error}");
}
