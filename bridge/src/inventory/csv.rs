//! The VMs as CSV, for spreadsheets. What has a structure of its own is flattened; `--json` has it in full.

use std::borrow::Cow;
use std::io::{self, Write};

use super::text::for_spreadsheet;
use super::{Picture, Printed};
use crate::fleet::VmDocument;

const GIB: i64 = 1 << 30;

const COLUMNS: [&str; 36] = [
    "vcenter",
    "vcenterUuid",
    "moref",
    "name",
    "instanceUuid",
    "biosUuid",
    "datacenter",
    "folder",
    "cluster",
    "host",
    "resourcePool",
    "vApp",
    "powerState",
    "connectionState",
    "template",
    "guestId",
    "guestFullName",
    "guestFamily",
    "hostName",
    "ipAddress",
    "ipAddresses",
    "toolsRunning",
    "toolsVersionStatus",
    "guestOperationsReady",
    "cpus",
    "memoryMiB",
    "disks",
    "diskGiB",
    "datastores",
    "networks",
    "hardwareVersion",
    "firmware",
    "tags",
    "customAttributes",
    "snapshots",
    "annotation",
];

/// Writes the VMs of the picture as CSV (RFC 4180) with a header line.
///
/// # Errors
/// When it cannot be written.
pub fn write_csv(out: &mut dyn Write, picture: &Picture<'_>) -> io::Result<Printed> {
    let mut printed = Printed::default();
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    csv.write_record(COLUMNS).map_err(io::Error::other)?;
    for part in picture.parts() {
        for vm in picture.filter.vms(part, &mut printed.undecided) {
            let cells = cells(&vm.document());
            csv.write_record(cells.iter().map(|cell| for_spreadsheet(cell).into_owned())).map_err(unwrap)?;
            printed.vms += 1;
        }
    }
    csv.flush()?;
    Ok(printed)
}

/// The reason under the error, so that a closed pipe is recognised.
fn unwrap(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    }
}

fn cells(vm: &VmDocument<'_>) -> [String; COLUMNS.len()] {
    let text = |value: Option<&str>| value.unwrap_or_default().to_owned();
    let yes = |value: Option<bool>| value.map(|is| is.to_string()).unwrap_or_default();
    let number = |value: Option<i32>| value.map(|number| number.to_string()).unwrap_or_default();
    let uuid = |value: &Option<String>| value.clone().unwrap_or_default();
    let name = |reference: Option<&crate::fleet::Reference<'_>>| {
        reference.map(|reference| reference.name.unwrap_or(reference.moref).to_owned()).unwrap_or_default()
    };
    let names = |list: &[crate::fleet::Reference<'_>]| {
        joined(list.iter().map(|reference| reference.name.unwrap_or(reference.moref).into()))
    };
    let bytes: i64 = vm.disks.iter().map(|disk| disk.capacity_bytes).sum();
    [
        vm.vcenter.to_owned(),
        uuid(&vm.vcenter_uuid),
        vm.moref.to_owned(),
        text(vm.name),
        uuid(&vm.instance_uuid),
        uuid(&vm.bios_uuid),
        name(vm.datacenter.as_ref()),
        text(vm.folder.as_ref().and_then(|folder| folder.path)),
        name(vm.cluster.as_ref()),
        name(vm.host.as_ref()),
        name(vm.resource_pool.as_ref()),
        name(vm.v_app.as_ref()),
        text(vm.power_state),
        text(vm.connection_state),
        yes(vm.template),
        text(vm.guest.id),
        text(vm.guest.full_name),
        text(vm.guest.family),
        text(vm.guest.host_name),
        text(vm.guest.ip_address),
        joined(vm.guest.ip_addresses.iter().map(|ip| (*ip).into())),
        text(vm.guest.tools_running),
        text(vm.guest.tools_version_status),
        yes(vm.guest.operations_ready),
        number(vm.cpus),
        number(vm.memory_mib),
        vm.disks.len().to_string(),
        format!("{}.{}", bytes / GIB, bytes % GIB * 10 / GIB),
        names(&vm.datastores),
        names(&vm.networks),
        text(vm.hardware_version),
        text(vm.firmware),
        joined(vm.tags.iter().flatten().map(|tag| format!("{}:{}", tag.category, tag.name).into())),
        joined(vm.custom_attributes.iter().map(|(name, value)| format!("{name}={value}").into())),
        vm.snapshots.count().to_string(),
        text(vm.annotation),
    ]
}

fn joined<'a>(parts: impl Iterator<Item = Cow<'a, str>>) -> String {
    parts.collect::<Vec<_>>().join("; ")
}
