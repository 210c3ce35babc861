//! Enumerations whose values decide something. All are open: see [`crate::xml::Named`].

macro_rules! api_enum {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vdoc])* $variant),* }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl std::str::FromStr for $name {
            type Err = ();
            fn from_str(text: &str) -> Result<Self, ()> {
                match text { $($text => Ok(Self::$variant),)* _ => Err(()) }
            }
        }
    };
}

api_enum! {
    /// Power state of a VM (`VirtualMachinePowerState`).
    pub enum PowerState {
        /// Running.
        PoweredOn = "poweredOn",
        /// Not running.
        PoweredOff = "poweredOff",
        /// Memory is on disk.
        Suspended = "suspended",
    }
}

api_enum! {
    /// What vCenter can say of a VM (`VirtualMachineConnectionState`).
    pub enum ConnectionState {
        /// It can be reached.
        Connected = "connected",
        /// Its host is disconnected: facts are as old as that.
        Disconnected = "disconnected",
        /// Registered here, unknown to its host.
        Orphaned = "orphaned",
        /// Its files cannot be read.
        Inaccessible = "inaccessible",
        /// Its configuration cannot be understood.
        Invalid = "invalid",
    }
}

api_enum! {
    /// Whether vCenter reaches a host (`HostSystemConnectionState`).
    pub enum HostConnectionState {
        /// It does.
        Connected = "connected",
        /// Disconnected by a person.
        Disconnected = "disconnected",
        /// It should, and does not.
        NotResponding = "notResponding",
    }
}

api_enum! {
    /// Whether VMware Tools run in the guest (`VirtualMachineToolsRunningStatus`).
    pub enum ToolsRunningStatus {
        /// They do.
        Running = "guestToolsRunning",
        /// They do not.
        NotRunning = "guestToolsNotRunning",
        /// They are starting, or run a power script.
        ExecutingScripts = "guestToolsExecutingScripts",
    }
}

api_enum! {
    /// Kind of guest operating system (`VirtualMachineGuestOsFamily`).
    pub enum GuestFamily {
        /// Windows.
        Windows = "windowsGuest",
        /// Linux.
        Linux = "linuxGuest",
        /// NetWare.
        Netware = "netwareGuest",
        /// Solaris.
        Solaris = "solarisGuest",
        /// macOS.
        Darwin = "darwinGuestFamily",
        /// Something else.
        Other = "otherGuestFamily",
    }
}

api_enum! {
    /// How a virtual disk treats writes and snapshots (`VirtualDiskMode`).
    pub enum DiskMode {
        /// Written at once, part of snapshots.
        Persistent = "persistent",
        /// Written at once, left out of snapshots.
        IndependentPersistent = "independent_persistent",
        /// Discarded at power-off, left out of snapshots.
        IndependentNonpersistent = "independent_nonpersistent",
        /// Discarded at power-off.
        Nonpersistent = "nonpersistent",
        /// Kept or discarded at power-off by choice.
        Undoable = "undoable",
        /// Appended to a redo log.
        Append = "append",
    }
}

api_enum! {
    /// Whether a SCSI bus is shared with other VMs (`VirtualSCSISharing`).
    pub enum BusSharing {
        /// It is not.
        None = "noSharing",
        /// With VMs on the same host.
        Virtual = "virtualSharing",
        /// With VMs on any host.
        Physical = "physicalSharing",
    }
}

api_enum! {
    /// How far a task is (`TaskInfoState`).
    pub enum TaskState {
        /// It waits for its turn.
        Queued = "queued",
        /// It is being done.
        Running = "running",
        /// It is done.
        Success = "success",
        /// It has failed, or was cancelled.
        Error = "error",
    }
}
