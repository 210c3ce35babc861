//! The ports on the SDKs of AWS. One attempt for each call: trying again is decided elsewhere.

use aws_sdk_resourcegroupstagging as tagging;
use aws_sdk_ssm as ssm;
use aws_sdk_ssm::types::{
    InstanceInformation, InstanceInformationStringFilter, PingStatus, PlatformType, ResourceTypeForTagging,
};
use aws_sdk_sts as sts;
use jiff::Timestamp;
use mappings::tags::{TagKey, TagValue};

use super::port::{ActivationRequest, Answer, Identity, NewActivation, Page, Ssm, Sts, Tagging};
use super::{Activation, ActivationId, AwsError, Node, NodeId, NodeTags, Ping, Platform};

/// The most that `DescribeInstanceInformation` and `DescribeActivations` give at once.
const NODES_PER_PAGE: i32 = 50;
/// The most that `GetResources` gives at once.
const RESOURCES_PER_PAGE: i32 = 100;

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
}

impl Tagging for tagging::Client {
    fn node_tags(&self, next: Option<String>) -> Answer<'_, Page<(NodeId, NodeTags)>> {
        Box::pin(async move {
            let answer = self
                .get_resources()
                .resource_type_filters("ssm:managed-instance")
                .resources_per_page(RESOURCES_PER_PAGE)
                .set_pagination_token(next)
                .send()
                .await
                .map_err(|error| AwsError::of("tag:GetResources", None, &error))?;
            let items =
                answer.resource_tag_mapping_list.unwrap_or_default().into_iter().filter_map(|mapping| {
                    let node = NodeId::of_managed_instance(mapping.resource_arn?.rsplit_once('/')?.1)?;
                    let tags = mapping.tags.unwrap_or_default();
                    Some((node, tags.into_iter().map(|tag| (tag.key.into(), tag.value.into())).collect()))
                });
            Ok(Page { items: items.collect(), next: more(answer.pagination_token) })
        })
    }
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
fn more(token: Option<String>) -> Option<String> {
    token.filter(|token| !token.is_empty())
}

fn node(info: InstanceInformation) -> Option<Node> {
    let id = NodeId::of_managed_instance(info.instance_id.as_deref()?)?;
    let platform = info.platform_type.and_then(|platform| match platform {
        PlatformType::Linux => Some(Platform::Linux),
        PlatformType::Windows => Some(Platform::Windows),
        PlatformType::Macos => Some(Platform::MacOs),
        _ => None,
    });
    let ping = match info.ping_status {
        Some(PingStatus::Online) => Ping::Online,
        Some(PingStatus::ConnectionLost) => Ping::ConnectionLost,
        Some(PingStatus::Inactive) => Ping::Inactive,
        Some(_) | None => Ping::Unknown,
    };
    Some(Node {
        id,
        computer_name: info.computer_name.filter(|name| !name.is_empty()).map(Into::into),
        ip_address: info.ip_address.and_then(|address| address.parse().ok()),
        platform,
        agent_version: info.agent_version.map(Into::into),
        ping,
        last_ping: info.last_ping_date_time.as_ref().and_then(time),
        activation: info.activation_id.map(Into::into),
        registered: info.registration_date.as_ref().and_then(time),
    })
}

fn time(time: &aws_sdk_ssm::primitives::DateTime) -> Option<Timestamp> {
    Timestamp::from_second(time.secs()).ok()
}
