"""What mappings puts into SSM Inventory and Compliance, judged by botocore's model of the two calls.

`mappings/examples/ssm_items.rs` writes requests for 2,000 VMs with hostile names. botocore's own validator looks at types, required
members and minima only, so the model is walked here: unknown members, minima, maxima, patterns and enumerations at every depth.
Lengths are counted in UTF-16 units, and sizes with everything escaped that is not ASCII, which is the most that AWS could count.
"""

import copy
import json
import subprocess
import unittest
from datetime import datetime
from pathlib import Path

import botocore.session
import regex

ROOT = Path(__file__).resolve().parents[2]
# Quotas of the service that are not in its model: a custom type, and a call.
LARGEST_ITEM, LARGEST_CALL = 200 * 1024, 1024 * 1024
VMS = 2000
TYPES = {f"Custom:VSphere{name}" for name in ["VirtualMachine", "Disk", "NetworkAdapter", "Snapshot", "Host"]}


def length(text):
    return len(text.encode("utf-16-le")) // 2


def size(value):
    return len(json.dumps(value, ensure_ascii=True))


def violations(shape, value, path):
    """Every place where a value is not what the model says."""
    limits = shape.metadata
    if shape.type_name == "structure":
        if not isinstance(value, dict):
            return [f"{path}: no structure"]
        found = [f"{path}: {name} is missing" for name in shape.required_members if name not in value]
        found += [f"{path}: {name} is unknown" for name in value if name not in shape.members]
        known = [name for name in value if name in shape.members]
        return found + [one for name in known for one in violations(shape.members[name], value[name], f"{path}.{name}")]
    if shape.type_name == "list":
        if not isinstance(value, list):
            return [f"{path}: no list"]
        found = within(limits, len(value), path)
        return found + [one for index, member in enumerate(value) for one in violations(shape.member, member, f"{path}[{index}]")]
    if shape.type_name == "map":
        if not isinstance(value, dict):
            return [f"{path}: no map"]
        found = within(limits, len(value), path)
        for key, member in value.items():
            found += violations(shape.key, key, f"{path} key") + violations(shape.value, member, f"{path}[{key[:40]!r}]")
        return found
    if not isinstance(value, str):
        return [f"{path}: no text"]
    if shape.type_name == "timestamp":
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return [f"{path}: no time"]
        return []
    assert shape.type_name == "string", f"{path}: {shape.type_name} is not looked at"
    found = within(limits, length(value), path)
    if getattr(shape, "enum", None) and value not in shape.enum:
        found.append(f"{path}: {value!r} is none of {shape.enum}")
    if "pattern" in limits and not regex.fullmatch(limits["pattern"], value):
        found.append(f"{path}: {value[:40]!r} does not match {limits['pattern']}")
    return found


def within(limits, number, path):
    if limits.get("min", 0) <= number <= limits.get("max", float("inf")):
        return []
    return [f"{path}: {number} is not within {limits.get('min', 0)} and {limits.get('max')}"]


