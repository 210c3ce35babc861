"""The installer for Linux, run for real: as root, with the real dpkg and curl, in a private root."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
import unittest

from tests.guest.rooted import DIRECTORY, REPOSITORY, SCRIPT, Mirror, Proxy, Root

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
        cls.rpm_hash = hashlib.sha256(cls.mirror.rpm("3.3.1611.0").read_bytes()).hexdigest()
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
                self.assertEqual(report["registration"], {"node": "mi-00000000000000001", "region": "eu-central-1"})
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
        registered = self.ends(self.register(), 0, "ok")["registration"]
        before = self.root.read("/var/log/dpkg.log").count("status installed amazon-ssm-agent")
        report = self.ends(self.prepare(REINSTALL="true"), 0, "ok")
        self.assertGreater(self.root.read("/var/log/dpkg.log").count("status installed amazon-ssm-agent"), before)
        self.assertEqual(report["registration"], registered)
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

    def test_the_parameters_are_gone_before_they_are_read(self):
        # What is written into the file right before it is deleted is read after it was.
        self.root.stub("rm", 'for file; do case $file in */parameters) [ ! -e "$file" ] || echo UNKNOWN=1 >>"$file" ;; esac; done; exec /bin/rm "$@"\n')
        for shell in SHELLS:
            with self.subTest(shell):
                report = self.ends(self.prepare(shell), 40, "bad-parameters")
                self.assertEqual(report["detail"], "the parameter is not known")

    def register_refused(self, *setup, there=True):
        """Parameters with an activation are put there, something is done to them, and they must not be used."""
        path = f"{DIRECTORY}/parameters"
        self.root.write(path, f"REGION=r\nACTIVATION_ID=a\nACTIVATION_CODE={CODE}\n")
        self.root.run("sh", "-c", "; ".join(setup))
        before = self.root.files_with(CODE)
        done = self.root.run("/bin/dash", "/tmp/installer", "register", DIRECTORY, check=False)
        self.assertEqual(done.returncode, 40)
        self.assertEqual(self.root.there(path), not there)
        return before

    def test_what_others_can_read_is_not_used(self):
        self.root.write("/tmp/installer", SCRIPT.read_bytes())
        file = f"{DIRECTORY}/parameters"
        for setup in [
            f"chmod 644 {file}",
            f"chmod 620 {file}",
            f"setfacl -m u:nobody:r {file}" if os.path.exists("/usr/bin/setfacl") else f"chmod 604 {file}",
            f"chown nobody {file}",
            f"ln {file} /tmp/second",
            f"mv {file} /tmp/elsewhere; ln -s /tmp/elsewhere {file}",
            f"rm {file}; mkfifo -m 600 {file}",
        ]:
            with self.subTest(setup):
                self.register_refused("rm -f /tmp/second /tmp/elsewhere", setup)
                self.assertIn('"code":40', self.root.read(f"{DIRECTORY}/result.json"))

    def test_a_directory_that_others_can_write_to_is_not_taken_over(self):
        self.root.write("/tmp/installer", SCRIPT.read_bytes())
        for setup in [f"chmod 770 {DIRECTORY}", f"chmod 707 {DIRECTORY}", f"chown nobody {DIRECTORY}"]:
            with self.subTest(setup):
                self.register_refused(f"chown 0:0 {DIRECTORY}; chmod 700 {DIRECTORY}", setup)
                self.assertEqual(self.root.files_with(CODE), [])
                self.assertFalse(self.root.there(f"{DIRECTORY}/result.json"), "nothing is written there")
        # A link: nothing behind it is read, written or deleted.
        self.root.run("sh", "-c", f"chown 0:0 {DIRECTORY}; chmod 700 {DIRECTORY}; mv {DIRECTORY} /tmp/behind; ln -s /tmp/behind {DIRECTORY}")
        self.register_refused(there=False)
        for step in ["prepare", "cleanup"]:
            self.assertEqual(self.root.run("/bin/dash", "/tmp/installer", step, DIRECTORY, check=False).returncode, 40)
        self.assertFalse(self.root.there("/tmp/behind/result.json"))
        self.root.run("sh", "-c", f"rm -r /tmp/behind {DIRECTORY}; ln -s /tmp/nowhere {DIRECTORY}")
        self.assertEqual(self.root.run("/bin/dash", "/tmp/installer", "preflight", DIRECTORY, check=False).returncode, 40)
        self.assertFalse(self.root.there("/tmp/nowhere"))

    def test_only_what_is_ours_is_cleaned_up(self):
        self.root.write("/tmp/other/file", "x")
        for directory in ["/tmp/other", "/tmp/vmbridge-test/..", "tmp/vmbridge-test", ""]:
            done = self.root.run("/bin/dash", f"{DIRECTORY}/install-ssm-agent.sh", "cleanup", directory, check=False)
            self.assertEqual(done.returncode, 40, directory)
        self.assertTrue(self.root.there("/tmp/other/file") and self.root.there(f"{DIRECTORY}/ca.pem"))

    def test_without_files_the_parameters_come_in_a_variable(self):
        for shell in SHELLS:
            with self.subTest(shell), Root() as self.root:
                self.root.write(f"{DIRECTORY}/ca.pem", self.ca)
                self.ends(self.prepare(shell, by_variable=True), 0, "ok")
                self.ends(self.register(shell, by_variable=True), 0, "ok")
                # The agent, its child, did not get it in its environment.
                self.assertNotIn("VMBRIDGE", self.root.read("/var/log/register.env"))
                self.assertEqual([path.rsplit("/u/", 1)[1] for path in self.root.files_with(CODE)], ["var/log/register.log"])

    def test_without_files_there_need_be_no_directory_either(self):
        self.ends(self.register(by_variable=True, NONSENSE="1"), 40, "bad-parameters")
        # It is made, for its owner only.
        self.root.write("/tmp/installer", SCRIPT.read_bytes())
        self.root.run("rm", "-r", DIRECTORY)
        done = self.root.run("env", "VMBRIDGE_PARAMETERS=REGION=r\nSOURCE=present", "/bin/dash", "/tmp/installer", "preflight", DIRECTORY)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.root.run("stat", "-c", "%a", DIRECTORY).stdout, b"700\n")
        self.root.run("cp", "/tmp/installer", f"{DIRECTORY}/install-ssm-agent.sh")
        # A file wins, and the variable is not used as well.
        self.assertEqual(self.root.step("preflight", environment={"VMBRIDGE_PARAMETERS": "NONSENSE=1"}, REGION="r", SOURCE="present")[0], 0)

    def test_without_privileges(self):
        self.ends(self.root.step("preflight", user="nobody", REGION="eu-central-1"), 18, "not-privileged")

    def test_with_sudo_the_account_can_read_the_report(self):
        # The directory is the account's, and the installer is started as root.
        self.root.run("chown", "-R", "nobody:nogroup", DIRECTORY)
        sudo = {"SUDO_UID": self.root.run("id", "-u", "nobody").stdout.decode().strip()}
        self.ends(self.prepare(environment=sudo), 0, "ok")
        self.ends(self.register(environment=sudo), 0, "ok")
        for name in ["result.json", "progress"]:
            owner = self.root.run("stat", "-c", "%U:%G:%a", f"{DIRECTORY}/{name}").stdout.decode().strip()
            self.assertEqual(owner, "nobody:nogroup:600")
        done = self.root.run("setpriv", "--reuid", "nobody", "--clear-groups", "cat", f"{DIRECTORY}/result.json", check=False)
        self.assertEqual(done.returncode, 0)

    def test_a_registration_that_was_cleared_is_none(self):
        self.ends(self.prepare(), 0, "ok")
        self.ends(self.register(), 0, "ok")
        self.root.run("/usr/bin/amazon-ssm-agent", "-register", "-clear")
        self.assertTrue(self.root.there("/var/lib/amazon/ssm/registration"), "it is still there")
        self.assertNotIn("registration", self.ends(self.prepare(), 0, "ok"))
        # The same activation as before, and still it is registered anew.
        self.ends(self.register(), 0, "ok")
        self.assertEqual(len(self.root.read("/var/log/register.log").splitlines()), 3)

    def test_what_the_agent_itself_goes_by_decides(self):
        self.ends(self.prepare(), 0, "ok")
        self.ends(self.register(), 0, "ok")
        node, other = "mi-00000000000000001", "mi-aaaaaaaaaaaaaaaaa"
        vault = "/var/lib/amazon/ssm/Vault"
        key = json.loads(self.root.read(f"{vault}/Store/RegistrationKey"))
        asked = 'echo "$*" >/var/log/asked; echo \'{"instance-id":"%s","region":"eu-west-1","release-version":"3.3"}\'\n'
        cases = [
            ("the vault, not the file", key | {"instanceID": other, "region": "eu-west-3"}, None, (other, "eu-west-3")),
            ("a vault without a node", key | {"instanceID": ""}, asked % node, None),
            ("a vault without a key", key | {"privateKey": ""}, None, None),
            ("a vault of another form", {"sealed": "x"}, None, (node, "eu-central-1")),
            ("a vault without a registration", None, asked % node, None),
            ("no vault, and the agent says which", "no vault", asked % other, (other, "eu-west-1")),
            ("no vault, and the agent says another kind", "no vault", asked % "i-0123456789abcdef0", None),
            ("no vault, and the agent says nothing", "no vault", "exit 1\n", (node, "eu-central-1")),
            ("no vault, and nobody to ask", "no vault", None, (node, "eu-central-1")),
        ]
        for what, content, cli, wanted in cases:
            with self.subTest(what):
                self.root.run("rm", "-rf", vault, "/usr/bin/ssm-cli", "/var/log/asked")
                if content != "no vault":
                    self.root.run("mkdir", "-p", f"{vault}/Store")
                if isinstance(content, dict):
                    self.root.write(f"{vault}/Store/RegistrationKey", json.dumps(content))
                if cli:
                    self.root.stub("ssm-cli", cli, "/usr/bin")
                found = self.ends(self.prepare(), 0, "ok").get("registration")
                self.assertEqual(found, wanted and dict(zip(("node", "region"), wanted)))
                self.assertEqual(self.root.there("/var/log/asked"), content == "no vault" and cli is not None and cli != "exit 1\n")

    def test_killed_while_it_registers_it_goes_on(self):
        self.ends(self.prepare(), 0, "ok")
        # The agent registers while its installer is killed, and lives on for a while.
        agent = self.root.read("/usr/bin/amazon-ssm-agent")
        for where in ["after", "before"]:
            with self.subTest(where):
                stop = 'pkill -KILL -f "install-ssm-agent.sh register"; sleep 7\n'
                slow = agent.replace("        # registered\n", stop) if where == "after" else agent.replace("        # asked\n", f"{stop}exit 1\n")
                self.assertNotEqual(slow, agent)
                self.root.write("/usr/bin/amazon-ssm-agent", slow, "755")
                before = self.registrations()
                code, report = self.register(ACTIVATION_ID=where, REREGISTER="true")
                self.assertIn((code, report), [(137, None), (-9, None)])
                self.root.write("/usr/bin/amazon-ssm-agent", agent, "755")
                begun = time.monotonic()
                self.ends(self.register(ACTIVATION_ID=where, REREGISTER="true"), 0, "ok")
                self.assertGreater(time.monotonic() - begun, 6, "it waits for the agent that registers")
                self.assertEqual(self.registrations() - before, 1 if where == "after" else 2)
        # It is known that it was this activation.
        self.ends(self.register(ACTIVATION_ID="before"), 0, "ok")
        self.ends(self.register(ACTIVATION_ID="another"), 32, "registered-elsewhere")

    def registrations(self):
        return len((self.root.read("/var/log/register.log") or "").splitlines())

    def test_a_guest_that_the_agent_is_not_made_for(self):
        self.root.stub("uname", "echo riscv64\n")
        self.assertEqual(self.ends(self.prepare(), 11, "unsupported-architecture")["arch"], "riscv64")
        self.root.run("rm", "/usr/bin/dpkg")
        self.ends(self.prepare(), 10, "unsupported-os")

    def started(self):
        return len((self.root.read("/var/log/started") or "").splitlines())

    def running(self):
        return len(self.root.run("pidof", "-x", "amazon-ssm-agent", check=False).stdout.split())

    def enrolled(self):
        self.ends(self.prepare(), 0, "ok")
        report = self.ends(self.register(), 0, "ok")
        self.assertEqual((self.started(), self.running()), (1, 1))
        return report["registration"]

    def test_what_is_new_restarts_an_agent_that_is_registered(self):
        config = f"{DIRECTORY}/amazon-ssm-agent.json"
        self.root.write(config, "{}")
        self.ends(self.prepare(AGENT_CONFIG=config), 0, "ok")
        self.assertEqual(self.started(), 0, "there is nothing for it to do")
        self.enrolled()
        self.ends(self.prepare(AGENT_CONFIG=config), 0, "ok")
        self.assertEqual(self.started(), 1, "nothing is new")
        self.root.write(config, '{"Agent":{}}')
        self.assertTrue(self.ends(self.prepare(AGENT_CONFIG=config), 0, "ok")["agent"]["running"])
        self.assertEqual((self.started(), self.running()), (2, 1), "the old one is gone")
        # Killed between the change and the restart: the restart is not forgotten.
        self.root.write("/var/lib/amazon/ssm/vmbridge-restart", "")
        self.ends(self.prepare(AGENT_CONFIG=config), 0, "ok")
        self.ends(self.prepare(AGENT_CONFIG=config), 0, "ok")
        self.assertEqual(self.started(), 3)
        self.ends(self.root.step("restart"), 0, "ok")
        self.assertEqual((self.started(), self.running()), (4, 1))
        self.ends(self.prepare(AGENT_CONFIG=f"{DIRECTORY}/none"), 40, "bad-parameters")

    def test_an_update_keeps_the_registration_and_the_configuration_and_restarts(self):
        registration = self.enrolled()
        # An administrator changed what is a configuration file of the package: nobody is asked about it.
        self.root.write("/etc/amazon/ssm/amazon-ssm-agent.json", '{"by": "hand"}', "644")
        report = self.ends(self.prepare(version="3.4.0.0", MINIMUM_VERSION="3.4"), 0, "ok")
        self.assertEqual(report["registration"], registration)
        self.assertEqual(report["agent"], {"installed": True, "version": "3.4.0.0", "running": True})
        self.assertEqual(self.root.read("/var/log/started").split()[1::2], ["3.3.1611.0", "3.4.0.0"])
        self.assertEqual((self.running(), self.registrations()), (1, 1))
        self.assertEqual(self.root.read("/etc/amazon/ssm/amazon-ssm-agent.json"), '{"by": "hand"}')
        report = self.ends(self.prepare(version="3.4.0.0", MINIMUM_VERSION="3.5"), 23, "install-failed")
        self.assertIn("3.5 is wanted", report["detail"])

    def systemd(self):
        self.root.run("mkdir", "-p", "/run/systemd/system")
        self.root.stub("systemctl", """echo "$*" >>/var/log/systemctl
