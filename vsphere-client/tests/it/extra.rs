//! Properties that are read beside the built-in ones: as real servers tell them, through a watch of both simulators, and where a
//! server does not know one.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use vsphere_client::ids::MoKind;
use vsphere_client::property::{
    Extra, ExtraChange, ExtraPath, Keys, ObjectReport, ReportKind, Tree, TreeLimits, TreeRef, Unreadable,
};
use vsphere_client::watch::{Watch, WatchEvent, WatchOptions};
use vsphere_client::xml::{Body, Decoder, Limits};

use crate::live::{client, simulator};
use crate::vcsim::Vcsim;

/// The recorded data object of this type, element by element.
fn recorded(folder: &str, of: &str) -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire").join(folder);
    let wanted = format!("<returnval xsi:type=\"{of}\">");
    let found = fs::read_dir(root).unwrap().find_map(|file| {
        let text = fs::read_to_string(file.unwrap().path()).unwrap();
        text.contains(&wanted).then_some(text)
    });
    let text = found.unwrap_or_else(|| panic!("no {of} in {folder}"));
    let start = text.find(&wanted).unwrap();
    let end = text.rfind("</returnval>").unwrap() + "</returnval>".len();
    let xml = format!("<r xmlns:xsi=\"i\">{}</r>", &text[start..end]);
    let mut d = Decoder::new(Body::complete(xml.into(), Limits::default()));
    assert!(d.child().unwrap() && d.child().unwrap());
    // The whole of a data object is more than any of its properties.
    let limits = TreeLimits { elements: 100_000, bytes: 4 << 20, ..TreeLimits::default() };
    d.tree(None, limits).unwrap().unwrap()
}

fn xml(tree: TreeRef<'_>, name: &str, out: &mut String) {
    let of = tree.type_name().map(|of| format!(" xsi:type=\"{of}\"")).unwrap_or_default();
    out.push_str(&format!("<{name}{of}>"));
    if let Some(text) = tree.text() {
        out.push_str(&text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"));
    }
    for child in tree.children() {
        xml(child, child.name(), out);
    }
    out.push_str(&format!("</{name}>"));
}

/// The property at `path` below a data object, as a collector would send it: lists in an element of their own.
fn property(object: &Tree, path: &str, list_of: Option<&str>, keep: Option<Keys>) -> Option<Tree> {
    let mut at = vec![object.root()?];
    for step in path.split('.') {
        at = at.iter().flat_map(|tree| tree.children().filter(|child| child.name() == step)).collect();
    }
    let mut value = String::new();
    match list_of {
        Some(of) => {
            value.push_str(&format!("<val xsi:type=\"ArrayOf{of}\">"));
            at.into_iter().for_each(|tree| xml(tree, of, &mut value));
            value.push_str("</val>");
        }
        None => xml(*at.first()?, "val", &mut value),
    }
    let value = format!("<r xmlns:xsi=\"i\">{value}</r>");
    let mut d = Decoder::new(Body::complete(value.into(), Limits::default()));
    assert!(d.child().unwrap() && d.child().unwrap());
    Some(d.tree(keep, TreeLimits::default()).unwrap().unwrap())
}

/// The value of the element with this key, in a list of keys and values.
fn value_of<'a>(list: &'a Tree, key: &str) -> Option<&'a str> {
    let items: Vec<_> = list.root()?.children().collect();
    let has = |item: &&TreeRef<'a>| item.child("key").and_then(TreeRef::text) == Some(key);
    items.iter().find(has)?.child("value")?.text()
}

