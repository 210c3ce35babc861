//! The VMs as a table, for people.

use std::borrow::Cow;
use std::io::{self, Write};

use comfy_table::{Table, TableStyle};

use super::text::{for_terminal, shortened};
use super::{Picture, Printed};
use crate::fleet::VmDocument;

const COLUMNS: [&str; 10] =
    ["VCENTER", "ID", "NAME", "POWER", "GUEST", "TOOLS", "ADDRESS", "CLUSTER", "FOLDER", "TAGS"];
/// Longest text in a cell. The whole of it is in `--json`.
const LONGEST: usize = 40;

/// Writes the VMs of the picture as a table.
///
/// # Errors
/// When it cannot be written.
pub fn write_table(out: &mut dyn Write, picture: &Picture<'_>) -> io::Result<Printed> {
    let mut printed = Printed::default();
    let mut table = Table::new();
    table.load_style(TableStyle::new()).set_header(COLUMNS);
    for part in picture.parts() {
        for vm in picture.filter.vms(part, &mut printed.undecided) {
            table.add_row(cells(&vm.document()));
            printed.vms += 1;
        }
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(printed)
}

fn cells(vm: &VmDocument<'_>) -> [String; COLUMNS.len()] {
    let cell = |text: &str| shortened(&for_terminal(text), LONGEST).into_owned();
    let maybe = |text: Option<&str>| cell(text.unwrap_or("-"));
    let guest = vm.guest.reported_full_name.filter(|name| !name.is_empty()).or(vm.guest.full_name);
    [
        cell(vm.vcenter),
        cell(vm.moref),
        maybe(vm.name),
        power(vm).into_owned(),
        maybe(guest),
        tools(vm).to_owned(),
        maybe(vm.guest.ip_address.filter(|address| !address.is_empty())),
        maybe(vm.cluster.as_ref().and_then(|cluster| cluster.name)),
        maybe(vm.folder.as_ref().and_then(|folder| folder.path)),
        tags(vm),
    ]
}

fn power<'a>(vm: &VmDocument<'a>) -> Cow<'a, str> {
    if vm.template == Some(true) {
        return "template".into();
    }
    match (vm.connection_state, vm.power_state) {
        (Some("connected"), Some("poweredOn")) => "on".into(),
        (Some("connected"), Some("poweredOff")) => "off".into(),
        (Some("connected") | None, Some(other)) | (Some(other), _) => for_terminal(other),
        (None, None) => "-".into(),
    }
}

fn tools(vm: &VmDocument<'_>) -> &'static str {
    match (vm.guest.tools_running, vm.guest.tools_version_status) {
        (_, Some("guestToolsNotInstalled")) => "none",
        (Some("guestToolsRunning"), _) => "running",
        (Some("guestToolsExecutingScripts"), _) => "starting",
        (Some(_), _) => "stopped",
        (None, _) => "-",
    }
}

fn tags(vm: &VmDocument<'_>) -> String {
    match &vm.tags {
        None => "?".to_owned(),
        Some(tags) if tags.is_empty() => "-".to_owned(),
        Some(tags) => {
            let all: Vec<_> = tags.iter().map(|tag| format!("{}:{}", tag.category, tag.name)).collect();
            shortened(&for_terminal(&all.join(", ")), 2 * LONGEST).into_owned()
        }
    }
}
