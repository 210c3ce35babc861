//! What is sent, to the byte, and what is made of answers that no simulator gives.

use std::time::Duration;

use vsphere_client::error::ErrorKind;
use vsphere_client::ids::{MoRef, SnapshotRef, TaskRef};
use vsphere_client::vcenter::snapshot::{Quiesce, SnapshotFault, SnapshotSpec};
use vsphere_client::watch::{TaskEvent, TaskWatch, TaskWatchOptions};

use super::server::Server;

const TASK: &str = "<returnval type=\"Task\">task-7</returnval>";

fn vm() -> MoRef {
    MoRef::new("VirtualMachine", "vm-1")
}

#[tokio::test]
async fn each_call_is_sent_as_the_api_wants_it() {
    let server = Server::start().await;
    let client = server.client();
    let spec =
        |quiesce, memory| SnapshotSpec { name: "a/b%".into(), description: "<d>".into(), memory, quiesce };
    let snapshot = SnapshotRef::new("snapshot-3");
    for method in [
        "CreateSnapshot_Task",
        "CreateSnapshot_Task",
        "CreateSnapshotEx_Task",
        "RemoveSnapshot_Task",
        "RevertToSnapshot_Task",
        "ConsolidateVMDisks_Task",
        "PowerOnVM_Task",
    ] {
        server.answer(method, TASK);
    }
    let tasks = [
        client.create_snapshot(&vm(), &spec(Quiesce::Off, true)).await,
        client.create_snapshot(&vm(), &spec(Quiesce::On, false)).await,
        client.create_snapshot(&vm(), &spec(Quiesce::WithTimeout(30), false)).await,
        client.remove_snapshot(&snapshot, true).await,
        client.revert_to_snapshot(&snapshot, true).await,
        client.consolidate_disks(&vm()).await,
        client.power_on(&vm()).await,
    ];
    assert!(tasks.into_iter().all(|task| task.unwrap() == TaskRef::new("task-7")));
    client.cancel_task(&TaskRef::new("task-7")).await.unwrap();
    let this = "<_this type=\"VirtualMachine\">vm-1</_this>";
    let named = format!("{this}<name>a%2fb%25</name><description>&lt;d&gt;</description>");
    let that = "<_this type=\"VirtualMachineSnapshot\">snapshot-3</_this>";
    for (method, expected) in [
        (
            "CreateSnapshot_Task",
            vec![
                format!("{named}<memory>true</memory><quiesce>false</quiesce>"),
                format!("{named}<memory>false</memory><quiesce>true</quiesce>"),
            ],
        ),
        (
            "CreateSnapshotEx_Task",
            vec![format!(
                "{named}<memory>false</memory><quiesceSpec xsi:type=\"VirtualMachineGuestQuiesceSpec\">\
                 <timeout>30</timeout></quiesceSpec>"
            )],
        ),
        (
            "RemoveSnapshot_Task",
            vec![format!("{that}<removeChildren>false</removeChildren><consolidate>true</consolidate>")],
        ),
        ("RevertToSnapshot_Task", vec![format!("{that}<suppressPowerOn>true</suppressPowerOn>")]),
        ("ConsolidateVMDisks_Task", vec![this.to_owned()]),
        ("PowerOnVM_Task", vec![this.to_owned()]),
        ("CancelTask", vec!["<_this type=\"Task\">task-7</_this>".to_owned()]),
    ] {
        assert_eq!(server.requests(method), expected, "{method}");
    }
}

