//! What each request must look like: which elements, of which type, in which order, and which of them are required.
//! vCenter's deserialiser takes the order of the WSDL seriously, so a client that gets it wrong should learn it here.

use super::fault::Fault;
use super::request::Node;

/// How often an element may occur.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Times {
    One,
    Optional,
    Any,
    Some,
}

/// What is inside an element.
#[derive(Clone, Copy)]
enum Of {
    Text,
    Int,
    Bool,
    Time,
    Ref,
    Object(&'static str),
}

type Field = (&'static str, Times, Of);

use Of::{Bool, Int, Object, Ref, Text, Time};
use Times::{Any, One, Optional};

/// What every call of guest operations begins with.
const VM: Field = ("vm", One, Ref);
const AUTH: Field = ("auth", One, Object("GuestAuthentication"));
const IN_GUEST: &[Field] = &[VM, AUTH];
/// What both ways to take a snapshot begin with.
const NAME: Field = ("name", One, Text);
const DESCRIPTION: Field = ("description", Optional, Text);
const MEMORY: Field = ("memory", One, Bool);
const HOST: Field = ("host", Optional, Ref);
const SUPPRESS: Field = ("suppressPowerOn", Optional, Bool);

/// The members of a data object.
fn members(type_name: &str) -> &'static [Field] {
    match type_name {
        "PropertyFilterSpec" => &[
            ("propSet", Times::Some, Object("PropertySpec")),
            ("objectSet", Times::Some, Object("ObjectSpec")),
            ("reportMissingObjectsInResults", Optional, Bool),
        ],
        "PropertySpec" => &[("type", One, Text), ("all", Optional, Bool), ("pathSet", Any, Text)],
        "ObjectSpec" => {
            &[("obj", One, Ref), ("skip", Optional, Bool), ("selectSet", Any, Object("SelectionSpec"))]
        }
        "PrivilegePolicyDef" => &[
            ("createPrivilege", One, Text),
            ("readPrivilege", One, Text),
            ("updatePrivilege", One, Text),
            ("deletePrivilege", One, Text),
        ],
        "SelectionSpec" => &[("name", Optional, Text)],
        "TraversalSpec" => &[
            ("name", Optional, Text),
            ("type", One, Text),
            ("path", One, Text),
            ("skip", Optional, Bool),
            ("selectSet", Any, Object("SelectionSpec")),
        ],
        "NamePasswordAuthentication" => {
            &[("interactiveSession", One, Bool), ("username", One, Text), ("password", One, Text)]
        }
        "GuestProgramSpec" => &[
            ("programPath", One, Text),
            ("arguments", One, Text),
            ("workingDirectory", Optional, Text),
            ("envVariables", Any, Text),
        ],
        "GuestPosixFileAttributes" => &[
            ("modificationTime", Optional, Time),
            ("accessTime", Optional, Time),
            ("symlinkTarget", Optional, Text),
            ("ownerId", Optional, Int),
            ("groupId", Optional, Int),
            ("permissions", Optional, Int),
        ],
        "GuestWindowsFileAttributes" => &[
            ("modificationTime", Optional, Time),
            ("accessTime", Optional, Time),
            ("symlinkTarget", Optional, Text),
            ("hidden", Optional, Bool),
            ("readOnly", Optional, Bool),
            ("createTime", Optional, Time),
        ],
        "VirtualMachineGuestQuiesceSpec" => &[("timeout", Optional, Int)],
        "VirtualMachineWindowsQuiesceSpec" => &[
            ("timeout", Optional, Int),
            ("vssBackupType", Optional, Int),
            ("vssBootableSystemState", Optional, Bool),
            ("vssPartialFileSupport", Optional, Bool),
            ("vssBackupContext", Optional, Text),
        ],
        "SnapshotSelectionSpec" => &[("retentionDays", Optional, Int)],
        "RetrieveOptions" => &[("maxObjects", Optional, Int)],
        "WaitOptions" => &[("maxWaitSeconds", Optional, Int), ("maxObjectUpdates", Optional, Int)],
        "EventFilterSpec" => &[
            ("entity", Optional, Object("EventFilterSpecByEntity")),
            ("time", Optional, Object("EventFilterSpecByTime")),
            ("userName", Optional, Object("EventFilterSpecByUsername")),
            ("eventChainId", Optional, Int),
            ("alarm", Optional, Ref),
            ("scheduledTask", Optional, Ref),
            ("disableFullMessage", Optional, Bool),
            ("category", Any, Text),
            ("type", Any, Text),
            ("tag", Any, Text),
            ("eventTypeId", Any, Text),
            ("maxCount", Optional, Int),
            ("delayedInit", Optional, Bool),
        ],
        "EventFilterSpecByEntity" => &[("entity", One, Ref), ("recursion", One, Text)],
        "EventFilterSpecByTime" => &[("beginTime", Optional, Time), ("endTime", Optional, Time)],
        "EventFilterSpecByUsername" => &[("systemUser", One, Bool), ("userList", Any, Text)],
        _ => &[],
    }
}

/// Type of `_this` and the parameters of a method; `None`: no such method.
fn method(name: &str) -> Option<(&'static str, &'static [Field])> {
    let spec: &'static [Field] = &[("specSet", Times::Some, Object("PropertyFilterSpec"))];
    Some(match name {
        "RetrieveServiceContent" => ("ServiceInstance", &[]),
        "CurrentTime" => ("ServiceInstance", &[]),
        "Login" => (
            "SessionManager",
            &[("userName", One, Text), ("password", One, Text), ("locale", Optional, Text)],
        ),
        "Logout" => ("SessionManager", &[]),
        "SessionIsActive" => ("SessionManager", &[("sessionID", One, Text), ("userName", One, Text)]),
        "TerminateSession" => ("SessionManager", &[("sessionId", Times::Some, Text)]),
        "CreateContainerView" => {
            ("ViewManager", &[("container", One, Ref), ("type", Any, Text), ("recursive", One, Bool)])
        }
        "DestroyView" => ("View", &[]),
        "CreateListView" => ("ViewManager", &[("obj", Any, Ref)]),
        "ModifyListView" => ("ListView", &[("add", Any, Ref), ("remove", Any, Ref)]),
        "ResetListView" => ("ListView", &[("obj", Any, Ref)]),
        "CreateSnapshot_Task" => ("VirtualMachine", &[NAME, DESCRIPTION, MEMORY, ("quiesce", One, Bool)]),
        "CreateSnapshotEx_Task" => (
            "VirtualMachine",
            &[NAME, DESCRIPTION, MEMORY, ("quiesceSpec", Optional, Object("VirtualMachineGuestQuiesceSpec"))],
        ),
        "RemoveSnapshot_Task" => {
            ("VirtualMachineSnapshot", &[("removeChildren", One, Bool), ("consolidate", Optional, Bool)])
        }
        "RemoveAllSnapshots_Task" => (
            "VirtualMachine",
            &[("consolidate", Optional, Bool), ("spec", Optional, Object("SnapshotSelectionSpec"))],
        ),
        "RevertToSnapshot_Task" => ("VirtualMachineSnapshot", &[HOST, SUPPRESS]),
        "RevertToCurrentSnapshot_Task" => ("VirtualMachine", &[HOST, SUPPRESS]),
        "ConsolidateVMDisks_Task" | "PowerOffVM_Task" => ("VirtualMachine", &[]),
        "PowerOnVM_Task" => ("VirtualMachine", &[HOST]),
        "CancelTask" => ("Task", &[]),
        "CreatePropertyCollector" | "DestroyPropertyCollector" => ("PropertyCollector", &[]),
        "RetrievePropertiesEx" => (
            "PropertyCollector",
            &[
                ("specSet", Times::Some, Object("PropertyFilterSpec")),
                ("options", One, Object("RetrieveOptions")),
            ],
        ),
        "RetrieveProperties" => ("PropertyCollector", spec),
        "ContinueRetrievePropertiesEx" | "CancelRetrievePropertiesEx" => {
            ("PropertyCollector", &[("token", One, Text)])
        }
        "CreateFilter" => (
            "PropertyCollector",
            &[("spec", One, Object("PropertyFilterSpec")), ("partialUpdates", One, Bool)],
        ),
        "DestroyPropertyFilter" => ("PropertyFilter", &[]),
        "WaitForUpdatesEx" => (
            "PropertyCollector",
            &[("version", Optional, Text), ("options", Optional, Object("WaitOptions"))],
        ),
        "WaitForUpdates" | "CheckForUpdates" => ("PropertyCollector", &[("version", Optional, Text)]),
        "CancelWaitForUpdates" => ("PropertyCollector", &[]),
        "Fetch" => ("", &[("prop", One, Text)]),
        "HasPrivilegeOnEntities" => (
            "AuthorizationManager",
            &[("entity", Times::Some, Ref), ("sessionId", One, Text), ("privId", Any, Text)],
        ),
        "HasPrivilegeOnEntity" => {
            ("AuthorizationManager", &[("entity", One, Ref), ("sessionId", One, Text), ("privId", Any, Text)])
        }
        "HasUserPrivilegeOnEntities" => (
            "AuthorizationManager",
            &[("entities", Times::Some, Ref), ("userName", One, Text), ("privId", Any, Text)],
        ),
        "FetchUserPrivilegeOnEntities" => {
            ("AuthorizationManager", &[("entities", Times::Some, Ref), ("userName", One, Text)])
        }
        "CreateCollectorForEvents" | "QueryEvents" => {
            ("EventManager", &[("filter", One, Object("EventFilterSpec"))])
        }
        "AddCustomFieldDef" => (
            "CustomFieldsManager",
            &[
                ("name", One, Text),
                ("moType", Optional, Text),
                ("fieldDefPolicy", Optional, Object("PrivilegePolicyDef")),
                ("fieldPolicy", Optional, Object("PrivilegePolicyDef")),
            ],
        ),
        "SetField" => {
            ("CustomFieldsManager", &[("entity", One, Ref), ("key", One, Int), ("value", One, Text)])
        }
        "ValidateCredentialsInGuest" => ("GuestAuthManager", IN_GUEST),
        "StartProgramInGuest" => {
            ("GuestProcessManager", &[VM, AUTH, ("spec", One, Object("GuestProgramSpec"))])
        }
        "ListProcessesInGuest" => ("GuestProcessManager", &[VM, AUTH, ("pids", Any, Int)]),
        "TerminateProcessInGuest" => ("GuestProcessManager", &[VM, AUTH, ("pid", One, Int)]),
        "CreateTemporaryDirectoryInGuest" => (
            "GuestFileManager",
            &[VM, AUTH, ("prefix", One, Text), ("suffix", One, Text), ("directoryPath", Optional, Text)],
        ),
        "MakeDirectoryInGuest" => (
            "GuestFileManager",
            &[VM, AUTH, ("directoryPath", One, Text), ("createParentDirectories", One, Bool)],
        ),
        "DeleteDirectoryInGuest" => {
            ("GuestFileManager", &[VM, AUTH, ("directoryPath", One, Text), ("recursive", One, Bool)])
        }
        "DeleteFileInGuest" => ("GuestFileManager", &[VM, AUTH, ("filePath", One, Text)]),
        "ListFilesInGuest" => (
            "GuestFileManager",
            &[
                VM,
                AUTH,
                ("filePath", One, Text),
                ("index", Optional, Int),
                ("maxResults", Optional, Int),
                ("matchPattern", Optional, Text),
            ],
        ),
        "InitiateFileTransferToGuest" => (
            "GuestFileManager",
            &[
                VM,
                AUTH,
                ("guestFilePath", One, Text),
                ("fileAttributes", One, Object("GuestFileAttributes")),
                ("fileSize", One, Int),
                ("overwrite", One, Bool),
            ],
        ),
        "InitiateFileTransferFromGuest" => ("GuestFileManager", &[VM, AUTH, ("guestFilePath", One, Text)]),
        "ReadNextEvents" | "ReadPreviousEvents" => ("EventHistoryCollector", &[("maxCount", One, Int)]),
        "SetCollectorPageSize" => ("HistoryCollector", &[("maxCount", One, Int)]),
        "RewindCollector" | "ResetCollector" | "DestroyCollector" => ("HistoryCollector", &[]),
        _ => return None,
    })
}

/// Types that a method declared on a base type may be called on.
fn is_of(actual: &str, declared: &str) -> bool {
    actual == declared
        || declared.is_empty()
        || matches!(
            (declared, actual),
            ("View", "ContainerView" | "ListView") | ("HistoryCollector", "EventHistoryCollector")
        )
}

/// Checks a whole request against the WSDL.
pub(crate) fn check(call: &Node) -> Result<(), Fault> {
    let Some((this_type, parameters)) = method(&call.name) else {
        return Err(Fault::invalid_request(&format!("Unable to resolve WSDL method name {}", call.name)));
    };
    let this = match call.children.first() {
        Some(this) if this.name == "_this" => this,
        _ => {
            return Err(Fault::invalid_request(&format!(
                "Required parameter _this is missing from {}",
                call.name
            )));
        }
    };
    let actual = this.type_name.as_deref().unwrap_or_default();
    if !is_of(actual, this_type) {
        let why = format!("Unable to resolve WSDL method name {} for type {actual}", call.name);
        return Err(Fault::invalid_request(&why));
    }
    sequence(&call.children[1..], parameters, &call.name)
}

fn sequence(nodes: &[Node], fields: &[Field], owner: &str) -> Result<(), Fault> {
    let mut rest = nodes;
    for (name, times, of) in fields {
        let count = rest.iter().take_while(|n| n.name == *name).count();
        match (times, count) {
            (Times::One | Times::Some, 0) => {
                let why = match rest.first() {
                    Some(found) if !fields.iter().any(|(f, _, _)| *f == found.name) => {
                        format!("Unexpected element tag \"{}\" seen", found.name)
                    }
                    _ => format!("Required property {name} is missing from data object of type {owner}"),
                };
                return Err(Fault::invalid_request(&why));
            }
            (Times::One | Times::Optional, 2..) => {
                return Err(Fault::invalid_request(&format!("Unexpected element tag \"{name}\" seen")));
            }
            _ => {}
        }
        for node in &rest[..count] {
            value(node, *of)?;
        }
        rest = &rest[count..];
    }
    match rest.first() {
        Some(extra) => {
            Err(Fault::invalid_request(&format!("Unexpected element tag \"{}\" seen", extra.name)))
        }
        None => Ok(()),
    }
}

fn value(node: &Node, of: Of) -> Result<(), Fault> {
    let text = node.text.trim();
    let bad =
        |what: &str| Fault::invalid_request(&format!("Illegal value \"{text}\" for {what} {}", node.name));
    match of {
        Text => {}
        Int => {
            text.parse::<i32>().map_err(|_| bad("int"))?;
        }
        Bool => {
            if !matches!(text, "true" | "false" | "1" | "0") {
                return Err(bad("boolean"));
            }
        }
        Time => {
            text.parse::<jiff::Timestamp>().map_err(|_| bad("dateTime"))?;
        }
        Ref => {
            if node.type_name.as_deref().unwrap_or_default().is_empty() || text.is_empty() {
                return Err(bad("ManagedObjectReference"));
            }
        }
        Object(declared) => {
            let actual = node.xsi_type.as_deref().unwrap_or(declared);
            let derived = matches!(
                (declared, actual),
                ("SelectionSpec", "TraversalSpec")
                    | ("VirtualMachineGuestQuiesceSpec", "VirtualMachineWindowsQuiesceSpec")
                    | ("GuestAuthentication", "NamePasswordAuthentication")
                    | ("GuestFileAttributes", "GuestPosixFileAttributes" | "GuestWindowsFileAttributes")
            );
            if actual != declared && !derived {
                return Err(Fault::invalid_type(actual));
            }
            return sequence(&node.children, members(actual), actual);
        }
    }
    if node.children.is_empty() { Ok(()) } else { Err(bad("simple type")) }
}
