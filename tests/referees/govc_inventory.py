#!/usr/bin/env python3
"""Prints the inventory of a vCenter as govc sees it, in the shape of `vmbridge inventory --json`.

Everything comes from `govc object.collect` and `govc tags…`. Their JSON does not say of which type a device or a backing
is; that alone is taken from the XML form of the same command. A failing govc ends the program with govc's own message.
"""

import json
import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import document
import endpoint

TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
DEVICES = "config.hardware.device"

# govc's name of a view type, and the types whose objects that view shows.
KINDS = ["VirtualMachine", "HostSystem", "ComputeResource", "Datastore", "Datacenter", "Folder", "ResourcePool", "VirtualApp", "Network"]


class Govc:
    """Runs govc against one vCenter."""

    def __init__(self, program, target):
        self.program = program
        # Settings of the person who runs this must not leak in, GOVC_INSECURE least of all.
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("GOVC_")}
        self.environment |= {
            "GOVC_URL": target.url,
            "GOVC_USERNAME": target.username,
            "GOVC_PASSWORD": target.password,
            "GOVC_TLS_CA_CERTS": target.ca_file,
            "GOVC_PERSIST_SESSION": "false",
            # A real vCenter refuses a version that is newer than its own; every supported one knows this one.
            "GOVC_VIM_VERSION": "6.7.3",
            "GOVC_INDENT": "false",
        }

    def _lines(self, *arguments):
        process = subprocess.Popen(
            [self.program, *arguments], env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        yield from process.stdout
        error = process.stderr.read().decode(errors="replace")
        process.stdout.close()
        process.stderr.close()
        if process.wait() != 0:
            raise SystemExit(f"{' '.join(arguments)}: {error.strip()}")

    def json(self, *arguments):
        """The one JSON value that a command prints."""
        return json.loads(b"".join(self._lines(*arguments)))

    def properties(self, reference, *paths):
        """{path: value} of one object."""
        return plain(self.json("object.collect", "-json", reference, *paths))

    def collect(self, kind, paths):
        """(type, moref) and {path: value} of each object of a kind, its subtypes included."""
        for line in self._lines("object.collect", "-json", "-type", kind, "/", *paths):
            update = json.loads(line)
            yield (update["obj"]["type"], update["obj"]["value"]), plain(update["changeSet"])

    def device_types(self):
        """{(moref of the VM, key of the device): (type, type of its backing)}"""
        parser = ElementTree.XMLPullParser(["end"])
        parser.feed("<all>")
        types = {}
        for line in self._lines("object.collect", "-xml", "-type", "VirtualMachine", "/", DEVICES):
            parser.feed(line)
            for _, update in parser.read_events():
                if update.tag != "ObjectUpdate":
                    continue
                vm = update.find("obj").text
                for device in update.iter("VirtualDevice"):
                    backing = device.find("backing")
                    types[vm, int(device.find("key").text)] = (
                        device.get(TYPE),
                        backing.get(TYPE) if backing is not None else None,
                    )
                update.clear()
        return types


def plain(changes):
    """The properties that are set. Arrays come wrapped in {"_value": […]}."""
    found = {}
    for change in changes:
        value = change.get("val")
        if isinstance(value, dict) and "_value" in value:
            value = value["_value"]
        if value is not None:
            found[change["name"]] = value
    return found


def read_objects(govc):
    objects = {}
    types = govc.device_types()
    for kind in KINDS:
        for key, properties in govc.collect(kind, document.PATHS[kind]):
            for device in properties.get(DEVICES, []):
                device["_type"], backing = types[key[1], device["key"]]
                if backing is not None:
                    device.setdefault("backing", {})["_type"] = backing
            objects.setdefault(key, {}).update(properties)
    return objects


def read_tags(govc):
    """Tags by object. govc puts the name of the category where REST has its id."""
    tags = {tag["id"]: {"category": tag["category_id"], "name": tag["name"]} for tag in govc.json("tags.ls", "-json") or []}
    by_object = {}
    if tags:
        for attached in govc.json("tags.attached.ls", "-json", "-l", *tags) or []:
            for target in attached.get("object_ids") or []:
                by_object.setdefault((target["type"], target["id"]), []).append(tags[attached["tag_id"]])
    return by_object


def program(asked):
    here = Path(__file__).resolve().parents[2] / ".tools" / "bin" / "govc"
    found = asked or os.environ.get("GOVC") or (str(here) if here.exists() else shutil.which("govc"))
    if not found:
        raise SystemExit("govc is neither in $GOVC nor in .tools/bin nor on the PATH; scripts/setup builds it")
    return found


def main():
    parser = endpoint.arguments(__doc__.splitlines()[0])
    parser.add_argument("--govc", metavar="PATH", help="default: $GOVC, then .tools/bin/govc, then the PATH")
    args = parser.parse_args()
    target = endpoint.load(args.endpoints, args.vcenter)
    govc = Govc(program(args.govc), target)
    content = govc.properties("ServiceInstance:ServiceInstance", "content")["content"]
    manager = content["customFieldsManager"]
    fields = govc.properties(f"{manager['type']}:{manager['value']}", "field").get("field", [])
    inventory = document.Inventory(
        name=target.name,
        instance_uuid=content["about"]["instanceUuid"],
        objects=read_objects(govc),
        fields={field["key"]: field["name"] for field in fields},
        tags=read_tags(govc),
    )
    json.dump(inventory.document(), sys.stdout, ensure_ascii=False, indent=1)
    print()


if __name__ == "__main__":
    main()
