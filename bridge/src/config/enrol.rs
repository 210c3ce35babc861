//! `[enrol]`: how VMs become managed nodes.

use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use mappings::hours::Hours;
use mappings::selector::Selector;

use super::capability::{MODE, Mode};
use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{Boolean, FilePath, Integer, OneOf, Scope, Span, Text, Texts};

/// Where a guest gets SSM Agent from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// It downloads it.
    Download,
    /// vmbridge puts it there.
    Push,
    /// It has it.
    Present,
}

impl EnrolSettings {
    /// The hash that the package of a platform has to have.
    #[must_use]
    pub fn hash_of(&self, platform: &str) -> Option<&str> {
        let pins = self.package_sha256.iter().filter_map(|pin| pin.split_once('='));
        pins.into_iter().find(|(pinned, _)| *pinned == platform).map(|(_, hash)| hash)
    }

    /// Whether a package for Linux can be told from a forged one.
    #[must_use]
    pub fn can_verify(&self) -> bool {
        self.source == Source::Present || !self.package_sha256.is_empty() || self.signature_key_file.is_some()
    }
}

impl Source {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Download => "download",
            Self::Push => "push",
            Self::Present => "present",
        }
    }
}

/// How VMs become managed nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolSettings {
    /// How far it may go.
    pub mode: Mode,
    /// The VMs that are to be enrolled.
    pub vms: Selector,
    /// Where a guest gets SSM Agent from.
    pub source: Source,
    /// The address of the package, instead of AWS's own.
    pub package_url: Option<String>,
    /// The directory with packages, for [`Source::Push`].
    pub package_dir: Option<PathBuf>,
    /// Allowed SHA-256 hashes of packages.
    pub package_sha256: Vec<String>,
    /// The public key that packages are signed with.
    pub signature_key_file: Option<PathBuf>,
    /// The authority of the mirror, handed to the guest.
    pub mirror_ca_file: Option<PathBuf>,
    /// The proxy that guests use.
    pub proxy: Option<String>,
    /// Addresses that guests reach without the proxy.
    pub no_proxy: Option<String>,
    /// An `amazon-ssm-agent.json` that is placed in the guest.
    pub agent_config: Option<PathBuf>,
    /// Addresses that a guest must reach. Empty: those of the target's Region.
    pub endpoints: Vec<String>,
    /// The lowest version of the agent.
    pub minimum_version: Option<String>,
    /// Whether a node that is registered elsewhere, or that another VM is, registers anew.
    pub reregister: bool,
    /// VMs of one vCenter at the same time.
    pub per_vcenter: usize,
    /// VMs of one host at the same time.
    pub per_host: usize,
    /// How long the preparation of a guest may take.
    pub prepare_within: Duration,
    /// How long registering may take.
    pub register_within: Duration,
    /// How long a node may take to be online.
    pub verify_within: Duration,
    /// The pause after the first failure.
    pub retry_after: Duration,
    /// Failures in a row before only a person can go on.
    pub quarantine_after: usize,
    /// Nodes in one account and Region.
    pub node_limit: usize,
    /// When guests may be worked in.
    pub hours: Hours,
    /// How long an agent may be silent although its VM runs. None: for ever.
    pub repair_after: Option<Duration>,
    /// How long a node outlives its VM. None: for ever.
    pub deregister_after: Option<Duration>,
}

static VMS: Key<Scope> = Key {
    name: "vms",
    kind: Scope,
    need: Need::Default("all"),
    doc: "The VMs that are to be enrolled, among those of the `[[aws]]` targets.",
    example: "\"folder=/Prod/**\"",
};

static SOURCE: Key<OneOf<Source>> = Key {
    name: "source",
    kind: OneOf(&[("download", Source::Download), ("push", Source::Push), ("present", Source::Present)]),
    need: Need::Default("download"),
    doc: "Where a guest gets SSM Agent from. `download`: from AWS or from `package_url`. `push`: vmbridge puts a file from `package_dir` there. `present`: it is there already, and is only registered.",
    example: "\"push\"",
};

