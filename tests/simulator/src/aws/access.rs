//! Which action on which resource a call of SSM is, for policies: as the Service Authorization Reference says.

use serde_json::Value;

use super::caller::Wish;
use super::service::Call;
use super::state::State;

/// ARN of a managed node.
pub(crate) fn node_arn(account: &str, region: &str, node: &str) -> String {
    if node.starts_with("i-") {
        return format!("arn:aws:ec2:{region}:{account}:instance/{node}");
    }
    format!("arn:aws:ssm:{region}:{account}:managed-instance/{node}")
}

/// What a call of SSM wants. It may be malformed still.
pub(super) fn wishes(state: &State, call: &Call<'_>) -> Vec<Wish> {
    let caller = call.caller;
    let action = format!("ssm:{}", call.operation);
    let on_node = |member: &str| {
        let id = call.text(member).unwrap_or("*");
        let kind = match call.text("ResourceType") {
            None | Some("ManagedInstance") => "managed-instance".to_owned(),
            Some(other) => other.to_ascii_lowercase(),
        };
        let arn = format!("arn:aws:ssm:{}:{}:{kind}/{id}", caller.region, caller.account);
        let mut wish = Wish::new(action.clone(), arn);
        if let Some((node, _)) = state.region(&caller.account, &caller.region).and_then(|held| held.node(id))
        {
            wish.resource_tags(&node.tags_now());
        }
        wish
    };
    match call.operation {
        "AddTagsToResource" => {
            let mut wish = on_node("ResourceId");
            wish.request_tags(call.input.get("Tags"));
            vec![wish]
        }
        "RemoveTagsFromResource" => {
            let mut wish = on_node("ResourceId");
            wish.tag_keys(call.list("TagKeys").iter().filter_map(Value::as_str).map(str::to_owned).collect());
            vec![wish]
        }
        "ListTagsForResource" => vec![on_node("ResourceId")],
        "DeregisterManagedInstance" => vec![on_node("InstanceId")],
        "CreateActivation" => {
            let mut wish = Wish::new(action, "*".to_owned());
            wish.request_tags(call.input.get("Tags"));
            // Whoever hands a role to nodes must be allowed to hand it on.
            let role =
                format!("arn:aws:iam::{}:role/{}", caller.account, call.text("IamRole").unwrap_or("*"));
            let mut pass = Wish::new("iam:PassRole".to_owned(), role);
            pass.context.insert("iam:passedtoservice".to_owned(), vec!["ssm.amazonaws.com".to_owned()]);
            vec![wish, pass]
        }
        "GetParameter" => {
            let name = call.text("Name").unwrap_or("*");
            let name = name.split(':').next().unwrap_or(name).trim_start_matches('/');
            let arn = format!("arn:aws:ssm:{}:{}:parameter/{name}", caller.region, caller.account);
            vec![Wish::new(action, arn)]
        }
        "UpdateMaintenanceWindow"
        | "DeleteMaintenanceWindow"
        | "RegisterTargetWithMaintenanceWindow"
        | "RegisterTaskWithMaintenanceWindow"
        | "DescribeMaintenanceWindowTargets"
        | "DescribeMaintenanceWindowTasks"
        | "DescribeMaintenanceWindowExecutions"
        | "GetMaintenanceWindowTask" => {
            let id = call.text("WindowId").unwrap_or("*");
            let arn = format!("arn:aws:ssm:{}:{}:maintenancewindow/{id}", caller.region, caller.account);
            let mut wishes = vec![Wish::new(action, arn)];
            if let Some(role) = call.text("ServiceRoleArn") {
                let mut pass = Wish::new("iam:PassRole".to_owned(), role.to_owned());
                pass.context.insert("iam:passedtoservice".to_owned(), vec!["ssm.amazonaws.com".to_owned()]);
                wishes.push(pass);
            }
            wishes
        }
        _ => vec![Wish::new(action, "*".to_owned())],
    }
}
