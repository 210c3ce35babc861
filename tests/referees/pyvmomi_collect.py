#!/usr/bin/env python3
"""Reads property paths of all VMs with pyVmomi and prints the number of VMs; for benchmarks.

    pyvmomi_collect.py FOLDER PATH…

FOLDER holds the endpoints.json of a simulator.
"""

import sys
from pathlib import Path

from pyVmomi import vim

import endpoint
from pyvmomi_client import connected, retrieve


def main():
    if len(sys.argv) < 3:
        raise SystemExit(__doc__)
    folder, *paths = sys.argv[1:]
    with connected(endpoint.load(Path(folder) / "endpoints.json")) as service:
        print(sum(1 for _ in retrieve(service, {vim.VirtualMachine: paths})))


if __name__ == "__main__":
    main()
