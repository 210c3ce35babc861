//! What VMware Tools report about a guest.

use crate::world::vm::{Guest, GuestNic};
use crate::xml::Xml;

fn text(xml: &mut Xml, tag: &str, value: Option<&str>) -> bool {
    value.is_some_and(|value| {
        xml.typed_text(tag, "xsd:string", value);
        true
    })
}

/// Writes one property of the guest; false when it is unset.
pub(super) fn write(guest: &Guest, path: &str, tag: &str, xml: &mut Xml) -> bool {
    match path {
        "toolsRunningStatus" => text(xml, tag, Some(guest.tools_running)),
        "toolsVersionStatus2" => text(xml, tag, Some(guest.tools_version_status2)),
        // The real server says "0" when no Tools were ever seen.
        "toolsVersion" => {
            xml.typed_val(tag, "xsd:string", guest.tools_version.unwrap_or(0));
            true
        }
        "guestFamily" => text(xml, tag, guest.family),
        "guestId" => text(xml, tag, guest.id),
        "guestFullName" => text(xml, tag, guest.full_name),
        "guestState" => text(xml, tag, Some(guest.state)),
        "guestOperationsReady" => guest.operations_ready.is_some_and(|ready| {
            xml.typed_val(tag, "xsd:boolean", ready);
            true
        }),
        "hostName" => text(xml, tag, guest.host_name.as_deref()),
        "ipAddress" => text(xml, tag, guest.ip.as_deref()),
        "net" => {
            xml.open_typed(tag, "ArrayOfGuestNicInfo");
            for nic in &guest.nics {
                xml.open_typed("GuestNicInfo", "GuestNicInfo");
                adapter(nic, xml);
                xml.close("GuestNicInfo");
            }
            xml.close(tag);
            true
        }
        _ => false,
    }
}

/// The whole `GuestInfo`.
pub(super) fn whole(guest: &Guest, tag: &str, xml: &mut Xml) {
    xml.open_typed(tag, "GuestInfo");
    xml.val("toolsStatus", tools_status(guest));
    xml.val("toolsVersionStatus2", guest.tools_version_status2);
    xml.val("toolsRunningStatus", guest.tools_running);
    xml.val("toolsVersion", guest.tools_version.unwrap_or(0));
    xml.opt("guestId", guest.id);
    xml.opt("guestFamily", guest.family);
    xml.opt("guestFullName", guest.full_name);
    xml.opt("hostName", guest.host_name.as_deref());
    xml.opt("ipAddress", guest.ip.as_deref());
    for nic in &guest.nics {
        xml.open("net");
        adapter(nic, xml);
        xml.close("net");
    }
    xml.val("guestState", guest.state);
    if let Some(ready) = guest.operations_ready {
        xml.val("guestOperationsReady", ready);
    }
    xml.close(tag);
}

/// The elements of `VirtualMachineGuestSummary`.
pub(super) fn summary(guest: &Guest, xml: &mut Xml) {
    xml.opt("guestId", guest.id);
    xml.opt("guestFullName", guest.full_name);
    xml.val("toolsStatus", tools_status(guest));
    xml.val("toolsVersionStatus2", guest.tools_version_status2);
    xml.val("toolsRunningStatus", guest.tools_running);
    xml.opt("hostName", guest.host_name.as_deref());
    xml.opt("ipAddress", guest.ip.as_deref());
}

fn tools_status(guest: &Guest) -> &'static str {
    match (guest.tools_version, guest.tools_running) {
        (None, _) => "toolsNotInstalled",
        (Some(_), "guestToolsRunning") => "toolsOk",
        _ => "toolsNotRunning",
    }
}

fn adapter(nic: &GuestNic, xml: &mut Xml) {
    xml.opt("network", nic.network.as_deref());
    for address in &nic.addresses {
        xml.val("ipAddress", &address.ip);
    }
    xml.text("macAddress", &mac(nic.mac));
    xml.val("connected", true);
    xml.val("deviceConfigId", nic.device_key);
    xml.open("ipConfig");
    for address in &nic.addresses {
        xml.open("ipAddress");
        xml.val("ipAddress", &address.ip);
        xml.val("prefixLength", address.prefix);
        xml.opt("state", address.state);
        xml.close("ipAddress");
    }
    xml.close("ipConfig");
}

/// `00:50:56:81:22:33`
pub(crate) fn mac(bytes: [u8; 6]) -> String {
    let [a, b, c, d, e, f] = bytes;
    format!("{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
}
