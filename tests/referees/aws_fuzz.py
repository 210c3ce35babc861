"""Requests that break exactly one constraint of botocore's service model, and requests that break none.

The generator reads the models of the installed botocore by itself: it shares nothing with the simulator, which reads
what aws_models.py took out of them.
"""

import copy
import json
import re
import struct
import time
import urllib.parse

import regex

# A text out of these that fits a pattern stands for all that do.
TEXTS = [
    "vmbridge",
    "mi-0123456789abcdef0",
    "01234567-89ab-cdef-0123-456789abcdef",
    "arn:aws:iam::111122220001:role/vmbridge",
    "3.3.3050.0",
    "123456",
    "mw-0123456789abcdef0",
    "AWS::SSM::ManagedInstance",
    "s3://vmbridge/list",
    "1.0",
    "Custom:vmbridge",
    "2026-01-01T00:00:00Z",
]
WRONG_TEXTS = ["a,b", "  ", "\u0007", "!", "\u6771\u4eac", ""]
# More of something than this is not sent.
MOST = 10_000

# Members whose values mean more than their shape says.
GIVEN = {
    ("GetResources", "ResourcesPerPage"): 10,
    ("GetResources", "TagsPerPage"): 100,
    ("GetResources", "ResourceTypeFilters"): ["ssm:managed-instance"],
    ("GetResources", "ResourceARNList"): ["arn:aws:ssm:eu-central-1:111122220001:managed-instance/mi-0123456789abcdef0"],
    ("GetResources", "TagFilters"): [{"Key": "vmbridge"}],
    ("CreateMaintenanceWindow", "Schedule"): "rate(1 day)",
    ("CreateMaintenanceWindow", "ScheduleTimezone"): "Europe/Berlin",
    ("CreateMaintenanceWindow", "StartDate"): "2030-01-01T00:00:00Z",
    ("CreateMaintenanceWindow", "EndDate"): "2031-01-01T00:00:00Z",
    ("CreateMaintenanceWindow", "Duration"): 3,
    ("AssumeRole", "Policy"): '{"Version": "2012-10-17", "Statement": []}',
}
# Members whose correct form alone does not make a correct request: a token has to be one that was given, and so on.
NOT_ALONE = {
    ("GetResources", "PaginationToken"),
    ("GetResources", "ExcludeCompliantResources"),
    ("CreateMaintenanceWindow", "ScheduleOffset"),
    ("GetFindings", "NextToken"),
    ("GetFindings", "Filters"),
    ("DescribeHub", "HubArn"),
    ("ListFindingAggregators", "NextToken"),
    ("ListGroupResources", "NextToken"),
    *(
        (operation, member)
        for operation in [
            "DescribeInstancePatchStates",
            "DescribeMaintenanceWindowExecutionTaskInvocations",
            "DescribeMaintenanceWindowExecutionTasks",
            "DescribeMaintenanceWindowExecutions",
            "DescribeMaintenanceWindowSchedule",
            "DescribeMaintenanceWindowTargets",
            "DescribeMaintenanceWindowTasks",
            "DescribeMaintenanceWindows",
        ]
        for member in ["Filters", "NextToken"]
    ),
}


def fits(shape, text):
    pattern, choices = shape.metadata.get("pattern"), shape.metadata.get("enum")
    if not shape.metadata.get("min", 0) <= len(text) <= shape.metadata.get("max", MOST):
        return False
    if choices and text not in choices:
        return False
    return not pattern or bool(regex.fullmatch(pattern, text, regex.DOTALL))


def text_for(shape):
    if shape.metadata.get("enum"):
        return shape.metadata["enum"][0]
    low = shape.metadata.get("min", 0)
    for text in TEXTS:
        for candidate in (text, text + "x" * max(0, low - len(text)), text[: shape.metadata.get("max", MOST)]):
            if fits(shape, candidate):
                return candidate
    raise AssertionError(f"no text for {shape.name}: {shape.metadata}")


