//! Tasks as a vCenter sends them.

use vsphere_client::ids::{MoRef, SnapshotRef, TaskRef};
use vsphere_client::model::{FaultCause, FaultMessage, TaskInfo, TaskState};
use vsphere_client::vcenter::snapshot::SnapshotFault;
use vsphere_client::xml::{Body, Decoder, Limits, Named, XmlError};

fn decode(inside: &str) -> Result<TaskInfo, XmlError> {
    let xml = format!("<a xmlns:xsi=\"i\" xmlns:xsd=\"x\">{inside}</a>");
    let mut d = Decoder::new(Body::complete(xml.into(), Limits::default()));
    assert!(d.child()?);
    d.read()
}

const BEGUN: &str = "<key>task-4711</key><task type=\"Task\">task-4711</task>\
    <description><message></message><key>com.vmware.x</key></description><name>CreateSnapshot_Task</name>\
    <descriptionId>VirtualMachine.createSnapshot</descriptionId><entity type=\"VirtualMachine\">vm-19</entity>\
    <entityName>web%2f01</entityName><locked type=\"VirtualMachine\">vm-19</locked>";

const REASON: &str = "<reason xsi:type=\"TaskReasonUser\"><userName>VSPHERE.LOCAL\\vmbridge</userName></reason>\
    <queueTime>2026-11-28T13:47:30.123456Z</queueTime><startTime>2026-11-28T13:47:30.2Z</startTime>";

#[test]
fn a_running_and_a_successful_task_decode() {
    let running = decode(&format!(
        "{BEGUN}<state>running</state><cancelled>false</cancelled><cancelable>true</cancelable>\
         <progress>42</progress><progressDetails><key>x</key><value xsi:type=\"xsd:int\">1</value></progressDetails>\
         {REASON}<eventChainId>815</eventChainId><changeTag></changeTag><activationId>a-1</activationId>"
    ))
    .unwrap();
    assert_eq!((running.task.clone(), &*running.key), (TaskRef::new("task-4711"), "task-4711"));
    assert_eq!(running.name.as_deref(), Some("CreateSnapshot_Task"));
    assert_eq!(running.entity, Some(MoRef::new("VirtualMachine", "vm-19")));
    assert_eq!(running.entity_name.as_deref(), Some("web%2f01"));
    assert_eq!((running.progress, running.cancelable, running.event_chain_id), (Some(42), true, Some(815)));
    assert_eq!(running.queue_time.unwrap().to_string(), "2026-11-28T13:47:30.123456Z");
    assert_eq!((running.complete_time, running.outcome(), running.is_finished()), (None, None, false));

    let done = decode(&format!(
        "{BEGUN}<state>success</state><cancelled>false</cancelled><cancelable>false</cancelable>\
         <result type=\"VirtualMachineSnapshot\" xsi:type=\"ManagedObjectReference\">snapshot-77</result>{REASON}\
         <completeTime>2026-11-28T13:48:00Z</completeTime><eventChainId>815</eventChainId>"
    ))
    .unwrap();
    assert_eq!(done.state, Named::Known(TaskState::Success));
    assert_eq!(done.snapshot(), Some(SnapshotRef::new("snapshot-77")));
    assert_eq!(done.outcome(), Some(Ok(Some(&MoRef::new("VirtualMachineSnapshot", "snapshot-77")))));

    // A result of another kind is none of ours.
    for result in [
        "<result xsi:type=\"xsd:string\">snapshot-77</result>",
        "<result xsi:type=\"ArrayOfManagedObjectReference\"><ManagedObjectReference type=\"Task\">t</ManagedObjectReference></result>",
        "<result type=\"VirtualMachine\" xsi:type=\"ManagedObjectReference\">vm-20</result>",
    ] {
        let info = decode(&format!("{BEGUN}<state>success</state>{result}")).unwrap();
        assert_eq!((info.snapshot(), info.is_finished()), (None, true), "{result}");
    }
}

