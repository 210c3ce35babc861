//! The service models of botocore, as far as the simulator plays them: see `models/README.md`.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use serde::Deserialize;

use super::pattern::Pattern;
use super::protocol::Service;

/// A service.
#[derive(Debug, Deserialize)]
pub(crate) struct Model {
    pub(crate) metadata: Metadata,
    pub(crate) operations: BTreeMap<String, Operation>,
    pub(crate) shapes: HashMap<String, Shape>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) api_version: String,
    pub(crate) xml_namespace: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Operation {
    pub(crate) http: Http,
    pub(crate) input: Option<String>,
    pub(crate) output: Option<String>,
    pub(crate) result_wrapper: Option<String>,
    pub(crate) errors: Vec<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Http {
    pub(crate) method: String,
    pub(crate) uri: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) enum Kind {
    Structure,
    List,
    Map,
    String,
    Integer,
    Long,
    Double,
    Float,
    Boolean,
    Timestamp,
    Blob,
}

/// A type of the service.
#[derive(Debug, Deserialize)]
pub(crate) struct Shape {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default)]
    pub(crate) required: Vec<String>,
    #[serde(rename = "enum", default)]
    pub(crate) choices: Vec<String>,
    pub(crate) min: Option<f64>,
    pub(crate) max: Option<f64>,
    pub(crate) pattern: Option<String>,
    #[serde(default)]
    pub(crate) members: BTreeMap<String, Member>,
    pub(crate) member: Option<Member>,
    pub(crate) key: Option<Member>,
    pub(crate) value: Option<Member>,
    #[serde(skip)]
    compiled: OnceLock<Option<Pattern>>,
}

impl Shape {
    /// Whether a text fits the pattern, where there is one. A pattern that cannot be read fits nothing, so that it is
    /// noticed.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let Some(pattern) = &self.pattern else { return true };
        let compiled = self.compiled.get_or_init(|| Pattern::new(pattern));
        compiled.as_ref().is_some_and(|pattern| pattern.fits(text))
    }
}

/// A member of a structure, a list or a map.
#[derive(Debug, Deserialize)]
pub(crate) struct Member {
    pub(crate) shape: String,
}

/// All models.
#[derive(Debug)]
pub(crate) struct Models {
    ssm: Model,
    sts: Model,
    tagging: Model,
    hub: Model,
    groups: Model,
}

impl Models {
    /// The models, read once.
    pub(crate) fn get() -> &'static Self {
        static MODELS: OnceLock<Models> = OnceLock::new();
        MODELS.get_or_init(|| Self {
            ssm: parse(include_str!("../../models/ssm.json")),
            sts: parse(include_str!("../../models/sts.json")),
            tagging: parse(include_str!("../../models/tagging.json")),
            hub: parse(include_str!("../../models/securityhub.json")),
            groups: parse(include_str!("../../models/groups.json")),
        })
    }

    pub(crate) fn of(&self, service: Service) -> &Model {
        match service {
            Service::Ssm => &self.ssm,
            Service::Sts => &self.sts,
            Service::Tagging => &self.tagging,
            Service::SecurityHub => &self.hub,
            Service::Groups => &self.groups,
        }
    }
}

#[expect(clippy::expect_used, reason = "the files are part of the program, and a test reads them all")]
fn parse(text: &str) -> Model {
    serde_json::from_str(text).expect("a service model of this crate is not what model.rs takes it for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_is_there_and_every_pattern_can_be_read() {
        let models = Models::get();
        for service in [Service::Ssm, Service::Sts, Service::Tagging, Service::SecurityHub, Service::Groups] {
            let model = models.of(service);
            for operation in model.operations.values() {
                let named = operation.input.iter().chain(&operation.output).chain(&operation.errors);
                assert!(named.into_iter().all(|name| model.shapes.contains_key(name)));
            }
            for (name, shape) in &model.shapes {
                let inner = shape.members.values().chain(&shape.member).chain(&shape.key).chain(&shape.value);
                assert!(inner.into_iter().all(|member| model.shapes.contains_key(&member.shape)), "{name}");
                if let Some(pattern) = &shape.pattern {
                    assert!(Pattern::new(pattern).is_some(), "{name}: {pattern}");
                }
            }
        }
    }
}
