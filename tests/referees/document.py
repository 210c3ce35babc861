"""Puts what a referee read into the shape of `vmbridge inventory --json`.

A referee hands over property values as plain data with the names of the wire: a reference is {"type", "value"}, an array a
list, a data object a dict whose "_type" is the name of its type, a time a string. Only the reading differs between the
referees. What a referee cannot know it leaves out, and compare.py then does not compare it.
"""

import re

# Names are escaped by vCenter; these three characters only.
ESCAPED = re.compile("%(25|2f|5c)", re.IGNORECASE)

# The property paths read of each type. They are those of vmbridge.
PATHS = {
    "VirtualMachine": """
        name parent parentVApp config.uuid config.instanceUuid config.template config.guestId config.guestFullName
        config.annotation config.version config.firmware config.createDate config.managedBy config.ftInfo
        config.hardware.numCPU config.hardware.numCoresPerSocket config.hardware.memoryMB config.hardware.device
        runtime.powerState runtime.connectionState runtime.host runtime.consolidationNeeded runtime.bootTime
        guest.toolsRunningStatus guest.toolsVersionStatus2 guest.toolsVersion guest.guestFamily guest.guestId
        guest.guestFullName guest.guestState guest.guestOperationsReady guest.hostName guest.ipAddress guest.net
        datastore network resourcePool snapshot customValue
    """.split(),
    "HostSystem": """
        name parent summary.config.product summary.hardware.vendor summary.hardware.model summary.hardware.uuid
        summary.hardware.numCpuCores summary.hardware.memorySize runtime.connectionState runtime.powerState
        runtime.inMaintenanceMode datastore customValue
    """.split(),
    "ComputeResource": ["name", "parent", "host"],
    "Datastore": """
        name parent summary.type summary.capacity summary.freeSpace summary.accessible summary.maintenanceMode
    """.split(),
    "Datacenter": ["name", "parent"],
    "Folder": ["name", "parent"],
    "ResourcePool": ["name", "parent"],
    "VirtualApp": ["name", "parent", "parentFolder"],
    "Network": ["name", "parent"],
}


def unescape(name):
    return ESCAPED.sub(lambda code: chr(int(code[1], 16)), name) if name is not None else None


