//! `[[aws]]`: the accounts and Regions whose managed nodes are kept in step with VMs.

use std::path::PathBuf;
use std::time::Duration;

use mappings::selector::Selector;
use url::Url;

use super::reader::TableReader;
use super::schema::{Key, Need, Section, Shape};
use super::values::{Account, Boolean, Integer, Name, Region, RoleArn, Scope, Span, Text, WebUrl};
use super::vcenter::CA_FILE;
use crate::aws::{Speed, partition_of};
use crate::lane::LaneLimits;

/// One account and Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwsTarget {
    /// Its name here.
    pub name: String,
    /// The Region.
    pub region: String,
    /// The account that the credentials must belong to.
    pub account: Option<String>,
    /// A role to take on.
    pub role_arn: Option<String>,
    /// What the role's trust policy asks for.
    pub external_id: Option<String>,
    /// A profile of the AWS configuration files.
    pub profile: Option<String>,
    /// An address for all services instead of the public ones.
    pub endpoint: Option<Url>,
    /// PEM file with certificate authorities to trust besides those of the system. Absolute.
    pub ca_file: Option<PathBuf>,
    /// Whether FIPS endpoints are used.
    pub fips: bool,
    /// Whether dual-stack endpoints are used.
    pub dual_stack: bool,
    /// The VMs that belong here.
    pub vms: Selector,
    /// The IAM role of nodes that are enrolled here.
    pub node_role: String,
    /// The Region whose Security Hub gets the findings, if it is another than `region`.
    pub findings_region: Option<String>,
    /// Calls in a second of each operation that reads.
    pub reads_per_second: usize,
    /// Calls in a second of each operation that changes something.
    pub writes_per_second: usize,
    /// Calls of each operation at the same time.
    pub concurrency: usize,
    /// Shortest interval between two readings of all nodes and tags.
    pub poll_fast: Duration,
    /// Longest interval between two readings of all nodes and tags.
    pub poll_slow: Duration,
    /// How long a reading may not show yet what was written before it.
    pub settle: Duration,
}

impl AwsTarget {
    /// The Region whose Security Hub gets the findings.
    #[must_use]
    pub fn hub_region(&self) -> &str {
        self.findings_region.as_deref().unwrap_or(&self.region)
    }

    /// The limits for its lanes.
    #[must_use]
    pub fn speed(&self) -> Speed {
        let lane = |rate: usize| LaneLimits {
            concurrency: self.concurrency,
            rate: rate as f64,
            burst: (rate * 2) as f64,
        };
        Speed { reads: lane(self.reads_per_second), writes: lane(self.writes_per_second) }
    }
}

static NAME: Key<Name> = Key {
    name: "name",
    kind: Name,
    need: Need::Required,
    doc: "The name used in commands, output and environment variables. Unique among all `[[aws]]` entries.",
    example: "\"main\"",
};

static REGION: Key<Region> = Key {
    name: "region",
    kind: Region,
    need: Need::Required,
    doc: "The Region.",
    example: "\"eu-central-1\"",
};

static ACCOUNT: Key<Account> = Key {
    name: "account",
    kind: Account,
    need: Need::Optional,
    doc: "The number of the account. If it is given, nothing is done with credentials that belong to another account.",
    example: "\"111122223333\"",
};

static ROLE_ARN: Key<RoleArn> = Key {
    name: "role_arn",
    kind: RoleArn,
    need: Need::Optional,
    doc: "A role to take on with the credentials that are found.",
    example: "\"arn:aws:iam::111122223333:role/vmbridge\"",
};

static EXTERNAL_ID: Key<Text> = Key {
    name: "external_id",
    kind: Text,
    need: Need::Optional,
    doc: "The external id that the trust policy of the role asks for.",
    example: "\"vmbridge-prod\"",
};

static PROFILE: Key<Text> = Key {
    name: "profile",
    kind: Text,
    need: Need::Optional,
    doc: "A profile of the AWS configuration files. Left out: the default chain (environment, default profile, web identity, container, instance metadata). IAM Roles Anywhere is a profile with `credential_process`.",
    example: "\"vmbridge\"",
};

static ENDPOINT: Key<WebUrl> = Key {
    name: "endpoint",
    kind: WebUrl,
    need: Need::Optional,
    doc: "An address for all services of AWS instead of the public ones.",
    example: "\"https://aws.example.com\"",
};

static FIPS: Key<Boolean> = Key {
    name: "fips",
    kind: Boolean,
    need: Need::Default("false"),
    doc: "Whether FIPS endpoints are used.",
    example: "true",
};

static DUAL_STACK: Key<Boolean> = Key {
    name: "dual_stack",
    kind: Boolean,
    need: Need::Default("false"),
    doc: "Whether dual-stack endpoints (IPv4 and IPv6) are used.",
    example: "true",
};

static VMS: Key<Scope> = Key {
    name: "vms",
    kind: Scope,
    need: Need::Default("all"),
    doc: "The VMs that belong to this account and Region. A VM that belongs to none, or to two, is reported and left alone.",
    example: "\"datacenter=Frankfurt\"",
};

static NODE_ROLE: Key<Text> = Key {
    name: "node_role",
    kind: Text,
    need: Need::Default("SSMServiceRole"),
    doc: "The name (or path and name) of the IAM role that nodes enrolled here take on: it trusts `ssm.amazonaws.com` and has the policy `AmazonSSMManagedInstanceCore`.",
    example: "\"SSMServiceRole\"",
};

