//! Answers recorded from real servers: every one decodes, and those that hold what a fleet needs decode to what they say.

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use vsphere_client::ids::MoRef;
use vsphere_client::model::{Device, DeviceKind, DiskMode, PowerState, ServiceContent, ToolsRunningStatus};
use vsphere_client::property::{
    Change, Datastore, HostSystem, ObjectProperties, ObjectReport, Properties, ReportKind, UpdatePage,
    VirtualMachine, decode_retrieve_result, decode_update_set,
};
use vsphere_client::soap::{Fault, FaultKind, ServiceVersions, decode_envelope};
use vsphere_client::xml::{Body, Decoder, Limits, Named, XmlError};

fn recorded() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire");
    let folders = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir());
    let mut files: Vec<_> =
        folders.flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path())).collect();
    files.sort();
    files
}

fn decoder(path: &Path) -> Decoder {
    Decoder::new(Body::complete(Bytes::from(fs::read(path).unwrap()), Limits::default()))
}

/// The response element that the file's name promises.
fn response_of(path: &Path) -> &'static str {
    let name = path.file_stem().unwrap().to_str().unwrap();
    match name.split_once('-').unwrap().1 {
        "FetchResponse" => "FetchResponse",
        "LoginResponse" => "LoginResponse",
        "RetrieveServiceContentResponse" => "RetrieveServiceContentResponse",
        "CreateContainerViewResponse" => "CreateContainerViewResponse",
        "DestroyViewResponse" => "DestroyViewResponse",
        "Fault" => "LoginResponse",
        other => panic!("what is {other}?"),
    }
}

fn answer<T>(path: &Path, read: impl FnOnce(&mut Decoder) -> Result<T, XmlError>) -> Result<T, Fault> {
    let result = decode_envelope(&mut decoder(path), response_of(path), read);
    result.unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire").join(name)
}

/// Walks into every element and reads every text.
fn walk(d: &mut Decoder, elements: &mut usize) -> Result<(), XmlError> {
    while d.child()? {
        *elements += 1;
        walk(d, elements)?;
    }
    Ok(())
}

#[test]
fn every_recorded_answer_decodes() {
    let files = recorded();
    assert!(files.len() > 100, "only {} recorded answers found", files.len());
    for path in files {
        if path.ends_with("000-vimServiceVersions.xml") {
            let versions = ServiceVersions::decode(fs::read(&path).unwrap().into()).unwrap();
            assert_eq!(versions.newest_common().unwrap().to_string(), "8.0.2.0");
            continue;
        }
        let mut elements = 0;
        let walked = answer(&path, |d| walk(d, &mut elements));
        assert_eq!(walked.is_err(), path.ends_with("001-Fault.xml"), "{}", path.display());
        // Passing over it reads the same bytes to the same end.
        let skipped = answer(&path, |d| {
            while d.child()? {
                d.skip()?;
            }
            Ok(())
        });
        assert_eq!(walked, skipped, "{}", path.display());
    }
}

#[test]
fn service_content_says_who_the_server_is() {
    let contents = answer(&file("connect/001-RetrieveServiceContentResponse.xml"), |d| {
        let mut contents = Vec::<ServiceContent>::new();
        while d.child()? {
            contents.push(d.read()?);
        }
        Ok(contents)
    });
    let [content] = &contents.unwrap()[..] else { panic!("one service content") };
    assert_eq!(content.about.version, "8.0.3");
    assert_eq!(content.about.api_version, "8.0.2.0");
    assert_eq!(content.about.api_type, "VirtualCenter");
    assert_eq!(content.about.instance_uuid.as_deref(), Some("61f12cb6-9de0-40cb-9c47-61d494229f4f"));
    assert_eq!(content.root_folder, Some(MoRef::new("Folder", "group-d1")));
    assert_eq!(content.event_manager, Some(MoRef::new("EventManager", "EventManager")));
    assert_eq!(content.custom_fields_manager, Some(MoRef::new("CustomFieldsManager", "CustomFieldsManager")));
}

