//! From problems to what a finding says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::asff::{
    Compliance, Content, ContentHash, Details, PRODUCT_NAME, ProviderFields, ProviderSeverity,
    Recommendation, RecordState, Remediation, Resource, SCHEMA_VERSION,
};
use super::fold::{Group, Part};
use super::ids::{FindingId, InstanceId, Owner};
use super::name::{PREFIX, Scope, urn};
use super::problem::{Node, Object, Severity, Status, Subject, Target};
use super::text::{fit, part, some, tag, units, url};

/// The limits of the format, in characters and entries; where a field of ours is kept shorter than it may be, that keeps a
/// whole finding of the longest texts below 240 KB.
pub(super) mod limit {
    pub(crate) const TITLE: usize = 256;
    pub(crate) const DESCRIPTION: usize = 1024;
    pub(crate) const ADVICE: usize = 512;
    pub(crate) const FIELD: usize = 2048;
    pub(crate) const EVIDENCE: usize = 512;
    pub(crate) const EVIDENCES: usize = 20;
    pub(crate) const RULES: usize = 8;
    pub(crate) const DETAIL: usize = 512;
    pub(crate) const TAGS: usize = 50;
    pub(crate) const TAG_KEY: usize = 128;
    pub(crate) const TAG_VALUE: usize = 256;
    pub(crate) const REQUIREMENTS: usize = 32;
    pub(crate) const REQUIREMENT: usize = 64;
    pub(crate) const NAME: usize = 80;
}

/// The field that holds the hash of everything else.
const CONTENT_FIELD: &str = "vmbridge/content";
/// The detail that says where a VM runs.
const HOST_DETAIL: &str = "host";

/// Why a finding is over. Of a finding of several rules the greatest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resolution {
    /// The problem is not there any more.
    Fixed,
    /// What had it is not there any more.
    Gone,
    /// Nobody asks any more: the rule was switched off or does not apply, somebody else looks after what it is about, or that was
    /// left out.
    NotAsked,
    /// It is as it was, and somebody accepts that.
    Accepted,
    /// The same is told in another finding: folded or not, or in another account or Region.
    Replaced,
    /// A person wants no findings any more, whatever became of their problems.
    Withdrawn,
}

impl Resolution {
    /// The word in the product field `vmbridge/resolution`.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Gone => "gone",
            Self::NotAsked => "not-asked",
            Self::Accepted => "accepted",
            Self::Replaced => "replaced",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// What the check came to. What was not looked at, or is wrong and accepted or not told any more, has not passed.
    fn status(self) -> Status {
        match self {
            Self::Fixed | Self::Gone | Self::Replaced => Status::Passed,
            Self::NotAsked | Self::Accepted | Self::Withdrawn => Status::NotAvailable,
        }
    }
}

impl Content {
    /// The hash that it carries, or what it is.
    pub(super) fn seal(&self) -> Option<&str> {
        self.product_fields.get(CONTENT_FIELD).map(String::as_str)
    }

    /// The hash of what is told for its own sake: not the hash that it carries, nor the host that a VM runs on. DRS moves VMs all
    /// day long, and each update is paid for; where a VM runs is told along with whatever else changes.
    pub(super) fn unsealed_hash(&self) -> ContentHash {
        let mut content = self.clone();
        content.product_fields.remove(CONTENT_FIELD);
        for details in content.resources.iter_mut().filter_map(|resource| resource.details.as_mut()) {
            details.other.remove(HOST_DETAIL);
        }
        content.hash()
    }

    fn sealed(mut self) -> (Self, ContentHash) {
        let hash = self.unsealed_hash();
        self.product_fields.insert(CONTENT_FIELD.to_owned(), hash.as_str().to_owned());
        (self, hash)
    }

    /// The same finding, told by this installation.
    pub(super) fn owned_by(&self, owner: &Owner) -> Self {
        let mut content = self.clone();
        content.product_fields.insert(format!("{PREFIX}owner"), fit(owner.as_str(), limit::FIELD));
        content
    }

    /// The same finding when its problem is over: archived.
    pub(super) fn resolved(&self, resolution: Resolution) -> (Self, ContentHash) {
        let mut content = self.clone();
        content.compliance.status = resolution.status();
        content.record_state = RecordState::Archived;
        content.finding_provider_fields.severity.label = Severity::Informational;
        content.product_fields.insert(format!("{PREFIX}resolution"), resolution.word().to_owned());
        content.sealed()
    }
}

