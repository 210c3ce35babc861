//! Guests: who may do what in them, and what the installer does there.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use vmbridge_simulator::{
    Aws, AwsActivation, AwsConfig, AwsMutation, GUEST_PASSWORD, GuestAccount, GuestSetting, GuestTruth,
    Mutation, Simulator, Vcenter,
};

use crate::aws_client::start;
use crate::client::{Answer, COLLECTOR, Client, http};

const FILES: &str = "GuestFileManager:guestOperationsFileManager";
const PROCESSES: &str = "GuestProcessManager:guestOperationsProcessManager";
const REGION: &str = "eu-central-1";
const SCRIPT: &str = "install-ssm-agent.sh";

/// One guest that is worked in.
struct Worker {
    simulator: Simulator,
    aws: Aws,
    client: Client,
    vm: String,
    user: &'static str,
    sudo: bool,
}

impl Worker {
    async fn new() -> Self {
        let (simulator, aws) = start(60, AwsConfig::default()).await;
        let client = Client::logged_in(&simulator.vcenters()[0]).await;
        let truth = simulator.vcenters()[0].truth();
        let ready =
            |vm: &&Value| vm["guest"]["operationsReady"] == true && vm["guest"]["family"] == "linuxGuest";
        let vm =
            truth["vms"].as_array().unwrap().iter().find(ready).unwrap()["id"].as_str().unwrap().to_owned();
        let worker = Self { simulator, aws, client, vm, user: "root", sudo: false };
        worker.set(GuestSetting { work_ms: Some(5), ..GuestSetting::default() });
        worker
    }

    fn vcenter(&self) -> &Vcenter {
        &self.simulator.vcenters()[0]
    }

    fn set(&self, guest: GuestSetting) {
        self.vcenter().mutate(&Mutation::SetGuest { id: self.vm.clone(), guest }).unwrap();
    }

    fn truth(&self) -> GuestTruth {
        self.vcenter().guests().into_iter().find(|guest| guest.vm == self.vm).unwrap()
    }

    fn activation(&self) -> AwsActivation {
        let add = AwsMutation::AddActivation {
            account: None,
            region: None,
            description: None,
            registration_limit: None,
            tags: BTreeMap::new(),
            expires_in_seconds: None,
        };
        let id = self.aws.mutate(&add).unwrap().unwrap();
        let account = self.aws.accounts()[0].id.clone();
        self.aws.activations(&account, REGION).into_iter().find(|known| known.activation_id == id).unwrap()
    }

    async fn call(&self, method: &str, this: &str, more: &str) -> Answer {
        let auth = format!(
            "<auth xsi:type=\"NamePasswordAuthentication\"><interactiveSession>false</interactiveSession>\
             <username>{}</username><password>{GUEST_PASSWORD}</password></auth>",
            self.user
        );
        let arguments = format!("<vm type=\"VirtualMachine\">{}</vm>{auth}{more}", self.vm);
        self.client.call(method, this, &arguments).await
    }

    async fn directory(&self) -> String {
        let made =
            self.call("CreateTemporaryDirectoryInGuest", FILES, "<prefix>vmbridge</prefix><suffix/>").await;
        made.first("returnval").unwrap().to_owned()
    }

    /// Puts a file there and gives the answer of the host.
    async fn put(&self, path: &str, mode: u32, text: &str) -> u16 {
        let more = format!(
            "<guestFilePath>{path}</guestFilePath><fileAttributes xsi:type=\"GuestPosixFileAttributes\">\
             <permissions>{mode}</permissions></fileAttributes><fileSize>{}</fileSize><overwrite>true</overwrite>",
            text.len()
        );
        let told = self.call("InitiateFileTransferToGuest", FILES, &more).await;
        let url = told.first("returnval").unwrap_or_else(|| panic!("{}", told.body)).replace("&amp;", "&");
        // Whatever it shows is accepted, and has to be what vCenter says that it is.
        let builder = reqwest::Client::builder().tls_danger_accept_invalid_certs(true);
        let http = builder.tls_info(true).no_proxy().build().unwrap();
        let sent = http.put(&url).body(text.to_owned()).send().await.unwrap();
        let shown = sent.extensions().get::<reqwest::tls::TlsInfo>().unwrap().peer_certificate().unwrap();
        assert_eq!(shown, self.certificate().await);
        let sent = sent.status().as_u16();
        let again = http.put(&url).body(text.to_owned()).send().await.unwrap();
        assert_eq!(again.status().as_u16(), 404, "a ticket is good once");
        sent
    }