#[test]
fn a_refused_login_is_told_as_such() {
    let fault = answer(&file("login-bad-password/001-Fault.xml"), |d| walk(d, &mut 0)).unwrap_err();
    assert_eq!(fault.kind, FaultKind::InvalidLogin);
    assert_eq!(fault.message, "Cannot complete login due to an incorrect user name or password.");
}

/// Reads the one recorded property value as the property `path` of `P`, or, if that is a data object, every property in `P`
/// that lies below it: what the collector sends one by one stands together in the recording.
fn property<P: Properties>(name: &str, path: &str) -> (P, Vec<Device>) {
    let mut properties = P::default();
    let mut devices = Vec::new();
    answer(&file(name), |d| {
        while d.child()? {
            descend(d, path, &mut properties, &mut devices)?;
        }
        Ok(())
    })
    .unwrap();
    (properties, devices)
}

fn descend<P: Properties>(
    d: &mut Decoder,
    path: &str,
    properties: &mut P,
    devices: &mut Vec<Device>,
) -> Result<(), XmlError> {
    if path == "config.hardware.device" {
        devices.push(d.read()?);
        return Ok(());
    }
    if path == "guest.net" {
        return d.skip();
    }
    if P::PATHS.contains(&path) {
        return properties.set(path, d);
    }
    let inside = format!("{path}.");
    if !P::PATHS.iter().any(|known| known.starts_with(&inside)) {
        return d.skip();
    }
    while d.child()? {
        let path = format!("{inside}{}", d.name());
        descend(d, &path, properties, devices)?;
    }
    Ok(())
}

/// The recorded file of a folder whose value has this type.
fn of_type(folder: &str, xsi_type: &str) -> String {
    let wanted = format!("xsi:type=\"{xsi_type}\"");
    let found = recorded().into_iter().find(|path| {
        path.parent().unwrap().ends_with(folder) && {
            let text = fs::read_to_string(path).unwrap();
            let value = text.find("<returnval").map(|at| &text[at..]).unwrap_or_default();
            value[..value.find('>').unwrap_or(0)].contains(&wanted)
        }
    });
    let name = found.unwrap_or_else(|| panic!("no {xsi_type} in {folder}"));
    format!("{folder}/{}", name.file_name().unwrap().to_str().unwrap())
}

#[test]
fn a_real_vm_decodes_to_what_it_is() {
    let (config, devices) =
        property::<VirtualMachine>(&of_type("vm-all-properties", "VirtualMachineConfigInfo"), "config");
    assert_eq!(config.bios_uuid.as_value().map(|u| &**u), Some("4220824e-c2eb-ed46-47db-8e5746f5bde4"));
    assert_eq!(config.instance_uuid.as_value().map(|u| &**u), Some("50201f05-b37c-db69-fda5-fb077e87af04"));
    assert_eq!(config.template, Change::Set(false));
    assert_eq!(config.hardware_version.as_value().map(|u| &**u), Some("vmx-11"));
    assert_eq!((config.cpus, config.memory_mib), (Change::Set(1), Change::Set(128)));
    assert_eq!(config.created.as_value().unwrap().to_string(), "2023-12-12T10:04:43.377282Z");
    assert_eq!(config.managed_by.as_value().map(|m| &*m.extension_key), Some("com.vmware.vim.eam"));
    assert!(config.annotation.as_value().unwrap().starts_with("vSphere Cluster Service VM is deployed"));

    let disks: Vec<_> = devices.iter().filter_map(Device::disk).collect();
    let [disk] = &disks[..] else { panic!("one disk, not {disks:?}") };
    assert_eq!(disk.capacity_bytes, 2 << 30);
    assert_eq!(disk.mode, Some(Named::Known(DiskMode::Persistent)));
    assert_eq!(disk.backing.as_deref(), Some("FlatVer2"));
    assert!(disk.file_name.as_deref().unwrap().starts_with("[vsanDatastore] "));
    let scsi = devices.iter().find_map(|device| match &device.kind {
        DeviceKind::Controller(controller) => Some((device.key, controller)),
        _ => None,
    });
    let (key, controller) = scsi.unwrap();
    assert_eq!((key, &*controller.type_name), (1000, "ParaVirtualSCSIController"));
    let disk = devices.iter().find(|device| device.disk().is_some()).unwrap();
    assert_eq!((disk.controller_key, disk.label.as_deref()), (Some(1000), Some("Hard disk 1")));

    let (runtime, _) =
        property::<VirtualMachine>(&of_type("vm-all-properties", "VirtualMachineRuntimeInfo"), "runtime");
    assert_eq!(runtime.power_state, Change::Set(Named::Known(PowerState::PoweredOn)));
    assert_eq!(runtime.consolidation_needed, Change::Set(false));
    assert!(runtime.host.as_value().unwrap().value().starts_with("host-"));

    let (guest, _) = property::<VirtualMachine>(&of_type("vm-all-properties", "GuestInfo"), "guest");
    assert_eq!(guest.tools_running, Change::Set(Named::Known(ToolsRunningStatus::Running)));
    assert_eq!(guest.guest_operations_ready, Change::Set(true));
    assert_eq!(guest.guest_reported_full_name.as_value().map(|n| &**n), Some("VMware Photon OS (64-bit)"));
}