/// What the finding of a group says, together with the parts that cannot be seen now and stay as they were. `object`: the same as
/// that of the group, with its instance UUID if that was ever read, so that the finding can be told from others by what it says.
pub(super) fn build(
    group: &Group<'_>,
    id: &FindingId,
    object: &Object,
    owner: &Owner,
    parts: &[Part],
) -> (Content, ContentHash) {
    let worst = group.worst();
    let subject = &*worst.subject;
    let (title, description) = match &group.scope {
        Scope::Rule(_) => (worst.title.to_string(), worst.description.to_string()),
        Scope::Family(family) => folded_words(&part(family.as_str(), 100), parts),
    };
    let label = format!("{} {}", subject.object.kind.label(), fit(&subject.name, limit::NAME));
    let label = some(&label, limit::NAME + 12).unwrap_or_else(|| subject.object.kind.label().to_owned());
    let name = format!(" ({label})");
    let title = format!(
        "{}{name}",
        some(&title, limit::TITLE - units(&name)).unwrap_or_else(|| "Problem".to_owned())
    );
    let advice = group.problems.iter().find_map(|problem| problem.advice.as_ref());
    let remediation = advice.and_then(|advice| {
        let text = some(&advice.text, limit::ADVICE)?;
        let url = advice.url.as_deref().and_then(url);
        Some(Remediation { recommendation: Recommendation { text, url } })
    });
    let types: BTreeSet<&str> = group.problems.iter().map(|problem| problem.class.finding_type()).collect();
    let status = parts.iter().map(|part| part.status).max().unwrap_or(Status::NotAvailable);
    let severity = parts.iter().map(Part::weight).max().unwrap_or(Severity::Informational);
    let content = Content {
        schema_version: SCHEMA_VERSION.to_owned(),
        id: id.clone(),
        product_arn: group.target.product_arn(),
        product_name: PRODUCT_NAME.to_owned(),
        generator_id: group.scope.generator(),
        aws_account_id: group.target.account.to_string(),
        description: some(&description, limit::DESCRIPTION).unwrap_or_else(|| title.clone()),
        title,
        remediation,
        product_fields: fields(group, object, owner, parts),
        resources: resources(subject, object, group.target),
        compliance: Compliance { status, related_requirements: requirements(group) },
        record_state: RecordState::Active,
        finding_provider_fields: ProviderFields {
            severity: ProviderSeverity { label: severity, original: severity.label().to_owned() },
            types: types.into_iter().map(str::to_owned).collect(),
        },
    };
    content.sealed()
}

/// Title and description of a folded finding. The description names as many rules as there is room for, the worst first.
fn folded_words(family: &str, parts: &[Part]) -> (String, String) {
    let count = parts.len();
    let verb = if count == 1 { "check does" } else { "checks do" };
    let title = format!("{count} {verb} not pass: {family}");
    let mut parts: Vec<&Part> = parts.iter().collect();
    parts.sort_by(|one, two| {
        (two.weight(), two.status, &one.rule).cmp(&(one.weight(), one.status, &two.rule))
    });
    let mut description = format!("{title}.");
    for (at, part) in parts.iter().enumerate() {
        let (word, name) = (part.status.label(), fit(part.label(), 120));
        let line = format!(" [{} {word}] {name};", part.weight().label());
        let left = format!(" and {} more, see the product field {PREFIX}rules", count - at);
        if units(&description) + units(&line) + units(&left) > limit::DESCRIPTION {
            description.push_str(&left);
            break;
        }
        description.push_str(&line);
    }
    (title, description.trim_end_matches(';').to_owned())
}

fn requirements(group: &Group<'_>) -> Vec<String> {
    let all = group.problems.iter().flat_map(|problem| &problem.requirements);
    let all: BTreeSet<String> = all.filter_map(|text| some(text, limit::REQUIREMENT)).collect();
    all.into_iter().take(limit::REQUIREMENTS).collect()
}

fn fields(group: &Group<'_>, object: &Object, owner: &Owner, parts: &[Part]) -> BTreeMap<String, String> {
    let subject = &*group.worst().subject;
    let mut fields = BTreeMap::new();
    let mut put = |key: String, value: &str, most: usize| {
        if let Some(value) = some(value, most) {
            fields.insert(key, value);
        }
    };
    put(format!("{PREFIX}owner"), owner.as_str(), limit::FIELD);
    put(format!("{PREFIX}kind"), object.kind.word(), limit::FIELD);
    put(format!("{PREFIX}vcenter"), object.vcenter.as_str(), limit::FIELD);
    put(format!("{PREFIX}object"), object.moref.as_str(), limit::FIELD);
    put(format!("{PREFIX}instance"), object.instance.as_ref().map_or("", InstanceId::as_str), limit::FIELD);
    put(format!("{PREFIX}name"), &subject.name, limit::DETAIL);
    put(format!("{PREFIX}vm-owner"), subject.owner.as_deref().unwrap_or(""), limit::DETAIL);
    match &group.scope {
        Scope::Rule(rule) => put(format!("{PREFIX}rule"), rule.as_str(), limit::FIELD),
        Scope::Family(family) => put(format!("{PREFIX}family"), family.as_str(), limit::FIELD),
    }
    let lists = lists(parts);
    for (at, list) in lists.iter().take(limit::RULES).enumerate() {
        let key = if at == 0 { format!("{PREFIX}rules") } else { format!("{PREFIX}rules/{}", at + 1) };
        put(key, list, limit::FIELD);
    }
    let left: usize = lists.iter().skip(limit::RULES).map(|list| list.split(',').count()).sum();
    if left > 0 {
        put(format!("{PREFIX}rules-left-out"), &left.to_string(), limit::FIELD);
    }
    if let (Scope::Rule(_), worst) = (&group.scope, group.worst()) {
        for (key, value) in worst.evidence.iter().take(limit::EVIDENCES) {
            if let Some(key) = some(key, 100) {
                put(format!("evidence/{key}"), value, limit::EVIDENCE);
            }
        }
        let left = worst.evidence.len().saturating_sub(limit::EVIDENCES);
        if left > 0 {
            put(format!("{PREFIX}evidence-left-out"), &left.to_string(), limit::FIELD);
        }
    }
    fields
}