static PACKAGE_URL: Key<Text> = Key {
    name: "package_url",
    kind: Text,
    need: Need::Optional,
    doc: "The address of the package, instead of AWS's own: a mirror or a VPC endpoint of S3. `{region}`, `{platform}` (such as `debian_amd64`) and `{file}` (such as `amazon-ssm-agent.deb`) stand for what a guest needs.",
    example: "\"https://mirror.example.com/ssm/{platform}/{file}\"",
};

static PACKAGE_DIR: Key<FilePath> = Key {
    name: "package_dir",
    kind: FilePath,
    need: Need::Optional,
    doc: "The directory with packages for `source = \"push\"`, laid out as `{platform}/{file}`.",
    example: "\"/var/lib/vmbridge/packages\"",
};

static PACKAGE_SHA256: Key<Texts> = Key {
    name: "package_sha256",
    kind: Texts,
    need: Need::Default(""),
    doc: "SHA-256 hashes of packages, as `<platform>=<hash>`. A package with another hash is not installed.",
    example: "[\"debian_amd64=9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"]",
};

static SIGNATURE_KEY_FILE: Key<FilePath> = Key {
    name: "signature_key_file",
    kind: FilePath,
    need: Need::Optional,
    doc: "The public key with which AWS signs SSM Agent for Linux, as the AWS documentation has it (\"Verifying the signature of SSM Agent\"). A package without a hash in `package_sha256` is installed only if its signature (`<address>.sig`) was made with it; the guest needs `gpg` then. Windows packages carry their own signature.",
    example: "\"/etc/vmbridge/amazon-ssm-agent.gpg\"",
};

static MIRROR_CA_FILE: Key<FilePath> = Key {
    name: "mirror_ca_file",
    kind: FilePath,
    need: Need::Optional,
    doc: "A PEM file with the authority of `package_url`, which is handed to the guest for the download.",
    example: "\"/etc/vmbridge/mirror-ca.pem\"",
};

static PROXY: Key<Text> = Key {
    name: "proxy",
    kind: Text,
    need: Need::Optional,
    doc: "The proxy through which guests reach AWS, for the download and for the agent.",
    example: "\"http://proxy.example.com:3128\"",
};

static NO_PROXY: Key<Text> = Key {
    name: "no_proxy",
    kind: Text,
    need: Need::Optional,
    doc: "Addresses that guests reach without the proxy.",
    example: "\"169.254.169.254,.example.com\"",
};

static AGENT_CONFIG: Key<FilePath> = Key {
    name: "agent_config",
    kind: FilePath,
    need: Need::Optional,
    doc: "An `amazon-ssm-agent.json` that is placed in each guest, for example with the addresses of VPC endpoints.",
    example: "\"/etc/vmbridge/amazon-ssm-agent.json\"",
};

static ENDPOINTS: Key<Texts> = Key {
    name: "endpoints",
    kind: Texts,
    need: Need::Default(""),
    doc: "Addresses that a guest has to reach before anything is installed. Left out: `ssm`, `ssmmessages` and `ec2messages` of the Region.",
    example: "[\"https://vpce-0123-ssm.eu-central-1.vpce.amazonaws.com\"]",
};

static MINIMUM_VERSION: Key<Text> = Key {
    name: "minimum_version",
    kind: Text,
    need: Need::Optional,
    doc: "The lowest version of the agent. An older one that a guest has is replaced.",
    example: "\"3.3.0.0\"",
};

static REREGISTER: Key<Boolean> = Key {
    name: "reregister",
    kind: Boolean,
    need: Need::Default("false"),
    doc: "Whether an agent that is registered in another account or Region, or with the registration of another VM (a clone), is registered anew. Otherwise it is reported and left alone.",
    example: "true",
};

static PER_VCENTER: Key<Integer> = Key {
    name: "per_vcenter",
    kind: Integer { min: 1, max: 200 },
    need: Need::Default("20"),
    doc: "VMs of one vCenter that are enrolled at the same time.",
    example: "20",
};

static PER_HOST: Key<Integer> = Key {
    name: "per_host",
    kind: Integer { min: 1, max: 50 },
    need: Need::Default("4"),
    doc: "VMs of one ESXi host that are enrolled at the same time.",
    example: "4",
};

