//! SSM as agents see it: registration, role tokens and the sign of life.

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use vmbridge_simulator::{Aws, AwsConfig, AwsMutation};

use crate::aws_client::{Answer, Signer, end, start};

/// The node's side.
struct Agent {
    key: KeyPair,
    node: String,
}

impl Agent {
    fn new() -> Self {
        Self { key: KeyPair::generate(KeySize::Rsa2048).unwrap(), node: String::new() }
    }

    fn public(&self) -> String {
        let der: PublicKeyX509Der<'_> = self.key.public_key().as_der().unwrap();
        STANDARD.encode(der.as_ref())
    }

    async fn register(&self, signer: &Signer, id: &str, code: &str) -> Answer {
        let input = json!({ "ActivationId": id, "ActivationCode": code, "Fingerprint": "f", "PublicKey": self.public(),
            "PublicKeyType": "Rsa" });
        unsigned(signer, "RegisterManagedInstance", &input).await
    }

    async fn registered(mut self, signer: &Signer, aws: &Aws) -> Self {
        let (id, code) = activation(aws, &json!({}));
        let answer = self.register(signer, &id, &code).await.good();
        answer["InstanceId"].as_str().unwrap().clone_into(&mut self.node);
        self
    }

    /// Asks for the role token, signed in this way as this node.
    async fn token(
        &self,
        signer: &Signer,
        node: &str,
        fingerprint: &str,
        way: &'static dyn RsaEncoding,
    ) -> Answer {
        let body = json!({ "Fingerprint": fingerprint }).to_string();
        let extra = [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "AmazonSSM.RequestManagedInstanceRoleToken"),
        ];
        let text = signer.text("ssm", "POST", "/", &extra, &body);
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(way, &SystemRandom::new(), text.to_sign.as_bytes(), &mut signature).unwrap();
        let signature = STANDARD.encode(signature);
        Answer::of(signer.signed(&text, ("POST", "/"), (node, &signature), &body)).await.unwrap()
    }

    /// Somebody who signs with what the token gives.
    async fn credentials(&self, signer: &Signer) -> Signer {
        let token = self.token(signer, &self.node, "f", &RSA_PSS_SHA256).await.good();
        let text = |name: &str| token[name].as_str().unwrap().to_owned();
        Signer {
            key: text("AccessKeyId"),
            secret: text("SecretAccessKey"),
            token: Some(text("SessionToken")),
            ..signer.clone()
        }
    }
}

async fn unsigned(signer: &Signer, operation: &str, input: &Value) -> Answer {
    let request = signer
        .http
        .post(&signer.url)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("AmazonSSM.{operation}"));
    Answer::of(request.body(input.to_string())).await.unwrap()
}

/// Makes an activation and gives its id and code.
fn activation(aws: &Aws, more: &Value) -> (String, String) {
    let mut mutation = json!({ "op": "addActivation", "tags": { "Patch Group": "web" } });
    mutation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mutation: AwsMutation = serde_json::from_value(mutation).unwrap();
    let id = aws.mutate(&mutation).unwrap().unwrap();
    let account = aws.accounts()[0].id.clone();
    let all = aws.activations(&account, "eu-central-1");
    let code = all.into_iter().find(|one| one.activation_id == id).unwrap().activation_code;
    (id, code)
}

