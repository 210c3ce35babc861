//! The SOAP side of a vCenter: `/sdk`.

pub(crate) mod collector;
mod custom_fields;
mod events;
pub(crate) mod fault;
mod methods;
mod privileges;
mod properties;
pub(crate) mod request;
pub(crate) mod select;
mod service;
pub(crate) mod session;
mod shape;
mod tasks;
mod views;
mod wait;

use std::sync::Arc;

use crate::config::User;
use crate::guest::soap as guest;
use crate::net::{Reply, Request};
use crate::vcenter::Shared;
use crate::xml::{ENVELOPE_CLOSE, ENVELOPE_OPEN, Xml};

use self::fault::Fault;
use self::request::Node;

/// Who calls: a session that was found valid when the call came in.
pub(crate) struct Caller {
    pub(crate) secret: String,
    pub(crate) user: Arc<User>,
}

/// The answer of a method: what goes inside `<FooResponse>`.
pub(crate) type Answer = Result<String, Fault>;

/// The list of API versions: `GET /sdk/vimServiceVersions.xml`.
pub(crate) fn versions(shared: &Shared) -> Reply {
    let all = shared.config.version.api_versions();
    let mut xml = Xml::new();
    xml.raw("<?xml version=\"1.0\" encoding=\"UTF-8\" ?><namespaces version=\"1.0\"><namespace><name>urn:vim25</name>");
    xml.val("version", all[0]);
    xml.raw("<priorVersions>");
    for version in &all[1..] {
        xml.val("version", version);
    }
    xml.raw("</priorVersions></namespace></namespaces>\n");
    Reply::text(200, "text/xml", xml.into_string())
}

/// What a call is named in counters and fault rules, before anything was checked.
pub(crate) fn operation(parsed: &Result<Node, Fault>) -> String {
    match parsed {
        Ok(call) => call.name.clone(),
        Err(_) => "malformed request".to_owned(),
    }
}

/// Wraps a fault.
pub(crate) fn fault_reply(fault: &Fault) -> Reply {
    let mut xml = Xml::new();
    xml.raw(ENVELOPE_OPEN);
    fault.write(&mut xml);
    xml.raw(ENVELOPE_CLOSE);
    Reply::text(500, "text/xml; charset=utf-8", xml.into_string())
}

/// Answers `POST /sdk`.
pub(crate) async fn handle(shared: &Arc<Shared>, request: &Request, parsed: Result<Node, Fault>) -> Reply {
    let call = match parsed.and_then(|call| check_version(shared, request).map(|()| call)) {
        Ok(call) => call,
        Err(fault) => return fault_reply(&fault),
    };
    if let Err(fault) = shape::check(&call) {
        return fault_reply(&fault);
    }
    let mut cookie = None;
    let answer = match call.name.as_str() {
        "RetrieveServiceContent" => methods::service_content(shared, &call),
        "Login" => match methods::login(shared, request, &call) {
            Ok(methods::Login::Done { secret, answer }) => {
                cookie = Some(secret);
                Ok(answer)
            }
            Ok(methods::Login::Full) => {
                return Reply::text(503, "text/plain", "Service Unavailable".to_owned());
            }
            Err(fault) => Err(fault),
        },
        _ => with_session(shared, request, &call).await,
    };
    match answer {
        Ok(inner) => {
            let name = &call.name;
            let body = format!(
                "{ENVELOPE_OPEN}<{name}Response xmlns=\"urn:vim25\">{inner}</{name}Response>{ENVELOPE_CLOSE}"
            );
            let mut reply = Reply::text(200, "text/xml; charset=utf-8", body);
            if let Some(secret) = cookie {
                reply.header(
                    "set-cookie",
                    &format!("vmware_soap_session=\"{secret}\"; Path=/; HttpOnly; Secure"),
                );
            }
            reply
        }
        Err(fault) if fault.is_lost() => Reply::reset(),
        Err(fault) => fault_reply(&fault),
    }
}

/// A version that the server does not know is refused: an old vCenter cannot speak what a newer one taught the client.
fn check_version(shared: &Shared, request: &Request) -> Result<(), Fault> {
    let action = request.header("soapaction").unwrap_or_default().trim_matches('"').to_owned();
    let uri = action.as_str();
    match uri.strip_prefix("urn:vim25/") {
        Some(version) if shared.config.version.api_versions().contains(&version) => Ok(()),
        Some(_) => Err(Fault::invalid_request(&format!("Unsupported version URI \"{uri}\""))),
        // Without a version the oldest is meant; the internal namespaces belong to the oldest too.
        None if uri.is_empty() || uri == "urn:vim25" || uri.starts_with("urn:internalvim25") => Ok(()),
        None => Err(Fault::invalid_request(&format!("Unsupported namespace or version \"{uri}\""))),
    }
}

/// The secret in the session cookie.
pub(crate) fn session_cookie(request: &Request) -> Option<String> {
    let cookies = request.header("cookie")?;
    let pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs
        .filter(|(name, _)| *name == "vmware_soap_session")
        .map(|(_, v)| v.trim_matches('"').to_owned())
        .next_back()
}