#[test]
fn a_real_host_says_what_rules_ask() {
    let host = recorded("host-all-properties", "HostConfigInfo");
    let keys =
        ["UserVars.ESXiShellInteractiveTimeOut", "Security.AccountLockFailures", "Syslog.global.logHost"];
    let all = property(&host, "option", Some("OptionValue"), None).unwrap();
    let options = property(&host, "option", Some("OptionValue"), Some(keys.iter().collect())).unwrap();
    assert!(all.root().unwrap().children().count() > 500, "{}", all.root().unwrap().children().count());
    assert_eq!(options.root().unwrap().children().count(), 3);
    assert_eq!(value_of(&options, keys[0]), Some("0"));
    assert_eq!(value_of(&options, keys[1]), Some("0"));
    assert_eq!(value_of(&options, keys[2]), value_of(&all, keys[2]));

    let services =
        property(&host, "service.service", Some("HostService"), Some(["TSM-SSH"].iter().collect()));
    let services = services.unwrap();
    let ssh: Vec<_> = services.root().unwrap().children().collect();
    assert_eq!(ssh.len(), 1);
    assert_eq!(ssh[0].child("policy").and_then(TreeRef::text), Some("on"));
    assert!(ssh[0].child("running").and_then(TreeRef::text).is_some());

    let text = |path: &str| {
        let tree = property(&host, path, None, None).unwrap_or_else(|| panic!("{path} is not there"));
        tree.root().unwrap().text().unwrap_or_else(|| panic!("{path} is a record: {tree:?}")).to_owned()
    };
    assert_eq!(text("lockdownMode"), "lockdownDisabled");
    assert_eq!(text("firewall.defaultPolicy.incomingBlocked"), "true");
    assert!(!text("product.build").is_empty());
    for path in ["dateTimeInfo", "network", "firewall", "capabilities", "hyperThread", "systemResources"] {
        let tree = property(&host, path, None, None);
        let elements = tree.map(|tree| tree.root().unwrap().children().count());
        assert!(elements.is_none_or(|elements| elements > 0), "{path}");
    }
}

#[test]
fn a_real_vm_says_what_rules_ask() {
    let vm = recorded("vm-all-properties", "VirtualMachineConfigInfo");
    let text = |path: &str| {
        let tree = property(&vm, path, None, None);
        tree.and_then(|tree| tree.root()?.text().map(str::to_owned))
    };
    assert_eq!(text("bootOptions.efiSecureBootEnabled").as_deref(), Some("false"));
    assert_eq!(text("flags.enableLogging").as_deref(), Some("true"));
    assert_eq!(text("migrateEncryption").as_deref(), Some("opportunistic"));
    assert_eq!(text("ftEncryptionMode").as_deref(), Some("ftEncryptionOpportunistic"));
    assert!(text("latencySensitivity.level").is_some());
    let all = property(&vm, "extraConfig", Some("OptionValue"), None).unwrap();
    let first = all.root().unwrap().children().next().unwrap();
    let key = first.child("key").and_then(TreeRef::text).unwrap().to_owned();
    let upper = key.to_uppercase();
    let one =
        property(&vm, "extraConfig", Some("OptionValue"), Some([upper.as_str()].iter().collect())).unwrap();
    assert_eq!(value_of(&one, &key), value_of(&all, &key));
    assert_eq!(one.root().unwrap().children().count(), 1);
    let devices = property(&vm, "hardware.device", Some("VirtualDevice"), None).unwrap();
    let types: Vec<_> = devices.root().unwrap().children().filter_map(TreeRef::type_name).collect();
    assert!(types.contains(&"VirtualDisk") && types.contains(&"ParaVirtualSCSIController"), "{types:?}");
}

/// Everything up to the end of the first reading: what was said of extra properties, by object.
async fn first_reading(watch: &mut Watch) -> Vec<ObjectReport> {
    let mut all = Vec::new();
    loop {
        let event = tokio::time::timeout(Duration::from_secs(30), watch.next()).await.unwrap().unwrap();
        match event {
            WatchEvent::Objects(reports) => all.extend(reports),
            WatchEvent::Complete => return all,
            WatchEvent::Interrupted { error, .. } => panic!("{}", error.line()),
            _ => {}
        }
    }
}

fn keyed(path: &str, keys: &[&str]) -> ExtraPath {
    ExtraPath { path: path.into(), keep: Some(keys.iter().collect()) }
}

fn extras(report: &ObjectReport) -> BTreeMap<usize, &ExtraChange> {
    let told: BTreeMap<_, _> = report.extras.iter().map(|extra| (extra.index, &extra.change)).collect();
    assert_eq!(told.len(), report.extras.len(), "each once: {:?}", report.extras);
    told
}

