"""What both referees share: a mistake here would show in neither against the other."""

import json
import tempfile
import unittest
from pathlib import Path

from tests.referees import document, endpoint


def ref(kind, value):
    return {"type": kind, "value": value}


DEVICES = [
    {"_type": "ParaVirtualSCSIController", "key": 1000, "sharedBus": "physicalSharing"},
    {"_type": "VirtualAHCIController", "key": 15000},
    {
        "_type": "VirtualDisk",
        "key": 2000,
        "controllerKey": 1000,
        "capacityInKB": 8,
        "capacityInBytes": 8191,
        "deviceInfo": {"label": "Hard disk 1"},
        "backing": {"_type": "VirtualDiskFlatVer2BackingInfo", "thinProvisioned": False, "datastore": ref("Datastore", "ds-1")},
    },
    {
        "_type": "VirtualDisk",
        "key": 2001,
        "controllerKey": 15000,
        "capacityInKB": 8,
        "backing": {"_type": "VirtualDiskRawDiskMappingVer1BackingInfo", "compatibilityMode": "physicalMode"},
    },
    {"_type": "VirtualE1000", "key": 4000, "macAddress": "00:50:56:00:00:01", "backing": {"network": ref("Network", "n-1")}},
    {"_type": "VirtualVmxnet3", "key": 4001, "macAddress": "00:50:56:00:00:02", "backing": {"port": {"portgroupKey": "dvp-1"}}},
    {"_type": "VirtualPCIPassthrough", "key": 13000},
]

OBJECTS = {
    ("Folder", "root"): {"name": "Datacenters"},
    ("Datacenter", "dc-1"): {"name": "DC%2f1", "parent": ref("Folder", "root")},
    ("Folder", "vm"): {"name": "vm", "parent": ref("Datacenter", "dc-1")},
    ("Folder", "a"): {"name": "a%2fb %25", "parent": ref("Folder", "vm")},
    ("Folder", "b"): {"name": "c", "parent": ref("Folder", "a")},
    ("ClusterComputeResource", "c-1"): {"name": "cluster", "parent": ref("Datacenter", "dc-1"), "host": [ref("HostSystem", "h-1")]},
    ("HostSystem", "h-1"): {"name": "esx1", "parent": ref("ClusterComputeResource", "c-1")},
    ("ResourcePool", "rp"): {"name": "Resources", "parent": ref("ClusterComputeResource", "c-1")},
    ("VirtualApp", "outer"): {"name": "outer", "parent": ref("ResourcePool", "rp"), "parentFolder": ref("Folder", "b")},
    ("VirtualApp", "inner"): {"name": "inner", "parent": ref("VirtualApp", "outer")},
    ("Datastore", "ds-9"): {"name": "nine"},
    ("Datastore", "ds-10"): {"name": "ten"},
    ("VirtualMachine", "vm-1"): {
        "name": "x%2fy%5cz%2525",
        "parentVApp": ref("VirtualApp", "inner"),
        "config.uuid": "ABCD",
        "runtime.host": ref("HostSystem", "h-1"),
        "datastore": [ref("Datastore", "ds-10"), ref("Datastore", "ds-9")],
        "config.hardware.device": DEVICES,
        "guest.net": [
            {"deviceConfigId": 4001, "ipAddress": ["10.0.0.2", "fe80::2"]},
            {"deviceConfigId": -1, "ipAddress": ["172.17.0.1"]},
            {"deviceConfigId": 4000},
        ],
        "customValue": [{"key": 7, "value": ""}],
    },
    ("VirtualMachine", "vm-2"): {"name": "top", "parent": ref("Folder", "vm")},
}


