//! Sessions and tagging over REST, in both dialects.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use vmbridge_simulator::{Mutation, Release, Simulator, SimulatorConfig, User, Vcenter};

use crate::client::Client;
use crate::json::{Answer, Rest};

const ON_OBJECTS: &str = "/api/cis/tagging/tag-association?action=list-attached-tags-on-objects";
const ON_TAGS: &str = "/api/cis/tagging/tag-association?action=list-attached-objects-on-tags";
const LEGACY: &str = "/rest/com/vmware/cis";

fn object_ids(ids: &[String]) -> Value {
    let ids: Vec<Value> = ids.iter().map(|id| json!({ "type": "VirtualMachine", "id": id })).collect();
    json!({ "object_ids": ids })
}

/// Tags of each VM that has some, from the ground truth.
fn expected(vcenter: &Vcenter) -> BTreeMap<String, BTreeSet<String>> {
    let truth = vcenter.truth();
    let vms = truth["vms"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let tags = |vm: &Value| vm["tags"].as_array().unwrap().iter().map(|t| text(&t["id"])).collect();
    let all: BTreeMap<String, BTreeSet<String>> = vms.map(|vm| (text(&vm["id"]), tags(vm))).collect();
    all.into_iter().filter(|(_, tags)| !tags.is_empty()).collect()
}

fn told(answer: &Value) -> BTreeMap<String, BTreeSet<String>> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let rows = answer.as_array().unwrap().iter();
    let of = |row: &Value| {
        assert_eq!(row["object_id"]["type"], "VirtualMachine");
        let tags = row["tag_ids"].as_array().unwrap().iter().map(text).collect();
        (text(&row["object_id"]["id"]), tags)
    };
    rows.map(of).collect()
}

/// An error of the newer interface.
fn assert_error(answer: &Answer, status: u16, kind: &str) {
    assert_eq!(answer.status, status, "{}", answer.text);
    let body = answer.json();
    assert_eq!(body["error_type"], kind, "{body}");
    assert!(body["messages"][0]["default_message"].is_string(), "{body}");
}

#[tokio::test]
async fn a_session_begins_is_told_about_and_ends() {
    let simulator = Simulator::start(SimulatorConfig::single(3, 1)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let stranger = Rest::new(vcenter);
    assert_error(&stranger.get("/api/session").await, 401, "UNAUTHENTICATED");
    let wrong = stranger.login("/api/session", vcenter.username(), "wrong").await;
    assert_error(&wrong, 401, "UNAUTHENTICATED");
    assert!(wrong.headers.contains_key("www-authenticate"));
    assert_error(&Answer::of(stranger.request("POST", "/api/session")).await, 401, "UNAUTHENTICATED");

    let client = Rest::logged_in(vcenter).await;
    let soap = Client::logged_in(vcenter).await;
    let about = client.get("/api/session").await.json();
    assert_eq!(about["user"], vcenter.username());
    assert!(about["created_time"].is_string() && about["last_accessed_time"].is_string());
    let counts = vcenter.sessions();
    assert_eq!((counts.open, counts.open_rest, counts.opened, counts.refused), (2, 1, 2, 1));

    // A session of one interface is none of the other.
    let cookie = soap.cookie.as_deref().unwrap().split('"').nth(1).unwrap().to_owned();
    let borrowed = Rest { session: Some(cookie), ..client.clone() };
    assert_error(&borrowed.get("/api/session").await, 401, "UNAUTHENTICATED");
    let mut thief = soap.clone();
    thief.cookie = Some(format!("vmware_soap_session=\"{}\"", client.session.as_deref().unwrap()));
    let refused = thief.call("CurrentTime", "ServiceInstance", "").await;
    assert_eq!(refused.fault(), Some("NotAuthenticated"), "{}", refused.body);

    let gone = Answer::of(client.request("DELETE", "/api/session")).await;
    assert_eq!((gone.status, gone.text.as_str()), (204, ""));
    assert_error(&client.get("/api/cis/tagging/tag").await, 401, "UNAUTHENTICATED");
    let again = Answer::of(client.request("DELETE", "/api/session")).await;
    assert_error(&again, 401, "UNAUTHENTICATED");
    let counts = vcenter.sessions();
    assert_eq!((counts.open, counts.open_rest, counts.logged_out), (1, 0, 1));
    simulator.shutdown().await;
}

#[tokio::test]
async fn sessions_expire_and_are_limited_together_with_those_of_soap() {
    let mut config = SimulatorConfig::single(3, 1);
    config.vcenters[0].idle_timeout = Duration::from_millis(1500);
    config.vcenters[0].max_sessions = 2;
    let simulator = Simulator::start(config).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let _soap = Client::logged_in(vcenter).await;
    let client = Rest::logged_in(vcenter).await;
    let (user, password) = (vcenter.username(), vcenter.password());
    assert_error(&client.login("/api/session", user, password).await, 503, "SERVICE_UNAVAILABLE");
    // Use keeps it alive beyond the time-out; silence does not.
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(client.get("/api/session").await.status, 200);
    }
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_error(&client.get("/api/session").await, 401, "UNAUTHENTICATED");
    let counts = vcenter.sessions();
    assert_eq!((counts.open, counts.expired, counts.peak), (0, 2, 2));
    assert_eq!(client.login("/api/session", user, password).await.status, 201);
    assert_eq!(vcenter.terminate_sessions(), 1);
    simulator.shutdown().await;
}

