//! Data objects before they become XML: what the settings of hosts, clusters and the like are made of, so that a path into one
//! finds what the whole of it says.

use std::fmt::Display;

use crate::xml::Xml;

/// A value of a property, or of a member of one.
#[derive(Debug, Clone)]
pub(super) enum Value {
    /// A text, number, truth value or time, by its type.
    Leaf { of: &'static str, text: String, named: bool },
    /// A data object.
    Record { of: &'static str, members: Vec<(&'static str, Value)>, named: bool },
    /// Several of one type.
    List { of: &'static str, items: Vec<Value> },
}

impl Value {
    pub(super) fn leaf(of: &'static str, value: impl Display) -> Self {
        Self::Leaf { of, text: value.to_string(), named: false }
    }

    pub(super) fn bool(value: bool) -> Self {
        Self::leaf("xsd:boolean", value)
    }

    pub(super) fn int(value: i64) -> Self {
        Self::leaf("xsd:int", value)
    }

    pub(super) fn string(value: impl Display) -> Self {
        Self::leaf("xsd:string", value)
    }

    pub(super) fn record(of: &'static str, members: Vec<(&'static str, Value)>) -> Self {
        Self::Record { of, members, named: false }
    }

    pub(super) fn list(of: &'static str, items: impl IntoIterator<Item = Value>) -> Self {
        Self::List { of, items: items.into_iter().collect() }
    }

    /// The same where the declared type is another: then the type is written wherever it stands.
    pub(super) fn named(mut self) -> Self {
        match &mut self {
            Self::Leaf { named, .. } | Self::Record { named, .. } => *named = true,
            Self::List { .. } => {}
        }
        self
    }

    /// An element of a list of settings.
    pub(super) fn option(key: &str, value: Value) -> Self {
        Self::record("OptionValue", vec![("key", Self::string(key)), ("value", value.named())])
    }

    /// What is at a path inside it; an empty path is itself.
    pub(super) fn at(&self, path: &str) -> Option<&Self> {
        if path.is_empty() {
            return Some(self);
        }
        let (first, rest) = path.split_once('.').unwrap_or((path, ""));
        match self {
            Self::Record { members, .. } => members.iter().find(|(name, _)| *name == first)?.1.at(rest),
            Self::Leaf { .. } | Self::List { .. } => None,
        }
    }

    /// Writes it as the value of a property.
    pub(super) fn write(&self, tag: &str, xml: &mut Xml) {
        match self {
            Self::Leaf { of, text, .. } => xml.typed_text(tag, of, text),
            Self::Record { of, members, .. } => {
                xml.open_typed(tag, of);
                inside(members, xml);
                xml.close(tag);
            }
            Self::List { of, items } => {
                // A list of texts or numbers is called after what one is, without its prefix.
                let element = of.strip_prefix("xsd:").unwrap_or(of);
                let (first, rest) = element.split_at(1.min(element.len()));
                xml.open_typed(tag, &format!("ArrayOf{}{rest}", first.to_uppercase()));
                for item in items {
                    item.write(element, xml);
                }
                xml.close(tag);
            }
        }
    }

    /// Writes it as a member of a data object.
    fn write_member(&self, name: &str, xml: &mut Xml) {
        match self {
            Self::Leaf { named: true, .. } | Self::Record { named: true, .. } => self.write(name, xml),
            Self::Leaf { text, .. } => xml.text(name, text),
            Self::Record { members, .. } => {
                xml.open(name);
                inside(members, xml);
                xml.close(name);
            }
            Self::List { items, .. } => items.iter().for_each(|item| item.write_member(name, xml)),
        }
    }
}

fn inside(members: &[(&'static str, Value)], xml: &mut Xml) {
    for (name, value) in members {
        value.write_member(name, xml);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_typed_where_it_is_a_property_and_plain_where_it_is_a_member() {
        let value = Value::record(
            "HostDateTimeInfo",
            vec![
                ("systemClockProtocol", Value::string("ntp")),
                ("server", Value::list("xsd:string", ["a&b", "c"].map(Value::string))),
                ("option", Value::list("OptionValue", [Value::option("k", Value::int(3))])),
            ],
        );
        let written = |path: &str| {
            let mut xml = Xml::new();
            value.at(path).unwrap().write("val", &mut xml);
            xml.into_string()
        };
        assert_eq!(
            written(""),
            "<val xsi:type=\"HostDateTimeInfo\"><systemClockProtocol>ntp</systemClockProtocol><server>a&amp;b</server><server>c</server>\
             <option><key>k</key><value xsi:type=\"xsd:int\">3</value></option></val>"
        );
        assert_eq!(written("systemClockProtocol"), "<val xsi:type=\"xsd:string\">ntp</val>");
        assert_eq!(
            written("server"),
            "<val xsi:type=\"ArrayOfString\"><string xsi:type=\"xsd:string\">a&amp;b</string><string xsi:type=\"xsd:string\">c</string></val>"
        );
        assert_eq!(
            written("option"),
            "<val xsi:type=\"ArrayOfOptionValue\"><OptionValue xsi:type=\"OptionValue\"><key>k</key><value xsi:type=\"xsd:int\">3</value>\
             </OptionValue></val>"
        );
        assert!(value.at("server.x").is_none() && value.at("nothing").is_none());
    }
}
