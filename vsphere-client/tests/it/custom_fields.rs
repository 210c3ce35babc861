//! Custom attributes, written to a vCenter that loses answers on demand.

use std::time::Duration;

use secrecy::SecretString;
use vmbridge_simulator::{FaultEffect, FaultRule, Mutation, Simulator, SimulatorConfig, User};
use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::soap::FaultKind;
use vsphere_client::vcenter::{ConnectOptions, Vcenter, WriteError};

use crate::live::trust;

const ATTRIBUTE: &str = "vmbridge.node";

struct World {
    simulator: Simulator,
    client: Vcenter,
    vm: MoRef,
}

impl World {
    async fn new(user: User) -> Self {
        let mut config = SimulatorConfig::single(10, 3);
        config.vcenters[0].users = vec![user];
        let simulator = Simulator::start(config).await.unwrap();
        let vcenter = &simulator.vcenters()[0];
        let password = SecretString::from(vcenter.password().to_owned());
        let url = vcenter.url().parse().unwrap();
        let mut options =
            ConnectOptions::new(url, vcenter.username().to_owned(), password, trust(&simulator));
        options.patience = Duration::from_secs(2);
        let client = Vcenter::new(options).unwrap();
        let vm = MoRef::of(MoKind::VirtualMachine, &vcenter.vm_ids()[3]);
        Self { simulator, client, vm }
    }

    fn fault(&self, operation: &str, effect: FaultEffect) {
        self.simulator.add_faults([FaultRule::once(operation, effect)]);
    }

    async fn value(&self, key: i32) -> Option<String> {
        let values = self.client.custom_values(&self.vm).await.unwrap().unwrap();
        values.into_iter().find(|value| value.key == key).map(|value| value.value.into())
    }

    fn calls(&self, operation: &str) -> u64 {
        self.simulator.vcenters()[0].calls().calls.get(operation).copied().unwrap_or_default()
    }
}

fn writer() -> User {
    let privileges = ["Global.ManageCustomFields", "Global.SetCustomField"];
    User::read_only("vmbridge@vsphere.local", "secret").with_privileges(&privileges)
}

#[tokio::test]
async fn attributes_are_defined_set_and_cleared() {
    let world = World::new(writer()).await;
    let key = world.client.add_custom_field(ATTRIBUTE, "VirtualMachine").await.unwrap();
    let fields = world.client.custom_fields().await.unwrap();
    let made = fields.iter().find(|field| &*field.name == ATTRIBUTE).unwrap();
    assert_eq!((made.key, made.managed_object_type.as_deref()), (key, Some("VirtualMachine")));
    assert!(made.is_for("VirtualMachine") && !made.is_for("HostSystem"));
    assert_eq!(world.value(key).await, None);
    for value in ["mi-0123456789abcdef0", "<Käse> & \"Brot\"", ""] {
        world.client.set_custom_field(&world.vm, key, value).await.unwrap();
        assert_eq!(world.value(key).await.unwrap_or_default(), value);
    }
    assert_eq!(world.simulator.effects().len(), 4);
    world.client.close().await.unwrap();
    assert_eq!(world.simulator.vcenters()[0].sessions().open, 0);
}

