//! The plan for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::{ActionDocument, PlanDocument};
use crate::inventory::text::for_terminal;

/// Lines of one kind before the rest is only counted.
const MOST_LINES: usize = 50;

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
            writeln!(out, "  {label} ({}) {}", action.object, state(&action.state))?;
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
    let mut shown = 0;
    for vm in &plan.vms {
        for (capability, said) in &vm.capabilities {
            if !said.problem || shown >= MOST_LINES {
                continue;
            }
            shown += 1;
            let notes = said.notes.iter().filter(|note| note.problem).map(|note| note.sentence.clone());
            let reason = (said.reason != "planned" && said.reason != "inStep").then(|| said.sentence.clone());
            for sentence in reason.into_iter().chain(notes) {
                let name = for_terminal(&vm.name);
                writeln!(out, "? {name} ({}) {capability}: {}", vm.moref, for_terminal(&sentence))?;
            }
            if let Some(fix) = &said.fix {
                writeln!(out, "    {fix}")?;
            }
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
    for capability in &plan.capabilities {
        let counts: Vec<String> =
            capability.vms.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
        writeln!(out, "{} ({}): {}", capability.capability, capability.mode, counts.join(", "))?;
    }
    Ok(())
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
            (Some(before), None) => writeln!(out, "    - {name} = {before}")?,
            (None, None) => writeln!(out, "    + {name}")?,
        }
    }
    Ok(())
}

fn state(state: &str) -> &str {
    match state {
        "ready" => "",
        "observed" => "[only observed]",
        "held" => "[held]",
        other => other,
    }
}
