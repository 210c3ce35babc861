//! `vmbridge windows`: the maintenance windows that come, and what is in doubt.

use std::collections::HashSet;
use std::io::{self, Write};

use clap::Args;
use jiff::Timestamp;

use super::select::Select;
use super::{Context, Exit, Failure, desk, output};
use crate::config::Mode;
use crate::control::{Request, WindowDocument, WindowQuery, WindowVmDocument, windows};
use crate::inventory::Filter;
use crate::inventory::text::for_terminal;

/// Causes of doubt that are shown of a window before the rest is only counted.
const MOST_LINES: usize = 50;
/// VMs with the same cause that are named before the rest is only counted.
const MOST_NAMES: usize = 3;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Print one JSON array; see `vmbridge schema windows`.
    #[arg(long)]
    json: bool,
    /// Only this window, by its id or name.
    #[arg(long, value_name = "WINDOW")]
    window: Option<String>,
    /// Show every VM, and not only what is in doubt.
    #[arg(long, conflicts_with = "json")]
    vms: bool,
    #[command(flatten)]
    select: Select,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { json, window, vms, select } = arguments;
    let (_, config) = context.load()?;
    super::plan::refuse_without_targets(&config)?;
    if config.snapshots.mode == Mode::Off {
        return Err(Failure::Usage(
            "snapshots are off, so no window is looked at: write `mode = \"observe\"` in [snapshots]"
                .to_owned(),
        ));
    }
    let (_, Filter { selectors, vcenters }) = select.apply(config.clone())?;
    let query =
        WindowQuery { window, selectors: selectors.iter().map(ToString::to_string).collect(), vcenters };
    let request = Request::Windows(query.clone());
    let found = match desk::looked(context, &config, request, |view| windows(view, &query)).await? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    output::write(|out| {
        if json {
            serde_json::to_writer_pretty(&mut *out, &found)?;
            return writeln!(out);
        }
        write_windows(out, &found, vms)
    })?;
    if found.is_empty() && !json {
        eprintln!("no window that patches opens within `horizon` of [snapshots]");
    }
    let in_doubt = found.iter().any(|window| window.in_doubt);
    Ok(if in_doubt { Exit::Problem } else { Exit::Done })
}

