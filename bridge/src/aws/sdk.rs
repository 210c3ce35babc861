//! The ports on the SDKs of AWS. One attempt for each call: trying again is decided elsewhere.

use aws_sdk_resourcegroups as groups;
use aws_sdk_resourcegroupstagging as tagging;
use aws_sdk_ssm as ssm;
use aws_sdk_ssm::types::{
    InstanceInformation, InstanceInformationStringFilter, MaintenanceWindowFilter, PingStatus, PlatformType,
    ResourceTypeForTagging,
};
use aws_sdk_sts as sts;
use jiff::Timestamp;
use mappings::tags::{TagKey, TagValue};

use super::port::{ActivationRequest, Answer, Groups, Identity, NewActivation, Page, Ssm, Sts, Tagging};
use super::sdk_windows as read;
use super::{
    Activation, ActivationId, AwsError, COMING, ExecutionTask, Invocation, ManagedNodeId, Node, NodeId,
    NodeTags, PatchState, Ping, Platform, TaskExecutionId, TaskParameters, WindowExecution,
    WindowExecutionId, WindowId, WindowIdentity, WindowTarget, WindowTask, WindowTaskId,
};

/// The most that `DescribeInstanceInformation` and `DescribeActivations` give at once.
const NODES_PER_PAGE: i32 = 50;
/// The most that `GetResources` gives at once.
const RESOURCES_PER_PAGE: i32 = 100;
/// The most that the operations about maintenance windows and patch states give at once.
const WINDOWS_PER_PAGE: i32 = 100;
/// The most that `ListGroupResources` gives at once.
const MEMBERS_PER_PAGE: i32 = 50;

