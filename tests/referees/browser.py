"""A real browser as a judge: Debian's chromium without a window, without network, driven over its debugging pipe.

No library is needed for that: commands and events are JSON, ended by a zero byte (Chrome DevTools Protocol). What the browser
prints is read by poppler's pdftotext, which says of every word on which page it stands, and where.
"""

import base64
import fcntl
import json
import os
import re
import select
import shutil
import subprocess
import tempfile
import time
import xml.etree.ElementTree as xml
from dataclasses import dataclass, field
from pathlib import Path

# Paper sizes, in inches.
A4, LETTER = (8.27, 11.69), (8.5, 11)
SECONDS = 60


def tool(name, package):
    """A program that scripts/setup installs."""
    found = shutil.which(name)
    if not found:
        raise RuntimeError(f"{name} is missing (Debian's package {package}): run scripts/setup test")
    return found


@dataclass(frozen=True)
class Word:
    """A word on paper, in points from the upper left corner."""

    text: str
    left: float
    top: float
    right: float
    bottom: float


@dataclass
class Paper:
    """A page of paper."""

    width: float
    height: float
    words: list = field(default_factory=list)

    def lines(self):
        """Words in lines, from the top; words whose tops are nearly equal stand in one line."""
        lines = []
        for word in sorted(self.words, key=lambda word: (word.top, word.left)):
            if lines and abs(lines[-1][0].top - word.top) < 3:
                lines[-1].append(word)
            else:
                lines.append([word])
        return [sorted(line, key=lambda word: word.left) for line in lines]


class Browser:
    """One chromium. Everything that the pages ask for or complain about is kept."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        (theirs, self.to), (self.of, answers) = os.pipe(), os.pipe()
        # The browser reads from 3 and writes to 4: out of the way of these numbers.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (theirs, answers)]
        os.close(theirs)
        os.close(answers)
        theirs, answers = ends
        arguments = [
            tool("chromium", "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
            "--remote-debugging-pipe", f"--user-data-dir={self.folder.name}", "--disable-background-networking",
            "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND",
        ]
        shell = ["bash", "-c", f'exec "$0" "$@" 3<&{theirs} 4>&{answers} {theirs}<&- {answers}>&-', *arguments]
        environment = {**os.environ, "HOME": self.folder.name}
        self.process = subprocess.Popen(
            shell, pass_fds=(theirs, answers), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env=environment)
        os.close(theirs)
        os.close(answers)
        self.number, self.rest, self.events = 0, b"", []

    def close(self):
        for end in (self.to, self.of):
            os.close(end)
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        # What it writes while it ends may come a moment later.
        for _ in range(50):
            try:
                self.folder.cleanup()
                return
            except OSError:
                time.sleep(0.1)

    def message(self, deadline):
        while b"\0" not in self.rest:
            ready, _, _ = select.select([self.of], [], [], max(0, deadline - time.monotonic()))
            chunk = os.read(self.of, 1 << 20) if ready else b""
            if not chunk:
                raise RuntimeError(f"chromium does not answer (exit code {self.process.poll()})")
            self.rest += chunk
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def ask(self, method, session=None, **parameters):
        self.number += 1
        request = {"id": self.number, "method": method, "params": parameters}
        if session:
            request["sessionId"] = session
        data = json.dumps(request).encode() + b"\0"
        while data:
            data = data[os.write(self.to, data):]
        deadline = time.monotonic() + SECONDS
        while True:
            answer = self.message(deadline)
            if answer.get("id") != self.number:
                self.events.append(answer)
            elif "error" in answer:
                raise RuntimeError(f"{method}: {answer['error']}")
            else:
                return answer["result"]

    def wait(self, method):
        deadline = time.monotonic() + SECONDS
        while not any(event.get("method") == method for event in self.events):
            self.events.append(self.message(deadline))

    def open(self, path):
        """A page of a file."""
        self.events.clear()
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.ask(f"{domain}.enable", session)
        self.ask("Page.navigate", session, url=Path(path).as_uri())
        self.wait("Page.loadEventFired")
        return Page(self, session)


class Page:
    """A page that was loaded."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session

    def evaluate(self, expression):
        result = self.browser.ask("Runtime.evaluate", self.session, expression=expression, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def requests(self):
        """The addresses that were asked for."""
        sent = [event for event in self.browser.events if event.get("method") == "Network.requestWillBeSent"]
        return [event["params"]["request"]["url"] for event in sent]

    def complaints(self):
        """What the console shows, and dialogues that were opened."""
        odd = {"Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Page.javascriptDialogOpening"}
        return [json.dumps(event["params"]) for event in self.browser.events if event.get("method") in odd]

    def print(self, paper):
        """Prints it, and reads what stands on paper."""
        width, height = paper
        told = self.browser.ask(
            "Page.printToPDF", self.session, paperWidth=width, paperHeight=height, preferCSSPageSize=True, printBackground=False)
        with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
            file.write(base64.b64decode(told["data"]))
            file.flush()
            return read(file.name)


def read(path):
    """The pages of a PDF."""
    command = [tool("pdftotext", "poppler-utils"), "-bbox", path, "-"]
    text = subprocess.run(command, capture_output=True, check=True, timeout=SECONDS).stdout.decode("utf-8", "replace")
    # XML has no words for most control characters, whatever poppler writes.
    text = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f]", "", text)
    name = "{http://www.w3.org/1999/xhtml}"
    pages = []
    for page in xml.fromstring(text).iter(f"{name}page"):
        of = page.attrib
        words = [
            Word(word.text or "", *(float(word.attrib[key]) for key in ("xMin", "yMin", "xMax", "yMax")))
            for word in page.iter(f"{name}word")
        ]
        pages.append(Paper(float(of["width"]), float(of["height"]), words))
    return pages
