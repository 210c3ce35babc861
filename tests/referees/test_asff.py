"""10,000 generated findings, judged by botocore's model of AwsSecurityFinding and by the limits that AWS documents beside it.

The findings come from `mappings/examples/asff_findings.rs` (`$ASFF_FINDINGS`, else it is built): names and values that are not
ASCII, too long, empty, or meant to do harm. Nothing of how they are made is known here.
"""

import copy
import json
import os
import re
import subprocess
import unittest
from datetime import datetime
from pathlib import Path

import botocore.session
import regex

ROOT = Path(__file__).resolve().parents[2]
COUNT, SEED = 10_000, 1
SHAPES = botocore.session.get_session().get_service_model("securityhub")._shape_resolver._shape_map

# What the documentation says and the model does not: member -> (least, most) characters. The names of the fields of a map are
# given by `MAPS`. Resource details: "fewer than" 128 and 1,024.
TEXTS = {
    "Id": (1, 512),
    "GeneratorId": (1, 512),
    "ProductName": (1, 128),
    "ProductArn": (12, 2048),
    "AwsAccountId": (12, 12),
    "Title": (1, 256),
    "Description": (1, 1024),
    "Remediation.Recommendation.Text": (1, 512),
    "FindingProviderFields.Severity.Original": (1, 64),
    "Resources[].Type": (1, 256),
    "Resources[].Region": (1, 16),
    "Compliance.RelatedRequirements[]": (1, 64),
}
LISTS = {
    "Resources": (1, 32),
    "FindingProviderFields.Types": (1, 50),
    "Compliance.RelatedRequirements": (0, 32),
}
MAPS = {
    "ProductFields": (50, 128, 2048),
    "Resources[].Details.Other": (50, 127, 1023),
    "Resources[].Tags": (50, 128, 256),
}
TIMES = {"CreatedAt", "UpdatedAt", "FirstObservedAt", "LastObservedAt"}
NAMESPACES = {
    "Software and Configuration Checks",
    "TTPs",
    "Effects",
    "Unusual Behaviors",
    "Sensitive Data Identifications",
}
# What a provider must not send: it belongs to the customer.
CUSTOMERS = {"Note", "UserDefinedFields", "VerificationState", "Workflow", "Severity", "Types", "Confidence", "Criticality"}
TAG = regex.compile(r"[\p{L}\p{Z}\p{N}_.:/=+\-@]*")
LARGEST = 240_000


def length(text):
    """Characters, counted in the way that gives the greatest number."""
    return len(text.encode("utf-16-le")) // 2


def walk(value, name, path, problems):
    """Everything that a shape of the model asks for."""
    shape = SHAPES[name]
    kind = shape["type"]
    expected = {"structure": dict, "map": dict, "list": list, "string": str, "boolean": bool, "integer": int, "double": (int, float)}
    if kind not in expected:
        problems.append(f"{path}: nothing is known of the type {kind}")
        return
    if not isinstance(value, expected[kind]) or (kind in ("integer", "double") and isinstance(value, bool)):
        problems.append(f"{path}: {type(value).__name__} instead of {kind}")
        return
    size = length(value) if kind == "string" else len(value) if kind in ("list", "map") else value
    if kind != "structure" and kind != "boolean":
        if "min" in shape and size < shape["min"] or "max" in shape and size > shape["max"]:
            problems.append(f"{path}: {size} is not within {shape.get('min')} and {shape.get('max')}")
    if kind == "structure":
        for member in shape.get("required", []):
            if member not in value:
                problems.append(f"{path}: {member} is missing")
        for member, inner in value.items():
            if member not in shape["members"]:
                problems.append(f"{path}: {member} is not in the model")
            else:
                walk(inner, shape["members"][member]["shape"], f"{path}.{member}".lstrip("."), problems)
    elif kind == "list":
        for inner in value:
            walk(inner, shape["member"]["shape"], f"{path}[]", problems)
    elif kind == "map":
        for key, inner in value.items():
            walk(key, shape["key"]["shape"], f"{path}.key", problems)
            walk(inner, shape["value"]["shape"], f"{path}.value", problems)
    elif kind == "string":
        if "enum" in shape and value not in shape["enum"]:
            problems.append(f"{path}: {value!r} is none of {shape['enum']}")
        # The whole text, with a dot that stops at a line's end: the strictest reading.
        if "pattern" in shape and not re.fullmatch(shape["pattern"], value):
            problems.append(f"{path}: {value!r} does not match {shape['pattern']}")


def at(value, path):
    """The values at a path like `Resources[].Tags`."""
    values = [value]
    for step in path.split("."):
        name, many = step.removesuffix("[]"), step.endswith("[]")
        values = [inner[name] for inner in values if name in inner]
        if many:
            values = [element for inner in values for element in inner]
    return values


