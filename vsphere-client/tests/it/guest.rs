//! Guest operations, in guests that refuse, move, fill up and vanish on demand.

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::SecretString;
use vmbridge_simulator::{
    FaultEffect, FaultRule, GUEST_OPERATIONS, GUEST_PASSWORD, GuestAccount, GuestSetting, GuestTruth,
    Mutation, Simulator, SimulatorConfig, User, Vcenter as Server, guest_effects, guest_from_seed,
};
use vsphere_client::error::chain;
use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::soap::FaultKind;
use vsphere_client::vcenter::guest::{
    Content, FileAttributes, GuestAuth, GuestFault, GuestProcess, ProgramSpec, TransferError,
};
use vsphere_client::vcenter::{ConnectOptions, Vcenter};

use crate::live::trust;

const MODE: FileAttributes = FileAttributes::Posix(0o600);
const ORDINARY: FileAttributes = FileAttributes::Windows { hidden: false, read_only: false };
const SHELL: &str = "/bin/sh";
const PRIVILEGES: [&str; 3] = [
    "VirtualMachine.GuestOperations.Query",
    "VirtualMachine.GuestOperations.Execute",
    "VirtualMachine.GuestOperations.Modify",
];

struct World {
    simulator: Simulator,
    client: Vcenter,
    vm: MoRef,
    auth: GuestAuth,
}

fn login(username: &str, password: &str) -> GuestAuth {
    GuestAuth::NamePassword {
        username: username.to_owned(),
        password: SecretString::from(password.to_owned()),
    }
}

/// The first VM that guest operations can be done in.
fn ready(server: &Server, windows: bool) -> MoRef {
    let truth = server.truth();
    let vms = truth["vms"].as_array().unwrap();
    let family = if windows { "windowsGuest" } else { "linuxGuest" };
    let found =
        vms.iter().find(|vm| vm["guest"]["operationsReady"] == true && vm["guest"]["family"] == family);
    MoRef::of(MoKind::VirtualMachine, found.unwrap()["id"].as_str().unwrap())
}

impl World {
    async fn new() -> Self {
        Self::with(User::read_only("vmbridge@vsphere.local", "secret").with_privileges(&PRIVILEGES), false)
            .await
    }

    async fn with(user: User, windows: bool) -> Self {
        let mut config = SimulatorConfig::single(60, 3);
        config.vcenters[0].users = vec![user];
        let simulator = Simulator::start(config).await.unwrap();
        let server = &simulator.vcenters()[0];
        let password = SecretString::from(server.password().to_owned());
        let url = server.url().parse().unwrap();
        let mut options = ConnectOptions::new(url, server.username().to_owned(), password, trust(&simulator));
        options.patience = Duration::from_secs(3);
        let client = Vcenter::new(options).unwrap();
        let vm = ready(server, windows);
        let auth = login(if windows { "Administrator" } else { "root" }, GUEST_PASSWORD);
        Self { simulator, client, vm, auth }
    }

    fn server(&self) -> &Server {
        &self.simulator.vcenters()[0]
    }

    fn id(&self) -> String {
        self.vm.value().to_owned()
    }

    fn mutate(&self, mutation: &Mutation) {
        self.server().mutate(mutation).unwrap();
    }

    fn set(&self, guest: GuestSetting) {
        self.mutate(&Mutation::SetGuest { id: self.id(), guest });
    }

    fn fault(&self, operation: &str, effect: FaultEffect) {
        self.simulator.add_faults([FaultRule::once(operation, effect)]);
    }

    fn calls(&self, operation: &str) -> u64 {
        self.server().calls().calls.get(operation).copied().unwrap_or_default()
    }

    fn truth(&self) -> GuestTruth {
        self.server().guests().into_iter().find(|guest| guest.vm == self.id()).unwrap()
    }

    fn host(&self) -> MoRef {
        let truth = self.server().truth();
        let vm = truth["vms"].as_array().unwrap().iter().find(|vm| vm["id"] == self.id()).unwrap().clone();
        MoRef::of(MoKind::HostSystem, vm["host"].as_str().unwrap())
    }