#[tokio::test]
async fn vcsim_tells_them_at_first_and_when_they_change() {
    let vcsim = Vcsim::start(3).await;
    let client = vcsim.client(vcsim.address(), vcsim.ca_pem());
    let extra = Extra::new([
        (MoKind::VirtualMachine, vec![keyed("config.extraConfig", &["test.key"]), "config.version".into()]),
        (MoKind::HostSystem, vec!["config.option".into(), "config.product".into()]),
        (MoKind::ClusterComputeResource, vec!["configurationEx".into()]),
        (MoKind::DistributedVirtualPortgroup, vec!["config.defaultPortConfig".into()]),
    ]);
    let mut watch = client.watch(WatchOptions { extra, ..WatchOptions::default() });
    let all = first_reading(&mut watch).await;
    let of = |kind: MoKind| all.iter().filter(move |report| *report.object.mo_kind() == kind);
    for vm in of(MoKind::VirtualMachine) {
        let told = extras(vm);
        let ExtraChange::Set(version) = told[&1] else { panic!("{told:?}") };
        assert!(version.root().unwrap().text().unwrap().starts_with("vmx-"));
        if let Some(ExtraChange::Set(options)) = told.get(&0) {
            assert_eq!(options.root().unwrap().children().count(), 0, "{options:?}");
        }
    }
    assert!(of(MoKind::VirtualMachine).count() >= 3);
    for host in of(MoKind::HostSystem) {
        let ExtraChange::Set(product) = extras(host)[&1] else { panic!("{host:?}") };
        assert_eq!(product.root().unwrap().child("vendor").and_then(TreeRef::text), Some("VMware, Inc."));
    }
    let cluster = of(MoKind::ClusterComputeResource).next().expect("a cluster");
    let ExtraChange::Set(configuration) = extras(cluster)[&0] else { panic!("{cluster:?}") };
    assert_eq!(configuration.root().unwrap().type_name(), Some("ClusterConfigInfoEx"));
    assert!(cluster.properties.name().unwrap().as_value().is_some(), "the built-in ones come, too");
    let portgroup = of(MoKind::DistributedVirtualPortgroup).next().expect("a port group");
    let ExtraChange::Set(policy) = extras(portgroup)[&0] else { panic!("{portgroup:?}") };
    assert_eq!(policy.root().unwrap().type_name(), Some("VMwareDVSPortSetting"));
    assert!(portgroup.properties.name().unwrap().as_value().is_some());

    let vm = of(MoKind::VirtualMachine).next().unwrap().object.clone();
    vcsim.govc(["vm.change", "-vm", &format!("VirtualMachine:{}", vm.value()), "-e", "test.key=a<b"]).await;
    let changed = loop {
        let event = tokio::time::timeout(Duration::from_secs(30), watch.next()).await.unwrap().unwrap();
        let WatchEvent::Objects(reports) = event else { continue };
        let found = reports.into_iter().find(|report| report.object == vm && !report.extras.is_empty());
        if let Some(report) = found {
            break report;
        }
    };
    assert_eq!(changed.kind, ReportKind::Modified);
    let told = extras(&changed);
    let ExtraChange::Set(options) = told[&0] else { panic!("{told:?}") };
    assert_eq!(value_of(options, "test.key"), Some("a<b"));
    watch.close().await;
    client.close().await.unwrap();
}

#[tokio::test]
async fn what_a_server_does_not_know_is_left_out_and_told() {
    let simulator = simulator(60).await;
    let client = client(&simulator);
    let paths =
        || vec!["config.doesNotExist".into(), keyed("config.extraConfig", &["nvram"]), "alsoUnknown".into()];
    for once in [true, false] {
        let extra =
            Extra::new([(MoKind::VirtualMachine, paths()), (MoKind::HostSystem, vec!["nothing".into()])]);
        let mut watch = client.watch(WatchOptions { extra, once, page: 7, ..WatchOptions::default() });
        let all = first_reading(&mut watch).await;
        let vms: Vec<_> =
            all.iter().filter(|report| *report.object.mo_kind() == MoKind::VirtualMachine).collect();
        assert_eq!(vms.len(), 60);
        let mut read = 0;
        for vm in vms {
            let told = extras(vm);
            let unknown = ExtraChange::Unreadable(Unreadable::Unknown);
            assert_eq!((told.get(&0), told.get(&2)), (Some(&&unknown), Some(&&unknown)));
            if let Some(ExtraChange::Set(options)) = told.get(&1) {
                assert!(value_of(options, "nvram").unwrap().ends_with(".nvram"));
                read += 1;
            }
        }
        assert!(read > 50, "only {read} VMs have a configuration");
        watch.close().await;
    }
    client.close().await.unwrap();
}
