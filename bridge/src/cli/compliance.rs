//! `vmbridge compliance`: EC2 instances and VMs in one table.

use std::io::{self, Write};

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::select::Select;
use super::{Context, Exit, Failure, desk, output};
use crate::control::Request;
use crate::inventory::Filter;
use crate::inventory::text::{for_terminal, shortened};
use crate::report::{
    ChecksDocument, ComplianceDocument, ComplianceQuery, MachineDocument, compliance, write_machines,
};

/// The longest name that is shown whole, in characters: vSphere's are at most 80.
const LONGEST_NAME: usize = 48;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON object; see `vmbridge schema compliance`.
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV, for spreadsheets.
    #[arg(long)]
    csv: bool,
    #[command(flatten)]
    scope: ScopeArguments,
}

/// The arguments by which a report is about a part of everything.
#[derive(Debug, Args)]
pub(super) struct ScopeArguments {
    /// Only what fails this rule of hardening or check of protection, with what was found, or has this word for what is wrong
    /// (`patches-missing`, `not-managed`, …).
    #[arg(long, value_name = "ID")]
    rule: Option<String>,
    /// Only machines in this maintenance window, by its id or name: EC2 instances and hybrid nodes that its targets take. It
    /// is read for this.
    #[arg(long, value_name = "WINDOW")]
    window: Option<String>,
    /// Only machines of this [[aws]] target.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    #[command(flatten)]
    select: Select,
}

impl ScopeArguments {
    /// The same as a query.
    pub(super) fn query(self, config: &crate::config::Config) -> Result<ComplianceQuery, Failure> {
        let Self { rule, window, target, select } = self;
        let (_, Filter { selectors, vcenters }) = select.apply(config.clone())?;
        let selectors = selectors.iter().map(ToString::to_string).collect();
        Ok(ComplianceQuery { selectors, vcenters, rule, window, target })
    }
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { json, csv, scope } = arguments;
    let (_, config) = context.load()?;
    super::plan::refuse_without_targets(&config)?;
    let query = scope.query(&config)?;
    let request = Request::Compliance(query.clone());
    let here = |view: &crate::plan::View<'_>, read: &crate::report::ReadBack| compliance(view, read, &query);
    let found = match desk::read_back(context, &config, request, query.window.as_deref(), here).await? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    output::write(|out| {
        if json {
            serde_json::to_writer_pretty(&mut *out, &found)?;
            return writeln!(out);
        }
        if csv { write_machines(out, &found.machines, &found.failures) } else { write_table(out, &found) }
    })?;
    if csv {
        found.not_read.iter().for_each(|missing| eprintln!("{}", for_terminal(missing)));
    }
    let all = &found.count;
    let is_well = all.machines == all.compliant && found.failures.is_empty() && found.not_read.is_empty();
    Ok(if is_well { Exit::Done } else { Exit::Problem })
}

fn write_table(out: &mut dyn Write, document: &ComplianceDocument) -> io::Result<()> {
    const HEAD: [&str; 10] =
        ["STATUS", "KIND", "NAME", "NODE", "WHERE", "PATCHES", "INVENTORY", "HARDENING", "PROTECTION", "WHY"];
    let now = document.time.parse().ok();
    if !document.machines.is_empty() {
        output::table(out, HEAD, document.machines.iter().map(|machine| row(machine, now)).collect())?;
        writeln!(out)?;
    }
    let all = &document.count;
    writeln!(
        out,
        "{} machines: {} compliant, {} not, {} unknown",
        all.machines, all.compliant, all.non_compliant, all.unknown
    )?;
    for failure in &document.failures {
        let (kind, status) = (&failure.kind, &failure.status);
        let (name, object) = (for_terminal(&failure.name), for_terminal(&failure.object));
        writeln!(out, "\n{status}: {kind} {name} ({object})\n  {}", for_terminal(&failure.evidence))?;
    }
    for missing in &document.not_read {
        writeln!(out, "? {}", for_terminal(missing))?;
    }
    Ok(())
}

/// How old the newest inventory of a node is.
fn inventory(machine: &MachineDocument, now: Option<Timestamp>) -> String {
    let Some(types) = &machine.inventory else {
        return if machine.node.is_some() { "?" } else { "-" }.to_owned();
    };
    let newest = types.iter().filter_map(|one| one.captured.as_deref()?.parse::<Timestamp>().ok()).max();
    match (newest, now) {
        _ if types.is_empty() => "none".to_owned(),
        (Some(newest), Some(now)) => age(now.duration_since(newest)),
        _ => "of no time".to_owned(),
    }
}

/// In the largest unit of which there are at least two.
fn age(age: SignedDuration) -> String {
    let minutes = age.as_mins().max(0);
    match minutes {
        0..=119 => format!("{minutes} min"),
        120..=2879 => format!("{} h", minutes / 60),
        _ => format!("{} d", minutes / (24 * 60)),
    }
}

fn row(machine: &MachineDocument, now: Option<Timestamp>) -> [String; 10] {
    let none = || "-".to_owned();
    let checks = |checks: &Option<ChecksDocument>| match checks {
        None => none(),
        Some(checks) if checks.failing.is_empty() && checks.unreadable == 0 => "ok".to_owned(),
        Some(checks) if checks.unreadable == 0 => format!("{} fail", checks.failing.len()),
        Some(checks) => format!("{} fail, {} unread", checks.failing.len(), checks.unreadable),
    };
    let patches = machine.patches.as_ref().map_or_else(none, |patches| {
        let counts = [
            (patches.missing, "missing"),
            (patches.failed, "failed"),
            (patches.pending_reboot, "need a restart"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let counts: Vec<String> = counts.map(|(count, word)| format!("{count} {word}")).collect();
        if counts.is_empty() { "ok".to_owned() } else { counts.join(", ") }
    });
    let place = machine.vm.as_deref().and_then(|vm| vm.rsplit_once('/')).map(|(vcenter, _)| vcenter);
    let why = match &machine.reasons[..] {
        [] => String::new(),
        [only] => only.sentence.clone(),
        [worst, rest @ ..] => format!("{} (and {} more)", worst.sentence, rest.len()),
    };
    let name = |name: &str| shortened(name, LONGEST_NAME).into_owned();
    [
        machine.overall.clone(),
        machine.machine.clone(),
        machine.name.as_deref().map_or_else(none, name),
        machine.node.clone().unwrap_or_else(none),
        place.or(machine.target.as_deref()).map_or_else(none, str::to_owned),
        patches,
        inventory(machine, now),
        checks(&machine.hardening),
        checks(&machine.protection),
        why,
    ]
    .map(|cell| for_terminal(&cell).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_for_each_machine_and_below_what_is_missing() {
        let audit = crate::report::sample();
        let document = ComplianceDocument {
            schema: crate::report::COMPLIANCE_SCHEMA.to_owned(),
            time: audit.time,
            not_read: audit.not_read,
            count: audit.count,
            by_machine: std::collections::BTreeMap::new(),
            machines: audit.machines,
            failures: audit.results,
        };
        let mut out = Vec::new();
        write_table(&mut out, &document).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
        insta::assert_snapshot!(text);
    }
}
