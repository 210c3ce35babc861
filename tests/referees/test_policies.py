"""The policies of docs/iam.md for snapshots, for findings and for the hook, enforced by vmbridge-simulator and tried by boto3.

Each action that is documented is permitted by its policy, and by nothing else in it. That vmbridge needs them all, and no other, the
end-to-end tests say.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

import yaml
from botocore.exceptions import ClientError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from aws_endpoint import Aws  # noqa: E402

WINDOW, EXECUTION, TASK = "mw-0123456789abcdef0", "01234567-89ab-cdef-0123-456789abcdef", "89abcdef-0123-4567-89ab-cdef01234567"
NODE = "mi-0123456789abcdef0"
# Each action, called for something that need not exist: whether it is permitted is seen before that.
CALLS = {
    "ssm:DescribeInstanceInformation": ("ssm", {}),
    "ssm:DescribeActivations": ("ssm", {}),
    "ssm:ListTagsForResource": ("ssm", {"ResourceType": "ManagedInstance", "ResourceId": NODE}),
    "ssm:DescribeMaintenanceWindows": ("ssm", {}),
    "ssm:DescribeMaintenanceWindowSchedule": ("ssm", {"WindowId": WINDOW}),
    "ssm:DescribeMaintenanceWindowTargets": ("ssm", {"WindowId": WINDOW}),
    "ssm:DescribeMaintenanceWindowTasks": ("ssm", {"WindowId": WINDOW}),
    "ssm:GetMaintenanceWindowTask": ("ssm", {"WindowId": WINDOW, "WindowTaskId": TASK}),
    "ssm:DescribeMaintenanceWindowExecutions": ("ssm", {"WindowId": WINDOW}),
    "ssm:DescribeMaintenanceWindowExecutionTasks": ("ssm", {"WindowExecutionId": EXECUTION}),
    "ssm:DescribeMaintenanceWindowExecutionTaskInvocations": ("ssm", {"WindowExecutionId": EXECUTION, "TaskId": TASK}),
    "ssm:DescribeInstancePatchStates": ("ssm", {"InstanceIds": [NODE]}),
    "tag:GetResources": ("resourcegroupstaggingapi", {}),
    "resource-groups:ListGroupResources": ("resource-groups", {"Group": "none"}),
}

ACCOUNT, REGION = "111122220001", "eu-central-1"
PRODUCT = f"arn:aws:securityhub:{REGION}:{ACCOUNT}:product/{ACCOUNT}/default"
# A finding of the least content, in the account of the test.
FINDING = {
    "SchemaVersion": "2018-10-08",
    "Id": "vmbridge/of-the-referee",
    "ProductArn": PRODUCT,
    "GeneratorId": "vmbridge/referee",
    "AwsAccountId": ACCOUNT,
    "Types": ["Software and Configuration Checks"],
    "CreatedAt": "2026-01-01T00:00:00.000Z",
    "UpdatedAt": "2026-01-01T00:00:00.000Z",
    "Severity": {"Label": "LOW"},
    "Title": "A finding of the referee",
    "Description": "It is there to be permitted or not.",
    "Resources": [{"Type": "Other", "Id": "urn:vmbridge:vm:none"}],
}
KEY = {"Id": FINDING["Id"], "ProductArn": PRODUCT}
# The same for what findings take.
FINDINGS = {
    "securityhub:DescribeHub": ("securityhub", {}),
    "securityhub:GetFindings": ("securityhub", {"MaxResults": 1}),
    "securityhub:BatchUpdateFindings": ("securityhub", {"FindingIdentifiers": [KEY], "Workflow": {"Status": "RESOLVED"}}),
    "securityhub:BatchImportFindings": ("securityhub", {"Findings": [FINDING]}),
    "securityhub:ListFindingAggregators": ("securityhub", {}),
    "securityhub:GetFindingAggregator": (
        "securityhub",
        {"FindingAggregatorArn": f"arn:aws:securityhub:{REGION}:{ACCOUNT}:finding-aggregator/01234567-89ab-4cde-8f01-{ACCOUNT}"},
    ),
    "ssm:DescribeInstancePatchStates": CALLS["ssm:DescribeInstancePatchStates"],
}
# What is sent or changed.
WRITES = {"securityhub:BatchUpdateFindings", "securityhub:BatchImportFindings"}


def documented(heading):
    text = (ROOT / "docs/iam.md").read_text()
    part = text[re.search(rf"\n###? {re.escape(heading)}\n", text).start() :]
    return json.loads(re.search(r"```json\n(.*?)```", part, re.S)[1])


def actions(policy):
    found = [statement["Action"] for statement in policy["Statement"]]
    return [action for one in found for action in (one if isinstance(one, list) else [one])]


def without(policy, action):
    statements = []
    for statement in policy["Statement"]:
        left = [one for one in actions({"Statement": [statement]}) if one != action]
        if left:
            statements.append({**statement, "Action": left})
    return {**policy, "Statement": statements or [{"Effect": "Allow", "Action": "none:AtAll", "Resource": "*"}]}


class Policies(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        simulator = Path(os.environ.get("SIMULATOR") or ROOT / "target/debug/vmbridge-simulator")
        if not simulator.is_file():
            raise RuntimeError(f"{simulator} is missing; build it with: cargo build -p vmbridge-simulator")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        log = Path(folder.name) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen([simulator, "--dir", folder.name, "--vms", "4", "--aws-nodes", "100"], stdout=out, stderr=out)
        cls.addClassCleanup(cls.stop, process)
        file = Path(folder.name) / "endpoints.json"
        deadline = time.monotonic() + 60
        while not file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the simulator did not start:\n{log.read_text()}")
            time.sleep(0.05)
        cls.aws = Aws(file)

    @staticmethod
    def stop(process):
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def allow(self, policy):
        principal = self.aws.accounts[0]["userArn"]
        self.aws.control("POST", "/aws/policy", {"principal": principal, "policy": policy})

    def permitted(self, action):
        service, arguments = {**CALLS, **FINDINGS}[action]
        name = re.sub(r"(?<!^)([A-Z])", r"_\1", action.split(":")[1]).lower()
        try:
            getattr(self.aws.client(service), name)(**arguments)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            self.assertNotIn(code, ["UnknownOperationException", "InternalFailure", "InternalServerError"], action)
            return not code.startswith("AccessDenied")
        return True

    def test_each_action_is_permitted_by_its_own_line_only(self):
        policy = documented("`[snapshots]`")
        self.assertEqual(sorted(actions(policy)), sorted(CALLS))
        for action in CALLS:
            with self.subTest(action):
                self.allow(policy)
                self.assertTrue(self.permitted(action))
                self.allow(without(policy, action))
                self.assertFalse(self.permitted(action))

    def test_each_action_of_findings_is_permitted_by_its_own_line_only(self):
        account = self.aws.accounts[0]["id"]
        self.assertEqual(account, ACCOUNT)
        for heading, wanted in [("`[findings]`", set(FINDINGS)), ("Mode `observe` of `[findings]`", set(FINDINGS) - WRITES)]:
            policy = documented(heading)
            self.assertEqual(sorted(actions(policy)), sorted(wanted))
            for action in FINDINGS:
                with self.subTest(action, policy=heading):
                    self.allow(policy)
                    self.assertEqual(self.permitted(action), action in wanted)
                    self.allow(without(policy, action))
                    self.assertFalse(self.permitted(action))

    def test_findings_of_other_products_cannot_be_sent(self):
        self.allow(documented("`[findings]`"))
        other = f"arn:aws:securityhub:{REGION}::product/aws/ssm-patch-manager"
        with self.assertRaises(ClientError) as refused:
            self.aws.client("securityhub").batch_import_findings(Findings=[{**FINDING, "ProductArn": other}])
        self.assertTrue(refused.exception.response["Error"]["Code"].startswith("AccessDenied"), refused.exception)

    def test_every_call_of_findings_that_is_made_is_in_it(self):
        sources = "".join((ROOT / "bridge/src/aws" / name).read_text() for name in ["sdk_hub.rs", "paced_reports.rs"])
        made = set(re.findall(r'"(securityhub:\w+)"', sources))
        self.assertEqual(made, {action for action in FINDINGS if action.startswith("securityhub:")})

    def test_it_writes_nothing(self):
        for heading in ["`[snapshots]`", "Mode `observe` of `[findings]`", "The nodes, for the hook"]:
            for action in actions(documented(heading)):
                self.assertRegex(action, r":(Describe|List|Get)[A-Z]")

    def test_every_call_of_windows_that_is_made_is_in_it(self):
        sources = "".join((ROOT / "bridge/src/aws" / name).read_text() for name in ["sdk.rs", "sdk_windows.rs"])
        made = set(re.findall(r'"((?:ssm:(?:Describe|Get)\w*(?:Window|Patch)\w*|resource-groups:\w+))"', sources))
        self.assertGreater(len(made), 8)
        self.assertEqual(made, {action for action in CALLS if re.search(r"Window|Patch|resource-groups", action)})

    def test_that_of_the_nodes_is_that_of_the_template(self):
        # What CloudFormation fills in is `*` here.
        text = re.sub(r"\$\{AWS::(Region|AccountId)\}", "*", (ROOT / "examples/ssm/hook.cfn.yaml").read_text())
        text = text.replace("${AWS::Partition}", "aws").replace("!Sub ", "").replace("!Ref ", "")
        template = yaml.safe_load(text)["Resources"]["NodePolicy"]["Properties"]["PolicyDocument"]
        self.assertEqual(template, documented("The nodes, for the hook"))


if __name__ == "__main__":
    unittest.main()
