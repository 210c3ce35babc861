//! Properties of what is not inventory: the service itself, sessions, views and event collectors.

use crate::config::{Release, User};
use crate::props;
use crate::vcenter::Shared;
use crate::world::World;
use crate::world::events::Event;
use crate::xml::Xml;

use super::select::{Target, members};
use super::session::{HistoryCollector, Session, View};

/// Whoever reads: the inventory as it is now, and on whose behalf.
pub(crate) struct Reader<'a> {
    pub(crate) world: &'a World,
    pub(crate) user: &'a User,
    pub(crate) shared: &'a Shared,
    /// The session's secret.
    pub(crate) secret: &'a str,
}

/// Writes the value of a property of anything; false when it is unset.
pub(crate) fn write_value(
    reader: &Reader<'_>,
    target: &Target,
    path: &str,
    tag: &str,
    xml: &mut Xml,
) -> bool {
    match target {
        Target::Object(id) => props::write(reader.world, *id, path, tag, xml),
        Target::Service(type_name, value) => write_service(reader, type_name, value, path, tag, xml),
    }
}

fn write_service(
    reader: &Reader<'_>,
    type_name: &str,
    value: &str,
    path: &str,
    tag: &str,
    xml: &mut Xml,
) -> bool {
    match (type_name, path) {
        ("ServiceInstance", "content") => {
            xml.open_typed(tag, "ServiceContent");
            service_content(reader.shared.config.version, reader.world, xml);
            xml.close(tag);
        }
        ("ServiceInstance", "serverClock") => xml.typed_val(tag, "xsd:dateTime", reader.world.now()),
        ("SessionManager", "currentSession") => {
            let mut sessions = reader.shared.sessions();
            let Some(session) = sessions.get_mut(reader.secret) else { return false };
            xml.open_typed(tag, "UserSession");
            user_session(session, xml);
            xml.close(tag);
        }
        ("SessionManager", "sessionList") => {
            xml.open_typed(tag, "ArrayOfUserSession");
            for session in reader.shared.sessions().all() {
                xml.open_typed("UserSession", "UserSession");
                user_session(session, xml);
                xml.close("UserSession");
            }
            xml.close(tag);
        }
        ("SessionManager", "defaultLocale") => xml.typed_val(tag, "xsd:string", "en"),
        ("EventManager", "maxCollector") => xml.typed_val(tag, "xsd:int", 1000),
        ("EventManager", "latestEvent") => match reader.world.events.iter().next_back() {
            Some(event) => write_event(event, tag, xml),
            None => return false,
        },
        ("EventHistoryCollector", "latestPage") => {
            let history =
                reader.shared.sessions().get_mut(reader.secret).and_then(|s| s.histories.get(value).cloned());
            let Some(history) = history else { return false };
            xml.open_typed(tag, "ArrayOfEvent");
            for event in latest_page(reader.world, &history) {
                write_event(event, "Event", xml);
            }
            xml.close(tag);
        }
        ("GuestOperationsManager", "authManager") => {
            xml.typed_ref(tag, "GuestAuthManager", "guestOperationsAuthManager");
        }
        ("GuestOperationsManager", "fileManager") => {
            xml.typed_ref(tag, "GuestFileManager", "guestOperationsFileManager");
        }
        ("GuestOperationsManager", "processManager") => {
            xml.typed_ref(tag, "GuestProcessManager", "guestOperationsProcessManager");
        }
        ("PropertyCollector", "filter") => {
            xml.open_typed(tag, "ArrayOfManagedObjectReference");
            xml.close(tag);
        }
        _ => return false,
    }
    true
}

/// The newest events that match, newest first (vCenter promises no order).
pub(crate) fn latest_page<'a>(
    world: &'a World,
    history: &'a HistoryCollector,
) -> impl Iterator<Item = &'a Event> {
    let matching = world.events.iter().rev().filter(|e| history.filter.matches(e, world.root));
    matching.take(history.page)
}

/// Properties of a view, for clients that read it instead of traversing it.
pub(crate) fn write_view(reader: &Reader<'_>, view: &View, path: &str, tag: &str, xml: &mut Xml) -> bool {
    match path {
        "view" => xml.moref_array(tag, members(reader.world, reader.user, view)),
        "container" => xml.moref_val(tag, view.container),
        "recursive" => xml.typed_val(tag, "xsd:boolean", view.recursive),
        "type" => {
            xml.open_typed(tag, "ArrayOfString");
            for name in &view.types {
                xml.typed_text("string", "xsd:string", name);
            }
            xml.close(tag);
        }
        _ => return false,
    }
    true
}

