//! Templates: fixed text with `{facts}` in it.

use crate::selector::Fact;

use super::TagFacts;

/// A fact that a template may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Placeholder {
    Vcenter,
    Datacenter,
    Cluster,
    Folder,
    ResourcePool,
    Name,
    HostName,
    GuestFamily,
    GuestOs,
    PowerState,
}

const PLACEHOLDERS: [(&str, Placeholder); 10] = [
    ("vcenter", Placeholder::Vcenter),
    ("datacenter", Placeholder::Datacenter),
    ("cluster", Placeholder::Cluster),
    ("folder", Placeholder::Folder),
    ("resource-pool", Placeholder::ResourcePool),
    ("name", Placeholder::Name),
    ("host-name", Placeholder::HostName),
    ("guest-family", Placeholder::GuestFamily),
    ("guest-os", Placeholder::GuestOs),
    ("power-state", Placeholder::PowerState),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Fact(Placeholder),
}

/// A template, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// Reads a template. `{{` and `}}` are braces.
    pub(super) fn new(text: &str) -> Result<Self, (String, String)> {
        let (mut pieces, mut fixed, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            fixed.push_str(&rest[..at]);
            let brace = &rest[at..=at];
            let after = &rest[at + 1..];
            if after.starts_with(brace) {
                fixed.push_str(brace);
                rest = &after[1..];
                continue;
            }
            let inside = (brace == "{").then(|| after.split_once('}')).flatten();
            let Some((name, after)) = inside else {
                return Err((
                    format!("a `{brace}` without its partner"),
                    "write `{{` or `}}` for a brace itself".into(),
                ));
            };
            let Some((_, placeholder)) = PLACEHOLDERS.iter().find(|(word, _)| *word == name) else {
                let all: Vec<String> = PLACEHOLDERS.iter().map(|(word, _)| format!("{{{word}}}")).collect();
                let close = PLACEHOLDERS
                    .iter()
                    .map(|(word, _)| *word)
                    .min_by_key(|word| strsim::damerau_levenshtein(word, name));
                let meant = close
                    .filter(|word| strsim::damerau_levenshtein(word, name) <= 3)
                    .map(|word| format!("did you mean `{{{word}}}`? "))
                    .unwrap_or_default();
                return Err((
                    format!("there is no fact `{{{name}}}`"),
                    format!("{meant}there are {}", all.join(", ")),
                ));
            };
            if !fixed.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut fixed)));
            }
            pieces.push(Piece::Fact(*placeholder));
            rest = after;
        }
        fixed.push_str(rest);
        if !fixed.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(fixed));
        }
        Ok(Self(pieces))
    }

    /// Its text for a VM. A fact that there is not makes the whole absent, one that is not known makes it unknown.
    pub(super) fn fill(&self, facts: &dyn TagFacts) -> Fact<String> {
        let mut out = String::new();
        let mut absent = false;
        for piece in &self.0 {
            let fact = match piece {
                Piece::Text(text) => Fact::Known(text.as_str()),
                Piece::Fact(placeholder) => placeholder.of(facts),
            };
            match fact {
                Fact::Known(text) => out.push_str(text),
                Fact::Absent => absent = true,
                Fact::Unknown => return Fact::Unknown,
            }
        }
        if absent { Fact::Absent } else { Fact::Known(out) }
    }
}

impl Placeholder {
    fn of(self, facts: &dyn TagFacts) -> Fact<&str> {
        fn word<T>(fact: Fact<T>, word: impl Fn(T) -> &'static str) -> Fact<&'static str> {
            match fact {
                Fact::Known(value) => Fact::Known(word(value)),
                Fact::Absent => Fact::Absent,
                Fact::Unknown => Fact::Unknown,
            }
        }
        match self {
            Self::Vcenter => Fact::Known(facts.vcenter()),
            Self::Datacenter => facts.datacenter(),
            Self::Cluster => facts.cluster(),
            Self::Folder => facts.folder(),
            Self::ResourcePool => facts.resource_pool(),
            Self::Name => facts.name(),
            Self::HostName => facts.host_name(),
            Self::GuestFamily => word(facts.guest_family(), crate::selector::GuestFamily::as_str),
            Self::GuestOs => facts.guest_os(),
            Self::PowerState => word(facts.power_state(), crate::selector::PowerState::as_str),
        }
    }
}