static FINDINGS_REGION: Key<Region> = Key {
    name: "findings_region",
    kind: Region,
    need: Need::Optional,
    doc: "The Region whose Security Hub gets the findings about VMs of this target. Left out: that of the target, which is right with an aggregation Region too, since Security Hub itself copies findings there. Give another one only where Security Hub is not enabled in the Region of the target. Findings go to one Region and never to both.",
    example: "\"eu-west-1\"",
};

static READS: Key<Integer> = Key {
    name: "reads_per_second",
    kind: Integer { min: 1, max: 100 },
    need: Need::Default("10"),
    doc: "Calls in a second of each operation that reads. Where AWS refuses calls as too many, all of the same kind slow down by themselves.",
    example: "10",
};

static WRITES: Key<Integer> = Key {
    name: "writes_per_second",
    kind: Integer { min: 1, max: 100 },
    need: Need::Default("5"),
    doc: "Calls in a second of each operation that changes something.",
    example: "5",
};

static CONCURRENCY: Key<Integer> = Key {
    name: "concurrency",
    kind: Integer { min: 1, max: 32 },
    need: Need::Default("4"),
    doc: "Calls of each operation at the same time.",
    example: "4",
};

static POLL_FAST: Key<Span> = Key {
    name: "poll_fast",
    kind: Span { min: Duration::from_secs(1), max: Duration::from_secs(3600) },
    need: Need::Default("20s"),
    doc: "Interval between two readings of all nodes and tags after something changed. It then doubles with each reading that shows nothing new.",
    example: "\"20s\"",
};

static POLL_SLOW: Key<Span> = Key {
    name: "poll_slow",
    kind: Span { min: Duration::from_secs(1), max: Duration::from_secs(24 * 3600) },
    need: Need::Default("10m"),
    doc: "Longest interval between two readings of all nodes and tags.",
    example: "\"10m\"",
};

static SETTLE: Key<Span> = Key {
    name: "settle",
    kind: Span { min: Duration::from_millis(100), max: Duration::from_secs(3600) },
    need: Need::Default("2m"),
    doc: "How long a reading may not show yet what was written before it: AWS is eventually consistent. Until then what was written counts, and what is read does not.",
    example: "\"2m\"",
};

pub(super) static SECTION: Section = Section {
    name: "aws",
    shape: Shape::Many,
    doc: "An account and a Region of AWS whose managed nodes are kept in step with VMs.",
    keys: &[
        &NAME,
        &REGION,
        &ACCOUNT,
        &ROLE_ARN,
        &EXTERNAL_ID,
        &PROFILE,
        &ENDPOINT,
        &CA_FILE,
        &FIPS,
        &DUAL_STACK,
        &VMS,
        &NODE_ROLE,
        &FINDINGS_REGION,
        &READS,
        &WRITES,
        &CONCURRENCY,
        &POLL_FAST,
        &POLL_SLOW,
        &SETTLE,
    ],
    sections: &[],
};

pub(super) fn read(table: &TableReader<'_>) -> Option<AwsTarget> {
    let name = table.get(&NAME);
    let region = table.get(&REGION);
    let account = table.get_optional(&ACCOUNT);
    let role_arn = table.get_optional(&ROLE_ARN);
    let external_id = table.get_optional(&EXTERNAL_ID);
    let profile = table.get_optional(&PROFILE);
    let endpoint = table.get_optional(&ENDPOINT);
    let ca_file = table.get_optional(&CA_FILE);
    let fips = table.get(&FIPS);
    let dual_stack = table.get(&DUAL_STACK);
    let vms = table.get(&VMS);
    let node_role = table.get(&NODE_ROLE);
    let findings_region = table.get_optional(&FINDINGS_REGION);
    let reads_per_second = table.get(&READS);
    let writes_per_second = table.get(&WRITES);
    let concurrency = table.get(&CONCURRENCY);
    let poll_fast = table.get(&POLL_FAST);
    let poll_slow = table.get(&POLL_SLOW);
    let settle = table.get(&SETTLE);
    if external_id.is_some() && !table.has(ROLE_ARN.name) {
        let help = "give `role_arn`, or remove `external_id`: it is of no use without a role";
        table.wrong(EXTERNAL_ID.name, "there is no role that could ask for it", help);
    }
    if let (Some(fast), Some(slow)) = (poll_fast, poll_slow)
        && fast > slow
    {
        table.wrong(POLL_FAST.name, "longer than `poll_slow`", "make it shorter, or `poll_slow` longer");
    }
    if let (Some(own), Some(other)) = (&region, &findings_region)
        && partition_of(own) != partition_of(other)
    {
        let help = format!("name a Region of the partition {}", partition_of(own));
        table.wrong(FINDINGS_REGION.name, "no credentials are good in both Regions", help);
    }
    Some(AwsTarget {
        name: name?,
        region: region?,
        account,
        role_arn,
        external_id,
        profile,
        endpoint,
        ca_file,
        fips: fips?,
        dual_stack: dual_stack?,
        vms: vms?,
        node_role: node_role?,
        findings_region,
        reads_per_second: reads_per_second?,
        writes_per_second: writes_per_second?,
        concurrency: concurrency?,
        poll_fast: poll_fast?,
        poll_slow: poll_slow?,
        settle: settle?,
    })
}
