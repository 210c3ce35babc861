"""Measures vmbridge beside its peers and writes docs/benchmarks.md. Started by scripts/bench.

Each figure is of a whole process as the operating system accounts for it (user + system CPU time, wall time, peak resident
memory), over several runs in turn, of which the median counts. A section of the page is replaced when it has been measured;
the others stay as they were, with their own dates.
"""

import argparse
import datetime
import json
import os
import platform
import random
import re
import resource
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
RELEASE = TARGET / "release"
TOOLS = ROOT / ".tools" / "bin"
PAGE = ROOT / "docs" / "benchmarks.md"
PYTHON = ROOT / ".venv" / "bin" / "python"
REFEREES = ROOT / "tests" / "referees"


def say(text):
    print(text, file=sys.stderr, flush=True)


class Server:
    """A simulator in a folder of its own, with its endpoints.json."""

    def __init__(self, folder, command):
        self.folder = Path(folder)
        self.process = subprocess.Popen(
            [*map(str, command), "--dir", str(folder)], stdout=subprocess.DEVNULL, stderr=open(self.folder / "log", "w")
        )
        deadline = time.monotonic() + 180
        while not (self.folder / "endpoints.json").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{command[0]} did not start:\n{(self.folder / 'log').read_text()}")
            time.sleep(0.1)
        self.endpoints = json.loads((self.folder / "endpoints.json").read_text())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def vcenter_of(endpoints):
    """URL, user, password, CA file and control URL of the (first) vCenter, from either simulator's endpoints.json."""
    entry = endpoints["vcenters"][0] if "vcenters" in endpoints else endpoints
    return {
        "name": entry.get("name", "vcsim"),
        "url": entry["url"],
        "username": entry["username"],
        "password": entry["password"],
        "ca": entry.get("caFile") or endpoints["caFile"],
        "control": entry.get("controlUrl") or endpoints.get("controlUrl"),
    }


def configuration(folder, vcenter, name="bench"):
    secret = Path(folder) / "bench-password"
    secret.touch(mode=0o600)
    secret.write_text(vcenter["password"])
    path = Path(folder) / "bench.toml"
    path.write_text(
        f"""[[vcenter]]
name = "{name}"
url = "{vcenter['url']}"
username = "{vcenter['username']}"
password = {{ file = "{secret}" }}
ca_file = "{vcenter['ca']}"
"""
    )
    return path


def measure(command, env=None, output=None):
    """Runs a command to its end: CPU seconds, wall seconds, peak MiB."""
    out = open(output, "wb") if output else subprocess.DEVNULL
    with tempfile.NamedTemporaryFile("r") as figures:
        # Started by a small program: the peak memory of a process begins with that of the one it was forked from.
        timed = ["/usr/bin/time", "-q", "-o", figures.name, "-f", "%U %S %e %M", *map(str, command)]
        done = subprocess.run(timed, stdout=out, stderr=subprocess.PIPE, env=env)
        if done.returncode != 0:
            raise SystemExit(f"{command[0]} failed with {done.returncode}:\n{done.stderr.decode(errors='replace')[-2000:]}")
        user, system, wall, peak = map(float, figures.read().split())
    return {"cpu": user + system, "wall": wall, "peak": peak / 1024}


def median(runs):
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def machine():
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores of {model}, {memory:.0f} GiB, {platform.system()} {platform.release()}"


# --- sections ---------------------------------------------------------------------------------------------------------


def fleet(args):
    lines = []
    paths = json.loads(subprocess.check_output([RELEASE / "vmbridge", "schema", "paths"]))["VirtualMachine"]
    with tempfile.TemporaryDirectory() as folder:
        with Server(folder, [TOOLS / "vcsim", "--vms", args.vms]) as server:
            vcenter = vcenter_of(server.endpoints)
            config = configuration(folder, vcenter, "vcsim")
            ours = [RELEASE / "vmbridge", "--config", config, "inventory", "--json"]
            govc_env = {
                **os.environ,
                "GOVC_URL": vcenter["url"],
                "GOVC_USERNAME": vcenter["username"],
                "GOVC_PASSWORD": vcenter["password"],
                "GOVC_TLS_CA_CERTS": vcenter["ca"],
                "GOVC_PERSIST_SESSION": "false",
            }
            govc = [TOOLS / "govc", "object.collect", "-json", "-type", "m", "/", *paths]
            pyvmomi = [PYTHON, REFEREES / "pyvmomi_collect.py", folder, *paths]
            compare_with_referees(folder, ours, args.vms)
            runs = {"vmbridge": [], "govc": [], "pyVmomi": []}
            for number in range(args.runs):
                say(f"   run {number + 1} of {args.runs}")
                runs["vmbridge"].append(measure(ours))
                runs["govc"].append(measure(govc, env=govc_env))
                runs["pyVmomi"].append(measure(pyvmomi))
            figures = {name: median(all_runs) for name, all_runs in runs.items()}
    lines += [
        f"**{args.vms} VMs of vcsim over TLS, {len(paths)} property paths of each** (the peers read only these; vmbridge also "
        "reads hosts, clusters, datastores, folders and tags). Fields compared with govc and pyVmomi: equal.",
        "",
        "| | CPU s | wall s | peak MiB | CPU, vmbridge : it | wanted |",
        "|---|---:|---:|---:|---:|---|",
    ]
    wanted = {"vmbridge": "", "govc": "at most 1 : 8", "pyVmomi": "at most 1 : 20"}
    for name, figure in figures.items():
        ratio = f"1 : {figure['cpu'] / figures['vmbridge']['cpu']:.1f}" if name != "vmbridge" else ""
        lines.append(
            f"| {name} | {figure['cpu']:.2f} | {figure['wall']:.2f} | {figure['peak']:.0f} | {ratio} | {wanted[name]} |"
        )
    with tempfile.TemporaryDirectory() as folder:
        with Server(folder, [RELEASE / "vmbridge-simulator", "--vcenters", 1, "--vms", args.many]) as server:
            config = configuration(folder, vcenter_of(server.endpoints))
            ours = [RELEASE / "vmbridge", "--config", config, "inventory", "--json"]
            output = Path(folder) / "inventory.json"
            measure(ours, output=output)
            count = len(json.loads(output.read_bytes())["vms"])
            if count != args.many:
                raise SystemExit(f"{count} of {args.many} VMs were read")
            figure = median([measure(ours) for _ in range(args.runs)])
    lines += [
        "",
        f"**{args.many} VMs of vmbridge-simulator**, with tags: {figure['cpu']:.2f} CPU s, {figure['wall']:.2f} s, "
        f"peak {figure['peak']:.0f} MiB (wanted: under 150 MiB).",
    ]
    return "Reading a fleet", lines


