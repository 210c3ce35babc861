//! SOAP faults in the shape that vCenter gives them.

use crate::world::ObjId;
use crate::xml::Xml;

/// A fault: becomes an HTTP 500 with a SOAP body.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    /// The WSDL type, without the `Fault` that the detail element's name ends in.
    pub(crate) name: String,
    /// What `faultstring` says.
    pub(crate) message: String,
    /// The members of the fault object, as XML.
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(name: &str, message: &str) -> Self {
        Self { name: name.to_owned(), message: message.to_owned(), detail: String::new() }
    }

    /// The same with these members.
    pub(crate) fn with(mut self, write: impl FnOnce(&mut Xml)) -> Self {
        let mut xml = Xml::new();
        write(&mut xml);
        self.detail = xml.into_string();
        self
    }

    pub(crate) fn not_authenticated(type_name: &str, value: &str) -> Self {
        Self::new("NotAuthenticated", "The session is not authenticated.").with(|xml| {
            xml.named_ref("object", type_name, value);
            xml.val("privilegeId", "System.View");
        })
    }

    pub(crate) fn invalid_login() -> Self {
        Self::new("InvalidLogin", "Cannot complete login due to an incorrect user name or password.")
    }

    pub(crate) fn no_such_object(type_name: &str, value: &str) -> Self {
        let message = format!(
            "The object 'vim.{type_name}:{value}' has already been deleted or has not been completely created"
        );
        Self::new("ManagedObjectNotFound", &message).with(|xml| xml.named_ref("obj", type_name, value))
    }

    pub(crate) fn no_permission(id: ObjId, privilege: &str) -> Self {
        Self::new("NoPermission", "Permission to perform this operation was denied.").with(|xml| {
            xml.moref("object", id);
            xml.val("privilegeId", privilege);
        })
    }

    pub(crate) fn no_permission_on(type_name: &str, value: &str, privilege: &str) -> Self {
        Self::new("NoPermission", "Permission to perform this operation was denied.").with(|xml| {
            xml.named_ref("object", type_name, value);
            xml.val("privilegeId", privilege);
        })
    }

    pub(crate) fn invalid_property(name: &str) -> Self {
        Self::new("InvalidProperty", "").with(|xml| xml.text("name", name))
    }

    pub(crate) fn invalid_argument(name: &str) -> Self {
        let message = format!("A specified parameter was not correct: {name}");
        Self::new("InvalidArgument", &message).with(|xml| xml.text("invalidProperty", name))
    }

    pub(crate) fn duplicate_name(name: &str, type_name: &str, value: &str) -> Self {
        Self::new("DuplicateName", &format!("The name '{name}' already exists.")).with(|xml| {
            xml.text("name", name);
            xml.named_ref("object", type_name, value);
        })
    }

    pub(crate) fn invalid_type(name: &str) -> Self {
        Self::new("InvalidType", "").with(|xml| xml.text("argument", name))
    }

    pub(crate) fn invalid_collector_version() -> Self {
        Self::new("InvalidCollectorVersion", "")
    }

    pub(crate) fn request_canceled() -> Self {
        Self::new("RequestCanceled", "The task was canceled by a user.")
    }

    /// No fault at all: the connection breaks in place of an answer.
    pub(crate) fn lost() -> Self {
        Self::new("", "")
    }

    /// Whether the connection is to break.
    pub(crate) fn is_lost(&self) -> bool {
        self.name.is_empty()
    }

    /// The request could not be understood; `why` is what vCenter puts in front of its account of where.
    pub(crate) fn invalid_request(why: &str) -> Self {
        let message = format!(
            "{why}\n\nwhile parsing SOAP body\nat line 1, column 0\n\nwhile parsing SOAP envelope\nat line 1, column 0"
        );
        Self::new("InvalidRequest", &message)
    }

    /// The fault as the child of `soapenv:Body`.
    pub(crate) fn write(&self, xml: &mut Xml) {
        xml.raw("<soapenv:Fault><faultcode>ServerFaultCode</faultcode>");
        xml.text("faultstring", &self.message);
        xml.raw("<detail>");
        xml.raw(&format!("<{0}Fault xmlns=\"urn:vim25\" xsi:type=\"{0}\">", self.name));
        xml.raw(&self.detail);
        xml.raw(&format!("</{}Fault></detail></soapenv:Fault>", self.name));
    }

    /// The fault as a `LocalizedMethodFault`, for `missingSet`.
    pub(crate) fn write_localized(&self, tag: &str, xml: &mut Xml) {
        xml.open(tag);
        self.write_members(xml);
        xml.close(tag);
    }

    /// The members of a `LocalizedMethodFault`.
    pub(crate) fn write_members(&self, xml: &mut Xml) {
        xml.open_typed("fault", &self.name);
        xml.raw(&self.detail);
        xml.close("fault");
        xml.text("localizedMessage", &self.message);
    }
}
