"""A private root for trying the installer as root without harm: an overlay on this machine's own, in a mount and process
namespace of its own, with the network of this machine (so that loopback servers are reached). Needs root, as guests do."""

import contextlib
import http.server
import json
import select
import shlex
import socket
import socketserver
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = REPOSITORY / "scripts/guest/install-ssm-agent.sh"
DIRECTORY = "/tmp/vmbridge-test"

AGENT = """#!/bin/sh
# Stands in for SSM Agent: it registers where nobody else is asked, and runs. What it keeps is kept as the real one does, and
# like that of the real one its file `registration` survives that the registration is cleared.
data=/var/lib/amazon/ssm
keep() {
    mkdir -p $data/Vault/Store
    printf '{"instanceID":"%s","region":"%s","instanceType":"","availabilityZone":"","privateKey":"%s","publicKey":"","privateKeyType":"Rsa","privateKeyCreatedDate":""}' "$@" >$data/Vault/Store/RegistrationKey
    printf '{"RegistrationKey":"%s"}' $data/Vault/Store/RegistrationKey >$data/Vault/Manifest
}
case ${1:-} in
    -version) echo "SSM Agent version: $(cat /etc/agent-version)" ;;
    -register)
        echo "$*" >>/var/log/register.log
        env >/var/log/register.env
        if [ "${2:-}" = -clear ]; then keep "" "" ""; exit 0; fi
        keep "" "" key
        # asked
        if [ -f /etc/refuse ]; then cat /etc/refuse; exit 1; fi
        while [ $# -gt 0 ]; do [ "$1" = -region ] && region=$2; shift; done
        node=mi-$(printf '%017x' $(wc -l </var/log/register.log))
        keep $node "$region" key
        printf '{"ManagedInstanceID":"%s","Region":"%s"}' $node "$region" >$data/registration
        # registered
        ;;
    *)
        echo "$$ $(cat /etc/agent-version)" >>/var/log/started
        while :; do sleep 1; done
        ;;
esac
"""


class Root:
    """The private root. Use it as a context."""

    def __init__(self):
        self.base = tempfile.TemporaryDirectory()
        self.mounted = f"{self.base.name}/m"

    def __enter__(self):
        base, mounted = self.base.name, self.mounted
        setup = f"""
            set -e
            mount -t tmpfs private {base}
            mkdir {base}/u {base}/w {mounted}
            mount -t overlay overlay -o lowerdir=/,upperdir={base}/u,workdir={base}/w {mounted}
            mount -t proc proc {mounted}/proc
            mount --rbind /dev {mounted}/dev
            mkdir -p {mounted}/tmp {mounted}/run
            chmod 1777 {mounted}/tmp
            echo ready
            exec sleep infinity
        """
        self.holder = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", setup], stdout=subprocess.PIPE, text=True
        )
        if self.holder.stdout.readline() != "ready\n":
            raise RuntimeError("no private root can be made; this test needs root")
        self.pid = subprocess.check_output(["pgrep", "-P", str(self.holder.pid)], text=True).split()[0]
        self.run("mkdir", "-m", "700", DIRECTORY)
        self.write(f"{DIRECTORY}/install-ssm-agent.sh", SCRIPT.read_bytes())
        return self

    def __exit__(self, *_):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()
        self.base.cleanup()

    def command(self, *command):
        return ["nsenter", "-t", self.pid, "--mount", "--pid", "chroot", self.mounted, *command]

    def run(self, *command, stdin=None, check=True):
        done = subprocess.run(self.command(*command), input=stdin, capture_output=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"{shlex.join(command)}: {done.stderr.decode()}")
        return done

    def write(self, path, content, mode="600"):
        content = content if isinstance(content, bytes) else content.encode()
        self.run("sh", "-c", f"umask 077; mkdir -p $(dirname {path}); cat >{path}; chmod {mode} {path}", stdin=content)

    def read(self, path):
        done = self.run("cat", path, check=False)
        return done.stdout.decode(errors="replace") if done.returncode == 0 else None

    def step(self, step, shell="/bin/dash", user=None, mode="600", environment=None, by_variable=False, **parameters):
        """Runs a step; gives its exit code and its report."""
        environment = dict(environment or {})
        text = "".join(f"{name}={value}\n" for name, value in parameters.items())
        self.run("rm", "-f", f"{DIRECTORY}/result.json")
        if by_variable:
            environment["VMBRIDGE_PARAMETERS"] = text
        else:
            self.write(f"{DIRECTORY}/parameters", text, mode)
        command = [*shell.split(), f"{DIRECTORY}/install-ssm-agent.sh", step, DIRECTORY]
        if user:
            self.run("chown", "-R", user, DIRECTORY)
            command = ["setpriv", "--reuid", user, "--clear-groups", *command]
        elif "SUDO_UID" in environment:
            # As with sudo: what the account put there belongs to it.
            self.run("chown", "-R", environment["SUDO_UID"], DIRECTORY)
        done = self.run("env", *[f"{name}={value}" for name, value in environment.items()], *command, check=False)
        self.said = done.stdout + done.stderr
        text = self.read(f"{DIRECTORY}/result.json")
        return done.returncode, json.loads(text) if text else None

    def stub(self, name, text, folder="/usr/local/sbin"):
        """Puts a program of ours before that of the system."""
        self.write(f"{folder}/{name}", "#!/bin/sh\n" + text, "755")

    def there(self, path):
        return self.run("test", "-e", path, "-o", "-L", path, check=False).returncode == 0

    def files_with(self, text):
        """Files of this root that were changed and hold a text."""
        found = subprocess.run(
            ["nsenter", "-t", self.pid, "--mount", "grep", "-rlF", text, f"{self.base.name}/u"], capture_output=True, text=True, check=False
        )
        return found.stdout.split()