#[test]
fn a_real_host_and_datastore_decode_to_what_they_are() {
    let (summary, _) = property::<HostSystem>(&of_type("host-all-properties", "HostListSummary"), "summary");
    assert_eq!(summary.product.as_value().map(|p| p.product_line_id.as_str()), Some("embeddedEsx"));
    assert!(summary.memory_bytes.as_value().unwrap() > &(1 << 30));
    let (runtime, _) = property::<HostSystem>(&of_type("host-all-properties", "HostRuntimeInfo"), "runtime");
    assert_eq!(runtime.maintenance_mode, Change::Set(false));

    let (summary, _) =
        property::<Datastore>(&of_type("datastore-all-properties", "DatastoreSummary"), "summary");
    assert_eq!(summary.kind.as_value().map(|k| &**k), Some("vsan"));
    assert!(summary.free_bytes.as_value().unwrap() < summary.capacity_bytes.as_value().unwrap());
}

/// The `returnval` of a recorded answer as the collector would send it, as the `val` of a property.
fn recorded_value(name: &str) -> String {
    let text = fs::read_to_string(file(name)).unwrap();
    let (start, end) = (text.find("<returnval").unwrap(), text.rfind("</returnval>").unwrap());
    format!("<val{}</val>", &text[start + "<returnval".len()..end])
}

fn reports(method: &str, inside: &str) -> (Vec<ObjectReport>, UpdatePage) {
    let xml = format!(
        "<soapenv:Envelope xmlns:soapenv=\"e\" xmlns:xsi=\"i\"><soapenv:Body><{method}Response xmlns=\"urn:vim25\">\
         {inside}</{method}Response></soapenv:Body></soapenv:Envelope>"
    );
    let mut d = Decoder::new(Body::complete(xml.into(), Limits::default()));
    let mut reports = Vec::new();
    let mut keep = |_: &Decoder, report| {
        reports.push(report);
        Ok(())
    };
    let page = if method == "WaitForUpdatesEx" {
        decode_envelope(&mut d, "WaitForUpdatesExResponse", |d| decode_update_set(d, &mut keep))
            .unwrap()
            .unwrap()
    } else {
        let token =
            decode_envelope(&mut d, "RetrievePropertiesExResponse", |d| decode_retrieve_result(d, &mut keep));
        UpdatePage { version: token.unwrap().unwrap(), truncated: false }
    };
    (reports, page)
}

fn vm(report: &ObjectReport) -> &VirtualMachine {
    let ObjectProperties::VirtualMachine(vm) = &report.properties else { panic!("a VM, not {report:?}") };
    vm
}

