//! VMware Cloud on AWS.

use std::time::Duration;

use futures_util::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};
use vmbridge_simulator::{FaultEffect, FaultRule, Simulator, SimulatorConfig, VmcConfig};
use vsphere_client::http::{self, HttpOptions};
use vsphere_client::vmc::{CspAuth, VmcClient, VmcOptions, diff};

use super::live::trust;

async fn simulator() -> Simulator {
    let mut config = SimulatorConfig::several(2, 5, 1);
    config.vmc = Some(VmcConfig { sddcs: vec![("one".into(), "vc1".into())], ..VmcConfig::default() });
    Simulator::start(config).await.unwrap()
}

fn client(simulator: &Simulator, auth: CspAuth) -> VmcClient {
    let vmc = simulator.vmc().unwrap();
    let url: url::Url = vmc.url().parse().unwrap();
    VmcClient::new(VmcOptions {
        csp_url: url.clone(),
        vmc_url: url,
        org_id: vmc.org_id().to_owned(),
        auth,
        http: http::client(&trust(simulator), &HttpOptions::default()).unwrap(),
        patience: Duration::from_secs(5),
    })
}

fn token(simulator: &Simulator) -> CspAuth {
    CspAuth::RefreshToken(SecretString::from(simulator.vmc().unwrap().refresh_token().to_owned()))
}

#[tokio::test]
async fn sddcs_are_listed_with_what_is_needed_to_connect() {
    let simulator = simulator().await;
    let vmc = simulator.vmc().unwrap();
    let (id, secret) = vmc.client();
    let app = CspAuth::OAuthApp { id: id.to_owned(), secret: SecretString::from(secret.to_owned()) };
    for auth in [token(&simulator), app] {
        let sddcs = client(&simulator, auth).sddcs().await.unwrap();
        let [sddc] = &sddcs[..] else { panic!("{sddcs:?}") };
        assert_eq!((sddc.name.as_str(), sddc.state.as_str()), ("one", "READY"));
        let vcenter = &simulator.vcenters()[0];
        assert_eq!(sddc.vc_url.as_ref().unwrap().port(), Some(vcenter.address().port()));
        let account = sddc.cloudadmin.as_ref().unwrap();
        assert!(!account.username.is_empty() && !account.password.expose_secret().is_empty());
        assert!(!format!("{sddc:?}").contains(account.password.expose_secret()), "{sddc:?}");
    }
}

#[tokio::test]
async fn a_token_is_exchanged_once_and_anew_when_it_is_no_longer_accepted() {
    let simulator = simulator().await;
    let vmc = simulator.vmc().unwrap();
    let client = client(&simulator, token(&simulator));
    let lists = join_all((0..10).map(|_| client.sddcs())).await;
    assert!(lists.iter().all(Result::is_ok));
    assert_eq!(vmc.tokens_given(), 1);
    vmc.expire_tokens();
    simulator.add_faults([FaultRule::once("csp-authorize", FaultEffect::Status { code: 502 })]);
    client.sddcs().await.unwrap();
    assert_eq!(vmc.tokens_given(), 2);
}

#[tokio::test]
async fn a_refused_token_is_neither_repeated_nor_told() {
    let simulator = simulator().await;
    let vmc = simulator.vmc().unwrap();
    let refused = client(&simulator, CspAuth::RefreshToken(SecretString::from("revoked-4711".to_owned())));
    let error = refused.sddcs().await.unwrap_err();
    assert!(error.is_login_refused(), "{}", error.line());
    assert!(!error.line().contains("revoked-4711"), "{}", error.line());
    assert_eq!(vmc.calls().total, 1);
}

#[tokio::test]
async fn what_came_went_and_changed_is_told_apart() {
    let simulator = simulator().await;
    let vmc = simulator.vmc().unwrap();
    let client = client(&simulator, token(&simulator));
    let before = client.sddcs().await.unwrap();
    assert!(diff(&before, &before).is_empty());
    vmc.add_sddc("two", &simulator.vcenters()[1]);
    vmc.rename_sddc("one", "uno");
    let now = client.sddcs().await.unwrap();
    let changes = diff(&before, &now);
    assert_eq!((changes.came.len(), changes.went.len(), changes.changed.len()), (1, 0, 1));
    assert_eq!((changes.came[0].name.as_str(), changes.changed[0].1.name.as_str()), ("two", "uno"));
    vmc.remove_sddc("two");
    let changes = diff(&now, &client.sddcs().await.unwrap());
    assert_eq!((changes.came.len(), changes.went.len(), changes.changed.len()), (0, 1, 0));
}
