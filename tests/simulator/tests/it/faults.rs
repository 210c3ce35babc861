//! What a client sees when a rule hits its call.

use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;
use vmbridge_simulator::{
    FaultEffect, FaultRule, OPERATIONS, Simulator, SimulatorConfig, VmcConfig, effects, from_seed,
};

use crate::client::{Client, http};
use crate::json::{Answer, Rest};

const TAGS: &str = "/api/cis/tagging/tag";

async fn start() -> Simulator {
    let mut config = SimulatorConfig::single(20, 1);
    let sddcs = vec![("Alpha".to_owned(), "vc1".to_owned())];
    config.vmc = Some(VmcConfig { sddcs, ..VmcConfig::default() });
    Simulator::start(config).await.unwrap()
}

/// How one call to the tagging service ended, with a rule at it.
async fn seen(simulator: &Simulator, effect: FaultEffect) -> reqwest::Result<(u16, Vec<u8>, String)> {
    let vcenter = &simulator.vcenters()[0];
    let client = Rest::logged_in(vcenter).await;
    simulator.clear_faults();
    simulator.add_faults([FaultRule::once("GET tag", effect)]);
    let response = client.request("GET", TAGS).send().await?;
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").map(|k| k.to_str().unwrap().to_owned());
    let body = response.bytes().await?;
    // The rule is used up.
    assert_eq!(client.get(TAGS).await.status, 200);
    Ok((status, body.to_vec(), kind.unwrap_or_default()))
}