case $1 in
    stop | restart) pkill -x amazon-ssm-agen ;;
esac
[ "$1" != restart ] || [ -e /etc/broken ] || { setsid /usr/bin/amazon-ssm-agent </dev/null >/dev/null 2>&1 & }
[ ! -e /etc/broken ]
""")

    def test_with_systemd_and_a_proxy(self):
        self.systemd()
        drop = "/etc/systemd/system/amazon-ssm-agent.service.d/vmbridge-proxy.conf"
        with Proxy() as proxy:
            via = {"PROXY": f"http://us%40er:pa%22ss@{proxy.address}"}
            self.ends(self.prepare(**via), 0, "ok")
            self.assertGreaterEqual({method for method, _, _ in proxy.asked}, {"CONNECT"})
            self.assertTrue(all(b"Proxy-Authorization: Basic" in headers for _, _, headers in proxy.asked))
            self.assertIn(f'Environment="https_proxy=http://us%%40er:pa%%22ss@{proxy.address}"\n', self.root.read(drop))
            self.assertIn('Environment="no_proxy=169.254.169.254"\n', self.root.read(drop))
            self.assertEqual(self.root.read("/var/log/systemctl"), "daemon-reload\n")
            self.ends(self.register(**via), 0, "ok")
            # The registration itself goes through the proxy.
            self.assertIn(f"https_proxy={via['PROXY']}\n", self.root.read("/var/log/register.env"))
            self.ends(self.prepare(**via), 0, "ok")
            self.assertEqual(self.started(), 1)
            self.ends(self.prepare(**via, NO_PROXY=".example.com"), 0, "ok")
            self.assertEqual((self.started(), self.running()), (2, 1))
        self.ends(self.prepare(), 0, "ok")
        self.assertFalse(self.root.there(drop))
        self.assertEqual((self.started(), self.running()), (3, 1))
        self.assertEqual(self.root.read("/var/log/systemctl").count("daemon-reload"), 3)
        self.root.write("/etc/broken", "")
        self.ends(self.register(), 33, "service-not-started")

    def test_a_proxy_that_refuses(self):
        for curl in [True, False]:
            if not curl:
                self.root.run("rm", "/usr/bin/curl")
            with self.subTest(curl=curl), Proxy(refuse=403) as refuses, Proxy(refuse=407) as asks, Proxy() as proxy:
                self.ends(self.prepare(PROXY=f"http://{refuses.address}"), 16, "proxy-refused")
                self.assertTrue(refuses.asked)
                self.ends(self.prepare(PROXY=f"http://{asks.address}"), 16, "proxy-refused")
                # Only the package is refused.
                self.ends(self.prepare(PROXY=f"http://{refuses.address}", ENDPOINTS=""), 16, "proxy-refused")
                self.ends(self.prepare(PROXY="http://nowhere.invalid:3128"), 16, "proxy-refused")
                # What is behind a proxy that works is another matter.
                self.ends(self.prepare(PROXY=f"http://{proxy.address}", CA_FILE=""), 15, "endpoint-unreachable")
                # Not through the proxy.
                self.ends(self.prepare(PROXY=f"http://{refuses.address}", NO_PROXY="127.0.0.1", SOURCE="present"), 24, "agent-absent")
        self.root.run("cp", "/bin/true", "/usr/bin/curl")

    def test_nobody_listens_where_the_proxy_should_be(self):
        self.ends(self.prepare(PROXY="http://127.0.0.1:1"), 16, "proxy-refused")

    def test_the_source_is_tried_before_anything_is_done(self):
        cases = [
            (20, "download-failed", "/status/403/{file}", "403"),
            (20, "download-failed", "/status/404/{file}", "404"),
            (20, "download-failed", "/status/503/{file}", "503"),
            (17, "source-unreachable", "https://127.0.0.1:1/{file}", "127.0.0.1"),
            (17, "source-unreachable", "https://nowhere.invalid/{file}", "cannot be resolved"),
            (0, "ok", "/moved/3.3.1611.0/{platform}/{file}", "can be enrolled"),
            (0, "ok", "/3.3.1611.0/{platform}/{file}", "can be enrolled"),
        ]
        for curl in [True, False]:
            if not curl:
                self.root.run("rm", "/usr/bin/curl")
            for code, word, url, says in cases:
                with self.subTest(url, curl=curl):
                    url = url if url.startswith("https:") else self.mirror.url + url
                    done = self.root.step("preflight", REGION="eu-central-1", PACKAGE_URL=url, CA_FILE=f"{DIRECTORY}/ca.pem", ENDPOINTS=f"{self.mirror.url}/")
                    self.assertIn(says, self.ends(done, code, word)["detail"])
        self.ends(self.prepare(PACKAGE_URL=f"{self.mirror.url}/moved/3.3.1611.0/{{platform}}/{{file}}"), 0, "ok")
        # It is not tried when nothing is to be installed.
        self.ends(self.prepare(PACKAGE_URL="https://127.0.0.1:1/{file}"), 0, "ok")
        self.root.run("rm", "/usr/bin/wget", "/usr/bin/amazon-ssm-agent")
        self.ends(self.prepare(), 15, "endpoint-unreachable")
        self.ends(self.prepare(ENDPOINTS=""), 17, "source-unreachable")

    def test_the_package_manager_is_busy(self):
        self.root.stub("sleep", "exit 0\n")
        hold = "import fcntl, time; f = open('/var/lib/dpkg/lock-frontend', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print(1, flush=True); time.sleep(600)"
        holder = subprocess.Popen(self.root.command(os.path.realpath(sys.executable), "-c", hold), stdout=subprocess.PIPE)
        try:
            holder.stdout.readline()
            self.ends(self.prepare(), 22, "package-manager-busy")
        finally:
            self.root.run("pkill", "-f", "fcntl")
            holder.wait()
            holder.stdout.close()
        self.ends(self.prepare(), 0, "ok")

    def test_two_do_not_run_at_once(self):
        self.root.stub("sleep", "exit 0\n")
        holder = subprocess.Popen(self.root.command("flock", "/run", "/bin/sleep", "600"))
        try:
            for _ in range(100):
                if self.root.run("pgrep", "-f", "^/bin/sleep 600", check=False).returncode == 0:
                    break
                time.sleep(0.05)
            self.ends(self.prepare(), 22, "package-manager-busy")
        finally:
            self.root.run("pkill", "-f", "^/bin/sleep 600")
            holder.wait()

    def test_a_package_that_cannot_be_installed(self):
        self.root.stub("dpkg", "echo 'dpkg: error: SELinux blocks it' >&2; exit 1\n")
        self.assertNotIn("enforcing", self.ends(self.prepare(), 23, "install-failed")["detail"])
        self.root.stub("getenforce", "echo Enforcing\n")
        report = self.ends(self.prepare(), 23, "install-failed")
        self.assertIn("SELinux is enforcing", report["detail"])
        self.assertEqual(report["selinux"], "enforcing")
        self.root.stub("dpkg", "exit 0\n")
        self.assertIn("there is no agent", self.ends(self.prepare(), 23, "install-failed")["detail"])

    def test_a_service_that_does_not_start(self):
        self.ends(self.prepare(), 0, "ok")
        self.root.stub("sleep", "exec /bin/sleep 0.2\n")
        agent = self.root.read("/usr/bin/amazon-ssm-agent")
        self.root.write("/usr/bin/amazon-ssm-agent", agent.replace("while :; do sleep 1; done", "/bin/sleep 0.3; exit 1"), "755")
        self.assertIn("registration", self.ends(self.register(), 33, "service-not-started"))
        self.root.run("rm", "/usr/local/sbin/sleep")
        self.root.write("/usr/bin/amazon-ssm-agent", agent, "755")
        self.ends(self.register(), 0, "ok")
        self.assertEqual(self.registrations(), 1)

    def test_ended_from_outside_it_says_so(self):
        for shell in SHELLS:
            with self.subTest(shell):
                self.root.write(f"{DIRECTORY}/parameters", f"REGION=r\nCA_FILE={DIRECTORY}/ca.pem\nENDPOINTS={self.mirror.url}/hang\n")
                self.root.run("rm", "-f", f"{DIRECTORY}/result.json")
                running = subprocess.Popen(self.root.command(*shell.split(), f"{DIRECTORY}/install-ssm-agent.sh", "preflight", DIRECTORY))
                for _ in range(100):
                    if self.root.run("pgrep", "-f", "/hang", check=False).returncode == 0:
                        break
                    time.sleep(0.05)
                self.assertFalse(self.root.there(f"{DIRECTORY}/parameters"))
                self.root.run("pkill", "-TERM", "-f", "install-ssm-agent.sh|/hang")
                code = running.wait()
                self.ends((code, json.loads(self.root.read(f"{DIRECTORY}/result.json"))), 41, "internal")

    def test_the_family_of_rpm(self):
        self.root.run("rm", "/usr/bin/dpkg")
        # The first call finds it locked.
        self.root.stub("rpm", """echo "$*" >>/var/log/rpm
