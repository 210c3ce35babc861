//! The plan for people.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};

use super::{ActionDocument, PlanDocument, VmDocument};
use crate::inventory::text::for_terminal;

/// Lines of one kind before the rest is only counted.
const MOST_LINES: usize = 50;
/// VMs with the same trouble that are named before the rest is only counted.
const MOST_NAMES: usize = 3;

/// Writes the plan, grouped and counted.
///
/// # Errors
/// When it cannot be written.
pub fn write_plan(out: &mut dyn Write, plan: &PlanDocument) -> io::Result<()> {
    for problem in &plan.problems {
        writeln!(out, "! {}", for_terminal(problem))?;
    }
    let mut groups: BTreeMap<(&str, &str, &str), Vec<_>> = BTreeMap::new();
    for action in &plan.actions {
        groups.entry((&action.capability, &action.place, &action.kind)).or_default().push(action);
    }
    for ((capability, place, kind), actions) in groups {
        writeln!(out, "{capability} · {place} · {kind}: {}", actions.len())?;
        for action in actions.iter().take(MOST_LINES) {
            let label = for_terminal(&action.label);
            writeln!(out, "  {label} ({}){}", action.object, state(&action.state))?;
            write_action(out, action)?;
        }
        if actions.len() > MOST_LINES {
            writeln!(out, "  … and {} more; --json shows all", actions.len() - MOST_LINES)?;
        }
    }
    for held in &plan.held {
        writeln!(
            out,
            "! held: {} changes of {} in {}: {}\n    vmbridge approve {}",
            held.changes, held.capability, held.place, held.reason, held.id
        )?;
    }
    for (said, vms) in said(plan).into_iter().take(MOST_LINES) {
        let (capability, sentence, fix) = said;
        let names: Vec<String> = vms
            .iter()
            .take(MOST_NAMES)
            .map(|vm| format!("{} ({})", for_terminal(&vm.name), for_terminal(&vm.moref)))
            .collect();
        let more = match vms.len().saturating_sub(MOST_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more VMs"),
        };
        writeln!(out, "? {}{more} {capability}: {}", names.join(", "), for_terminal(&sentence))?;
        if let Some(fix) = fix {
            writeln!(out, "    {fix}")?;
        }
    }
    for node in plan.nodes_without_vm.iter().take(MOST_LINES) {
        writeln!(
            out,
            "? {} in {}: {}\n    {}",
            node.node,
            node.target,
            for_terminal(&node.sentence),
            node.fix
        )?;
    }
    for hub in &plan.findings {
        writeln!(out, "findings · {}: {}", hub.place, hub.sentence)?;
        for trouble in hub.trouble.iter().chain(&hub.warnings) {
            writeln!(out, "  ! {}", for_terminal(trouble))?;
        }
    }
    for capability in &plan.capabilities {
        let counts: Vec<String> =
            capability.vms.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        writeln!(out, "{} ({}): {}", capability.capability, capability.mode, counts.join(", "))?;
    }
    Ok(())
}

/// Capability, sentence, and fix where there is one.
type Said<'a> = (&'a str, String, Option<&'a str>);

/// What a person should look at, each with the VMs that it is true of: one cause can stop a whole fleet.
fn said(plan: &PlanDocument) -> Vec<(Said<'_>, Vec<&VmDocument>)> {
    let mut found: Vec<(Said<'_>, Vec<&VmDocument>)> = Vec::new();
    let mut places: HashMap<(&str, String), usize> = HashMap::new();
    for vm in &plan.vms {
        for (capability, said) in &vm.capabilities {
            if !said.problem {
                continue;
            }
            let notes = said.notes.iter().filter(|note| note.problem).map(|note| note.sentence.clone());
            let reason = (said.reason != "planned" && said.reason != "inStep").then(|| said.sentence.clone());
            for sentence in reason.into_iter().chain(notes) {
                let at = *places.entry((capability, sentence.clone())).or_insert(found.len());
                if at == found.len() {
                    found.push(((capability, sentence, said.fix.as_deref()), Vec::new()));
                }
                found[at].1.push(vm);
            }
        }
    }
    found
}

/// Writes what an action changes, a line for each value.
///
/// # Errors
/// When it cannot be written.
pub fn write_action(out: &mut dyn Write, action: &ActionDocument) -> io::Result<()> {
    for change in &action.changes {
        let name = for_terminal(&change.name);
        let text = |value: &Option<String>| value.as_deref().map(|value| for_terminal(value).to_string());
        match (text(&change.before), text(&change.after)) {
            (None, Some(after)) => writeln!(out, "    + {name} = {after}")?,
            (Some(before), Some(after)) => {
                writeln!(out, "    ~ {name} = {before} → {after} ({})", change.why)?;
            }
            (Some(before), None) if change.why == "removed" => writeln!(out, "    - {name} = {before}")?,
            // A snapshot that stays.
            (Some(before), None) => writeln!(out, "    {name} = {before} ({})", change.why)?,
            (None, None) => writeln!(out, "    + {name}")?,
        }
    }
    Ok(())
}

fn state(state: &str) -> &str {
    match state {
        "ready" => "",
        "observed" => " [only observed]",
        "held" => " [held]",
        other => other,
    }
}
