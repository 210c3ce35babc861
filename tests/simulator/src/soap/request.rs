//! Reading SOAP requests. They are small, so a tree is made; what vCenter would refuse is refused here.

use quick_xml::events::{BytesStart, Event};
use quick_xml::name::ResolveResult;
use quick_xml::{NsReader, XmlVersion};

use super::fault::Fault;

const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
const MAX_DEPTH: usize = 64;

/// An element of the request.
#[derive(Debug, Clone, Default)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(super) namespace: String,
    /// The `type` attribute of a managed object reference.
    pub(crate) type_name: Option<String>,
    /// The local part of `xsi:type`.
    pub(crate) xsi_type: Option<String>,
    pub(crate) text: String,
    pub(crate) children: Vec<Node>,
}

impl Node {
    pub(crate) fn child(&self, name: &str) -> Option<&Node> {
        self.children.iter().find(|c| c.name == name)
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Node> {
        self.children.iter().filter(move |c| c.name == name)
    }

    /// The text of a child, where there is one.
    pub(crate) fn str(&self, name: &str) -> Option<&str> {
        self.child(name).map(|c| c.text.as_str())
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.str(name)?.trim().parse().ok()
    }

    pub(crate) fn bool(&self, name: &str) -> bool {
        matches!(self.str(name).map(str::trim), Some("true" | "1"))
    }
}

fn malformed(why: &str) -> Fault {
    Fault::invalid_request(&format!("XML document parse error: {why}"))
}

fn open(reader: &NsReader<&[u8]>, start: &BytesStart<'_>) -> Result<Node, Fault> {
    let (namespace, local) = reader.resolver().resolve_element(start.name());
    let mut node = Node { name: local.into_inner().to_owned(), ..Node::default() };
    match namespace {
        ResolveResult::Bound(ns) => node.namespace = ns.0.to_owned(),
        ResolveResult::Unbound => {}
        ResolveResult::Unknown(prefix) => return Err(malformed(&format!("undeclared prefix {prefix:?}"))),
    }
    for attribute in start.attributes() {
        let attribute = attribute.map_err(|e| malformed(&e.to_string()))?;
        let value =
            attribute.normalized_value(XmlVersion::Implicit1_0).map_err(|e| malformed(&e.to_string()))?;
        let (namespace, local) = reader.resolver().resolve_attribute(attribute.key);
        match namespace {
            ResolveResult::Bound(ns) if ns.0 == XSI && local.into_inner() == "type" => {
                let local = value.rsplit(':').next().unwrap_or_default();
                node.xsi_type = Some(local.to_owned());
            }
            ResolveResult::Unbound if local.into_inner() == "type" => {
                node.type_name = Some(value.into_owned());
            }
            _ => {}
        }
    }
    Ok(node)
}

/// Reads an envelope and returns the one element in its body.
pub(crate) fn parse(body: &[u8]) -> Result<Node, Fault> {
    let text = std::str::from_utf8(body).map_err(|_| malformed("invalid UTF-8"))?;
    let mut reader = NsReader::from_reader(text.as_bytes());
    reader.config_mut().check_end_names = true;
    let mut stack: Vec<Node> = vec![Node::default()];
    let mut buffer = Vec::new();
    loop {
        buffer.clear();
        let event = reader.read_event_into(&mut buffer).map_err(|e| malformed(&e.to_string()))?;
        match event {
            Event::Start(start) => {
                if stack.len() > MAX_DEPTH {
                    return Err(malformed("nested too deeply"));
                }
                stack.push(open(&reader, &start)?);
            }
            Event::Empty(start) => {
                let node = open(&reader, &start)?;
                if let Some(top) = stack.last_mut() {
                    top.children.push(node);
                }
            }
            Event::End(_) => {
                let done = stack.pop().unwrap_or_default();
                match stack.last_mut() {
                    Some(top) => top.children.push(done),
                    None => return Err(malformed("unexpected end tag")),
                }
            }
            Event::Text(text) => {
                if let Some(top) = stack.last_mut() {
                    top.text.push_str(&text.xml10_content());
                }
            }
            Event::CData(text) => {
                if let Some(top) = stack.last_mut() {
                    top.text.push_str(&text.xml10_content());
                }
            }
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref().map_err(|e| malformed(&e.to_string()))? {
                    Some(char) => char,
                    None => match &*reference.xml10_content() {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "quot" => '"',
                        "apos" => '\'',
                        other => return Err(malformed(&format!("undefined entity {other}"))),
                    },
                };
                if let Some(top) = stack.last_mut() {
                    top.text.push(resolved);
                }
            }
            Event::DocType(_) => return Err(malformed("document types are not accepted")),
            Event::Eof => break,
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) => {}
        }
    }
    let root = stack.pop().unwrap_or_default();
    if !stack.is_empty() {
        return Err(malformed("unexpected end of document"));
    }
    let envelope = root.children.into_iter().next().ok_or_else(|| malformed("no element found"))?;
    if envelope.name != "Envelope" || envelope.namespace != SOAP {
        return Err(Fault::invalid_request("Expecting SOAP envelope"));
    }
    let body = envelope.children.into_iter().find(|c| c.name == "Body" && c.namespace == SOAP);
    let body = body.ok_or_else(|| Fault::invalid_request("Expecting SOAP body"))?;
    let call = body.children.into_iter().next().ok_or_else(|| Fault::invalid_request("Empty SOAP body"))?;
    match call.namespace.as_str() {
        "urn:vim25" | "urn:internalvim25" => Ok(call),
        "" => Err(Fault::invalid_request(&format!(
            "Unable to resolve WSDL method name {} for namespace name ",
            call.name
        ))),
        other => {
            Err(Fault::invalid_request(&format!("Unsupported namespace \"{other}\" in content of SOAP body")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(inner: &str) -> Result<Node, Fault> {
        let text = format!(
            "<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"{SOAP}\" xmlns:xsi=\"{XSI}\"><s:Body>{inner}</s:Body></s:Envelope>"
        );
        parse(text.as_bytes())
    }

    #[test]
    fn reads_types_text_and_entities() {
        let node = call(
            "<Login xmlns=\"urn:vim25\"><_this type=\"SessionManager\">SessionManager</_this><userName>a&amp;b&#33;</userName></Login>",
        );
        let node = node.unwrap();
        assert_eq!(node.name, "Login");
        assert_eq!(node.child("_this").unwrap().type_name.as_deref(), Some("SessionManager"));
        assert_eq!(node.str("userName"), Some("a&b!"));
    }

    #[test]
    fn refuses_what_is_not_a_request() {
        assert!(parse(b"").is_err());
        assert!(parse(b"<a>").is_err());
        assert!(call("").is_err());
        assert!(call("<Login xmlns=\"urn:other\"/>").is_err());
        assert!(call("<Login xmlns=\"urn:vim2\"/>").is_err());
        assert!(call("<Login/>").is_err());
        assert!(call("<Login xmlns=\"urn:vim25\"><a></b></Login>").is_err());
        assert!(parse(b"<!DOCTYPE x [<!ENTITY a \"b\">]><x>&a;</x>").is_err());
    }
}