if [ ! -e /var/once ] && [ "$1" = -U ]; then
    : >/var/once
    echo "error: can't create transaction lock on /var/lib/rpm/.rpm.lock (Resource temporarily unavailable)" >&2
    exit 1
fi
for package; do :; done
exec tar -C / --keep-directory-symlink -xf "$package"
""")
        self.root.stub("sleep", 'echo "$1" >>/var/log/slept; [ "$1" = 5 ] || exec /bin/sleep "$@"\n')
        pins = {"PACKAGE_SHA256": f"debian_amd64={'0' * 64} linux_amd64={self.rpm_hash}"}
        report = self.ends(self.prepare(**pins), 0, "ok")
        self.assertEqual((report["family"], report["agent"]["version"]), ("rpm", "3.3.1611.0"))
        self.assertEqual(self.root.read("/var/log/rpm").splitlines(), [f"-U --replacepkgs {DIRECTORY}/amazon-ssm-agent.rpm"] * 2)
        self.assertIn("5\n", self.root.read("/var/log/slept"))
        self.ends(self.register(), 0, "ok")
        self.root.run("rm", "/usr/bin/amazon-ssm-agent")
        self.ends(self.prepare(), 21, "verification-failed")

    def test_the_family_of_snap(self):
        self.systemd()
        snap = "/snap/amazon-ssm-agent/current/amazon-ssm-agent"
        agent = (self.mirror.folder / "tree-3.3.1611.0/usr/bin/amazon-ssm-agent").read_text()
        self.root.write(snap, agent, "755")
        self.root.write("/etc/agent-version", "3.1.0.0", "644")
        self.root.stub("snap", f"""echo "$*" >>/var/log/snap
