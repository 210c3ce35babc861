//! What the program in a guest reports of it. The guest may be hostile: sizes are limited, and nothing is believed that was
//! not checked.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aws::NodeId;

/// The longest report, in bytes.
pub const LONGEST: u64 = 64 << 10;
/// The longest text of a report that is kept, in characters.
const LONGEST_TEXT: usize = 300;

/// A registration that a guest has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// The node that it says it is.
    pub node: NodeId,
    /// The Region.
    pub region: Arc<str>,
}

/// What a guest told of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// What the operating system calls itself, such as `debian`.
    pub os: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// Architecture, such as `x86_64`.
    pub arch: Arc<str>,
    /// `deb`, `rpm`, `snap` or `windows`.
    pub family: Arc<str>,
    /// Version of the agent, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<Arc<str>>,
    /// Its registration, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<Registration>,
    /// The guest's clock, Unix time in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<i64>,
    /// One line for people.
    pub detail: Arc<str>,
}

/// Why a report cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the guest's report cannot be understood: {0}")]
pub struct ReportError(String);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    v: u32,
    code: i32,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    os: RawOs,
    #[serde(default)]
    arch: String,
    #[serde(default)]
    family: String,
    #[serde(default)]
    clock: Option<i64>,
    #[serde(default)]
    agent: Option<RawAgent>,
    #[serde(default)]
    registration: Option<RawRegistration>,
}

#[derive(Default, Deserialize)]
struct RawOs {
    #[serde(default)]
    id: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct RawAgent {
    installed: bool,
    #[serde(default)]
    version: Option<String>,
}

#[derive(Deserialize)]
struct RawRegistration {
    node: String,
    region: String,
}

/// The part of a report that says which program made it.
#[derive(Deserialize)]
struct Head {
    step: String,
    code: i32,
}

impl Report {
    /// The platform of its package and the package's name, as AWS calls them.
    #[must_use]
    pub fn package(&self) -> Option<(String, &'static str)> {
        let machine = match &*self.arch {
            "x86_64" | "amd64" => "amd64",
            "aarch64" | "arm64" => "arm64",
            _ => return None,
        };
        match &*self.family {
            "deb" => Some((format!("debian_{machine}"), "amazon-ssm-agent.deb")),
            "rpm" => Some((format!("linux_{machine}"), "amazon-ssm-agent.rpm")),
            "windows" => Some((format!("windows_{machine}"), "AmazonSSMAgentSetup.exe")),
            _ => None,
        }
    }

    /// The step of which it is a report.
    #[must_use]
    pub fn step_of(bytes: &[u8]) -> Option<String> {
        serde_json::from_slice::<Head>(bytes).ok().map(|head| head.step)
    }

    /// The exit code that it speaks of.
    #[must_use]
    pub fn code_of(bytes: &[u8]) -> Option<i32> {
        serde_json::from_slice::<Head>(bytes).ok().map(|head| head.code)
    }

    /// Reads a report, which has to be of a program that ended with this exit code.
    ///
    /// # Errors
    /// When it is not one.
    pub fn read(bytes: &[u8], exit: i32) -> Result<Self, ReportError> {
        let raw: Raw = serde_json::from_slice(bytes).map_err(|error| ReportError(error.to_string()))?;
        if raw.v != 1 {
            return Err(ReportError(format!("it is of version {}", raw.v)));
        }
        if raw.code != exit {
            return Err(ReportError(format!(
                "it says that the program ended with {}, and it ended with {exit}",
                raw.code
            )));
        }
        let registration = match raw.registration {
            Some(RawRegistration { node, region }) => {
                let node = NodeId::of_managed_instance(&node)
                    .ok_or_else(|| ReportError("its registration is not of a node".to_owned()))?;
                Some(Registration { node, region: shown(&region) })
            }
            None => None,
        };
        Ok(Self {
            os: shown(&raw.os.id),
            version: shown(&raw.os.version),
            arch: shown(&raw.arch),
            family: shown(&raw.family),
            agent: raw
                .agent
                .filter(|agent| agent.installed)
                .map(|agent| agent.version.map_or_else(|| "unknown".into(), |version| shown(&version))),
            registration,
            clock: raw.clock,
            detail: shown(&raw.detail),
        })
    }
}

/// A text of a guest as it may be shown: short, and without control characters.
fn shown(text: &str) -> Arc<str> {
    let safe = |character: char| if character.is_control() { ' ' } else { character };
    text.chars().take(LONGEST_TEXT).map(safe).collect::<String>().trim().into()
}
