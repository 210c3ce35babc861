//! Stand-ins for vCenter and VMware Cloud on AWS that behave as the real ones do where a client can notice: strict about
//! requests, with sessions that expire, pages that end early, tasks that take their time, and any fault at any call.
//!
//! In process:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use vmbridge_simulator::{FaultEffect, FaultRule, Mutation, Simulator, SimulatorConfig};
//!
//! let simulator = Simulator::start(SimulatorConfig::single(100, 1)).await?;
//! let vcenter = &simulator.vcenters()[0];
//! // Connect a client to vcenter.url() with vcenter.username(), vcenter.password() and vcenter.ca_pem() …
//! let vm = vcenter.vm_ids()[0].clone();
//! vcenter.mutate(&Mutation::Rename { id: vm, name: "new name".into() })?;
//! simulator.add_faults([FaultRule::once("WaitForUpdatesEx", FaultEffect::ResetMiddle)]);
//! let expected = vcenter.truth();
//! simulator.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! The simulator runs on threads and a runtime of its own: a test may pause its clock or block its thread.
//! Nothing here depends on the client under test, so that they cannot share a mistake. Failure looks like this:
//! [`StartError`] when a port or certificate cannot be had, and [`MutateError`] for a change that makes no sense.

mod aws;
mod churn;
mod clock;
pub mod config;
mod control;
mod dice;
mod fault;
mod fleet;
mod guest;
mod handle;
mod ledger;
mod mutation;
mod net;
mod props;
mod rest;
mod simulator;
mod soap;
mod tasks;
pub mod truth;
mod vcenter;
mod vmc;
mod world;
mod xml;

pub use crate::aws::{
    Aws, AwsAccount, AwsActivation, AwsAggregation, AwsAssociationStatus, AwsCalls, AwsConfig, AwsMutation,
    AwsNode, AwsParameter, AwsPatchOutcome, AwsPatchRun, AwsRole, AwsVm, AwsWindow, NodeSeeding, ReadDelay,
    Throttle, finding_faults, request_faults,
};
pub use crate::churn::Churn;
pub use crate::config::{FleetConfig, Release, SimulatorConfig, User, VcenterConfig, VmcConfig};
pub use crate::fault::{
    AWS_OPERATIONS, FaultEffect, FaultRule, GUEST_OPERATIONS, HeldCall, HoldPoint, InjectedFault, OPERATIONS,
    TASK_OPERATIONS, aws_effects, aws_from_seed, effects, from_seed, guest_effects, guest_from_seed,
    task_effects, task_from_seed,
};
pub use crate::guest::{
    GuestAccount, GuestRegistration, GuestSetting, GuestTruth, PASSWORD as GUEST_PASSWORD, ROOT as GUEST_USER,
};
pub use crate::handle::Vcenter;
pub use crate::ledger::Effect;
pub use crate::mutation::Mutation;
pub use crate::simulator::{Simulator, StartError};
pub use crate::soap::session::SessionCounts;
pub use crate::tasks::{
    ActiveTask, FinishedTask, Maker, Peaks, TaskKind, TaskOutcome, TaskScript, TaskSetting, TaskTruth,
    TouchedSnapshot, task_outcomes, task_scripts,
};
pub use crate::vcenter::CallCounts;
pub use crate::vmc::{SddcInfo, Vmc};
pub use crate::world::mutate::MutateError;