#[tokio::test]
async fn only_a_good_activation_registers_and_only_as_often_as_it_may() {
    let (simulator, aws) = start(1, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let (id, code) = activation(&aws, &json!({}));
    let agent = Agent::new();
    let unknown = "00000000-0000-0000-0000-000000000000";
    agent.register(&signer, unknown, &code).await.refused("InvalidActivation");
    agent.register(&signer, &id, "00000000000000000000").await.refused("InvalidActivation");
    agent.register(&signer, &id, "short").await.refused("ValidationException");
    let (expired, its_code) = activation(&aws, &json!({ "expiresInSeconds": -1 }));
    agent.register(&signer, &expired, &its_code).await.refused("ActivationExpired");
    let rubbish = json!({ "ActivationId": id, "ActivationCode": code, "Fingerprint": "f", "PublicKey": "A".repeat(392) });
    unsigned(&signer, "RegisterManagedInstance", &rubbish).await.refused("InvalidPublicKey");

    let answer = agent.register(&signer, &id, &code).await.good();
    let node = answer["InstanceId"].as_str().unwrap();
    agent.register(&signer, &id, &code).await.refused("RegistrationLimitExceeded");
    assert_eq!(STANDARD.encode(aws.public_key(node).unwrap()), agent.public());
    assert_eq!(aws.tags(node).unwrap()["Patch Group"], "web");
    let nodes = aws.nodes(&aws.accounts()[0].id, "eu-central-1");
    assert_eq!((nodes[0].ping_status.as_str(), nodes[0].activation_id.as_ref()), ("Inactive", Some(&id)));
    let (deleted, its_code) = activation(&aws, &json!({}));
    aws.mutate(&AwsMutation::RemoveActivation { activation: deleted.clone() }).unwrap();
    agent.register(&signer, &deleted, &its_code).await.refused("InvalidActivation");
    end(simulator, &aws).await;
}

#[tokio::test]
async fn a_node_proves_itself_with_its_own_key_and_speaks_for_itself_only() {
    let (simulator, aws) = start(1, AwsConfig::default()).await;
    let signer = Signer::new(&aws);
    let agent = Agent::new().registered(&signer, &aws).await;
    let other = Agent::new().registered(&signer, &aws).await;
    let pss = &RSA_PSS_SHA256;
    other.token(&signer, &agent.node, "f", pss).await.refused("InvalidSignatureException");
    agent.token(&signer, &agent.node, "f", &RSA_PKCS1_SHA256).await.refused("InvalidSignatureException");
    agent.token(&signer, &agent.node, "another", pss).await.refused("MachineFingerprintDoesNotMatch");
    agent.token(&signer, "mi-00000000000000000", "f", pss).await.refused("UnrecognizedClientException");
    let late = Signer { skew: -400, ..signer.clone() };
    agent.token(&late, &agent.node, "f", pss).await.refused("InvalidSignatureException");
    let elsewhere = Signer { region: "us-east-1".to_owned(), ..signer.clone() };
    agent.token(&elsewhere, &agent.node, "f", pss).await.refused("UnrecognizedClientException");

    let inform = |node: &str| {
        json!({ "InstanceId": node, "AgentName": "amazon-ssm-agent", "AgentStatus": "Active", "AgentVersion": "3.3.1.0",
            "ComputerName": "web-01", "IPAddress": "192.0.2.7", "PlatformType": "Linux", "PlatformName": "Debian GNU/Linux",
            "PlatformVersion": "12", "SSMConnectionChannel": "" })
    };
    let status = |node: &str| {
        let nodes = aws.nodes(&aws.accounts()[0].id, "eu-central-1");
        nodes.into_iter().find(|one| one.instance_id == node).unwrap().ping_status
    };
    let operation = "UpdateInstanceInformation";
    unsigned(&signer, operation, &inform(&agent.node)).await.refused("MissingAuthenticationTokenException");
    signer.call("ssm", operation, inform(&agent.node)).await.refused("AccessDeniedException");
    let own = agent.credentials(&signer).await;
    own.call("ssm", operation, inform(&other.node)).await.refused("AccessDeniedException");
    let forged = Signer { secret: "wrong".to_owned(), ..own.clone() };
    forged.call("ssm", operation, inform(&agent.node)).await.refused("InvalidSignatureException");
    own.call("ssm", operation, json!({ "InstanceId": agent.node, "Bogus": 1 }))
        .await
        .refused("ValidationException");
    assert_eq!(status(&agent.node), "Inactive");
    own.call("ssm", operation, inform(&agent.node)).await.good();
    assert_eq!((status(&agent.node), status(&other.node)), ("Online".to_owned(), "Inactive".to_owned()));
    let none = own.call("ssm", "ListInstanceAssociations", json!({ "InstanceId": agent.node })).await.good();
    assert_eq!(none, json!({ "Associations": [] }));

    // What is told of both fits the service model, also of the one that has told nothing yet.
    let told = signer.call("ssm", "DescribeInstanceInformation", json!({})).await.good();
    let list = told["InstanceInformationList"].as_array().unwrap();
    let silent = list.iter().find(|one| one["InstanceId"] == *other.node).unwrap();
    assert!(silent.get("ComputerName").is_none() && silent["PingStatus"] == "Inactive", "{silent:#}");

    aws.mutate(&AwsMutation::RemoveNode { node: agent.node.clone() }).unwrap();
    own.call("ssm", operation, inform(&agent.node)).await.refused("InvalidInstanceId");
    agent.token(&signer, &agent.node, "f", pss).await.refused("UnrecognizedClientException");
    end(simulator, &aws).await;
}
