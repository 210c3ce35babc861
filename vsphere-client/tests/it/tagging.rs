//! Tags over REST, in both dialects.

use std::collections::BTreeMap;

use secrecy::SecretString;
use vmbridge_simulator::{FaultEffect, FaultRule, Mutation, Release, Simulator, SimulatorConfig, User};
use vsphere_client::http::{self, HttpOptions};
use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::rest::{Credentials, RestClient, RestOptions};

use super::live::trust;

async fn simulator(release: Release, vms: usize) -> Simulator {
    let mut config = SimulatorConfig::single(vms, 5);
    config.vcenters[0].version = release;
    Simulator::start(config).await.unwrap()
}

fn client(simulator: &Simulator) -> RestClient {
    let vcenter = &simulator.vcenters()[0];
    let http = http::client(&trust(simulator), &HttpOptions::default()).unwrap();
    let password = SecretString::from(vcenter.password().to_owned());
    let credentials = Credentials { username: vcenter.username().to_owned(), password };
    RestClient::new(vcenter.url().parse().unwrap(), http, credentials, RestOptions::default())
}

fn vms(simulator: &Simulator) -> Vec<MoRef> {
    simulator.vcenters()[0].vm_ids().iter().map(|id| MoRef::of(MoKind::VirtualMachine, id)).collect()
}

/// The tags of each VM that has any, as `Category:Name`.
async fn read(client: &RestClient, vms: &[MoRef]) -> BTreeMap<String, Vec<String>> {
    let snapshot = client.read_all(vms).await.unwrap();
    let name = |id| snapshot.names(id).map(|(category, tag)| format!("{category}:{tag}"));
    let named = snapshot.attachments.iter().map(|(vm, tags)| {
        let mut names: Vec<_> = tags.iter().filter_map(name).collect();
        names.sort();
        (vm.value().to_owned(), names)
    });
    named.filter(|(_, names)| !names.is_empty()).collect()
}

fn truth(simulator: &Simulator) -> BTreeMap<String, Vec<String>> {
    let truth = simulator.vcenters()[0].truth();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let vms = truth["vms"].as_array().unwrap().iter().map(|vm| {
        let tags = vm["tags"].as_array().unwrap().iter();
        let mut names: Vec<_> =
            tags.map(|tag| format!("{}:{}", text(&tag["category"]), text(&tag["name"]))).collect();
        names.sort();
        (text(&vm["id"]), names)
    });
    vms.filter(|(_, names)| !names.is_empty()).collect()
}

#[tokio::test]
async fn a_whole_fleet_is_read_in_few_calls_in_either_dialect() {
    for (release, session) in [
        (Release::V6_7, "REST POST /rest/com/vmware/cis/session"),
        (Release::V8_0U3, "REST POST /api/session"),
    ] {
        let simulator = simulator(release, 3_500).await;
        let vcenter = &simulator.vcenters()[0];
        let client = client(&simulator);
        let expected = truth(&simulator);
        assert!(expected.len() > 1_000);
        assert_eq!(read(&client, &vms(&simulator)).await, expected, "{release:?}");
        let calls = vcenter.calls();
        assert_eq!(calls.calls[session], 1);
        let tags = vcenter.truth()["tags"].as_array().unwrap().len() as u64;
        let categories = vcenter.truth()["categories"].as_array().unwrap().len() as u64;
        // Four batches of a thousand, each tag and category once, and finding out the dialect.
        assert!(calls.total <= 4 + tags + categories + 3, "{calls:?}");
        assert!(calls.peak_in_flight <= 4, "{calls:?}");
        vcenter.reset_calls();
        assert_eq!(read(&client, &vms(&simulator)).await, expected);
        assert_eq!(vcenter.calls().total, 4, "names are remembered");
        client.close().await.unwrap();
        assert_eq!(vcenter.sessions().open, 0);
    }
}

#[tokio::test]
async fn sessions_that_end_and_objects_that_go_are_got_over() {
    let simulator = simulator(Release::V8_0U3, 300).await;
    let vcenter = &simulator.vcenters()[0];
    let client = client(&simulator);
    let all = vms(&simulator);
    client.list_tags().await.unwrap();
    vcenter.terminate_sessions();
    simulator
        .add_faults([FaultRule::once("list-attached-tags-on-objects", FaultEffect::Status { code: 503 })]);
    vcenter.mutate(&Mutation::Remove { id: all[7].value().to_owned() }).unwrap();
    assert_eq!(read(&client, &all).await, truth(&simulator));
    assert_eq!(vcenter.sessions().opened, 2);
}

#[tokio::test]
async fn tags_are_found_by_name_also_after_they_were_renamed() {
    let simulator = simulator(Release::V8_0U3, 50).await;
    let vcenter = &simulator.vcenters()[0];
    let client = client(&simulator);
    let mutate = |mutation: Mutation| vcenter.mutate(&mutation).unwrap();
    for category in ["one", "two"] {
        mutate(Mutation::CreateCategory { name: category.into(), single: false });
        mutate(Mutation::CreateTag { category: category.into(), name: "same".into() });
    }
    let found = client.tags_named("same").await.unwrap();
    assert_eq!(found.len(), 2, "names are unique in a category only");
    let vm = vms(&simulator)[3].clone();
    mutate(Mutation::AttachTag { id: vm.value().into(), tag: "two:same".into() });
    let objects = client.attached_objects_on_tags(&found).await.unwrap();
    let having: Vec<_> = objects.into_iter().flat_map(|(_, objects)| objects).collect();
    assert_eq!(having, [vm]);
    mutate(Mutation::RenameTag { tag: "two:same".into(), name: "other".into() });
    client.forget_names();
    assert_eq!(client.tags_named("same").await.unwrap().len(), 1);
    assert_eq!(client.tags_named("other").await.unwrap().len(), 1);
    assert_eq!(client.tags_named("nobody").await.unwrap(), []);
}

#[tokio::test]
async fn a_refusal_says_what_was_refused() {
    let mut config = SimulatorConfig::single(5, 5);
    let mut reader = User::read_only("reader", "secret");
    reader.tagging = false;
    config.vcenters[0].users = vec![reader];
    let simulator = Simulator::start(config).await.unwrap();
    let error = client(&simulator).list_tags().await.unwrap_err();
    assert!(error.is_not_permitted() && !error.is_login_refused(), "{}", error.line());
    let vcenter = &simulator.vcenters()[0];
    let http = http::client(&trust(&simulator), &HttpOptions::default()).unwrap();
    let credentials =
        Credentials { username: "reader".into(), password: SecretString::from("wrong-password".to_owned()) };
    let wrong = RestClient::new(vcenter.url().parse().unwrap(), http, credentials, RestOptions::default());
    let error = wrong.list_tags().await.unwrap_err();
    assert!(error.is_login_refused(), "{}", error.line());
    assert!(!error.line().contains("wrong-password"));
    let made: u64 =
        vcenter.calls().calls.iter().filter(|(call, _)| call.starts_with("REST POST")).map(|(_, n)| n).sum();
    assert_eq!(made, 2, "a refused password is not tried again: {:?}", vcenter.calls());
}
