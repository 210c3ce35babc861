"""govc and pyVmomi, two clients that know nothing of us, work with the tasks and snapshots of vmbridge-simulator.

Where they stumble, the simulator is not fit to judge vmbridge.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request
from pathlib import Path

from pyVim.task import WaitForTask
from pyVmomi import vim, vmodl

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

import endpoint  # noqa: E402
import govc_inventory  # noqa: E402
import pyvmomi_client  # noqa: E402
import pyvmomi_inventory  # noqa: E402

Collector = vmodl.query.PropertyCollector
TAKES = {"createSnapshot": 400, "removeSnapshot": 200, "removeAllSnapshots": 200, "revert": 100, "consolidate": 100}
TAKES |= {"powerOn": 50, "powerOff": 50}


def program(variable, place, how):
    path = Path(os.environ.get(variable) or ROOT / place)
    if not path.is_file():
        raise RuntimeError(f"{path} is missing; build it with: {how}")
    return path


def leaves(value, at=""):
    """What a value says, as {path: text}: the clients name types differently, and leave out what is false or zero."""
    if isinstance(value, dict):
        inner = [leaves(it, f"{at}.{name.lower()}") for name, it in value.items() if name not in ("_type", "_typeName")]
    elif isinstance(value, list):
        inner = [leaves(it, f"{at}[{number}]") for number, it in enumerate(value)]
    else:
        return {} if value in (None, False, 0, "") else {at: str(value)}
    return {path: text for found in inner for path, text in found.items()}


class Tasks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        simulator = program("SIMULATOR", "target/debug/vmbridge-simulator", "cargo build -p vmbridge-simulator")
        how = f"go build -C tests/vcsim -o {ROOT}/.tools/bin/ ./cmd/..."
        cls.govc_program = program("GOVC", ".tools/bin/govc", how)
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        log = Path(folder.name) / "log"
        with log.open("wb") as out:
            arguments = ["--dir", folder.name, "--vms", "40", "--seed", "3"]
            process = subprocess.Popen([simulator, *arguments], stdout=out, stderr=out)
        cls.addClassCleanup(cls.stop, process)
        file = Path(folder.name) / "endpoints.json"
        deadline = time.monotonic() + 60
        while not file.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the simulator did not start:\n{log.read_text()}")
            time.sleep(0.05)
        cls.target = endpoint.load(file)
        cls.control = json.loads(file.read_text())["controlUrl"]
        cls.mutate({"op": "setTasks", "tasks": {"durationsMs": TAKES, "jitterPercent": 0, "datastoreDepth": 2}})
        cls.unused = cls.plain_vms()

    @staticmethod
    def stop(process):
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @classmethod
    def mutate(cls, change):
        body = json.dumps(change).encode()
        with urllib.request.urlopen(f"{cls.control}/mutate/{cls.target.name}", data=body) as answer:
            return json.load(answer)

    @classmethod
    def ask(cls, what):
        with urllib.request.urlopen(f"{cls.control}/{what}/{cls.target.name}") as answer:
            return json.load(answer)

    @classmethod
    def plain_vms(cls):
        """VMs that run, with Tools, without snapshots and without disks that cannot have any."""
        truth = cls.ask("truth")
        hosts = {host["id"] for host in truth["hosts"] if host["connectionState"] == "connected"}
        return [
            vm["id"]
            for vm in truth["vms"]
            if vm["powerState"] == "poweredOn"
            and vm["connectionState"] == "connected"
            and vm["guest"]["toolsRunningStatus"] == "guestToolsRunning"
            and vm["host"] in hosts
            and not vm["snapshots"]
            and not vm["config"]["template"]
            and not vm["config"]["faultTolerance"]
            and all(
                disk["mode"] == "persistent" and disk["compatibilityMode"] is None and disk["sharedBus"] in (None, "noSharing")
                for disk in vm["config"]["disks"]
            )
        ]

    def vm(self):
        return self.unused.pop()

    def govc(self, *arguments, fails=False):
        govc = govc_inventory.Govc(self.govc_program, self.target)
        done = subprocess.run(
            [self.govc_program, *arguments], env=govc.environment, capture_output=True, text=True, check=False
        )
        self.assertEqual(done.returncode != 0, fails, f"govc {arguments}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def test_both_read_how_objects_are_set_up(self):
        vm = self.vm()
        self.mutate({"op": "setOption", "vm": vm, "key": "isolation.tools.copy.disable", "value": "a<b"})
        wanted = {
            vim.VirtualMachine: ["config.extraConfig", "config.bootOptions", "config.flags.enableLogging"],
            vim.HostSystem: ["config.option", "config.service.service", "config.dateTimeInfo", "config.lockdownMode", "config.storageDevice"],
            vim.ClusterComputeResource: ["configurationEx", "configuration.dasConfig.enabled"],
            vim.dvs.DistributedVirtualPortgroup: ["config.defaultPortConfig", "config.policy"],
        }
        with pyvmomi_client.connected(self.target) as service:
            found = {}
            for content in pyvmomi_client.retrieve(service, wanted):
                kind, moref = content.obj._wsdlName, content.obj._GetMoId()
                values = {item.name: pyvmomi_inventory.plain(item.val) for item in content.propSet}
                found.setdefault(kind, {})[moref] = values
        self.assertEqual(
            sorted(found), ["ClusterComputeResource", "DistributedVirtualPortgroup", "HostSystem", "VirtualMachine"]
        )
        options = {option["key"]: option["value"] for option in found["VirtualMachine"][vm]["config.extraConfig"]}
        self.assertEqual(options["isolation.tools.copy.disable"], "a<b")
        govc = govc_inventory.Govc(self.govc_program, self.target)
        for managed, paths in wanted.items():
            objects = found[managed._wsdlName]
            moref = vm if managed is vim.VirtualMachine else next(it for it, values in objects.items() if values)
            self.assertEqual(sorted(objects[moref]), sorted(paths), moref)
            seen = govc.properties(f"{managed._wsdlName}:{moref}", *paths)
            for path in paths:
                self.assertEqual(leaves(seen[path]), leaves(objects[moref][path]), f"{moref} {path}")

    def test_govc_creates_shows_reverts_and_removes(self):
        vm = self.vm()
        on = f"VirtualMachine:{vm}"
        self.govc("snapshot.create", "-vm", on, "-m=false", "-q=false", "-d", "first of two", "one")
        self.govc("snapshot.create", "-vm", on, "-m=true", "-q=false", "two")
        tree = self.govc("snapshot.tree", "-vm", on, "-s", "-D", "-i", "-d")
        self.assertRegex(tree, r"\[[0-9.]+KB snapshot-\d+ .*\]  one - first of two\n  \[[0-9.]+MB snapshot-\d+ .*\]  two")
        self.govc("snapshot.revert", "-vm", on, "one")
        self.assertEqual(self.govc("snapshot.tree", "-vm", on, "-C").strip(), "one")
        self.assertIn("poweredOff", self.govc("object.collect", "-s", on, "runtime.powerState"))
        self.govc("snapshot.revert", "-vm", on, "two")
        self.assertIn("poweredOn", self.govc("object.collect", "-s", on, "runtime.powerState"))
        self.govc("snapshot.remove", "-vm", on, "two")
        self.assertEqual(self.govc("snapshot.tree", "-vm", on, "-c=false").strip(), "one")
        self.govc("snapshot.remove", "-vm", on, "*")
        self.assertEqual(self.govc("snapshot.tree", "-vm", on), "")

    def test_govc_tells_tasks_and_their_faults(self):
        vm = self.vm()
        on = f"VirtualMachine:{vm}"
        self.govc("vm.power", "-off", on)
        told = self.govc("vm.power", "-off", on, fails=True)
        self.assertIn("cannot be performed in the current state", told)
        self.govc("vm.power", "-on", on)
        tasks = self.govc("tasks", on)
        self.assertRegex(tasks, r"(?s)PowerOffVM .* success .*PowerOffVM .* error .*PowerOnVM .* success ")
        self.assertIn("PowerOnVM", self.govc("tasks"))

    def test_pyvmomi_waits_through_one_filter_over_a_list_view(self):
        vms = [self.vm() for _ in range(3)]
        with pyvmomi_client.connected(self.target) as service:
            content = service.RetrieveContent()
            tasks = [
                vim.VirtualMachine(vm, service._stub).CreateSnapshot_Task(
                    name="by pyVmomi", description="", memory=False, quiesce=True
                )
                for vm in vms
            ]
            view = content.viewManager.CreateListView(tasks)
            collector = content.propertyCollector.CreatePropertyCollector()
            traversal = Collector.TraversalSpec(type=type(view), path="view", skip=False)
            collector.CreateFilter(
                Collector.FilterSpec(
                    objectSet=[Collector.ObjectSpec(obj=view, skip=True, selectSet=[traversal])],
                    propSet=[Collector.PropertySpec(type=vim.Task, pathSet=["info"], all=False)],
                ),
                partialUpdates=False,
            )
            version, info, progress = "", {}, set()
            deadline = time.monotonic() + 30
            while not info or any(one.state in ("queued", "running") for one in info.values()):
                self.assertLess(time.monotonic(), deadline, info)
                update = collector.WaitForUpdatesEx(version, Collector.WaitOptions(maxWaitSeconds=5))
                if update is None:
                    continue
                version = update.version
                for changed in (one for filters in update.filterSet for one in filters.objectSet):
                    for change in changed.changeSet:
                        info[str(changed.obj)] = change.val
                        progress.add(change.val.progress)
            collector.DestroyPropertyCollector()
            self.assertEqual(len(info), 3)
            for one in info.values():
                self.assertEqual((one.state, one.name.info.name), ("success", "CreateSnapshot"))
                self.assertEqual(one.result.vm, one.entity)
                self.assertEqual(one.reason.userName, self.target.username)
            self.assertGreater(len(progress), 4, "percentages between the beginning and the end")
            self.assertEqual(list(view.ModifyListView(remove=[tasks[0]])), [])
            self.assertEqual(list(view.view), tasks[1:])
            view.DestroyView()

            machine = tasks[0].info.entity
            self.assertEqual(machine.snapshot.rootSnapshotList[0].quiesced, True)
            files = {file.key: file for file in machine.layoutEx.file}
            delta = files[machine.layoutEx.disk[0].chain[-1].fileKey[-1]]
            self.assertGreaterEqual(delta.size, 64 << 20)
            snapshot = machine.snapshot.currentSnapshot
            WaitForTask(snapshot.RemoveSnapshot_Task(removeChildren=False), si=service)
            with self.assertRaises(vmodl.fault.ManagedObjectNotFound):
                snapshot.RemoveSnapshot_Task(removeChildren=False)
            self.assertIsNone(machine.snapshot)

    def test_pyvmomi_meets_typed_faults(self):
        vm = self.vm()
        for fault, expected in {
            "FileLocked": vim.fault.FileLocked,
            "NoDiskSpace": vim.fault.NoDiskSpace,
            "SnapshotIncompatibleDeviceInVm": vim.fault.SnapshotIncompatibleDeviceInVm,
            "GenericVmConfigFault": vim.fault.GenericVmConfigFault,
            "TaskInProgress": vim.fault.TaskInProgress,
            "InvalidPowerState": vim.fault.InvalidPowerState,
        }.items():
            outcome = {"kind": "fails", "fault": fault, "percent": 20}
            self.mutate({"op": "scriptTasks", "scripts": [{"vm": vm, "outcome": outcome}]})
            with pyvmomi_client.connected(self.target) as service:
                task = vim.VirtualMachine(vm, service._stub).CreateSnapshotEx_Task(
                    name="fails", memory=False, quiesceSpec=vim.vm.WindowsQuiesceSpec(timeout=10)
                )
                with self.assertRaises(expected):
                    WaitForTask(task, si=service)
                self.assertIsNotNone(task.info.error)
        finished = self.ask("tasks")["finished"]
        self.assertEqual([one["outcome"] for one in finished if one["vm"] == vm][-1], "InvalidPowerState")


if __name__ == "__main__":
    unittest.main()