/// The rules with severity and status, in as few fields as possible.
fn lists(parts: &[Part]) -> Vec<String> {
    let mut lists: Vec<String> = Vec::new();
    for part in parts {
        let word = part.word();
        match lists.last_mut() {
            Some(list) if list.len() + word.len() < limit::FIELD => {
                list.push(',');
                list.push_str(&word);
            }
            _ => lists.push(word),
        }
    }
    lists
}

fn resources(subject: &Subject, object: &Object, target: &Target) -> Vec<Resource> {
    let mut other = BTreeMap::new();
    let mut put = |key: &str, value: Option<&str>| {
        if let Some(value) = value.and_then(|value| some(value, limit::DETAIL)) {
            other.insert(key.to_owned(), value);
        }
    };
    put("kind", Some(object.kind.label()));
    put("name", Some(&subject.name));
    put("vCenter", Some(&subject.vcenter_name));
    put("vCenterUuid", Some(object.vcenter.as_str()));
    put("moRef", Some(object.moref.as_str()));
    put("instanceUuid", object.instance.as_ref().map(InstanceId::as_str));
    put("datacenter", subject.datacenter.as_deref());
    put("cluster", subject.cluster.as_deref());
    put(HOST_DETAIL, subject.host.as_deref());
    put("folder", subject.folder.as_deref());
    put("guestOs", subject.guest_os.as_deref());
    put("owner", subject.owner.as_deref());
    put("nodeId", subject.node.as_ref().map(|node| node.id.as_str()));
    put("tags", Some(&written_tags(subject)));
    let mut all = vec![Resource {
        r#type: "Other".to_owned(),
        id: urn(object),
        partition: Some(target.partition.to_string()),
        region: Some(target.region.to_string()),
        tags: tags(subject),
        details: Some(Details { other }),
    }];
    all.extend(subject.node.as_ref().filter(|node| node.id.is_hybrid()).map(|node| of_node(node, target)));
    all
}

/// The managed node. Patch Manager calls it `AwsEc2Instance`, so that consoles look for it in EC2, count it among the EC2
/// instances, and find nothing. The format has no type for hybrid nodes; `Other` is what it asks for then. The id is the bare
/// node id as Patch Manager writes it, so that one filter on `ResourceId` finds its findings and ours.
fn of_node(node: &Node, target: &Target) -> Resource {
    let Node { id, account, region } = node;
    let arn = format!("arn:{}:ssm:{region}:{account}:managed-instance/{id}", target.partition);
    let other =
        [("kind", "Systems Manager hybrid managed node"), ("arn", &arn), ("account", account.as_str())];
    let other =
        other.into_iter().filter_map(|(key, value)| Some((key.to_owned(), some(value, limit::DETAIL)?)));
    Resource {
        r#type: "Other".to_owned(),
        id: id.to_string(),
        partition: Some(target.partition.to_string()),
        region: Some(region.to_string()),
        tags: BTreeMap::new(),
        details: Some(Details { other: other.collect() }),
    }
}

/// By category, as vSphere has them.
fn by_category(subject: &Subject) -> BTreeMap<&Arc<str>, BTreeSet<&str>> {
    let mut all: BTreeMap<&Arc<str>, BTreeSet<&str>> = BTreeMap::new();
    for tag in &subject.tags {
        all.entry(&tag.category).or_default().insert(&tag.name);
    }
    all
}

fn written_tags(subject: &Subject) -> String {
    let all = by_category(subject);
    let all =
        all.iter().flat_map(|(category, names)| names.iter().map(move |name| format!("{category}={name}")));
    all.collect::<Vec<_>>().join("; ")
}

/// The tags in the form of AWS: several of one category share a key.
fn tags(subject: &Subject) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    for (category, names) in by_category(subject) {
        let names = names.into_iter().collect::<Vec<_>>().join(" + ");
        let (Some(key), Some(value)) = (tag(category, limit::TAG_KEY), tag(&names, limit::TAG_VALUE)) else {
            continue;
        };
        if out.len() < limit::TAGS {
            out.entry(key).or_insert(value);
        }
    }
    out
}