    fn other_host(&self) -> MoRef {
        let (truth, here) = (self.server().truth(), self.host());
        let mut ids = truth["hosts"].as_array().unwrap().iter().map(|host| host["id"].as_str().unwrap());
        MoRef::of(MoKind::HostSystem, ids.find(|id| *id != here.value()).unwrap())
    }

    async fn directory(&self) -> String {
        self.client.temporary_directory_in_guest(&self.vm, &self.auth, "vmbridge-").await.unwrap()
    }

    async fn put(&self, host: Option<&MoRef>, path: &str, text: &str) -> Result<String, TransferError> {
        let content = Content::Bytes(text.to_owned().into());
        let attributes = if path.starts_with('/') { MODE } else { ORDINARY };
        let put = self.client.upload_to_guest(&self.vm, &self.auth, host, path, attributes, &content).await?;
        assert_eq!(put.size, text.len() as u64);
        Ok(put.sha256)
    }

    async fn get(&self, host: Option<&MoRef>, path: &str) -> Result<Vec<u8>, TransferError> {
        self.client.download_from_guest(&self.vm, &self.auth, host, path, 1 << 16).await
    }

    async fn ended(&self, pid: i64) -> GuestProcess {
        for _ in 0..100 {
            let found = self.client.processes_in_guest(&self.vm, &self.auth, &[pid]).await.unwrap();
            if let Some(process) = found.into_iter().find(|process| process.exit_code.is_some()) {
                return process;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("the program has not ended");
    }
}

fn fault_of(error: &TransferError) -> Option<GuestFault> {
    error.vcenter().and_then(GuestFault::of)
}

#[tokio::test]
async fn the_installer_is_put_there_run_watched_and_removed() {
    let world = World::new().await;
    let World { client, vm, auth, .. } = &world;
    let host = world.host();
    client.validate_in_guest(vm, auth).await.unwrap();
    let directory = world.directory().await;
    assert!(directory.starts_with("/tmp/vmbridge-"), "{directory}");
    let at = |name: &str| format!("{directory}/{name}");
    let script = world.put(Some(&host), &at("install-ssm-agent.sh"), "abc").await.unwrap();
    assert_eq!(script, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    world.put(Some(&host), &at("parameters"), "REGION=eu-central-1\nSOURCE=download\n").await.unwrap();
    let arguments = format!("{} prepare {directory}", at("install-ssm-agent.sh"));
    let program = ProgramSpec { path: SHELL.into(), arguments, ..ProgramSpec::default() };
    let pid = client.start_in_guest(vm, auth, &program).await.unwrap();
    let running = client.processes_in_guest(vm, auth, &[pid]).await.unwrap();
    assert!(running[0].command_line.contains(" prepare ") && running[0].exit_code.is_none(), "{running:?}");
    assert_eq!(running[0].owner, "root");
    let ended = world.ended(pid).await;
    assert!(ended.exit_code == Some(0) && ended.end_time >= ended.start_time);
    let report = world.get(Some(&host), &at("result.json")).await.unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(
        (&report["code"], &report["reason"], &report["step"]),
        (&0.into(), &"ok".into(), &"prepare".into())
    );
    assert!(!world.truth().files.contains_key(&at("parameters")), "deleted as soon as it was read");
    client.delete_file_in_guest(vm, auth, &at("result.json")).await.unwrap();
    assert!(!client.exists_in_guest(vm, auth, &at("result.json")).await.unwrap());
    client.delete_directory_in_guest(vm, auth, &directory).await.unwrap();
    assert!(!client.exists_in_guest(vm, auth, &directory).await.unwrap());
    assert!(world.truth().files.is_empty());
    // The managers once, the certificate of the host once: nothing that is not needed.
    assert_eq!(world.calls("RetrievePropertiesEx"), 2);
    client.close().await.unwrap();
    assert_eq!(world.server().sessions().open, 0);
}

#[tokio::test]
async fn windows_has_its_own_paths_and_attributes() {
    let user = User::read_only("vmbridge@vsphere.local", "secret").with_privileges(&PRIVILEGES);
    let world = World::with(user, true).await;
    let directory = world.directory().await;
    assert!(directory.starts_with(r"C:\Users\"), "{directory}");
    let at = |name: &str| format!(r"{directory}\{name}");
    world.put(None, &at("install-ssm-agent.ps1"), "#").await.unwrap();
    world.put(None, &at("parameters"), "REGION=eu-central-1\nSOURCE=download\n").await.unwrap();
    let program = ProgramSpec {
        path: r"C:\Windows\System32\WindowsPowerShell\v1.0\powershell.exe".into(),
        arguments: format!("-NoLogo -File \"{}\" preflight \"{directory}\"", at("install-ssm-agent.ps1")),
        ..ProgramSpec::default()
    };
    // An administrator without an elevated token.
    let account = GuestAccount {
        username: "Administrator".into(),
        password: GUEST_PASSWORD.into(),
        privileged: false,
        sudo: false,
    };
    world.set(GuestSetting { accounts: Some(vec![account]), ..GuestSetting::default() });
    let pid = world.client.start_in_guest(&world.vm, &world.auth, &program).await.unwrap();
    assert_eq!(world.ended(pid).await.exit_code, Some(18));
    let report = world.get(None, &at("result.json")).await.unwrap();
    assert!(String::from_utf8(report).unwrap().contains("not-privileged"));
    let wrong = Content::Bytes("x".into());
    let (client, vm, auth) = (&world.client, &world.vm, &world.auth);
    let error = client.upload_to_guest(vm, auth, None, &at("x"), MODE, &wrong).await.unwrap_err();
    let invalid = error.vcenter().unwrap().fault();
    assert_eq!(invalid, Some(&FaultKind::InvalidArgument("fileAttributes".into())));
}

#[tokio::test]
async fn every_way_in_that_is_closed_has_a_name_and_is_closed_in_the_order_of_vcenter() {
    let world = World::new().await;
    let World { client, vm, auth, .. } = &world;
    let wrong = login("root", "wrong");
    let refused = client.validate_in_guest(vm, &wrong).await.unwrap_err();
    assert_eq!(GuestFault::of(refused.error()), Some(GuestFault::InvalidGuestLogin));
    assert!(!refused.may_have_taken_place() && !chain(&refused).contains("wrong"), "{}", chain(&refused));
    // Three more lock the account, and then the right one does not help either; each call asks once.
    world.set(GuestSetting { lock_after: Some(4), ..GuestSetting::default() });
    for _ in 0..3 {
        client.processes_in_guest(vm, &wrong, &[]).await.unwrap_err();
    }
    client.validate_in_guest(vm, auth).await.unwrap_err();
    assert_eq!((world.truth().refused, world.truth().locked), (5, vec!["root".to_owned()]));
    world.set(GuestSetting { password: Some(GUEST_PASSWORD.into()), ..GuestSetting::default() });
    client.validate_in_guest(vm, auth).await.unwrap();

    let seen = async |auth: &GuestAuth| {
        let error = client
            .start_in_guest(vm, auth, &ProgramSpec { path: SHELL.into(), ..ProgramSpec::default() })
            .await;
        let error = error.unwrap_err();
        assert!(!error.may_have_taken_place(), "{error:?}");
        GuestFault::of(error.error()).unwrap()
    };
    let tools =
        |running| Mutation::Guest { id: world.id(), ip: None, host_name: None, tools_running: Some(running) };
    world.mutate(&tools(false));
    assert_eq!(seen(&wrong).await, GuestFault::GuestOperationsUnavailable);
    world.mutate(&Mutation::PowerOff { id: world.id() });
    assert_eq!(seen(&wrong).await, GuestFault::InvalidPowerState);
    world.mutate(&Mutation::Remove { id: world.id() });
    assert_eq!(seen(&wrong).await, GuestFault::VmNotFound);
    assert_eq!(world.truth().refused, 5, "nobody was asked for a password");

    let reader = World::with(User::read_only("vmbridge@vsphere.local", "secret"), false).await;
    let error = reader.client.validate_in_guest(&reader.vm, &wrong).await.unwrap_err();
    let missing =
        FaultKind::NoPermission { object: Some(reader.vm.clone()), privilege: PRIVILEGES[0].into() };
    assert_eq!(error.error().fault(), Some(&missing));
}

#[tokio::test]
async fn every_fault_of_a_guest_is_known_by_its_name() {
    let world = World::new().await;
    for (name, fault) in [
        ("OperationNotSupportedByGuest", GuestFault::OperationNotSupportedByGuest),
        ("OperationDisabledByGuest", GuestFault::OperationDisabledByGuest),
        ("GuestComponentsOutOfDate", GuestFault::GuestComponentsOutOfDate),
        ("TooManyGuestLogons", GuestFault::TooManyGuestLogons),
        ("GuestAuthenticationChallenge", GuestFault::GuestAuthenticationChallenge),
        ("GuestPermissionDenied", GuestFault::GuestPermissionDenied),
        ("CannotAccessFile", GuestFault::CannotAccessFile),
        ("FileFault", GuestFault::FileFault),
    ] {
        world.fault("CreateTemporaryDirectoryInGuest", FaultEffect::SoapFault { name: name.into() });
        let error = world.client.temporary_directory_in_guest(&world.vm, &world.auth, "x").await.unwrap_err();
        let seen = GuestFault::of(error.error());
        assert_eq!(seen, Some(fault));
        assert!(
            fault.remedy().is_some_and(|remedy| !remedy.is_empty()) && !error.may_have_taken_place(),
            "{name}"
        );
    }
    // What is under way passes by itself; there is nothing to be done.
    world.fault("TerminateProcessInGuest", FaultEffect::SoapFault { name: "TaskInProgress".into() });
    let error = world.client.terminate_in_guest(&world.vm, &world.auth, 1).await.unwrap_err();
    assert_eq!(GuestFault::of(error.error()).map(GuestFault::remedy), Some(None));
    let error = world.client.terminate_in_guest(&world.vm, &world.auth, 1).await.unwrap_err();
    assert_eq!(GuestFault::of(error.error()), Some(GuestFault::ProcessNotFound));
}

#[tokio::test]
async fn a_program_whose_start_was_not_answered_is_not_started_twice() {
    let world = World::new().await;
    let program = ProgramSpec { path: SHELL.into(), arguments: "-c true".into(), ..ProgramSpec::default() };
    let mut started = 0;
    for (effect, took_place) in [
        (FaultEffect::ResetAfter, true),
        (FaultEffect::ResetBefore, false),
        (FaultEffect::Truncate, true),
        (FaultEffect::Status { code: 502 }, false),
        (FaultEffect::Hang { milliseconds: 60_000 }, false),
    ] {
        world.fault("StartProgramInGuest", effect);
        let error = world.client.start_in_guest(&world.vm, &world.auth, &program).await.unwrap_err();
        assert!(error.may_have_taken_place(), "{error:?}");
        started += usize::from(took_place);
        let truth = world.server().guests().into_iter().find(|guest| guest.vm == world.id());
        assert_eq!(truth.map_or(0, |truth| truth.started.len()), started);
    }
    // A session that ended was not looked at, so it is started then, once.
    world.server().terminate_sessions();
    let pid = world.client.start_in_guest(&world.vm, &world.auth, &program).await.unwrap();
    assert_eq!(world.truth().started.len(), started + 1);
    assert_eq!(world.ended(pid).await.exit_code, Some(127));
    let absent = ProgramSpec { path: "/opt/absent".into(), ..ProgramSpec::default() };
    let error = world.client.start_in_guest(&world.vm, &world.auth, &absent).await.unwrap_err();
    assert_eq!(GuestFault::of(error.error()), Some(GuestFault::FileNotFound));
}

#[tokio::test]
async fn processes_end_by_order_and_vanish_with_a_reboot() {
    let world = World::new().await;
    world.set(GuestSetting { work_ms: Some(60_000), ..GuestSetting::default() });
    let program = ProgramSpec { path: SHELL.into(), arguments: "-c x".into(), ..ProgramSpec::default() };
    let first = world.client.start_in_guest(&world.vm, &world.auth, &program).await.unwrap();
    world.client.terminate_in_guest(&world.vm, &world.auth, first).await.unwrap();
    assert_eq!(world.ended(first).await.exit_code, Some(137));
    let second = world.client.start_in_guest(&world.vm, &world.auth, &program).await.unwrap();
    let all = world.client.processes_in_guest(&world.vm, &world.auth, &[]).await.unwrap();
    assert_eq!(all.iter().map(|process| process.pid).collect::<Vec<_>>(), [first, second]);
    world.set(GuestSetting { reboot: true, ..GuestSetting::default() });
    assert_eq!(world.client.processes_in_guest(&world.vm, &world.auth, &[]).await.unwrap(), []);
}

#[tokio::test]
async fn a_vm_that_moved_is_found_and_a_host_that_is_not_itself_gets_nothing() {
    let world = World::new().await;
    let directory = world.directory().await;
    let path = format!("{directory}/file");
    let (here, there) = (world.host(), world.other_host());
    // Nobody knows where it is; then it is known; then what is known is old.
    world.put(None, &path, "one").await.unwrap();
    world.put(Some(&here), &path, "two").await.unwrap();
    let (from, to) = (here.clone(), there.value().to_owned());
    world.mutate(&Mutation::Migrate { id: world.id(), host: to });
    world.put(Some(&from), &path, "three").await.unwrap();
    assert_eq!(world.get(Some(&from), &path).await.unwrap(), b"three");
    // A new certificate that vCenter knows of is found, too.
    world.mutate(&Mutation::HostCertificate { id: there.value().into(), told: true });
    world.put(Some(&there), &path, "four").await.unwrap();
    let uploads =
        || world.simulator.effects().iter().filter(|effect| effect.operation == "PUT guestFile").count();
    assert_eq!(uploads(), 4);
    // One that vCenter does not know of is not.
    world.mutate(&Mutation::HostCertificate { id: there.value().into(), told: false });
    let error = world.put(Some(&there), &path, "five").await.unwrap_err();
    assert!(matches!(error, TransferError::Untrusted { .. }) && !error.may_have_taken_place(), "{error:?}");
    let error = world.get(Some(&there), &path).await.unwrap_err();
    assert!(matches!(error, TransferError::Untrusted { .. }), "{error:?}");
    assert_eq!((uploads(), world.truth().files[&path].as_str()), (4, "four"));
}

#[tokio::test]
async fn a_vm_that_moves_in_the_middle_of_a_transfer_is_told_to_be_elsewhere() {
    let world = World::new().await;
    let path = format!("{}/file", world.directory().await);
    world.fault("PUT /guestFile", FaultEffect::HoldBefore);
    let (to, here) = (world.other_host().value().to_owned(), world.host());
    let moving = async {
        while world.simulator.holds().is_empty() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        world.mutate(&Mutation::Migrate { id: world.id(), host: to });
        world.simulator.release_holds();
    };
    let (put, ()) = tokio::join!(world.put(Some(&here), &path, "one"), moving);
    assert!(matches!(put, Err(TransferError::Status { status: 500, .. })), "{put:?}");
    assert!(world.truth().files.is_empty());
    world.put(Some(&here), &path, "one").await.unwrap();
}

#[tokio::test]
async fn an_address_whose_host_nobody_vouches_for_is_not_called() {
    let mut user = User::read_only("vmbridge@vsphere.local", "secret").with_privileges(&PRIVILEGES);
    user.denied_paths = vec!["config.certificate".into()];
    let world = World::with(user, false).await;
    let path = format!("{}/file", world.directory().await);
    let error = world.put(None, &path, "one").await.unwrap_err();
    assert!(matches!(error, TransferError::Address(why) if why.contains("certificate")), "{error:?}");
    assert!(world.truth().files.is_empty());
}

#[tokio::test]
async fn files_that_break_off_are_never_taken_for_whole() {
    let world = World::new().await;
    let path = format!("{}/file", world.directory().await);
    let text = "x".repeat(40_000);
    world.put(None, &path, &text).await.unwrap();
    for effect in [
        FaultEffect::ResetBefore,
        FaultEffect::ResetMiddle,
        FaultEffect::Truncate,
        FaultEffect::Empty,
        FaultEffect::Huge { bytes: 1 << 20 },
        FaultEffect::Html,
        FaultEffect::Status { code: 302 },
        FaultEffect::Status { code: 500 },
        FaultEffect::Hang { milliseconds: 60_000 },
    ] {
        let what = format!("{effect:?}");
        world.fault("GET /guestFile", effect);
        let error = world.get(None, &path).await.unwrap_err();
        assert!(!chain(&error).contains("token="), "{what}: the ticket is a secret: {}", chain(&error));
    }
    assert_eq!(world.get(None, &path).await.unwrap(), text.as_bytes());
    for effect in [FaultEffect::ResetBefore, FaultEffect::Status { code: 500 }, FaultEffect::ResetAfter] {
        world.fault("PUT /guestFile", effect);
        let error = world.put(None, &path, "other").await.unwrap_err();
        assert!(error.may_have_taken_place() && !chain(&error).contains("token="), "{error:?}");
    }
    let (client, vm, auth) = (&world.client, &world.vm, &world.auth);
    world.put(None, &path, &text).await.unwrap();
    let error = client.download_from_guest(vm, auth, None, &path, 100).await.unwrap_err();
    assert!(matches!(error, TransferError::TooLarge { size: 40_000, limit: 100 }), "{error:?}");
}

#[tokio::test]
async fn large_files_are_streamed_both_ways() {
    let world = World::new().await;
    let path = format!("{}/package", world.directory().await);
    let folder = tempfile::tempdir().unwrap();
    let local = folder.path().join("package");
    let bytes: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    std::fs::write(&local, &bytes).unwrap();
    let (client, vm, auth) = (&world.client, &world.vm, &world.auth);
    let content = Content::File(local);
    let put = client.upload_to_guest(vm, auth, None, &path, MODE, &content).await.unwrap();
    let mut back = Vec::new();
    let got = client.download_from_guest_into(vm, auth, None, &path, 4 << 20, &mut back).await.unwrap();
    assert_eq!((put.size, &put, back.len()), (3_000_000, &got, 3_000_000));
    assert!(back == bytes);
    let missing = Content::File(folder.path().join("absent"));
    let error = client.upload_to_guest(vm, auth, None, &path, MODE, &missing).await.unwrap_err();
    assert!(matches!(error, TransferError::Content(_)), "{error:?}");
}

#[tokio::test]
async fn rights_room_and_tickets_end() {
    let world = World::new().await;
    let World { client, vm, auth, .. } = &world;
    let directory = world.directory().await;
    let path = format!("{directory}/file");
    world.put(None, &path, "secret").await.unwrap();
    client.make_directory_in_guest(vm, auth, &format!("{directory}/a/b"), true).await.unwrap();
    let again = client.make_directory_in_guest(vm, auth, &format!("{directory}/a"), false).await.unwrap_err();
    assert_eq!(GuestFault::of(again.error()), Some(GuestFault::FileAlreadyExists));

    let account = |username: &str, privileged| GuestAccount {
        username: username.into(),
        password: GUEST_PASSWORD.into(),
        privileged,
        sudo: false,
    };
    let accounts = Some(vec![account("root", true), account("svc", false)]);
    world.set(GuestSetting { accounts, ..GuestSetting::default() });
    let other = login("svc", GUEST_PASSWORD);
    let error = client.download_from_guest(vm, &other, None, &path, 100).await.unwrap_err();
    assert_eq!(fault_of(&error), Some(GuestFault::CannotAccessFile));
    let error = client.delete_directory_in_guest(vm, &other, &directory).await.unwrap_err();
    assert_eq!(GuestFault::of(error.error()), Some(GuestFault::GuestPermissionDenied));
    let error = world.get(None, &format!("{directory}/absent")).await.unwrap_err();
    assert_eq!(fault_of(&error), Some(GuestFault::FileNotFound));

    world.set(GuestSetting { disk_bytes: Some(10), ..GuestSetting::default() });
    let error = world.put(None, &format!("{directory}/more"), "too much").await.unwrap_err();
    assert!(matches!(error, TransferError::Status { status: 500, .. }), "{error:?}");
    world.set(GuestSetting { disk_bytes: Some(1 << 30), ticket_ms: Some(0), ..GuestSetting::default() });
    let error = world.put(None, &path, "late").await.unwrap_err();
    assert!(matches!(error, TransferError::Status { status: 404, .. }), "{error:?}");
    assert_eq!(world.truth().files, BTreeMap::from([(path, "secret".to_owned())]));
}

#[tokio::test]
async fn what_must_not_be_seen_is_in_no_debug_text() {
    let program = ProgramSpec {
        path: SHELL.into(),
        environment: vec!["VMBRIDGE_PARAMETERS=ACTIVATION_CODE=geheim".into()],
        ..ProgramSpec::default()
    };
    let content = Content::Bytes("ACTIVATION_CODE=geheim".into());
    for text in [format!("{program:?}"), format!("{content:?}"), format!("{:?}", login("root", "geheim"))] {
        assert!(!text.contains("geheim"), "{text}");
    }
}

/// What an enrolment does in a guest, until something fails.
async fn whole(world: &World) -> Result<(), String> {
    let World { client, vm, auth, .. } = world;
    let written = |error: &vsphere_client::vcenter::WriteError| chain(error);
    client.validate_in_guest(vm, auth).await.map_err(|error| written(&error))?;
    let made = client.temporary_directory_in_guest(vm, auth, "vmbridge-").await;
    let directory = made.map_err(|error| written(&error))?;
    let path = format!("{directory}/file");
    world.put(None, &path, "ACTIVATION_CODE=geheim").await.map_err(|error| chain(&error))?;
    let program = ProgramSpec { path: SHELL.into(), arguments: directory.clone(), ..ProgramSpec::default() };
    let pid = client.start_in_guest(vm, auth, &program).await.map_err(|error| written(&error))?;
    client.processes_in_guest(vm, auth, &[pid]).await.map_err(|error| chain(&error))?;
    let got = world.get(None, &path).await.map_err(|error| chain(&error))?;
    assert_eq!(got, b"ACTIVATION_CODE=geheim", "a file that is not whole is an error");
    client.exists_in_guest(vm, auth, &path).await.map_err(|error| chain(&error))?;
    client.delete_directory_in_guest(vm, auth, &directory).await.map_err(|error| written(&error))
}

#[tokio::test]
async fn whatever_happens_at_whatever_call_nothing_is_done_twice_and_nothing_secret_is_said() {
    let pairs = (GUEST_OPERATIONS.len() * guest_effects().len()) as u64;
    let world = World::new().await;
    let (mut failed, mut first) = (0, true);
    for seed in 0..pairs {
        let rules = guest_from_seed(seed);
        // The longest patience is for what never answers; everything else is quick.
        let slow = rules.iter().any(|rule| matches!(rule.effect, FaultEffect::Hang { .. }));
        if slow && !std::mem::take(&mut first) {
            continue;
        }
        world.simulator.clear_faults();
        world.simulator.add_faults(rules.clone());
        let done = whole(&world).await;
        failed += usize::from(done.is_err());
        if let Err(said) = done {
            let secret =
                ["geheim", GUEST_PASSWORD, "token="].into_iter().find(|secret| said.contains(secret));
            assert_eq!(secret, None, "seed {seed} {rules:?}: {said}");
        }
        let mut starts = world.truth().started;
        let all = starts.len();
        starts.sort();
        starts.dedup();
        assert_eq!(starts.len(), all, "seed {seed} {rules:?}: started twice");
    }
    // Some faults pass unnoticed, such as a delay; most do not.
    assert!(failed * 2 > usize::try_from(pairs).unwrap(), "{failed} of {pairs}");
    world.simulator.clear_faults();
    whole(&world).await.unwrap();
}
