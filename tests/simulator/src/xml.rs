//! Writing XML as vCenter does: no white space between elements, text escaped, types by `xsi:type`.

use std::fmt::{Display, Write as _};

use crate::world::ObjId;

/// The start of every SOAP answer, byte for byte as recorded from vCenter 8.0.3.
pub(crate) const ENVELOPE_OPEN: &str = concat!(
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
    "<soapenv:Envelope xmlns:soapenc=\"http://schemas.xmlsoap.org/soap/encoding/\"\n",
    " xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\"\n",
    " xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\"\n",
    " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">\n",
    "<soapenv:Body>\n"
);

/// The end of every SOAP answer.
pub(crate) const ENVELOPE_CLOSE: &str = "\n</soapenv:Body>\n</soapenv:Envelope>";

/// A growing XML text.
#[derive(Debug, Default)]
pub(crate) struct Xml {
    buf: String,
}

impl Xml {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn into_string(self) -> String {
        self.buf
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.buf
    }

    pub(crate) fn len(&self) -> usize {
        self.buf.len()
    }

    /// Forgets what was written after `len`: an element that turned out to be unset.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.buf.truncate(len);
    }

    /// Appends finished XML.
    pub(crate) fn raw(&mut self, xml: &str) {
        self.buf.push_str(xml);
    }

    pub(crate) fn open(&mut self, tag: &str) {
        self.buf.push('<');
        self.buf.push_str(tag);
        self.buf.push('>');
    }

    pub(crate) fn open_typed(&mut self, tag: &str, xsi_type: &str) {
        self.buf.push('<');
        self.buf.push_str(tag);
        self.buf.push_str(" xsi:type=\"");
        self.buf.push_str(xsi_type);
        self.buf.push_str("\">");
    }

    pub(crate) fn close(&mut self, tag: &str) {
        self.buf.push_str("</");
        self.buf.push_str(tag);
        self.buf.push('>');
    }

    /// An element with escaped text.
    pub(crate) fn text(&mut self, tag: &str, text: &str) {
        self.open(tag);
        self.escaped(text);
        self.close(tag);
    }

    /// An element with escaped text when there is one.
    pub(crate) fn opt(&mut self, tag: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(tag, text);
        }
    }

    /// An element whose text needs no escape: numbers, booleans, times, uuids.
    pub(crate) fn val(&mut self, tag: &str, value: impl Display) {
        self.open(tag);
        // Writing to a String cannot fail.
        let _ = write!(self.buf, "{value}");
        self.close(tag);
    }

    /// A typed element whose text needs no escape.
    pub(crate) fn typed_val(&mut self, tag: &str, xsi_type: &str, value: impl Display) {
        self.open_typed(tag, xsi_type);
        let _ = write!(self.buf, "{value}");
        self.close(tag);
    }

    /// A typed element with escaped text.
    pub(crate) fn typed_text(&mut self, tag: &str, xsi_type: &str, text: &str) {
        self.open_typed(tag, xsi_type);
        self.escaped(text);
        self.close(tag);
    }

    /// `<tag type="HostSystem">host-16</tag>`
    pub(crate) fn moref(&mut self, tag: &str, id: ObjId) {
        let _ = write!(self.buf, "<{tag} type=\"{}\">{id}</{tag}>", id.kind.type_name());
    }

    /// A reference as a property value: `<val type="HostSystem" xsi:type="ManagedObjectReference">host-16</val>`
    pub(crate) fn moref_val(&mut self, tag: &str, id: ObjId) {
        let _ = write!(
            self.buf,
            "<{tag} type=\"{}\" xsi:type=\"ManagedObjectReference\">{id}</{tag}>",
            id.kind.type_name()
        );
    }

    /// A list of references as a property value.
    pub(crate) fn moref_array(&mut self, tag: &str, ids: impl IntoIterator<Item = ObjId>) {
        self.open_typed(tag, "ArrayOfManagedObjectReference");
        for id in ids {
            self.moref_val("ManagedObjectReference", id);
        }
        self.close(tag);
    }

    /// A reference to an object that lives outside the inventory (views, collectors, managers).
    pub(crate) fn typed_ref(&mut self, tag: &str, type_name: &str, value: &str) {
        self.raw(&format!("<{tag} type=\"{type_name}\" xsi:type=\"ManagedObjectReference\">{value}</{tag}>"));
    }

    pub(crate) fn named_ref(&mut self, tag: &str, type_name: &str, value: &str) {
        let _ = write!(self.buf, "<{tag} type=\"{type_name}\">");
        self.escaped(value);
        self.close(tag);
    }

    pub(crate) fn escaped(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'', '\r']) {
            self.buf.push_str(&rest[..at]);
            self.buf.push_str(match rest.as_bytes()[at] {
                b'&' => "&amp;",
                b'<' => "&lt;",
                b'>' => "&gt;",
                b'"' => "&quot;",
                b'\'' => "&apos;",
                _ => "&#13;",
            });
            rest = &rest[at + 1..];
        }
        self.buf.push_str(rest);
    }
}