class Document(unittest.TestCase):
    def setUp(self):
        made = document.Inventory("here", "u-1", OBJECTS, {7: "Owner"}, {}).document()
        self.one, self.two = made["vms"]
        self.made = made

    def test_names_are_unescaped_once(self):
        self.assertEqual(self.one["name"], "x/y\\z%25")
        self.assertEqual(self.one["datacenter"], {"moref": "dc-1", "name": "DC/1"})

    def test_a_vm_in_a_vapp_is_in_the_folder_of_the_outermost(self):
        self.assertEqual(self.one["folder"], {"moref": "b", "path": "/a%2fb %/c"})
        self.assertEqual(self.one["vApp"], {"moref": "inner", "name": "inner"})
        self.assertEqual(self.two["folder"], {"moref": "vm", "path": "/"})

    def test_places(self):
        self.assertEqual(self.one["cluster"], {"moref": "c-1", "name": "cluster"})
        self.assertEqual([it["moref"] for it in self.one["datastores"]], ["ds-9", "ds-10"])
        self.assertEqual(self.made["clusters"][0]["hosts"], [{"moref": "h-1", "name": "esx1"}])
        self.assertEqual(self.made["hosts"][0]["datacenter"]["moref"], "dc-1")

    def test_disks(self):
        first, second = self.one["disks"]
        self.assertEqual(
            (first["backing"], first["capacityBytes"], first["thin"], first["busSharing"], first["datastore"]),
            ("FlatVer2", 8191, False, "physicalSharing", "ds-1"),
        )
        self.assertEqual(
            (second["backing"], second["capacityBytes"], second["thin"], second["busSharing"], second["compatibilityMode"]),
            ("RawDiskMappingVer1", 8192, None, None, "physicalMode"),
        )

    def test_adapters(self):
        first, second = self.one["nics"]
        self.assertEqual((first["type"], first["network"], first["ipAddresses"]), ("VirtualE1000", "n-1", []))
        self.assertEqual((second["network"], second["ipAddresses"]), ("dvp-1", ["10.0.0.2", "fe80::2"]))
        self.assertEqual(self.one["guest"]["ipAddresses"], ["10.0.0.2", "fe80::2", "172.17.0.1"])
        self.assertEqual(self.one["pciPassthrough"], 1)

    def test_what_is_absent_is_null(self):
        self.assertEqual(self.one["biosUuid"], "abcd")
        self.assertEqual(self.one["customAttributes"], {"Owner": ""})
        for key in ["biosUuid", "host", "cluster", "resourcePool", "vApp", "created", "managedBy", "faultToleranceRole"]:
            with self.subTest(key=key):
                self.assertIsNone(self.two[key])
        self.assertEqual(self.two["snapshots"], {"current": None, "tree": []})
        self.assertEqual(self.two["tags"], [])


class Endpoints(unittest.TestCase):
    def load(self, content, name=None):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "endpoints.json"
            path.write_text(json.dumps(content))
            found = endpoint.load(path, name)
            return found, Path(found.ca_file).relative_to(folder).as_posix() if found.ca_file.startswith(folder) else found.ca_file

    def entry(self, name, **more):
        return {"name": name, "url": "https://127.0.0.1:8989/sdk", "username": "u", "password": "p"} | more

    def test_of_vcsim(self):
        found, ca_file = self.load({"url": "https://127.0.0.1:1/sdk", "username": "u", "password": "p", "caFile": "/run/ca.pem"})
        self.assertEqual((found.host, found.port, found.path, ca_file), ("127.0.0.1", 1, "/sdk", "/run/ca.pem"))

    def test_of_several(self):
        content = {"caFile": "ca.pem", "vcenters": [self.entry("a"), self.entry("b", caFile="b.pem")]}
        self.assertEqual([self.load(content)[0].name, self.load(content)[1]], ["a", "ca.pem"])
        self.assertEqual([self.load(content, "b")[0].name, self.load(content, "b")[1]], ["b", "b.pem"])

    def test_what_cannot_be_used_is_said(self):
        for content, name, message in [
            ({"caFile": "ca.pem", "vcenters": [self.entry("a")]}, "z", "no vCenter called 'z'"),
            ({"caFile": "ca.pem", "vcenters": []}, None, "no vCenter"),
            ({"vcenters": [self.entry("a")]}, None, "no caFile"),
        ]:
            with self.subTest(message=message), self.assertRaisesRegex(SystemExit, message):
                self.load(content, name)


if __name__ == "__main__":
    unittest.main()
