//! `TaskInfo`.

use crate::tasks::Task;
use crate::world::ObjId;
use crate::xml::Xml;

/// The parts of `info` that can be asked for alone.
pub(super) const INSIDE: &[&str] = &[
    "info.key",
    "info.name",
    "info.descriptionId",
    "info.entity",
    "info.entityName",
    "info.state",
    "info.cancelled",
    "info.cancelable",
    "info.error",
    "info.result",
    "info.progress",
    "info.queueTime",
    "info.startTime",
    "info.completeTime",
];

/// Writes one property; false when it is unset.
pub(super) fn write(id: ObjId, task: &Task, path: &str, tag: &str, xml: &mut Xml) -> bool {
    let start = xml.len();
    match path {
        "info" => {
            xml.open_typed(tag, "TaskInfo");
            info(id, task, xml);
            xml.close(tag);
        }
        "info.key" => xml.typed_val(tag, "xsd:string", id),
        "info.name" => xml.typed_val(tag, "xsd:string", task.name),
        "info.descriptionId" => xml.typed_val(tag, "xsd:string", task.description_id),
        "info.entity" => xml.moref_val(tag, task.entity),
        "info.entityName" => xml.typed_text(tag, "xsd:string", &task.entity_name),
        "info.state" => xml.typed_val(tag, "TaskInfoState", task.state.wire()),
        "info.cancelled" => xml.typed_val(tag, "xsd:boolean", task.cancelled),
        "info.cancelable" => xml.typed_val(tag, "xsd:boolean", task.cancelable),
        "info.error" => {
            if let Some(fault) = &task.error {
                xml.open_typed(tag, "LocalizedMethodFault");
                fault.write_members(xml);
                xml.close(tag);
            }
        }
        "info.result" => {
            if let Some(made) = task.result {
                xml.moref_val(tag, made);
            }
        }
        "info.progress" => {
            if let Some(percent) = task.progress {
                xml.typed_val(tag, "xsd:int", percent);
            }
        }
        "info.queueTime" => xml.typed_val(tag, "xsd:dateTime", task.queued),
        "info.startTime" | "info.completeTime" => {
            let time = if path == "info.startTime" { task.started } else { task.completed };
            if let Some(time) = time {
                xml.typed_val(tag, "xsd:dateTime", time);
            }
        }
        _ => {}
    }
    xml.len() > start
}

/// The members in the order of the WSDL.
fn info(id: ObjId, task: &Task, xml: &mut Xml) {
    xml.val("key", id);
    xml.moref("task", id);
    xml.val("name", task.name);
    xml.val("descriptionId", task.description_id);
    xml.moref("entity", task.entity);
    xml.text("entityName", &task.entity_name);
    xml.val("state", task.state.wire());
    xml.val("cancelled", task.cancelled);
    xml.val("cancelable", task.cancelable);
    if let Some(fault) = &task.error {
        fault.write_localized("error", xml);
    }
    if let Some(made) = task.result {
        xml.moref_val("result", made);
    }
    if let Some(percent) = task.progress {
        xml.val("progress", percent);
    }
    xml.open_typed("reason", "TaskReasonUser");
    xml.text("userName", &task.user);
    xml.close("reason");
    xml.val("queueTime", task.queued);
    if let Some(time) = task.started {
        xml.val("startTime", time);
    }
    if let Some(time) = task.completed {
        xml.val("completeTime", time);
    }
    xml.val("eventChainId", id.num);
}
