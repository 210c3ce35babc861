//! The JSON Schemas of what is printed, made from the types that are printed, so that they cannot disagree.

use jiff::Timestamp;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use super::ChangeDocument;
use crate::fleet::{
    ClusterDocument, DatastoreDocument, HostDocument, OrganisationDocument, VcenterDocument, VmDocument,
};

/// The object that `vmbridge inventory --json` prints.
#[derive(JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(dead_code, reason = "it is only described; `json.rs` writes it piece by piece")]
struct InventoryDocument<'a> {
    /// Name and version of this form: `vmbridge.inventory/1`. The number changes when something that was there changes.
    schema: String,
    /// When it was printed.
    #[schemars(with = "String")]
    time: Timestamp,
    /// Whether every vCenter was read in full and is current, tags included.
    complete: bool,
    /// The vCenters.
    vcenters: Vec<VcenterDocument<'a>>,
    /// The organisations of VMware Cloud on AWS.
    organisations: Vec<OrganisationDocument<'a>>,
    /// The VMs and templates, by vCenter and id.
    vms: Vec<VmDocument<'a>>,
    /// The hosts.
    hosts: Vec<HostDocument<'a>>,
    /// The clusters.
    clusters: Vec<ClusterDocument<'a>>,
    /// The datastores.
    datastores: Vec<DatastoreDocument<'a>>,
}

/// Schema of `vmbridge inventory --json`.
#[must_use]
pub fn inventory() -> Schema {
    schema::<InventoryDocument<'static>>("vmbridge inventory --json")
}

/// Schema of one line of `vmbridge watch --json`.
#[must_use]
pub fn change() -> Schema {
    schema::<ChangeDocument<'static>>("one line of vmbridge watch --json")
}

/// Schema of `vmbridge plan --json`.
#[must_use]
pub fn plan() -> Schema {
    schema::<crate::plan::PlanDocument>("vmbridge plan --json")
}

/// Schema of `vmbridge nodes --json`.
#[must_use]
pub fn nodes() -> Schema {
    schema::<Vec<crate::control::NodeDocument>>("vmbridge nodes --json")
}

/// Schema of `vmbridge windows --json`.
#[must_use]
pub fn windows() -> Schema {
    schema::<Vec<crate::control::WindowDocument>>("vmbridge windows --json")
}

/// Schema of `vmbridge snapshot list --json`.
#[must_use]
pub fn snapshots() -> Schema {
    schema::<crate::control::SnapshotsDocument>("vmbridge snapshot list --json")
}

/// Schema of `vmbridge compliance --json`.
#[must_use]
pub fn compliance() -> Schema {
    schema::<crate::report::ComplianceDocument>("vmbridge compliance --json")
}

/// Schema of `vmbridge findings --json`.
#[must_use]
pub fn findings() -> Schema {
    schema::<crate::cli::findings::Printed<'static>>("vmbridge findings --json")
}

/// Schema of `vmbridge report --format json`.
#[must_use]
pub fn report() -> Schema {
    schema::<crate::report::AuditDocument>("vmbridge report --format json")
}

/// Schema of `vmbridge check-rules --json`.
#[must_use]
pub fn rules() -> Schema {
    schema::<crate::report::RulesDocument>("vmbridge check-rules --json")
}

/// Schema of `vmbridge explain --json`.
#[must_use]
pub fn explain() -> Schema {
    schema::<crate::explain::Explanation>("vmbridge explain --json")
}

fn schema<D: JsonSchema>(title: &str) -> Schema {
    // Of what is written: a key whose value may be `null` is there all the same.
    let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    let mut schema = generator.into_root_schema_for::<D>();
    schema.insert("title".to_owned(), title.into());
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The page must be that of the program: `vmbridge schema inventory > docs/inventory.schema.json` makes it so.
    #[test]
    fn the_documentation_has_these_schemas() {
        for (schema, documentation, subject) in [
            (inventory(), include_str!("../../../docs/inventory.schema.json"), "inventory"),
            (change(), include_str!("../../../docs/change.schema.json"), "change"),
            (plan(), include_str!("../../../docs/plan.schema.json"), "plan"),
            (explain(), include_str!("../../../docs/explain.schema.json"), "explain"),
            (compliance(), include_str!("../../../docs/compliance.schema.json"), "compliance"),
            (findings(), include_str!("../../../docs/findings.schema.json"), "findings"),
            (report(), include_str!("../../../docs/report.schema.json"), "report"),
            (rules(), include_str!("../../../docs/rules.schema.json"), "rules"),
        ] {
            let told: serde_json::Value = serde_json::from_str(documentation).unwrap();
            assert!(
                *schema.as_value() == told,
                "docs/{subject}.schema.json is old: write `vmbridge schema {subject}` to it"
            );
        }
    }
}
