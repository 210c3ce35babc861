//! `vmbridge check-rules`: whether files of rules are right, and which rules there are.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use mappings::checks::{Mistake, RuleSet, Sources};

use super::{Context, Exit, Failure, output};
use crate::config::read_rule_file;
use crate::inventory::text::for_terminal;
use crate::report::{RULES_SCHEMA, RuleDocument, RulesDocument, rule_document};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files of rules to be checked together with the rules of vmbridge; no configuration is needed. Without any: the rules as
    /// they are configured.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object; see `vmbridge schema rules`.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(context: &Context, arguments: &Arguments) -> Result<Exit, Failure> {
    let Arguments { files, json } = arguments;
    let rules = if files.is_empty() {
        match context.load() {
            Ok((_, config)) => documents(&config.rules),
            // What is wrong with rules is what was asked; of anything else it cannot be said.
            Err(Failure::Config(errors)) if errors.are_about("checks") => {
                eprintln!("{errors}");
                return Ok(Exit::Problem);
            }
            Err(failure) => return Err(failure),
        }
    } else {
        match read(files) {
            Ok(rules) => documents(&rules),
            Err(mistakes) => {
                for mistake in &mistakes {
                    eprintln!("error: {}", for_terminal(&mistake.to_string()));
                }
                eprintln!("{} mistakes", mistakes.len());
                return Ok(Exit::Problem);
            }
        }
    };
    output::write(|out| {
        if *json {
            serde_json::to_writer_pretty(&mut *out, &rules)?;
            return writeln!(out);
        }
        write_rules(out, &rules.rules)
    })?;
    Ok(Exit::Done)
}

fn read(files: &[PathBuf]) -> Result<RuleSet, Vec<Mistake>> {
    let (mut read, mut mistakes) = (Vec::new(), Vec::new());
    for path in files {
        match read_rule_file(path) {
            Ok(file) => read.push(file),
            Err(found) => mistakes.extend(found),
        }
    }
    if mistakes.is_empty() {
        return RuleSet::new(Sources { files: read, ..Sources::default() });
    }
    Err(mistakes)
}

fn documents(rules: &RuleSet) -> RulesDocument {
    let mut documents: Vec<RuleDocument> = rules.all().map(rule_document).collect();
    documents.sort_by(|one, two| (&one.kind, &one.family, &one.id).cmp(&(&two.kind, &two.family, &two.id)));
    RulesDocument { schema: RULES_SCHEMA.to_owned(), rules: documents }
}

fn write_rules(out: &mut dyn Write, rules: &[RuleDocument]) -> io::Result<()> {
    const HEAD: [&str; 6] = ["ID", "SEVERITY", "OF", "FAMILY", "VSPHERE", "READS"];
    let rows = rules.iter().map(|rule| {
        [
            rule.id.clone(),
            rule.severity.clone(),
            rule.kind.clone(),
            rule.family.clone(),
            rule.versions.clone(),
            rule.reads.join(", "),
        ]
        .map(|cell| for_terminal(&cell).into_owned())
    });
    output::table(out, HEAD, rows.collect())?;
    writeln!(out, "\n{} rules", rules.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_of_all_files_are_told_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("a.toml"), "[[rule]]\nid = \"A\"\n").unwrap();
        let mistakes = read(&[path("a.toml"), path("b.toml")]).unwrap_err();
        let of = |name: &str| mistakes.iter().filter(|one| one.file.ends_with(name)).count();
        assert!(of("a.toml") > 3 && of("b.toml") == 1, "{mistakes:#?}");
        let unknown =
            "[[suppress]]\nrule = \"none-*\"\nobjects = \"all\"\nreason = \"a\"\nuntil = 2030-01-01\n";
        std::fs::write(path("a.toml"), unknown).unwrap();
        let mistakes = read(&[path("a.toml")]).unwrap_err();
        assert!(
            mistakes[0].to_string().contains("a.toml: suppress: no rule is called `none-*`"),
            "{mistakes:?}"
        );
        std::fs::write(path("a.toml"), "").unwrap();
        let rules = documents(&read(&[path("a.toml")]).unwrap()).rules;
        let mut out = Vec::new();
        write_rules(&mut out, &rules).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(rules.len() > 40 && text.lines().count() == rules.len() + 3, "{text}");
        assert!(text.contains("vm-secure-boot"));
    }
}