#[test]
fn a_page_of_objects_decodes_with_recorded_values_in_it() {
    let datastores = recorded_value("vm-all-properties/031-FetchResponse.xml");
    let inside = format!(
        "<returnval><token>1</token><objects><obj type=\"VirtualMachine\">vm-19</obj>\
         <propSet><name>name</name><val xsi:type=\"xsd:string\">a%2fb &amp; c</val></propSet>\
         <propSet><name>datastore</name>{datastores}</propSet>\
         <propSet><name>runtime.powerState</name><val xsi:type=\"VirtualMachinePowerState\"></val></propSet>\
         <propSet><name>config.somethingNew</name><val xsi:type=\"Unknown\"><x><y/></x></val></propSet>\
         <missingSet><path>config.annotation</path><fault><fault xsi:type=\"NoPermission\"><object type=\"VirtualMachine\">vm-19</object>\
         <privilegeId>System.Read</privilegeId></fault><localizedMessage></localizedMessage></fault></missingSet></objects>\
         <objects><obj type=\"SomethingNew\">x-1</obj><propSet><name>name</name><val>n</val></propSet></objects></returnval>"
    );
    let (reports, page) = reports("RetrievePropertiesEx", &inside);
    assert_eq!(page.version.as_deref(), Some("1"), "the token");
    assert_eq!(reports.len(), 2);
    let first = vm(&reports[0]);
    assert_eq!(reports[0].object, MoRef::new("VirtualMachine", "vm-19"));
    assert_eq!(first.name.as_value().map(|n| &**n), Some("a%2fb & c"));
    assert_eq!(first.datastores.as_value().map(Vec::len), Some(1));
    assert_eq!(first.datastores.as_value().unwrap()[0].kind(), "Datastore");
    assert_eq!(
        first.power_state,
        Change::Set(Named::Unknown("".into())),
        "an empty enumeration value is not an error"
    );
    assert_eq!(first.annotation, Change::Unreadable);
    assert_eq!(first.host_name, Change::NotMentioned);
    assert_eq!(reports[1].properties, ObjectProperties::Other);
}

#[test]
fn a_page_of_changes_decodes() {
    let inside = "<returnval><version>12</version><filterSet><filter type=\"PropertyFilter\">f</filter>\
        <objectSet><kind>enter</kind><obj type=\"VirtualMachine\">vm-1</obj>\
        <changeSet><name>guest.net</name><op>assign</op><val xsi:type=\"ArrayOfGuestNicInfo\"><GuestNicInfo xsi:type=\"GuestNicInfo\">\
        <network>n</network><ipAddress>10.0.0.7</ipAddress><ipAddress>fe80::1</ipAddress><macAddress>00:50:56:00:00:01</macAddress>\
        <connected>true</connected><deviceConfigId>4000</deviceConfigId><ipConfig><ipAddress><ipAddress>10.0.0.7</ipAddress>\
        <prefixLength>24</prefixLength></ipAddress></ipConfig></GuestNicInfo></val></changeSet></objectSet>\
        <objectSet><kind>modify</kind><obj type=\"VirtualMachine\">vm-2</obj><changeSet><name>snapshot</name><op>assign</op></changeSet>\
        <changeSet><name>runtime.host</name><op>assign</op><val type=\"HostSystem\" xsi:type=\"ManagedObjectReference\">host-9</val></changeSet></objectSet>\
        <objectSet><kind>leave</kind><obj type=\"VirtualMachine\">vm-3</obj></objectSet></filterSet><truncated>true</truncated></returnval>";
    let (reports, page) = reports("WaitForUpdatesEx", inside);
    assert_eq!(page, UpdatePage { version: Some("12".into()), truncated: true });
    let kinds: Vec<_> = reports.iter().map(|report| report.kind).collect();
    assert_eq!(kinds, [ReportKind::Entered, ReportKind::Modified, ReportKind::Left]);
    let nics = vm(&reports[0]).guest_nics.as_value().unwrap();
    assert_eq!(
        nics[0].ip_addresses,
        [Box::from("10.0.0.7"), Box::from("fe80::1")],
        "only the card's own, once each"
    );
    assert_eq!((nics[0].connected, nics[0].device_key), (true, 4000));
    assert_eq!(vm(&reports[1]).snapshot, Change::Unset);
    assert_eq!(vm(&reports[1]).host, Change::Set(MoRef::new("HostSystem", "host-9")));

    let (none, page) = self::reports("WaitForUpdatesEx", "");
    assert_eq!((none.len(), page), (0, UpdatePage::default()), "a wait that ended without changes");
}
