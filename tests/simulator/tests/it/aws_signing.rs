//! Signatures, sessions and protocols.

use serde_json::json;
use vmbridge_simulator::{
    AwsAccount, AwsConfig, AwsMutation, AwsRole, NodeSeeding, Simulator, SimulatorConfig, StartError,
};

use crate::aws_client::{Signer, end, start};

fn two_accounts() -> AwsConfig {
    let mut second = AwsAccount::numbered(2);
    let first = AwsAccount::numbered(1).id;
    second.roles = vec![
        AwsRole { name: "open".into(), trusts: vec![first.clone()], external_id: None },
        AwsRole { name: "guarded".into(), trusts: vec![first], external_id: Some("secret-word".into()) },
        AwsRole { name: "closed".into(), trusts: vec!["123456789012".into()], external_id: None },
    ];
    AwsConfig { accounts: vec![AwsAccount::numbered(1), second], ..AwsConfig::default() }
}

#[tokio::test]
async fn only_who_signs_with_the_right_secret_now_is_believed() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let good = Signer::new(&aws);
    for (service, operation, unknown, wrong) in [
        ("ssm", "DescribeActivations", "UnrecognizedClientException", "InvalidSignatureException"),
        ("tagging", "GetResources", "UnrecognizedClientException", "InvalidSignatureException"),
        ("securityhub", "DescribeHub", "UnrecognizedClientException", "InvalidSignatureException"),
        ("sts", "GetCallerIdentity", "InvalidClientTokenId", "SignatureDoesNotMatch"),
    ] {
        let call = |signer: Signer| async move { signer.call(service, operation, json!({})).await };
        assert_eq!(call(good.clone()).await.status, 200, "{service}");
        call(Signer { secret: "wrong".into(), ..good.clone() }).await.refused(wrong);
        call(Signer { key: "AKIAUNKNOWN000000000".into(), ..good.clone() }).await.refused(unknown);
        call(Signer { token: Some("a token".into()), ..good.clone() }).await.refused(unknown);
        for skew in [-301, 305] {
            call(Signer { skew, ..good.clone() }).await.refused(wrong);
        }
        assert_eq!(call(Signer { skew: -290, ..good.clone() }).await.status, 200);
        // Signed for another service.
        let other = if service == "ssm" { "sts" } else { "ssm" };
        let mut request = good.prepare(service, operation, &json!({})).build().unwrap();
        let signed = good.prepare(other, "X", &json!({})).build().unwrap();
        request.headers_mut().insert("authorization", signed.headers()["authorization"].clone());
        assert!(good.http.execute(request).await.unwrap().status().as_u16() >= 400);
        // Changed on its way.
        let mut request = good.prepare(service, operation, &json!({})).build().unwrap();
        request.headers_mut().insert("x-amz-user-agent", "unsigned".parse().unwrap());
        assert!(good.http.execute(request).await.unwrap().status().as_u16() >= 400);
    }
    let there = Signer { region: "us-east-1".into(), ..good.clone() };
    there.ssm("DescribeActivations", json!({})).await.good();
    let elsewhere = Signer { region: "ap-south-2".into(), ..good.clone() };
    elsewhere.ssm("DescribeActivations", json!({})).await.refused("UnrecognizedClientException");
    good.ssm("ListDocuments", json!({})).await.refused("UnknownOperationException");
    good.call("sts", "GetFederationToken", json!({})).await.refused("InvalidAction");
    let bare = good.http.post(&good.url).header("x-amz-target", "AmazonSSM.DescribeActivations").send().await;
    let bare = bare.unwrap().text().await.unwrap();
    assert!(bare.contains("MissingAuthenticationTokenException"), "{bare}");
    end(simulator, &aws).await;
}

