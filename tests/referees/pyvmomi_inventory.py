#!/usr/bin/env python3
"""Prints the inventory of a vCenter as pyVmomi sees it, in the shape of `vmbridge inventory --json`.

Tags are not part of the API that pyVmomi speaks; they come from /rest, read here with urllib.
"""

import base64
import json
import sys
import urllib.parse
import urllib.request
from datetime import datetime, timezone

from pyVmomi import VmomiSupport, vim, vmodl

import document
import endpoint
from pyvmomi_client import connected, retrieve

TYPES = {
    "VirtualMachine": vim.VirtualMachine,
    "HostSystem": vim.HostSystem,
    "ComputeResource": vim.ComputeResource,
    "Datastore": vim.Datastore,
    "Datacenter": vim.Datacenter,
    "Folder": vim.Folder,
    "ResourcePool": vim.ResourcePool,
    "VirtualApp": vim.VirtualApp,
    "Network": vim.Network,
}


def plain(value):
    """A pyVmomi value as plain data, see document.py."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, str):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat().replace("+00:00", "Z")
    if isinstance(value, VmomiSupport.ManagedObject):
        return {"type": VmomiSupport.GetWsdlName(type(value)), "value": value._GetMoId()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, VmomiSupport.DataObject):
        found = {"_type": VmomiSupport.GetWsdlName(type(value))}
        for info in value._GetPropertyList():
            inner = getattr(value, info.name)
            if inner is not None and not (isinstance(inner, list) and len(inner) == 0):
                found[info.name] = plain(inner)
        return found
    return repr(value)


def read_objects(service):
    objects = {}
    for content in retrieve(service, {TYPES[kind]: paths for kind, paths in document.PATHS.items()}):
        properties = {item.name: plain(item.val) for item in content.propSet if item.val is not None}
        properties["unreadable"] = sorted(
            missing.path for missing in content.missingSet if isinstance(missing.fault, vmodl.fault.SecurityError)
        )
        reference = plain(content.obj)
        objects[reference["type"], reference["value"]] = properties
    return objects


class Rest:
    """A session of /rest, ended at the end of the with block."""

    def __init__(self, target):
        self.base = urllib.parse.urljoin(target.url, "/rest/com/vmware/cis/")
        self.opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=target.tls())
        )
        login = base64.b64encode(f"{target.username}:{target.password}".encode()).decode()
        self.headers = {"Authorization": f"Basic {login}"}

    def __enter__(self):
        self.headers = {"vmware-api-session-id": self.call("session", method="POST")}
        return self

    def __exit__(self, *_):
        self.call("session", method="DELETE")

    def call(self, path, body=None, method=None):
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.base + path, data=data, method=method, headers=self.headers)
        if data is not None:
            request.add_header("Content-Type", "application/json")
        with self.opener.open(request) as response:
            text = response.read()
        return json.loads(text).get("value") if text else None


def read_tags(target):
    by_object = {}
    with Rest(target) as rest:
        quoted = urllib.parse.quote
        ids = rest.call("tagging/tag")
        categories = {it: rest.call(f"tagging/category/id:{quoted(it)}")["name"] for it in rest.call("tagging/category")}
        tags = {it: rest.call(f"tagging/tag/id:{quoted(it)}") for it in ids}
        attached = rest.call("tagging/tag-association?~action=list-attached-objects-on-tags", {"tag_ids": ids}) if ids else []
        for entry in attached:
            tag = tags[entry["tag_id"]]
            named = {"category": categories[tag["category_id"]], "name": tag["name"]}
            for tagged in entry["object_ids"] or []:  # vcsim: null for a tag that is attached to nothing
                by_object.setdefault((tagged["type"], tagged["id"]), []).append(named)
    return by_object


def main():
    args = endpoint.arguments(__doc__.splitlines()[0]).parse_args()
    target = endpoint.load(args.endpoints, args.vcenter)
    with connected(target) as service:
        content = service.RetrieveContent()
        inventory = document.Inventory(
            name=target.name,
            instance_uuid=content.about.instanceUuid,
            objects=read_objects(service),
            fields={field.key: field.name for field in content.customFieldsManager.field},
            tags=read_tags(target),
        )
    json.dump(inventory.document(), sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