#[tokio::test]
async fn only_a_clear_refusal_says_that_nothing_was_begun() {
    let server = Server::start().await;
    let client = server.client();
    for (fault, inside, cause, may_have) in [
        ("TaskInProgress", "<task type=\"Task\">task-1</task>", SnapshotFault::TaskInProgress, false),
        ("InvalidPowerState", "", SnapshotFault::InvalidPowerState, false),
        ("TooManySnapshotLevels", "", SnapshotFault::TooManySnapshotLevels, false),
        ("ManagedObjectNotFound", "<obj type=\"VirtualMachine\">vm-1</obj>", SnapshotFault::VmGone, false),
        (
            "NoPermission",
            "<object type=\"VirtualMachine\">vm-1</object><privilegeId>x</privilegeId>",
            SnapshotFault::NoPermission,
            false,
        ),
        ("HostNotConnected", "", SnapshotFault::HostNotConnected, true),
        ("NoDiskSpace", "<file>f</file>", SnapshotFault::InsufficientSpace, true),
        ("SystemError", "", SnapshotFault::Other, true),
    ] {
        server.refuse("CreateSnapshot_Task", fault, inside);
        let error = client.create_snapshot(&vm(), &SnapshotSpec::default()).await.unwrap_err();
        assert_eq!(SnapshotFault::of(error.error()), Some(cause), "{fault}");
        assert_eq!(error.may_have_taken_place(), may_have, "{fault}");
    }
    // Answers that say nothing of a task; the call is not sent again.
    let before = server.requests("CreateSnapshot_Task").len();
    for answer in [
        "",
        "<returnval type=\"VirtualMachine\">vm-1</returnval>",
        "<returnval>task-1</returnval>",
        &format!("<returnval type=\"Task\">{}</returnval>", "x".repeat(1 << 17)),
        "<returnval type=\"Task\"><a><b/></a></returnval>",
    ] {
        server.answer("CreateSnapshot_Task", answer);
        let error = client.create_snapshot(&vm(), &SnapshotSpec::default()).await.unwrap_err();
        assert!(error.may_have_taken_place());
        assert!(matches!(error.error().kind(), ErrorKind::Decode(_) | ErrorKind::Missing(_)), "{error:?}");
        assert_eq!(SnapshotFault::of(error.error()), None);
    }
    assert_eq!(server.requests("CreateSnapshot_Task").len(), before + 5);
}

#[tokio::test]
async fn what_may_not_be_read_is_told_from_what_is_not_there() {
    let server = Server::start().await;
    let client = server.client();
    let object = |of: &str, inside: &str| format!("<returnval><objects>{of}{inside}</objects></returnval>");
    let of_vm = "<obj type=\"VirtualMachine\">vm-1</obj>";
    let missing = |path| {
        let fault = "<fault><fault xsi:type=\"NoPermission\"/></fault>";
        object(of_vm, &format!("<missingSet><path>{path}</path>{fault}</missingSet>"))
    };
    server.answer("RetrievePropertiesEx", missing("snapshot"));
    assert!(matches!(client.snapshots(&vm()).await.unwrap_err().kind(), ErrorKind::Missing(_)));
    server.answer("RetrievePropertiesEx", object(of_vm, ""));
    assert_eq!(client.snapshots(&vm()).await.unwrap(), None);
    server.answer("RetrievePropertiesEx", missing("runtime.consolidationNeeded"));
    assert!(client.consolidation_needed(&vm()).await.is_err());
    server.answer(
        "RetrievePropertiesEx",
        object(of_vm, "<propSet><name>runtime.consolidationNeeded</name><val>true</val></propSet>"),
    );
    assert!(client.consolidation_needed(&vm()).await.unwrap());
    // A task's state that is about another task.
    server.answer("RetrievePropertiesEx", one("task-1", &info("task-2", "running", "")));
    let error = client.task_info(&TaskRef::new("task-1")).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Missing(_)), "{error:?}");
    // Pages without end.
    server.answer("RetrievePropertiesEx", "<returnval><token>1</token></returnval>");
    server.answer("ContinueRetrievePropertiesEx", "<returnval><token>1</token></returnval>");
    assert!(matches!(client.recent_tasks(&vm()).await.unwrap_err().kind(), ErrorKind::Missing(_)));
    server.answer("RetrievePropertiesEx", one("task-1", &info("task-1", "queued", "")).repeat(1001));
    assert!(matches!(client.recent_tasks(&vm()).await.unwrap_err().kind(), ErrorKind::Decode(_)));
    // Two honest ones; what may not be read is left out.
    server.answer("RetrievePropertiesEx", one("task-1", &info("task-1", "running", "")).replace(
        "<returnval>",
        "<returnval><token>1</token><objects><obj type=\"Task\">task-0</obj><missingSet><path>info</path></missingSet></objects>",
    ));
    server.answer("ContinueRetrievePropertiesEx", one("task-2", &info("task-2", "queued", "")));
    let recent = client.recent_tasks(&vm()).await.unwrap();
    assert_eq!(recent.iter().map(|info| info.task.value()).collect::<Vec<_>>(), ["task-1", "task-2"]);
}

