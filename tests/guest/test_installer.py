"""The installer for Linux, run for real: as root, with the real dpkg and curl, in a private root."""

import hashlib
import os
import re
import subprocess
import tempfile
import time
import tomllib
import unittest

from tests.guest.rooted import DIRECTORY, REPOSITORY, SCRIPT, Mirror, Root

SHELLS = ["/bin/dash", "/bin/bash --posix", "/bin/busybox ash"]
CODE = "activation-code-1234"
MACHINE = os.uname().machine


class Installer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.mirror = Mirror(cls.folder.name)
        cls.hash = hashlib.sha256(cls.mirror.package("3.3.1611.0").read_bytes()).hexdigest()
        cls.newer = hashlib.sha256(cls.mirror.package("3.4.0.0").read_bytes()).hexdigest()
        cls.ca = (cls.mirror.folder / "cert.pem").read_bytes()

    @classmethod
    def tearDownClass(cls):
        cls.mirror.close()
        cls.folder.cleanup()

    def setUp(self):
        self.root = self.enterContext(Root())
        self.root.write(f"{DIRECTORY}/ca.pem", self.ca)

    def prepare(self, shell=SHELLS[0], version="3.3.1611.0", **more):
        parameters = {
            "REGION": "eu-central-1",
            "SOURCE": "download",
            "PACKAGE_URL": f"{self.mirror.url}/{version}/{{platform}}/{{file}}",
            "PACKAGE_SHA256": f"linux_amd64={'0' * 64} debian_amd64={self.hash if version == '3.3.1611.0' else self.newer}",
            "CA_FILE": f"{DIRECTORY}/ca.pem",
            "ENDPOINTS": f"{self.mirror.url}/",
        }
        return self.root.step("prepare", shell, **{**parameters, **more})

    def register(self, shell=SHELLS[0], **more):
        parameters = {"REGION": "eu-central-1", "ACTIVATION_ID": "activation-1", "ACTIVATION_CODE": CODE}
        return self.root.step("register", shell, **{**parameters, **more})

    def ends(self, done, code, word):
        found, report = done
        self.assertEqual((found, report and (report["code"], report["reason"])), (code, (code, word)), report)
        self.assertIsNone(self.root.read(f"{DIRECTORY}/parameters"), "the parameters are gone")
        return report

    def test_in_every_shell_from_nothing_to_a_node_and_nothing_is_left(self):
        for shell in SHELLS:
            with self.subTest(shell), Root() as self.root:
                self.root.write(f"{DIRECTORY}/ca.pem", self.ca)
                report = self.ends(self.prepare(shell), 0, "ok")
                self.assertEqual(report["agent"], {"installed": True, "version": "3.3.1611.0", "running": False})
                self.assertEqual((report["os"]["id"], report["family"], report["arch"]), ("debian", "deb", MACHINE))
                self.assertLess(abs(report["clock"] - time.time()), 60)
                self.assertNotIn("registration", report)
                report = self.ends(self.register(shell), 0, "ok")
                self.assertEqual(report["registration"], {"node": "mi-0123456789abcdef0", "region": "eu-central-1"})
                self.assertTrue(report["agent"]["running"])
                # The agent's own argument list is the only place that it ever was in, and the stand-in wrote that down.
                self.assertEqual([path.rsplit("/u/", 1)[1] for path in self.root.files_with(CODE)], ["var/log/register.log"])
                self.assertEqual(self.root.run(*shell.split(), f"{DIRECTORY}/install-ssm-agent.sh", "cleanup", DIRECTORY).returncode, 0)
                self.assertNotEqual(self.root.run("test", "-e", DIRECTORY, check=False).returncode, 0)

    def test_what_is_there_is_not_done_again(self):
        self.ends(self.prepare(), 0, "ok")
        before = self.root.read("/var/log/dpkg.log").count(" installed amazon-ssm-agent")
        self.ends(self.prepare(), 0, "ok")
        self.assertEqual(self.root.read("/var/log/dpkg.log").count(" installed amazon-ssm-agent"), before)
        self.ends(self.register(), 0, "ok")
        self.ends(self.register(), 0, "ok")
        self.assertEqual(len(self.root.read("/var/log/register.log").splitlines()), 1)
        # Another activation is another matter.
        self.ends(self.register(ACTIVATION_ID="activation-2"), 32, "registered-elsewhere")
        self.ends(self.register(ACTIVATION_ID="activation-2", REREGISTER="true"), 0, "ok")
        self.assertEqual(len(self.root.read("/var/log/register.log").splitlines()), 2)

    def test_an_agent_that_is_too_old_is_replaced(self):
        self.ends(self.prepare(), 0, "ok")
        self.ends(self.prepare(SOURCE="present", MINIMUM_VERSION="3.3.1612.0"), 25, "agent-too-old")
        report = self.ends(self.prepare(version="3.4.0.0", MINIMUM_VERSION="3.3.1612.0"), 0, "ok")
        self.assertEqual(report["agent"]["version"], "3.4.0.0")
        self.ends(self.prepare(SOURCE="present", MINIMUM_VERSION="3.4"), 0, "ok")

    def test_an_agent_that_is_to_be_installed_anew_keeps_its_registration_and_runs(self):
        self.ends(self.prepare(), 0, "ok")
        self.ends(self.register(), 0, "ok")
        before = self.root.read("/var/log/dpkg.log").count("status installed amazon-ssm-agent")
        report = self.ends(self.prepare(REINSTALL="true"), 0, "ok")
        self.assertGreater(self.root.read("/var/log/dpkg.log").count("status installed amazon-ssm-agent"), before)
        self.assertEqual(report["registration"]["node"], "mi-0123456789abcdef0")
        self.assertTrue(report["agent"]["running"])
        # Where there is no package it is no failure: there is nothing to install.
        self.ends(self.prepare(SOURCE="present", REINSTALL="true"), 0, "ok")

    def test_a_package_that_was_sent(self):
        package = self.mirror.folder / "3.3.1611.0/debian_amd64/amazon-ssm-agent.deb"
        self.root.write(f"{DIRECTORY}/amazon-ssm-agent.deb", package.read_bytes())
        sent = {"SOURCE": "push", "PACKAGE_FILE": f"{DIRECTORY}/amazon-ssm-agent.deb"}
        self.ends(self.prepare(**sent, PACKAGE_SHA256=f"debian_amd64={'1' * 64}"), 21, "verification-failed")
        self.ends(self.prepare(**sent), 0, "ok")

    def test_the_agents_configuration_is_placed(self):
        text = '{"Ssm":{"Endpoint":"https://vpce.example.com"}}'
        self.root.write(f"{DIRECTORY}/amazon-ssm-agent.json", text)
        self.ends(self.prepare(AGENT_CONFIG=f"{DIRECTORY}/amazon-ssm-agent.json"), 0, "ok")
        self.assertEqual(self.root.read("/etc/amazon/ssm/amazon-ssm-agent.json"), text)

    def test_how_it_fails(self):
        cases = [
            (12, "disk-full", {"MINIMUM_DISK_MIB": "999999999"}),
            (14, "no-dns", {"ENDPOINTS": "https://nowhere.invalid"}),
            (15, "endpoint-unreachable", {"ENDPOINTS": f"{self.mirror.url}/ https://127.0.0.1:1"}),
            (15, "endpoint-unreachable", {"CA_FILE": ""}),
            (17, "source-unreachable", {"PACKAGE_URL": "https://127.0.0.1:1/{file}"}),
            (20, "download-failed", {"PACKAGE_URL": f"{self.mirror.url}/none/{{file}}"}),
            (21, "verification-failed", {"PACKAGE_SHA256": f"debian_amd64={'0' * 64}"}),
            (21, "verification-failed", {"PACKAGE_SHA256": ""}),
            (24, "agent-absent", {"SOURCE": "present"}),
            (40, "bad-parameters", {"SOURCE": "elsewhere"}),
            (40, "bad-parameters", {"MINIMUM_DISK_MIB": "1; touch /pwned"}),
            (40, "bad-parameters", {"UNKNOWN": "1"}),
        ]
        for code, word, more in cases:
            with self.subTest(word=word, more=more):
                self.ends(self.prepare(**more), code, word)
                self.assertNotEqual(self.root.run("test", "-x", "/usr/bin/amazon-ssm-agent", check=False).returncode, 0)
        self.ends(self.register(), 24, "agent-absent")

    def test_what_others_can_read_is_not_used(self):
        self.ends(self.root.step("register", mode="644", ACTIVATION_ID="a", ACTIVATION_CODE=CODE, REGION="r"), 40, "bad-parameters")
        self.assertEqual(self.root.files_with(CODE), [])

    def test_without_privileges(self):
        self.ends(self.root.step("preflight", user="nobody", REGION="eu-central-1"), 18, "not-privileged")

    def test_with_sudo_the_account_can_read_the_report(self):
        # The directory is the account's, and the installer is started as root.
        self.root.run("chown", "-R", "nobody:nogroup", DIRECTORY)
        self.ends(self.prepare(), 0, "ok")
        self.ends(self.register(), 0, "ok")
        for name in ["result.json", "progress"]:
            owner = self.root.run("stat", "-c", "%U:%G:%a", f"{DIRECTORY}/{name}").stdout.decode().strip()
            self.assertEqual(owner, "nobody:nogroup:600")
        done = self.root.run("setpriv", "--reuid", "nobody", "--clear-groups", "cat", f"{DIRECTORY}/result.json", check=False)
        self.assertEqual(done.returncode, 0)

    def test_what_aws_refuses(self):
        self.ends(self.prepare(), 0, "ok")
        for said, code, word in [
            ("Error: InvalidActivation: activation-code-1234", 30, "activation-refused"),
            ("ERROR RegistrationLimitExceeded: \n\tstatus code: 400, request id: 1", 30, "activation-refused"),
            ("Registration failed due to a timeout", 31, "registration-failed"),
        ]:
            self.root.write("/etc/refuse", said, "644")
            self.ends(self.register(), code, word)
            self.assertEqual([path.rsplit("/u/", 1)[1] for path in self.root.files_with(CODE) if "register.log" not in path and "refuse" not in path], [])

    def test_hostile_facts_become_a_report_all_the_same(self):
        self.root.write("/etc/os-release", 'ID="de\\"bian\\\\"\nVERSION_ID=$(touch /pwned)\nPRETTY_NAME="\x1b[31m`touch /pwned`' + "x" * 100_000 + '"\n', "644")
        report = self.ends(self.prepare(), 0, "ok")
        self.assertLessEqual(len(report["os"]["name"]), 300)
        self.assertNotIn("\x1b", report["os"]["name"])
        self.assertIsNone(self.root.read("/pwned"))

    def test_killed_anywhere_it_goes_on(self):
        for word in ["checking", "downloading", "verifying", "installing"]:
            with self.subTest(word), Root() as self.root:
                self.root.write(f"{DIRECTORY}/ca.pem", self.ca)
                script = SCRIPT.read_text()
                # Stops for ever where it says so, which is where it is killed.
                stopped = script.replace("progress() {\n", f'progress() {{\n    [ "$1" != {word} ] || exec sleep 1000\n', 1)
                self.assertNotEqual(script, stopped)
                self.root.write(f"{DIRECTORY}/install-ssm-agent.sh", stopped)
                self.root.write(f"{DIRECTORY}/parameters", "\n".join([
                    "REGION=r", "SOURCE=download", f"PACKAGE_URL={self.mirror.url}/3.3.1611.0/{{platform}}/{{file}}",
                    f"PACKAGE_SHA256=debian_amd64={self.hash}", f"CA_FILE={DIRECTORY}/ca.pem"]))
                running = subprocess.Popen(self.root.command("/bin/dash", f"{DIRECTORY}/install-ssm-agent.sh", "prepare", DIRECTORY))
                for _ in range(200):
                    if self.root.run("pgrep", "-f", "sleep 1000", check=False).returncode == 0:
                        break
                    time.sleep(0.05)
                else:
                    self.fail("it never came so far")
                self.root.run("pkill", "-KILL", "-f", "sleep 1000")
                running.wait()
                self.root.write(f"{DIRECTORY}/install-ssm-agent.sh", script)
                self.ends(self.prepare(), 0, "ok")

    def test_its_words_are_those_of_the_table(self):
        table = tomllib.loads((REPOSITORY / "mappings/defaults/guest-reasons.toml").read_text())["reason"]
        known = {(reason["code"], reason["word"]) for reason in table}
        guide = (REPOSITORY / "docs/enrolment.md").read_text()
        for reason in table:
            self.assertIn(f"| `{reason['word']}` | {reason['code']} |", guide)
        used = {(int(code), word) for code, word in re.findall(r"finish (\d+) ([a-z-]+)", SCRIPT.read_text()) if code != "0"}
        self.assertEqual(used - known, set())
        self.assertEqual(known - used, set(), "all of the table are used")


if __name__ == "__main__":
    unittest.main()
