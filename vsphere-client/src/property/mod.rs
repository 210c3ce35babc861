//! Properties of managed objects: which ones are read, how they are decoded, and how changes to them are told.

mod change;
mod extra;
mod objects;
mod report;
mod spec;

pub use change::{Change, Properties};
pub use extra::{Extra, ExtraChange, ExtraPath, ExtraReport, Unreadable};
pub use objects::{
    ComputeResource, CustomFields, Datacenter, Datastore, EventCollector, Folder, HostSystem, Network,
    ObjectProperties, ResourcePool, Task, VirtualApp, VirtualMachine,
};
pub(crate) use report::ReportSink;
pub use report::{
    ObjectReport, ReportKind, UpdatePage, decode_retrieve_result, decode_retrieve_result_with,
    decode_update_set, decode_update_set_with,
};
pub use spec::built_in_paths;
pub(crate) use spec::{FleetSpec, VIEW_TYPES, is_known_path};

pub use crate::xml::{Keys, Tree, TreeLimits, TreeRef};