fn info(task: &str, state: &str, more: &str) -> String {
    format!(
        "<val xsi:type=\"TaskInfo\"><key>{task}</key><task type=\"Task\">{task}</task>\
         <descriptionId>VirtualMachine.createSnapshot</descriptionId><state>{state}</state>\
         <cancelled>false</cancelled><cancelable>false</cancelable>{more}</val>"
    )
}

/// The answer to a read of one task.
fn one(task: &str, val: &str) -> String {
    format!(
        "<returnval><objects><obj type=\"Task\">{task}</obj><propSet><name>info</name>{val}</propSet></objects></returnval>"
    )
}

/// The answer to a wait: what it says of some tasks.
fn updates(version: &str, objects: &str) -> String {
    format!(
        "<returnval><version>{version}</version><filterSet><filter type=\"PropertyFilter\">filter</filter>{objects}</filterSet></returnval>"
    )
}

fn update(kind: &str, task: &str, val: &str) -> String {
    format!(
        "<objectSet><kind>{kind}</kind><obj type=\"Task\">{task}</obj><changeSet><name>info</name><op>assign</op>{val}</changeSet></objectSet>"
    )
}

fn left(task: &str) -> String {
    format!("<objectSet><kind>leave</kind><obj type=\"Task\">{task}</obj></objectSet>")
}

fn options() -> TaskWatchOptions {
    TaskWatchOptions {
        retry: (Duration::from_millis(20), Duration::from_millis(50)),
        ..TaskWatchOptions::default()
    }
}

async fn next(watch: &mut TaskWatch) -> TaskEvent {
    tokio::time::timeout(Duration::from_secs(10), watch.next()).await.expect("no event").unwrap()
}

async fn silent(watch: &mut TaskWatch) {
    let more = tokio::time::timeout(Duration::from_millis(200), watch.next()).await;
    assert!(more.is_err(), "told more: {more:?}");
}

#[tokio::test]
async fn a_watch_sends_one_list_and_takes_out_what_has_ended() {
    let server = Server::start().await;
    let client = server.client();
    let mut watch = client.watch_tasks(options());
    watch.add(TaskRef::new("task-1"));
    watch.add(TaskRef::new("task-2"));
    let progress = info("task-1", "running", "<progress>150</progress>");
    // Of tasks that were never added nothing is told.
    let foreign = update("enter", "task-9", &info("task-9", "success", ""));
    server.answer("WaitForUpdatesEx", updates("1", &(update("enter", "task-1", &progress) + &foreign)));
    let TaskEvent::Progress { task, percent } = next(&mut watch).await else { panic!("no progress") };
    assert_eq!((task.value(), percent), ("task-1", 100), "beyond the hundred is a hundred");
    let made =
        "<result xsi:type=\"ManagedObjectReference\" type=\"VirtualMachineSnapshot\">snapshot-5</result>";
    server.answer(
        "WaitForUpdatesEx",
        updates("2", &update("modify", "task-2", &info("task-2", "success", made))),
    );
    let TaskEvent::Finished(done) = next(&mut watch).await else { panic!("not finished") };
    assert_eq!(done.snapshot(), Some(SnapshotRef::new("snapshot-5")));
    // It leaves because it was taken out.
    server.answer("WaitForUpdatesEx", updates("3", &left("task-2")));
    silent(&mut watch).await;
    watch.close().await;
    let list = "<_this type=\"ListView\">list</_this>";
    assert_eq!(
        server.requests("ModifyListView"),
        [
            format!("{list}<add type=\"Task\">task-1</add><add type=\"Task\">task-2</add>"),
            format!("{list}<remove type=\"Task\">task-2</remove>"),
        ]
    );
    assert_eq!(
        server.requests("CreateFilter"),
        ["<_this type=\"PropertyCollector\">own</_this><spec><propSet><type>Task</type><all>false</all>\
         <pathSet>info</pathSet></propSet><objectSet><obj type=\"ListView\">list</obj><skip>true</skip>\
         <selectSet xsi:type=\"TraversalSpec\"><name>list</name><type>ListView</type><path>view</path>\
         <skip>false</skip></selectSet></objectSet><reportMissingObjectsInResults>true</reportMissingObjectsInResults></spec><partialUpdates>false</partialUpdates>"]
    );
    let own = ["<_this type=\"PropertyCollector\">own</_this>"];
    assert_eq!(server.requests("CancelWaitForUpdates"), own);
    assert_eq!(server.requests("DestroyPropertyCollector"), own);
    assert_eq!(server.requests("DestroyView"), [list]);
    let versions: Vec<_> = server
        .requests("WaitForUpdatesEx")
        .iter()
        .map(|request| request.split("<version>").nth(1).unwrap().split('<').next().unwrap().to_owned())
        .collect();
    assert_eq!(versions, ["", "1", "2", "3"]);
}

