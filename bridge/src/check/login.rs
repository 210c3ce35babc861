//! Why a log-in was refused, in the words that get it fixed.

use vsphere_client::error::{Error, ErrorKind};
use vsphere_client::soap::FaultKind;

/// What happened, and what to do about it.
pub(super) fn explain(error: &Error, username: &str) -> (String, String) {
    let line = error.line();
    let fix = match error.kind() {
        ErrorKind::Fault(fault) => return refused(&fault.kind, &fault.message, username, line),
        ErrorKind::Status(502..=504) => {
            "vCenter's API is not up: wait if it is starting, else look at the state of the service vpxd on the appliance management page (port 5480)"
        }
        ErrorKind::Status(401 | 403) => {
            "something in front of vCenter refuses the request; let vmbridge reach vCenter directly"
        }
        ErrorKind::Status(_) | ErrorKind::Decode(_) | ErrorKind::Missing(_) => {
            "is the url that of a vCenter, with nothing in between that answers in its place?"
        }
        ErrorKind::Unsupported(_) => {
            "vmbridge works with vCenter 6.7 to 9; correct the url, or update the vCenter"
        }
        _ => "try again; if it stays so, look at the vCenter's health and at what is between here and there",
    };
    (line, fix.to_owned())
}

fn refused(kind: &FaultKind, message: &str, username: &str, line: String) -> (String, String) {
    let locked = message.to_ascii_lowercase().contains("locked");
    match kind {
        FaultKind::InvalidLogin if locked => (
            format!("the account {username} is locked: {message}"),
            "wait until the lock-out time has passed, or unlock it (Administration > Single Sign On > Users); then correct the password here first, or it will be locked again"
                .to_owned(),
        ),
        FaultKind::InvalidLogin => (
            format!("vCenter refused {username}: {message}"),
            "the user name (with its domain) or the password is wrong, or the account is disabled or locked: vCenter does not tell which; log in with both in the vSphere Client to find out"
                .to_owned(),
        ),
        FaultKind::NoPermission { .. } => (
            format!("the password of {username} is right, but the account has no permission in this vCenter"),
            "give it a role at the vCenter's root, propagated to children; see docs/privileges.md".to_owned(),
        ),
        FaultKind::Other(name) if name == "PasswordExpired" => (
            format!("the password of {username} has expired"),
            "set a new one, write it to where the configuration refers to, and consider a policy without expiry for service accounts"
                .to_owned(),
        ),
        _ => (line, "the server's own log (/var/log/vmware/vpxd/vpxd.log, /var/log/vmware/sso) says more".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: &FaultKind, message: &str) -> (String, String) {
        refused(kind, message, "reader@vsphere.local", "Login at dc1: …".into())
    }

    #[test]
    fn a_refusal_that_could_be_several_things_says_so() {
        let message = "Cannot complete login due to an incorrect user name or password.";
        let (detail, fix) = told(&FaultKind::InvalidLogin, message);
        assert_eq!(detail, format!("vCenter refused reader@vsphere.local: {message}"));
        assert!(fix.contains("vCenter does not tell which"));
    }

    #[test]
    fn locked_expired_and_without_permission_are_told_apart() {
        let locked =
            told(&FaultKind::InvalidLogin, "User account is locked. Please contact your administrator.");
        assert!(locked.0.contains("is locked") && locked.1.contains("unlock"));
        let expired = told(&FaultKind::Other("PasswordExpired".into()), "");
        assert!(expired.0.ends_with("has expired"));
        let nothing = told(&FaultKind::NoPermission { object: None, privilege: "System.View".into() }, "");
        assert!(nothing.0.contains("is right, but") && nothing.1.contains("docs/privileges.md"));
        let other = told(&FaultKind::Other("VimFault".into()), "");
        assert_eq!(other.0, "Login at dc1: …");
    }
}
