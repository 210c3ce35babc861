"""Where the vCenter is that the referees read.

Both simulators write an endpoints.json: that of vcsim describes one vCenter, that of vmbridge-simulator a list of them
under "vcenters". A file that names no such vCenter ends the program with a sentence that says so.
"""

import argparse
import json
import ssl
import urllib.parse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Endpoint:
    """One vCenter and how to log in to it. TLS is verified against ca_file, always."""

    name: str
    url: str
    username: str
    password: str
    ca_file: str

    @property
    def host(self):
        return urllib.parse.urlsplit(self.url).hostname

    @property
    def port(self):
        return urllib.parse.urlsplit(self.url).port or 443

    @property
    def path(self):
        return urllib.parse.urlsplit(self.url).path or "/sdk"

    def tls(self):
        return ssl.create_default_context(cafile=self.ca_file)


def load(path, name=None):
    """The vCenter called name, or the first one, of the endpoints.json at path."""
    file = Path(path)
    content = json.loads(file.read_text())
    entries = content.get("vcenters", [content])
    if name is not None:
        entries = [entry for entry in entries if entry.get("name") == name]
    if not entries:
        raise SystemExit(f"{path} has no vCenter" + (f" called {name!r}" if name is not None else ""))
    entry = entries[0]
    ca_file = entry.get("caFile") or content.get("caFile")
    if not ca_file:
        raise SystemExit(f"{path} names no caFile; TLS could not be verified")
    return Endpoint(
        name=entry.get("name", "vcsim"),
        url=entry["url"],
        username=entry["username"],
        password=entry["password"],
        # Relative to the file, should it have been moved together with its neighbours.
        ca_file=str(file.parent / ca_file),
    )


def arguments(description):
    """The arguments that both inventories take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--endpoints", required=True, metavar="FILE", help="endpoints.json of vcsim or vmbridge-simulator")
    parser.add_argument("--vcenter", metavar="NAME", help="which vCenter, where the file has several (default: the first)")
    return parser
