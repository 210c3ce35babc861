//! What hosts say of their firmware and their storage adapters.

use crate::props::value::Value;

use super::Of;

/// The firmware: current, or some years old.
pub(super) fn hardware(of: Of<'_>) -> Value {
    let released = of.either("firmware", "2025-02-11T00:00:00Z", "2016-04-05T00:00:00Z");
    let bios = vec![
        ("biosVersion", Value::string(of.either("firmware", "2.19.1", "1.3.6"))),
        ("releaseDate", Value::leaf("xsd:dateTime", released)),
        ("firmwareType", Value::string("UEFI")),
    ];
    Value::record("HostHardwareInfo", vec![("biosInfo", Value::record("HostBIOSInfo", bios))])
}

fn flags(of: &'static str, members: &[&'static str], value: bool) -> Value {
    Value::record(of, members.iter().map(|name| (*name, Value::bool(value))).collect())
}

fn iscsi(of: Of<'_>) -> Value {
    let chap = of.either("iscsi", "chapRequired", "chapProhibited");
    let authentication = vec![
        ("chapAuthEnabled", Value::bool(chap == "chapRequired")),
        ("chapAuthenticationType", Value::string(chap)),
        ("chapInherited", Value::bool(false)),
        ("mutualChapAuthenticationType", Value::string(chap)),
        ("mutualChapInherited", Value::bool(false)),
    ];
    Value::record(
        "HostInternetScsiHba",
        vec![
            ("key", Value::string("key-vim.host.InternetScsiHba-vmhba64")),
            ("device", Value::string("vmhba64")),
            ("bus", Value::int(64)),
            ("status", Value::string("online")),
            ("model", Value::string("iSCSI Software Adapter")),
            ("driver", Value::string("iscsi_vmk")),
            ("storageProtocol", Value::string("scsi")),
            ("isSoftwareBased", Value::bool(true)),
            (
                "discoveryCapabilities",
                flags(
                    "HostInternetScsiHbaDiscoveryCapabilities",
                    &[
                        "iSnsDiscoverySettable",
                        "slpDiscoverySettable",
                        "staticTargetDiscoverySettable",
                        "sendTargetsDiscoverySettable",
                    ],
                    true,
                ),
            ),
            (
                "discoveryProperties",
                flags(
                    "HostInternetScsiHbaDiscoveryProperties",
                    &[
                        "iSnsDiscoveryEnabled",
                        "slpDiscoveryEnabled",
                        "staticTargetDiscoveryEnabled",
                        "sendTargetsDiscoveryEnabled",
                    ],
                    false,
                ),
            ),
            (
                "authenticationCapabilities",
                flags(
                    "HostInternetScsiHbaAuthenticationCapabilities",
                    &["chapAuthSettable", "krb5AuthSettable", "srpAuthSettable", "spkmAuthSettable"],
                    true,
                ),
            ),
            (
                "authenticationProperties",
                Value::record("HostInternetScsiHbaAuthenticationProperties", authentication),
            ),
            (
                "ipCapabilities",
                flags(
                    "HostInternetScsiHbaIPCapabilities",
                    &[
                        "addressSettable",
                        "ipConfigurationMethodSettable",
                        "subnetMaskSettable",
                        "defaultGatewaySettable",
                        "primaryDnsServerAddressSettable",
                        "alternateDnsServerAddressSettable",
                    ],
                    false,
                ),
            ),
            ("ipProperties", flags("HostInternetScsiHbaIPProperties", &["dhcpConfigurationEnabled"], false)),
            ("iScsiName", Value::string(format_args!("iqn.1998-01.com.vmware:{}", of.id))),
        ],
    )
}

/// The storage adapters.
pub(super) fn storage(of: Of<'_>) -> Value {
    let local = Value::record(
        "HostPcieHba",
        vec![
            ("key", Value::string("key-vim.host.PcieHba-vmhba1")),
            ("device", Value::string("vmhba1")),
            ("bus", Value::int(12)),
            ("status", Value::string("unknown")),
            ("model", Value::string("NVMe SSD Controller")),
            ("driver", Value::string("nvme_pcie")),
            ("pci", Value::string("0000:0c:00.0")),
            ("storageProtocol", Value::string("nvme")),
        ],
    );
    let adapters = [local, iscsi(of)].map(Value::named);
    Value::record(
        "HostStorageDeviceInfo",
        vec![
            ("hostBusAdapter", Value::list("HostHostBusAdapter", adapters)),
            ("softwareInternetScsiEnabled", Value::bool(true)),
        ],
    )
}
