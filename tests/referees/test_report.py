"""What reports need of SSM and Security Hub, tried by boto3 against vmbridge-simulator: inventory, compliance and findings.

Whatever boto3 gets is held against botocore's service model; errors are judged by their codes.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from datetime import datetime, timezone
from pathlib import Path

from botocore.exceptions import ClientError

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from aws_endpoint import Aws  # noqa: E402

VM, HOST = "Custom:VSphereVirtualMachine", "Custom:VSphereHost"
HARDENING = "Custom:VSphereHardening"
NOBODY = "mi-00000000000000000"
CAPTURED = "2026-02-03T04:05:06Z"
AT = datetime(2026, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
DAY = 86400


class Report(unittest.TestCase):
    """A simulator with a few nodes for each test."""

    def setUp(self):
        simulator = Path(os.environ.get("SIMULATOR") or ROOT / "target/debug/vmbridge-simulator")
        if not simulator.is_file():
            raise RuntimeError(f"{simulator} is missing; build it with: cargo build -p vmbridge-simulator")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        log = Path(folder.name) / "log"
        with log.open("wb") as out:
            process = subprocess.Popen([simulator, "--dir", folder.name, "--vms", "4", "--aws-nodes", "100"], stdout=out, stderr=out)
        self.addCleanup(self.stop, process)
        file = Path(folder.name) / "endpoints.json"
        deadline = time.monotonic() + 60
        while not file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the simulator did not start:\n{log.read_text()}")
            time.sleep(0.05)
        self.aws = Aws(file)
        self.account = self.aws.accounts[0]["id"]
        self.ssm = self.aws.client("ssm")
        self.hub = self.aws.client("securityhub")

    def stop(self, process):
        """Every test ends with the judgement of the simulator's answers."""
        try:
            if process.poll() is None:
                self.assertEqual(self.aws.misshapen, [])
                self.assertEqual(self.aws.control("GET", "/aws/truth")["mistakes"], [])
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def mutate(self, op, **fields):
        return self.aws.control("POST", "/aws/mutate", {"op": op, **fields})["made"]

    def truth(self):
        return self.aws.control("GET", "/aws/truth")["accounts"][0]["regions"][0]

    def effects(self):
        told = [one for one in self.aws.control("GET", "/effects") if one["service"] != "vcenter"]
        return [(one["operation"], one["resource"], one["effective"]) for one in told]

    def refused(self, code, call, status=400, **arguments):
        with self.assertRaises(ClientError) as caught:
            call(**arguments)
        told = caught.exception.response
        self.assertEqual((told["Error"]["Code"], told["ResponseMetadata"]["HTTPStatusCode"]), (code, status), told)

    def all(self, client, operation, result, size, **arguments):
        """All pages of a listing; every page but the last is full."""
        pages = [page[result] for page in client.get_paginator(operation).paginate(
            **arguments, PaginationConfig={"PageSize": size})]
        self.assertTrue(all(len(page) == size for page in pages[:-1]), [len(page) for page in pages])
        return [one for page in pages for one in page]


