//! Who is in the maintenance window that a report is narrowed to.
//!
//! What the service knows of windows is what snapshots need: windows that patch, and the VMs in them. A report asks for more,
//! namely EC2 instances, and also where there are no snapshots. So the window is read for each report that names one: the
//! listing (100 windows a call), targets and tasks of those with the name (2 calls each), the members of their resource groups
//! (50 a call), and the tags of all EC2 instances of the account (100 a call) if any target asks for tags.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::aws::{AwsError, ManagedNodeId, NodeTags, Services, TargetName, WindowIdentity};
use crate::cloud::window::Window;
use crate::observe::aws::listing;

/// The windows with the name that was asked for.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// By target; what failed says why.
    pub(super) targets: BTreeMap<TargetName, Result<TargetWindows, String>>,
}

/// The same of one target.
#[derive(Debug, Default)]
pub(super) struct TargetWindows {
    /// Those that are called so.
    pub(super) called: Vec<Window>,
    /// The names of all.
    pub(super) names: BTreeSet<String>,
    /// The members of resource groups that they name, of both kinds.
    groups: BTreeMap<String, Result<BTreeSet<String>, String>>,
    /// The tags of EC2 instances. None: no target asks for tags.
    instance_tags: Option<Result<HashMap<ManagedNodeId, NodeTags>, String>>,
}

impl Windows {
    /// Reads the windows called `name` of all targets at once.
    pub(super) async fn read(services: Vec<(TargetName, Services)>, name: &str) -> Self {
        let reading = services
            .into_iter()
            .map(|(target, services)| async move { (target, read(&services, name).await) });
        Self { targets: futures_util::future::join_all(reading).await.into_iter().collect() }
    }
}

impl TargetWindows {
    /// The names of the windows that take a hybrid node, of which the tags are known or not.
    pub(super) fn of_hybrid(&self, node: &str, tags: Option<&NodeTags>) -> (Vec<&str>, bool) {
        self.of(node, tags)
    }

    /// The names of the windows that take an EC2 instance.
    pub(super) fn of_instance(&self, node: &ManagedNodeId) -> (Vec<&str>, bool) {
        // The listing leaves out those that never had a tag.
        let none = NodeTags::new();
        let tags = match &self.instance_tags {
            Some(Ok(all)) => Some(all.get(node).unwrap_or(&none)),
            Some(Err(_)) | None => None,
        };
        self.of(node.as_str(), tags)
    }

    /// With whether it is not known of another one.
    fn of(&self, node: &str, tags: Option<&NodeTags>) -> (Vec<&str>, bool) {
        let is_member = |group: &str| match self.groups.get(group) {
            Some(Ok(members)) => Some(members.contains(node)),
            Some(Err(_)) | None => None,
        };
        let (mut names, mut in_doubt) = (Vec::new(), false);
        for window in &self.called {
            match window.takes(node, tags, is_member) {
                Some(true) => names.push(&*window.identity.name),
                Some(false) => {}
                None => in_doubt = true,
            }
        }
        (names, in_doubt)
    }

    /// What could not be read, and why.
    pub(super) fn failures(&self) -> impl Iterator<Item = (String, &str)> {
        let groups = self.groups.iter().filter_map(|(name, members)| {
            Some((format!("the members of the resource group {name}"), members.as_ref().err()?.as_str()))
        });
        let tags = self.instance_tags.as_ref().and_then(|tags| tags.as_ref().err());
        groups.chain(tags.map(|why| ("the tags of its EC2 instances".to_owned(), why.as_str())))
    }
}

/// Whether a person means this window.
fn is_called(window: &WindowIdentity, text: &str) -> bool {
    window.id.as_str() == text || window.name.eq_ignore_ascii_case(text)
}

async fn read(services: &Services, name: &str) -> Result<TargetWindows, String> {
    let ssm = &services.ssm;
    let all = listing("maintenance windows", |next| ssm.windows(next)).await.map_err(|error| said(&error))?;
    let names = all.iter().map(|window| window.name.to_string()).collect();
    let (mut called, mut groups) = (Vec::new(), BTreeMap::new());
    for identity in all.into_iter().filter(|window| is_called(window, name)) {
        let id = identity.id.clone();
        let targets = listing("targets of a maintenance window", |next| ssm.window_targets(&id, next));
        let tasks = listing("tasks of a maintenance window", |next| ssm.window_tasks(&id, next));
        let (targets, tasks) = tokio::try_join!(targets, tasks).map_err(|error| said(&error))?;
        let window = Window { targets, tasks, ..Window::new(identity) };
        for group in window.group_names() {
            if !groups.contains_key(group) {
                groups.insert(group.to_owned(), members(services, group).await.map_err(|error| said(&error)));
            }
        }
        called.push(window);
    }
    let instance_tags = match called.iter().any(Window::asks_for_tags) {
        true => {
            let tags = listing("tags of EC2 instances", |next| services.tagging.instance_tags(next)).await;
            Some(tags.map(|tags| tags.into_iter().collect()).map_err(|error| said(&error)))
        }
        false => None,
    };
    Ok(TargetWindows { called, names, groups, instance_tags })
}

async fn members(services: &Services, group: &str) -> Result<BTreeSet<String>, AwsError> {
    let hybrid = listing("members of a resource group", |next| services.groups.nodes_of(group, next));
    let instances = listing("members of a resource group", |next| services.groups.instances_of(group, next));
    let (hybrid, instances) = tokio::try_join!(hybrid, instances)?;
    let hybrid = hybrid.into_iter().map(|node| node.to_string());
    Ok(hybrid.chain(instances.into_iter().map(|node| node.to_string())).collect())
}

fn said(error: &AwsError) -> String {
    match error.kind.fix() {
        Some(fix) => format!("{error}; {fix}"),
        None => error.to_string(),
    }
}