#[tokio::test]
async fn a_task_that_is_forgotten_and_added_again_at_once_is_looked_at() {
    let server = Server::start().await;
    let client = server.client();
    let mut watch = client.watch_tasks(options());
    let task = TaskRef::new("task-1");
    watch.add(task.clone());
    let running = info("task-1", "running", "<progress>1</progress>");
    server.answer("WaitForUpdatesEx", updates("1", &update("enter", "task-1", &running)));
    assert!(matches!(next(&mut watch).await, TaskEvent::Progress { percent: 1, .. }));
    // Its end may have been told while nobody wanted to know.
    watch.forget(&task);
    server.answer("RetrievePropertiesEx", one("task-1", &info("task-1", "success", "")));
    watch.add(task.clone());
    let TaskEvent::Finished(done) = next(&mut watch).await else { panic!("not finished") };
    assert_eq!((done.task.clone(), server.requests("ModifyListView").len()), (task, 1));
    watch.close().await;
}

#[tokio::test]
async fn what_cannot_be_read_or_is_gone_is_told_once() {
    let server = Server::start().await;
    let client = server.client();
    let mut watch = client.watch_tasks(options());
    let missing = "<objectSet><kind>enter</kind><obj type=\"Task\">task-1</obj><missingSet><path>info</path>\
                   <fault><fault xsi:type=\"NoPermission\"/></fault></missingSet></objectSet>";
    // One that the server does not know, and one of which nobody spoke.
    server.answer(
        "ModifyListView",
        "<returnval type=\"Task\">task-3</returnval><returnval type=\"Task\">task-99</returnval>",
    );
    // Each of the others is looked at once before it is given up.
    server.answer(
        "RetrievePropertiesEx",
        "<returnval><objects><obj type=\"Task\">task-1</obj><missingSet><path>info</path></missingSet></objects></returnval>",
    );
    server.refuse("RetrievePropertiesEx", "ManagedObjectNotFound", "<obj type=\"Task\">task-2</obj>");
    server.answer("RetrievePropertiesEx", one("task-4", &info("task-9", "success", "")));
    server.refuse("RetrievePropertiesEx", "ManagedObjectNotFound", "<obj type=\"Task\">task-5</obj>");
    let unfound = "<missingSet><obj type=\"Task\">task-5</obj><fault><fault xsi:type=\"ManagedObjectNotFound\"/></fault></missingSet>";
    let lie = update("enter", "task-4", &info("task-9", "success", ""));
    server.answer("WaitForUpdatesEx", updates("1", &(missing.to_owned() + &left("task-2") + &lie + unfound)));
    for task in ["task-1", "task-2", "task-3", "task-4", "task-5"] {
        watch.add(TaskRef::new(task));
    }
    let mut told = Vec::new();
    for _ in 0..5 {
        told.push(match next(&mut watch).await {
            TaskEvent::Gone(task) => format!("gone {task}"),
            TaskEvent::Unreadable(task) => format!("unreadable {task}"),
            event => panic!("{event:?}"),
        });
    }
    assert_eq!(told, ["gone task-3", "unreadable task-1", "gone task-2", "unreadable task-4", "gone task-5"]);
    silent(&mut watch).await;
    watch.close().await;
}

