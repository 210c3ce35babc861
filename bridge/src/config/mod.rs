//! The configuration: `vmbridge.toml` with `VMBRIDGE_*` environment variables on top.
//!
//! It is checked in full before anything starts. What fails here is always something that a person wrote, so failure
//! is a [`ConfigErrors`]: every mistake at once, each with file, line and column (or the environment variable), what is
//! allowed, and what was probably meant. Secrets are not part of the configuration, only references to them are, and an
//! error never repeats a value that could be one.
//!
//! Each section is one module with a table of its keys and a function that reads it. To add one: write the module, and
//! name its `SECTION` in `ROOT` and its `read` in `read`. The reference (`docs/configuration.md`), the suggestions
//! and the environment variables follow from the table.

mod aws;
mod capability;
mod checks;
mod compliance;
mod credentials;
mod enrol;
mod environment;
mod error;
mod findings;
mod guard;
mod http;
mod inventory;
mod limits;
mod log;
mod node;
mod overrides;
mod reader;
mod reference;
mod rule_file;
mod schema;
mod snapshots;
mod source;
mod state;
mod tags;
mod values;
mod vcenter;
mod vmc;
mod words;
mod writeback;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use mappings::checks::RuleSet;
use toml::de::DeTable;

pub use aws::AwsTarget;
pub use capability::Mode;
pub use checks::{CheckSettings, Suppression};
pub use compliance::ComplianceSettings;
pub use credentials::GuestCredentials;
pub use enrol::{EnrolSettings, Source};
pub use environment::Environment;
pub use error::{ConfigErrors, Problem};
pub use findings::{FindingFolding, FindingsSettings};
pub use guard::Guard;
pub use http::Http;
pub use inventory::InventorySettings;
pub use limits::Limits;
pub use log::{Log, LogFormat};
pub use overrides::PROGRAM_VARIABLES;
pub use reference::reference_markdown;
pub use rule_file::read as read_rule_file;
pub use snapshots::{OwnWindow, ProbeKind, SnapshotPolicy, SnapshotSettings};
pub use state::StateSettings;
pub use tags::TagsSettings;
pub use values::NameFilter;
pub use vcenter::Vcenter;
pub use vmc::{Credentials, Vmc, VmcAuth, VmcVcenter};
pub use writeback::WritebackSettings;

use node::{Origin, Table};
use reader::{Context, TableReader};
use schema::{Section, Shape};
use source::SourceText;

/// The largest file that is read, in bytes.
const LARGEST: usize = 1024 * 1024;
/// The most dots in one line: a bound for the depth of tables that dotted keys can make.
const MOST_DOTS: usize = 100;

/// Everything that is configured. It holds no secrets, only references to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What is written to the log, and how.
    pub log: Log,
    /// Where health and metrics are served.
    pub http: Http,
    /// How much, how often, how long.
    pub limits: Limits,
    /// The vCenters to connect to.
    pub vcenters: Vec<Vcenter>,
    /// The organisations of VMware Cloud on AWS whose SDDCs are followed.
    pub vmc: Vec<Vmc>,
    /// The accounts and Regions of AWS.
    pub aws: Vec<AwsTarget>,
    /// How vSphere tags become tags of managed nodes.
    pub tags: TagsSettings,
    /// How VMs become managed nodes.
    pub enrol: EnrolSettings,
    /// Accounts inside guests, in the order in which they are tried.
    pub credentials: Vec<GuestCredentials>,
    /// The safety net of VMs before their maintenance windows.
    pub snapshots: SnapshotSettings,
    /// What Systems Manager's inventory says of VMs.
    pub inventory: InventorySettings,
    /// What Systems Manager's compliance says of VMs.
    pub compliance: ComplianceSettings,
    /// Which rules VMs, hosts, clusters and port groups are held against.
    pub checks: CheckSettings,
    /// These rules, ready.
    pub rules: Arc<RuleSet>,
    /// What Security Hub is told.
    pub findings: FindingsSettings,
    /// What people in the vSphere client see of AWS.
    pub writeback: WritebackSettings,
    /// How much may change without a person's consent.
    pub guard: Guard,
    /// What is remembered, and where.
    pub state: StateSettings,
}