def documented(finding, problems):
    """The limits of the documentation."""
    for path, (least, most) in TEXTS.items():
        for text in at(finding, path):
            if not least <= length(text) <= most:
                problems.append(f"{path}: {length(text)} characters, {least} to {most} are allowed")
    for path, (least, most) in LISTS.items():
        for values in at(finding, path):
            if not least <= len(values) <= most:
                problems.append(f"{path}: {len(values)} entries, {least} to {most} are allowed")
    for path, (entries, longest_key, longest_value) in MAPS.items():
        for fields in at(finding, path):
            if len(fields) > entries:
                problems.append(f"{path}: {len(fields)} entries")
            for key, value in fields.items():
                if not 1 <= length(key) <= longest_key or length(value) > longest_value:
                    problems.append(f"{path}: {key!r} or its value is too long")
    for tags in at(finding, "Resources[].Tags"):
        for key, value in tags.items():
            if not TAG.fullmatch(key) or not TAG.fullmatch(value) or key.lower().startswith("aws:"):
                problems.append(f"Resources[].Tags: {key!r}: {value!r} is no tag of AWS")
    for member in TIMES:
        try:
            datetime.strptime(finding[member], "%Y-%m-%dT%H:%M:%S.%fZ")
        except (KeyError, ValueError) as error:
            problems.append(f"{member}: {error}")
    if not problems and not finding["FirstObservedAt"] <= finding["CreatedAt"] <= finding["UpdatedAt"]:
        problems.append("the times are in no order")
    if finding.get("SchemaVersion") != "2018-10-08":
        problems.append("SchemaVersion: there is one")
    account = finding.get("AwsAccountId")
    product = rf"arn:(aws|aws-cn|aws-us-gov):securityhub:[a-z0-9-]+:{account}:product/{account}/default"
    if not re.fullmatch(product, finding.get("ProductArn", "")):
        problems.append("ProductArn: not that of custom findings of the account")
    for kind in [text for types in at(finding, "FindingProviderFields.Types") for text in types]:
        parts = kind.split("/")
        if parts[0] not in NAMESPACES or len(parts) > 3:
            problems.append(f"FindingProviderFields.Types: {kind}")
    for url in at(finding, "Remediation.Recommendation.Url"):
        if not re.fullmatch(r"https?://[!-~]+", url):
            problems.append(f"Remediation.Recommendation.Url: {url!r}")
    for member in CUSTOMERS & set(finding):
        problems.append(f"{member} belongs to the customer")
    if "SecurityControlId" in finding.get("Compliance", {}):
        problems.append("Compliance.SecurityControlId names controls of Security Hub itself")
    if len(json.dumps(finding, ensure_ascii=False).encode()) > LARGEST:
        problems.append("it is larger than 240 KB")


def hidden(value, path, problems):
    """Nothing that cannot be seen, turns the direction of writing, or ends a line."""
    if isinstance(value, str):
        if re.search("[\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]", value):
            problems.append(f"{path}: {value!r} hides something")
    elif isinstance(value, dict):
        for key, inner in value.items():
            hidden(key, path, problems)
            hidden(inner, f"{path}.{key}", problems)
    elif isinstance(value, list):
        for inner in value:
            hidden(inner, path, problems)


def judge(finding):
    problems = []
    walk(finding, "AwsSecurityFinding", "", problems)
    if problems:
        # What is not even of the right type cannot be measured.
        return problems
    documented(finding, problems)
    hidden(finding, "", problems)
    return problems


def generated():
    program = os.environ.get("ASFF_FINDINGS")
    command = [program] if program else ["cargo", "run", "--quiet", "--package", "mappings", "--example", "asff_findings", "--"]
    done = subprocess.run([*command, str(COUNT), str(SEED)], cwd=ROOT, check=True, stdout=subprocess.PIPE, timeout=900)
    # Only `\n` ends a line; `splitlines` would end one at U+2028 too.
    return [json.loads(line) for line in done.stdout.decode().split("\n") if line]


