//! `vmbridge report`: the auditor's report.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::compliance::ScopeArguments;
use super::{Context, Exit, Failure, desk, output};
use crate::control::Request;
use crate::inventory::text::for_terminal;
use crate::report::{AuditDocument, AuditQuery, audit, html, write_results};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The form: a page that prints well (from a browser also as PDF), a line for each result, or everything.
    #[arg(long, value_enum, default_value_t, value_name = "FORM")]
    format: Format,
    /// Also what is as it should be, and what rules are not about: evidence for everything.
    #[arg(long)]
    all: bool,
    /// Write to this file, and not to standard output. It is replaced only when all is written.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    scope: ScopeArguments,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum Format {
    /// One page of HTML.
    #[default]
    Html,
    /// CSV.
    Csv,
    /// JSON; see `vmbridge schema report`.
    Json,
}

pub(super) async fn run(context: &Context, arguments: Arguments) -> Result<Exit, Failure> {
    let Arguments { format, all, output: file, scope } = arguments;
    let (_, config) = context.load()?;
    super::plan::refuse_without_targets(&config)?;
    let query = AuditQuery { scope: scope.query(&config)?, all };
    let request = Request::Audit(query.clone());
    let here = |view: &crate::plan::View<'_>, read: &crate::report::ReadBack| audit(view, read, &query);
    let found = match desk::read_back(context, &config, request, query.scope.window.as_deref(), here).await? {
        Ok(found) => found,
        Err(exit) => return Ok(exit),
    };
    match &file {
        None => output::write(|out| write(out, &found, format))?,
        Some(path) => write_file(path, &found, format)
            .map_err(|error| Failure::Usage(format!("{} cannot be written: {error}", path.display())))?,
    }
    found.not_read.iter().for_each(|missing| eprintln!("{}", for_terminal(missing)));
    // The report says what is wrong; the command has failed only where the report has gaps.
    Ok(if found.not_read.is_empty() { Exit::Done } else { Exit::Problem })
}

fn write(out: &mut dyn Write, found: &AuditDocument, format: Format) -> io::Result<()> {
    match format {
        Format::Html => writeln!(out, "{}", html(found)),
        Format::Csv => write_results(out, found),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, found)?;
            writeln!(out)
        }
    }
}

fn write_file(path: &Path, found: &AuditDocument, format: Format) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
    name.push(format!(".{}.part", std::process::id()));
    let part = path.with_file_name(name);
    let written = std::fs::File::create_new(&part).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&mut out, found, format)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&part, path)
    });
    if written.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_when_all_of_it_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("report.html");
        std::fs::write(&path, "old").unwrap();
        let audit = crate::report::sample();
        for format in [Format::Html, Format::Csv, Format::Json] {
            write_file(&path, &audit, format).unwrap();
            let mut wanted = Vec::new();
            write(&mut wanted, &audit, format).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), wanted);
        }
        let names = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, 1, "nothing is left beside it");
        write_file(&directory.path().join("absent/report.html"), &audit, Format::Csv).unwrap_err();
    }
}
