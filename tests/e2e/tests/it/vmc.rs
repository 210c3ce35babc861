//! SDDCs of VMware Cloud on AWS.

use anyhow::{Context as _, Result};
use serde_json::Value;
use vmbridge_e2e::estate::Estate;
use vmbridge_e2e::truth;
use vmbridge_simulator::{Simulator, SimulatorConfig, VmcConfig};

/// Adds the organisation `cloud`, by its token or by its OAuth app.
pub(crate) fn organisation(estate: &mut Estate, simulator: &Simulator, oauth: bool) -> Result<()> {
    let vmc = simulator.vmc().context("no VMC")?;
    let ca = estate.secret("cloud-ca.pem", simulator.ca_pem())?;
    let (url, org) = (vmc.url(), vmc.org_id());
    let account = if oauth {
        let (id, secret) = vmc.client();
        let path = estate.secret("cloud-secret", secret)?;
        format!("oauth_app_id = {id:?}\noauth_app_secret = {{ file = {path:?} }}")
    } else {
        let path = estate.secret("cloud-token", vmc.refresh_token())?;
        format!("refresh_token = {{ file = {path:?} }}")
    };
    estate.add(&format!(
        "[[vmc]]\nname = \"cloud\"\norg_id = {org:?}\ncsp_url = {url:?}\nvmc_url = {url:?}\nca_file = {ca:?}\n{account}\n\n[vmc.vcenter]\nca_file = {ca:?}\n"
    ));
    Ok(())
}

async fn world(sddcs: &[&str]) -> Simulator {
    let mut config = SimulatorConfig::several(2, 50, 2);
    let sddcs =
        sddcs.iter().zip(&config.vcenters).map(|(name, vcenter)| ((*name).to_owned(), vcenter.name.clone()));
    config.vmc = Some(VmcConfig { sddcs: sddcs.collect(), ..VmcConfig::default() });
    Simulator::start(config).await.unwrap()
}

fn names(inventory: &Value) -> Vec<&str> {
    inventory["vcenters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|vcenter| vcenter["name"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn the_vcenters_of_all_sddcs_are_read_with_the_account_that_vmc_tells() {
    for oauth in [false, true] {
        let simulator = world(&["one", "zwei (東京)"]).await;
        let mut estate = Estate::new().unwrap();
        organisation(&mut estate, &simulator, oauth).unwrap();
        let check = estate.vmbridge(&["check"]).unwrap().run().await.unwrap();
        assert_eq!(check.code, Some(0), "{}{}", check.stdout, check.stderr);
        let ended = estate.vmbridge(&["inventory", "--json"]).unwrap().run().await.unwrap();
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
        let inventory: Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(names(&inventory), ["cloud/one", "cloud/zwei (東京)"]);
        let [one, two] = simulator.vcenters() else { panic!("two vCenters") };
        let truths = [("cloud/one", one.truth()), ("cloud/zwei (東京)", two.truth())];
        let differences = truth::differences(&inventory, &truths);
        assert!(differences.is_empty(), "{differences:#?}");
        assert_eq!((one.sessions().open, two.sessions().open), (0, 0));
        let only =
            estate.vmbridge(&["inventory", "--vcenter", "cloud/one", "--json"]).unwrap().run().await.unwrap();
        assert_eq!(names(&serde_json::from_str(&only.stdout).unwrap()), ["cloud/one"]);
    }
}

#[tokio::test]
async fn sddcs_that_come_and_go_are_followed() {
    let simulator = world(&["one"]).await;
    let mut estate = Estate::new().unwrap();
    organisation(&mut estate, &simulator, false).unwrap();
    let mut watch = estate.vmbridge(&["watch", "--log", "info"]).unwrap().start().unwrap();
    watch.says("50 VMs of 1 vCenters").await.unwrap();
    let vmc = simulator.vmc().unwrap();
    vmc.add_sddc("two", &simulator.vcenters()[1]);
    let line = watch.line(std::time::Duration::from_secs(40)).await.unwrap();
    assert!(line.contains("cloud/two current, 50 VMs"), "{line}");
    vmc.remove_sddc("one");
    watch.says("the SDDC is gone sddc=\"cloud/one\"").await.unwrap();
    assert_eq!(vmc.tokens_given(), 1, "an access token is used for as long as it is good");
    assert_eq!(simulator.vcenters()[0].sessions().open, 0, "its sessions are ended");
    watch.signal("TERM").await.unwrap();
    assert_eq!(watch.ended().await.unwrap().code, Some(0));
    assert_eq!(simulator.vcenters()[1].sessions().open, 0);
}

#[tokio::test]
async fn a_token_that_is_refused_is_said() {
    let simulator = world(&["one"]).await;
    let mut estate = Estate::new().unwrap();
    estate.simulated("dc1", &simulator.vcenters()[1], "").unwrap();
    organisation(&mut estate, &simulator, false).unwrap();
    estate.secret("cloud-token", "revoked-token-9").unwrap();
    let ended = estate.vmbridge(&["inventory", "--json"]).unwrap().run().await.unwrap();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("cloud: ") && ended.stderr.contains("refused the credentials"),
        "{}",
        ended.stderr
    );
    assert!(!ended.stderr.contains("revoked-token-9"));
    let inventory: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((inventory["complete"].as_bool(), names(&inventory)), (Some(false), vec!["dc1"]));
    assert!(inventory["organisations"][0]["error"].as_str().unwrap().contains("refused"));
}