fn write_windows(out: &mut dyn Write, windows: &[WindowDocument], all: bool) -> io::Result<()> {
    if windows.is_empty() {
        return Ok(());
    }
    const HEAD: [&str; 9] =
        ["WINDOW", "ID", "WHERE", "OPENS (UTC)", "CLOSES", "FREEZES", "DEADLINE", "FINISH", "VMS"];
    let rows = windows.iter().map(|window| {
        let opens: Option<Timestamp> = window.opens.parse().ok();
        let near = |time: &str| near(time, opens);
        let opens = day(&window.opens);
        [
            window.name.clone(),
            window.window.clone(),
            window.place.clone().unwrap_or_else(|| "-".to_owned()),
            if window.open { format!("{opens} open") } else { opens },
            near(&window.closes),
            near(&window.freezes),
            near(&window.deadline),
            window.finish.as_deref().map_or_else(|| "-".to_owned(), near),
            counted(window),
        ]
        .map(|cell| for_terminal(&cell).into_owned())
    });
    output::table(out, HEAD, rows.collect())?;
    // What is true of every opening of a window is told of the first one.
    let mut told: HashSet<(&str, Doubt<'_>, &str)> = HashSet::new();
    for window in windows.iter().filter(|window| window.in_doubt || all) {
        writeln!(out, "\n{} of {}", for_terminal(&window.name), day(&window.opens))?;
        for doubt in &window.doubts {
            writeln!(out, "  ? {}", for_terminal(doubt))?;
        }
        if all {
            window.vms.iter().try_for_each(|vm| write_vm(out, vm))?;
            continue;
        }
        let mut doubts: Vec<(Doubt<'_>, Vec<&WindowVmDocument>)> = Vec::new();
        let mut as_before = 0;
        for vm in window.vms.iter().filter(|vm| vm.in_doubt) {
            let doubt = Doubt::of(vm);
            if !told.insert((&window.window, doubt.clone(), &vm.vm)) {
                as_before += 1;
                continue;
            }
            match doubts.iter_mut().find(|(known, _)| *known == doubt) {
                Some((_, vms)) => vms.push(vm),
                None => doubts.push((doubt, vec![vm])),
            }
        }
        for (doubt, vms) in doubts.iter().take(MOST_LINES) {
            doubt.write(out, vms)?;
        }
        if doubts.len() > MOST_LINES {
            writeln!(out, "  … and {} more; --vms shows all", doubts.len() - MOST_LINES)?;
        }
        if as_before > 0 {
            writeln!(out, "  ? {as_before} VMs as before; --vms shows all")?;
        }
    }
    Ok(())
}

/// What is in doubt of a VM: one cause can stop all of a window.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Doubt<'a> {
    state: &'a str,
    held: bool,
    joined: bool,
    /// Without the time of the opening.
    why: Option<&'a str>,
    fix: Option<&'a str>,
    cannot_hold: Option<&'a str>,
}

impl<'a> Doubt<'a> {
    fn of(vm: &'a WindowVmDocument) -> Self {
        Self {
            state: &vm.state,
            held: vm.held,
            joined: vm.joined,
            why: vm.why.as_deref(),
            fix: vm.fix.as_deref(),
            cannot_hold: vm.cannot_hold.as_deref(),
        }
    }

    fn write(&self, out: &mut dyn Write, vms: &[&WindowVmDocument]) -> io::Result<()> {
        let names = vms.iter().take(MOST_NAMES);
        let names: Vec<String> =
            names.map(|vm| format!("{} ({})", for_terminal(&vm.name), for_terminal(&vm.vm))).collect();
        write!(out, "  ? {}", names.join(", "))?;
        if vms.len() > MOST_NAMES {
            write!(out, " and {} more VMs", vms.len() - MOST_NAMES)?;
        }
        write!(out, " {}", self.state)?;
        write_words(out, self.held, self.joined)?;
        match self.why {
            Some(why) => writeln!(out, ": {}", for_terminal(why))?,
            None => writeln!(out)?,
        }
        write_advice(out, self.cannot_hold, self.fix)
    }
}

fn write_words(out: &mut dyn Write, held: bool, joined: bool) -> io::Result<()> {
    for (is_so, word) in [(held, "held"), (joined, "joined after the scope froze")] {
        if is_so {
            write!(out, ", {word}")?;
        }
    }
    Ok(())
}

fn write_advice(out: &mut dyn Write, cannot_hold: Option<&str>, fix: Option<&str>) -> io::Result<()> {
    if let Some(why) = cannot_hold {
        writeln!(out, "      cannot hold: {}", for_terminal(why))?;
    }
    if let Some(fix) = fix {
        writeln!(out, "      {}", for_terminal(fix))?;
    }
    Ok(())
}

fn write_vm(out: &mut dyn Write, vm: &WindowVmDocument) -> io::Result<()> {
    let sign = if vm.in_doubt { "?" } else { " " };
    write!(out, "  {sign} {} ({}) {}", for_terminal(&vm.name), for_terminal(&vm.vm), vm.state)?;
    if let (Some(begins), Some(ends)) = (&vm.begins, &vm.ends) {
        write!(out, " {} to {}", day(begins), day(ends))?;
    }
    write_words(out, vm.held, vm.joined)?;
    match &vm.sentence {
        Some(sentence) => writeln!(out, ": {}", for_terminal(sentence))?,
        None => writeln!(out)?,
    }
    write_advice(out, vm.cannot_hold.as_deref(), vm.fix.as_deref())
}

/// `41: 30 protected, 11 planned`
fn counted(window: &WindowDocument) -> String {
    let states = window.states.iter().map(|(state, count)| (state.as_str(), *count));
    let held = window.vms.iter().filter(|vm| vm.held).count();
    let counts = states.chain(Some(("held", held)).filter(|(_, held)| *held > 0));
    let counts: Vec<String> = counts.map(|(word, count)| format!("{count} {word}")).collect();
    format!("{}: {}", window.vms.len(), counts.join(", "))
}

/// A time for people, in UTC to the minute.
fn day(time: &str) -> String {
    time.parse::<Timestamp>()
        .map_or_else(|_| time.to_owned(), |time| time.strftime("%Y-%m-%d %H:%M").to_string())
}

/// A time beside another one: its day only where it is another day.
fn near(time: &str, beside: Option<Timestamp>) -> String {
    let Ok(parsed) = time.parse::<Timestamp>() else { return time.to_owned() };
    let date = |time: Timestamp| time.strftime("%Y-%m-%d").to_string();
    let form =
        if beside.is_some_and(|beside| date(beside) == date(parsed)) { "%H:%M" } else { "%m-%d %H:%M" };
    parsed.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn vm(name: &str, state: &str) -> WindowVmDocument {
        WindowVmDocument {
            vm: format!("dc1/{name}"),
            name: name.to_owned(),
            state: state.to_owned(),
            begins: None,
            ends: None,
            held: false,
            cannot_hold: None,
            joined: false,
            sentence: None,
            why: None,
            fix: None,
            in_doubt: false,
        }
    }

    #[test]
    fn one_line_for_each_window_and_below_only_what_is_in_doubt() {
        let unfit = WindowVmDocument {
            sentence: Some("it cannot have a snapshot for the window: \u{1b}[31ma disk is shared".to_owned()),
            why: Some("\u{1b}[31ma disk is shared".to_owned()),
            fix: Some("take it out of the window".to_owned()),
            cannot_hold: Some("the window names its node by id".to_owned()),
            in_doubt: true,
            ..vm("db-1", "unfit")
        };
        let late = WindowVmDocument {
            begins: Some("2026-11-29T01:40:00Z".to_owned()),
            ends: Some("2026-11-29T01:55:30Z".to_owned()),
            held: true,
            joined: true,
            in_doubt: true,
            ..vm("web-2", "late")
        };
        let vms = vec![unfit, vm("web-1", "protected"), late];
        let window = WindowDocument {
            window: "mw-0123456789abcdef0".to_owned(),
            name: "Sunday\u{7}".to_owned(),
            place: Some("111122223333/eu-central-1".to_owned()),
            opens: "2026-11-29T02:00:00Z".to_owned(),
            closes: "2026-11-29T06:00:00Z".to_owned(),
            open: false,
            freezes: "2026-11-28T22:00:00Z".to_owned(),
            deadline: "2026-11-29T01:45:00Z".to_owned(),
            finish: Some("2026-11-29T01:55:30Z".to_owned()),
            states: BTreeMap::from([("late".into(), 1), ("protected".into(), 1), ("unfit".into(), 1)]),
            vms,
            doubts: vec!["the resource group `g` could not be read".to_owned()],
            in_doubt: true,
        };
        let mut out = Vec::new();
        write_windows(&mut out, std::slice::from_ref(&window), false).unwrap();
        insta::assert_snapshot!(String::from_utf8(out).unwrap());
        // The next opening has the same doubts, and they are told once.
        let next = WindowDocument { opens: "2026-12-06T02:00:00Z".to_owned(), ..window.clone() };
        let mut out = Vec::new();
        write_windows(&mut out, &[window.clone(), next], false).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("a disk is shared").count(), 1, "{text}");
        assert!(text.ends_with("  ? 2 VMs as before; --vms shows all\n"), "{text}");
        let mut out = Vec::new();
        write_windows(&mut out, &[window], true).unwrap();
        assert!(String::from_utf8(out).unwrap().contains("    web-1 (dc1/web-1) protected\n"));
    }
}