class Mirror:
    """A mirror of packages over HTTPS on loopback, with an authority of its own."""

    def __init__(self, folder):
        self.folder = Path(folder)
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=mirror", "-addext",
             "subjectAltName=IP:127.0.0.1", "-keyout", self.folder / "key.pem", "-out", self.folder / "cert.pem"],
            check=True, capture_output=True,
        )

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(handler, *arguments):
                super().__init__(*arguments, directory=str(self.folder))

            def do_GET(handler):
                word, _, rest = handler.path[1:].partition("/")
                if word == "status":
                    handler.send_error(int(rest.split("/")[0]))
                elif word == "moved":
                    handler.send_response(302)
                    handler.send_header("Location", f"/{rest}")
                    handler.end_headers()
                elif word == "hang":
                    threading.Event().wait(60)
                else:
                    http.server.SimpleHTTPRequestHandler.do_GET(handler)

            def do_HEAD(handler):
                if handler.path.startswith(("/status/", "/moved/")):
                    handler.do_GET()
                else:
                    http.server.SimpleHTTPRequestHandler.do_HEAD(handler)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "cert.pem", self.folder / "key.pem")
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"https://127.0.0.1:{self.server.server_port}"

    def rpm(self, version):
        """What the stand-in for rpm takes for a package."""
        platform = self.folder / version / "linux_amd64"
        platform.mkdir(parents=True)
        subprocess.run(["tar", "-C", self.folder / f"tree-{version}", "-cf", platform / "amazon-ssm-agent.rpm", "usr", "etc"], check=True)
        return platform / "amazon-ssm-agent.rpm"

    def package(self, version):
        """Builds the package; gives its path below the mirror."""
        tree = self.folder / f"tree-{version}"
        for path, text, mode in [
            ("DEBIAN/control", f"Package: amazon-ssm-agent\nVersion: {version}\nArchitecture: all\nMaintainer: test\nDescription: test\n", 0o644),
            ("usr/bin/amazon-ssm-agent", AGENT, 0o755),
            ("etc/agent-version", version, 0o644),
            # As that of AWS for Ubuntu has it.
            ("etc/amazon/ssm/amazon-ssm-agent.json", f'{{"of": "{version}"}}', 0o644),
            ("DEBIAN/conffiles", "/etc/amazon/ssm/amazon-ssm-agent.json\n", 0o644),
        ]:
            file = tree / path
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            file.write_text(text)
            file.chmod(mode)
        platform = self.folder / version / "debian_amd64"
        platform.mkdir(parents=True)
        subprocess.run(["dpkg-deb", "--root-owner-group", "-b", tree, platform / "amazon-ssm-agent.deb"], check=True, capture_output=True)
        return platform / "amazon-ssm-agent.deb"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Proxy:
    """A proxy on loopback that makes tunnels, or refuses to."""

    def __init__(self, refuse=None):
        self.asked = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(handler):
                words = handler.rfile.readline().decode().split()
                if len(words) != 3:
                    return
                headers = b""
                while (line := handler.rfile.readline()).strip():
                    headers += line
                self.asked.append((words[0], words[1], headers))
                if refuse or words[0] != "CONNECT":
                    handler.wfile.write(f"HTTP/1.1 {refuse or 405} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                    return
                host, port = words[1].rsplit(":", 1)
                try:
                    there = socket.create_connection((host, int(port)), 5)
                except OSError:
                    handler.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                    return
                handler.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                here = handler.connection
                with there, contextlib.suppress(ConnectionError):
                    while True:
                        for ready in select.select([here, there], [], [], 30)[0] or [None]:
                            data = ready and ready.recv(65536)
                            if not data:
                                return
                            (there if ready is here else here).sendall(data)

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"127.0.0.1:{self.server.server_address[1]}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