impl Ssm for ssm::Client {
    fn nodes(&self, next: Option<String>) -> Answer<'_, Page<Node>> {
        const NAME: &str = "ssm:DescribeInstanceInformation";
        Box::pin(async move {
            let hybrid = InstanceInformationStringFilter::builder()
                .key("ResourceType")
                .values("ManagedInstance")
                .build()
                .map_err(|error| AwsError::incomplete(NAME, &error.to_string()))?;
            let answer = self
                .describe_instance_information()
                .filters(hybrid)
                .max_results(NODES_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, None, &error))?;
            let items = answer.instance_information_list.unwrap_or_default();
            Ok(Page { items: items.into_iter().filter_map(node).collect(), next: more(answer.next_token) })
        })
    }

    fn activations(&self, next: Option<String>) -> Answer<'_, Page<Activation>> {
        Box::pin(async move {
            let answer = self
                .describe_activations()
                .max_results(NODES_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of("ssm:DescribeActivations", None, &error))?;
            let items = answer.activation_list.unwrap_or_default().into_iter().filter_map(|activation| {
                Some(Activation {
                    id: activation.activation_id?.into(),
                    description: activation.description.map(Into::into),
                    limit: activation.registration_limit.unwrap_or(1),
                })
            });
            Ok(Page { items: items.collect(), next: more(answer.next_token) })
        })
    }

    fn tags_of<'a>(&'a self, node: &'a NodeId) -> Answer<'a, NodeTags> {
        Box::pin(async move {
            let answer = self
                .list_tags_for_resource()
                .resource_type(ResourceTypeForTagging::ManagedInstance)
                .resource_id(node.as_str())
                .send()
                .await
                .map_err(|error| AwsError::of("ssm:ListTagsForResource", Some(node.as_str()), &error))?;
            let tags = answer.tag_list.unwrap_or_default();
            Ok(tags.into_iter().map(|tag| (tag.key.into(), tag.value.into())).collect())
        })
    }

    fn add_tags<'a>(&'a self, node: &'a NodeId, tags: &'a [(TagKey, TagValue)]) -> Answer<'a, ()> {
        const NAME: &str = "ssm:AddTagsToResource";
        Box::pin(async move {
            let tags = tags.iter().map(|(key, value)| {
                ssm::types::Tag::builder().key(key.as_str()).value(value.as_str()).build()
            });
            let tags = tags
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| AwsError::incomplete(NAME, &error.to_string()))?;
            self.add_tags_to_resource()
                .resource_type(ResourceTypeForTagging::ManagedInstance)
                .resource_id(node.as_str())
                .set_tags(Some(tags))
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, Some(node.as_str()), &error))?;
            Ok(())
        })
    }

    fn remove_tags<'a>(&'a self, node: &'a NodeId, keys: &'a [TagKey]) -> Answer<'a, ()> {
        Box::pin(async move {
            self.remove_tags_from_resource()
                .resource_type(ResourceTypeForTagging::ManagedInstance)
                .resource_id(node.as_str())
                .set_tag_keys(Some(keys.iter().map(|key| key.as_str().to_owned()).collect()))
                .send()
                .await
                .map_err(|error| AwsError::of("ssm:RemoveTagsFromResource", Some(node.as_str()), &error))?;
            Ok(())
        })
    }

    fn create_activation<'a>(&'a self, wanted: &'a ActivationRequest) -> Answer<'a, NewActivation> {
        const NAME: &str = "ssm:CreateActivation";
        Box::pin(async move {
            let tags = wanted
                .tags
                .iter()
                .map(|(key, value)| ssm::types::Tag::builder().key(key).value(value).build())
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| AwsError::incomplete(NAME, &error.to_string()))?;
            let answer = self
                .create_activation()
                .iam_role(&wanted.role)
                .description(&wanted.description)
                .default_instance_name(&wanted.name)
                .registration_limit(1)
                .expiration_date(aws_sdk_ssm::primitives::DateTime::from_secs(wanted.expires.as_second()))
                .set_tags((!tags.is_empty()).then_some(tags))
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, None, &error))?;
            let id = answer.activation_id.ok_or_else(|| AwsError::incomplete(NAME, "activation id"))?;
            let code = answer.activation_code.ok_or_else(|| AwsError::incomplete(NAME, "activation code"))?;
            Ok(NewActivation { id: id.into(), code: code.into() })
        })
    }

    fn delete_activation<'a>(&'a self, activation: &'a ActivationId) -> Answer<'a, ()> {
        Box::pin(async move {
            self.delete_activation()
                .activation_id(activation.as_str())
                .send()
                .await
                .map_err(|error| AwsError::of("ssm:DeleteActivation", Some(activation.as_str()), &error))?;
            Ok(())
        })
    }

    fn deregister<'a>(&'a self, node: &'a NodeId) -> Answer<'a, ()> {
        Box::pin(async move {
            self.deregister_managed_instance().instance_id(node.as_str()).send().await.map_err(|error| {
                AwsError::of("ssm:DeregisterManagedInstance", Some(node.as_str()), &error)
            })?;
            Ok(())
        })
    }

    fn windows(&self, next: Option<String>) -> Answer<'_, Page<WindowIdentity>> {
        Box::pin(async move {
            let answer = self
                .describe_maintenance_windows()
                .max_results(WINDOWS_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of("ssm:DescribeMaintenanceWindows", None, &error))?;
            let items = answer.window_identities.unwrap_or_default();
            Ok(Page {
                items: items.into_iter().filter_map(read::identity).collect(),
                next: more(answer.next_token),
            })
        })
    }

    fn window_schedule<'a>(&'a self, window: &'a WindowId) -> Answer<'a, Vec<Timestamp>> {
        const NAME: &str = "ssm:DescribeMaintenanceWindowSchedule";
        Box::pin(async move {
            let answer = self
                .describe_maintenance_window_schedule()
                .window_id(window.as_str())
                .max_results(i32::try_from(COMING).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, Some(window.as_str()), &error))?;
            let mut coming = Vec::new();
            for told in answer.scheduled_window_executions.unwrap_or_default().into_iter().take(COMING) {
                // An opening that is overlooked is a VM that is patched without a snapshot: better none of it.
                let written = told.execution_time.unwrap_or_default();
                let moment = read::moment(&written).ok_or_else(|| {
                    let what = format!("time of execution that can be read ({written:?} cannot)");
                    AwsError { object: Some(window.to_string()), ..AwsError::incomplete(NAME, &what) }
                })?;
                coming.push(moment);
            }
            coming.sort_unstable();
            coming.dedup();
            Ok(coming)
        })
    }

    fn window_targets<'a>(
        &'a self,
        window: &'a WindowId,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowTarget>> {
        Box::pin(async move {
            let answer = self
                .describe_maintenance_window_targets()
                .window_id(window.as_str())
                .max_results(WINDOWS_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| {
                    AwsError::of("ssm:DescribeMaintenanceWindowTargets", Some(window.as_str()), &error)
                })?;
            let items = answer.targets.unwrap_or_default();
            Ok(Page {
                items: items.into_iter().filter_map(read::target).collect(),
                next: more(answer.next_token),
            })
        })
    }

    fn window_tasks<'a>(
        &'a self,
        window: &'a WindowId,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowTask>> {
        Box::pin(async move {
            let answer = self
                .describe_maintenance_window_tasks()
                .window_id(window.as_str())
                .max_results(WINDOWS_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| {
                    AwsError::of("ssm:DescribeMaintenanceWindowTasks", Some(window.as_str()), &error)
                })?;
            let items = answer.tasks.unwrap_or_default();
            Ok(Page {
                items: items.into_iter().filter_map(read::task).collect(),
                next: more(answer.next_token),
            })
        })
    }

    fn window_task<'a>(&'a self, window: &'a WindowId, task: &'a WindowTaskId) -> Answer<'a, TaskParameters> {
        Box::pin(async move {
            let answer = self
                .get_maintenance_window_task()
                .window_id(window.as_str())
                .window_task_id(task.as_str())
                .send()
                .await
                .map_err(|error| AwsError::of("ssm:GetMaintenanceWindowTask", Some(task.as_str()), &error))?;
            let run = answer.task_invocation_parameters.and_then(|invocation| invocation.run_command);
            let mut named = run.and_then(|run| run.parameters).unwrap_or_default();
            // The older form of the same.
            let mut older = answer.task_parameters.unwrap_or_default();
            let first = |values: Vec<String>| values.into_iter().next();
            Ok(read::parameters(|name| {
                let older = older.remove(name).and_then(|value| value.values);
                named.remove(name).or(older).and_then(first)
            }))
        })
    }

    fn window_executions<'a>(
        &'a self,
        window: &'a WindowId,
        after: Timestamp,
        next: Option<String>,
    ) -> Answer<'a, Page<WindowExecution>> {
        Box::pin(async move {
            let after = after.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let answer = self
                .describe_maintenance_window_executions()
                .window_id(window.as_str())
                .filters(MaintenanceWindowFilter::builder().key("ExecutedAfter").values(after).build())
                .max_results(WINDOWS_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| {
                    AwsError::of("ssm:DescribeMaintenanceWindowExecutions", Some(window.as_str()), &error)
                })?;
            let items = answer.window_executions.unwrap_or_default();
            Ok(Page {
                items: items.into_iter().filter_map(read::execution).collect(),
                next: more(answer.next_token),
            })
        })
    }

    fn execution_tasks<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<ExecutionTask>> {
        const NAME: &str = "ssm:DescribeMaintenanceWindowExecutionTasks";
        Box::pin(async move {
            let answer = self
                .describe_maintenance_window_execution_tasks()
                .window_execution_id(execution.as_str())
                .max_results(WINDOWS_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, Some(execution.as_str()), &error))?;
            let items = answer.window_execution_task_identities.unwrap_or_default();
            Ok(Page {
                items: items.into_iter().filter_map(read::execution_task).collect(),
                next: more(answer.next_token),
            })
        })
    }

    fn execution_invocations<'a>(
        &'a self,
        execution: &'a WindowExecutionId,
        task: &'a TaskExecutionId,
        next: Option<String>,
    ) -> Answer<'a, Page<Invocation>> {
        const NAME: &str = "ssm:DescribeMaintenanceWindowExecutionTaskInvocations";
        Box::pin(async move {
            let answer = self
                .describe_maintenance_window_execution_task_invocations()
                .window_execution_id(execution.as_str())
                .task_id(task.as_str())
                .max_results(WINDOWS_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of(NAME, Some(execution.as_str()), &error))?;
            let items = answer.window_execution_task_invocation_identities.unwrap_or_default();
            Ok(Page {
                items: items.into_iter().map(read::invocation).collect(),
                next: more(answer.next_token),
            })
        })
    }

    fn patch_states<'a>(
        &'a self,
        nodes: &'a [NodeId],
        next: Option<String>,
    ) -> Answer<'a, Page<(NodeId, PatchState)>> {
        Box::pin(async move {
            let ids = nodes.iter().map(|node| node.as_str().to_owned()).collect();
            let answer = self
                .describe_instance_patch_states()
                .set_instance_ids(Some(ids))
                .max_results(WINDOWS_PER_PAGE)
                .set_next_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of("ssm:DescribeInstancePatchStates", None, &error))?;
            let items = answer.instance_patch_states.unwrap_or_default();
            Ok(Page {
                items: items.iter().filter_map(read::patch_state).collect(),
                next: more(answer.next_token),
            })
        })
    }
}

