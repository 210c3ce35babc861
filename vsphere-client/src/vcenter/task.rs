//! Tasks: what is known of them, and cancelling them. To follow them to their ends, see [`crate::watch::TaskWatch`].

use std::time::Duration;

use super::{Session, Vcenter, WriteError, returnval};
use crate::error::{Error, ErrorKind};
use crate::ids::{MoRef, TaskRef};
use crate::model::TaskInfo;
use crate::property::{Change, ObjectProperties, Properties as _, Task, decode_retrieve_result};
use crate::retry::{self, Policy};
use crate::soap::{Operation, operation};
use crate::xml::{Decoder, Element, XmlError, XmlErrorKind};

/// The most tasks of one VM that are read. vCenter keeps 200 recent ones in all.
const MOST_RECENT: usize = 1000;

/// One page of tasks: their infos, and the token of the next page.
type Page = (Vec<TaskInfo>, Option<String>);

impl Vcenter {
    /// What is known of a task now.
    ///
    /// # Errors
    /// As every call. A task that is no more is refused as `ManagedObjectNotFound`: about ten minutes after its end, or
    /// because the vCenter was restarted; then only the state of its object tells how it ended.
    pub async fn task_info(&self, task: &TaskRef) -> Result<TaskInfo, Error> {
        let report = self.read_one(|_| Ok(task.as_moref().clone()), Task::PATHS).await?;
        match report {
            Some(ObjectProperties::Task(read)) => match read.info {
                Change::Set(info) if info.task == *task => Ok(info),
                _ => Err(self.no_info()),
            },
            _ => Err(self.no_info()),
        }
    }

    pub(crate) fn no_info(&self) -> Error {
        self.lacks(operation!("RetrievePropertiesEx"), "the task's state, which this account may not read")
    }

    /// Asks for a task to be cancelled (`CancelTask`). It may go on for long, and may even succeed.
    ///
    /// # Errors
    /// As every call, and it says whether it may have been done. A task that has ended is refused as `InvalidState`, one that
    /// cannot be cancelled as `NotSupported`, one that is no more as `ManagedObjectNotFound`. Needs `Global.CancelTask`
    /// unless the task is one's own.
    pub async fn cancel_task(&self, task: &TaskRef) -> Result<(), WriteError> {
        let request = |_: &Session| Ok(Element::new("CancelTask").moref("_this", task.as_moref()));
        self.write(operation!("CancelTask"), request, Decoder::skip_rest).await
    }

    /// The recent tasks of a VM (`recentTask`): those that go on and those that have ended within the last ten minutes or
    /// so, the oldest first. This finds a task again whose call was not answered. Tasks that may not be read are left out.
    ///
    /// # Errors
    /// As every call; a VM that does not exist is refused as `ManagedObjectNotFound`.
    pub async fn recent_tasks(&self, vm: &MoRef) -> Result<Vec<TaskInfo>, Error> {
        retry::retry(&Policy::default(), || self.recent_tasks_once(vm)).await
    }

    async fn recent_tasks_once(&self, vm: &MoRef) -> Result<Vec<TaskInfo>, Error> {
        let operation = operation!("RetrievePropertiesEx");
        let lease = self.lease().await?;
        let collector = lease.session.content.property_collector.as_ref();
        let collector = collector.ok_or_else(|| self.lacks(operation, "a property collector"))?;
        // The server goes from the VM to its tasks itself, so none can vanish in between.
        let traversal = Element::typed("selectSet", "TraversalSpec")
            .text("name", "tasks")
            .text("type", vm.kind())
            .text("path", "recentTask")
            .text("skip", false);
        let objects = Element::new("objectSet").moref("obj", vm).text("skip", true).child(traversal);
        let request = Element::new("RetrievePropertiesEx")
            .moref("_this", collector)
            .child(Element::new("specSet").child(task_properties()).child(objects))
            .child(Element::new("options"));
        let (mut tasks, mut token) =
            self.call_in(&lease, operation, request, Duration::ZERO, task_page).await?;
        while let Some(next) = token {
            let operation = operation!("ContinueRetrievePropertiesEx");
            let request =
                Element::new("ContinueRetrievePropertiesEx").moref("_this", collector).text("token", next);
            let (more, after) = self.call_in(&lease, operation, request, Duration::ZERO, task_page).await?;
            if more.is_empty() || tasks.len() + more.len() > MOST_RECENT {
                return Err(self.lacks(operation, "an end of the VM's recent tasks"));
            }
            tasks.extend(more);
            token = after;
        }
        tasks.sort_by_key(|task| task.queue_time);
        Ok(tasks)
    }

    /// Calls a method that begins a task, once.
    pub(super) async fn begin_task(
        &self,
        operation: &'static Operation,
        request: impl Fn(&Session) -> Result<Element, &'static str>,
    ) -> Result<TaskRef, WriteError> {
        match self.write(operation, request, returnval::<TaskRef>).await? {
            Some(task) => Ok(task),
            None => {
                let lacks = ErrorKind::Missing("the task that was begun");
                Err(WriteError::sent(self.inner.soap.error(operation.name, lacks)))
            }
        }
    }
}

/// The property set that asks for tasks.
pub(crate) fn task_properties() -> Element {
    Element::new("propSet")
        .text("type", Task::TYPE)
        .text("all", false)
        .each(Task::PATHS, |set, path| set.text("pathSet", path))
}

fn task_page(d: &mut Decoder) -> Result<Page, XmlError> {
    let mut tasks = Vec::new();
    let token = decode_retrieve_result(d, |d, report| {
        if tasks.len() >= MOST_RECENT {
            return Err(d.error(XmlErrorKind::Limit("the recent tasks of one VM")));
        }
        if let ObjectProperties::Task(task) = report.properties {
            tasks.extend(task.info.value());
        }
        Ok(())
    })?;
    Ok((tasks, token))
}
