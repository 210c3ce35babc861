//! Guest operations against VMware's simulator, as far as it goes without containers: who is let in, and why not.

use secrecy::SecretString;
use serde_json::{Value, json};
use tempfile::tempdir;
use vmbridge_e2e::vcsim::Vcsim;
use vsphere_client::ids::{MoKind, MoRef};
use vsphere_client::tls::TlsTrust;
use vsphere_client::vcenter::guest::{
    Content, FileAttributes, GuestAuth, GuestFault, ProgramSpec, TransferError,
};
use vsphere_client::vcenter::{ConnectOptions, Vcenter};
use vsphere_client::watch::{WatchEvent, WatchOptions};

fn login(username: &str, password: &str) -> GuestAuth {
    GuestAuth::NamePassword {
        username: username.to_owned(),
        password: SecretString::from(password.to_owned()),
    }
}

fn client(vcsim: &Vcsim) -> Vcenter {
    let ca = std::fs::read(vcsim.endpoint("caFile").unwrap()).unwrap();
    let trust = TlsTrust { extra_ca_pem: Some(ca), pins: Vec::new() };
    let password = SecretString::from(vcsim.endpoint("password").unwrap().to_owned());
    let url = vcsim.endpoint("url").unwrap().parse().unwrap();
    let username = vcsim.endpoint("username").unwrap().to_owned();
    Vcenter::new(ConnectOptions::new(url, username, password, trust)).unwrap()
}

/// The VMs of the vCenter.
async fn vms(client: &Vcenter) -> Vec<MoRef> {
    let mut watch = client.watch(WatchOptions::default());
    let mut vms = Vec::new();
    loop {
        match watch.next().await.unwrap() {
            WatchEvent::Objects(reports) => {
                vms.extend(reports.into_iter().map(|report| report.object));
            }
            WatchEvent::Complete => break,
            _ => {}
        }
    }
    watch.close().await;
    vms.retain(|object| *object.mo_kind() == MoKind::VirtualMachine);
    vms
}

#[tokio::test]
async fn vmwares_simulator_lets_in_and_keeps_out_whom_it_should() {
    let folder = tempdir().unwrap();
    let vcsim = Vcsim::start(folder.path(), &["--vms", "60"]).await.unwrap();
    let client = client(&vcsim);
    let good = login(vcsim.endpoint("guestUsername").unwrap(), vcsim.endpoint("guestPassword").unwrap());
    let mut let_in = None;
    for vm in vms(&client).await {
        match client.validate_in_guest(&vm, &good).await {
            Ok(()) => {
                let_in = Some(vm);
                break;
            }
            Err(error) => {
                let fault = GuestFault::of(error.error());
                let closed = [GuestFault::InvalidPowerState, GuestFault::GuestOperationsUnavailable];
                assert!(fault.is_some_and(|fault| closed.contains(&fault)), "{error:?}");
            }
        }
    }
    let vm = let_in.unwrap();
    let fault = async |auth: &GuestAuth| {
        let error = client.validate_in_guest(&vm, auth).await.unwrap_err();
        assert!(!error.may_have_taken_place());
        GuestFault::of(error.error())
    };
    assert_eq!(fault(&login("root", "wrong")).await, Some(GuestFault::InvalidGuestLogin));
    let changed = json!({ "vm": vm.value(), "username": "svc", "password": "other" });
    vcsim.control("POST", "/guest/credentials", Some(&changed)).await.unwrap();
    assert_eq!(fault(&good).await, Some(GuestFault::InvalidGuestLogin));
    let other = login("svc", "other");
    client.validate_in_guest(&vm, &other).await.unwrap();

    // Without a container there is nothing to work in; that is said before anything is sent to a host.
    let unavailable = Some(GuestFault::GuestOperationsUnavailable);
    let error = client.start_in_guest(&vm, &other, &ProgramSpec::default()).await.unwrap_err();
    assert_eq!(GuestFault::of(error.error()), unavailable);
    let error = client.processes_in_guest(&vm, &other, &[1]).await.unwrap_err();
    assert_eq!(GuestFault::of(&error), unavailable);
    let error = client.temporary_directory_in_guest(&vm, &other, "vmbridge-").await.unwrap_err();
    assert_eq!(GuestFault::of(error.error()), unavailable);
    let (mode, content) = (FileAttributes::Posix(0o600), Content::Bytes("x".into()));
    let put = client.upload_to_guest(&vm, &other, None, "/tmp/x", mode, &content).await.unwrap_err();
    let got = client.download_from_guest(&vm, &other, None, "/tmp/x", 10).await.unwrap_err();
    for error in [put, got] {
        assert_eq!(error.vcenter().and_then(GuestFault::of), unavailable, "{error:?}");
        assert!(matches!(error, TransferError::Vcenter(_)));
    }

    // A session that ended is made anew, and the password is then asked for once.
    vcsim.control("POST", "/sessions/terminate", Some(&json!({}))).await.unwrap();
    client.validate_in_guest(&vm, &other).await.unwrap();
    vcsim.mutate("power-off", vm.value(), &Value::Null).await.unwrap();
    assert_eq!(fault(&other).await, Some(GuestFault::InvalidPowerState));
    vcsim.mutate("destroy", vm.value(), &Value::Null).await.unwrap();
    assert_eq!(fault(&other).await, Some(GuestFault::VmNotFound));
    client.close().await.unwrap();
    assert_eq!(vcsim.sessions().await.unwrap(), 0);
}