#[tokio::test]
async fn rest_calls_meet_every_fault_that_soap_calls_meet() {
    let simulator = start().await;
    let whole = Rest::logged_in(&simulator.vcenters()[0]).await.get(TAGS).await.text;
    let is_json = |body: &[u8]| serde_json::from_slice::<Value>(body).is_ok();

    let (status, body, _) = seen(&simulator, FaultEffect::Status { code: 503 }).await.unwrap();
    assert_eq!((status, is_json(&body)), (503, false));
    for effect in [FaultEffect::ResetBefore, FaultEffect::ResetAfter, FaultEffect::ResetMiddle] {
        let shown = format!("{effect:?}");
        assert!(seen(&simulator, effect).await.is_err(), "{shown}");
    }
    for (effect, status, valid) in [
        (FaultEffect::Truncate, 200, false),
        (FaultEffect::Malformed, 200, false),
        (FaultEffect::WrongEncoding, 200, false),
        (FaultEffect::Empty, 200, false),
        (FaultEffect::Html, 200, false),
        (FaultEffect::Deep, 200, false),
        (FaultEffect::EntityBomb, 200, false),
        (FaultEffect::Huge { bytes: 1 << 20 }, 200, false),
        (FaultEffect::WrongContentType, 200, true),
        (FaultEffect::Drip { bytes: 50, milliseconds: 1 }, 200, true),
        (FaultEffect::SoapFault { name: "NotAuthenticated".to_owned() }, 401, true),
        (FaultEffect::SoapFault { name: "HostCommunication".to_owned() }, 500, true),
        (FaultEffect::ExpireSession, 401, true),
    ] {
        let shown = format!("{effect:?}");
        // The session is gone after this one, so what follows the fault cannot work.
        let (seen_status, body, kind) = if effect == FaultEffect::ExpireSession {
            let client = Rest::logged_in(&simulator.vcenters()[0]).await;
            simulator.add_faults([FaultRule::once("GET tag", effect)]);
            let answer = client.get(TAGS).await;
            assert_eq!(client.get(TAGS).await.status, 401);
            (answer.status, answer.text.into_bytes(), String::new())
        } else {
            seen(&simulator, effect).await.unwrap()
        };
        assert_eq!((seen_status, is_json(&body)), (status, valid), "{shown}");
        match shown.as_str() {
            "Truncate" => assert_eq!(body.len(), whole.len() / 2),
            "WrongContentType" => assert_eq!(kind, "image/png"),
            text if text.starts_with("Drip") => assert_eq!(body, whole.as_bytes()),
            text if text.starts_with("Huge") => assert!(body.len() >= 1 << 20),
            text if text.contains("NotAuthenticated") => {
                let error: Value = serde_json::from_slice(&body).unwrap();
                assert_eq!(error["error_type"], "UNAUTHENTICATED");
            }
            _ => {}
        }
    }
    let begin = Instant::now();
    assert_eq!(seen(&simulator, FaultEffect::Delay { milliseconds: 300 }).await.unwrap().1, whole.as_bytes());
    assert!(begin.elapsed() >= Duration::from_millis(300));
    assert!(seen(&simulator, FaultEffect::Hang { milliseconds: 50 }).await.is_err());
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_lost_answer_to_a_log_in_leaves_a_session_behind() {
    let simulator = start().await;
    let vcenter = &simulator.vcenters()[0];
    let client = Rest::new(vcenter);
    for (effect, sessions) in [(FaultEffect::ResetBefore, 0), (FaultEffect::ResetAfter, 1)] {
        simulator.add_faults([FaultRule::once("POST /api/session", effect)]);
        let request = client.request("POST", "/api/session");
        assert!(request.basic_auth(vcenter.username(), Some(vcenter.password())).send().await.is_err());
        assert_eq!(vcenter.sessions().open_rest, sessions);
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn rules_hit_one_server_and_one_operation() {
    let simulator = start().await;
    let vcenter = &simulator.vcenters()[0];
    let client = Rest::logged_in(vcenter).await;
    let soap = Client::logged_in(vcenter).await;
    let elsewhere = FaultRule {
        vcenter: "other".to_owned(),
        times: 0,
        ..FaultRule::once("*", FaultEffect::Status { code: 500 })
    };
    let here = FaultRule {
        vcenter: "vc1".to_owned(),
        skip: 1,
        ..FaultRule::once("REST GET *", FaultEffect::Status { code: 502 })
    };
    simulator.add_faults([elsewhere, here]);
    assert_eq!(soap.call("CurrentTime", "ServiceInstance", "").await.status, 200);
    assert_eq!(client.get("/api/session").await.status, 200);
    assert_eq!(client.get(TAGS).await.status, 502);
    assert_eq!(client.get(TAGS).await.status, 200);
    let injected = simulator.injected_faults();
    assert_eq!(injected.len(), 1);
    assert_eq!(
        (injected[0].vcenter.as_str(), injected[0].operation.as_str()),
        ("vc1", "REST GET /api/cis/tagging/tag")
    );
    // Calls that were not executed are counted all the same.
    assert_eq!(vcenter.calls().calls["REST GET /api/cis/tagging/tag"], 2);
    simulator.shutdown().await;
}

#[tokio::test]
async fn the_cloud_fails_too() {
    let simulator = start().await;
    let vmc = simulator.vmc().unwrap();
    let http = http(simulator.ca_pem());
    let exchange = || {
        let form = [("grant_type", "refresh_token"), ("refresh_token", vmc.refresh_token())];
        http.post(format!("{}/csp/gateway/am/api/auth/api-tokens/authorize", vmc.url())).form(&form)
    };
    simulator.add_faults([FaultRule::once("csp-authorize", FaultEffect::Status { code: 429 })]);
    assert_eq!(Answer::of(exchange()).await.status, 429);
    let token = Answer::of(exchange()).await.json()["access_token"].as_str().unwrap().to_owned();
    let list = || {
        let url = format!("{}/vmc/api/orgs/{}/sddcs", vmc.url(), vmc.org_id());
        http.get(url).header("csp-auth-token", &token)
    };
    simulator.add_faults([
        FaultRule::once("list-sddcs", FaultEffect::ResetMiddle),
        FaultRule { skip: 1, ..FaultRule::once("list-sddcs", FaultEffect::Truncate) },
        FaultRule { skip: 3, ..FaultRule::once("list-sddcs", FaultEffect::ExpireSession) },
    ]);
    assert!(list().send().await.unwrap().text().await.is_err());
    let half = Answer::of(list()).await;
    assert!(half.status == 200 && serde_json::from_str::<Value>(&half.text).is_err(), "{}", half.text);
    assert_eq!(Answer::of(list()).await.status, 200);
    assert_eq!(Answer::of(list()).await.status, 401);
    assert_eq!(Answer::of(list()).await.status, 401);
    assert!(simulator.injected_faults().iter().all(|fault| fault.vcenter == "vmc"));
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_seed_replays_and_every_operation_of_the_list_exists() {
    assert_eq!(from_seed(17), from_seed(17));
    assert_ne!(from_seed(17), from_seed(18));
    // What the list names must be what calls are named: otherwise a generated rule never hits.
    let simulator = start().await;
    let vcenter = &simulator.vcenters()[0];
    let mut client = Rest::logged_in(vcenter).await;
    let vmc = simulator.vmc().unwrap();
    let url = |operation: &str| {
        let (_, path) = operation.split_once(' ').unwrap();
        path.replace("{id}", "x").replace("tagging/*", "tagging/tag")
    };
    for operation in OPERATIONS.iter().filter(|operation| operation.contains(" /")) {
        simulator.clear_faults();
        simulator.add_faults([FaultRule::once(operation, FaultEffect::Status { code: 418 })]);
        let call = match operation.split_once(' ').unwrap() {
            ("REST" | "CSP" | "VMC", call) => call,
            _ => operation,
        };
        let (method, _) = call.split_once(' ').unwrap();
        let cloud = operation.starts_with("CSP") || operation.starts_with("VMC");
        client.url = if cloud { vmc.url() } else { vcenter.url() };
        let answer = Answer::of(client.request(method, &url(call))).await;
        assert_eq!(answer.status, 418, "{operation}");
    }
    assert!(effects().len() > 20);
    simulator.shutdown().await;
}