    /// The certificate of the host that the VM is on, as vCenter tells it.
    async fn certificate(&self) -> Vec<u8> {
        let truth = self.vcenter().truth();
        let vms = truth["vms"].as_array().unwrap();
        let vm = vms.iter().find(|vm| vm["id"] == self.vm.as_str()).unwrap();
        let spec = format!(
            "<specSet><propSet><type>HostSystem</type><pathSet>config.certificate</pathSet></propSet>\
             <objectSet><obj type=\"HostSystem\">{}</obj></objectSet></specSet><options/>",
            vm["host"].as_str().unwrap()
        );
        let told = self.client.call("RetrievePropertiesEx", COLLECTOR, &spec).await;
        let bytes =
            told.all("byte").into_iter().map(|byte| byte.parse::<i8>().unwrap().cast_unsigned()).collect();
        let pem = String::from_utf8(bytes).unwrap();
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, base64).unwrap()
    }

    /// Runs a step of the installer and gives its exit code.
    async fn run(&self, step: &str, directory: &str) -> i32 {
        let (path, before) = if self.sudo { ("/usr/bin/sudo", "-n /bin/sh ") } else { ("/bin/sh", "") };
        self.exit(path, &format!("{before}{directory}/{SCRIPT} {step} {directory}"), &[]).await
    }

    async fn exit(&self, path: &str, arguments: &str, variables: &[String]) -> i32 {
        let variables: String =
            variables.iter().map(|one| format!("<envVariables>{one}</envVariables>")).collect();
        let spec = format!(
            "<spec><programPath>{path}</programPath><arguments>{arguments}</arguments>{variables}</spec>"
        );
        let started = self.call("StartProgramInGuest", PROCESSES, &spec).await;
        let pid = started.first("returnval").unwrap_or_else(|| panic!("{}", started.body)).to_owned();
        for _ in 0..200 {
            let known = self.call("ListProcessesInGuest", PROCESSES, &format!("<pids>{pid}</pids>")).await;
            if let Some(code) = known.first("exitCode") {
                return code.parse().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{arguments} has not ended");
    }

    /// Puts script and parameters there and runs a step.
    async fn step(&self, step: &str, directory: &str, parameters: &str) -> i32 {
        assert_eq!(self.put(&format!("{directory}/{SCRIPT}"), 0o700, "#!/bin/sh").await, 200);
        assert_eq!(self.put(&format!("{directory}/parameters"), 0o600, parameters).await, 200);
        self.run(step, directory).await
    }

    fn result(&self, directory: &str) -> Value {
        serde_json::from_str(&self.truth().files[&format!("{directory}/result.json")]).unwrap()
    }

    fn nodes(&self) -> usize {
        self.aws.nodes(&self.aws.accounts()[0].id, REGION).len()
    }
}

fn told(activation: &AwsActivation) -> String {
    let AwsActivation { activation_id: id, activation_code: code, .. } = activation;
    format!("REGION={REGION}\nSOURCE=download\nACTIVATION_ID={id}\nACTIVATION_CODE={code}\n")
}

#[tokio::test]
async fn a_guest_registers_once_by_its_activation_and_goes_online() {
    let worker = Worker::new().await;
    worker.set(GuestSetting { online_after_ms: Some(400), ..GuestSetting::default() });
    let directory = worker.directory().await;
    let activation = worker.activation();
    assert_eq!(worker.step("register", &directory, &told(&activation)).await, 24, "there is no agent yet");
    assert_eq!(worker.step("prepare", &directory, &format!("REGION={REGION}\nSOURCE=download\n")).await, 0);
    assert_eq!(
        worker.result(&directory)["agent"],
        json!({ "installed": true, "version": "3.3.1611.0", "running": false })
    );
    let wrong = told(&activation).replace(&activation.activation_code, "wrong");
    assert_eq!(worker.step("register", &directory, &wrong).await, 30);
    assert_eq!(worker.nodes(), 0);
    assert_eq!(worker.step("register", &directory, &told(&activation)).await, 0);
    let account = worker.aws.accounts()[0].id.clone();
    let node = worker.aws.nodes(&account, REGION).remove(0);
    assert_eq!(
        (node.ping_status.as_str(), node.activation_id.as_ref()),
        ("Inactive", Some(&activation.activation_id))
    );
    assert_eq!(node.vm.as_ref().map(|vm| vm.moref.as_str()), Some(worker.vm.as_str()));
    assert_eq!(worker.truth().registered.unwrap().node, worker.result(&directory)["registration"]["node"]);
    let online = || worker.aws.nodes(&account, REGION)[0].ping_status == "Online";
    for _ in 0..100 {
        if online() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(online());
    // The same activation again changes nothing; another one is refused, unless it is to take over.
    assert_eq!(worker.step("register", &directory, &told(&activation)).await, 0);
    let second = worker.activation();
    assert_eq!(worker.step("register", &directory, &told(&second)).await, 32);
    let registrations = || {
        worker
            .simulator
            .effects()
            .iter()
            .filter(|effect| effect.operation == "RegisterManagedInstance")
            .count()
    };
    assert_eq!((worker.nodes(), registrations()), (1, 1));
    assert_eq!(worker.step("register", &directory, &format!("{}REREGISTER=true\n", told(&second))).await, 0);
    assert_eq!((worker.nodes(), registrations()), (2, 2));
    // Each can be used once.
    let used = format!("{}REREGISTER=true\n", told(&activation));
    assert_eq!(worker.step("register", &directory, &used).await, 30);
    let progress = &worker.truth().files[&format!("{directory}/progress")];
    assert!(
        progress.starts_with("checking\n")
            && progress.contains("installing\n")
            && progress.contains("registering\n")
    );
    // Nothing that is left says the code; no command line ever did.
    let left = format!("{:?}", worker.truth());
    assert!(!left.contains(&activation.activation_code) && !left.contains(&second.activation_code), "{left}");
    assert_eq!(worker.step("cleanup", &directory, "").await, 0);
    assert_eq!((worker.truth().files.len(), worker.truth().directories.len()), (0, 0));
}

#[tokio::test]
async fn steps_end_as_they_are_told_to() {
    let worker = Worker::new().await;
    let directory = worker.directory().await;
    let parameters = "REGION=eu-central-1\nSOURCE=download\n";
    let outcomes =
        BTreeMap::from([("prepare".to_owned(), vec!["disk-full".to_owned(), "no-dns".to_owned()])]);
    worker.set(GuestSetting { outcomes: Some(outcomes), ..GuestSetting::default() });
    for (step, code, reason) in [
        ("preflight", 0, "ok"),
        ("prepare", 12, "disk-full"),
        ("prepare", 14, "no-dns"),
        ("prepare", 0, "ok"),
    ] {
        assert_eq!(worker.step(step, &directory, parameters).await, code);
        let result = worker.result(&directory);
        assert_eq!(
            (&result["code"], &result["reason"], &result["step"]),
            (&json!(code), &json!(reason), &json!(step))
        );
    }
    // An agent that is there needs no room.
    worker.set(GuestSetting { disk_bytes: Some(50 << 20), ..GuestSetting::default() });
    assert_eq!(worker.step("prepare", &directory, parameters).await, 0);
    worker.set(GuestSetting { agent: Some(String::new()), ..GuestSetting::default() });
    assert_eq!(worker.step("prepare", &directory, parameters).await, 12);
    assert_eq!(worker.step("prepare", &directory, &format!("{parameters}MINIMUM_DISK_MIB=10\n")).await, 0);
    for (parameters, code) in [
        ("REGION=x\nWHAT=y\n", 40),
        ("nonsense", 40),
        ("SOURCE=elsewhere\n", 40),
        ("SOURCE=present\nMINIMUM_VERSION=3.10.0\nMINIMUM_DISK_MIB=1\n", 25),
        ("SOURCE=present\nMINIMUM_VERSION=3.3.0\nMINIMUM_DISK_MIB=1\n", 0),
    ] {
        assert_eq!(worker.step("prepare", &directory, parameters).await, code, "{parameters}");
    }
    // Parameters that others may read are not used, and those of the run before are gone.
    assert_eq!(worker.put(&format!("{directory}/parameters"), 0o644, parameters).await, 200);
    assert_eq!(worker.run("prepare", &directory).await, 40);
    assert_eq!(worker.run("prepare", &directory).await, 40);
    assert_eq!(worker.exit("/bin/sh", "-c true", &[]).await, 127);
}

#[tokio::test]
async fn who_is_not_root_needs_sudo_and_sudo_needs_no_password() {
    let mut worker = Worker::new().await;
    let account = |username: &str, sudo| GuestAccount {
        username: username.into(),
        password: GUEST_PASSWORD.into(),
        privileged: false,
        sudo,
    };
    let accounts = Some(vec![account("svc", false), account("ops", true)]);
    worker.set(GuestSetting { accounts, ..GuestSetting::default() });
    let parameters = "REGION=eu-central-1\nSOURCE=download\n";
    for (user, sudo, code) in [("svc", false, 18), ("svc", true, 1), ("ops", false, 18), ("ops", true, 0)] {
        worker.user = user;
        worker.sudo = sudo;
        let directory = worker.directory().await;
        assert_eq!(worker.step("prepare", &directory, parameters).await, code, "{user} {sudo}");
        // Sudo that asks for a password starts nothing: then what was put there is still there.
        let left = worker.truth().files.contains_key(&format!("{directory}/parameters"));
        assert_eq!(left, code == 1);
        // What runs by sudo gives what it wrote to whoever the directory belongs to.
        let report = format!("<guestFilePath>{directory}/result.json</guestFilePath>");
        let got = worker.call("InitiateFileTransferFromGuest", FILES, &report).await;
        let expected = match (sudo, code) {
            (true, 1) => Some("FileNotFound"),
            _ => None,
        };
        assert_eq!(got.fault(), expected, "{}", got.body);
    }
    worker.user = "root";
    let refused = worker.call("ListProcessesInGuest", PROCESSES, "").await;
    assert_eq!((refused.fault(), worker.truth().refused), (Some("InvalidGuestLogin"), 1));
}

#[tokio::test]
async fn without_files_the_installer_comes_in_the_environment() {
    let worker = Worker::new().await;
    let line = "REGION=eu-central-1\nSOURCE=download\n";
    let variables = ["VMBRIDGE_SCRIPT=#!/bin/sh".to_owned(), format!("VMBRIDGE_PARAMETERS={line}")];
    let run = |step: &str| {
        format!("-c 'umask 077; exec /bin/sh -c \"$VMBRIDGE_SCRIPT\" install {step} /tmp/vmbridge1'")
    };
    assert_eq!(worker.exit("/bin/sh", &run("prepare"), &variables).await, 0);
    assert_eq!(worker.exit("/bin/sh", &run("prepare"), &variables[..1]).await, 40);
    assert_eq!(worker.exit("/bin/sh", &run("prepare"), &variables[1..]).await, 127);
    assert_eq!(worker.truth().directories, ["/tmp/vmbridge1"]);
    assert!(worker.truth().started[0].contains("VMBRIDGE_PARAMETERS=REGION"), "all that was seen is told");
    let bad =
        "<spec><programPath>/bin/sh</programPath><arguments/><envVariables>nothing</envVariables></spec>";
    assert_eq!(worker.call("StartProgramInGuest", PROCESSES, bad).await.fault(), Some("InvalidArgument"));
}

#[tokio::test]
async fn a_reboot_in_the_middle_leaves_nothing_done_and_a_copy_has_the_registration() {
    let worker = Worker::new().await;
    let directory = worker.directory().await;
    assert_eq!(worker.step("prepare", &directory, "REGION=eu-central-1\nSOURCE=download\n").await, 0);
    let activation = worker.activation();
    worker.set(GuestSetting { work_ms: Some(150), ..GuestSetting::default() });
    assert_eq!(worker.put(&format!("{directory}/parameters"), 0o600, &told(&activation)).await, 200);
    let arguments = format!("{directory}/{SCRIPT} register {directory}");
    let spec = format!("<spec><programPath>/bin/sh</programPath><arguments>{arguments}</arguments></spec>");
    assert_eq!(worker.call("StartProgramInGuest", PROCESSES, &spec).await.status, 200);
    worker.set(GuestSetting { reboot: true, ..GuestSetting::default() });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!((worker.nodes(), worker.truth().registered), (0, None));
    assert!(worker.call("ListProcessesInGuest", PROCESSES, "").await.all("returnval").is_empty());

    assert_eq!(worker.step("register", &directory, &told(&activation)).await, 0);
    let node = worker.truth().registered.unwrap().node;
    let offline = AwsMutation::SetNode {
        node: node.clone(),
        ping_status: Some("ConnectionLost".into()),
        computer_name: None,
        ip_address: None,
        agent_version: None,
    };
    worker.aws.mutate(&offline).unwrap();
    assert_eq!(worker.step("restart", &directory, "REGION=eu-central-1\nSOURCE=download\n").await, 0);
    assert_eq!(worker.aws.nodes(&worker.aws.accounts()[0].id, REGION)[0].ping_status, "Online");
    let clone = Mutation::Clone { id: worker.vm.clone(), name: "copy".into(), same_identity: false };
    let copy = worker.vcenter().mutate(&clone).unwrap().unwrap();
    let copied = worker.vcenter().guests().into_iter().find(|guest| guest.vm == copy).unwrap();
    assert_eq!(copied.registered.map(|registered| registered.node), Some(node));
    assert!(copied.started.is_empty());
}

#[tokio::test]
async fn guests_are_set_and_told_by_the_control_endpoint() {
    let worker = Worker::new().await;
    let control = worker.simulator.serve_control(0).await.unwrap();
    let http = http(&worker.vcenter().ca_pem());
    let name = worker.vcenter().name();
    let change =
        json!({ "op": "setGuest", "vm": worker.vm, "guest": { "lockAfter": 1, "password": "other" } });
    let made = http.post(format!("{control}/mutate/{name}")).body(change.to_string()).send().await.unwrap();
    assert_eq!(made.status().as_u16(), 200);
    assert_eq!(worker.call("ListProcessesInGuest", PROCESSES, "").await.fault(), Some("InvalidGuestLogin"));
    let told = http.get(format!("{control}/guests/{name}")).send().await.unwrap().text().await.unwrap();
    let told: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&told[0]["vm"], &told[0]["locked"]), (&json!(worker.vm), &json!(["root"])));
    let wrong = json!({ "op": "setGuest", "vm": worker.vm, "guest": { "pasword": "x" } });
    let refused = http.post(format!("{control}/mutate/{name}")).body(wrong.to_string()).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 400);
}
