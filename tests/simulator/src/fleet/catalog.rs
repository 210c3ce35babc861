//! The words from which believable fleets are made.

/// A guest operating system: what the VM is configured as, and what Tools report.
pub(super) struct Os {
    pub(super) id: &'static str,
    pub(super) full_name: &'static str,
    pub(super) family: &'static str,
    /// How many of 100 VMs run it.
    pub(super) share: u32,
    /// Prefix of machine names.
    pub(super) prefix: &'static str,
}

const fn os(
    id: &'static str,
    full_name: &'static str,
    family: &'static str,
    share: u32,
    prefix: &'static str,
) -> Os {
    Os { id, full_name, family, share, prefix }
}

pub(super) const SYSTEMS: &[Os] = &[
    os("rhel8_64Guest", "Red Hat Enterprise Linux 8 (64-bit)", "linuxGuest", 14, "lnx"),
    os("rhel9_64Guest", "Red Hat Enterprise Linux 9 (64-bit)", "linuxGuest", 12, "lnx"),
    os("rhel7_64Guest", "Red Hat Enterprise Linux 7 (64-bit)", "linuxGuest", 4, "lnx"),
    os("ubuntu64Guest", "Ubuntu Linux (64-bit)", "linuxGuest", 14, "ubu"),
    os("sles15_64Guest", "SUSE Linux Enterprise 15 (64-bit)", "linuxGuest", 5, "sap"),
    os("debian12_64Guest", "Debian GNU/Linux 12 (64-bit)", "linuxGuest", 4, "deb"),
    os("centos7_64Guest", "CentOS 7 (64-bit)", "linuxGuest", 2, "lnx"),
    os("amazonlinux2_64Guest", "Amazon Linux 2 (64-bit)", "linuxGuest", 2, "amz"),
    os("windows2022srvNext_64Guest", "Microsoft Windows Server 2025 (64-bit)", "windowsGuest", 3, "win"),
    os("windows2019srvNext_64Guest", "Microsoft Windows Server 2022 (64-bit)", "windowsGuest", 12, "win"),
    os("windows2019srv_64Guest", "Microsoft Windows Server 2019 (64-bit)", "windowsGuest", 14, "win"),
    os("windows9Server64Guest", "Microsoft Windows Server 2016 or later (64-bit)", "windowsGuest", 8, "win"),
    os("windows8Server64Guest", "Microsoft Windows Server 2012 (64-bit)", "windowsGuest", 2, "win"),
    os("windows9_64Guest", "Microsoft Windows 10 (64-bit)", "windowsGuest", 2, "vdi"),
    os("freebsd13_64Guest", "FreeBSD 13 (64-bit)", "otherGuestFamily", 1, "fw"),
    os("other3xLinux64Guest", "Other 3.x or later Linux (64-bit)", "linuxGuest", 1, "appl"),
];

pub(super) const ROLES: &[&str] = &[
    "web", "app", "db", "cache", "mq", "file", "print", "dc", "sql", "jump", "build", "mon", "log", "proxy",
    "batch",
];

pub(super) const TOP_FOLDERS: &[&str] = &[
    "Production",
    "Test",
    "Development",
    "DMZ",
    "Infrastructure",
    "Büro Zürich",
    "東京支社",
    "R%26D",
    "Vertrieb/Marketing",
];

pub(super) const SUB_FOLDERS: &[&str] =
    &["Linux", "Windows", "Databases", "Web", "SAP", "Legacy", "Größere Server", "Team 🚀"];

/// Names that trip programs; one in fifty VMs has one.
pub(super) const ODD_NAMES: &[&str] = &[
    "münchen-büro-server",
    "データベース",
    "rocket 🚀 server",
    "file/share",
    "100% load",
    "back\\slash",
    "%2f literally",
    " leading and trailing ",
    "quote\"s & <angles>",
    "Ünïcödé-ß-ſ",
    "server\u{202e}revres",
    "a-very-long-name-that-goes-on-until-the-eighty-character-limit-of-the-user-interface",
];

pub(super) const CATEGORIES: &[(&str, bool, &[&str])] = &[
    ("Patch Group", true, &["linux-prod", "linux-test", "windows-prod", "windows-test", "sap-manual"]),
    ("Environment", true, &["Production", "Test", "Development"]),
    ("Owner", false, &["Team Web", "Team Data", "Team Müller", "Production"]),
    ("Backup", true, &["daily", "weekly", "none"]),
    ("Compliance", false, &["PCI", "SOX", "GDPR"]),
];

pub(super) const FIELDS: &[&str] = &["Owner", "CostCenter", "Wartungsfenster", "Ticket"];

pub(super) const HARDWARE: &[(&str, &str, u16, u64)] = &[
    ("Dell Inc.", "PowerEdge R750", 64, 1_099_511_627_776),
    ("HPE", "ProLiant DL380 Gen10 Plus", 56, 824_633_720_832),
    ("Lenovo", "ThinkSystem SR650 V2", 48, 549_755_813_888),
    ("Amazon EC2", "i3en.metal-2tb", 48, 824_633_720_832),
];

pub(super) const HARDWARE_VERSIONS: &[&str] = &["vmx-11", "vmx-13", "vmx-15", "vmx-19", "vmx-20", "vmx-21"];