class Inventory(Report):
    def put(self, node, name=VM, content=None, **more):
        item = {"TypeName": name, "SchemaVersion": "1.0", "CaptureTime": CAPTURED, **more}
        if content is not None:
            item["Content"] = content
            item.setdefault("ContentHash", hashlib.md5(json.dumps(content).encode()).hexdigest())
        return {"InstanceId": node, "Items": [item]}

    def seen(self, node, name=VM):
        entity = self.ssm.get_inventory(
            Filters=[{"Key": "AWS:InstanceInformation.InstanceId", "Values": [node]}], ResultAttributes=[{"TypeName": name}])
        return entity["Entities"][0]["Data"].get(name)

    def test_what_is_put_is_read_and_the_hash_spares_the_content(self):
        node = self.mutate("addNode")
        rows = [{"Name": "b\u00fcro", "Cluster": "c1"}, {"Name": "web", "Cluster": ""}]
        put = self.put(node, content=rows)
        digest = put["Items"][0]["ContentHash"]
        self.ssm.put_inventory(**put)
        self.ssm.put_inventory(**put)
        self.assertEqual(self.seen(node), {
            "TypeName": VM, "SchemaVersion": "1.0", "CaptureTime": CAPTURED, "ContentHash": digest, "Content": rows})
        later = "2026-02-04T00:00:00Z"
        self.ssm.put_inventory(**self.put(node, ContentHash=digest, CaptureTime=later))
        self.assertEqual((self.seen(node)["CaptureTime"], self.seen(node)["Content"]), (later, rows))
        self.refused("ItemContentMismatchException", self.ssm.put_inventory, **self.put(node, ContentHash="another"))
        self.refused("ItemContentMismatchException", self.ssm.put_inventory, **self.put(node, HOST, ContentHash=digest))
        self.refused("InvalidItemContentException", self.ssm.put_inventory, **self.put(node))
        # A hash that is known already says that the content is known, whatever was sent.
        self.ssm.put_inventory(**self.put(node, content=[{"Name": "x"}], ContentHash=digest))
        self.assertEqual(self.seen(node)["Content"], rows)
        self.assertEqual(self.entries(node), rows)
        self.ssm.put_inventory(**self.put(node, content=[]))
        self.assertEqual(self.seen(node)["Content"], [])
        wanted = [True, False, True, True, True]
        self.assertEqual(self.effects(), [("PutInventory", node, effective) for effective in wanted])

    def entries(self, node, **more):
        rows, token = [], {}
        while True:
            page = self.ssm.list_inventory_entries(InstanceId=node, TypeName=VM, MaxResults=1, **token, **more)
            self.assertEqual((page["TypeName"], page["InstanceId"]), (VM, node))
            rows += page["Entries"]
            if "NextToken" not in page:
                return rows
            token = {"NextToken": page["NextToken"]}

    def test_limits(self):
        node = self.mutate("addNode")
        put = self.ssm.put_inventory
        for code, more in [
            ("InvalidTypeNameException", {"name": "AWS:Application", "content": []}),
            ("InvalidTypeNameException", {"name": "Custom:", "content": []}),
            ("ValidationException", {"name": "Mine:VM", "content": []}),
            ("ValidationException", {"name": "Custom:" + "x" * 94, "content": []}),
            ("ValidationException", {"content": [], "CaptureTime": "2026-02-03T04:05:06.000Z"}),
            ("ValidationException", {"content": [], "CaptureTime": "2026-02-03T04:05:06+00:00"}),
            ("InvalidItemContentException", {"content": [], "CaptureTime": "2026-02-31T04:05:06Z"}),
            ("ValidationException", {"content": [], "SchemaVersion": "1"}),
            ("ValidationException", {"content": [{f"a{at}": "" for at in range(51)}]}),
            ("ValidationException", {"content": [{"k" * 65: ""}]}),
            ("ValidationException", {"content": [{"k": "v" * 4097}]}),
            ("InvalidItemContentException", {"content": [{f"a{at}": ""} for at in range(51)]}),
            ("ItemSizeLimitExceededException", {"content": [{"k": "v" * 4096}] * 51}),
            ("UnsupportedInventoryItemContextException", {"content": [], "Context": {"a": "b"}}),
        ]:
            with self.subTest(code=code, more=str(more)[:80]):
                self.refused(code, put, **self.put(node, **more))
        item = self.put(node, content=[])["Items"][0]
        self.refused("InvalidInstanceId", put, InstanceId=NOBODY, Items=[item])
        self.refused("ValidationException", put, InstanceId=node, Items=[])
        self.refused("ValidationException", put, InstanceId=node, Items=[{**item, "TypeName": f"Custom:{at}"} for at in range(31)])
        self.refused("InvalidItemContentException", put, InstanceId=node, Items=[item, item])
        big = {**item, "Content": [{"k": "v" * 4096}] * 45}
        six = [{**big, "TypeName": f"Custom:T{at}"} for at in range(6)]
        self.refused("TotalSizeLimitExceededException", put, InstanceId=node, Items=six)
        twenty = [{**item, "TypeName": f"Custom:T{at}"} for at in range(20)]
        put(InstanceId=node, Items=twenty)
        self.refused("CustomSchemaCountLimitExceededException", put, **self.put(node, content=[]))
        self.assertEqual(len(self.truth()["inventory"]["types"]), 20)
        self.ssm.deregister_managed_instance(InstanceId=node)
        self.refused("InvalidInstanceId", put, InstanceId=node, Items=twenty)

    def test_queries(self):
        nodes = [self.mutate("addNode", computerName=f"n{at}", tags={"a": "b"}) for at in range(7)]
        instance = self.mutate("addInstance", computerName="ec2", platformType="Windows")
        for at, node in enumerate(nodes):
            self.ssm.put_inventory(**self.put(node, content=[{"Cluster": f"c{at % 2}", "Cpus": str(at)}]))
        everything = self.all(self.ssm, "get_inventory", "Entities", 3)
        known = {node["instanceId"]: node for node in self.truth()["nodes"]}
        self.assertEqual([one["Id"] for one in everything], sorted(known))
        own = {one["Id"]: one["Data"]["AWS:InstanceInformation"]["Content"][0] for one in everything}
        self.assertEqual({id: row["ComputerName"] for id, row in own.items()},
                         {id: node["computerName"] for id, node in known.items()})
        self.assertEqual((own[instance]["ResourceType"], own[nodes[0]]["ResourceType"]), ("EC2Instance", "ManagedInstance"))

        def found(key, values, kind="Equal"):
            filters = [{"Key": key, "Values": values, "Type": kind}]
            all_found = self.all(self.ssm, "get_inventory", "Entities", 2, Filters=filters, ResultAttributes=[{"TypeName": VM}])
            return {one["Id"] for one in all_found}

        self.assertEqual(found(f"{VM}.Cluster", ["c1"]), set(nodes[1::2]))
        self.assertEqual(found(f"{VM}.Cluster", ["c"], "BeginWith"), set(nodes))
        self.assertEqual(found(f"{VM}.Cpus", ["4"], "GreaterThan"), set(nodes[5:]))
        self.assertEqual(found("AWS:InstanceInformation.ResourceType", ["EC2Instance"]), {instance})
        counts = self.ssm.get_inventory(Aggregators=[{"Expression": f"{VM}.Cluster"}])["Entities"][0]["Data"][VM]["Content"]
        self.assertEqual(counts, [{"Cluster": "c0", "Count": "4"}, {"Cluster": "c1", "Count": "3"}])
        self.assertEqual(self.entries(nodes[3], Filters=[{"Key": "Cluster", "Values": ["c0"]}]), [])
        schemas = {one["TypeName"]: one for one in self.ssm.get_inventory_schema()["Schemas"]}
        self.assertEqual([one["Name"] for one in schemas[VM]["Attributes"]], ["Cluster", "Cpus"])
        self.assertIn("AWS:InstanceInformation", schemas)
        for code, call, arguments in [
            ("InvalidFilter", self.ssm.get_inventory, {"Filters": [{"Key": "Cluster", "Values": ["c"]}]}),
            ("InvalidResultAttributeException", self.ssm.get_inventory, {"ResultAttributes": [{"TypeName": HOST}]}),
            ("InvalidAggregatorException", self.ssm.get_inventory, {"Aggregators": [{"Expression": "Cluster"}]}),
            ("InvalidNextToken", self.ssm.get_inventory, {"NextToken": "x"}),
            ("ValidationException", self.ssm.get_inventory, {"MaxResults": 51}),
            ("InvalidTypeNameException", self.ssm.get_inventory_schema, {"TypeName": HOST}),
            ("InvalidTypeNameException", self.ssm.list_inventory_entries, {"InstanceId": nodes[0], "TypeName": HOST}),
            ("InvalidInstanceId", self.ssm.list_inventory_entries, {"InstanceId": NOBODY, "TypeName": VM}),
        ]:
            with self.subTest(code=code, arguments=arguments):
                self.refused(code, call, **arguments)

    def test_deleting_is_for_the_whole_account(self):
        nodes = [self.mutate("addNode") for _ in range(3)]
        for node in nodes:
            self.ssm.put_inventory(**self.put(node, content=[{"Name": "a"}]))
        dry = self.ssm.delete_inventory(TypeName=VM, DryRun=True)
        self.assertEqual((dry["DeletionSummary"]["TotalCount"], "DeletionId" in dry), (3, False))
        token = "01234567-89ab-cdef-0123-456789abcdef"
        gone = self.ssm.delete_inventory(TypeName=VM, SchemaDeleteOption="DisableSchema", ClientToken=token)
        again = self.ssm.delete_inventory(TypeName=VM, SchemaDeleteOption="DisableSchema", ClientToken=token)
        self.assertEqual(gone["DeletionId"], again["DeletionId"])
        self.refused("InvalidDeleteInventoryParametersException", self.ssm.delete_inventory, TypeName=VM, ClientToken=token)
        self.assertEqual([self.seen(node) for node in nodes], [None] * 3)
        self.mutate("skipTime", seconds=5)
        told = self.ssm.describe_inventory_deletions(DeletionId=gone["DeletionId"])["InventoryDeletions"]
        self.assertEqual([(one["LastStatus"], one["DeletionSummary"]["RemainingCount"]) for one in told], [("Complete", 0)])
        self.refused("InvalidDeletionIdException", self.ssm.describe_inventory_deletions, DeletionId=token)
        # A version that was disabled is ignored, the next one is not.
        self.ssm.put_inventory(**self.put(nodes[0], content=[{"Name": "b"}]))
        self.assertIsNone(self.seen(nodes[0]))
        self.ssm.put_inventory(**self.put(nodes[0], content=[{"Name": "b"}], SchemaVersion="1.1"))
        self.assertEqual(self.seen(nodes[0])["Content"], [{"Name": "b"}])
        self.ssm.delete_inventory(TypeName=VM, SchemaDeleteOption="DeleteSchema")
        self.assertEqual(self.truth()["inventory"]["types"], [])
        self.refused("InvalidTypeNameException", self.ssm.delete_inventory, TypeName=VM)
        deletes = [one for one in self.effects() if one[0] == "DeleteInventory"]
        self.assertEqual(deletes, [("DeleteInventory", VM, True)] * 2)