class SsmItems(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        command = ["cargo", "run", "--quiet", "-p", "mappings", "--example", "ssm_items"]
        made = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=900)
        if made.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} failed:\n{made.stderr.decode(errors='replace')}")
        # Strictly: a lone surrogate or a byte that is not UTF-8 is an error here already.
        cls.requests = [json.loads(line) for line in made.stdout.decode().split("\n") if line]
        model = botocore.session.get_session().get_service_model("ssm")
        cls.shapes = {name: model.operation_model(name).input_shape for name in ["PutInventory", "PutComplianceItems"]}

    def of(self, operation):
        return [one["input"] for one in self.requests if one["operation"] == operation]

    def rows(self):
        return [row for one in self.of("PutInventory") for item in one["Items"] for row in item["Content"]]

    def violations(self, request):
        return violations(self.shapes[request["operation"]], request["input"], request["operation"])

    def test_every_request_is_what_the_model_says(self):
        self.assertEqual(len(self.of("PutInventory")), VMS + 1)
        self.assertEqual(len(self.of("PutComplianceItems")), 2 * VMS)
        for request in self.requests:
            self.assertEqual(self.violations(request), [])

    def test_sizes_are_within_the_quotas(self):
        for request in self.requests:
            self.assertLessEqual(size(request["input"]), LARGEST_CALL)
        for one in self.of("PutInventory"):
            for item in one["Items"]:
                self.assertLessEqual(size(item["Content"]), LARGEST_ITEM)
        for one in self.of("PutComplianceItems"):
            self.assertLessEqual(size(one["Items"]), LARGEST_ITEM)

    def test_a_type_has_no_more_columns_than_its_schema_may_have(self):
        # PutInventory's own shape limits each row; what the rows of a type have together is limited where the schema is read.
        schema = botocore.session.get_session().get_service_model("ssm").shape_for("InventoryItemSchema")
        most = schema.members["Attributes"].metadata["max"]
        names = {}
        for one in self.of("PutInventory"):
            # A call has each type once.
            types = [item["TypeName"] for item in one["Items"]]
            self.assertEqual(len(types), len(set(types)))
            for item in one["Items"]:
                names.setdefault(item["TypeName"], set()).update(name for row in item["Content"] for name in row)
        self.assertEqual(set(names), TYPES)
        for type_name, known in names.items():
            with self.subTest(type_name):
                self.assertTrue(1 <= len(known) <= most, f"{len(known)} columns")

    def test_nothing_that_cannot_be_seen_is_sent(self):
        hidden = regex.compile(r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Co}\p{Cn}]")
        texts = [value for row in self.rows() for value in row.values()]
        for one in self.of("PutComplianceItems"):
            for item in one["Items"]:
                texts += [item["Id"], item["Title"], *item["Details"], *item["Details"].values()]
        for text in texts:
            self.assertIsNone(hidden.search(text), text[:80])
        # The sample is hostile, or the test says nothing.
        together = "\n".join(texts)
        for sample in ["\\u{202e}", "\\u{0}", "\\r\\n", "…(cut)", " more)", "東京", "\\u{3b}"]:
            self.assertIn(sample, together)

    def test_what_is_left_out_is_told(self):
        self.assertTrue(any(row.get("LeftOut") for row in self.rows()))
        ids = [item["Id"] for one in self.of("PutComplianceItems") for item in one["Items"]]
        self.assertIn("vmbridge-left-out", ids)

    def test_ids_are_unique_in_their_list(self):
        for one in self.of("PutComplianceItems"):
            ids = [item["Id"] for item in one["Items"]]
            self.assertEqual(len(ids), len(set(ids)))

    def test_the_referee_sees_each_kind_of_violation(self):
        def broken(operation, change):
            request = copy.deepcopy(next(one for one in self.requests if one["operation"] == operation and one["input"]["Items"]))
            change(request["input"])
            return self.violations(request)

        inventory = [
            lambda one: one.pop("InstanceId"),
            lambda one: one.update(InstanceId="vm-1042"),
            lambda one: one.update(Items=[]),
            lambda one: one["Items"][0].update(CaptureTime="2026-11-28T17:30:12.999Z"),
            lambda one: one["Items"][0].update(TypeName="VSphereVirtualMachine"),
            lambda one: one["Items"][0].update(SchemaVersion="1"),
            lambda one: one["Items"][0].update(Surplus="x"),
            lambda one: one["Items"][0]["Content"][0].update(Long="x" * 4097),
            lambda one: one["Items"][0]["Content"][0].update(Surrogates="\U0001f98a" * 2049),
            lambda one: one["Items"][0]["Content"][0].update({"x" * 65: ""}),
            lambda one: one["Items"][0]["Content"][0].update({f"Column{number}": "" for number in range(50)}),
            lambda one: one["Items"][0]["Content"][0].update(Number=1),
        ]
        compliance = [
            lambda one: one.update(ComplianceType="Custom:"),
            lambda one: one["ExecutionSummary"].pop("ExecutionTime"),
            lambda one: one["ExecutionSummary"].update(ExecutionTime="now"),
            lambda one: one["Items"][0].update(Severity="SEVERE"),
            lambda one: one["Items"][0].pop("Status"),
            lambda one: one["Items"][0].update(Title="x" * 501),
            lambda one: one["Items"][0].update(Details={"": "x"}),
        ]
        for operation, changes in [("PutInventory", inventory), ("PutComplianceItems", compliance)]:
            for number, change in enumerate(changes):
                with self.subTest(f"{operation} {number}"):
                    self.assertEqual(len(broken(operation, change)), 1)


if __name__ == "__main__":
    unittest.main()