static PREPARE_WITHIN: Key<Span> = Key {
    name: "prepare_within",
    kind: Span { min: Duration::from_secs(10), max: Duration::from_secs(4 * 3600) },
    need: Need::Default("20m"),
    doc: "How long looking around in a guest and installing the agent may take.",
    example: "\"20m\"",
};

static REGISTER_WITHIN: Key<Span> = Key {
    name: "register_within",
    kind: Span { min: Duration::from_secs(10), max: Duration::from_secs(3600) },
    need: Need::Default("10m"),
    doc: "How long registering may take. The activation ends after an hour in any case.",
    example: "\"10m\"",
};

static VERIFY_WITHIN: Key<Span> = Key {
    name: "verify_within",
    kind: Span { min: Duration::from_secs(10), max: Duration::from_secs(4 * 3600) },
    need: Need::Default("15m"),
    doc: "How long it may take until AWS shows the node online.",
    example: "\"15m\"",
};

static RETRY_AFTER: Key<Span> = Key {
    name: "retry_after",
    kind: Span { min: Duration::from_secs(1), max: Duration::from_secs(24 * 3600) },
    need: Need::Default("10m"),
    doc: "The pause after a VM could not be enrolled. It doubles with each further failure, up to a day.",
    example: "\"10m\"",
};

static QUARANTINE_AFTER: Key<Integer> = Key {
    name: "quarantine_after",
    kind: Integer { min: 1, max: 100 },
    need: Need::Default("5"),
    doc: "Failures in a row after which a VM is left alone until `vmbridge retry`.",
    example: "5",
};

static NODE_LIMIT: Key<Integer> = Key {
    name: "node_limit",
    kind: Integer { min: 1, max: 1_000_000 },
    need: Need::Default("1000"),
    doc: "Nodes that an account and Region may have. AWS's standard tier ends at 1,000; vmbridge never changes the tier, because it bills.",
    example: "1000",
};

static DEREGISTER_AFTER: Key<Span> = Key {
    name: "deregister_after",
    kind: Span { min: Duration::from_secs(10), max: Duration::from_secs(365 * 24 * 3600) },
    need: Need::Optional,
    doc: "How long a node that vmbridge registered outlives its VM, after which it is deregistered. Left out: it stays.",
    example: "\"168h\"",
};

static HOURS: Key<Texts> = Key {
    name: "hours",
    kind: Texts,
    need: Need::Default(""),
    doc: "When work in guests may begin: days, times or both; times may go over midnight, and the days are those on which they begin. What was begun is ended at any time. Left out: always.",
    example: "[\"Mon-Fri 20:00-06:00\", \"Sat,Sun\"]",
};

static TIME_ZONE: Key<Text> = Key {
    name: "time_zone",
    kind: Text,
    need: Need::Default("UTC"),
    doc: "The time zone of `hours`, by its IANA name.",
    example: "\"Europe/Berlin\"",
};

static REPAIR_AFTER: Key<Span> = Key {
    name: "repair_after",
    kind: Span { min: Duration::from_secs(10), max: Duration::from_secs(30 * 24 * 3600) },
    need: Need::Optional,
    doc: "How long the agent of a node that vmbridge enrolled may be silent although its VM runs. Then its service is started again; if that does not help, it is installed anew; and if vmbridge registered it, registered anew. Left out: it is only reported.",
    example: "\"1h\"",
};

