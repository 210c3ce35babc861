"""compare.py decides whether vmbridge and the referees agree; it must see what differs, and not be content with nothing."""

import copy
import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from tests.referees import compare

PROGRAM = Path(compare.__file__)

DOCUMENT = {
    "schema": "vmbridge.inventory/1",
    "vms": [
        {
            "vcenter": "dc1",
            "vcenterUuid": "u-1",
            "moref": "vm-12",
            "name": "web",
            "guest": {"hostName": "web.example.test", "operationsReady": True, "ipAddresses": ["10.0.0.1", "10.0.0.2"]},
            "cpus": 1,
            "created": "2025-03-01T08:00:00Z",
            "vApp": None,
            "disks": [{"key": 2000, "mode": "persistent"}],
            "customAttributes": {"Owner": "ops"},
            "tags": [{"category": "A", "name": "x"}, {"category": "B", "name": "y"}],
        },
        {"vcenter": "dc1", "vcenterUuid": "u-1", "moref": "vm-9", "name": "db"},
    ],
    "hosts": [{"vcenter": "dc1", "vcenterUuid": "u-1", "moref": "host-1", "name": "esx1"}],
}


def changed(change):
    document = copy.deepcopy(DOCUMENT)
    change(document)
    return document


class Compare(unittest.TestCase):
    def differences(self, change):
        return compare.compare(DOCUMENT, changed(change)).differences

    def assert_equal(self, change):
        self.assertEqual(self.differences(change), [])

    def test_equal_documents(self):
        result = compare.compare(DOCUMENT, copy.deepcopy(DOCUMENT))
        self.assertTrue(result.equal)
        self.assertEqual(result.objects, 3)
        self.assertEqual(result.report()[-1], f"compared 3 objects, {result.fields} fields: equal")
        self.assertGreater(result.fields, 20)

    def test_a_nested_value(self):
        def change(document):
            document["vms"][0]["guest"]["hostName"] = "other"

        self.assertEqual(self.differences(change), ['vms/vm-12/guest/hostName: ours "web.example.test" theirs "other"'])

    def test_every_single_leaf_is_looked_at(self):
        leaves = list(leaves_of(DOCUMENT["vms"][0]))
        self.assertGreater(len(leaves), 10)
        for path in leaves:
            if path[0] in ("vcenter",):
                continue
            with self.subTest(path=path):

                def change(document, path=path):
                    here = document["vms"][0]
                    for step in path[:-1]:
                        here = here[step]
                    here[path[-1]] = "something else"

                self.assertNotEqual(self.differences(change), [])

    def test_null_is_a_value(self):
        def change(document):
            document["vms"][0]["vApp"] = {"moref": "resgroup-v1", "name": "app"}

        self.assertEqual(len(self.differences(change)), 1)

    def test_a_bool_is_not_a_number(self):
        def change(document):
            document["vms"][0]["cpus"] = True

        self.assertEqual(self.differences(change), ["vms/vm-12/cpus: ours 1 theirs true"])

    def test_lists_of_different_length(self):
        def change(document):
            document["vms"][0]["disks"] = []

        self.assertEqual(len(self.differences(change)), 1)

    def test_order_of_addresses_counts(self):
        def change(document):
            document["vms"][0]["guest"]["ipAddresses"].reverse()

        self.assertEqual(len(self.differences(change)), 2)

    def test_order_of_tags_does_not(self):
        def change(document):
            document["vms"][0]["tags"].reverse()

        self.assert_equal(change)

    def test_a_missing_tag(self):
        def change(document):
            document["vms"][0]["tags"].pop()

        self.assertEqual(len(self.differences(change)), 1)

    def test_a_missing_custom_attribute_is_a_difference(self):
        def change(document):
            document["vms"][0]["customAttributes"] = {}

        self.assertEqual(self.differences(change), ['vms/vm-12/customAttributes/Owner: ours "ops" theirs "absent"'])

    def test_a_missing_object(self):
        def change(document):
            document["vms"].pop()

        self.assertEqual(self.differences(change), ['vms/vm-9: ours "present" theirs "absent" (vCenter u-1)'])

    def test_an_object_too_many(self):
        def change(document):
            document["hosts"].append({"vcenterUuid": "u-1", "moref": "host-2"})

        self.assertEqual(self.differences(change), ['hosts/host-2: ours "absent" theirs "present" (vCenter u-1)'])

    def test_an_object_twice(self):
        def change(document):
            document["vms"].append(copy.deepcopy(document["vms"][0]))

        self.assertEqual(self.differences(change), ["vms/vm-12: theirs has it twice"])

    def test_the_vcenter_is_told_by_its_uuid(self):
        def rename(document):
            for item in document["vms"] + document["hosts"]:
                item["vcenter"] = "another name"

        def replace(document):
            document["hosts"][0]["vcenterUuid"] = "u-2"

        self.assert_equal(rename)
        self.assertEqual(len(self.differences(replace)), 2)

    def test_a_key_of_one_side_is_named_but_not_compared(self):
        def change(document):
            del document["vms"][0]["cpus"]

        result = compare.compare(DOCUMENT, changed(change))
        self.assertTrue(result.equal)
        self.assertIn("not compared, only in ours: vms/cpus", result.report())

    def test_times_written_differently(self):
        same = ["2025-03-01T09:00:00+01:00", "2025-03-01T08:00:00.000Z", "2025-03-01T08:00:00+00:00"]
        for time in same:
            with self.subTest(time=time):
                self.assertEqual(compare.instant(time), "2025-03-01T08:00:00Z")
        self.assertEqual(compare.instant("2025-03-01T08:00:00.120000Z"), "2025-03-01T08:00:00.12Z")
        self.assertEqual(compare.instant("yesterday"), "yesterday")

    def test_a_time_elsewhere_is_a_mere_text(self):
        ours = changed(lambda document: document["vms"][0].update(name="2025-03-01T08:00:00Z"))
        theirs = changed(lambda document: document["vms"][0].update(name="2025-03-01T09:00:00+01:00"))
        self.assertEqual(len(compare.compare(ours, theirs).differences), 1)

    def test_at_most_fifty_are_shown(self):
        ours = {"vms": [{"vcenterUuid": "u", "moref": f"vm-{i}"} for i in range(60)]}
        lines = compare.compare(ours, {"vms": []}).report()
        self.assertEqual(len(lines), 52)
        self.assertEqual(lines[0], 'vms/vm-0: ours "present" theirs "absent" (vCenter u)')
        self.assertEqual(lines[2], 'vms/vm-2: ours "present" theirs "absent" (vCenter u)')
        self.assertEqual(lines[50], "… and 10 more")
        self.assertEqual(lines[51], "compared 0 objects, 0 fields: 60 differences")

    def test_nothing_to_compare_is_not_equality(self):
        for ours, theirs in [({}, {}), ({"vms": []}, {"vms": []}), (DOCUMENT, {}), ({"vms": []}, {"hosts": []})]:
            with self.subTest(ours=ours, theirs=theirs):
                result = compare.compare(ours, theirs)
                self.assertFalse(result.equal)
                self.assertEqual(result.report()[-1], "compared 0 objects, 0 fields: nothing was compared")


