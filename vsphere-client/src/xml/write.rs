//! Writing requests. They are small, so a string is enough; every value passes through escaping here and nowhere else.

use quick_xml::escape::escape;

use crate::ids::MoRef;

/// One element being written.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    name: &'static str,
    xml: String,
}

impl Element {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, xml: format!("<{name}>") }
    }

    /// An element that says its type, as polymorphic ones must.
    pub(crate) fn typed(name: &'static str, xsi_type: &str) -> Self {
        Self { name, xml: format!("<{name} xsi:type=\"{}\">", escape(xsi_type)) }
    }

    pub(crate) fn text(mut self, name: &str, value: impl std::fmt::Display) -> Self {
        self.xml.push_str(&format!("<{name}>{}</{name}>", escape(value.to_string())));
        self
    }

    pub(crate) fn moref(mut self, name: &str, object: &MoRef) -> Self {
        let (kind, value) = (escape(object.kind()), escape(object.value()));
        self.xml.push_str(&format!("<{name} type=\"{kind}\">{value}</{name}>"));
        self
    }

    pub(crate) fn child(mut self, child: Element) -> Self {
        self.xml.push_str(&child.into_xml());
        self
    }

    pub(crate) fn each<T>(
        self,
        items: impl IntoIterator<Item = T>,
        add: impl FnMut(Self, T) -> Self,
    ) -> Self {
        items.into_iter().fold(self, add)
    }

    /// The element in a namespace of its own, which all elements inside are in too.
    pub(crate) fn in_namespace(mut self, namespace: &str) -> Self {
        let after_name = 1 + self.name.len();
        self.xml.insert_str(after_name, &format!(" xmlns=\"{}\"", escape(namespace)));
        self
    }

    pub(crate) fn into_xml(mut self) -> String {
        self.xml.push_str("</");
        self.xml.push_str(self.name);
        self.xml.push('>');
        self.xml
    }
}