impl Config {
    /// Whether anything needs to be remembered: only then is the state directory used.
    #[must_use]
    pub fn uses_state(&self) -> bool {
        !self.aws.is_empty()
    }

    /// The rules, if anything is said of what comes of them: only then is what they read observed.
    #[must_use]
    pub fn observed_rules(&self) -> Option<Arc<RuleSet>> {
        let Self { compliance, findings, rules, .. } = self;
        let compliance = compliance.mode != Mode::Off && compliance.hardening;
        let findings = findings.mode != Mode::Off && findings.checks;
        (self.uses_state() && (compliance || findings)).then(|| Arc::clone(rules))
    }
}

static ROOT: Section = Section {
    name: "",
    shape: Shape::One,
    doc: "",
    keys: &[],
    sections: &[
        &vcenter::SECTION,
        &vmc::SECTION,
        &aws::SECTION,
        &enrol::SECTION,
        &credentials::SECTION,
        &tags::SECTION,
        &snapshots::SECTION,
        &inventory::SECTION,
        &compliance::SECTION,
        &checks::SECTION,
        &findings::SECTION,
        &writeback::SECTION,
        &guard::SECTION,
        &state::SECTION,
        &limits::SECTION,
        &log::SECTION,
        &http::SECTION,
    ],
};

/// Reads and checks a configuration file.
///
/// # Errors
/// When the file cannot be read, or with everything that is wrong in it and in the environment.
pub fn load(path: &Path, environment: &Environment) -> Result<Config, ConfigErrors> {
    let whole =
        |message: String, help: Option<&str>| ConfigErrors::whole(path, message, help.map(str::to_owned));
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(LARGEST as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| whole(format!("the configuration cannot be read: {error}"), None))?;
    if bytes.len() > LARGEST {
        return Err(whole(format!("the configuration is larger than {LARGEST} bytes"), None));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count() + 1;
        whole(format!("the configuration is not UTF-8 text (line {line})"), Some("save the file as UTF-8"))
    })?;
    parse(&text, path, environment)
}

/// Checks the text of a configuration. `path` is its name in messages, and relative paths start at its directory.
///
/// # Errors
/// With everything that is wrong in the text and in the environment.
pub fn parse(text: &str, path: &Path, environment: &Environment) -> Result<Config, ConfigErrors> {
    let mut errors = ConfigErrors {
        path: path.to_owned(),
        source: SourceText::new(text.to_owned()),
        problems: Vec::new(),
    };
    if let Some(problem) = too_deep(text) {
        errors.problems.push(problem);
        return Err(errors);
    }
    let (document, mistakes) = DeTable::parse_recoverable(errors.source.as_str());
    let syntax: Vec<Problem> = mistakes.iter().map(syntax_problem).collect();
    let mut table = Table::from_toml(document.get_ref());
    let overrides::Applied { problems, unmatched } = overrides::apply(&ROOT, &mut table, environment);

    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let context = Context {
        environment,
        base: absolute.parent().unwrap_or(Path::new("/")),
        source: RefCell::new(errors.source.clone()),
        problems: RefCell::new(problems),
        secret_variables: RefCell::default(),
        misread: !syntax.is_empty(),
    };
    context.source.borrow_mut().allow_headers(&ROOT.paths());
    let reader = TableReader::new(&context, &ROOT, &table, Origin::File(0..0), String::new());
    let config = read(&reader);

    let secret_variables = context.secret_variables.into_inner();
    errors.source = context.source.into_inner();
    errors.problems = context.problems.into_inner();
    let stray = unmatched.into_iter().filter(|stray| !secret_variables.contains(&stray.variable));
    errors.problems.extend(stray.map(overrides::Unmatched::problem));
    errors.add_syntax(syntax);
    match config {
        Some(config) if errors.problems.is_empty() => Ok(config),
        Some(_) | None => {
            errors.sort();
            Err(errors)
        }
    }
}

