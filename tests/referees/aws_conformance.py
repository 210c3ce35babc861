"""Judges the AWS of a running vmbridge-simulator by boto3 and by botocore's service models.

    .venv/bin/python tests/referees/aws_conformance.py --endpoints run/endpoints.json

The simulator must have been started with --aws-nodes and two accounts, and is changed by this. Prints `N checks`; ends with
1 and a list when some failed.
"""

import argparse
import json
import subprocess
import sys
import time
import xml.etree.ElementTree
from pathlib import Path

import botocore.session
from botocore.exceptions import ClientError

import aws_fuzz
import aws_moto
from aws_endpoint import Aws
from aws_models import PLAYED

# The codes by which a request is refused for its form.
REFUSALS = {
    "ssm": {"ValidationException", "SerializationException"},
    "sts": {"ValidationError", "SerializationException"},
    "resourcegroupstaggingapi": {"InvalidParameterException", "SerializationException"},
    "securityhub": {"InvalidInputException", "SerializationException"},
    "resource-groups": {"BadRequestException", "SerializationException"},
}
NODE = "ManagedInstance"


class Checks:
    """Counts, and remembers what failed."""

    def __init__(self):
        self.count = 0
        self.failed = []

    def that(self, what, holds, detail=""):
        self.count += 1
        if not holds:
            self.failed.append(f"{what}: {str(detail)[:400]}")

    def equal(self, what, found, wanted):
        self.that(what, found == wanted, f"{found!r} is not {wanted!r}")

    def refuses(self, what, code, call, status=400, message=None):
        """A call that must fail with this code, in the way in which boto3 tells it."""
        try:
            found = call()
        except ClientError as error:
            told = error.response
            found = (told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"])
            self.equal(what, found, (code, status))
            self.that(f"{what} has a request id", told["ResponseMetadata"].get("RequestId"), told)
            if message is not None:
                self.equal(f"{what}: message", told["Error"]["Message"], message)
            return error
        self.that(what, False, f"it worked: {found!r}")
        return None


def code_of(answer):
    """The code of a raw answer, in any protocol; None for a good one."""
    if answer.status < 400:
        return None
    if "x-amzn-errortype" in answer.headers:
        return answer.headers["x-amzn-errortype"]
    if answer.headers["content-type"].startswith("text/xml"):
        return xml.etree.ElementTree.fromstring(answer.body).findtext(".//{*}Code")
    if answer.headers["content-type"] == "application/cbor":
        found = [code for codes in REFUSALS.values() for code in codes if code.encode() in answer.body]
        return found[0] if found else "?"
    return json.loads(answer.body)["__type"]


def identity(checks, aws):
    sts = aws.client("sts")
    account = aws.accounts[0]
    who = sts.get_caller_identity()
    checks.equal("account", who["Account"], account["id"])
    checks.equal("ARN", who["Arn"], account["userArn"])
    wrong, unknown = {"aws_secret_access_key": "wrong"}, {"aws_access_key_id": "AKIAUNKNOWN000000000"}
    for service, call, bad_key, bad_secret, status in [
        ("sts", "get_caller_identity", "InvalidClientTokenId", "SignatureDoesNotMatch", 403),
        ("ssm", "describe_activations", "UnrecognizedClientException", "InvalidSignatureException", 400),
        ("resourcegroupstaggingapi", "get_resources", "UnrecognizedClientException", "InvalidSignatureException", 400),
        ("securityhub", "describe_hub", "UnrecognizedClientException", "InvalidSignatureException", 403),
    ]:
        checks.refuses(f"{service} wrong secret", bad_secret, getattr(aws.client(service, **wrong), call), status)
        checks.refuses(f"{service} unknown key", bad_key, getattr(aws.client(service, **unknown), call), status)
        signed = getattr(aws.client(service), call)()
        checks.equal(f"{service} signed", signed["ResponseMetadata"]["HTTPStatusCode"], 200)
    other = aws.accounts[1]
    role = {"RoleArn": other["roleArn"], "RoleSessionName": "conformance"}
    given = sts.assume_role(**role, DurationSeconds=900)
    session = given["Credentials"]
    left = session["Expiration"].timestamp() - time.time()
    checks.that("a session ends when asked for", 850 < left < 910, left)
    whom = aws.client("sts", session=session).get_caller_identity()
    checks.equal("assumed role", whom["Arn"], given["AssumedRoleUser"]["Arn"])
    checks.equal("assumed account", whom["Account"], other["id"])
    checks.refuses("no such role", "AccessDenied", lambda: sts.assume_role(**{**role, "RoleArn": role["RoleArn"] + "x"}), 403)
    broken = {**session, "SessionToken": session["SessionToken"][:-4] + "AAAA"}
    checks.refuses("another token", "InvalidClientTokenId", aws.client("sts", session=broken).get_caller_identity, 403)
    aws.control("POST", "/aws/mutate", {"op": "expireSessions"})
    checks.refuses("session over", "ExpiredTokenException", aws.client("ssm", session=session).describe_activations)
    checks.refuses("session over at STS", "ExpiredToken", aws.client("sts", session=session).get_caller_identity, 403)
    elsewhere = aws.client("ssm", region_name="ap-south-2")
    checks.refuses("Region not switched on", "UnrecognizedClientException", elsewhere.describe_activations)


def nodes(checks, aws):
    ssm = aws.client("ssm")
    region = aws.control("GET", "/aws/truth")["accounts"][0]["regions"][0]
    known = {node["instanceId"]: node for node in region["nodes"]}
    for size in (5, 7, 50):
        pages = ssm.get_paginator("describe_instance_information").paginate(PaginationConfig={"PageSize": size})
        found = [node for page in pages for node in page["InstanceInformationList"]]
        checks.equal(f"pages of {size}", sorted(node["InstanceId"] for node in found), sorted(known))
    for node in found:
        truth = known[node["InstanceId"]]
        pairs = [("ComputerName", "computerName"), ("IPAddress", "ipAddress"), ("PingStatus", "pingStatus"),
                 ("PlatformType", "platformType"), ("ActivationId", "activationId"), ("AgentVersion", "agentVersion")]
        checks.equal("node", [node.get(theirs) for theirs, _ in pairs], [truth[ours] for _, ours in pairs])
    for key, values, test in [
        ("PingStatus", ["ConnectionLost"], lambda node: node["pingStatus"] == "ConnectionLost"),
        ("PlatformTypes", ["Windows"], lambda node: node["platformType"] == "Windows"),
        ("ResourceType", ["ManagedInstance"], lambda node: True),
        ("tag-key", ["CostCenter"], lambda node: "CostCenter" in node["tags"]),
        ("tag:CostCenter", ["4711"], lambda node: node["tags"].get("CostCenter") == "4711"),
    ]:
        pages = ssm.get_paginator("describe_instance_information").paginate(Filters=[{"Key": key, "Values": values}])
        found = {node["InstanceId"] for page in pages for node in page["InstanceInformationList"]}
        checks.equal(f"filter {key}", found, {id for id, node in known.items() if test(node)})
    pages = ssm.get_paginator("describe_activations").paginate(PaginationConfig={"PageSize": 3})
    found = {activation["ActivationId"]: activation for page in pages for activation in page["ActivationList"]}
    checks.equal("activations", set(found), {activation["activationId"] for activation in region["activations"]})
    for activation in region["activations"]:
        theirs = found[activation["activationId"]]
        checks.equal("activation", (theirs["Description"], theirs["RegistrationsCount"]),
                     (activation["description"], activation["registrationsCount"]))
    checks.refuses("page size", "ValidationException", lambda: ssm.describe_instance_information(MaxResults=4), message=(
        "1 validation error detected: Value '4' at 'maxResults' failed to satisfy constraint: Member must have value "
        "greater than or equal to 5"))
    checks.refuses("token", "InvalidNextToken", lambda: ssm.describe_instance_information(NextToken="x"))
    checks.refuses("filter", "InvalidFilterKey", lambda: ssm.describe_instance_information(
        Filters=[{"Key": "Colour", "Values": ["red"]}]))
    checks.refuses("filter value", "InvalidInstanceInformationFilterValue", lambda: ssm.describe_instance_information(
        Filters=[{"Key": "PingStatus", "Values": ["red"]}]))

    # From an activation to a node, and its end.
    made = ssm.create_activation(IamRole="vmbridge-node", RegistrationLimit=1, DefaultInstanceName="made",
                                 Tags=[{"Key": "Site", "Value": "Bonn"}], ExpirationDate=int(time.time()) + 3600)
    node = aws.control("POST", "/aws/mutate", {"op": "addNode", "activation": made["ActivationId"]})["made"]
    listed = ssm.list_tags_for_resource(ResourceType=NODE, ResourceId=node)
    checks.equal("tags of an activation", listed["TagList"], [{"Key": "Site", "Value": "Bonn"}])
    ssm.delete_activation(ActivationId=made["ActivationId"])
    error = checks.refuses("deleted", "InvalidActivationId", lambda: ssm.delete_activation(ActivationId=made["ActivationId"]))
    checks.that("the error has its class", isinstance(error, ssm.exceptions.InvalidActivationId), type(error))
    checks.refuses("expiry", "InvalidParameters", lambda: ssm.create_activation(
        IamRole="vmbridge-node", ExpirationDate=int(time.time()) + 31 * 86400))
    checks.refuses("role", "InvalidParameters", lambda: ssm.create_activation(IamRole="nobody"))
    ssm.deregister_managed_instance(InstanceId=node)
    checks.refuses("deregistered", "InvalidInstanceId", lambda: ssm.deregister_managed_instance(InstanceId=node))


def tags(checks, aws):
    ssm, tagging = aws.client("ssm"), aws.client("resourcegroupstaggingapi")
    node = aws.control("POST", "/aws/mutate", {"op": "addNode"})["made"]
    arn = f"arn:aws:ssm:{aws.region}:{aws.accounts[0]['id']}:managed-instance/{node}"
    on = {"ResourceType": NODE, "ResourceId": node}

    def listed():
        pages = tagging.get_paginator("get_resources").paginate(ResourceTypeFilters=["ssm:managed-instance"])
        all_pages = [resource for page in pages for resource in page["ResourceTagMappingList"]]
        return {resource["ResourceARN"]: {tag["Key"]: tag["Value"] for tag in resource["Tags"]} for resource in all_pages}

    checks.that("never tagged, not listed", arn not in listed())
    ssm.add_tags_to_resource(**on, Tags=[{"Key": "Patch Group", "Value": "b\u00fcro_.:/=+-@ 1"}])
    checks.equal("listed", listed().get(arn), {"Patch Group": "b\u00fcro_.:/=+-@ 1"})
    ssm.remove_tags_from_resource(**on, TagKeys=["Patch Group", "absent"])
    checks.equal("tagged once, listed", listed().get(arn), {})
    truth = aws.control("GET", "/aws/truth")["accounts"][0]["regions"][0]["nodes"]
    checks.equal("all tags", sorted(map(str, listed().values())),
                 sorted(str(node["tags"]) for node in truth if node["everTagged"]))
    fifty = [{"Key": f"k{at}", "Value": "v"} for at in range(50)]
    ssm.add_tags_to_resource(**on, Tags=fifty)
    ssm.add_tags_to_resource(**on, Tags=[{"Key": "k0", "Value": "changed"}])
    error = checks.refuses("51st tag", "TooManyTagsError", lambda: ssm.add_tags_to_resource(
        **on, Tags=[{"Key": "one more", "Value": ""}]))
    checks.that("the error has its class", isinstance(error, ssm.exceptions.TooManyTagsError), type(error))
    for what, tag in [
        ("charset of a key", {"Key": "a,b", "Value": ""}),
        ("charset of a value", {"Key": "a", "Value": "0 0 ? * SUN"}),
        ("reserved", {"Key": "aws:x", "Value": ""}),
        ("long key", {"Key": "k" * 129, "Value": ""}),
        ("long value", {"Key": "k", "Value": "v" * 257}),
    ]:
        checks.refuses(what, "ValidationException", lambda tag=tag: ssm.add_tags_to_resource(**on, Tags=[tag]))
    checks.refuses("twice", "ValidationException", lambda: ssm.add_tags_to_resource(
        **on, Tags=[{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]))
    checks.refuses("no such node", "InvalidResourceId", lambda: ssm.list_tags_for_resource(
        ResourceType=NODE, ResourceId="mi-00000000000000000"))
    checks.refuses("resource type", "ValidationException", lambda: ssm.list_tags_for_resource(ResourceType="Node", ResourceId=node))
    for what, arguments in [
        ("page", {"ResourcesPerPage": 101}),
        ("page of tags", {"TagsPerPage": 99}),
        ("token", {"PaginationToken": "x"}),
        ("ARNs and page", {"ResourceARNList": [arn], "ResourcesPerPage": 1}),
        ("ARNs and types", {"ResourceARNList": [arn], "ResourceTypeFilters": ["ssm"]}),
    ]:
        checks.refuses(what, "InvalidParameterException", lambda arguments=arguments: tagging.get_resources(**arguments))

    # Reads that lag behind.
    aws.control("POST", "/aws/settings", {"readDelay": {"tagging": 1.0}})
    ssm.add_tags_to_resource(**on, Tags=[{"Key": "k0", "Value": "late"}])
    checks.equal("before the delay", listed()[arn]["k0"], "changed")
    time.sleep(1.1)
    checks.equal("after the delay", listed()[arn]["k0"], "late")
    aws.control("POST", "/aws/settings", {"readDelay": 0})
    ssm.deregister_managed_instance(InstanceId=node)
    checks.that("deregistered, not listed", arn not in listed())


def limits(checks, aws):
    aws.control("POST", "/aws/settings", {"throttle": {"rate": 0.001, "burst": 1}})
    for service, call, code, status in [
        ("ssm", "describe_activations", "ThrottlingException", 400),
        ("resourcegroupstaggingapi", "get_resources", "ThrottledException", 400),
        ("sts", "get_caller_identity", "Throttling", 400),
        ("securityhub", "describe_hub", "TooManyRequestsException", 429),
    ]:
        client = aws.client(service)
        getattr(client, call)()
        checks.refuses(f"{service} throttled", code, getattr(client, call), status)
    aws.control("POST", "/aws/settings", {"throttle": {"rate": 5, "burst": 1}})
    patient = aws.client("ssm", attempts=10)
    patient.describe_activations()
    retried = patient.describe_activations()["ResponseMetadata"]["RetryAttempts"]
    checks.that("boto3 takes throttling for what it is", retried > 0, retried)
    aws.control("POST", "/aws/settings", {"throttle": None})
    rule = {"vcenter": "aws", "operation": "ssm:DescribeActivations"}
    for effect, code, status in [
        ({"kind": "awsError", "code": "InternalServerError", "status": 500, "message": "m"}, "InternalServerError", 500),
        ({"kind": "expireSession"}, "ExpiredTokenException", 400),
    ]:
        aws.control("POST", "/faults", {"clear": True, "add": [{**rule, "effect": effect}]})
        checks.refuses("fault", code, aws.client("ssm").describe_activations, status)
    aws.control("POST", "/faults", {"clear": True})


CLIENT = """
import sys
sys.path.insert(0, sys.argv[1])
from aws_endpoint import Aws
ssm = Aws(sys.argv[2]).client("ssm")
ssm.add_tags_to_resource(ResourceType="ManagedInstance", ResourceId=sys.argv[3], Tags=[{"Key": "killed", "Value": sys.argv[4]}])
"""


def killed(checks, aws):
    """A call that is held before its effect and whose client is killed has no effect; after it, it has."""
    node = aws.control("POST", "/aws/mutate", {"op": "addNode"})["made"]
    here = str(Path(__file__).resolve().parent)
    for round, (point, applied) in enumerate([("holdBefore", 0), ("holdAfter", 1)] * 4):
        aws.control("POST", "/effects/clear", {})
        rule = {"vcenter": "aws", "operation": "ssm:AddTagsToResource", "effect": {"kind": point}}
        aws.control("POST", "/faults", {"clear": True, "add": [rule]})
        client = subprocess.Popen([sys.executable, "-c", CLIENT, here, aws.endpoints, node, f"{point} {round}"])
        deadline = time.monotonic() + 30
        while not aws.control("GET", "/holds") and time.monotonic() < deadline:
            time.sleep(0.01)
        checks.equal(f"{point} holds", [held["operation"] for held in aws.control("GET", "/holds")], ["ssm:AddTagsToResource"])
        client.kill()
        client.wait()
        released = aws.control("POST", "/holds/release", {})["released"]
        time.sleep(0.2)
        effects = aws.control("GET", "/aws/effects")
        checks.equal(f"{point} and killed (released {released})", len(effects), applied)
    aws.control("POST", "/aws/mutate", {"op": "removeNode", "node": node})


def policies(checks, aws):
    user = aws.accounts[0]["userArn"]
    node = aws.control("POST", "/aws/mutate", {"op": "addNode"})["made"]
    allow = {"Effect": "Allow", "Action": ["ssm:Describe*", "ssm:AddTagsToResource"], "Resource": "*"}
    deny = {"Effect": "Deny", "Action": "ssm:AddTagsToResource", "Resource": "*",
            "Condition": {"ForAnyValue:StringLike": {"aws:TagKeys": ["Cost*"]}}}
    aws.control("POST", "/aws/policy", {"principal": user, "policy": {"Version": "2012-10-17", "Statement": [allow, deny]}})
    ssm = aws.client("ssm")
    ssm.describe_activations()
    arn = f"arn:aws:ssm:{aws.region}:{aws.accounts[0]['id']}:managed-instance/{node}"
    on = {"ResourceType": NODE, "ResourceId": node}
    ssm.add_tags_to_resource(**on, Tags=[{"Key": "a", "Value": "b"}])
    refused = f"User: {user} is not authorized to perform: ssm:"
    checks.refuses("not allowed", "AccessDeniedException", lambda: ssm.remove_tags_from_resource(**on, TagKeys=["a"]), message=(
        f"{refused}RemoveTagsFromResource on resource: {arn} because no identity-based policy allows the "
        "ssm:RemoveTagsFromResource action"))
    checks.refuses("denied", "AccessDeniedException",
                   lambda: ssm.add_tags_to_resource(**on, Tags=[{"Key": "CostCenter", "Value": "1"}]),
                   message=f"{refused}AddTagsToResource on resource: {arn} with an explicit deny in an identity-based policy")
    checks.refuses("tagging", "AccessDeniedException", aws.client("resourcegroupstaggingapi").get_resources)
    checks.refuses("findings", "AccessDeniedException", aws.client("securityhub").get_findings, 403)
    checks.refuses("role", "AccessDenied", lambda: aws.client("sts").assume_role(
        RoleArn=aws.accounts[1]["roleArn"], RoleSessionName="conformance"), 403)
    aws.client("sts").get_caller_identity()
    aws.control("POST", "/aws/policy", {"principal": user, "policy": None})
    ssm.deregister_managed_instance(InstanceId=node)


def windows(checks, aws):
    """What boto3 makes, boto3 finds again; and what a window does to its nodes."""
    ssm = aws.client("ssm")
    made = dict(Name="patch-night", Description="d", Schedule="cron(0 2 ? * SUN#2 *)", ScheduleTimezone="Europe/Berlin",
                ScheduleOffset=2, Duration=3, Cutoff=1, StartDate="2026-01-01T00:00:00Z", EndDate="2099-01-01T00:00:00Z")
    id = ssm.create_maintenance_window(**made, AllowUnassociatedTargets=False)["WindowId"]

    def found(**more):
        pages = ssm.get_paginator("describe_maintenance_windows").paginate(
            **more, PaginationConfig={"PageSize": 10})
        return {window["WindowId"]: window for page in pages for window in page["WindowIdentities"]}

    window = found()[id]
    next_time = window.pop("NextExecutionTime")
    checks.equal("window", window, {**made, "WindowId": id, "Enabled": True})
    schedule = ssm.get_paginator("describe_maintenance_window_schedule").paginate(
        WindowId=id, PaginationConfig={"PageSize": 7, "MaxItems": 20})
    coming = [one for page in schedule for one in page["ScheduledWindowExecutions"]]
    checks.equal("coming", (len(coming), coming[0]), (20, {"WindowId": id, "Name": made["Name"], "ExecutionTime": next_time}))
    times = [one["ExecutionTime"] for one in coming]
    checks.equal("coming in order", times, sorted(set(times)))
    checks.that("by the clock of the zone", all(time[11:16] in ("00:00", "01:00") for time in times), times)

    target = dict(ResourceType="INSTANCE", Name="target", Description="d", OwnerInformation="o", Targets=[
        {"Key": "tag:Patch Group", "Values": ["web", "db"]}, {"Key": "tag-key", "Values": ["Site"]}])
    target_id = ssm.register_target_with_maintenance_window(WindowId=id, **target)["WindowTargetId"]
    checks.equal("targets", ssm.describe_maintenance_window_targets(WindowId=id)["Targets"],
                 [{**target, "WindowId": id, "WindowTargetId": target_id}])
    task = dict(Targets=[{"Key": "WindowTargetIds", "Values": [target_id]}], TaskArn="AWS-RunPatchBaselineWithHooks",
                Priority=1, MaxConcurrency="50%", MaxErrors="100%", Name="patch", Description="d",
                ServiceRoleArn=f"arn:aws:iam::{aws.accounts[0]['id']}:role/r", CutoffBehavior="CONTINUE_TASK")
    parameters = {"RunCommand": {"Parameters": {"Operation": ["Install"], "PreInstallHookDocName": ["hold"]}, "TimeoutSeconds": 600}}
    task_id = ssm.register_task_with_maintenance_window(
        WindowId=id, TaskType="RUN_COMMAND", **task, TaskInvocationParameters=parameters)["WindowTaskId"]
    checks.equal("tasks", ssm.describe_maintenance_window_tasks(WindowId=id)["Tasks"],
                 [{**task, "Type": "RUN_COMMAND", "WindowId": id, "WindowTaskId": task_id}])
    got = ssm.get_maintenance_window_task(WindowId=id, WindowTaskId=task_id)
    got.pop("ResponseMetadata")
    checks.equal("task", got, {**task, "TaskType": "RUN_COMMAND", "TaskInvocationParameters": parameters,
                               "WindowId": id, "WindowTaskId": task_id})

    changed = ssm.update_maintenance_window(WindowId=id, Schedule="rate(1 hour)", Enabled=False, Replace=True, Name="hourly",
                                            Duration=1, Cutoff=0)
    checks.equal("replaced", (changed["Name"], changed.get("Description")), ("hourly", None))
    checks.equal("a window that is switched off", found(Filters=[{"Key": "Enabled", "Values": ["False"]}])[id], {
        "WindowId": id, "Name": "hourly", "Enabled": False, "Schedule": "rate(1 hour)", "Duration": 1, "Cutoff": 0})
    checks.equal("does not open", ssm.describe_maintenance_window_schedule(WindowId=id)["ScheduledWindowExecutions"], [])
    ssm.update_maintenance_window(WindowId=id, Enabled=True)

    node = aws.control("POST", "/aws/mutate", {"op": "addNode", "tags": {"Patch Group": "db", "Site": "Ulm"}})["made"]
    aws.control("POST", "/aws/mutate", {"op": "setMissing", "node": node, "missing": 4})
    aws.control("POST", "/aws/mutate", {"op": "setPatching", "outcome": "installed", "seconds": 60})
    checks.equal("never patched", ssm.describe_instance_patch_states(InstanceIds=[node])["InstancePatchStates"], [])
    aws.control("POST", "/aws/mutate", {"op": "skipTime", "seconds": 3660})
    executions = ssm.describe_maintenance_window_executions(WindowId=id)["WindowExecutions"]
    checks.equal("executions", [(one["Status"], "EndTime" in one) for one in executions], [("SUCCESS", True)])
    execution = executions[0]["WindowExecutionId"]
    tasks = ssm.describe_maintenance_window_execution_tasks(WindowExecutionId=execution)["WindowExecutionTaskIdentities"]
    checks.equal("tasks of it", [(one["TaskArn"], one["TaskType"], one["Status"]) for one in tasks],
                 [("AWS-RunPatchBaselineWithHooks", "RUN_COMMAND", "SUCCESS")])
    invocations = ssm.describe_maintenance_window_execution_task_invocations(
        WindowExecutionId=execution, TaskId=tasks[0]["TaskExecutionId"])["WindowExecutionTaskInvocationIdentities"]
    checks.equal("invocations", [(one["Status"], one["WindowTargetId"]) for one in invocations], [("SUCCESS", target_id)])
    state = ssm.describe_instance_patch_states(InstanceIds=[node])["InstancePatchStates"][0]
    checks.equal("patched", (state["Operation"], state["InstalledCount"], state["MissingCount"], state["PatchGroup"]),
                 ("Install", 4, 0, "db"))
    after = executions[0]["StartTime"].isoformat()
    late = ssm.describe_maintenance_window_executions(WindowId=id, Filters=[{"Key": "ExecutedAfter", "Values": [after]}])
    checks.equal("executed after", late["WindowExecutions"], [])

    groups = aws.client("resource-groups")
    aws.control("POST", "/aws/mutate", {"op": "setGroup", "name": "fleet", "tags": {"Site": "Ulm"}})
    members = groups.list_group_resources(Group="fleet", Filters=[{"Name": "resource-type", "Values": ["AWS::SSM::ManagedInstance"]}])
    arn = f"arn:aws:ssm:{aws.region}:{aws.accounts[0]['id']}:managed-instance/{node}"
    checks.equal("group", [one["Identifier"]["ResourceArn"] for one in members["Resources"]], [arn])
    checks.refuses("no such group", "NotFoundException", lambda: groups.list_group_resources(Group="nobody"), 404)

    for what, code, call in [
        ("schedule", "ValidationException", lambda: ssm.create_maintenance_window(
            **{**made, "Schedule": "cron(0 2 ? * SUN)"}, AllowUnassociatedTargets=True)),
        ("cutoff", "ValidationException", lambda: ssm.create_maintenance_window(
            **{**made, "Cutoff": 3}, AllowUnassociatedTargets=True)),
        ("time zone", "ValidationException", lambda: ssm.create_maintenance_window(
            **{**made, "ScheduleTimezone": "Mars"}, AllowUnassociatedTargets=True)),
        ("target key", "ValidationException", lambda: ssm.register_target_with_maintenance_window(
            WindowId=id, ResourceType="INSTANCE", Targets=[{"Key": "Colour", "Values": ["red"]}])),
        ("no such window", "DoesNotExistException", lambda: ssm.describe_maintenance_window_targets(WindowId="mw-" + "0" * 17)),
        ("no such task", "DoesNotExistException", lambda: ssm.get_maintenance_window_task(WindowId=id, WindowTaskId=target_id)),
        ("no such execution", "DoesNotExistException", lambda: ssm.describe_maintenance_window_execution_tasks(
            WindowExecutionId=target_id)),
    ]:
        checks.refuses(what, code, call)
    ssm.delete_maintenance_window(WindowId=id)
    checks.that("deleted", id not in found())
    ssm.deregister_managed_instance(InstanceId=node)


def finding(aws, id="conformance/1"):
    account = aws.accounts[0]["id"]
    return {
        "SchemaVersion": "2018-10-08", "Id": id, "GeneratorId": "vmbridge", "AwsAccountId": account,
        "ProductArn": f"arn:aws:securityhub:{aws.region}:{account}:product/{account}/default",
        "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": "2026-01-01T00:00:00Z", "Title": "t", "Description": "d",
        "Severity": {"Label": "HIGH"}, "Resources": [{"Type": "Other", "Id": "mi-1"}],
        "Compliance": {"Status": "FAILED"},
    }


def findings(checks, aws):
    hub = aws.client("securityhub")
    checks.that("hub", hub.describe_hub()["HubArn"].endswith(":hub/default"))
    checks.refuses("other hub", "ResourceNotFoundException", lambda: hub.describe_hub(HubArn="arn:aws:x"), 404)
    bad = {**finding(aws, "bad"), "Title": "t" * 257}
    many = [finding(aws, f"conformance/{at}") for at in range(12)]
    answer = hub.batch_import_findings(Findings=[*many, bad])
    checks.equal("imported", (answer["SuccessCount"], answer["FailedCount"]), (12, 1))
    checks.equal("not imported", answer["FailedFindings"][0]["Id"], "bad")
    pages = hub.get_paginator("get_findings").paginate(
        Filters={"Id": [{"Value": "conformance/", "Comparison": "PREFIX"}]}, PaginationConfig={"PageSize": 5})
    found = [one for page in pages for one in page["Findings"]]
    checks.equal("findings", {one["Id"] for one in found}, {one["Id"] for one in many})
    checks.equal("life begins", {(one["Workflow"]["Status"], one["RecordState"]) for one in found}, {("NEW", "ACTIVE")})
    key = {"Id": "conformance/3", "ProductArn": many[0]["ProductArn"]}
    answer = hub.batch_update_findings(FindingIdentifiers=[key, {**key, "Id": "nobody"}], Workflow={"Status": "RESOLVED"},
                                       Note={"Text": "done", "UpdatedBy": "conformance"})
    checks.equal("updated", answer["ProcessedFindings"], [key])
    checks.equal("not updated", answer["UnprocessedFindings"][0]["ErrorCode"], "FindingNotFound")

    def state():
        got = hub.get_findings(Filters={"Id": [{"Value": "conformance/3", "Comparison": "EQUALS"}]})["Findings"][0]
        return got["Compliance"]["Status"], got["Workflow"]["Status"], got["Note"]["Text"]

    for minute, status, wanted in [
        (0, "PASSED", ("FAILED", "RESOLVED", "done")),
        (1, "PASSED", ("PASSED", "RESOLVED", "done")),
        (2, "FAILED", ("FAILED", "NEW", "done")),
    ]:
        newer = {**many[3], "UpdatedAt": f"2026-01-01T00:0{minute}:00Z", "Compliance": {"Status": status},
                 "Workflow": {"Status": "SUPPRESSED"}}
        hub.batch_import_findings(Findings=[newer])
        checks.equal(f"after minute {minute}", state(), wanted)
    checks.refuses("too many", "InvalidInputException", lambda: hub.batch_import_findings(Findings=many * 9))
    checks.refuses("none", "InvalidInputException", lambda: hub.batch_import_findings(Findings=[]))


def shapes(checks, aws):
    """Every request that breaks a constraint is refused, every other one is not."""
    session = botocore.session.Session()
    for service, names in PLAYED.values():
        model = session.get_service_model(service)
        refusals = REFUSALS[service]
        for protocol in model.metadata["protocols"]:
            protocol = {"rest-json": "rest"}.get(protocol, protocol)
            typed = protocol != "query"
            for name in names:
                operation = model.operation_model(name)
                get = operation.http["method"] == "GET"
                good = finding(aws)
                once = service == "securityhub"
                for what, value in aws_fuzz.wrong_requests(operation, good, typed and not get, once):
                    answer = aws_fuzz.send(aws, model, operation, value, protocol)
                    found = code_of(answer)
                    checks.that(f"{protocol} {what}", found in refusals, f"{found} {answer.body[:200]!r}")
                for what, value in aws_fuzz.right_requests(operation, good, once):
                    answer = aws_fuzz.send(aws, model, operation, value, protocol)
                    found = code_of(answer)
                    fine = found not in refusals and answer.status < 500
                    checks.that(f"{protocol} {what} is correct", fine, f"{found} {answer.body[:300]!r}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--endpoints", required=True, metavar="FILE", help="endpoints.json of vmbridge-simulator")
    aws = Aws(parser.parse_args().endpoints)
    checks = Checks()
    for part in (identity, nodes, tags, limits, killed, policies, windows, findings, shapes, aws_moto.compare):
        before, start = checks.count, time.monotonic()
        part(checks, aws)
        print(f"{part.__name__}: {checks.count - before} checks in {time.monotonic() - start:.1f} s", file=sys.stderr)
    checks.equal("answers that are not as botocore has them", aws.misshapen, [])
    checks.that("answers were judged", aws.judged > 60, aws.judged)
    checks.equal("the simulator's own mistakes", aws.control("GET", "/aws/truth")["mistakes"], [])
    for line in checks.failed:
        print(line)
    print(f"{checks.count} checks, {len(checks.failed)} of them failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