def compare_with_referees(folder, ours, vms):
    """The numbers count only if all three see the same."""
    inventory = Path(folder) / "ours.json"
    measure(ours, output=inventory)
    if len(json.loads(inventory.read_bytes())["vms"]) < vms:
        raise SystemExit("vmbridge did not read all VMs")
    for referee in ["govc", "pyvmomi"]:
        say(f"   comparing every field with {referee}")
        theirs = Path(folder) / f"{referee}.json"
        measure([PYTHON, REFEREES / f"{referee}_inventory.py", "--endpoints", Path(folder) / "endpoints.json"], output=theirs)
        subprocess.run([PYTHON, REFEREES / "compare.py", inventory, theirs], check=True)


def control(vcenter, path, body=None):
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(vcenter["control"] + path, data=data, method="POST" if data else "GET")
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as response:
        text = response.read()
    return json.loads(text) if text else None


def cpu_of(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def watch(args):
    with tempfile.TemporaryDirectory() as folder:
        with Server(folder, [RELEASE / "vmbridge-simulator", "--vcenters", 1, "--vms", args.many]) as server:
            vcenter = vcenter_of(server.endpoints)
            config = configuration(folder, vcenter)
            process = subprocess.Popen(
                [RELEASE / "vmbridge", "--config", config, "watch", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
            )
            try:
                os.set_blocking(process.stderr.fileno(), False)
                say("   waiting for the first picture")
                deadline = time.monotonic() + 120
                heard = b""
                while b"VMs" not in heard:
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise SystemExit(f"watch did not get its first picture:\n{heard.decode(errors='replace')}")
                    heard += process.stderr.read() or b""
                    time.sleep(0.1)
                time.sleep(5)
                vm = control(vcenter, f"/vms/{vcenter['name']}")[100]
                latencies = []
                for number in range(20):
                    name = f"changed-{number}"
                    begin = time.monotonic()
                    control(vcenter, f"/mutate/{vcenter['name']}", {"op": "rename", "vm": vm, "name": name})
                    while name.encode() not in process.stdout.readline():
                        pass
                    latencies.append(time.monotonic() - begin)
                say("   30 s of idleness")
                before = cpu_of(process.pid)
                time.sleep(30)
                idle = (cpu_of(process.pid) - before) / 30 * 100
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(20)
    return "Watching", [
        f"{args.many} VMs of vmbridge-simulator, `vmbridge watch --json`: a change is printed after "
        f"{statistics.median(latencies) * 1000:.0f} ms (median of {len(latencies)}; longest {max(latencies) * 1000:.0f} ms; "
        f"wanted: under 1 s). Idle CPU over 30 s: {idle:.2f} % of one core (wanted: under 1 %).",
    ]


def decode(args):
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.xml"
        with Server(folder, [RELEASE / "vmbridge-simulator", "--vcenters", 1, "--vms", args.many, "--page", args.many]) as server:
            record_answer(vcenter_of(server.endpoints), answer)
        say(f"   recorded {answer.stat().st_size / 1e6:.0f} MB")
        printed = subprocess.run(
            ["cargo", "bench", "-p", "vsphere-client", "--bench", "decode", "--", "--measurement-time", "10"],
            env={**os.environ, "VMBRIDGE_RECORDED_ANSWER": str(answer)},
            cwd=ROOT, check=True, capture_output=True, text=True,
        ).stdout
        size = answer.stat().st_size / 1e6
    speeds = {}
    for name in ["tokenise", "tokenise borrowed", "decode"]:
        # The middle one of three estimates is criterion's best.
        found = re.search(rf"^answer/{name}\s+time:.*?\n\s+thrpt:\s+\[\S+ \S+ (\S+) (\S+)", printed, re.M)
        if not found:
            raise SystemExit(f"criterion did not report {name}:\n{printed}")
        speeds[name] = float(found[1]) * {"MiB/s": 1, "GiB/s": 1024}[found[2]]
    lines = [
        f"One recorded answer for {args.many} VMs ({size:.0f} MB), on one core (criterion):",
        "",
        "| | MiB/s | decoding : it | wanted |",
        "|---|---:|---:|---|",
    ]
    for name, speed in speeds.items():
        label = {"tokenise": "quick-xml, tokens only, buffered as we read", "tokenise borrowed": "quick-xml, tokens only, all in memory",
                 "decode": "vsphere-client, typed reports"}[name]
        ratio = "" if name == "decode" else f"{speeds['decode'] / speed:.2f}"
        lines.append(f"| {label} | {speed:.0f} | {ratio} | {'' if name == 'decode' else 'at least 0.50'} |")
    return "Decoding", lines


def record_answer(vcenter, path):
    """Saves the body of one unpaged RetrievePropertiesEx answer with all properties that a fleet reads."""
    context = ssl.create_default_context(cafile=vcenter["ca"])
    cookie = None

    def soap(body, save=None):
        nonlocal cookie
        envelope = (
            '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>' + body + "</soapenv:Body></soapenv:Envelope>"
        )
        headers = {"SOAPAction": '"urn:vim25/8.0.3.0"', "Content-Type": "text/xml; charset=utf-8"}
        if cookie:
            headers["Cookie"] = cookie
        request = urllib.request.Request(vcenter["url"].rstrip("/") + "/sdk", envelope.encode(), headers)
        with urllib.request.urlopen(request, context=context) as response:
            cookie = (response.headers.get("Set-Cookie") or cookie or "").split(";")[0] or None
            if save:
                with open(save, "wb") as out:
                    while piece := response.read(1 << 20):
                        out.write(piece)
                return ""
            return response.read().decode()

    escape = lambda text: text.replace("&", "&amp;").replace("<", "&lt;")
    soap(
        '<Login xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this>'
        f"<userName>{escape(vcenter['username'])}</userName><password>{escape(vcenter['password'])}</password></Login>"
    )
    view = re.search(r"<returnval[^>]*>([^<]+)<", soap(
        '<CreateContainerView xmlns="urn:vim25"><_this type="ViewManager">ViewManager</_this>'
        '<container type="Folder">group-d1</container><type>VirtualMachine</type><recursive>true</recursive></CreateContainerView>'
    ))[1]
    paths = json.loads(subprocess.check_output([RELEASE / "vmbridge", "schema", "paths"]))["VirtualMachine"]
    path_set = "".join(f"<pathSet>{p}</pathSet>" for p in paths)
    soap(
        '<RetrievePropertiesEx xmlns="urn:vim25"><_this type="PropertyCollector">propertyCollector</_this><specSet>'
        f"<propSet><type>VirtualMachine</type><all>false</all>{path_set}</propSet>"
        f'<objectSet><obj type="ContainerView">{view}</obj><skip>true</skip><selectSet xsi:type="TraversalSpec"><name>v</name>'
        "<type>ContainerView</type><path>view</path><skip>false</skip></selectSet></objectSet></specSet><options></options>"
        "</RetrievePropertiesEx>",
        save=path,
    )
    soap('<Logout xmlns="urn:vim25"><_this type="SessionManager">SessionManager</_this></Logout>')
    if b"<token>" in path.read_bytes()[:2000]:
        raise SystemExit("the simulator answered in pages")


def sessions(args):
    with tempfile.TemporaryDirectory() as folder:
        with Server(folder, [RELEASE / "vmbridge-simulator", "--vcenters", 1, "--vms", 50, "--idle-timeout", 20]) as server:
            vcenter = vcenter_of(server.endpoints)
            config = configuration(folder, vcenter)
            command = [str(RELEASE / "vmbridge"), "--config", str(config), "inventory", "--json"]
            opened = lambda: open_sessions(control(vcenter, "/stats"), vcenter)
            for number in range(args.session_runs):
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                if (number + 1) % 250 == 0:
                    say(f"   {number + 1} runs, {opened()} sessions open")
            after_runs = opened()
            for number in range(args.kills):
                process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                time.sleep(0.01 + (number % 20) * 0.004)
                process.kill()
                process.wait()
            after_kills = opened()
            say("   waiting for what the kills left to expire")
            time.sleep(25)
            expired = opened()
    if after_runs != 0 or after_kills > 2 * args.kills or expired != 0:
        raise SystemExit(f"sessions were leaked: {after_runs} after the runs, {after_kills} after the kills, {expired} when those had expired")
    return "Sessions", [
        f"Open on the server after {args.session_runs} runs: {after_runs}. After {args.kills} more that were killed on the way: "
        f"{after_kills} (each run holds one SOAP and one REST session). When these had been idle for the server's limit: {expired}.",
    ]


def open_sessions(stats, vcenter):
    mine = stats["vcenters"][vcenter["name"]] if "vcenters" in stats else stats
    counted = mine["sessions"]
    return counted["open"] if isinstance(counted, dict) and "open" in counted else counted["soap"] + counted["rest"]


# --- tags -------------------------------------------------------------------------------------------------------------

CATEGORY = "Benchmark"


def tags_configuration(folder, endpoints, speed=""):
    """`vmbridge run` with tag sync on, in a state directory that stays between two starts."""
    path = configuration(folder, vcenter_of(endpoints), "dc1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path.write_text(
        path.read_text()
        + f"""
[[aws]]
name = "main"
region = "eu-central-1"
endpoint = "{endpoints['aws']['url']}"
ca_file = "{endpoints['caFile']}"
{speed}

[tags]
mode = "enforce"

[[tags.rule]]
name = "benchmark"
category = "{CATEGORY}"

[http]
listen = "127.0.0.1:{port}"

[state]
directory = "{folder}/state"
"""
    )
    return path


class Daemon:
    """`vmbridge run`, until the end of the block."""

    def __init__(self, folder, config, endpoints):
        account = endpoints["aws"]["accounts"][0]
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": account["accessKeyId"],
            "AWS_SECRET_ACCESS_KEY": account["secretAccessKey"],
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        self.log = Path(folder) / "vmbridge.log"
        command = [RELEASE / "vmbridge", "--config", config, "run"]
        # Started by a small program: the peak memory of a process begins with that of the one it was forked from.
        command = ["/bin/sh", "-c", 'exec "$0" "$@"', *map(str, command)]
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=open(self.log, "a"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def peak(self):
        """MiB."""
        if self.process.poll() is not None:
            raise SystemExit(f"vmbridge ended:\n{self.log.read_text()[-2000:]}")
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024


def when(text):
    return datetime.datetime.fromisoformat(text).timestamp()


class Ledger:
    """What the simulator wrote down: changes, and calls."""

    def __init__(self, vcenter):
        self.vcenter = vcenter
        self.begin()

    def begin(self):
        control(self.vcenter, "/effects/clear", {})
        control(self.vcenter, "/aws/stats", {})
        self.before = self.of_vcenter()

    def of_vcenter(self):
        return control(self.vcenter, "/stats")["vcenters"][self.vcenter["name"]]["calls"]

    def effects(self):
        return control(self.vcenter, "/effects")

    def calls(self):
        """By operation, since the beginning."""
        mine = self.of_vcenter()
        grown = {name: count - self.before.get(name, 0) for name, count in mine.items()}
        ours = control(self.vcenter, "/aws/stats")["calls"]["calls"]
        return {name: count for name, count in {**grown, **ours}.items() if count}

    def quiet(self, at_least, seconds, patience):
        """Waits until so many changes were made, and for so long none."""
        deadline, last, since = time.monotonic() + patience, -1, time.monotonic()
        while True:
            count = len(self.effects())
            if count != last:
                last, since = count, time.monotonic()
            if count >= at_least and time.monotonic() - since >= seconds:
                return count
            if time.monotonic() > deadline:
                raise SystemExit(f"{count} changes after {patience} s; at least {at_least} were expected, and then quiet")
            time.sleep(0.5)


def attach(vcenter, tag, vms):
    """Attaches one tag to these VMs; gives the time just before."""
    changes = [{"op": "tag", "vm": vm, "tag": tag} for vm in vms]
    began = time.time()
    control(vcenter, f"/mutate/{vcenter['name']}", changes)
    return began


def one_by_one(ledger, vms, tag, node_of, pause):
    latencies, rng = [], random.Random(7)
    for number, vm in enumerate(vms):
        time.sleep(rng.uniform(*pause))
        began = attach(ledger.vcenter, tag, [vm])
        deadline = time.monotonic() + 120
        while not (made := [effect for effect in ledger.effects()[number:] if effect["resource"] == node_of[vm]]):
            if time.monotonic() > deadline:
                raise SystemExit(f"the tag of {vm} was not on its node after 120 s")
            time.sleep(0.05)
        latencies.append(when(made[0]["time"]) - began)
    time.sleep(2)
    return latencies, writes(ledger, len(vms))


def writes(ledger, expected):
    """The changes, which must be one for each node and nothing else."""
    effects = ledger.effects()
    nodes = {effect["resource"] for effect in effects if effect["operation"] == "AddTagsToResource"}
    if len(effects) != expected or len(nodes) != expected:
        raise SystemExit(f"{len(effects)} changes of {len(nodes)} nodes, {expected} were expected")
    return effects


def at_once(ledger, vms, tag, patience):
    ledger.begin()
    began = attach(ledger.vcenter, tag, vms)
    ledger.quiet(len(vms), 5, patience)
    return sorted(when(effect["time"]) - began for effect in writes(ledger, len(vms)))


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * percent // 100) - 1))]


def listed(calls):
    return ", ".join(f"{count} {name}" for name, count in sorted(calls.items())) or "none"


def tags(args):
    say("   planning and an idle hour, without the network")
    printed = subprocess.run(
        ["cargo", "bench", "-p", "vmbridge", "--bench", "tags"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    figures = json.loads(printed[printed.index("{"):])
    rows, calls, peaks = [], {}, {}

    def row(what, latencies, wanted):
        rows.append(
            f"| {what} | {len(latencies)} | {statistics.median(latencies):.2f} | {percentile(latencies, 99):.2f} | {max(latencies):.2f} | {wanted} |"
        )

    with tempfile.TemporaryDirectory() as folder:
        command = [RELEASE / "vmbridge-simulator", "--vms", args.many, "--aws-node-count", args.nodes]
        with Server(folder, command) as server:
            vcenter = vcenter_of(server.endpoints)
            for change in [{"op": "createCategory", "name": CATEGORY}] + [
                {"op": "createTag", "category": CATEGORY, "name": name} for name in ["one", "some", "many", "unseen"]
            ]:
                control(vcenter, f"/mutate/{vcenter['name']}", change)
            ledger = Ledger(vcenter)
            fast = "reads_per_second = 100\nwrites_per_second = 100\nconcurrency = 16\npoll_fast = \"1s\""
            say("   the first sync, at 100 calls a second")
            began = time.monotonic()
            with Daemon(folder, tags_configuration(folder, server.endpoints, fast), server.endpoints) as daemon:
                first = ledger.quiet(args.nodes * 9 // 10, 40, 1800)
                took, calls["first"] = time.monotonic() - began - 40, ledger.calls()
                told = control(vcenter, "/aws/truth")["accounts"][0]["regions"][0]["nodes"]
                written = {effect["resource"] for effect in ledger.effects()}
                vm_of = {node["instanceId"]: node["vm"]["moref"] for node in told if node.get("vm")}
                node_of = {vm: node for node, vm in vm_of.items() if node in written}
                vms = sorted(node_of, key=lambda vm: int(vm.split("-")[1]))
                random.Random(3).shuffle(vms)
                take = lambda count: [vms.pop() for _ in range(count)]
                say("   1,000 changes at once, at 100 calls a second")
                row("1,000 at once, 100 writes a second", at_once(ledger, take(1000), f"{CATEGORY}:many", 300), "")
                calls["1,000 at once at 100 writes a second"] = ledger.calls()
                peaks["the first sync"] = daemon.peak()
            with Daemon(folder, tags_configuration(folder, server.endpoints), server.endpoints) as daemon:
                say("   one change after the other")
                # Until everything has been read, after which nothing is to be done.
                time.sleep(90)
                ledger.begin()
                latencies, _ = one_by_one(ledger, take(args.singles), f"{CATEGORY}:one", node_of, (1, 4))
                row("one after the other", latencies, "under 10 s")
                calls["one after the other"] = ledger.calls()
                say("   1,000 changes at once, at the limits that are the default")
                row("1,000 at once, 5 writes a second", at_once(ledger, take(1000), f"{CATEGORY}:some", 600), "")
                calls["1,000 at once at 5 writes a second"] = ledger.calls()
                # What was written settles, and is read.
                time.sleep(150)
                say(f"   {args.idle} s of idleness")
                ledger.begin()
                cpu = cpu_of(daemon.process.pid)
                time.sleep(args.idle)
                busy = (cpu_of(daemon.process.pid) - cpu) / args.idle * 100
                idle_writes, calls["idle"] = writes(ledger, 0), ledger.calls()
                peaks["all that followed"] = daemon.peak()
            say("   one change after the other, without the right to read events")
            denied = {"operation": "CreateCollectorForEvents", "times": 0, "effect": {"kind": "soapFault", "name": "NoPermission"}}
            control(vcenter, "/faults", {"add": [denied]})
            with Daemon(folder, tags_configuration(folder, server.endpoints), server.endpoints):
                time.sleep(90)
                ledger.begin()
                latencies, _ = one_by_one(ledger, take(args.unseen), f"{CATEGORY}:unseen", node_of, (1, 30))
                row("events not permitted", latencies, "under 60 s")
                calls["without events"] = ledger.calls()
    lines = [
        f"`vmbridge run` with {args.many} VMs and {len(told)} nodes of vmbridge-simulator, the default limits unless it says something else. "
        "From just before the tag is attached in vSphere until AWS has applied the call, in seconds:",
        "",
        "| change | how many | median | 99th percentile | longest | wanted |",
        "|---|---:|---:|---:|---:|---|",
        *rows,
        "",
        "Every changed node took exactly one write call; nothing else was written. How long 1,000 changes take is up to "
        "`writes_per_second`: at 5 (the default) at least 198 s, at 100 at least 8 s.",
        "",
        "Calls made meanwhile, on vCenter and on AWS:",
        "",
        *(f"- {what}: {listed(counts)}" for what, counts in calls.items() if what not in ("first", "idle")),
        f"- the first sync of {first} nodes ({took:.0f} s at 100 calls a second): {listed(calls['first'])}",
        "",
        f"**Idle.** In {args.idle} s of real time, of which the first began three minutes after the last change: {len(idle_writes)} writes, "
        f"{busy:.2f} % of one core; reads: {listed(calls['idle'])}.",
        "",
        f"In an hour of simulated time (engine and observer of AWS on ports that count, {args.many} VMs and {args.nodes} nodes whose agents report "
        f"all the time; vCenter is not simulated in it): {sum(count for name, count in figures['hour']['calls'].items() if 'Tags' in name and 'List' not in name)} writes, "
        f"{figures['hour']['plans']} plans; reads: {listed(figures['hour']['calls'])}.",
        "",
        f"**Memory.** Peak of the process during {' and '.join(f'{what}: {peak:.0f} MiB' for what, peak in peaks.items())} (wanted: under 250 MiB).",
        "",
        f"**One plan** over {args.many} VMs and {args.nodes} nodes, in milliseconds, 100 times each (wanted: under 100):",
        "",
        "| `vms` of the target | situation | least | median | 99th percentile |",
        "|---|---|---:|---:|---:|",
        *(f"| {plan['vms']} | {plan['situation']} | {plan['least']} | {plan['median']} | {plan['p99']} |" for plan in figures["plan"]),
    ]
    return "Tag sync", lines


# --- enrol ------------------------------------------------------------------------------------------------------------

# How long the installer works in a guest, each of two times, in seconds.
WORK = 10
# VMs at the same time.
AT_ONCE = 20
GUEST_METHODS = re.compile(r"InGuest$|^InitiateFileTransfer")


# Snapshots at the same time, and how long each takes, in seconds.
PER_DATASTORE, PER_HOST, PER_VCENTER, TASK = 10, 50, 200, 20


def enrol(args):
    with tempfile.TemporaryDirectory() as folder:
        command = [RELEASE / "vmbridge-simulator", "--vms", args.guests * 2, "--aws-node-count", 1]
        with Server(folder, command) as server:
            vcenter, account = vcenter_of(server.endpoints), server.endpoints["aws"]["accounts"][0]
            config = tags_configuration(folder, server.endpoints, 'poll_fast = "2s"\nwrites_per_second = 20')
            secret = f"{folder}/guest-password"
            config.write_text(
                config.read_text().replace('mode = "enforce"', 'mode = "off"', 1)
                + f'''
[enrol]
mode = "observe"
per_vcenter = {AT_ONCE}
per_host = 50
package_sha256 = ["debian_amd64={"0" * 64}"]

[[credentials]]
name = "linux"
vms = "guest=linux"
username = "root"
password = {{ file = "{secret}" }}

[[credentials]]
name = "windows"
vms = "guest=windows"
username = "Administrator"
password = {{ file = "{secret}" }}
'''
            )
            environment = {
                **os.environ,
                "AWS_ACCESS_KEY_ID": account["accessKeyId"],
                "AWS_SECRET_ACCESS_KEY": account["secretAccessKey"],
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            run = lambda *arguments: subprocess.run(
                [RELEASE / "vmbridge", "--config", config, *arguments], env=environment, capture_output=True, text=True
            )
            plan = json.loads(run("plan", "--json", "--capability", "enrol").stdout)
            vms = [action["object"] for action in plan["actions"] if action["kind"] == "prepareGuest"]
            waiting = [vm["moref"] for vm in plan["vms"] if vm["capabilities"]["enrol"]["reason"] == "waitsForOthers"]
            vms = [f"{vcenter['name']}/{vm}" for vm in (vms + waiting)[: args.guests]]
            if len(vms) < args.guests:
                raise SystemExit(f"only {len(vms)} of {args.guests} VMs can be enrolled")
            for vm in vms:
                guest = {"op": "setGuest", "id": vm.split("/")[1], "guest": {"workMs": WORK * 1000}}
                control(vcenter, f"/mutate/{vcenter['name']}", guest)
            say(f"   {len(vms)} guests, {AT_ONCE} at a time, two programs of {WORK} s each")
            ledger = Ledger(vcenter)
            began = time.time()
            done = run("enroll", *vms)
            took = time.time() - began
            effects = ledger.effects()
            registered = [effect for effect in effects if effect["operation"] == "RegisterManagedInstance"]
            if done.returncode or len(registered) != len(vms):
                raise SystemExit(f"{len(registered)} of {len(vms)} were registered:\n{done.stdout}{done.stderr[-3000:]}")
            guest_calls = {name: count for name, count in ledger.of_vcenter().items() if GUEST_METHODS.search(name)}
            every = ledger.calls()
            starts = [when(effect["time"]) for effect in effects if effect["operation"] == "StartProgramInGuest"]
            working = max(when(effect["time"]) for effect in registered) - min(starts)
    least = len(vms) / AT_ONCE * 2 * WORK
    calls = sum(guest_calls.values()) / len(vms)
    lines = [
        f"{len(vms)} guests of vmbridge-simulator, {AT_ONCE} at a time (`per_vcenter`), in each of which the installer works for {WORK} s two times.",
        "",
        "| | measured | wanted |",
        "|---|---:|---:|",
        f"| from the first program to the last registration | {working:.0f} s, {least / working * 100:.0f} % of what the limit allows ({least:.0f} s) | at least 90 % |",
        f"| the whole command | {took:.0f} s | |",
        f"| calls of guest operations for each VM | {calls:.1f} | at most 15 |",
        "",
        f"All calls: {listed(every)}.",
    ]
    return "Enrolment", lines


def lower_bound(tasks, places):
    """The time below which these tasks cannot be done, whatever their order: of each resource its work divided by its limit."""
    work = {}
    for task, took in tasks:
        for resource in places[task["vm"]]:
            work[resource] = work.get(resource, 0) + took
    limit = {"datastore": PER_DATASTORE, "host": PER_HOST, "vcenter": PER_VCENTER}
    return max([took for _, took in tasks] + [sum_ / limit[kind] for (kind, _), sum_ in work.items()])


def snapshots(args):
    with tempfile.TemporaryDirectory() as folder:
        command = [RELEASE / "vmbridge-simulator", "--vms", args.protected * 2, "--aws-node-count", 1]
        with Server(folder, command) as server:
            vcenter, account = vcenter_of(server.endpoints), server.endpoints["aws"]["accounts"][0]
            config = tags_configuration(folder, server.endpoints)
            config.write_text(
                config.read_text().replace('mode = "enforce"', 'mode = "off"', 1)
                + f"""
[snapshots]
mode = "enforce"
per_datastore = {PER_DATASTORE}
per_host = {PER_HOST}
per_vcenter = {PER_VCENTER}
floor_percent = 0
floor_gib = 0

[[snapshots.policy]]
name = "bench"
uncovered_disks = true
max_chain = 31
"""
            )
            environment = {
                **os.environ,
                "AWS_ACCESS_KEY_ID": account["accessKeyId"],
                "AWS_SECRET_ACCESS_KEY": account["secretAccessKey"],
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            run = lambda *arguments: subprocess.run(
                [RELEASE / "vmbridge", "--config", config, *arguments], env=environment, capture_output=True, text=True
            )
            name = vcenter["name"]
            tasks = {"durationsMs": {"createSnapshot": TASK * 1000}, "jitterPercent": 30, "datastoreDepth": PER_DATASTORE}
            control(vcenter, f"/mutate/{name}", {"op": "setTasks", "tasks": tasks})
            inventory = json.loads(run("inventory", "--json").stdout)
            # The same work for every datastore: as many VMs of each as there are of the scarcest, over and over.
            vms = {vm["moref"]: vm for vm in inventory["vms"] if vm["template"] is False and vm["managedBy"] is None}
            store = lambda vm: [("datastore", place["moref"]) for place in vm["datastores"]]
            places = {
                vm: [*store(told), ("host", (told["host"] or {}).get("moref")), ("vcenter", name)] for vm, told in vms.items()
            }
            chosen = [f"{name}/{vm}" for vm in vms][: args.protected]
            say(f"   snapshots of {len(chosen)} VMs, each of about {TASK} s")
            with Daemon(folder, config, server.endpoints) as daemon:
                time.sleep(10)
                ledger = Ledger(vcenter)
                cpu = cpu_of(daemon.process.pid)
                began = time.time()
                made = run("snapshot", "create", *chosen, "--reason", "benchmark", "--keep", "24h", "--json")
                taken = json.loads(made.stdout)
                wanted = sum(not vm["waits"] for vm in taken["taken"])
                samples = []
                while True:
                    truth = control(vcenter, f"/tasks/{name}")
                    samples.append((len(truth["active"]), time.time(), cpu_of(daemon.process.pid)))
                    done = [task for task in truth["finished"] if task["kind"] == "createSnapshot"]
                    if len(done) >= wanted:
                        break
                    if time.time() - began > args.protected * TASK:
                        raise SystemExit(f"{len(done)} of {wanted} snapshots were taken:\n{daemon.log.read_text()[-2000:]}")
                    time.sleep(1)
                calls = ledger.calls()
            took = [(task, when(task["time"]) - when(task["started"])) for task in done]
            makespan = max(when(task["time"]) for task in done) - min(when(task["started"]) for task in done)
            least = lower_bound(took, places)
            busy = [(at, used) for running, at, used in samples if running >= 0.9 * truth["running"]["vcenter"]]
            watching = (busy[-1][1] - busy[0][1]) / max(busy[-1][0] - busy[0][0], 1) * 100
    mine = {call: count for call, count in calls.items() if ":" not in call}
    lines = [
        f"{wanted} VMs of vmbridge-simulator on {len({place for vm in places.values() for place in vm if place[0] == 'datastore'})} datastores; snapshots of about {TASK} s each; at most {PER_DATASTORE} at a time on a datastore, {PER_HOST} on a host, {PER_VCENTER} in the vCenter.",
        "",
        "| | measured | wanted |",
        "|---|---:|---:|",
        f"| from the beginning of the first task to the end of the last | {makespan:.0f} s, {makespan / least:.2f} times what the limits allow ({least:.0f} s) | at most 1.15 times |",
        f"| most tasks at a time | {truth['running']['vcenter']} | at most {PER_VCENTER} |",
        f"| calls to vCenter for each snapshot | {sum(mine.values()) / wanted:.1f} | |",
        f"| CPU while that many tasks run, of one core | {watching:.1f} % | |",
        "",
        f"All calls: {listed(calls)}.",
    ]
    return "Snapshots", lines


# What Security Hub permits of BatchImportFindings: calls a second, calls at once, findings in a call.
IMPORT_RATE, IMPORT_BURST, IMPORT_BATCH = 10, 30, 100
# So many rules are to be evaluated for all VMs in less than so many seconds, on one core.
CHECKED_RULES, CHECKED_WITHIN = 40, 1


def report(args):
    checked = subprocess.run([RELEASE / "examples" / "check_speed"], capture_output=True, text=True, check=True).stdout
    vms, rules, seconds, counts = re.fullmatch(r"(\d+) VMs, (\d+) rules: ([0-9.]+) s \((.*)\)\n", checked).groups()
    with tempfile.TemporaryDirectory() as folder:
        command = [RELEASE / "vmbridge-simulator", "--vms", args.reported, "--aws-node-count", 1]
        with Server(folder, command) as server:
            vcenter, account = vcenter_of(server.endpoints), server.endpoints["aws"]["accounts"][0]
            config = tags_configuration(folder, server.endpoints)
            config.write_text(
                config.read_text().replace('mode = "enforce"', 'mode = "off"', 1)
                + """
[findings]
mode = "enforce"
folding = "full"
most_per_cycle = 100000
"""
            )
            environment = {
                **os.environ,
                "AWS_ACCESS_KEY_ID": account["accessKeyId"],
                "AWS_SECRET_ACCESS_KEY": account["secretAccessKey"],
                "AWS_EC2_METADATA_DISABLED": "true",
            }
            run = lambda *arguments: subprocess.run(
                [RELEASE / "vmbridge", "--config", config, *arguments], env=environment, capture_output=True, text=True
            )
            control(vcenter, "/aws/settings", {"documentedRates": True})
            say(f"   findings of {args.reported} VMs, at the rates that AWS publishes")
            ledger = Ledger(vcenter)
            began = time.time()
            done = run("sync", "--json")
            took = time.time() - began
            effects = [effect for effect in ledger.effects() if effect["operation"] == "BatchImportFindings"]
            if done.returncode or not effects:
                raise SystemExit(f"{len(effects)} findings were sent:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
            calls = ledger.calls()
            sending = max(when(effect["time"]) for effect in effects) - min(when(effect["time"]) for effect in effects)
            ledger.begin()
            again = run("sync", "--json")
            quiet = {name: count for name, count in ledger.calls().items() if "Import" in name or "Update" in name}
            if again.returncode or quiet:
                raise SystemExit(f"a second run sent {quiet}: {again.stderr[-2000:]}")
    ideal = -(-len(effects) // IMPORT_BATCH)
    least = max(ideal - IMPORT_BURST, 0) / IMPORT_RATE
    imports = calls["securityhub:BatchImportFindings"]
    lines = [
        f"Checks: readings of {vms} VMs in memory, on one core. Findings: {args.reported} VMs of vmbridge-simulator, which permits what AWS does: {IMPORT_RATE} calls a second, {IMPORT_BURST} at once.",
        "",
        "| | measured | wanted |",
        "|---|---:|---:|",
        f"| {vms} VMs × {rules} rules | {seconds} s ({counts}) | with 40 rules less than 1 s |",
        f"| findings | {len(effects)} in {imports} calls | {ideal} calls |",
        f"| from the first to the last | {sending:.1f} s, {sending / least:.2f} times what the rate allows ({least:.1f} s) | |" if least else f"| from the first to the last | {sending:.1f} s | |",
        f"| the whole command | {took:.1f} s | |",
        "| calls to send of a second run | 0 | 0 |",
        "",
        f"All calls: {listed(calls)}.",
    ]
    failures = []
    # The wanted time is for 40 rules; there are more now, and the time grows with them.
    if (scaled := float(seconds) * CHECKED_RULES / max(int(rules), CHECKED_RULES)) >= CHECKED_WITHIN:
        failures.append(f"{vms} VMs x {rules} rules took {seconds} s, which is {scaled:.2f} s for {CHECKED_RULES} rules; less than {CHECKED_WITHIN} s is wanted")
    if imports > ideal:
        failures.append(f"{len(effects)} findings were sent in {imports} calls of BatchImportFindings; {ideal} are enough")
    return "Reports", lines, failures


# --- the page ---------------------------------------------------------------------------------------------------------

INTRODUCTION = """# Benchmarks

Measured by `scripts/bench`; never typed in. Each section says when and on which machine. The figures are of whole processes, as
the operating system accounts for them; the median of several runs in turn.
"""


def write(title, lines):
    text = PAGE.read_text() if PAGE.exists() else INTRODUCTION
    today = datetime.date.today().isoformat()
    section = "\n".join([f"## {title}", "", f"{today}, {machine()}.", "", *lines, ""])
    pattern = re.compile(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", re.M | re.S)
    text = pattern.sub(lambda _: section + "\n", text) if pattern.search(text) else text.rstrip() + "\n\n" + section
    PAGE.write_text(text.rstrip() + "\n")
    print(section)


def main():
    sections = {"fleet": fleet, "watch": watch, "decode": decode, "sessions": sessions, "tags": tags, "enrol": enrol, "snapshots": snapshots, "report": report}
    parser = argparse.ArgumentParser(prog="scripts/bench", description="Measures vmbridge beside its peers.")
    parser.add_argument("sections", nargs="*", metavar="section", help=f"{', '.join(sections)} (default: all)")
    parser.add_argument("--vms", type=int, default=10_000, help="VMs in vcsim (default %(default)s)")
    parser.add_argument("--many", type=int, default=45_000, help="VMs in vmbridge-simulator (default %(default)s)")
    parser.add_argument("--runs", type=int, default=5, help="runs of each program (default %(default)s)")
    parser.add_argument("--session-runs", type=int, default=1_000)
    parser.add_argument("--nodes", type=int, default=5_000, help="managed nodes in vmbridge-simulator (default %(default)s)")
    parser.add_argument("--singles", type=int, default=30, help="changes of tags one after the other (default %(default)s)")
    parser.add_argument("--unseen", type=int, default=8, help="changes of tags without events (default %(default)s)")
    parser.add_argument("--idle", type=int, default=600, help="seconds of idleness with tag sync (default %(default)s)")
    parser.add_argument("--guests", type=int, default=200, help="guests to enrol (default %(default)s)")
    parser.add_argument("--protected", type=int, default=1_000, help="VMs to take snapshots of (default %(default)s)")
    parser.add_argument("--reported", type=int, default=5_600, help="VMs to make findings of (default %(default)s)")
    parser.add_argument("--kills", type=int, default=100)
    args = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    missed = []
    for name in args.sections or sections:
        if name not in sections:
            parser.error(f"there is no section {name!r}")
        say(f"== {name}")
        title, lines, *failures = sections[name](args)
        write(title, lines)
        missed += [f"{name}: {failure}" for failure in sum(failures, [])]
    if missed:
        raise SystemExit("\n".join(["not what is wanted:", *missed]))


if __name__ == "__main__":
    main()