class Asff(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.findings = generated()

    def test_every_finding_is_what_the_model_and_the_documentation_ask_for(self):
        self.assertEqual(len(self.findings), COUNT)
        bad = [(finding.get("Id"), problems) for finding in self.findings if (problems := judge(finding))]
        self.assertEqual(bad[:3], [])

    def test_they_are_as_different_as_they_are_meant_to_be(self):
        states = {(f["RecordState"], f["Compliance"]["Status"]) for f in self.findings}
        self.assertEqual(
            states, {("ACTIVE", "FAILED"), ("ACTIVE", "WARNING"), ("ACTIVE", "NOT_AVAILABLE"), ("ARCHIVED", "PASSED")}
        )
        folded = sum(f["GeneratorId"].startswith("vmbridge/family/") for f in self.findings)
        self.assertGreater(folded, COUNT // 20)
        self.assertGreater(COUNT - folded, COUNT // 20)
        self.assertTrue(any(not f["Title"].isascii() for f in self.findings))
        for member, most in [("Title", 256), ("Description", 1024)]:
            self.assertGreater(sum(length(f[member]) >= most - 1 for f in self.findings), 100, member)
        self.assertTrue(any(len(f["Resources"]) == 2 for f in self.findings))
        self.assertGreater(max(len(json.dumps(f)) for f in self.findings), 30_000)
        created = [f["Id"] for f in self.findings if f["RecordState"] == "ACTIVE"]
        self.assertEqual(len(created), len(set(created)), "two findings have one id")

    def test_the_judge_sees_what_is_wrong(self):
        good = next(f for f in self.findings if len(f["Resources"]) == 2 and "Remediation" in f and f["Resources"][0].get("Tags"))
        self.assertEqual(judge(good), [])

        def spoiled(path, value):
            finding = copy.deepcopy(good)
            *steps, last = path
            inner = finding
            for step in steps:
                inner = inner[step]
            if value is None:
                del inner[last]
            else:
                inner[last] = value
            return finding

        long = {str(n): "x" for n in range(51)}
        for path, value in [
            (["Id"], None),
            (["Id"], "x" * 513),
            (["GeneratorId"], "\U0001f600" * 257),
            (["Title"], ""),
            (["Title"], " "),
            (["Title"], "x" * 257),
            (["Title"], 7),
            (["Description"], "a\u202eb"),
            (["Description"], "x" * 1025),
            (["SchemaVersion"], "2018"),
            (["AwsAccountId"], "1"),
            (["ProductArn"], "arn:aws:securityhub:eu-central-1::product/aws/guardduty"),
            (["Surprise"], "x"),
            (["Workflow"], {"Status": "RESOLVED"}),
            (["Types"], ["TTPs"]),
            (["RecordState"], "GONE"),
            (["UpdatedAt"], "yesterday"),
            (["UpdatedAt"], "1999-01-01T00:00:00.000Z"),
            (["Compliance", "Status"], "BAD"),
            (["Compliance", "SecurityControlId"], "EC2.1"),
            (["Compliance", "RelatedRequirements"], ["x"] * 33),
            (["Compliance", "RelatedRequirements"], ["x" * 65]),
            (["FindingProviderFields", "Severity", "Label"], "BAD"),
            (["FindingProviderFields", "Types"], ["Patches/Missing"]),
            (["ProductFields"], long),
            (["ProductFields", "x"], ""),
            (["ProductFields", "x" * 129], "x"),
            (["ProductFields", "x"], "x" * 2049),
            (["Resources"], []),
            (["Resources", 0, "Type"], None),
            (["Resources", 0, "Partition"], "mars"),
            (["Resources", 0, "Details", "Other", "x"], "x" * 1024),
            (["Resources", 0, "Details", "Surprise"], {}),
            (["Resources", 0, "Tags", "aws:x"], "x"),
            (["Resources", 0, "Tags", "x"], "a;b"),
            (["Remediation", "Recommendation", "Url"], "javascript:alert(1)"),
            (["SourceUrl"], "x" * LARGEST),
        ]:
            self.assertNotEqual(judge(spoiled(path, value)), [], (path, str(value)[:40]))


class Guide(unittest.TestCase):
    """The commands of docs/security-hub.md are in the form that AWS takes."""

    OPTIONS = {
        ("get-findings", "filters"): "AwsSecurityFindingFilters",
        ("create-automation-rule", "criteria"): "AutomationRulesFindingFilters",
        ("create-automation-rule", "actions"): "ActionList",
    }

    def test_filters_and_rules(self):
        text = (ROOT / "docs/security-hub.md").read_text()
        commands = re.findall(r"^    aws securityhub (\S+)(.*(?:\n    .*)*)", text, re.M)
        seen = set()
        for command, rest in commands:
            for option, value in re.findall(r"--(\S+) '([\[{][^']*)'", rest):
                problems = []
                walk(json.loads(value), self.OPTIONS[command, option], "", problems)
                self.assertEqual(problems, [], (command, option))
                seen.add((command, option))
        self.assertEqual(seen, set(self.OPTIONS))

    def test_every_filter_of_the_table(self):
        table = (ROOT / "docs/security-hub.md").read_text().split("\n| Wanted |")[1].split("\n\n")[0]
        filters = SHAPES["AwsSecurityFindingFilters"]["members"]
        used = set(re.findall(r"`([A-Z][A-Za-z]+)`", table))
        self.assertGreater(len(used), 3)
        self.assertLessEqual(used - set(SHAPES["StringFilterComparison"]["enum"]), set(filters))


if __name__ == "__main__":
    unittest.main()
