//! Whether tags can be read.

use vsphere_client::rest::{RestClient, RestError};

use super::course::Finding;

/// Lists categories and tags.
pub(super) async fn check(client: &RestClient) -> Finding {
    let (categories, tags) = match tokio::try_join!(client.list_categories(), client.list_tags()) {
        Ok((categories, tags)) => (categories.len(), tags.len()),
        Err(error) => return failed(&error),
    };
    if tags == 0 {
        let detail = format!("no tags are visible ({categories} categories); fine if there are none");
        let fix = "if there are some in the vSphere Client, give the account's role as a global permission: tags belong to no vCenter's inventory, see docs/privileges.md";
        return Finding::warn((), detail, fix);
    }
    Finding::pass((), format!("{categories} categories, {tags} tags"))
}

fn failed(error: &RestError) -> Finding {
    let fix = if error.is_not_permitted() {
        "give the account's role as a global permission, see docs/privileges.md"
    } else if error.is_login_refused() {
        "the same account was accepted by the SOAP interface; look at the state of vCenter's services (vapi-endpoint, tagging) on the appliance management page (port 5480)"
    } else {
        "look at the state of the service vapi-endpoint on the appliance management page (port 5480); without it VMs are known, but not their tags"
    };
    Finding::fail(format!("tags cannot be read: {}", error.line()), fix)
}
