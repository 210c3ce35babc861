"""govc and pyVmomi, two clients that have nothing in common, must give the same picture of vcsim.

Where they do not, the referees are not fit to judge vmbridge.
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

from tests.referees import compare

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
VMS = 250  # more than two pages of a page-limited read


def program(variable, name):
    path = Path(os.environ.get(variable) or ROOT / ".tools" / "bin" / name)
    if not path.is_file():
        raise RuntimeError(f"{path} is missing; build it with: go build -C tests/vcsim -o {ROOT}/.tools/bin/ ./cmd/...")
    return path


class Agree(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        vcsim = program("VCSIM", "vcsim")
        program("GOVC", "govc")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.log = cls.folder / "log"
        with cls.log.open("wb") as log:
            process = subprocess.Popen([vcsim, "--dir", folder.name, "--vms", str(VMS)], stdout=log, stderr=log)
        cls.addClassCleanup(cls.stop, process)
        cls.endpoints = cls.folder / "endpoints.json"
        deadline = time.monotonic() + 60
        while not cls.endpoints.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"vcsim did not start:\n{cls.log.read_text()}")
            time.sleep(0.05)
        cls.documents = {name: cls.inventory(name) for name in ["govc", "pyvmomi"]}

    @staticmethod
    def stop(process):
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    @classmethod
    def run_script(cls, name, *arguments):
        return subprocess.run([sys.executable, HERE / name, *arguments], capture_output=True, text=True, check=False)

    @classmethod
    def inventory(cls, name):
        done = cls.run_script(f"{name}_inventory.py", "--endpoints", cls.endpoints)
        if done.returncode != 0:
            raise RuntimeError(f"{name}_inventory.py failed:\n{done.stderr}")
        return json.loads(done.stdout)

    def test_they_agree(self):
        result = compare.compare(self.documents["govc"], self.documents["pyvmomi"])
        self.assertTrue(result.equal, "\n".join(result.report()))
        self.assertGreater(result.objects, VMS)
        self.assertGreater(result.fields, 50 * VMS)
        self.assertEqual(result.one_sided, {"vms/unreadable": "theirs"})

    def test_the_fleet_is_rich_enough_to_judge_by(self):
        vms = self.documents["govc"]["vms"]
        self.assertEqual(len(vms), VMS)
        self.assertEqual(len({vm["instanceUuid"] for vm in vms}), VMS)
        for what, found in {
            "a vApp": lambda vm: vm["vApp"],
            "no cluster": lambda vm: vm["cluster"] is None,
            "no resource pool": lambda vm: vm["resourcePool"] is None,
            "a template": lambda vm: vm["template"],
            "a folder in a folder": lambda vm: vm["folder"]["path"].count("/") > 1,
            "a slash in the name of its folder": lambda vm: "%2f" in vm["folder"]["path"],
            "a slash in its name": lambda vm: "/" in vm["name"],
            "a per cent sign in its name": lambda vm: "%" in vm["name"],
            "tags": lambda vm: vm["tags"],
            "no tags": lambda vm: vm["tags"] == [],
            "custom attributes": lambda vm: vm["customAttributes"],
            "a raw disk": lambda vm: any(disk["backing"].startswith("RawDiskMapping") for disk in vm["disks"]),
            "an independent disk": lambda vm: any(disk["mode"].startswith("independent") for disk in vm["disks"]),
            "a branch of snapshots": lambda vm: any(
                len(child["children"]) > 1 for root in vm["snapshots"]["tree"] for child in root["children"]
            ),
            "no network adapter": lambda vm: not vm["nics"],
            "an owner": lambda vm: vm["managedBy"],
            "fault tolerance": lambda vm: vm["faultToleranceRole"],
            "the BIOS UUID of another": lambda vm: sum(other["biosUuid"] == vm["biosUuid"] for other in vms) > 1,
        }.items():
            with self.subTest(what=what):
                self.assertTrue(any(found(vm) for vm in vms), f"no VM has {what}")

    def test_every_vm_has_its_places(self):
        for vm in self.documents["pyvmomi"]["vms"]:
            with self.subTest(vm=vm["moref"]):
                self.assertRegex(vm["folder"]["path"], "^/")
                self.assertTrue(vm["datacenter"]["name"])
                self.assertTrue(vm["host"]["name"])
                self.assertTrue(all(item["name"] for item in vm["networks"] + vm["datastores"]))
                self.assertEqual(vm["unreadable"], [])

    def test_the_bulk_read_of_the_benchmark(self):
        done = self.run_script("pyvmomi_collect.py", self.folder, "name", "config.uuid", "config.hardware.device")
        self.assertEqual((done.returncode, done.stdout), (0, f"{VMS}\n"), done.stderr)

    def test_a_certificate_of_somebody_else_is_refused(self):
        with tempfile.TemporaryDirectory() as other:
            process = subprocess.Popen(
                [program("VCSIM", "vcsim"), "--dir", other, "--vms", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            self.addCleanup(self.stop, process)
            ca_file = Path(other) / "ca.pem"
            deadline = time.monotonic() + 60
            while not (Path(other) / "endpoints.json").exists():
                self.assertLess(time.monotonic(), deadline, "the second vcsim did not start")
                time.sleep(0.05)
            wrong = Path(other) / "wrong.json"
            wrong.write_text(json.dumps(json.loads(self.endpoints.read_text()) | {"caFile": str(ca_file)}))
            for name in ["govc", "pyvmomi"]:
                with self.subTest(referee=name):
                    done = self.run_script(f"{name}_inventory.py", "--endpoints", wrong)
                    self.assertEqual(done.returncode, 1)
                    self.assertIn("certificate", done.stderr)

    def test_they_leave_no_session_behind(self):
        control = json.loads(self.endpoints.read_text())["controlUrl"]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{control}/stats") as response:
            stats = json.load(response)
        sessions = stats["sessions"]
        self.assertEqual((sessions["soap"], sessions["rest"], stats["panics"]), (0, 0, 0))


if __name__ == "__main__":
    unittest.main()
