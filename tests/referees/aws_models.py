"""Copies the AWS operations that the simulator plays out of the service models of the installed botocore.

Without arguments it writes tests/simulator/models/*.json; with --check it changes nothing and fails when the files
differ from what the installed botocore gives. The output depends on nothing but botocore's version: members keep the
model's order only where order means something (enums), shapes and members are sorted, documentation is left out.
"""

import argparse
import json
import sys
from pathlib import Path

import botocore
import botocore.session

FOLDER = Path(__file__).resolve().parent.parent / "simulator" / "models"

# File name -> botocore's name of the service, and the operations that are played.
PLAYED = {
    "ssm": (
        "ssm",
        [
            "AddTagsToResource",
            "CreateActivation",
            "CreateMaintenanceWindow",
            "DeleteActivation",
            "DeleteInventory",
            "DeleteMaintenanceWindow",
            "DeregisterManagedInstance",
            "DescribeActivations",
            "DescribeInstanceAssociationsStatus",
            "DescribeInstanceInformation",
            "DescribeInstancePatchStates",
            "DescribeInstancePatches",
            "DescribeInventoryDeletions",
            "DescribeMaintenanceWindowExecutionTaskInvocations",
            "DescribeMaintenanceWindowExecutionTasks",
            "DescribeMaintenanceWindowExecutions",
            "DescribeMaintenanceWindowSchedule",
            "DescribeMaintenanceWindowTargets",
            "DescribeMaintenanceWindowTasks",
            "DescribeMaintenanceWindows",
            "GetInventory",
            "GetInventorySchema",
            "GetMaintenanceWindowTask",
            "GetParameter",
            "ListComplianceItems",
            "ListComplianceSummaries",
            "ListInventoryEntries",
            "ListResourceComplianceSummaries",
            "ListTagsForResource",
            "PutComplianceItems",
            "PutInventory",
            "RegisterTargetWithMaintenanceWindow",
            "RegisterTaskWithMaintenanceWindow",
            "RemoveTagsFromResource",
            "UpdateMaintenanceWindow",
        ],
    ),
    "sts": ("sts", ["AssumeRole", "GetCallerIdentity"]),
    "groups": ("resource-groups", ["ListGroupResources"]),
    "tagging": ("resourcegroupstaggingapi", ["GetResources"]),
    "securityhub": (
        "securityhub",
        [
            "BatchImportFindings",
            "BatchUpdateFindings",
            "DescribeHub",
            "GetFindingAggregator",
            "GetFindings",
            "ListFindingAggregators",
        ],
    ),
}

METADATA = ["apiVersion", "jsonVersion", "protocols", "signingName", "endpointPrefix", "targetPrefix", "xmlNamespace"]
# What a member says about itself beside its shape.
MEMBER = ["location", "locationName"]
# What a shape says that a request or an answer can violate, and how an error is told.
SHAPE = ["type", "required", "enum", "min", "max", "pattern", "document", "exception", "fault", "error"]


def reduced_member(member):
    return {"shape": member["shape"], **{key: member[key] for key in MEMBER if key in member}}


def reduced_shape(shape):
    out = {key: shape[key] for key in SHAPE if key in shape}
    if "required" in out:
        out["required"] = sorted(out["required"])
    for key in ("member", "key", "value"):
        if key in shape:
            out[key] = reduced_member(shape[key])
    if "members" in shape:
        out["members"] = {name: reduced_member(shape["members"][name]) for name in sorted(shape["members"])}
    return out


def references(shape):
    for key in ("member", "key", "value"):
        if key in shape:
            yield shape[key]["shape"]
    for member in shape.get("members", {}).values():
        yield member["shape"]


def extract(loader, service, names):
    """The part of a service model that these operations need."""
    model = loader.load_service_model(service, "service-2")
    operations, wanted = {}, []
    for name in names:
        operation = model["operations"][name]
        out = {"http": {"method": operation["http"]["method"], "uri": operation["http"]["requestUri"]}}
        for side in ("input", "output"):
            if side in operation:
                out[side] = operation[side]["shape"]
                wanted.append(out[side])
                # Queries are answered inside an element of this name.
                if "resultWrapper" in operation[side]:
                    out["resultWrapper"] = operation[side]["resultWrapper"]
        out["errors"] = sorted(error["shape"] for error in operation.get("errors", []))
        wanted.extend(out["errors"])
        operations[name] = out
    shapes = {}
    while wanted:
        name = wanted.pop()
        if name not in shapes:
            shapes[name] = reduced_shape(model["shapes"][name])
            wanted.extend(references(shapes[name]))
    metadata = {key: model["metadata"][key] for key in METADATA if key in model["metadata"]}
    return {"service": service, "metadata": metadata, "operations": operations, "shapes": dict(sorted(shapes.items()))}


def text(model):
    """One line for each operation and each shape, so that differences can be read."""
    dump = lambda value: json.dumps(value, ensure_ascii=True)
    lines = [f'"service": {dump(model["service"])}', f'"metadata": {dump(model["metadata"])}']
    for part in ("operations", "shapes"):
        entries = ",\n".join(f"  {dump(name)}: {dump(value)}" for name, value in model[part].items())
        lines.append(f'"{part}": {{\n{entries}\n}}')
    return "{\n" + ",\n".join(lines) + "\n}\n"


def readme():
    return f"""# Service models

The operations of AWS that the simulator plays, with the shapes of their requests, answers and errors, taken from the service
models of [botocore](https://github.com/boto/botocore) {botocore.__version__} (Apache License 2.0, Copyright Amazon.com, Inc. or its
affiliates), without their documentation. Made by `tests/referees/aws_models.py`; do not edit. `aws_models.py --check` fails when they
are not what the installed botocore gives.
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a file is not up to date")
    arguments = parser.parse_args()
    loader = botocore.session.Session().get_component("data_loader")
    files = {f"{name}.json": text(extract(loader, *played)) for name, played in PLAYED.items()}
    files["README.md"] = readme()
    stale = []
    for name, content in files.items():
        path = FOLDER / name
        if not path.exists() or path.read_text() != content:
            stale.append(name)
            if not arguments.check:
                path.parent.mkdir(exist_ok=True)
                path.write_text(content)
    surplus = sorted(path.name for path in FOLDER.glob("*") if path.name not in files)
    if arguments.check and (stale or surplus):
        print(f"not what botocore {botocore.__version__} gives: {', '.join(stale + surplus)}", file=sys.stderr)
        return 1
    print(f"botocore {botocore.__version__}: {len(files)} files, {len(stale)} of them changed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