def value_for(shape, depth=0):
    """A value with no more in it than has to be."""
    kind = shape.type_name
    if kind == "structure":
        # In a form nothing is left of a structure without members.
        names = shape.required_members or (list(shape.members)[:1] if depth else [])
        return {name: value_for(shape.members[name], depth + 1) for name in names}
    if kind == "list":
        return [value_for(shape.member, depth + 1) for _ in range(max(1, shape.metadata.get("min", 0)))]
    if kind == "map":
        return {value_for(shape.key): value_for(shape.value, depth + 1)}
    if kind == "string":
        return text_for(shape)
    if kind in ("integer", "long"):
        return shape.metadata.get("min", 1)
    if kind in ("double", "float"):
        return 1.5
    if kind == "boolean":
        return True
    if kind == "timestamp":
        return int(time.time()) + 3600
    if kind == "blob":
        return "e30="
    raise AssertionError(f"no value for a {kind}")


def violations(shape, typed=True):
    """Wrong values for a shape, each with what is wrong about it; `typed`: the protocol can send other types."""
    kind, meta = shape.type_name, shape.metadata
    if kind == "structure":
        good = value_for(shape)
        for name in shape.required_members:
            yield f"without {name}", {key: value for key, value in good.items() if key != name}
        if typed:
            yield "with an unknown member", {**good, "NoSuchMember": "x"}
            yield "no structure", "x"
    elif kind == "list":
        if meta.get("min", 0) > 0:
            yield "too few", [value_for(shape.member, 1)] * (meta["min"] - 1)
        if meta.get("max", MOST) < MOST:
            yield "too many", [value_for(shape.member, 1)] * (meta["max"] + 1)
        if typed:
            yield "no list", {"a": "b"}
    elif kind == "map":
        if typed:
            yield "no map", ["a"]
    elif kind == "string":
        if meta.get("enum"):
            yield "not in the enum", "NO_SUCH_VALUE"
        if meta.get("min", 0) > 0:
            yield "too short", text_for(shape)[: meta["min"] - 1]
        if meta.get("max", MOST) < MOST:
            yield "too long", "a" * (meta["max"] + 1)
        if meta.get("pattern"):
            low, high = meta.get("min", 0), meta.get("max", MOST)
            wrong = [text + "," * max(0, low - len(text)) for text in WRONG_TEXTS]
            wrong = [text for text in wrong if low <= len(text) <= high and not fits(shape, text)]
            if wrong:
                yield "not in the pattern", wrong[0]
        if typed:
            yield "no text", 17
    elif kind in ("integer", "long"):
        if "min" in meta:
            yield "too small", meta["min"] - 1
        if "max" in meta:
            yield "too great", meta["max"] + 1
        yield "no number", "many"
        if typed and kind == "integer":
            yield "no whole number", 1.5
    elif kind == "boolean":
        yield "no boolean", "perhaps"
    elif kind == "timestamp" and typed:
        yield "no date", {"a": 1}


def paths(shape, seen, once, path=()):
    """Every place in a shape, outermost first. `once`: no shape twice, for large services."""
    yield path, shape
    if shape.name in seen:
        return
    seen = seen if once else seen | {shape.name}
    if once:
        seen.add(shape.name)
    if shape.type_name == "structure":
        for name, member in shape.members.items():
            yield from paths(member, seen, once, path + (name,))
    elif shape.type_name == "list":
        yield from paths(shape.member, seen, once, path + (0,))
    elif shape.type_name == "map":
        yield from paths(shape.value, seen, once, path + (Any(shape.key),))


class Any:
    """A key of a map: any that is correct."""

    def __init__(self, shape):
        self.key = value_for(shape)

    def __repr__(self):
        return self.key


def place(shape, value, path, wrong):
    """Puts a value at a path into a value of a shape, adding what has to be there on the way."""
    if not path:
        return wrong
    value = copy.deepcopy(value)
    first, rest = path[0], path[1:]
    if shape.type_name == "structure":
        inner = shape.members[first]
        value[first] = place(inner, value.get(first, value_for(inner)), rest, wrong)
    elif shape.type_name == "list":
        value[0] = place(shape.member, value[0], rest, wrong)
    else:
        value[first.key] = place(shape.value, value_for(shape.value), rest, wrong)
    return value


def base(operation, finding):
    """A correct request: the least one."""
    if operation.input_shape is None:
        return {}
    value = value_for(operation.input_shape)
    if operation.name == "BatchImportFindings":
        value = {"Findings": [copy.deepcopy(finding)]}
    if operation.name == "CreateMaintenanceWindow":
        value["Schedule"] = GIVEN[operation.name, "Schedule"]
    if operation.name == "ListGroupResources":
        value["Group"] = "vmbridge"
    return value


