//! Backups of VMs by other products, as far as they show in vSphere.
//!
//! A product that backs a VM up makes a snapshot, reads the disks and removes it. While that snapshot is there the VM is
//! better left alone: the guest may be frozen, and what is installed now is half in the backup.

/// Beginnings of the names that products give to the snapshots of a backup under way.
const BEGINNINGS: [&str; 4] = [
    // Veeam Backup & Replication
    "VEEAM BACKUP TEMPORARY SNAPSHOT",
    // Commvault
    "__GX_BACKUP__",
    // Veritas NetBackup
    "NBU_SNAPSHOT",
    // Dell Avamar
    "Avamar-",
];

/// Whether a snapshot of this name says that a backup is under way.
///
/// ```
/// use mappings::backup::is_backup_snapshot;
/// assert!(is_backup_snapshot("VEEAM BACKUP TEMPORARY SNAPSHOT"));
/// assert!(!is_backup_snapshot("before the upgrade"));
/// ```
#[must_use]
pub fn is_backup_snapshot(name: &str) -> bool {
    let begins = |beginning: &&'static str| {
        name.get(..beginning.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(beginning))
    };
    BEGINNINGS.iter().any(begins)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_by_their_beginning_in_any_case() {
        for name in ["veeam backup temporary snapshot", "NBU_SNAPSHOT vm-1 1700000000", "__GX_BACKUP__"] {
            assert!(is_backup_snapshot(name), "{name}");
        }
        for name in ["", "ä", "VEEAM", "my __GX_BACKUP__", "avamar", "日本語日本語日本語"] {
            assert!(!is_backup_snapshot(name), "{name}");
        }
    }
}