class Program(unittest.TestCase):
    def run_it(self, *documents):
        with tempfile.TemporaryDirectory() as folder:
            paths = []
            for index, document in enumerate(documents):
                path = Path(folder) / f"{index}.json"
                path.write_text(document if isinstance(document, str) else json.dumps(document))
                paths.append(path)
            return subprocess.run([sys.executable, PROGRAM, *paths], capture_output=True, text=True, check=False)

    def test_equal(self):
        done = self.run_it(DOCUMENT, DOCUMENT)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"^compared 3 objects, \d+ fields: equal\n$")

    def test_different(self):
        done = self.run_it(DOCUMENT, changed(lambda document: document["hosts"][0].update(name="esx2")))
        self.assertEqual(done.returncode, 1)
        self.assertIn('hosts/host-1/name: ours "esx1" theirs "esx2"', done.stdout)

    def test_empty(self):
        self.assertEqual(self.run_it({"vms": []}, {"vms": []}).returncode, 1)

    def test_not_json(self):
        done = self.run_it(DOCUMENT, "")
        self.assertEqual(done.returncode, 2)
        self.assertIn("1.json cannot be read", done.stderr)


def leaves_of(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves_of(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves_of(inner, (*path, index))
    else:
        yield path


if __name__ == "__main__":
    unittest.main()