def wrong_requests(operation, finding, typed, once):
    """Requests of an operation that break one constraint each."""
    shape = operation.input_shape
    # What is in the path of an address cannot be left out, and anything may stand there.
    if shape is None or "{" in operation.http["requestUri"]:
        return
    good = base(operation, finding)
    for path, inner in paths(shape, set(), once):
        for what, wrong in violations(inner, typed):
            if not path and not isinstance(wrong, dict):
                continue
            if not path and operation.name == "BatchImportFindings" and what.startswith("without"):
                wrong = {}
            where = ".".join(str(part) for part in path)
            yield f"{operation.name} {where}: {what}", place(shape, good, path, wrong)


def right_requests(operation, finding, once):
    """Requests that break nothing: the least one, and one more for every place where another could break something."""
    shape = operation.input_shape
    good = base(operation, finding)
    yield operation.name, good
    if shape is None:
        return
    for path, inner in paths(shape, set(), once):
        if not path or (operation.name, path[0]) in NOT_ALONE:
            continue
        given = (operation.name, path[0]) in GIVEN
        if given and len(path) > 1:
            continue
        value = GIVEN[operation.name, path[0]] if given else value_for(inner)
        if operation.name == "BatchImportFindings" and path == ("Findings",):
            continue
        if path[:2] == ("Findings", 0) and (len(path) == 2 or path[2] in finding and len(path) == 3):
            continue
        where = ".".join(str(part) for part in path)
        yield f"{operation.name} with {where}", place(shape, good, path, value)


# How requests are written; botocore's own serializers refuse what is wrong, or repair it.


def cbor(value):
    if value is None:
        return b"\xf6"
    if value is True or value is False:
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float):
        return b"\xfb" + struct.pack(">d", value)
    if isinstance(value, str):
        return _head(3, len(value.encode())) + value.encode()
    if isinstance(value, list):
        return _head(4, len(value)) + b"".join(cbor(item) for item in value)
    return _head(5, len(value)) + b"".join(cbor(key) + cbor(item) for key, item in value.items())


def _head(major, number):
    if number < 24:
        return bytes([major << 5 | number])
    return bytes([major << 5 | 26]) + struct.pack(">I", number)


def form(value, prefix=""):
    """Names and values of a query."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from form(inner, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list):
        if not value:
            yield prefix, ""
        for at, inner in enumerate(value):
            yield from form(inner, f"{prefix}.member.{at + 1}")
    else:
        yield prefix, str(value).lower() if isinstance(value, bool) else str(value)


def send(aws, model, operation, value, protocol):
    """Sends a request as the protocol has it."""
    metadata = model.metadata
    signing = metadata.get("signingName", metadata["endpointPrefix"])
    if protocol == "json":
        headers = {
            "Content-Type": f"application/x-amz-json-{metadata['jsonVersion']}",
            "X-Amz-Target": f"{metadata['targetPrefix']}.{operation.name}",
        }
        return aws.send(signing, "POST", "/", headers, json.dumps(value).encode())
    if protocol == "smithy-rpc-v2-cbor":
        headers = {"Content-Type": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor"}
        path = f"/service/{metadata['targetPrefix']}/operation/{operation.name}"
        return aws.send(signing, "POST", path, headers, cbor(value))
    if protocol == "query":
        fields = {"Action": operation.name, "Version": metadata["apiVersion"], **dict(form(value))}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return aws.send(signing, "POST", "/", headers, urllib.parse.urlencode(fields).encode())
    method, path = operation.http["method"], operation.http["requestUri"]
    for name in re.findall(r"\{(\w+)\+?\}", path):
        path = re.sub(r"\{" + name + r"\+?\}", lambda _, name=name: urllib.parse.quote(value[name], safe="/"), path)
        value = {key: inner for key, inner in value.items() if key != name}
    if method == "GET":
        query = urllib.parse.urlencode(value, quote_via=urllib.parse.quote) if isinstance(value, dict) else ""
        return aws.send(signing, method, path + ("?" + query if query else ""), {}, b"")
    return aws.send(signing, method, path, {"Content-Type": "application/json"}, json.dumps(value).encode())