class Compliance(Report):
    def put(self, node, items, name=HARDENING, **more):
        self.ssm.put_compliance_items(**self.request(node, items, name, **more))

    def request(self, node, items, name=HARDENING, **more):
        return {"ResourceId": node, "ResourceType": "ManagedInstance", "ComplianceType": name,
                "ExecutionSummary": {"ExecutionTime": AT, "ExecutionId": "1", "ExecutionType": "Command"}, "Items": items, **more}

    @staticmethod
    def item(id, status="NON_COMPLIANT", severity="HIGH", **more):
        return {"Id": id, "Title": f"rule {id}", "Severity": severity, "Status": status, **more}

    def test_the_whole_list_is_replaced_unless_the_hash_is_known(self):
        node = self.mutate("addNode")
        three = [self.item("a"), self.item("b", severity="LOW", Details={"value": "x"}), self.item("c", "COMPLIANT")]
        self.put(node, three, ItemContentHash="one")
        found = self.all(self.ssm, "list_compliance_items", "ComplianceItems", 2, ResourceIds=[node], ResourceTypes=["ManagedInstance"])
        self.assertEqual([(one["Id"], one["Status"], one["Severity"], one["Details"]) for one in found], [
            ("a", "NON_COMPLIANT", "HIGH", {}), ("b", "NON_COMPLIANT", "LOW", {"value": "x"}), ("c", "COMPLIANT", "HIGH", {})])
        self.assertEqual({one["ExecutionSummary"]["ExecutionTime"] for one in found}, {AT})
        self.put(node, [self.item("z")], ItemContentHash="one")
        self.put(node, three[2:], ItemContentHash="two")
        summary = self.ssm.list_resource_compliance_summaries()["ResourceComplianceSummaryItems"]
        self.assertEqual([(one["ResourceId"], one["ComplianceType"], one["Status"]) for one in summary],
                         [(node, HARDENING, "COMPLIANT")])
        self.put(node, [])
        self.assertEqual(self.ssm.list_resource_compliance_summaries()["ResourceComplianceSummaryItems"], [])
        self.assertEqual(self.effects(), [("PutComplianceItems", node, effective) for effective in [True, False, True, True]])

    def test_limits(self):
        node, instance = self.mutate("addNode"), self.mutate("addInstance")
        put, request = self.ssm.put_compliance_items, self.request
        for code, arguments in [
            ("InvalidResourceType", {**request(node, []), "ResourceType": "EC2Instance"}),
            ("InvalidResourceId", request(NOBODY, [])),
            ("InvalidItemContentException", request(node, [], "Patch")),
            ("InvalidItemContentException", request(node, [], "Association")),
            ("ValidationException", request(node, [], "Custom:a b")),
            ("InvalidItemContentException", request(node, [self.item("a"), self.item("a")])),
            ("InvalidItemContentException", request(node, [{"Severity": "LOW", "Status": "COMPLIANT"}])),
            ("ValidationException", request(node, [self.item("a", Title="t" * 501)])),
            ("ValidationException", request(node, [self.item("a", "PASSED")])),
            ("ValidationException", request(node, [self.item("a", severity="NONE")])),
            ("ValidationException", request(node, [self.item("a", Details={"k" * 65: "v"})])),
            ("ValidationException", request(node, [self.item("a", Details={"k": "v" * 4097})])),
            ("InvalidItemContentException", request(node, [], UploadType="PARTIAL")),
            ("ValidationException", request(node, [], UploadType="SOME")),
            ("ItemSizeLimitExceededException", request(node, [self.item("a", Details={f"k{at}": "v" * 4096 for at in range(60)})])),
            ("TotalSizeLimitExceededException", request(node, [self.item(f"{at}", Details={"k": "v" * 4096}) for at in range(300)])),
        ]:
            with self.subTest(code=code, arguments=str(arguments)[:200]):
                self.refused(code, put, **arguments)
        for at in range(10):
            self.put(node, [self.item("a")], f"Custom:Type{at}", UploadType="COMPLETE")
        self.refused("ComplianceTypeCountLimitExceededException", put, **request(node, [self.item("a")]))
        self.put(instance, [self.item("a")], "Custom:Type9")
        for code, call, arguments in [
            ("InvalidResourceId", self.ssm.list_compliance_items, {"ResourceIds": [node, instance]}),
            ("InvalidResourceId", self.ssm.list_compliance_items, {"ResourceIds": [NOBODY]}),
            ("InvalidResourceType", self.ssm.list_compliance_items, {"ResourceIds": [node], "ResourceTypes": ["Host"]}),
            ("InvalidFilter", self.ssm.list_compliance_items, {"ResourceIds": [node], "Filters": [{"Key": "Colour", "Values": ["red"]}]}),
            ("InvalidFilter", self.ssm.list_resource_compliance_summaries, {"Filters": [{"Key": "Colour", "Values": ["red"]}]}),
            ("InvalidFilter", self.ssm.list_compliance_summaries, {"Filters": [{"Key": "Colour", "Values": ["red"]}]}),
            ("InvalidNextToken", self.ssm.list_resource_compliance_summaries, {"NextToken": "x"}),
            ("ValidationException", self.ssm.list_resource_compliance_summaries, {"MaxResults": 51}),
        ]:
            with self.subTest(code=code, arguments=arguments):
                self.refused(code, call, **arguments)

    def test_every_node_in_bulk(self):
        """Patch, association and custom compliance of hybrid nodes and EC2 instances, from the same pages."""
        hybrid, windows = self.mutate("addNode"), self.mutate("addNode", platformType="Windows")
        instance = self.mutate("addInstance", tags={"Name": "app"})
        for node, missing, outcome in [(hybrid, 3, "scanned"), (windows, 5, "rebootPending"), (instance, 2, "installed")]:
            self.mutate("setMissing", node=node, missing=missing)
            self.mutate("patch", node=node, outcome=outcome)
        self.mutate("setAssociation", node=hybrid, document="AWS-GatherSoftwareInventory", status="Success")
        self.mutate("setAssociation", node=hybrid, document="AWS-UpdateSSMAgent", status="Failed", severity="CRITICAL")
        self.mutate("setAssociation", node=instance, document="AWS-UpdateSSMAgent", status="Success")
        self.put(windows, [self.item("a")])

        everything = self.all(self.ssm, "list_resource_compliance_summaries", "ResourceComplianceSummaryItems", 2)
        found = {(one["ResourceId"], one["ComplianceType"]): one for one in everything}
        self.assertEqual(len(found), len(everything))
        self.assertEqual({key: one["Status"] for key, one in found.items()}, {
            (hybrid, "Patch"): "NON_COMPLIANT", (windows, "Patch"): "NON_COMPLIANT", (instance, "Patch"): "COMPLIANT",
            (hybrid, "Association"): "NON_COMPLIANT", (instance, "Association"): "COMPLIANT", (windows, HARDENING): "NON_COMPLIANT"})
        self.assertEqual(found[hybrid, "Association"]["OverallSeverity"], "CRITICAL")
        self.assertEqual(found[hybrid, "Association"]["NonCompliantSummary"], {"NonCompliantCount": 1, "SeveritySummary": {
            "CriticalCount": 1, "HighCount": 0, "MediumCount": 0, "LowCount": 0, "InformationalCount": 0, "UnspecifiedCount": 0}})
        states = self.ssm.describe_instance_patch_states(InstanceIds=[hybrid, windows, instance])["InstancePatchStates"]
        self.assertEqual(len(states), 3)
        for state in states:
            node, summary = state["InstanceId"], found[state["InstanceId"], "Patch"]
            wrong = [state[name] for name in ["MissingCount", "FailedCount", "InstalledPendingRebootCount"]]
            self.assertEqual(summary["NonCompliantSummary"]["NonCompliantCount"], sum(wrong))
            by_level = [state[f"{level}NonCompliantCount"] for level in ["Critical", "Security", "Other"]]
            self.assertEqual(sum(by_level), sum(wrong))
            self.assertEqual(summary["NonCompliantSummary"]["SeveritySummary"]["CriticalCount"], by_level[0])
            patches = self.all(self.ssm, "describe_instance_patches", "Patches", 10, InstanceId=node)
            of_state = {name: sum(patch["State"] == name for patch in patches) for name in
                        ["MISSING", "FAILED", "INSTALLED_PENDING_REBOOT", "INSTALLED"]}
            self.assertEqual(of_state, {"MISSING": state["MissingCount"], "FAILED": state["FailedCount"],
                                        "INSTALLED_PENDING_REBOOT": state["InstalledPendingRebootCount"],
                                        "INSTALLED": state["InstalledCount"]})
        missing = self.ssm.describe_instance_patches(InstanceId=hybrid, Filters=[{"Key": "State", "Values": ["MISSING"]}])["Patches"]
        self.assertEqual([(one["Severity"], one["Classification"]) for one in missing],
                         [("Critical", "Security"), ("Important", "Security"), ("Moderate", "Security")])
        items = self.ssm.list_compliance_items(ResourceIds=[hybrid], Filters=[{"Key": "ComplianceType", "Values": ["Patch"]}])
        self.assertEqual([one["Id"] for one in items["ComplianceItems"]], [one["KBId"] for one in missing])
        only = self.ssm.list_resource_compliance_summaries(Filters=[
            {"Key": "ComplianceType", "Values": ["Patch", "Association"]}, {"Key": "Status", "Values": ["NON_COMPLIANT"]}])
        self.assertEqual({(one["ResourceId"], one["ComplianceType"]) for one in only["ResourceComplianceSummaryItems"]},
                         {(hybrid, "Patch"), (windows, "Patch"), (hybrid, "Association")})
        counts = {one["ComplianceType"]: (one["CompliantSummary"]["CompliantCount"], one["NonCompliantSummary"]["NonCompliantCount"])
                  for one in self.ssm.list_compliance_summaries()["ComplianceSummaryItems"]}
        self.assertEqual(counts, {"Patch": (1, 2), "Association": (1, 1), HARDENING: (0, 1)})

        def listed(key, value):
            filters = [{"Key": key, "Values": [value]}]
            all_found = self.all(self.ssm, "describe_instance_information", "InstanceInformationList", 5, Filters=filters)
            return {one["InstanceId"]: one for one in all_found}

        self.assertEqual(set(listed("ResourceType", "EC2Instance")), {instance})
        self.assertNotIn(instance, listed("ResourceType", "ManagedInstance"))
        failed = listed("AssociationStatus", "Failed")
        self.assertEqual(set(failed), {hybrid})
        self.assertEqual(failed[hybrid]["AssociationOverview"]["InstanceAssociationStatusAggregatedCount"], {"Failed": 1, "Success": 1})
        told = self.ssm.describe_instance_associations_status(InstanceId=hybrid)["InstanceAssociationStatusInfos"]
        self.assertEqual([(one["Name"], one["Status"]) for one in told],
                         [("AWS-GatherSoftwareInventory", "Success"), ("AWS-UpdateSSMAgent", "Failed")])
        self.refused("InvalidInstanceId", self.ssm.describe_instance_patches, InstanceId=NOBODY)
        self.refused("InvalidFilter", self.ssm.describe_instance_patches, InstanceId=hybrid, Filters=[{"Key": "Title", "Values": ["x"]}])


