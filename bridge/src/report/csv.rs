//! Machines, and results of rules, as CSV (RFC 4180) for spreadsheets.

use std::collections::HashMap;
use std::io::{self, Write};

use super::{AuditDocument, InventoryDocument, MachineDocument, ResultDocument};
use crate::inventory::text::for_spreadsheet;

const MACHINE: [&str; 32] = [
    "overall",
    "machine",
    "name",
    "node",
    "target",
    "vm",
    "platform",
    "agentOnline",
    "patchesInstalled",
    "patchesMissing",
    "patchesFailed",
    "patchesPendingReboot",
    "patchesRejected",
    "patchesCritical",
    "patchesSecurity",
    "scanned",
    "associationsCompliant",
    "associationsNonCompliant",
    "hardeningFailing",
    "hardeningUnreadable",
    "protectionFailing",
    "protectionUnreadable",
    "windows",
    "reasons",
    "inventoryTypes",
    "inventoryCaptured",
    "object",
    "kind",
    "rule",
    "severity",
    "status",
    "evidence",
];

const RESULT: [&str; 9] =
    ["object", "name", "kind", "rule", "title", "severity", "status", "evidence", "time"];

/// Writes machines, and what of a rule that was asked for is not met: in the line of the VM, or in a line of its own for what has
/// none, such as a host.
///
/// # Errors
/// When it cannot be written.
pub fn write_machines(
    out: &mut dyn Write,
    machines: &[MachineDocument],
    failures: &[ResultDocument],
) -> io::Result<()> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    csv.write_record(MACHINE).map_err(io::Error::other)?;
    let mut by_object: HashMap<&str, Vec<&ResultDocument>> = HashMap::new();
    for failure in failures {
        by_object.entry(&failure.object).or_default().push(failure);
    }
    for machine in machines {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let patches = machine.patches.as_ref();
        let number = |of: fn(&super::PatchesDocument) -> u32| {
            patches.map(|patches| of(patches).to_string()).unwrap_or_default()
        };
        let failing = |checks: &Option<super::ChecksDocument>| {
            checks.as_ref().map(|checks| checks.failing.join("; ")).unwrap_or_default()
        };
        let unreadable = |checks: &Option<super::ChecksDocument>| {
            checks.as_ref().map(|checks| checks.unreadable.to_string()).unwrap_or_default()
        };
        let associations = |of: fn((u32, u32)) -> u32| {
            machine.associations.map(|counts| of(counts).to_string()).unwrap_or_default()
        };
        let sentences: Vec<&str> = machine.reasons.iter().map(|reason| reason.sentence.as_str()).collect();
        let mut of_machine =
            machine.vm.as_deref().and_then(|vm| by_object.remove(vm)).unwrap_or_default().into_iter();
        let failure = of_machine.next();
        let of_failure =
            |of: fn(&ResultDocument) -> &String| failure.map(|one| of(one).clone()).unwrap_or_default();
        let inventory = |of: fn(&InventoryDocument) -> &str| {
            let types: Vec<&str> = machine.inventory.iter().flatten().map(of).collect();
            types.join("; ")
        };
        let record: [String; 32] = [
            machine.overall.clone(),
            machine.machine.clone(),
            text(&machine.name),
            text(&machine.node),
            text(&machine.target),
            text(&machine.vm),
            text(&machine.platform),
            machine.agent_online.map(|online| online.to_string()).unwrap_or_default(),
            number(|patches| patches.installed),
            number(|patches| patches.missing),
            number(|patches| patches.failed),
            number(|patches| patches.pending_reboot),
            number(|patches| patches.rejected),
            number(|patches| patches.critical),
            number(|patches| patches.security),
            patches.and_then(|patches| patches.scanned.clone()).unwrap_or_default(),
            associations(|(compliant, _)| compliant),
            associations(|(_, non_compliant)| non_compliant),
            failing(&machine.hardening),
            unreadable(&machine.hardening),
            failing(&machine.protection),
            unreadable(&machine.protection),
            machine.windows.join("; "),
            sentences.join("; "),
            // One that was read and has nothing differs from one that was not.
            match &machine.inventory {
                Some(types) if types.is_empty() => "none".to_owned(),
                _ => inventory(|one| &one.r#type),
            },
            inventory(|one| one.captured.as_deref().unwrap_or_default()),
            of_failure(|one| &one.object),
            of_failure(|one| &one.kind),
            of_failure(|one| &one.rule),
            of_failure(|one| &one.severity),
            of_failure(|one| &one.status),
            of_failure(|one| &one.evidence),
        ];
        write_record(&mut csv, &record)?;
        of_machine.try_for_each(|one| write_record(&mut csv, &alone(one)))?;
    }
    for failure in failures.iter().filter(|one| by_object.contains_key(one.object.as_str())) {
        write_record(&mut csv, &alone(failure))?;
    }
    csv.flush()
}

/// A line of the table for an object that is no machine of it.
fn alone(one: &ResultDocument) -> [String; 32] {
    let mut record: [String; 32] = Default::default();
    let ResultDocument { rule, severity, status, kind, object, name, evidence } = one.clone();
    record[2] = name;
    record[26..].clone_from_slice(&[object, kind, rule, severity, status, evidence]);
    record
}

/// Writes the results of an auditor's report, a line for each object and rule.
///
/// # Errors
/// When it cannot be written.
pub fn write_results(out: &mut dyn Write, audit: &AuditDocument) -> io::Result<()> {
    let mut csv = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(out);
    csv.write_record(RESULT).map_err(io::Error::other)?;
    let titles: HashMap<&str, &str> =
        audit.rules.iter().map(|rule| (rule.id.as_str(), rule.title.as_str())).collect();
    for one in &audit.results {
        let title = titles.get(one.rule.as_str()).copied().unwrap_or_default().to_owned();
        let record = [
            one.object.clone(),
            one.name.clone(),
            one.kind.clone(),
            one.rule.clone(),
            title,
            one.severity.clone(),
            one.status.clone(),
            one.evidence.clone(),
            audit.time.clone(),
        ];
        write_record(&mut csv, &record)?;
    }
    csv.flush()
}

fn write_record<W: Write>(csv: &mut csv::Writer<W>, record: &[String]) -> io::Result<()> {
    let safe = record.iter().map(|cell| for_spreadsheet(cell).into_owned());
    csv.write_record(safe).map_err(io::Error::other)
}