pub(super) static SECTION: Section = Section {
    name: "enrol",
    shape: Shape::One,
    doc: "How VMs become managed nodes: SSM Agent is put into guests through VMware guest operations and registered. See [enrolment.md](enrolment.md).",
    keys: &[
        &MODE,
        &VMS,
        &SOURCE,
        &PACKAGE_URL,
        &PACKAGE_DIR,
        &PACKAGE_SHA256,
        &SIGNATURE_KEY_FILE,
        &MIRROR_CA_FILE,
        &PROXY,
        &NO_PROXY,
        &AGENT_CONFIG,
        &ENDPOINTS,
        &MINIMUM_VERSION,
        &REREGISTER,
        &PER_VCENTER,
        &PER_HOST,
        &PREPARE_WITHIN,
        &REGISTER_WITHIN,
        &VERIFY_WITHIN,
        &RETRY_AFTER,
        &QUARANTINE_AFTER,
        &NODE_LIMIT,
        &HOURS,
        &TIME_ZONE,
        &REPAIR_AFTER,
        &DEREGISTER_AFTER,
    ],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<EnrolSettings> {
    let mode = table.get(&MODE);
    let vms = table.get(&VMS);
    let source = table.get(&SOURCE);
    let package_url = table.get_optional(&PACKAGE_URL);
    let package_dir = table.get_optional(&PACKAGE_DIR);
    let package_sha256 = table.get(&PACKAGE_SHA256);
    let signature_key_file = table.get_optional(&SIGNATURE_KEY_FILE);
    let mirror_ca_file = table.get_optional(&MIRROR_CA_FILE);
    let proxy = table.get_optional(&PROXY);
    let no_proxy = table.get_optional(&NO_PROXY);
    let agent_config = table.get_optional(&AGENT_CONFIG);
    let endpoints = table.get(&ENDPOINTS);
    let minimum_version = table.get_optional(&MINIMUM_VERSION);
    let reregister = table.get(&REREGISTER);
    let per_vcenter = table.get(&PER_VCENTER);
    let per_host = table.get(&PER_HOST);
    let prepare_within = table.get(&PREPARE_WITHIN);
    let register_within = table.get(&REGISTER_WITHIN);
    let verify_within = table.get(&VERIFY_WITHIN);
    let retry_after = table.get(&RETRY_AFTER);
    let quarantine_after = table.get(&QUARANTINE_AFTER);
    let node_limit = table.get(&NODE_LIMIT);
    let hours = table.get(&HOURS);
    let time_zone = table.get(&TIME_ZONE);
    let repair_after = table.get_optional(&REPAIR_AFTER);
    let deregister_after = table.get_optional(&DEREGISTER_AFTER);
    if source == Some(Source::Push) && !table.has(PACKAGE_DIR.name) {
        table.wrong(SOURCE.name, "there is nothing to push", "give `package_dir`");
    }
    let well_formed = |pin: &String| {
        pin.split_once('=').is_some_and(|(platform, hash)| {
            !platform.is_empty() && hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit())
        })
    };
    if package_sha256.as_ref().is_some_and(|pins| !pins.iter().all(well_formed)) {
        let help = "write each as \"<platform>=<64 hexadecimal digits>\"";
        table.wrong(PACKAGE_SHA256.name, "not a SHA-256 hash of a platform's package", help);
    }
    let zone = time_zone.and_then(|name| {
        let zone = TimeZone::get(&name).ok();
        if zone.is_none() {
            table.wrong(
                TIME_ZONE.name,
                "there is no such time zone",
                "give its IANA name, such as Europe/Berlin",
            );
        }
        zone
    });
    let hours = hours.zip(zone).and_then(|(entries, zone)| {
        let hours = Hours::new(entries.iter().map(String::as_str), zone);
        hours
            .map_err(|error| {
                table.wrong(HOURS.name, error.to_string(), "write such as \"Mon-Fri 20:00-06:00\"");
            })
            .ok()
    });
    if minimum_version.as_ref().is_some_and(|version| mappings::guest::Version::new(version).is_none()) {
        table.wrong(
            MINIMUM_VERSION.name,
            "not a version",
            "write numbers with dots between, such as \"3.3.0.0\"",
        );
    }
    Some(EnrolSettings {
        mode: mode?,
        vms: vms?,
        source: source?,
        package_url,
        package_dir,
        package_sha256: package_sha256?,
        signature_key_file,
        mirror_ca_file,
        proxy,
        no_proxy,
        agent_config,
        endpoints: endpoints?,
        minimum_version,
        reregister: reregister?,
        per_vcenter: per_vcenter?,
        per_host: per_host?,
        prepare_within: prepare_within?,
        register_within: register_within?,
        verify_within: verify_within?,
        retry_after: retry_after?,
        quarantine_after: quarantine_after?,
        node_limit: node_limit?,
        hours: hours?,
        repair_after,
        deregister_after,
    })
}