#[tokio::test]
async fn tags_are_those_of_the_truth_and_follow_changes() {
    let simulator = Simulator::start(SimulatorConfig::single(60, 4)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let client = Rest::logged_in(vcenter).await;
    let truth = vcenter.truth();
    for (what, key) in [("tag", "tags"), ("category", "categories")] {
        let ids = client.get(&format!("/api/cis/tagging/{what}")).await.json();
        let ids: BTreeSet<&str> = ids.as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
        let wanted = truth[key].as_array().unwrap();
        assert_eq!(ids, wanted.iter().map(|one| one["id"].as_str().unwrap()).collect());
        for one in wanted {
            let id = one["id"].as_str().unwrap();
            let read = client.get(&format!("/api/cis/tagging/{what}/{id}")).await.json();
            assert_eq!((&read["id"], &read["name"]), (&one["id"], &one["name"]));
            match what {
                "tag" => assert_eq!(read["category_id"], one["categoryId"]),
                _ => assert_eq!(read["cardinality"], one["cardinality"]),
            }
        }
    }
    let vms = vcenter.vm_ids();
    let answer = client.post(ON_OBJECTS, &object_ids(&vms)).await;
    assert_eq!(told(&answer.json()), expected(vcenter));

    let tag = vcenter.truth()["tags"][0]["id"].as_str().unwrap().to_owned();
    let by_tag = client.post(ON_TAGS, &json!({ "tag_ids": [tag, "urn:vmomi:no:such:tag"] })).await.json();
    let objects: BTreeSet<&str> =
        by_tag[0]["object_ids"].as_array().unwrap().iter().map(|o| o["id"].as_str().unwrap()).collect();
    let all = expected(vcenter);
    let carriers: BTreeSet<&str> =
        all.iter().filter(|(_, tags)| tags.contains(&tag)).map(|(vm, _)| vm.as_str()).collect();
    assert!(!carriers.is_empty());
    assert_eq!((objects, by_tag.as_array().unwrap().len()), (carriers.clone(), 1));

    let vm = (*carriers.iter().next().unwrap()).to_owned();
    vcenter.mutate(&Mutation::DetachTag { id: vm.clone(), tag: tag.clone() }).unwrap();
    vcenter.mutate(&Mutation::Remove { id: vms[20].clone() }).unwrap();
    let after = told(&client.post(ON_OBJECTS, &object_ids(&vms)).await.json());
    assert_eq!(after, expected(vcenter));
    assert!(!after.get(&vm).is_some_and(|tags| tags.contains(&tag)) && !after.contains_key(&vms[20]));
    simulator.shutdown().await;
}

#[tokio::test]
async fn refuses_what_the_tagging_service_refuses() {
    let simulator = Simulator::start(SimulatorConfig::single(5, 1)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let client = Rest::logged_in(vcenter).await;
    let many = |n: usize| object_ids(&(0..n).map(|at| format!("vm-{at}")).collect::<Vec<_>>());
    assert_eq!(client.post(ON_OBJECTS, &many(2000)).await.status, 200);
    assert_error(&client.post(ON_OBJECTS, &many(2001)).await, 400, "INVALID_ARGUMENT");
    for body in [json!({}), json!([]), json!({ "object_ids": [{ "id": "vm-1" }] }), json!({ "objects": [] })]
    {
        assert_error(&client.post(ON_OBJECTS, &body).await, 400, "INVALID_ARGUMENT");
    }
    let form = Answer::of(client.request("POST", ON_OBJECTS).form(&[("object_ids", "vm-1")])).await;
    assert_error(&form, 415, "INVALID_REQUEST");
    let unknown = client.get("/api/cis/tagging/tag/urn:vmomi:InventoryServiceTag:x:GLOBAL").await;
    assert_error(&unknown, 404, "NOT_FOUND");
    assert_error(&client.get("/api/cis/tagging/tags").await, 404, "NOT_FOUND");
    let legacy_action = ON_OBJECTS.replace("?action", "?~action");
    assert_error(&client.post(&legacy_action, &many(1)).await, 404, "OPERATION_NOT_FOUND");
    let put = Answer::of(client.request("PUT", "/api/cis/tagging/tag")).await;
    assert_error(&put, 404, "OPERATION_NOT_FOUND");
    // An object of that number but of another type is none.
    let host = vcenter.ids_of("HostSystem")[0].clone();
    assert_eq!(client.post(ON_OBJECTS, &object_ids(&[host])).await.json(), json!([]));
    simulator.shutdown().await;
}

#[tokio::test]
async fn a_user_sees_tags_only_where_it_may() {
    let simulator = Simulator::start(SimulatorConfig::single(40, 2)).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let tagged: Vec<String> = expected(vcenter).into_keys().collect();
    let mut some = User::read_only("some@vsphere.local", "p");
    some.scope = Some(vec![tagged[0].clone()]);
    let mut none = User::read_only("none@vsphere.local", "p");
    none.tagging = false;
    vcenter.set_user(some);
    vcenter.set_user(none);
    for (user, seen) in [("some@vsphere.local", Some(1)), ("none@vsphere.local", None)] {
        let mut client = Rest::new(vcenter);
        let session = client.login("/api/session", user, "p").await.json();
        client.session = session.as_str().map(str::to_owned);
        let answer = client.post(ON_OBJECTS, &object_ids(&tagged)).await;
        match seen {
            Some(count) => assert_eq!(answer.json().as_array().unwrap().len(), count),
            None => assert_error(&answer, 403, "UNAUTHORIZED"),
        }
    }
    simulator.shutdown().await;
}

#[tokio::test]
async fn the_older_interface_says_the_same_in_its_own_words() {
    let mut config = SimulatorConfig::single(30, 4);
    config.vcenters[0].version = Release::V6_7;
    let simulator = Simulator::start(config).await.unwrap();
    let vcenter = &simulator.vcenters()[0];
    let mut client = Rest::new(vcenter);
    let (user, password) = (vcenter.username(), vcenter.password());
    let session = format!("{LEGACY}/session");
    // There is nothing newer, and it does not speak vAPI there.
    let missing = client.login("/api/session", user, password).await;
    assert_eq!((missing.status, missing.text.contains("error_type")), (404, false));
    let refused = client.login(&session, user, "wrong").await;
    assert_eq!(
        (refused.status, &refused.json()["type"]),
        (401, &json!("com.vmware.vapi.std.errors.unauthenticated"))
    );
    assert!(refused.json()["value"]["messages"][0]["id"].is_string());

    let answer = client.login(&session, user, password).await;
    assert_eq!(answer.status, 200);
    let secret = answer.json()["value"].as_str().unwrap().to_owned();
    let cookie = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    let by_cookie = client.request("GET", &format!("{LEGACY}/tagging/tag")).header("cookie", cookie);
    assert_eq!(Answer::of(by_cookie).await.status, 200);
    client.session = Some(secret);
    let about = Answer::of(client.request("POST", &format!("{session}?~action=get"))).await;
    assert_eq!(about.json()["value"]["user"], user);

    let tags = client.get(&format!("{LEGACY}/tagging/tag")).await.json();
    let id = tags["value"][0].as_str().unwrap().to_owned();
    let tag = client.get(&format!("{LEGACY}/tagging/tag/id:{id}")).await.json();
    assert_eq!(tag["value"]["id"], json!(id));
    let category = tag["value"]["category_id"].as_str().unwrap();
    let category = client.get(&format!("{LEGACY}/tagging/category/id:{category}")).await.json();
    assert!(category["value"]["name"].is_string());
    let unknown = client.get(&format!("{LEGACY}/tagging/tag/id:nothing")).await;
    assert_eq!(
        (unknown.status, &unknown.json()["type"]),
        (404, &json!("com.vmware.vapi.std.errors.not_found"))
    );

    let path = format!("{LEGACY}/tagging/tag-association?~action=list-attached-tags-on-objects");
    let answer = client.post(&path, &object_ids(&vcenter.vm_ids())).await.json();
    assert_eq!(told(&answer["value"]), expected(vcenter));
    let gone = Answer::of(client.request("DELETE", &session)).await;
    assert_eq!((gone.status, vcenter.sessions().open), (200, 0));
    simulator.shutdown().await;
}
