//! Everything that speaks to AWS.
//!
//! A *target* is an account and a Region, as the configuration names it. The rest of the program sees each service as one
//! trait ([`Ssm`] and its part [`Reports`], [`SecurityHub`], [`Tagging`], [`Groups`], [`Sts`]); limits, retry and counting are decorators around it. What fails is an
//! [`AwsError`], sorted by what can be done about it; the most important question is whether a call that failed may have had
//! its effect all the same.

mod connect;
mod deep_stack;
mod error;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
pub(crate) mod fake_reports;
mod hub;
mod ids;
mod node;
mod paced;
mod paced_reports;
mod patch;
mod port;
mod reports;
mod sdk;
mod sdk_finding;
mod sdk_hub;
mod sdk_reports;
mod sdk_windows;
mod window;
#[cfg(test)]
mod wire;

use std::sync::Arc;

pub use connect::{ConnectError, found_credentials};
pub use error::{AwsError, AwsErrorKind};
pub use hub::{
    Aggregation, FILTER_VALUES, FINDINGS_AT_ONCE, FindingFault, FindingFilter, FindingKey, FindingOutcome,
    FindingSeen, FindingUpdate, HubState, Linked,
};
pub use ids::{
    ActivationId, NodeId, Place, ProductArn, TargetName, TaskExecutionId, WindowExecutionId, WindowId,
    WindowTargetId, WindowTaskId, partition_of,
};
/// The id of a managed node of either kind: a hybrid node or an EC2 instance.
pub use mappings::compliance::table::NodeId as ManagedNodeId;
pub use node::{Activation, Node, NodeTags, Ping, Platform};
pub use paced::{Lanes, Paced, Speed};
pub use patch::{PATCH_STATES_AT_ONCE, PatchOperation, PatchState};
pub use port::{
    ActivationRequest, Answer, Groups, Identity, NewActivation, Page, Reports, SecurityHub, Ssm, Sts, Tagging,
};
pub use reports::{
    ComplianceSummary, ComplianceType, Ec2Node, INVENTORY_ITEMS_AT_ONCE, InventoryPut, InventorySeen,
};
pub use window::{
    COMING, ExecutionStatus, ExecutionTask, Invocation, TargetSet, TaskKind, TaskParameters, WindowExecution,
    WindowIdentity, WindowTarget, WindowTask,
};

use crate::config::{AwsTarget, Limits};

/// Gives Security Hub in a Region.
type HubIn = dyn Fn(&str) -> Arc<dyn SecurityHub> + Send + Sync;

/// The services of one target.
#[derive(Clone)]
pub struct Services {
    /// AWS Systems Manager.
    pub ssm: Arc<dyn Ssm>,
    /// The Resource Groups Tagging API.
    pub tagging: Arc<dyn Tagging>,
    /// AWS Resource Groups.
    pub groups: Arc<dyn Groups>,
    /// AWS Security Token Service.
    pub sts: Arc<dyn Sts>,
    /// What is reported to AWS Systems Manager.
    pub reports: Arc<dyn Reports>,
    /// AWS Security Hub.
    pub hub: Arc<dyn SecurityHub>,
    /// The same in another Region.
    hub_in: Arc<HubIn>,
    /// Their lanes.
    pub lanes: Arc<Lanes>,
}

impl Services {
    /// The services behind these ports, in these lanes.
    #[must_use]
    pub fn behind(
        lanes: Arc<Lanes>,
        ssm: impl Ssm + 'static,
        tagging: impl Tagging + 'static,
        groups: impl Groups + 'static,
        sts: impl Sts + 'static,
        reports: impl Reports + 'static,
        hub: impl SecurityHub + 'static,
    ) -> Self {
        let hub = Arc::new(Paced::new(hub, lanes.clone()));
        Self {
            ssm: Arc::new(Paced::new(ssm, lanes.clone())),
            tagging: Arc::new(Paced::new(tagging, lanes.clone())),
            groups: Arc::new(Paced::new(groups, lanes.clone())),
            sts: Arc::new(Paced::new(sts, lanes.clone())),
            reports: Arc::new(Paced::new(reports, lanes.clone())),
            hub: hub.clone(),
            hub_in: Arc::new(move |region: &str| Arc::new(hub.in_region(region)) as Arc<dyn SecurityHub>),
            lanes,
        }
    }

    /// The same services, with Security Hub in another Region of the account.
    #[must_use]
    pub(crate) fn with_hub_in(&self, region: &str) -> Self {
        Self { hub: (self.hub_in)(region), ..self.clone() }
    }

    /// The real ones. Nothing is sent yet.
    ///
    /// # Errors
    /// When the authorities of the target cannot be used.
    pub async fn connect(target: &AwsTarget, limits: &Limits) -> Result<Self, ConnectError> {
        let config = connect::sdk_config(target, limits.connect_timeout, limits.request_timeout).await?;
        Ok(Self::of_config(target, &config))
    }

    /// The real ones, with these credentials in the place of those that are found.
    #[cfg(test)]
    pub(crate) async fn with_credentials(
        target: &AwsTarget,
        credentials: aws_sdk_ssm::config::SharedCredentialsProvider,
    ) -> Result<Self, ConnectError> {
        let patience = std::time::Duration::from_secs(20);
        let config = connect::sdk_config(target, patience, patience).await?;
        Ok(Self::of_config(target, &config.to_builder().credentials_provider(credentials).build()))
    }

    fn of_config(target: &AwsTarget, config: &aws_config::SdkConfig) -> Self {
        let ssm = aws_sdk_ssm::Client::new(config);
        let hub = aws_sdk_securityhub::config::Builder::from(config)
            .region(aws_sdk_securityhub::config::Region::new(target.hub_region().to_owned()))
            .build();
        Self::behind(
            Lanes::new(TargetName::from(target.name.as_str()), target.speed()),
            ssm.clone(),
            aws_sdk_resourcegroupstagging::Client::new(config),
            aws_sdk_resourcegroups::Client::new(config),
            aws_sdk_sts::Client::new(config),
            ssm,
            aws_sdk_securityhub::Client::from_conf(hub),
        )
    }
}