/// Ends the use of a session when the call is over, also when the client hung up in the middle.
struct InUse {
    shared: Arc<Shared>,
    secret: String,
}

impl Drop for InUse {
    fn drop(&mut self) {
        self.shared.sessions().end(&self.secret);
    }
}

async fn with_session(shared: &Arc<Shared>, request: &Request, call: &Node) -> Answer {
    let this = &call.children[0];
    let this_type = this.type_name.clone().unwrap_or_default();
    let refused = || Fault::not_authenticated(&this_type, this.text.trim());
    let secret = session_cookie(request).ok_or_else(refused)?;
    let now = shared.world().now();
    let (user, over) = {
        let mut sessions = shared.sessions();
        let session = sessions.begin(&secret, false, now).ok_or_else(refused)?;
        (session.user.clone(), session.over.clone())
    };
    let _in_use = InUse { shared: Arc::clone(shared), secret: secret.clone() };
    let user = shared.user(&user).ok_or_else(refused)?;
    let caller = Caller { secret, user };
    match call.name.as_str() {
        "WaitForUpdatesEx" | "WaitForUpdates" | "CheckForUpdates" => {
            wait::wait(shared, &caller, call, over).await
        }
        "RetrievePropertiesEx" => properties::retrieve(shared, &caller, call),
        "RetrieveProperties" => properties::retrieve_all(shared, &caller, call),
        "ContinueRetrievePropertiesEx" => properties::continue_retrieve(shared, &caller, call),
        "CancelRetrievePropertiesEx" => properties::cancel_retrieve(shared, &caller, call),
        "Fetch" => properties::fetch(shared, &caller, call),
        "CreateFilter" => properties::create_filter(shared, &caller, call),
        "DestroyPropertyFilter" => properties::destroy_filter(shared, &caller, call),
        "CreatePropertyCollector" => properties::create_collector(shared, &caller),
        "DestroyPropertyCollector" => properties::destroy_collector(shared, &caller, call),
        "CancelWaitForUpdates" => wait::cancel(shared, &caller, call),
        "CreateCollectorForEvents" => events::create_collector(shared, &caller, call),
        "ReadNextEvents" => events::read(shared, &caller, call, true),
        "ReadPreviousEvents" => events::read(shared, &caller, call, false),
        "RewindCollector" => events::rewind(shared, &caller, call, false),
        "ResetCollector" => events::rewind(shared, &caller, call, true),
        "SetCollectorPageSize" => events::page_size(shared, &caller, call),
        "DestroyCollector" => events::destroy(shared, &caller, call),
        "QueryEvents" => events::query(shared, &caller, call),
        "AddCustomFieldDef" => custom_fields::define(shared, &caller, call),
        "SetField" => custom_fields::set(shared, &caller, call),
        "HasPrivilegeOnEntities" | "HasPrivilegeOnEntity" => privileges::of_session(shared, &caller, call),
        "HasUserPrivilegeOnEntities" => privileges::of_user(shared, &caller, call),
        "FetchUserPrivilegeOnEntities" => privileges::all_of_user(shared, &caller, call),
        "ValidateCredentialsInGuest" => guest::validate(shared, &caller, call),
        "StartProgramInGuest" => guest::start(shared, &caller, call),
        "ListProcessesInGuest" => guest::list(shared, &caller, call),
        "TerminateProcessInGuest" => guest::terminate(shared, &caller, call),
        "CreateTemporaryDirectoryInGuest" => guest::make_directory(shared, &caller, call),
        "MakeDirectoryInGuest" => guest::make_named_directory(shared, &caller, call),
        "DeleteDirectoryInGuest" => guest::delete_directory(shared, &caller, call),
        "DeleteFileInGuest" => guest::delete_file(shared, &caller, call),
        "ListFilesInGuest" => guest::list_files(shared, &caller, call),
        "InitiateFileTransferToGuest" => guest::upload(shared, &caller, call),
        "InitiateFileTransferFromGuest" => guest::download(shared, &caller, call),
        "CreateSnapshot_Task" | "CreateSnapshotEx_Task" => tasks::create(shared, &caller, call),
        "RemoveSnapshot_Task" => tasks::remove(shared, &caller, call),
        "RemoveAllSnapshots_Task" => tasks::remove_all(shared, &caller, call),
        "RevertToSnapshot_Task" => tasks::revert(shared, &caller, call),
        "RevertToCurrentSnapshot_Task" => tasks::revert_to_current(shared, &caller, call),
        "ConsolidateVMDisks_Task" => tasks::consolidate(shared, &caller, call),
        "PowerOnVM_Task" => tasks::power_on(shared, &caller, call),
        "PowerOffVM_Task" => tasks::power_off(shared, &caller, call),
        "CancelTask" => tasks::cancel(shared, &caller, call),
        "CreateListView" => views::create(shared, &caller, call),
        "ModifyListView" => views::modify(shared, &caller, call),
        "ResetListView" => views::reset(shared, &caller, call),
        "DestroyView" => views::destroy(shared, &caller, call),
        _ => methods::other(shared, &caller, call),
    }
}