impl Groups for groups::Client {
    fn nodes_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<NodeId>> {
        Box::pin(members(self, group, "AWS::SSM::ManagedInstance", next, NodeId::of_managed_instance))
    }

    fn instances_of<'a>(&'a self, group: &'a str, next: Option<String>) -> Answer<'a, Page<ManagedNodeId>> {
        let instance = |id: &str| ManagedNodeId::parse(id).ok();
        Box::pin(members(self, group, "AWS::EC2::Instance", next, instance))
    }
}

/// The members of a group that are of one type, by the last part of their ARNs.
async fn members<T>(
    client: &groups::Client,
    group: &str,
    kind: &str,
    next: Option<String>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Page<T>, AwsError> {
    const NAME: &str = "resource-groups:ListGroupResources";
    let of_kind = groups::types::ResourceFilter::builder()
        .name(groups::types::ResourceFilterName::ResourceType)
        .values(kind)
        .build()
        .map_err(|error| AwsError::incomplete(NAME, &error.to_string()))?;
    let answer = client
        .list_group_resources()
        .group(group)
        .filters(of_kind)
        .max_results(MEMBERS_PER_PAGE)
        .set_next_token(next)
        .send()
        .await
        .map_err(|error| AwsError::of(NAME, Some(group), &error))?;
    let items = answer.resources.unwrap_or_default().into_iter();
    let items = items.filter_map(|member| read(member.identifier?.resource_arn?.rsplit_once('/')?.1));
    Ok(Page { items: items.collect(), next: more(answer.next_token) })
}

impl Tagging for tagging::Client {
    fn node_tags(&self, next: Option<String>) -> Answer<'_, Page<(NodeId, NodeTags)>> {
        Box::pin(tags(self, "ssm:managed-instance", next, NodeId::of_managed_instance))
    }

    fn instance_tags(&self, next: Option<String>) -> Answer<'_, Page<(ManagedNodeId, NodeTags)>> {
        Box::pin(tags(self, "ec2:instance", next, |id| ManagedNodeId::parse(id).ok()))
    }
}