#[test]
fn a_failure_decodes_with_its_causes_and_messages() {
    let info = decode(&format!(
        "{BEGUN}<state>error</state><cancelled>false</cancelled><cancelable>false</cancelable>\
         <error><fault xsi:type=\"ApplicationQuiesceFault\"><faultCause><fault xsi:type=\"GenericVmConfigFault\">\
         <faultCause><fault xsi:type=\"Timedout\"/><localizedMessage>Operation timed out.</localizedMessage></faultCause>\
         <faultMessage><key>msg.inner</key></faultMessage><reason>x</reason></fault>\
         <localizedMessage></localizedMessage></faultCause>\
         <faultMessage><key>msg.snapshot.error-QUIESCINGERROR</key><arg><key>1</key><value xsi:type=\"xsd:string\">a</value></arg>\
         <message>Failed to quiesce\nthe virtual machine.</message></faultMessage></fault>\
         <localizedMessage>An error occurred while quiescing the virtual machine. See the virtual machine's event log for details.\
         </localizedMessage></error>{REASON}<completeTime>2026-11-28T13:48:00Z</completeTime>"
    ))
    .unwrap();
    let failure = info.outcome().unwrap().unwrap_err();
    assert_eq!(failure.fault, "ApplicationQuiesceFault");
    assert!(failure.message.starts_with("An error occurred while quiescing"));
    let cause = |fault: &str, message: &str| FaultCause { fault: fault.into(), message: message.into() };
    assert_eq!(
        failure.causes,
        [cause("GenericVmConfigFault", ""), cause("Timedout", "Operation timed out.")]
    );
    let said = FaultMessage {
        key: "msg.snapshot.error-QUIESCINGERROR".into(),
        text: "Failed to quiesce the virtual machine.".into(),
    };
    assert_eq!(failure.messages.last(), Some(&said));
    let fault = SnapshotFault::of_task(failure);
    assert!(fault == SnapshotFault::QuiesceFailed && fault.is_quiescing());

    let gone = decode(&format!(
        "{BEGUN}<state>error</state><error><fault xsi:type=\"ManagedObjectNotFound\">\
         <obj type=\"VirtualMachineSnapshot\">snapshot-1</obj></fault></error>"
    ))
    .unwrap();
    let failure = gone.error.unwrap();
    assert_eq!(failure.object, Some(MoRef::new("VirtualMachineSnapshot", "snapshot-1")));
    assert_eq!(SnapshotFault::of_task(&failure), SnapshotFault::SnapshotGone);
}

#[test]
fn no_failure_is_larger_than_a_person_reads() {
    let message = format!("<faultMessage><key>k</key><message>{}</message></faultMessage>", "x".repeat(5000));
    let chain = "<faultCause><fault xsi:type=\"A\">".repeat(30) + &"</fault></faultCause>".repeat(30);
    let error = format!("<error><fault xsi:type=\"B\">{chain}{}</fault></error>", message.repeat(100));
    let failure = decode(&format!("{BEGUN}<state>error</state>{error}")).unwrap().error.unwrap();
    assert_eq!((failure.causes.len(), failure.messages.len()), (8, 8));
    assert!(failure.messages.iter().all(|message| message.text.len() <= 300));
}

#[test]
fn what_is_no_task_is_an_error_and_what_is_new_is_not() {
    for broken in [
        "<key>task-1</key><state>success</state>",
        "<task type=\"VirtualMachine\">vm-1</task><state>success</state>",
        "<task>task-1</task>",
        &format!("{BEGUN}<queueTime>yesterday</queueTime>"),
        &format!("{BEGUN}<cancelled>perhaps</cancelled>"),
    ] {
        decode(broken).unwrap_err();
    }
    let new = decode(&format!("{BEGUN}<state>paused</state><sinceVersion10><a/></sinceVersion10>")).unwrap();
    assert_eq!((new.state.clone(), new.is_finished()), (Named::Unknown("paused".into()), false));
}
