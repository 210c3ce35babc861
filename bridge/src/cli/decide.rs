//! `vmbridge approve`, `link`, `unlink`, `retry`: what a person decides.

use clap::Args;

use super::{Context, Exit, Failure, desk};
use crate::control::Request;

#[derive(Debug, Args)]
pub(super) struct ApproveArguments {
    /// The id that `vmbridge plan` shows beside what is held.
    #[arg(value_name = "PLAN-ID")]
    id: String,
}

#[derive(Debug, Args)]
pub(super) struct LinkArguments {
    /// The VM: its name, managed object id, instance UUID, or <vCenter>/<managed object id>.
    vm: String,
    /// The node that it is: mi-…
    node: String,
}

#[derive(Debug, Args)]
pub(super) struct UnlinkArguments {
    /// The node: mi-…
    node: String,
    /// The VM that it is not, if it is not taken for it now.
    vm: Option<String>,
    /// Forget everything that was ever said of the node instead, so that it is matched anew.
    #[arg(long, conflicts_with = "vm")]
    forget: bool,
}

#[derive(Debug, Args)]
#[group(required = true)]
pub(super) struct RetryArguments {
    /// VMs and nodes.
    #[arg(value_name = "VM|NODE", group = "what")]
    objects: Vec<String>,
    /// Everything that failed.
    #[arg(long, group = "what", conflicts_with = "objects")]
    all: bool,
}

pub(super) async fn approve(context: &Context, arguments: ApproveArguments) -> Result<Exit, Failure> {
    let ApproveArguments { id } = arguments;
    desk::once(context, Request::Approve { id }, |changes: usize| {
        format!("{changes} changes are approved; they are done by `vmbridge run`, or `vmbridge sync`")
    })
    .await
}

pub(super) async fn link(context: &Context, arguments: LinkArguments) -> Result<Exit, Failure> {
    let LinkArguments { vm, node } = arguments;
    desk::once(context, Request::Link { vm, node }, |told: String| told).await
}

pub(super) async fn unlink(context: &Context, arguments: UnlinkArguments) -> Result<Exit, Failure> {
    let UnlinkArguments { node, vm, forget } = arguments;
    desk::once(context, Request::Unlink { node, vm, forget }, |told: String| told).await
}

pub(super) async fn retry(context: &Context, arguments: RetryArguments) -> Result<Exit, Failure> {
    let RetryArguments { objects, all: _ } = arguments;
    desk::once(context, Request::Retry { objects }, |dropped: usize| match dropped {
        0 => "nothing that failed is waiting there".to_owned(),
        1 => "1 failure is forgotten; it is tried again at once".to_owned(),
        several => format!("{several} failures are forgotten; they are tried again at once"),
    })
    .await
}