def natural(moref):
    """A sort key that puts vm-9 before vm-10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", moref) if part]


def moref(reference):
    return reference["value"] if reference else None


class Inventory:
    """The objects of one vCenter.

    objects: {(type, moref): {path: value}} with the concrete type ("ClusterComputeResource");
    fields: {key: name} of the custom attributes;
    tags: {(type, moref): [{"category", "name"}]}, or None when they were not read;
    """

    def __init__(self, name, instance_uuid, objects, fields, tags):
        self.vcenter = name
        self.uuid = instance_uuid
        self.objects = objects
        self.fields = fields
        self.tags = tags

    def document(self):
        return {
            "schema": "vmbridge.inventory/1",
            "vcenters": [{"name": self.vcenter, "instanceUuid": self.uuid}],
            "vms": self._each(["VirtualMachine"], self._vm),
            "hosts": self._each(["HostSystem"], self._host),
            "clusters": self._each(["ClusterComputeResource"], self._cluster),
            "datastores": self._each(["Datastore"], self._datastore),
        }

    def _each(self, types, describe):
        found = sorted((key for key in self.objects if key[0] in types), key=lambda key: natural(key[1]))
        return [
            {
                "vcenter": self.vcenter,
                "vcenterUuid": self.uuid,
                "moref": key[1],
                "name": unescape(self.objects[key].get("name")),
                **describe(key, self.objects[key]),
            }
            for key in found
        ]

    # --- what lies around an object -------------------------------------------------------------------------------------

    def _get(self, reference):
        return self.objects.get((reference["type"], reference["value"]), {}) if reference else {}

    def _named(self, reference):
        return {"moref": moref(reference), "name": unescape(self._get(reference).get("name"))} if reference else None

    def _all_named(self, references):
        return sorted((self._named(reference) for reference in references or []), key=lambda it: natural(it["moref"]))

    def _up(self, reference, wanted):
        """The nearest of the wanted type at or above reference."""
        while reference and reference["type"] != wanted:
            reference = self._get(reference).get("parent")
        return reference

    def _folder_of(self, vm):
        """The folder of a VM; a VM in a vApp is where the outermost vApp is."""
        app = vm.get("parentVApp")
        if not app:
            return vm.get("parent")
        while True:
            above = self._get(app).get("parent")
            if not above or above["type"] != "VirtualApp":
                return self._get(app).get("parentFolder")
            app = above

    def _path(self, folder):
        names = []
        while folder and folder["type"] != "Datacenter":
            here = self._get(folder)
            names.append((unescape(here.get("name")) or "").replace("/", "%2f"))
            folder = here.get("parent")
        # The last one is the datacenter's hidden folder "vm".
        return "/" + "/".join(reversed(names[:-1]))

    def _cluster_of(self, host):
        above = self._get(host).get("parent")
        return self._named(above) if above and above["type"] == "ClusterComputeResource" else None

    def _attributes(self, values):
        return {self.fields[value["key"]]: value.get("value") for value in values or [] if value["key"] in self.fields}

    # --- the objects ----------------------------------------------------------------------------------------------------

    def _vm(self, key, vm):
        folder = self._folder_of(vm)
        host = vm.get("runtime.host")
        nets = vm.get("guest.net") or []
        managed_by = vm.get("config.managedBy")
        devices = vm.get("config.hardware.device") or []
        found = {
            "instanceUuid": lower(vm.get("config.instanceUuid")),
            "biosUuid": lower(vm.get("config.uuid")),
            "folder": {"moref": moref(folder), "path": self._path(folder)} if folder else None,
            "datacenter": self._named(self._up(folder or host, "Datacenter")),
            "cluster": self._cluster_of(host),
            "host": self._named(host),
            "resourcePool": self._named(vm.get("resourcePool")),
            "vApp": self._named(vm.get("parentVApp")),
            "datastores": self._all_named(vm.get("datastore")),
            "networks": self._all_named(vm.get("network")),
            "powerState": vm.get("runtime.powerState"),
            "connectionState": vm.get("runtime.connectionState"),
            "template": vm.get("config.template"),
            "guest": {
                "id": vm.get("config.guestId"),
                "fullName": vm.get("config.guestFullName"),
                "family": vm.get("guest.guestFamily"),
                "reportedId": vm.get("guest.guestId"),
                "reportedFullName": vm.get("guest.guestFullName"),
                "state": vm.get("guest.guestState"),
                "toolsRunning": vm.get("guest.toolsRunningStatus"),
                "toolsVersion": vm.get("guest.toolsVersion"),
                "toolsVersionStatus": vm.get("guest.toolsVersionStatus2"),
                "operationsReady": vm.get("guest.guestOperationsReady"),
                "hostName": vm.get("guest.hostName"),
                "ipAddress": vm.get("guest.ipAddress"),
                "ipAddresses": [address for net in nets for address in net.get("ipAddress") or []],
            },
            "cpus": vm.get("config.hardware.numCPU"),
            "coresPerSocket": vm.get("config.hardware.numCoresPerSocket"),
            "memoryMiB": vm.get("config.hardware.memoryMB"),
            "hardwareVersion": vm.get("config.version"),
            "firmware": vm.get("config.firmware"),
            "annotation": vm.get("config.annotation"),
            "created": vm.get("config.createDate"),
            "bootTime": vm.get("runtime.bootTime"),
            "consolidationNeeded": vm.get("runtime.consolidationNeeded"),
            "managedBy": {"extensionKey": managed_by["extensionKey"], "type": managed_by["type"]} if managed_by else None,
            "faultToleranceRole": (vm.get("config.ftInfo") or {}).get("role"),
            "disks": [disk(device, devices) for device in devices if device["_type"] == "VirtualDisk"],
            "nics": [nic(device, nets) for device in devices if "macAddress" in device],
            "pciPassthrough": sum(device["_type"] == "VirtualPCIPassthrough" for device in devices),
            "customAttributes": self._attributes(vm.get("customValue")),
            "snapshots": snapshots(vm.get("snapshot")),
        }
        if self.tags is not None:
            found["tags"] = sorted(self.tags.get(key, []), key=lambda tag: (tag["category"], tag["name"]))
        if "unreadable" in vm:
            found["unreadable"] = vm["unreadable"]
        return found

    def _host(self, key, host):
        product = host.get("summary.config.product") or {}
        reference = {"type": key[0], "value": key[1]}
        return {
            "datacenter": self._named(self._up(reference, "Datacenter")),
            "cluster": self._cluster_of(reference),
            "version": product.get("version"),
            "build": product.get("build"),
            "vendor": host.get("summary.hardware.vendor"),
            "model": host.get("summary.hardware.model"),
            "hardwareUuid": host.get("summary.hardware.uuid"),
            "cpuCores": host.get("summary.hardware.numCpuCores"),
            "memoryBytes": host.get("summary.hardware.memorySize"),
            "connectionState": host.get("runtime.connectionState"),
            "powerState": host.get("runtime.powerState"),
            "maintenanceMode": host.get("runtime.inMaintenanceMode"),
            "datastores": self._all_named(host.get("datastore")),
            "customAttributes": self._attributes(host.get("customValue")),
        }

    def _cluster(self, key, cluster):
        return {
            "datacenter": self._named(self._up(cluster.get("parent"), "Datacenter")),
            "hosts": self._all_named(cluster.get("host")),
        }

    def _datastore(self, key, datastore):
        return {
            "datacenter": self._named(self._up(datastore.get("parent"), "Datacenter")),
            "type": datastore.get("summary.type"),
            "capacityBytes": datastore.get("summary.capacity"),
            "freeBytes": datastore.get("summary.freeSpace"),
            "accessible": datastore.get("summary.accessible"),
            "maintenanceMode": datastore.get("summary.maintenanceMode"),
        }


def lower(text):
    return text.lower() if text is not None else None


def label(device):
    return (device.get("deviceInfo") or {}).get("label")


def disk(device, devices):
    backing = device.get("backing") or {}
    controller = next((it for it in devices if it["key"] == device.get("controllerKey")), {})
    size = device.get("capacityInBytes")
    return {
        "key": device["key"],
        "label": label(device),
        "capacityBytes": size if size is not None else device["capacityInKB"] * 1024,
        "mode": backing.get("diskMode"),
        "backing": backing["_type"].removeprefix("VirtualDisk").removesuffix("BackingInfo") if backing else None,
        "thin": backing.get("thinProvisioned"),
        "compatibilityMode": backing.get("compatibilityMode"),
        "sharing": backing.get("sharing"),
        "fileName": backing.get("fileName"),
        "datastore": moref(backing.get("datastore")),
        "busSharing": controller.get("sharedBus"),
    }


def nic(device, nets):
    backing = device.get("backing") or {}
    port = backing.get("port") or {}
    return {
        "key": device["key"],
        "label": label(device),
        "type": device["_type"],
        "macAddress": device.get("macAddress"),
        "connected": (device.get("connectable") or {}).get("connected"),
        "network": port.get("portgroupKey") or moref(backing.get("network")),
        "ipAddresses": [
            address for net in nets if net.get("deviceConfigId") == device["key"] for address in net.get("ipAddress") or []
        ],
    }


def snapshots(info):
    info = info or {}
    return {"current": moref(info.get("currentSnapshot")), "tree": snapshot_tree(info.get("rootSnapshotList"))}


def snapshot_tree(nodes):
    return [
        {
            "moref": moref(node["snapshot"]),
            "name": unescape(node["name"]),
            "description": node.get("description"),
            "id": node.get("id"),
            "created": node["createTime"],
            "powerState": node["state"],
            "quiesced": node["quiesced"],
            "children": snapshot_tree(node.get("childSnapshotList")),
        }
        for node in nodes or []
    ]
