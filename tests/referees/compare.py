#!/usr/bin/env python3
"""Compares two inventory documents field by field: compare.py OURS THEIRS.

A key that only one side has is not compared: the other cannot know it. It is named in the output, so that a misspelt key
shows. Everything else must be equal. Exit codes: 0 equal, 1 different or nothing to compare, 2 unreadable files.
"""

import json
import re
import sys
from datetime import datetime, timezone

SECTIONS = ["vms", "hosts", "clusters", "datastores"]

# The name of a vCenter is chosen by each side's configuration; its UUID is compared.
IGNORED = {"vcenter"}

# Maps from data to data, where a missing key is a difference like any other.
MAPS = {"customAttributes"}

# Times, which may be written in more than one way.
TIMES = {"created", "bootTime"}

# Sets, whose order means nothing.
SETS = {"tags"}

SHOWN = 50
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)")


class Comparison:
    def __init__(self):
        self.objects = 0
        self.fields = 0
        self.differences = []
        self.one_sided = {}  # path of a key: the side that has it

    def documents(self, ours, theirs):
        for section in SECTIONS:
            if section in ours and section in theirs:
                self.section(section, ours[section], theirs[section])
            elif section in ours or section in theirs:
                self.one_sided[section] = "ours" if section in ours else "theirs"

    def section(self, section, ours, theirs):
        ours = self.by_identity(section, ours, "ours")
        theirs = self.by_identity(section, theirs, "theirs")
        for identity in ours.keys() | theirs.keys():
            where = f"{section}/{identity[1]}"
            if identity not in theirs:
                self.differ(where, "present", "absent", f"(vCenter {identity[0]})")
            elif identity not in ours:
                self.differ(where, "absent", "present", f"(vCenter {identity[0]})")
            else:
                self.objects += 1
                self.values(where, section, None, ours[identity], theirs[identity])

    def by_identity(self, section, objects, side):
        found = {}
        for item in objects:
            identity = (item.get("vcenterUuid"), item.get("moref"))
            if identity in found:
                self.differences.append(f"{section}/{identity[1]}: {side} has it twice")
            found[identity] = item
        return found

    def values(self, where, schema, key, ours, theirs):
        """where names the value for people, schema is where without identities and indexes."""
        if isinstance(ours, dict) and isinstance(theirs, dict):
            if key in MAPS:
                self.maps(where, schema, ours, theirs)
            else:
                self.structures(where, schema, ours, theirs)
        elif isinstance(ours, list) and isinstance(theirs, list):
            if key in SETS:
                ours, theirs = sorted(ours, key=canonical), sorted(theirs, key=canonical)
            if len(ours) != len(theirs):
                self.fields += 1
                self.differ(where, ours, theirs)
                return
            self.fields += 1  # that they are equally long
            for index, (our, their) in enumerate(zip(ours, theirs, strict=True)):
                self.values(f"{where}/{index}", schema, None, our, their)
        else:
            self.fields += 1
            if key in TIMES:
                ours, theirs = instant(ours), instant(theirs)
            # Python holds True == 1 and 1 == 1.0; JSON does not.
            if type(ours) is not type(theirs) or ours != theirs:
                self.differ(where, ours, theirs)

    def structures(self, where, schema, ours, theirs):
        for key in ours.keys() | theirs.keys():
            if key in IGNORED:
                continue
            if key in ours and key in theirs:
                self.values(f"{where}/{key}", f"{schema}/{key}", key, ours[key], theirs[key])
            else:
                self.one_sided[f"{schema}/{key}"] = "ours" if key in ours else "theirs"

    def maps(self, where, schema, ours, theirs):
        self.fields += 1  # that they have the same keys
        for key in ours.keys() | theirs.keys():
            if key in ours and key in theirs:
                self.values(f"{where}/{key}", schema, None, ours[key], theirs[key])
            else:
                self.differ(f"{where}/{key}", ours.get(key, "absent"), theirs.get(key, "absent"))

    def differ(self, where, ours, theirs, note=""):
        self.differences.append(f"{where}: ours {short(ours)} theirs {short(theirs)} {note}".rstrip())

    @property
    def equal(self):
        return not self.differences and self.objects > 0

    def report(self):
        lines = sorted(self.differences, key=natural)
        if len(lines) > SHOWN:
            lines[SHOWN:] = [f"… and {len(lines) - SHOWN} more"]
        lines += [f"not compared, only in {side}: {path}" for path, side in sorted(self.one_sided.items())]
        if self.objects == 0 and not self.differences:
            verdict = "nothing was compared"
        elif self.differences:
            verdict = f"{len(self.differences)} differences"
        else:
            verdict = "equal"
        return [*lines, f"compared {self.objects} objects, {self.fields} fields: {verdict}"]


def canonical(value):
    return json.dumps(value, sort_keys=True)


def natural(text):
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in re.split(r"(\d+)", text) if part]


def short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + "…"


def instant(value):
    """A time in UTC, its fraction without trailing zeros; anything else unchanged."""
    match = TIME.fullmatch(value) if isinstance(value, str) else None
    if not match:
        return value
    seconds, fraction, zone = match.groups()
    moment = datetime.fromisoformat(seconds + zone.replace("Z", "+00:00")).astimezone(timezone.utc)
    fraction = (fraction or "").rstrip("0")
    return moment.strftime("%Y-%m-%dT%H:%M:%S") + (f".{fraction}" if fraction else "") + "Z"


def compare(ours, theirs):
    comparison = Comparison()
    comparison.documents(ours, theirs)
    return comparison


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            content = json.load(file)
    except (OSError, ValueError) as error:
        print(f"{path} cannot be read: {error}", file=sys.stderr)
        raise SystemExit(2) from error
    if not isinstance(content, dict):
        print(f"{path} is not an inventory document", file=sys.stderr)
        raise SystemExit(2)
    return content


def main():
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        raise SystemExit(2)
    comparison = compare(read(sys.argv[1]), read(sys.argv[2]))
    print("\n".join(comparison.report()))
    raise SystemExit(0 if comparison.equal else 1)


if __name__ == "__main__":
    main()