#[tokio::test]
async fn roles_are_assumed_by_those_whom_they_trust() {
    let (simulator, aws) = start(2, two_accounts()).await;
    let first = Signer::new(&aws);
    let second = &aws.accounts()[1];
    let asked = |role: &str| json!({ "RoleArn": second.role_arn(role), "RoleSessionName": "test" });
    let session = first.assume(asked("open")).await;
    let who = session.call("sts", "GetCallerIdentity", json!({})).await.text;
    assert!(who.contains(&format!("<Arn>arn:aws:sts::{}:assumed-role/open/test</Arn>", second.id)), "{who}");
    for role in ["closed", "nobody", "guarded"] {
        first.call("sts", "AssumeRole", asked(role)).await.refused("AccessDenied");
    }
    let mut with_word = asked("guarded");
    with_word["ExternalId"] = "wrong-word".into();
    first.call("sts", "AssumeRole", with_word.clone()).await.refused("AccessDenied");
    with_word["ExternalId"] = "secret-word".into();
    first.assume(with_word.clone()).await;
    Signer::of_account(&aws, 1).call("sts", "AssumeRole", asked("open")).await.refused("AccessDenied");
    with_word["DurationSeconds"] = "899".into();
    first.call("sts", "AssumeRole", with_word).await.refused("ValidationError");

    // What the session sees is the other account's.
    let made = AwsMutation::AddNode {
        account: Some(second.id.clone()),
        region: None,
        vm: None,
        computer_name: None,
        ip_address: None,
        platform_type: None,
        activation: None,
        tags: [("Site".to_owned(), "Bonn".to_owned())].into(),
    };
    aws.mutate(&made).unwrap();
    let nodes = |signer: Signer| async move {
        signer.all("ssm", "DescribeInstanceInformation", json!({}), "InstanceInformationList").await.len()
    };
    assert_eq!((nodes(first.clone()).await, nodes(session.clone()).await), (0, 1));
    let without = Signer { token: None, ..session.clone() };
    without.ssm("DescribeActivations", json!({})).await.refused("UnrecognizedClientException");
    aws.mutate(&AwsMutation::ExpireSessions).unwrap();
    session.ssm("DescribeActivations", json!({})).await.refused("ExpiredTokenException");
    session.call("sts", "GetCallerIdentity", json!({})).await.refused("ExpiredToken");
    end(simulator, &aws).await;
}

#[tokio::test]
async fn a_configuration_that_contradicts_itself_is_refused() {
    let with = |change: &dyn Fn(&mut AwsConfig)| {
        let mut config = two_accounts();
        change(&mut config);
        let config = SimulatorConfig { aws: Some(config), ..SimulatorConfig::single(2, 1) };
        async move { Simulator::start(config).await.map(|_| ()) }
    };
    assert!(with(&|_| ()).await.is_ok());
    let places = vec![("111122220001".to_owned(), "mars-north-1".to_owned())];
    for change in [
        &(|config: &mut AwsConfig| config.accounts.clear()) as &dyn Fn(&mut AwsConfig),
        &|config| config.accounts[0].id = "12".into(),
        &|config| config.accounts[1].id = config.accounts[0].id.clone(),
        &|config| config.accounts[1].access_key_id = config.accounts[0].access_key_id.clone(),
        &|config| config.accounts[0].regions.clear(),
        &|config| config.nodes = Some(NodeSeeding { places: places.clone(), ..NodeSeeding::default() }),
    ] {
        assert!(matches!(with(change).await, Err(StartError::Config(_))));
    }
}

#[tokio::test]
async fn a_request_in_another_form_than_the_protocols_is_refused() {
    let (simulator, aws) = start(2, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let (json, target) = ("application/x-amz-json-1.1", "AmazonSSM.DescribeActivations");
    for (method, path, kind, body, status) in [
        ("POST", "/", json, "{}", 200),
        ("POST", "/", json, "", 200),
        ("GET", "/", json, "", 404),
        ("POST", "/x", json, "{}", 404),
        ("POST", "/", "application/json", "{}", 404),
        ("POST", "/", json, "{", 400),
        ("POST", "/", json, "[]", 400),
        ("POST", "/", json, "<a/>", 400),
    ] {
        let headers = [("content-type", kind), ("x-amz-target", target)];
        let answer = signer.request("ssm", method, path, &headers, body).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{method} {path} {kind} {body}");
    }
    let form = [("content-type", "application/x-www-form-urlencoded")];
    for (body, code) in [
        ("Action=GetCallerIdentity&Version=2011-06-15", ""),
        ("Action=GetCallerIdentity&Version=2010-01-01", "InvalidAction"),
        ("Action=GetCallerIdentity&Version=2011-06-15&Colour=red", "ValidationError"),
        ("Action=GetCallerIdentity&Version=2011-06-15&Version=2011-06-15", "MalformedQueryString"),
    ] {
        let answer =
            signer.request("sts", "POST", "/", &form, body).send().await.unwrap().text().await.unwrap();
        assert_eq!(answer.contains("<Code>"), !code.is_empty(), "{body}: {answer}");
        assert!(answer.contains(code), "{body}: {answer}");
    }
    end(simulator, &aws).await;
}
