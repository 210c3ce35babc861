//! How a call of AWS is answered: who is it, may they, is the request what the service model says, do it, and is the
//! answer what the service model says.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::clock::uptime;
use crate::fault::{self, FaultBook, FaultEffect, Voice};
use crate::ledger::{Ledger, Place};
use crate::net::server::{Connections, Handler};
use crate::net::{Reply, Request};
use crate::vcenter::{Counter, Ongoing, lock};

use super::caller::{self, Caller};
use super::config::Throttle;
use super::error::Error;
use super::model::Models;
use super::protocol::{self, Protocol, Route, Service};
use super::sigv4::{self, Refusal};
use super::state::State;
use super::token::Tokens;
use super::validate::{self, Fault};
use super::{
    access, activations, agent, aggregation, associations, compliance, hub, inventory, nodes, parameters,
    patches, sts, tagging, tags, throttle, windows,
};

/// The name of all of AWS in fault rules.
pub(crate) const NAME: &str = "aws";

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) state: Mutex<State>,
    pub(crate) tokens: Tokens,
    pub(crate) faults: Arc<FaultBook>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) counter: Counter,
    pub(crate) connections: Arc<Connections>,
}

/// A call whose caller is known.
pub(crate) struct Call<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) service: Service,
    pub(crate) operation: &'a str,
    pub(crate) caller: &'a Caller,
    pub(crate) input: &'a Value,
}

impl Call<'_> {
    /// Writes what the call changed into the ledger.
    pub(crate) fn record(&self, resource: &str, detail: Value, effective: bool) {
        let place = Place {
            service: self.service.name(),
            account: &self.caller.account,
            region: &self.caller.region,
        };
        self.shared.ledger.record(place, self.operation, resource, detail, effective);
    }

    /// A text member of the input.
    pub(crate) fn text(&self, member: &str) -> Option<&str> {
        self.input.get(member).and_then(Value::as_str)
    }

    /// A number of the input.
    pub(crate) fn number(&self, member: &str) -> Option<usize> {
        self.input.get(member).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok())
    }

    /// A list of the input; nothing where there is none.
    pub(crate) fn list(&self, member: &str) -> &[Value] {
        self.input.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    /// Describes the query, for tokens: everything but the token and the size of the page.
    pub(crate) fn query(&self, but: &[&str]) -> String {
        let mut input = self.input.clone();
        if let Value::Object(members) = &mut input {
            members.retain(|name, value| !but.contains(&name.as_str()) && !value.is_null());
        }
        format!("{} {} {} {input}", self.operation, self.caller.account, self.caller.region)
    }
}

impl Handler for Shared {
    fn handle(self: Arc<Self>, request: Request) -> Pin<Box<dyn Future<Output = Reply> + Send>> {
        Box::pin(async move { self.serve(&request).await })
    }
}

impl Shared {
    async fn serve(&self, request: &Request) -> Reply {
        let models = Models::get();
        let Some(route) = protocol::route(request, models) else {
            return Protocol::Json.error(404, "UnknownOperationException", "");
        };
        let operation = format!("{}:{}", route.service.name(), route.operation);
        let mut ongoing = Ongoing::new(&self.counter, &operation);
        let effect = self.faults.draw(NAME, &operation);
        self.faults.hold_before(effect.as_ref(), NAME, &operation).await;
        if let Some(effect) = &effect {
            if *effect == FaultEffect::ExpireSession {
                return self.expire(&route, request);
            }
            if let Some(reply) = fault::before(effect, Voice::Aws(route.protocol)).await {
                return reply;
            }
        }
        let reply = match self.answer(models, &route, &operation, request) {
            Ok(value) => route.protocol.answer(models.of(route.service), &route.operation, &value),
            Err(error) => {
                self.check_error(models, &route, &error);
                route.protocol.fail(&shaped(models, &route, error))
            }
        };
        self.faults.hold_after(effect.as_ref(), NAME, &operation).await;
        ongoing.bytes = reply.bytes().len();
        match &effect {
            Some(effect) => fault::after(effect, reply),
            None => reply,
        }
    }

    /// Ends the session of the caller. One who uses a key that never ends is told the same this time.
    fn expire(&self, route: &Route, request: &Request) -> Reply {
        if let Ok(claim) = sigv4::claim(request)
            && let Some(session) = lock(&self.state).sessions.get_mut(&claim.access_key)
        {
            session.until = uptime();
        }
        route.protocol.fail(&caller::refused(route.service, &Refusal::Expired))
    }

    /// An error that the operation does not have is a mistake of the simulator.
    fn check_error(&self, models: &Models, route: &Route, error: &Error) {
        let described = models.of(route.service).operations.get(&route.operation);
        let known = described.is_none_or(|operation| {
            route.service == Service::Sts
                || operation.errors.contains(&error.code)
                || COMMON.contains(&error.code.as_str())
        });
        if !known {
            let text = format!("simulator bug: {} does not have the error {}", route.operation, error.code);
            tracing::error!("{text}");
            lock(&self.state).mistakes.push(text);
        }
    }

