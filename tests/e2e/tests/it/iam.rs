//! The policies of docs/iam.md, enforced: each is enough for its mode, and nothing in it could be left out.

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use vmbridge_e2e::estate::Estate;
use vmbridge_e2e::program::Ended;
use vmbridge_simulator::{AwsConfig, Mutation, Simulator, SimulatorConfig};

/// The policy under a heading of docs/iam.md.
pub(crate) fn documented(heading: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/iam.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, section) = text.split_once(&format!("## {heading}\n")).expect("the heading is there");
    let (_, block) = section.split_once("```json\n").expect("a policy is there");
    let (policy, _) = block.split_once("```").expect("the policy ends");
    serde_json::from_str(policy).unwrap()
}

fn actions(policy: &Value) -> Vec<String> {
    let statements = policy["Statement"].as_array().unwrap();
    let lists = statements.iter().map(|statement| match &statement["Action"] {
        Value::Array(many) => many.clone(),
        one => vec![one.clone()],
    });
    lists.flatten().map(|action| action.as_str().unwrap().to_owned()).collect()
}

pub(crate) fn without(policy: &Value, action: &str) -> Value {
    let mut policy = policy.clone();
    for statement in policy["Statement"].as_array_mut().unwrap() {
        let left: Vec<Value> = match &statement["Action"] {
            Value::Array(many) => many.iter().filter(|one| *one != action).cloned().collect(),
            one => Some(one).filter(|one| *one != action).cloned().into_iter().collect(),
        };
        // A statement has to be about something.
        statement["Action"] = if left.is_empty() { json!("none:AtAll") } else { left.into() };
    }
    policy
}

struct World {
    simulator: Simulator,
    estate: Estate,
}

impl World {
    async fn new(mode: &str) -> Self {
        let config =
            SimulatorConfig { aws: Some(AwsConfig::with_nodes(80, 1)), ..SimulatorConfig::single(40, 1) };
        let simulator = Simulator::start(config).await.unwrap();
        let mut estate = Estate::new().unwrap();
        estate.simulated("dc1", &simulator.vcenters()[0], "").unwrap();
        let aws = simulator.aws().unwrap();
        let ca = estate.secret("aws-ca.pem", aws.ca_pem()).unwrap();
        estate.add(&format!(
            "[[aws]]\nname = \"main\"\nregion = \"eu-central-1\"\nendpoint = \"{}\"\nca_file = \"{}\"\nsettle = \"1s\"\n\n\
             [tags]\nmode = \"{mode}\"\n\n[guard]\nmax_change_percent = 100\n\n[state]\ndirectory = \"state\"\n",
            aws.url(),
            ca.display()
        ));
        Self { simulator, estate }
    }

    fn allow(&self, policy: &Value) {
        let aws = self.simulator.aws().unwrap();
        aws.set_policy(&aws.accounts()[0].user_arn(), Some(policy)).unwrap();
        aws.reset_calls();
    }

    fn refused(&self) -> Vec<String> {
        self.simulator.aws().unwrap().refused()
    }

    async fn ran(&self, arguments: &[&str]) -> Ended {
        let account = self.simulator.aws().unwrap().accounts()[0].clone();
        self.estate
            .vmbridge(arguments)
            .unwrap()
            .env("AWS_ACCESS_KEY_ID", &account.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", account.secret_access_key.expose_secret())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .run()
            .await
            .unwrap()
    }

    /// Every VM loses its tags in vSphere, so that nodes have tags of ours to be rid of.
    fn take_tags_away(&self) {
        let vcenter = &self.simulator.vcenters()[0];
        let truth = vcenter.truth();
        let mut detached = 0;
        for vm in truth["vms"].as_array().unwrap() {
            for tag in vm["tags"].as_array().unwrap() {
                let text = |value: &Value| value.as_str().unwrap().to_owned();
                let (id, tag) = (text(&vm["id"]), text(&tag["id"]));
                vcenter.mutate(&Mutation::DetachTag { id, tag }).unwrap();
                detached += 1;
            }
        }
        assert!(detached > 0);
    }
}

#[tokio::test]
async fn the_policy_for_observing_is_enough_to_observe() {
    let world = World::new("observe").await;
    world.allow(&documented("Mode `observe`"));
    let plan = world.ran(&["plan", "--json"]).await;
    let document: Value = serde_json::from_str(&plan.stdout).unwrap();
    assert_eq!(plan.code, Some(1), "{}", plan.stderr);
    assert!(!document["actions"].as_array().unwrap().is_empty(), "{document:#}");
    let sync = world.ran(&["sync"]).await;
    assert_eq!(sync.code, Some(1), "{}", sync.stderr);
    assert_eq!(world.refused(), Vec::<String>::new());
    assert!(world.simulator.effects().is_empty());
}

#[tokio::test]
async fn the_policy_for_enforcing_is_enough_to_enforce() {
    let world = World::new("enforce").await;
    world.allow(&documented("Mode `enforce` of `[tags]`"));
    let sync = world.ran(&["sync"]).await;
    assert_eq!(sync.code, Some(0), "{}{}", sync.stdout, sync.stderr);
    world.take_tags_away();
    let sync = world.ran(&["sync"]).await;
    assert_eq!(sync.code, Some(0), "{}{}", sync.stdout, sync.stderr);
    assert_eq!(world.refused(), Vec::<String>::new());
    let effects = world.simulator.aws().unwrap().effects();
    let did = |operation: &str| effects.iter().any(|effect| effect.operation.ends_with(operation));
    assert!(did("AddTagsToResource") && did("RemoveTagsFromResource"), "{effects:?}");
}

#[tokio::test]
async fn every_action_of_a_policy_is_needed_and_is_named_when_it_is_missing() {
    for (heading, mode) in [("Mode `observe`", "observe"), ("Mode `enforce` of `[tags]`", "enforce")] {
        let policy = documented(heading);
        let all = actions(&policy);
        assert!(all.len() >= 4, "{policy:#}");
        for action in all {
            let world = World::new(mode).await;
            if action == "ssm:RemoveTagsFromResource" {
                // There has to be something to remove.
                let first = world.ran(&["sync"]).await;
                assert_eq!(first.code, Some(0), "{}{}", first.stdout, first.stderr);
                world.take_tags_away();
            }
            world.allow(&without(&policy, &action));
            let said = world.ran(&["sync"]).await;
            assert_eq!(said.code, Some(1), "without {action}: {}{}", said.stdout, said.stderr);
            assert!(world.refused().contains(&action), "{mode} never needs {action}");
            for part in [action.as_str(), "docs/iam.md"] {
                assert!(said.stdout.contains(part), "without {action}: {}\n{}", said.stdout, said.stderr);
            }
        }
    }
}

#[tokio::test]
async fn what_is_not_a_node_cannot_be_tagged_with_it() {
    for heading in ["Mode `observe`", "Mode `enforce` of `[tags]`"] {
        for statement in documented(heading)["Statement"].as_array().unwrap() {
            if statement["Resource"] == "*" {
                let reads = ["ssm:Describe", "tag:Get"];
                for action in actions(&json!({ "Statement": [statement] })) {
                    assert!(reads.iter().any(|read| action.starts_with(read)), "{action} on everything");
                }
            } else {
                assert_eq!(statement["Resource"], "arn:aws:ssm:*:*:managed-instance/*");
            }
        }
    }
}