#[tokio::test]
async fn refusals_have_a_type_and_did_not_take_place() {
    let world = World::new(writer()).await;
    let key = world.client.add_custom_field(ATTRIBUTE, "VirtualMachine").await.unwrap();
    let client = &world.client;
    let again = client.add_custom_field(ATTRIBUTE, "VirtualMachine").await.unwrap_err();
    assert_eq!(again.error().fault(), Some(&FaultKind::DuplicateName(ATTRIBUTE.into())));
    let unknown = client.set_custom_field(&world.vm, 9999, "x").await.unwrap_err();
    assert_eq!(unknown.error().fault(), Some(&FaultKind::InvalidArgument("key".into())));
    world.simulator.vcenters()[0].mutate(&Mutation::Remove { id: world.vm.value().to_owned() }).unwrap();
    let gone = client.set_custom_field(&world.vm, key, "x").await.unwrap_err();
    assert!(matches!(gone.error().fault(), Some(FaultKind::ManagedObjectNotFound(_))));
    assert_eq!(client.custom_values(&world.vm).await.unwrap(), None);
    assert!(![&again, &unknown, &gone].into_iter().any(WriteError::may_have_taken_place));
    assert!(again.to_string().starts_with("AddCustomFieldDef at "), "{again}");

    let reader = World::new(User::read_only("vmbridge@vsphere.local", "secret")).await;
    let denied = [
        reader.client.add_custom_field(ATTRIBUTE, "VirtualMachine").await.unwrap_err(),
        reader.client.set_custom_field(&reader.vm, 101, "x").await.unwrap_err(),
    ];
    for (error, missing) in denied.iter().zip(["Global.ManageCustomFields", "Global.SetCustomField"]) {
        let fault = error.error().fault();
        assert!(
            matches!(fault, Some(FaultKind::NoPermission { privilege, .. }) if privilege == missing),
            "{fault:?}"
        );
        assert!(!error.may_have_taken_place());
    }
    assert!(reader.simulator.effects().is_empty());
}

#[tokio::test]
async fn a_lost_answer_is_told_and_not_repeated() {
    let world = World::new(writer()).await;
    let key = world.client.add_custom_field(ATTRIBUTE, "VirtualMachine").await.unwrap();
    let mut calls = 0;
    for (effect, took_place) in [
        (FaultEffect::ResetAfter, true),
        (FaultEffect::ResetBefore, false),
        (FaultEffect::Truncate, true),
        (FaultEffect::Malformed, true),
        (FaultEffect::Status { code: 502 }, false),
        (FaultEffect::SoapFault { name: "SystemError".into() }, false),
        (FaultEffect::Hang { milliseconds: 60_000 }, false),
    ] {
        let value = format!("{effect:?}");
        world.fault("SetField", effect);
        let error = world.client.set_custom_field(&world.vm, key, &value).await.unwrap_err();
        assert!(error.may_have_taken_place(), "{value}: {error:?}");
        calls += 1;
        assert_eq!(world.calls("SetField"), calls, "{value}");
        assert_eq!(world.value(key).await.as_deref() == Some(&value), took_place, "{value}");
    }
    world.fault("AddCustomFieldDef", FaultEffect::ResetAfter);
    let error = world.client.add_custom_field("other", "VirtualMachine").await.unwrap_err();
    assert!(error.may_have_taken_place());
    assert!(world.client.custom_fields().await.unwrap().iter().any(|field| &*field.name == "other"));
}

#[tokio::test]
async fn a_session_that_has_ended_is_made_anew_and_the_change_is_made_once() {
    let world = World::new(writer()).await;
    let key = world.client.add_custom_field(ATTRIBUTE, "VirtualMachine").await.unwrap();
    world.simulator.vcenters()[0].terminate_sessions();
    world.client.set_custom_field(&world.vm, key, "one").await.unwrap();
    assert_eq!((world.calls("SetField"), world.simulator.effects().len()), (2, 2));
    // A log-in that fails is not the change that fails.
    world.simulator.vcenters()[0].terminate_sessions();
    world.fault("Login", FaultEffect::ResetAfter);
    let error = world.client.set_custom_field(&world.vm, key, "two").await.unwrap_err();
    assert!(!error.may_have_taken_place(), "{error:?}");
    assert_eq!(world.value(key).await.as_deref(), Some("one"));
    // One that says so every time is believed the second time.
    let lie = FaultEffect::SoapFault { name: "NotAuthenticated".into() };
    world.simulator.add_faults([FaultRule { times: 0, ..FaultRule::once("SetField", lie) }]);
    let error = world.client.set_custom_field(&world.vm, key, "three").await.unwrap_err();
    assert!(!error.may_have_taken_place());
    assert_eq!(world.value(key).await.as_deref(), Some("one"));
}