/// The tags of all resources of one type, by the last part of their ARNs.
async fn tags<T>(
    client: &tagging::Client,
    kind: &str,
    next: Option<String>,
    read: impl Fn(&str) -> Option<T>,
) -> Result<Page<(T, NodeTags)>, AwsError> {
    let answer = client
        .get_resources()
        .resource_type_filters(kind)
        .resources_per_page(RESOURCES_PER_PAGE)
        .set_pagination_token(next)
        .send()
        .await
        .map_err(|error| AwsError::of("tag:GetResources", None, &error))?;
    let items = answer.resource_tag_mapping_list.unwrap_or_default().into_iter().filter_map(|mapping| {
        let node = read(mapping.resource_arn?.rsplit_once('/')?.1)?;
        let tags = mapping.tags.unwrap_or_default();
        Some((node, tags.into_iter().map(|tag| (tag.key.into(), tag.value.into())).collect()))
    });
    Ok(Page { items: items.collect(), next: more(answer.pagination_token) })
}

impl Sts for sts::Client {
    fn identity(&self) -> Answer<'_, Identity> {
        const NAME: &str = "sts:GetCallerIdentity";
        Box::pin(async move {
            let answer =
                self.get_caller_identity().send().await.map_err(|error| AwsError::of(NAME, None, &error))?;
            let account = answer.account.ok_or_else(|| AwsError::incomplete(NAME, "account"))?;
            Ok(Identity { account, arn: answer.arn.unwrap_or_default() })
        })
    }
}

/// An empty token means the same as none.
pub(super) fn more(token: Option<String>) -> Option<String> {
    token.filter(|token| !token.is_empty())
}

fn node(info: InstanceInformation) -> Option<Node> {
    let id = NodeId::of_managed_instance(info.instance_id.as_deref()?)?;
    Some(Node {
        id,
        computer_name: info.computer_name.filter(|name| !name.is_empty()).map(Into::into),
        ip_address: info.ip_address.and_then(|address| address.parse().ok()),
        platform: platform(info.platform_type.as_ref()),
        agent_version: info.agent_version.map(Into::into),
        ping: ping(info.ping_status.as_ref()),
        last_ping: info.last_ping_date_time.as_ref().and_then(time),
        activation: info.activation_id.map(Into::into),
        registered: info.registration_date.as_ref().and_then(time),
    })
}

pub(super) fn platform(told: Option<&PlatformType>) -> Option<Platform> {
    match told? {
        PlatformType::Linux => Some(Platform::Linux),
        PlatformType::Windows => Some(Platform::Windows),
        PlatformType::Macos => Some(Platform::MacOs),
        _ => None,
    }
}

pub(super) fn ping(told: Option<&PingStatus>) -> Ping {
    match told {
        Some(PingStatus::Online) => Ping::Online,
        Some(PingStatus::ConnectionLost) => Ping::ConnectionLost,
        Some(PingStatus::Inactive) => Ping::Inactive,
        Some(_) | None => Ping::Unknown,
    }
}

pub(super) fn time(time: &aws_sdk_ssm::primitives::DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}