/// The members of `UserSession`.
pub(crate) fn user_session(session: &Session, xml: &mut Xml) {
    xml.text("key", &session.key);
    xml.text("userName", &session.user);
    xml.text("fullName", &session.user);
    xml.val("loginTime", session.login);
    xml.val("lastActiveTime", session.last);
    xml.val("locale", "en");
    xml.val("messageLocale", "en");
    xml.val("extensionSession", false);
    xml.val("ipAddress", "127.0.0.1");
    xml.text("userAgent", &session.agent);
    xml.val("callCount", session.calls);
}

/// The members of `AboutInfo`.
fn about(version: Release, world: &World, xml: &mut Xml) {
    xml.val("name", "VMware vCenter Server");
    xml.val(
        "fullName",
        format_args!("VMware vCenter Server {} build-{}", version.version(), version.build()),
    );
    xml.val("vendor", "VMware, Inc.");
    xml.val("version", version.version());
    xml.val("patchLevel", "00000");
    xml.val("build", version.build());
    xml.val("localeVersion", "INTL");
    xml.val("localeBuild", "000");
    xml.val("osType", "linux-x64");
    xml.val("productLineId", "vpx");
    xml.val("apiType", "VirtualCenter");
    xml.val("apiVersion", version.api_versions()[0]);
    xml.val("instanceUuid", world.instance_uuid);
    xml.val("licenseProductName", "VMware VirtualCenter Server");
    xml.val("licenseProductVersion", &version.version()[..3]);
}

const MANAGERS: &[(&str, &str, &str)] = &[
    ("setting", "OptionManager", "VpxSettings"),
    ("userDirectory", "UserDirectory", "UserDirectory"),
    ("sessionManager", "SessionManager", "SessionManager"),
    ("authorizationManager", "AuthorizationManager", "AuthorizationManager"),
    ("serviceManager", "ServiceManager", "ServiceMgr"),
    ("perfManager", "PerformanceManager", "PerfMgr"),
    ("scheduledTaskManager", "ScheduledTaskManager", "ScheduledTaskManager"),
    ("alarmManager", "AlarmManager", "AlarmManager"),
    ("eventManager", "EventManager", "EventManager"),
    ("taskManager", "TaskManager", "TaskManager"),
    ("extensionManager", "ExtensionManager", "ExtensionManager"),
    ("customFieldsManager", "CustomFieldsManager", "CustomFieldsManager"),
    ("searchIndex", "SearchIndex", "SearchIndex"),
    ("fileManager", "FileManager", "FileManager"),
    ("virtualDiskManager", "VirtualDiskManager", "virtualDiskManager"),
    ("guestOperationsManager", "GuestOperationsManager", "guestOperationsManager"),
];

/// The members of `ServiceContent`.
pub(crate) fn service_content(version: Release, world: &World, xml: &mut Xml) {
    xml.moref("rootFolder", world.root);
    xml.named_ref("propertyCollector", "PropertyCollector", "propertyCollector");
    xml.named_ref("viewManager", "ViewManager", "ViewManager");
    xml.open("about");
    about(version, world, xml);
    xml.close("about");
    for (tag, type_name, value) in MANAGERS {
        xml.named_ref(tag, type_name, value);
    }
}

/// One event, as an element of its own type.
pub(crate) fn write_event(event: &Event, tag: &str, xml: &mut Xml) {
    xml.open_typed(tag, event.class);
    xml.val("key", event.key);
    xml.val("chainId", event.key);
    xml.val("createdTime", event.created);
    xml.text("userName", &event.user);
    for (id, name, outer) in [
        (&event.datacenter, "datacenter", "datacenter"),
        (&event.host, "host", "host"),
        (&event.vm, "vm", "vm"),
    ]
    .map(|(entity, name, outer)| (entity.as_ref(), name, outer))
    {
        if let Some((id, entity_name)) = id {
            xml.open(outer);
            xml.text("name", entity_name);
            xml.moref(name, *id);
            xml.close(outer);
        }
    }
    xml.text("fullFormattedMessage", &event.message);
    xml.raw(&event.extra);
    if let Some(type_id) = event.event_type_id {
        xml.val("eventTypeId", type_id);
        xml.val("severity", "info");
        xml.text("message", "");
        for (key, value) in &event.arguments {
            xml.open("arguments");
            xml.text("key", key);
            xml.typed_text("value", "xsd:string", value);
            xml.close("arguments");
        }
        // Tag events name their object in the arguments only.
        xml.text("objectId", "");
    }
    xml.close(tag);
}