/// Reads every section.
fn read(root: &TableReader<'_>) -> Option<Config> {
    let vcenter_tables = root.sections(&vcenter::SECTION);
    let vmc_tables = root.sections(&vmc::SECTION);
    if vcenter_tables.is_empty() && vmc_tables.is_empty() && root.flawless() {
        let help = "add a [[vcenter]] with name, url, username and password, or a [[vmc]]";
        root.wrong("vcenter", "nothing to connect to is configured", help);
    }
    refuse_same_names(
        vcenter_tables.iter().chain(&vmc_tables),
        "every [[vcenter]] and [[vmc]] needs its own name",
    );
    let aws_tables = root.sections(&aws::SECTION);
    refuse_same_names(aws_tables.iter(), "every [[aws]] needs its own name");
    let credentials_tables = root.sections(&credentials::SECTION);
    refuse_same_names(credentials_tables.iter(), "every [[credentials]] needs its own name");
    let credentials: Vec<Option<GuestCredentials>> =
        credentials_tables.iter().map(credentials::read).collect();
    let enrol = root.section_or_empty(&enrol::SECTION).as_ref().and_then(enrol::read);
    let vcenters: Vec<Option<Vcenter>> = vcenter_tables.iter().map(vcenter::read).collect();
    let vmc: Vec<Option<Vmc>> = vmc_tables.iter().map(vmc::read).collect();
    let aws: Vec<Option<AwsTarget>> = aws_tables.iter().map(aws::read).collect();
    let tags = root.section_or_empty(&tags::SECTION).as_ref().and_then(tags::read);
    let snapshots = root.section_or_empty(&snapshots::SECTION).as_ref().and_then(snapshots::read);
    let inventory = root.section_or_empty(&inventory::SECTION).as_ref().and_then(inventory::read);
    let compliance = root.section_or_empty(&compliance::SECTION).as_ref().and_then(compliance::read);
    let checks = root.section_or_empty(&checks::SECTION).as_ref().and_then(checks::read);
    let findings = root.section_or_empty(&findings::SECTION).as_ref().and_then(findings::read);
    let writeback = root.section_or_empty(&writeback::SECTION).as_ref().and_then(writeback::read);
    let guard = root.section_or_empty(&guard::SECTION).as_ref().and_then(guard::read);
    let state = root.section_or_empty(&state::SECTION).as_ref().and_then(state::read);
    let limits = root.section_or_empty(&limits::SECTION).as_ref().and_then(limits::read);
    let log = root.section_or_empty(&log::SECTION).as_ref().and_then(log::read);
    let http = root.section_or_empty(&http::SECTION).as_ref().and_then(http::read);
    let (checks, rules) = checks?;
    Some(Config {
        log: log?,
        http: http?,
        limits: limits?,
        vcenters: vcenters.into_iter().collect::<Option<_>>()?,
        vmc: vmc.into_iter().collect::<Option<_>>()?,
        aws: aws.into_iter().collect::<Option<_>>()?,
        enrol: enrol?,
        credentials: credentials.into_iter().collect::<Option<_>>()?,
        tags: tags?,
        snapshots: snapshots?,
        inventory: inventory?,
        compliance: compliance?,
        checks,
        rules,
        findings: findings?,
        writeback: writeback?,
        guard: guard?,
        state: state?,
    })
}

/// Reports entries whose name another entry has already.
fn refuse_same_names<'r, 't: 'r>(tables: impl Iterator<Item = &'r TableReader<'t>>, help: &str) {
    let mut seen = BTreeMap::new();
    for table in tables {
        let Some(name) = table.name() else { continue };
        if let Some(Some(line)) = seen.insert(name, table.line()) {
            table.wrong(
                "name",
                format!("the name `{name}` is taken already, by the entry in line {line}"),
                help,
            );
        }
    }
}

fn syntax_problem(error: &toml::de::Error) -> Problem {
    let origin = error.span().map(Origin::File);
    Problem::new(origin, "", format!("not valid TOML: {}", error.message()))
}

/// Refuses a text whose dotted keys could nest tables deeper than the stack can follow.
fn too_deep(text: &str) -> Option<Problem> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let dots = line.bytes().filter(|byte| *byte == b'.').count();
        if dots > MOST_DOTS && !line.trim_start().starts_with('#') {
            let origin = Origin::File(start..start + line.trim_end().len());
            let message = format!("more than {MOST_DOTS} dots in one line");
            return Some(Problem::new(Some(origin), "", message).with_help("break the line"));
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests;