class Policies(Report):
    def test_every_action_needs_its_own_permission(self):
        node = self.mutate("addNode")
        item = {"TypeName": VM, "SchemaVersion": "1.0", "CaptureTime": CAPTURED, "Content": []}
        identifier = {"Id": "a", "ProductArn": "arn:aws:securityhub:eu-central-1::product/aws/ssm-patch-manager"}
        aggregator = f"arn:aws:securityhub:{self.aws.region}:{self.account}:finding-aggregator/01234567-89ab-4cde-8f01-0123456789ab"
        calls = {
            "ssm:PutInventory": (self.ssm.put_inventory, {"InstanceId": node, "Items": [item]}),
            "ssm:GetInventory": (self.ssm.get_inventory, {}),
            "ssm:ListInventoryEntries": (self.ssm.list_inventory_entries, {"InstanceId": node, "TypeName": "AWS:InstanceInformation"}),
            "ssm:GetInventorySchema": (self.ssm.get_inventory_schema, {}),
            "ssm:DeleteInventory": (self.ssm.delete_inventory, {"TypeName": VM}),
            "ssm:DescribeInventoryDeletions": (self.ssm.describe_inventory_deletions, {}),
            "ssm:PutComplianceItems": (self.ssm.put_compliance_items, {
                "ResourceId": node, "ResourceType": "ManagedInstance", "ComplianceType": HARDENING,
                "ExecutionSummary": {"ExecutionTime": AT}, "Items": []}),
            "ssm:ListComplianceItems": (self.ssm.list_compliance_items, {"ResourceIds": [node]}),
            "ssm:ListComplianceSummaries": (self.ssm.list_compliance_summaries, {}),
            "ssm:ListResourceComplianceSummaries": (self.ssm.list_resource_compliance_summaries, {}),
            "ssm:DescribeInstancePatches": (self.ssm.describe_instance_patches, {"InstanceId": node}),
            "ssm:DescribeInstanceAssociationsStatus": (self.ssm.describe_instance_associations_status, {"InstanceId": node}),
            "securityhub:BatchUpdateFindings": (self.hub.batch_update_findings, {"FindingIdentifiers": [identifier]}),
            "securityhub:ListFindingAggregators": (self.hub.list_finding_aggregators, {}),
            "securityhub:GetFindingAggregator": (self.hub.get_finding_aggregator, {"FindingAggregatorArn": aggregator}),
        }
        resources = {"securityhub:GetFindingAggregator": aggregator}
        user = self.aws.accounts[0]["userArn"]
        for action, (call, arguments) in calls.items():
            others = [{"Effect": "Allow", "Action": other, "Resource": "*"} for other in calls if other != action]
            own = {"Effect": "Allow", "Action": action, "Resource": resources.get(action, "*")}
            with self.subTest(action):
                self.aws.control("POST", "/aws/policy", {"principal": user, "policy": {"Version": "2012-10-17", "Statement": others}})
                self.refused("AccessDeniedException", call, status=403 if action.startswith("securityhub") else 400, **arguments)
                self.aws.control("POST", "/aws/policy", {"principal": user, "policy": {"Version": "2012-10-17", "Statement": [own]}})
                try:
                    call(**arguments)
                except ClientError as error:
                    self.assertEqual((action, error.response["Error"]["Code"]), ("securityhub:GetFindingAggregator", "ResourceNotFoundException"))


