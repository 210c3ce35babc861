"""The hook that keeps nodes from being patched (examples/ssm), judged by who knows nothing of us.

cfn-lint and botocore look at the templates and the document. The shell script of the document is run as SSM Agent runs it, in a
private root, by the real AWS CLI, against the AWS of vmbridge-simulator. There is no Windows here, so the PowerShell is parsed.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

import botocore.session
import tree_sitter_powershell
import yaml
from botocore.validate import ParamValidator
from tree_sitter import Language, Parser

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from aws_endpoint import Aws  # noqa: E402

from tests.guest.rooted import Root  # noqa: E402

DOCUMENT = ROOT / "examples/ssm/vmbridge-pre-install.yaml"
TEMPLATE = ROOT / "examples/ssm/hook.cfn.yaml"
REGISTRATION = "/var/lib/amazon/ssm/registration"
SHELLS = ["/bin/dash", "/bin/bash --posix", "/bin/busybox ash"]
HOLD = "vmbridge:hold"
# Where no AWS CLI is, whatever this machine has in /usr/local.
PLAIN_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class Loader(yaml.SafeLoader):
    """Reads templates of CloudFormation: `!Ref X` becomes {"Ref": X}, and so on."""


def intrinsic(loader, suffix, node):
    return {suffix: loader.construct_scalar(node)}


Loader.add_multi_constructor("!", intrinsic)


def document():
    return yaml.safe_load(DOCUMENT.read_text())


def template():
    return yaml.load(TEMPLATE.read_text(), Loader)  # noqa: S506


def script(action):
    [step] = [step for step in document()["mainSteps"] if step["action"] == action]
    return "\n".join(step["inputs"]["runCommand"])


class Papers(unittest.TestCase):
    """What can be said of the files without running anything."""

    def lint(self, text):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(text)
            file.flush()
            linter = Path(sys.executable).with_name("cfn-lint")
            return subprocess.run([linter, "--regions", "eu-central-1", "us-east-1", "--", file.name], capture_output=True, text=True, check=False)

    def test_cfn_lint_finds_nothing(self):
        done = self.lint(TEMPLATE.read_text())
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stdout + done.stderr)

    def test_cfn_lint_would_find_something(self):
        for right, wrong in [("RUN_COMMAND", "RUN"), ('schemaVersion: "2.2"', 'schemaVersion: "7"'), ("ssm:ListTagsForResource", "ssm:NoSuchAction")]:
            text = TEMPLATE.read_text()
            self.assertIn(right, text)
            self.assertNotEqual(self.lint(text.replace(right, wrong)).returncode, 0, wrong)

    def test_the_template_has_the_text_of_the_document(self):
        self.assertEqual(template()["Resources"]["Hook"]["Properties"]["Content"], document())

    def test_the_window_asks_the_hook(self):
        resources = template()["Resources"]
        task = resources["Patch"]["Properties"]
        parameters = task["TaskInvocationParameters"]["MaintenanceWindowRunCommandParameters"]["Parameters"]
        self.assertEqual((task["TaskArn"], parameters["Operation"]), ("AWS-RunPatchBaselineWithHooks", ["Install"]))
        self.assertEqual(parameters["PreInstallHookDocName"], [{"Ref": "Hook"}])
        # One that is held is an error, and must not end the run of the others.
        self.assertEqual(task["MaxErrors"], "100%")

    def test_its_name_is_the_default_of_the_configuration(self):
        name = template()["Parameters"]["HookName"]["Default"]
        reference = (ROOT / "docs/configuration.md").read_text().splitlines()
        self.assertIn(f"### `hold_document` (default `{name}`)", reference)
        self.assertEqual(DOCUMENT.stem, name)

    def test_ssm_takes_the_document(self):
        shape = botocore.session.get_session().get_service_model("ssm").operation_model("CreateDocument").input_shape
        request = {
            "Content": DOCUMENT.read_text(),
            "Name": DOCUMENT.stem,
            "DocumentType": "Command",
            "DocumentFormat": "YAML",
        }
        self.assertEqual(ParamValidator().validate(request, shape).generate_report(), "")
        members = shape.members
        self.assertRegex(request["Name"], members["Name"].metadata["pattern"])
        for member in ["DocumentType", "DocumentFormat"]:
            self.assertIn(request[member], members[member].enum)
        # As the model says of `Content`.
        self.assertIn("64KB", members["Content"].documentation)
        self.assertLess(len(request["Content"].encode()), 64 << 10)
        # The text for `{{ parameters }}` is put in before anything runs.
        self.assertNotIn("{{", request["Content"])

    def test_each_platform_has_its_step_and_no_other(self):
        content = document()
        self.assertEqual(content["schemaVersion"], "2.2")
        steps = [(step["action"], step["precondition"]) for step in content["mainSteps"]]
        of = {"aws:runShellScript": "Linux", "aws:runPowerShellScript": "Windows"}
        self.assertEqual(steps, [(action, {"StringEquals": ["platformType", name]}) for action, name in of.items()])
        for step in content["mainSteps"]:
            self.assertGreaterEqual(int(step["inputs"]["timeoutSeconds"]), 120)

    def test_no_exit_code_means_something_else_to_the_agent(self):
        for action in ["aws:runShellScript", "aws:runPowerShellScript"]:
            text = re.sub(r"^\s*#.*$", "", script(action), flags=re.M)
            self.assertEqual(set(re.findall(r"\bexit\b *(\S*)", text)), {"0", "1"})

    def test_shellcheck_finds_nothing(self):
        rules = ["-s", "sh", "-o", "all", "-e", "SC2250,SC2312,SC2248,SC2249", "-"]
        done = subprocess.run(["shellcheck", *rules], input=script("aws:runShellScript"), capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ""), done.stdout + done.stderr)

    def test_the_step_for_windows_is_powershell(self):
        parser = Parser(Language(tree_sitter_powershell.language()))
        source = script("aws:runPowerShellScript")
        self.assertFalse(parser.parse(source.encode()).root_node.has_error)
        self.assertTrue(parser.parse(source.replace("function Deny-Patching(", "function Deny-Patching((").encode()).root_node.has_error)
        # What Windows PowerShell 5.1 does not have.
        for newer in [r"\?\?", r"&&", r"\|\|", r"-AsHashtable"]:
            self.assertIsNone(re.search(newer, re.sub(r"^\s*#.*$", "", source, flags=re.M)), newer)

    def test_both_steps_ask_the_same(self):
        linux, windows = script("aws:runShellScript"), script("aws:runPowerShellScript")
        for part in ["list-tags-for-resource", "ManagedInstance", "--cli-connect-timeout", "AWS_SSM_INSTANCE_ID", "AWS_SSM_REGION_NAME", "AWS_EC2_METADATA_DISABLED", "AWS_MAX_ATTEMPTS"]:
            self.assertIn(part, linux)
            self.assertIn(part, windows)
        query = "not_null(TagList, `[]`)[?Key=='vmbridge:hold'].[Key, Value]"
        self.assertIn(query, linux.replace("\\`", "`"))
        self.assertIn(query, windows.replace("''", "'"))


class OnANode(unittest.TestCase):
    """The step for Linux, run for real."""

    @classmethod
    def setUpClass(cls):
        simulator = Path(os.environ.get("SIMULATOR") or ROOT / "target/debug/vmbridge-simulator")
        if not simulator.is_file():
            raise RuntimeError(f"{simulator} is missing; build it with: cargo build -p vmbridge-simulator")
        cls.cli = Path(sys.executable).with_name("aws")
        if not cls.cli.is_file():
            raise RuntimeError(f"{cls.cli} is missing; scripts/setup installs it")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        log = Path(folder.name) / "log"
        with log.open("wb") as out:
            arguments = ["--dir", folder.name, "--vms", "12", "--aws-nodes", "100"]
            process = subprocess.Popen([simulator, *arguments], stdout=out, stderr=out)
        cls.addClassCleanup(cls.stop, process)
        file = Path(folder.name) / "endpoints.json"
        deadline = time.monotonic() + 60
        while not file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the simulator did not start:\n{log.read_text()}")
            time.sleep(0.05)
        cls.aws = Aws(file)
        account = cls.aws.accounts[0]
        cls.principal = account["userArn"]
        cls.keys = f"[default]\naws_access_key_id = {account['accessKeyId']}\naws_secret_access_key = {account['secretAccessKey']}\n"
        [statement] = template()["Resources"]["NodePolicy"]["Properties"]["PolicyDocument"]["Statement"]
        resource = statement["Resource"]["Sub"]
        for name, value in {"Partition": "aws", "Region": cls.aws.region, "AccountId": account["id"]}.items():
            resource = resource.replace(f"${{AWS::{name}}}", value)
        cls.policy = {"Version": "2012-10-17", "Statement": [{**statement, "Resource": resource}]}
        truth = cls.aws.control("GET", "/aws/truth")["accounts"][0]["regions"][0]
        cls.node = truth["nodes"][0]["instanceId"]
        cls.other = truth["nodes"][1]["instanceId"]

    @staticmethod
    def stop(process):
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def setUp(self):
        self.allow(self.policy)
        self.untag(self.node)
        self.root = self.enterContext(Root())
        self.root.write("/tmp/hook.sh", script("aws:runShellScript"))
        self.root.write("/root/.aws/credentials", self.keys)
        self.root.write("/tmp/ca.pem", Path(self.aws.ca_file).read_bytes())
        self.root.stub("aws", f'exec {self.cli} "$@"\n', "/opt/cli")
        self.registered(self.node)

    def allow(self, policy):
        self.aws.control("POST", "/aws/policy", {"principal": self.principal, "policy": policy})

    def tag(self, node, value):
        self.aws.control("POST", "/aws/mutate", {"op": "tag", "node": node, "key": HOLD, "value": value})

    def untag(self, node):
        self.aws.control("POST", "/aws/mutate", {"op": "untag", "node": node, "key": HOLD})

    def registered(self, node):
        self.root.write(REGISTRATION, json.dumps({"ManagedInstanceID": node, "Region": self.aws.region}))

    def run_hook(self, shell=SHELLS[0], path=f"/opt/cli:{PLAIN_PATH}", **more):
        """As SSM Agent does; gives the exit code and what was said."""
        environment = {"PATH": path, "AWS_ENDPOINT_URL": self.aws.url, "AWS_CA_BUNDLE": "/tmp/ca.pem", **more}
        told = [f"{name}={value}" for name, value in environment.items()]
        done = self.root.run("env", "-i", *told, *shell.split(), "/tmp/hook.sh", check=False)
        return done.returncode, done.stdout.decode(), done.stderr.decode()

    def refuses(self, why, **more):
        code, out, err = self.run_hook(**more)
        self.assertEqual((code, out), (1, ""), err)
        last = err.strip().splitlines()[-1]
        self.assertTrue(last.startswith("vmbridge: this node is not patched: "), err)
        self.assertIn(why, last)
        return err

    def allows(self, **more):
        code, out, err = self.run_hook(**more)
        self.assertEqual((code, err), (0, ""), out)
        return out

    def test_in_every_shell_a_node_that_is_held_is_refused_and_another_is_not(self):
        for shell in SHELLS:
            with self.subTest(shell):
                self.untag(self.node)
                self.tag(self.other, "mw-0123456789abcdef0")
                self.assertIn(self.node, self.allows(shell=shell))
                self.tag(self.node, "mw-0123456789abcdef0")
                self.refuses("mw-0123456789abcdef0", shell=shell)

    def test_a_tag_that_says_nothing_holds_as_well(self):
        self.tag(self.node, "")
        self.refuses("it has the tag vmbridge:hold")

    def test_other_tags_do_not_hold(self):
        for key in ["vmbridge:hold2", "VMBRIDGE:HOLD", "hold"]:
            self.aws.control("POST", "/aws/mutate", {"op": "tag", "node": self.node, "key": key, "value": HOLD})
        self.allows()

    def test_what_the_agent_says_counts_more_than_the_file(self):
        self.registered(self.other)
        self.tag(self.node, "mw-0123456789abcdef0")
        self.untag(self.other)
        self.allows()
        self.refuses("has the tag", AWS_SSM_INSTANCE_ID=self.node, AWS_SSM_REGION_NAME=self.aws.region)
        # And it needs no file.
        self.root.run("rm", REGISTRATION)
        self.refuses("has the tag", AWS_SSM_INSTANCE_ID=self.node, AWS_SSM_REGION_NAME=self.aws.region)

    def test_credentials_are_found_where_the_agent_says(self):
        self.root.run("mv", "/root/.aws/credentials", "/var/lib/amazon/ssm/credentials")
        self.assertIn("credentials", self.refuses("AWS does not tell its tags"))
        self.allows(AWS_SHARED_CREDENTIALS_FILE="/var/lib/amazon/ssm/credentials")

    def test_without_permission_it_is_refused(self):
        elsewhere = json.loads(json.dumps(self.policy).replace("managed-instance/", "document/"))
        self.allow(elsewhere)
        self.assertIn("AccessDenied", self.refuses("allow its role ssm:ListTagsForResource"))
        self.allow(self.policy)
        self.allows()

    def test_the_policy_of_the_template_allows_nothing_else(self):
        for arguments in ["describe-instance-information", f"remove-tags-from-resource --resource-type ManagedInstance --resource-id {self.node} --tag-keys {HOLD}"]:
            told = ["PATH=/opt/cli:/usr/bin:/bin", "HOME=/root", f"AWS_ENDPOINT_URL={self.aws.url}", "AWS_CA_BUNDLE=/tmp/ca.pem"]
            done = self.root.run("env", "-i", *told, "aws", "ssm", *arguments.split(), "--region", self.aws.region, check=False)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(b"AccessDenied", done.stderr)

    def test_without_the_aws_cli_it_is_refused(self):
        self.refuses("there is no AWS CLI", path=PLAIN_PATH)

    def test_an_aws_that_cannot_be_reached_or_trusted_is_refused(self):
        self.refuses("AWS does not tell its tags", AWS_ENDPOINT_URL="https://127.0.0.1:1", AWS_MAX_ATTEMPTS="1")
        self.root.run("sh", "-c", "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=other -keyout /dev/null -out /tmp/other.pem")
        self.refuses("AWS does not tell its tags", AWS_CA_BUNDLE="/tmp/other.pem", AWS_MAX_ATTEMPTS="1")

    def test_a_node_that_is_not_known_is_refused(self):
        self.registered("mi-00000000000000000")
        self.refuses("AWS does not tell its tags")
        for content in ["", "{}", "not JSON", json.dumps({"ManagedInstanceID": "", "Region": ""}), json.dumps({"ManagedInstanceID": "-x", "Region": "eu"})]:
            self.root.write(REGISTRATION, content)
            self.refuses("says which node it is")
        self.root.write(REGISTRATION, json.dumps({"ManagedInstanceID": self.node}))
        self.refuses("in which Region it is")
        self.root.run("rm", REGISTRATION)
        self.refuses("says which node it is")

    def test_an_answer_that_is_not_understood_is_refused(self):
        self.root.stub("aws", "echo None\n", "/opt/other")
        self.refuses("not understood: None", path=f"/opt/other:{PLAIN_PATH}")

    def test_throttling_is_waited_for(self):
        rule = {"vcenter": "aws", "operation": "ssm:ListTagsForResource", "skip": 0, "times": 2}
        effect = {"kind": "awsError", "code": "ThrottlingException", "status": 400, "message": "Rate exceeded"}
        body = json.dumps({"clear": True, "add": [{**rule, "effect": effect}]}).encode()
        urllib.request.urlopen(f"{self.aws.control_url}/faults", data=body).close()
        self.allows()

    def test_ec2_instances_of_the_same_window_are_let_through(self):
        self.assertIn("EC2", self.allows(path=PLAIN_PATH, AWS_SSM_INSTANCE_ID="i-0123456789abcdef0", AWS_SSM_REGION_NAME="eu-central-1"))


if __name__ == "__main__":
    unittest.main()