case $1 in
    refresh)
        if [ -e /etc/changing ]; then
            echo 'error: snap "amazon-ssm-agent" has "refresh-snap" change in progress' >&2
            exit 1
        fi
        echo 3.3.1611.0 >/etc/agent-version
        ;;
    stop | restart) pkill -x amazon-ssm-agen; [ "$1" = stop ] || setsid {snap} </dev/null >/dev/null 2>&1 & ;;
esac
exit 0
""")
        with Proxy() as proxy:
            report = self.ends(self.prepare(PROXY=f"http://{proxy.address}"), 0, "ok")
            self.assertEqual((report["family"], report["agent"]["version"]), ("snap", "3.1.0.0"))
            self.assertIn(proxy.address, self.root.read("/etc/systemd/system/snap.amazon-ssm-agent.amazon-ssm-agent.service.d/vmbridge-proxy.conf"))
        self.root.stub("sleep", '[ "$1" = 5 ] || exec /bin/sleep "$@"\n')
        self.root.write("/etc/changing", "")
        self.ends(self.prepare(MINIMUM_VERSION="3.3"), 22, "package-manager-busy")
        self.root.run("rm", "/etc/changing")
        self.assertEqual(self.ends(self.prepare(MINIMUM_VERSION="3.3"), 0, "ok")["agent"]["version"], "3.3.1611.0")
        self.assertTrue(self.ends(self.register(), 0, "ok")["agent"]["running"])
        self.assertEqual(self.root.read("/var/log/snap").splitlines()[-3:], ["stop amazon-ssm-agent", "start --enable amazon-ssm-agent", "restart amazon-ssm-agent"])

    def gpg(self, home, *command):
        return subprocess.run(["gpg", "--homedir", home, "--batch", "-q", "--pinentry-mode", "loopback", "--passphrase", "", *command], check=True, capture_output=True).stdout

    def test_the_signature_decides_where_there_is_no_hash(self):
        package = (self.mirror.folder / "3.3.1611.0/debian_amd64/amazon-ssm-agent.deb").read_bytes()
        keys, signatures = {}, {}
        for name, expires in [("right", "never"), ("wrong", "never"), ("expired", "seconds=2")]:
            home = self.enterContext(tempfile.TemporaryDirectory())
            self.gpg(home, "--quick-gen-key", f"{name}@example.com", "rsa2048", "sign", expires)
            keys[name] = self.gpg(home, "--armor", "--export")
            file = f"{home}/package"
            with open(file, "wb") as out:
                out.write(package)
            self.gpg(home, "--detach-sign", file)
            with open(f"{file}.sig", "rb") as signature:
                signatures[name] = signature.read()
            subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        time.sleep(3)
        cases = [
            ("the wrong key", "right", "wrong", package, 21),
            ("an expired key", "expired", "expired", package, 21),
            ("a changed package", "right", "right", package + b"x", 21),
            ("all is right", "right", "right", package, 0),
        ]
        for what, key, signature, content, code in cases:
            with self.subTest(what):
                folder = self.mirror.folder / "signed/debian_amd64"
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "amazon-ssm-agent.deb").write_bytes(content)
                (folder / "amazon-ssm-agent.deb.sig").write_bytes(signatures[signature])
                self.root.write(f"{DIRECTORY}/key.gpg", keys[key])
                signed = {"PACKAGE_SHA256": "", "SIGNATURE_KEY": f"{DIRECTORY}/key.gpg", "version": "signed"}
                self.ends(self.prepare(**signed), code, "verification-failed" if code else "ok")
                self.assertEqual(self.root.there("/usr/bin/amazon-ssm-agent"), code == 0)
        self.root.run("rm", "/usr/bin/amazon-ssm-agent")
        (folder / "amazon-ssm-agent.deb.sig").unlink()
        self.ends(self.prepare(**signed), 20, "download-failed")
        self.root.run("rm", "/usr/bin/gpg")
        self.ends(self.prepare(**signed), 21, "verification-failed")

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