    fn answer(
        &self,
        models: &Models,
        route: &Route,
        operation: &str,
        request: &Request,
    ) -> Result<Value, Error> {
        if agent::plays(route) {
            return agent::answer(self, route, request);
        }
        let model = models.of(route.service);
        let caller = caller::authenticate(&lock(&self.state), route.service, request)
            .map_err(|refusal| caller::refused(route.service, &refusal))?;
        self.admit(route.service, operation, &caller)?;
        let Some(described) = model.operations.get(&route.operation) else {
            return Err(unknown(route));
        };
        let input = protocol::input(route, request, model)?;
        let call = Call {
            shared: self,
            service: route.service,
            operation: &route.operation,
            caller: &caller,
            input: &input,
        };
        if let Some(shape) = &described.input {
            let faults = validate::check(model, shape, &input);
            if let Some(Fault::Type(text)) = faults.iter().find(|fault| matches!(fault, Fault::Type(_))) {
                return Err(Error::bad("SerializationException", text));
            }
            self.authorize(&call)?;
            if !faults.is_empty() {
                return Err(invalid(route.service, validate::sentence(&faults)));
            }
        }
        // What windows do by now they have done before this call does anything.
        windows::advance(&mut lock(&self.state));
        let value = dispatch(&call)?;
        let faults = match &described.output {
            Some(shape) => validate::check(model, shape, &value),
            None => Vec::new(),
        };
        // A fresh activation has no registrations, whatever the model says.
        let mistake = faults.iter().find(|fault| !fault.text().contains("registrationsCount"));
        if let Some(fault) = mistake {
            let text = format!("simulator bug in {operation}: {}", fault.text());
            tracing::error!("{text}");
            lock(&self.state).mistakes.push(text.clone());
            return Err(Error::new(500, "InternalServerError", text));
        }
        Ok(value)
    }

    /// Counts a call and lets it pass, or not.
    pub(super) fn admit(&self, service: Service, operation: &str, caller: &Caller) -> Result<(), Error> {
        let mut state = lock(&self.state);
        let state = &mut *state;
        let key = (operation.to_owned(), caller.account.clone(), caller.region.clone());
        let bucket = format!("{operation} {} {}", caller.account, caller.region);
        *state.calls.entry(key).or_default() += 1;
        let now = uptime();
        let free = |throttle: &&Throttle| fault::matches(&throttle.operation, operation);
        let throttled = state.throttle.as_ref().filter(free);
        let mut pass = throttled.is_none_or(|throttle| state.buckets.pass(throttle, &bucket, now));
        if pass && state.documented_rates && service == Service::SecurityHub {
            let bucket = format!("documented {bucket}");
            pass = state.buckets.pass(&throttle::documented(operation), &bucket, now);
        }
        if pass {
            return Ok(());
        }
        Err(match service {
            Service::Ssm => Error::bad("ThrottlingException", "Rate exceeded"),
            Service::Tagging => Error::bad("ThrottledException", "Rate exceeded"),
            Service::Sts => Error::bad("Throttling", "Rate exceeded"),
            Service::SecurityHub | Service::Groups => {
                Error::new(429, "TooManyRequestsException", "Too Many Requests")
            }
        })
    }

    fn authorize(&self, call: &Call<'_>) -> Result<(), Error> {
        let mut state = lock(&self.state);
        let wishes = match call.service {
            Service::Sts => sts::wishes(call),
            Service::Ssm => access::wishes(&state, call),
            Service::Tagging => tagging::wishes(),
            Service::SecurityHub => hub::wishes(call),
            Service::Groups => windows::groups_wishes(call),
        };
        let refused = wishes.iter().find_map(|wish| {
            let error = call.caller.may(&state, call.service, wish).err()?;
            Some((wish.action.clone(), error))
        });
        let Some((action, error)) = refused else { return Ok(()) };
        state.refused.push(action);
        Err(error)
    }
}

/// Errors of SSM, the Tagging API, Security Hub and Resource Groups that every operation may answer.
const COMMON: &[&str] = &[
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignatureException",
    "InternalServerError",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "SerializationException",
    "ThrottlingException",
    "TooManyRequestsException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "UnsupportedMediaTypeException",
    "ValidationException",
];

/// Puts the message of an error where its shape has it.
fn shaped(models: &Models, route: &Route, mut error: Error) -> Error {
    let Some(shape) = models.of(route.service).shapes.get(&error.code) else {
        // Errors that all services have in common are in no model.
        if route.protocol == Protocol::Rest && error.code == "AccessDeniedException" {
            error.members.insert("Message".to_owned(), json!(""));
        }
        return error;
    };
    if shape.members.contains_key("Message") {
        error.members.insert("Message".to_owned(), json!(error.message));
    } else if !shape.members.contains_key("message") {
        error.message.clear();
    }
    if shape.members.contains_key("Code") {
        error.members.insert("Code".to_owned(), json!(error.code));
    }
    error
}