#[tokio::test]
async fn a_task_that_leaves_the_list_although_it_exists_is_listed_again() {
    let server = Server::start().await;
    let client = server.client();
    let mut watch = client.watch_tasks(options());
    watch.add(TaskRef::new("task-1"));
    for _ in 0..2 {
        server.answer("RetrievePropertiesEx", one("task-1", &info("task-1", "running", "")));
        server.answer("WaitForUpdatesEx", updates("1", &left("task-1")));
    }
    // A server that goes on like this is one that does not work.
    let TaskEvent::Interrupted { error, .. } = next(&mut watch).await else { panic!("not interrupted") };
    assert!(matches!(error.kind(), ErrorKind::Missing(_)), "{error:?}");
    let running = info("task-1", "running", "<progress>1</progress>");
    server.answer("WaitForUpdatesEx", updates("1", &update("enter", "task-1", &running)));
    assert!(matches!(next(&mut watch).await, TaskEvent::Progress { percent: 1, .. }));
    assert_eq!(server.requests("ModifyListView").len(), 3);
    watch.close().await;
}

#[tokio::test]
async fn hostile_answers_interrupt_and_the_watch_goes_on() {
    let server = Server::start().await;
    let client = server.client();
    let mut watch = client.watch_tasks(options());
    watch.add(TaskRef::new("task-1"));
    let val = |inside: &str| updates("1", &update("enter", "task-1", inside));
    for hostile in [
        val(&info("task-1", "running", "<progress>much</progress>")),
        val(&info("task-1", "error", &format!("<name>{}</name>", "x".repeat(1 << 17)))),
        val(&info("task-1", "error", &"<error><fault><faultCause>".repeat(200))),
        val("<val xsi:type=\"TaskInfo\"><key>task-1</key></val>"),
        updates("1", &update("modify", "task-1", &info("task-1", "running", "")).repeat(10_001)),
        val("<val xsi:type=\"xsd:string\">success</val>"),
        val(&info("vm-1", "success", "").replace("type=\"Task\"", "type=\"VirtualMachine\"")),
        "<returnval><filterSet><objectSet><kind>enter</kind></objectSet></filterSet></returnval>".to_owned(),
    ] {
        server.answer("WaitForUpdatesEx", hostile.clone());
        let TaskEvent::Interrupted { error, .. } = next(&mut watch).await else {
            panic!("accepted: {hostile}")
        };
        assert!(matches!(error.kind(), ErrorKind::Decode(_)), "{error:?}");
    }
    server.refuse("WaitForUpdatesEx", "NotAuthenticated", "");
    let TaskEvent::Interrupted { error, .. } = next(&mut watch).await else { panic!("not interrupted") };
    assert!(matches!(error.kind(), ErrorKind::SessionEnded), "{error:?}");
    server.answer("WaitForUpdatesEx", val(&info("task-1", "error", "")));
    let TaskEvent::Finished(done) = next(&mut watch).await else { panic!("not finished") };
    assert!(done.outcome().unwrap().is_err(), "it failed, for whatever reason");
    silent(&mut watch).await;
    watch.close().await;
    let made = server.requests("CreateListView").len();
    assert_eq!((made, server.requests("DestroyView").len()), (10, 10), "what each pass made is freed");
}

#[tokio::test]
async fn a_server_that_does_not_wait_is_not_asked_without_end() {
    let server = Server::start().await;
    let client = server.client();
    for _ in 0..1000 {
        server.answer("WaitForUpdatesEx", "");
    }
    let mut watch = client.watch_tasks(options());
    watch.add(TaskRef::new("task-1"));
    assert!(tokio::time::timeout(Duration::from_millis(1500), watch.next()).await.is_err());
    assert!(server.requests("WaitForUpdatesEx").len() <= 3);
    watch.close().await;
}

#[tokio::test]
async fn whoever_does_not_take_events_holds_up_the_watch_and_nothing_grows() {
    let server = Server::start().await;
    let client = server.client();
    let mut watch = client.watch_tasks(options());
    watch.add(TaskRef::new("task-1"));
    for round in 0..400 {
        let progress = info("task-1", "running", &format!("<progress>{}</progress>", round % 100));
        server.answer("WaitForUpdatesEx", updates("1", &update("modify", "task-1", &progress)));
    }
    let waits = || server.requests("WaitForUpdatesEx").len();
    for _ in 0..200 {
        if waits() > 60 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!((60..80).contains(&waits()), "{} answers were taken", waits());
    for expected in 0..400_u16 {
        let TaskEvent::Progress { percent, .. } = next(&mut watch).await else { panic!("no progress") };
        assert_eq!(u16::from(percent), expected % 100);
    }
    watch.close().await;
}