class Findings(Report):
    def setUp(self):
        super().setUp()
        self.product = f"arn:aws:securityhub:{self.aws.region}:{self.account}:product/{self.account}/default"

    def finding(self, id, minute=0, status="FAILED", region=None, **more):
        region = region or self.aws.region
        return {
            "SchemaVersion": "2018-10-08", "Id": id, "GeneratorId": "vmbridge/rule/a", "AwsAccountId": self.account,
            "ProductArn": self.product.replace(self.aws.region, region),
            "CreatedAt": "2026-01-01T00:00:00Z", "UpdatedAt": f"2026-01-01T00:{minute:02}:00Z", "Title": "t", "Description": "d",
            "FindingProviderFields": {"Severity": {"Label": "HIGH", "Original": "7"},
                                      "Types": ["Software and Configuration Checks/Industry and Regulatory Standards"]},
            "Resources": [{"Type": "Other", "Id": f"vm/{id}", "Details": {"Other": {"name": "web"}}}],
            "Compliance": {"Status": status}, **more}

    def bring(self, *findings):
        answer = self.hub.batch_import_findings(Findings=list(findings))
        self.assertEqual(answer["FailedFindings"], [])

    def update(self, *ids, product=None, **more):
        return self.hub.batch_update_findings(
            FindingIdentifiers=[{"Id": id, "ProductArn": product or self.product} for id in ids], **more)

    def get(self, id):
        found = self.hub.get_findings(Filters={"Id": [{"Value": id, "Comparison": "EQUALS"}]})["Findings"]
        return found[0] if found else None

    def ids(self, size=100, **filters):
        return [one["Id"] for one in self.all(self.hub, "get_findings", "Findings", size, Filters=filters)]

    def test_whose_word_counts(self):
        """The provider's, the customer's, and when a finding is new again."""
        self.bring(self.finding("a"))
        found = self.get("a")
        self.assertEqual((found["Severity"]["Label"], found["Severity"]["Normalized"], found["Types"]),
                         ("HIGH", 70, self.finding("a")["FindingProviderFields"]["Types"]))
        self.update("a", Workflow={"Status": "RESOLVED"}, Severity={"Label": "LOW"}, UserDefinedFields={"owner": "me"},
                    Note={"Text": "done", "UpdatedBy": "me"})
        self.assertEqual(self.get("a")["UpdatedAt"], found["UpdatedAt"])
        mine = {"Workflow": {"Status": "NEW"}, "Note": {"Text": "x", "UpdatedBy": "p", "UpdatedAt": "2026-01-01T00:00:00Z"},
                "UserDefinedFields": {"owner": "p"}}
        for minute, status, record, workflow in [
            (0, "PASSED", "ACTIVE", None),  # no newer: ignored
            (1, "PASSED", "ARCHIVED", "RESOLVED"),
            (2, "PASSED", "ACTIVE", "NEW"),
        ]:
            self.bring(self.finding("a", minute, status, RecordState=record, **mine))
            now = self.get("a")
            self.assertEqual(now["Compliance"]["Status"], "FAILED" if workflow is None else status)
            self.assertEqual(now["Workflow"]["Status"], workflow or "RESOLVED")
            self.assertEqual((now["Note"]["Text"], now["UserDefinedFields"]), ("done", {"owner": "me"}))
            self.assertEqual((now["Severity"]["Label"], now["FindingProviderFields"]["Severity"]["Label"]), ("LOW", "HIGH"))
        self.update("a", Workflow={"Status": "NOTIFIED"})
        self.bring(self.finding("a", 3, "FAILED"))
        self.assertEqual(self.get("a")["Workflow"]["Status"], "NEW")
        self.update("a", Workflow={"Status": "SUPPRESSED"})
        self.bring(self.finding("a", 4, "PASSED"))
        self.bring(self.finding("a", 5, "FAILED"))
        self.assertEqual(self.get("a")["Workflow"]["Status"], "SUPPRESSED")
        # What no customer has touched follows the provider.
        louder = {"Severity": {"Label": "CRITICAL"}, "Types": ["Effects/Data Exposure"]}
        self.bring(self.finding("a", 6, FindingProviderFields=louder))
        now = self.get("a")
        self.assertEqual((now["Types"], now["Severity"]["Label"]), (louder["Types"], "LOW"))

    def test_failures_one_by_one(self):
        self.mutate("failFindings", id="f*", times=2)
        answer = self.hub.batch_import_findings(Findings=[self.finding(id) for id in ["f1", "g1", "f2", "f3"]])
        self.assertEqual((answer["SuccessCount"], answer["FailedCount"]), (2, 2))
        self.assertEqual([(one["Id"], one["ErrorCode"]) for one in answer["FailedFindings"]],
                         [("f1", "InternalFailure"), ("f2", "InternalFailure")])
        self.bring(self.finding("f1"), self.finding("f2"))
        bad = [
            self.finding("1", Title="t" * 257), self.finding("2", Description="d" * 1025), self.finding("3", GeneratorId="g" * 513),
            self.finding("4", Types=["Nonsense"]), self.finding("5", ProductFields={str(at): "x" for at in range(51)}),
            self.finding("6", Resources=[{"Type": "Other", "Id": "r"}] * 33), self.finding("7", SchemaVersion="1"),
            self.finding("8", UpdatedAt="yesterday"), self.finding("9", AwsAccountId="999999999999"),
            self.finding("10", ProductArn=f"arn:aws:securityhub:{self.aws.region}::product/aws/ssm-patch-manager"),
            self.finding("11", Remediation={"Recommendation": {"Text": "t" * 513}}),
            self.finding("12", Compliance={"Status": "FAILED", "RelatedRequirements": ["r"] * 33}),
            self.finding("13", FindingProviderFields={}), self.finding("14", Resources=[{"Type": "Other", "Id": "r" * 513}]),
            self.finding("15", Resources=[{"Type": "Other", "Id": "r", "Details": {"Other": {"k": "v" * 1025}}}]),
            self.finding("16", SourceUrl="https://example.com/" + "x" * (240 << 10)),
        ]
        answer = self.hub.batch_import_findings(Findings=[self.finding("good"), *bad])
        self.assertEqual([one["Id"] for one in answer["FailedFindings"]], [one["Id"] for one in bad])
        self.assertEqual({one["ErrorCode"] for one in answer["FailedFindings"]}, {"InvalidInput"})
        self.assertEqual(answer["SuccessCount"], 1)
        heavy = {"k": "v" * 2048}
        many = [self.finding(f"h{at}", ProductFields={f"{n}": heavy["k"] for n in range(40)}) for at in range(90)]
        self.refused("InvalidInputException", self.hub.batch_import_findings, Findings=many)
        self.refused("InvalidInputException", self.hub.batch_import_findings, Findings=[self.finding(str(at)) for at in range(101)])

        self.mutate("failFindings", id="f1", operation="BatchUpdateFindings", code="ConcurrentUpdateError")
        answer = self.update("f1", "f2", "f2", "none", "g1", Workflow={"Status": "NOTIFIED"})
        self.assertEqual([(one["FindingIdentifier"]["Id"], one["ErrorCode"]) for one in answer["UnprocessedFindings"]], [
            ("f1", "ConcurrentUpdateError"), ("f2", "DuplicatedFindingIdentifier"), ("f2", "DuplicatedFindingIdentifier"),
            ("none", "FindingNotFound")])
        self.assertEqual([one["Id"] for one in answer["ProcessedFindings"]], ["g1"])
        for more in [{"Note": {"Text": "t" * 513, "UpdatedBy": "me"}}, {"UserDefinedFields": {"k": "v" * 1025}},
                     {"UserDefinedFields": {str(at): "v" for at in range(51)}}, {"Types": ["Nonsense"]}]:
            answer = self.update("f1", **more)
            self.assertEqual([one["ErrorCode"] for one in answer["UnprocessedFindings"]], ["InvalidInput"], more)
        self.refused("InvalidInputException", self.update, **{"Workflow": {"Status": "NEW"}})
        with self.assertRaises(ClientError):
            self.update(*[str(at) for at in range(101)], Workflow={"Status": "NEW"})

    def test_filters_and_pages(self):
        self.bring(*[self.finding(f"{at:02}", at, "PASSED" if at % 3 == 0 else "FAILED",
                                  GeneratorId=f"vmbridge/{'rule' if at % 2 else 'agent'}/{at}", ProductName="vmbridge",
                                  ProductFields={"vcenter": f"v{at % 2}"}) for at in range(25)])
        self.update("03", "04", UserDefinedFields={"place": "Ulm"}, Workflow={"Status": "RESOLVED"})
        eq = lambda *values: [{"Value": value, "Comparison": "EQUALS"} for value in values]
        numbered = lambda test: [f"{at:02}" for at in range(25) if test(at)]
        key = lambda name, value, comparison="EQUALS": {"Key": name, "Value": value, "Comparison": comparison}
        for filters, wanted in [
            ({}, lambda at: True),
            ({"GeneratorId": [{"Value": "vmbridge/rule/", "Comparison": "PREFIX"}]}, lambda at: at % 2),
            ({"GeneratorId": [{"Value": "vmbridge/", "Comparison": "PREFIX"}, {"Value": "vmbridge/rule", "Comparison": "PREFIX_NOT_EQUALS"}]},
             lambda at: at % 2 == 0),
            ({"ProductName": eq("vmbridge"), "ProductArn": eq(self.product), "RecordState": eq("ACTIVE")}, lambda at: True),
            ({"ComplianceStatus": eq("PASSED"), "Id": eq("03", "04", "09")}, lambda at: at in (3, 9)),
            ({"WorkflowStatus": [{"Value": "RESOLVED", "Comparison": "NOT_EQUALS"}, {"Value": "SUPPRESSED", "Comparison": "NOT_EQUALS"}]},
             lambda at: at not in (3, 4)),
            ({"ResourceId": eq("vm/07"), "ResourceType": eq("Other")}, lambda at: at == 7),
            ({"UpdatedAt": [{"Start": "2026-01-01T00:10:00Z", "End": "2026-01-01T00:12:00Z"}]}, lambda at: 10 <= at <= 12),
            ({"UserDefinedFields": [key("place", "Ulm")]}, lambda at: at in (3, 4)),
            ({"ProductFields": [key("vcenter", "v1"), key("vcenter", "v2")]}, lambda at: at % 2),
            ({"ProductFields": [key("vcenter", "v1", "NOT_EQUALS"), key("vcenter", "v2", "NOT_EQUALS")]}, lambda at: at % 2 == 0),
            ({"SeverityLabel": eq("HIGH"), "SeverityNormalized": [{"Gte": 71}]}, lambda at: False),
        ]:
            with self.subTest(filters=filters):
                self.assertEqual(self.ids(7, **filters), numbered(wanted))
        newest = [one["Id"] for one in self.all(self.hub, "get_findings", "Findings", 10,
                                                SortCriteria=[{"Field": "ComplianceStatus", "SortOrder": "asc"},
                                                              {"Field": "UpdatedAt", "SortOrder": "desc"}])]
        self.assertEqual(newest, numbered(lambda at: at % 3)[::-1] + numbered(lambda at: at % 3 == 0)[::-1])
        for arguments in [
            {"MaxResults": 101}, {"NextToken": "x"}, {"Filters": {"Id": eq(*map(str, range(21)))}},
            {"Filters": {"Title": [{"Value": "t", "Comparison": "CONTAINS"}]}},
            {"Filters": {"Id": [*eq("a"), {"Value": "b", "Comparison": "NOT_EQUALS"}]}},
            {"Filters": {"UpdatedAt": [{"Start": "soon"}]}},
        ]:
            with self.subTest(arguments=arguments):
                self.refused("InvalidInputException", self.hub.get_findings, **arguments)

    def test_findings_are_forgotten(self):
        self.bring(self.finding("active"), self.finding("archived", RecordState="ARCHIVED"), self.finding("kept"))
        self.mutate("skipTime", seconds=29 * DAY)
        self.assertEqual(self.ids(), ["active", "archived", "kept"])
        self.mutate("skipTime", seconds=2 * DAY)
        self.assertEqual(self.ids(), ["active", "kept"])
        self.bring(self.finding("kept", 1))
        self.mutate("skipTime", seconds=60 * DAY)
        self.assertEqual(self.ids(), ["kept"])
        self.assertEqual(self.ids(UpdatedAt=[{"DateRange": {"Value": 30, "Unit": "DAYS"}}]), [])
        self.mutate("skipTime", seconds=31 * DAY)
        self.assertEqual(self.ids(), [])
        # One that was forgotten is a new one.
        self.bring(self.finding("kept"))
        self.assertEqual(self.get("kept")["Workflow"]["Status"], "NEW")

    def test_rates(self):
        self.aws.control("POST", "/aws/settings", {"documentedRates": True})
        for burst, code, call in [(6, "TooManyRequestsException", lambda: self.hub.get_findings(MaxResults=1)),
                                  (30, "TooManyRequestsException", lambda: self.bring(self.finding("a")))]:
            done, begin = 0, time.monotonic()
            with self.assertRaises(ClientError) as caught:
                for _ in range(500):
                    call()
                    done += 1
            self.assertEqual(caught.exception.response["Error"]["Code"], code)
            rate = 3 if burst == 6 else 10
            self.assertGreaterEqual(done, burst)
            self.assertLessEqual(done, burst + rate * (time.monotonic() - begin) + 1)
        self.aws.control("POST", "/aws/settings", {"documentedRates": False})
        for _ in range(40):
            self.hub.get_findings(MaxResults=1)

    def test_the_aggregation_region_sees_the_others(self):
        other = self.aws.accounts[0]["regions"][1]
        there = self.aws.client("securityhub", region_name=other)
        self.assertEqual(self.hub.list_finding_aggregators()["FindingAggregators"], [])
        there.batch_import_findings(Findings=[self.finding("there", region=other)])
        self.bring(self.finding("here"))
        self.assertEqual(self.ids(), ["here"])
        self.mutate("setAggregation", aggregation={"region": self.aws.region})
        self.assertEqual(sorted(self.ids(size=1)), ["here", "there"])
        self.assertEqual(self.get("there")["Region"], other)
        self.assertEqual([one["Id"] for one in there.get_findings()["Findings"]], ["there"])
        product = self.product.replace(self.aws.region, other)
        self.assertEqual(len(self.update("there", product=product, Workflow={"Status": "RESOLVED"})["ProcessedFindings"]), 1)
        self.assertEqual(there.get_findings()["Findings"][0]["Workflow"]["Status"], "RESOLVED")
        for client in (self.hub, there):
            [aggregator] = client.list_finding_aggregators(MaxResults=10)["FindingAggregators"]
            told = client.get_finding_aggregator(FindingAggregatorArn=aggregator["FindingAggregatorArn"])
            self.assertEqual((told["FindingAggregationRegion"], told["RegionLinkingMode"]), (self.aws.region, "ALL_REGIONS"))
        self.refused("ResourceNotFoundException", self.hub.get_finding_aggregator, status=404,
                     FindingAggregatorArn=aggregator["FindingAggregatorArn"] + "x")
        self.mutate("setAggregation", aggregation={"region": self.aws.region, "linked": [self.aws.region]})
        self.assertEqual(self.ids(), ["here"])
        # One's own findings go to the Region that they are for, and to no other.
        answer = self.hub.batch_import_findings(Findings=[self.finding("x", region=other)])
        self.assertEqual(answer["FailedFindings"][0]["ErrorCode"], "InvalidInput")

    def test_patch_managers_findings(self):
        """One more for each run that leaves a node non-compliant; of any node it says that it is an EC2 instance."""
        hybrid, instance = self.mutate("addNode"), self.mutate("addInstance")
        patch_manager = f"arn:aws:securityhub:{self.aws.region}::product/aws/ssm-patch-manager"
        filters = {"ProductArn": [{"Value": patch_manager, "Comparison": "EQUALS"}]}
        for node in (hybrid, instance):
            self.mutate("setMissing", node=node, missing=2)
        self.mutate("patch", node=hybrid, outcome="scanned")
        self.assertEqual(self.ids(**filters), [])
        self.mutate("setPatchFindings", on=True)
        for node in (hybrid, instance, hybrid):
            self.mutate("patch", node=node, outcome="scanned")
        found = self.hub.get_findings(Filters=filters)["Findings"]
        self.assertEqual(len({one["Id"] for one in found}), 3)
        resources = [one["Resources"][0] for one in found]
        self.assertEqual({one["Type"] for one in resources}, {"AwsEc2Instance"})
        self.assertEqual(sorted(one["Id"] for one in resources), sorted([hybrid, hybrid, instance]))
        self.assertEqual({one["PatchSummary"]["MissingCount"] for one in found}, {2})
        self.mutate("patch", node=hybrid, outcome="installed")
        self.assertEqual(self.hub.get_findings(Filters=filters)["Findings"], found)
        done = self.update(*[one["Id"] for one in found], product=patch_manager, Workflow={"Status": "RESOLVED"},
                           Note={"Text": "dc1/web", "UpdatedBy": "vmbridge"}, UserDefinedFields={"vm": "web"})
        self.assertEqual(len(done["ProcessedFindings"]), 3)
        # Windows write them too, when their runs are over.
        self.mutate("addWindow", window={"name": "w", "schedule": "rate(1 hour)", "duration": 1, "operation": "Scan",
                                         "targets": {"InstanceIds": [instance]}})
        self.mutate("skipTime", seconds=3 * 3600 + 600)
        new = self.hub.get_findings(Filters={**filters, "WorkflowStatus": [{"Value": "NEW", "Comparison": "EQUALS"}]})["Findings"]
        self.assertEqual([one["Resources"][0]["Id"] for one in new], [instance] * 3)


if __name__ == "__main__":
    unittest.main()