/// An operation that the service does not have.
fn unknown(route: &Route) -> Error {
    match route.protocol {
        Protocol::Json | Protocol::Cbor => Error::new(404, "UnknownOperationException", ""),
        Protocol::Query => Error::bad(
            "InvalidAction",
            format!("Could not find operation {} for version 2011-06-15", route.operation),
        ),
        Protocol::Rest => {
            Error::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
        }
    }
}

/// What a request that breaks a constraint is told.
pub(crate) fn invalid(service: Service, text: impl Into<String>) -> Error {
    let code = match service {
        Service::Ssm => "ValidationException",
        Service::Tagging => "InvalidParameterException",
        Service::Sts => "ValidationError",
        Service::SecurityHub => "InvalidInputException",
        Service::Groups => "BadRequestException",
    };
    Error::bad(code, text)
}

fn dispatch(call: &Call<'_>) -> Result<Value, Error> {
    match (call.service, call.operation) {
        (Service::Sts, "GetCallerIdentity") => Ok(sts::caller_identity(call)),
        (Service::Sts, "AssumeRole") => sts::assume_role(call),
        (Service::Ssm, "DescribeInstanceInformation") => nodes::describe(call),
        (Service::Ssm, "DeregisterManagedInstance") => nodes::deregister(call),
        (Service::Ssm, "AddTagsToResource") => tags::add(call),
        (Service::Ssm, "RemoveTagsFromResource") => tags::remove(call),
        (Service::Ssm, "ListTagsForResource") => tags::list(call),
        (Service::Ssm, "DescribeActivations") => activations::describe(call),
        (Service::Ssm, "CreateActivation") => activations::create(call),
        (Service::Ssm, "DeleteActivation") => activations::delete(call),
        (Service::Ssm, "GetParameter") => parameters::get(call),
        (Service::Ssm, "CreateMaintenanceWindow") => windows::create(call),
        (Service::Ssm, "UpdateMaintenanceWindow") => windows::update(call),
        (Service::Ssm, "DeleteMaintenanceWindow") => windows::delete(call),
        (Service::Ssm, "RegisterTargetWithMaintenanceWindow") => windows::register_target(call),
        (Service::Ssm, "RegisterTaskWithMaintenanceWindow") => windows::register_task(call),
        (Service::Ssm, "DescribeMaintenanceWindows") => windows::list(call),
        (Service::Ssm, "DescribeMaintenanceWindowSchedule") => windows::schedule_of(call),
        (Service::Ssm, "DescribeMaintenanceWindowTargets") => windows::target_list(call),
        (Service::Ssm, "DescribeMaintenanceWindowTasks") => windows::task_list(call),
        (Service::Ssm, "GetMaintenanceWindowTask") => windows::task(call),
        (Service::Ssm, "DescribeMaintenanceWindowExecutions") => windows::executions(call),
        (Service::Ssm, "DescribeMaintenanceWindowExecutionTasks") => windows::tasks_of_execution(call),
        (Service::Ssm, "DescribeMaintenanceWindowExecutionTaskInvocations") => windows::invocations(call),
        (Service::Ssm, "DescribeInstancePatchStates") => windows::patch_states(call),
        (Service::Ssm, "DescribeInstancePatches") => patches::describe(call),
        (Service::Ssm, "DescribeInstanceAssociationsStatus") => associations::describe(call),
        (Service::Ssm, "PutInventory") => inventory::put(call),
        (Service::Ssm, "GetInventory") => inventory::get(call),
        (Service::Ssm, "ListInventoryEntries") => inventory::entries(call),
        (Service::Ssm, "GetInventorySchema") => inventory::schema(call),
        (Service::Ssm, "DeleteInventory") => inventory::delete(call),
        (Service::Ssm, "DescribeInventoryDeletions") => inventory::deletions(call),
        (Service::Ssm, "PutComplianceItems") => compliance::put(call),
        (Service::Ssm, "ListComplianceItems") => compliance::items(call),
        (Service::Ssm, "ListComplianceSummaries") => compliance::summaries(call),
        (Service::Ssm, "ListResourceComplianceSummaries") => compliance::resources(call),
        (Service::Groups, "ListGroupResources") => windows::members(call),
        (Service::Tagging, "GetResources") => tagging::resources(call),
        (Service::SecurityHub, "BatchImportFindings") => hub::import(call),
        (Service::SecurityHub, "BatchUpdateFindings") => hub::update(call),
        (Service::SecurityHub, "GetFindings") => hub::get(call),
        (Service::SecurityHub, "DescribeHub") => hub::describe(call),
        (Service::SecurityHub, "ListFindingAggregators") => aggregation::list(call),
        (Service::SecurityHub, "GetFindingAggregator") => aggregation::get(call),
        _ => Err(Error::new(
            500,
            "InternalServerError",
            format!("the simulator does not play {}", call.operation),
        )),
    }
}
