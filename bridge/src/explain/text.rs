//! An explanation for people.

use std::io::{self, Write};

use super::Explanation;
use crate::inventory::text::for_terminal;
use crate::plan::write_action;

/// Writes the explanation of one VM.
///
/// # Errors
/// When it cannot be written.
pub fn write_explanation(out: &mut dyn Write, explanation: &Explanation) -> io::Result<()> {
    let Explanation { vm, inventory, node, .. } = explanation;
    for problem in &explanation.problems {
        writeln!(out, "! {}", for_terminal(problem))?;
    }
    writeln!(out, "{} ({}/{})", for_terminal(&vm.name), for_terminal(&vm.vcenter), vm.moref)?;
    let fact = |pointer: &str| inventory.pointer(pointer).and_then(|value| value.as_str()).unwrap_or("?");
    writeln!(out, "  vCenter      {}, {}", for_terminal(&vm.vcenter), explanation.vcenter_state)?;
    writeln!(
        out,
        "  place        {} · {} · {}",
        for_terminal(fact("/datacenter/name")),
        for_terminal(fact("/cluster/name")),
        for_terminal(fact("/folder/path"))
    )?;
    writeln!(
        out,
        "  guest        {}, {}, {}",
        fact("/powerState"),
        for_terminal(fact("/guest/hostName")),
        for_terminal(fact("/guest/ipAddress"))
    )?;
    let tags = inventory["tags"].as_array();
    let tags: Vec<String> = tags
        .into_iter()
        .flatten()
        .map(|tag| {
            let text = |name: &str| tag[name].as_str().unwrap_or("?").to_owned();
            format!("{}: {}", text("category"), text("name"))
        })
        .collect();
    let told = if inventory["tags"].is_null() { "not known".to_owned() } else { tags.join(", ") };
    writeln!(out, "  vSphere tags {}", for_terminal(if told.is_empty() { "none" } else { &told }))?;
    writeln!(out, "  target       {}", vm.target.as_deref().unwrap_or("none"))?;
    match (node, &vm.node) {
        (Some(node), Some(link)) => {
            writeln!(out, "  node         {} in {}, {}", node.id, node.place, link.because)?;
            writeln!(
                out,
                "               agent {} {}, as {}",
                node.agent_version.as_deref().unwrap_or("?"),
                node.ping,
                for_terminal(node.computer_name.as_deref().unwrap_or("?"))
            )?;
        }
        _ => writeln!(out, "  node         none")?,
    }
    if !explanation.tags.is_empty() {
        writeln!(out, "\nTags of the node")?;
        for tag in &explanation.tags {
            let value = tag.value.as_deref().map_or_else(|| "-".into(), for_terminal);
            write!(out, "  {} = {value}", for_terminal(&tag.key))?;
            match (&tag.wanted, &tag.rule) {
                (Some(wanted), Some(rule)) if tag.value.as_ref() != Some(wanted) => {
                    write!(out, "  → {} (rule {})", for_terminal(wanted), for_terminal(rule))?;
                }
                (_, Some(rule)) => write!(out, "  (rule {})", for_terminal(rule))?,
                (_, None) => {}
            }
            writeln!(out, "{}", if tag.owner == "others" { "  [of others]" } else { "" })?;
        }
    }
    writeln!(out, "\nWhat would be done")?;
    for action in &explanation.actions {
        writeln!(out, "  {}", action.kind)?;
        write_action(out, action)?;
    }
    for held in &explanation.held {
        writeln!(out, "  ! held: {}; vmbridge approve {}", held.reason, held.id)?;
    }
    for (capability, said) in &vm.capabilities {
        if said.reason != "planned" {
            writeln!(out, "  {capability}: {}", for_terminal(&said.sentence))?;
        }
        for note in &said.notes {
            writeln!(out, "  {capability}: {}", for_terminal(&note.sentence))?;
        }
        if let Some(fix) = &said.fix {
            writeln!(out, "    {fix}")?;
        }
    }
    write_protection(out, explanation)?;
    if !explanation.journal.is_empty() {
        writeln!(out, "\nWhat was done lately")?;
        for entry in &explanation.journal {
            write!(out, "  {}  {:<14} {} {}", entry.intended, entry.outcome, entry.kind, entry.object)?;
            match &entry.error {
                Some(error) => writeln!(out, ": {}", for_terminal(error))?,
                None => writeln!(out)?,
            }
        }
    }
    Ok(())
}

/// Snapshots that are over, and are told of all the same.
const MOST_OVER: usize = 5;

/// The windows that reach it, and its snapshots.
fn write_protection(out: &mut dyn Write, explanation: &Explanation) -> io::Result<()> {
    let Explanation { windows, snapshots, .. } = explanation;
    if !windows.is_empty() {
        writeln!(out, "\nWindows that reach it")?;
    }
    for window in windows {
        let open = if window.open { ", open" } else { "" };
        for vm in &window.vms {
            write!(
                out,
                "  {} ({}) {} to {}{open}: {}",
                for_terminal(&window.name),
                for_terminal(&window.window),
                seconds(&window.opens),
                seconds(&window.closes),
                vm.state
            )?;
            if let (Some(begins), Some(ends)) = (&vm.begins, &vm.ends) {
                write!(out, " {} to {}", seconds(begins), seconds(ends))?;
            }
            writeln!(out, "{}", if vm.held { ", held" } else { "" })?;
            if let Some(why) = &vm.cannot_hold {
                writeln!(out, "    cannot hold: {}", for_terminal(why))?;
            }
        }
    }
    let is_over = |stage: &str| matches!(stage, "ended" | "missed");
    let over = snapshots.iter().filter(|one| is_over(&one.stage)).count();
    let mut left_out = over.saturating_sub(MOST_OVER);
    if !snapshots.is_empty() {
        writeln!(out, "\nSnapshots of vmbridge")?;
    }
    for one in snapshots {
        if is_over(&one.stage) && left_out > 0 {
            left_out -= 1;
            continue;
        }
        let what = match (&one.window_name, &one.opens, &one.reason) {
            (Some(window), Some(opens), _) => format!("{window} of {}", seconds(opens)),
            (_, _, Some(reason)) => reason.clone(),
            _ => one.snapshot_name.clone(),
        };
        write!(out, "  {}  {:<13} {}", one.record, one.stage, for_terminal(&what))?;
        if let Some(snapshot) = &one.snapshot {
            write!(out, "  {}", for_terminal(snapshot))?;
        }
        if let Some(until) = &one.kept_until {
            write!(out, "  kept until {}", seconds(until))?;
        }
        if let Some(judgement) = &one.judgement {
            write!(out, "  {judgement}")?;
        }
        match one.judgement_why.as_ref().or(one.trouble.as_ref()) {
            Some(why) => writeln!(out, ": {}", for_terminal(why))?,
            None => writeln!(out)?,
        }
    }
    Ok(())
}

/// A time without parts of a second.
fn seconds(time: &str) -> String {
    time.parse::<jiff::Timestamp>().map_or_else(|_| time.to_owned(), |time| format!("{time:.0}"))
}
