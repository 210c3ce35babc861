"""The auditor's report on paper, judged by a real browser: `vmbridge report` of a simulated estate, printed on A4 and Letter.

The estate has names that mean harm. Nothing is turned on in the configuration but the report itself, so that it has to read
what the rules ask by itself.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
import unittest
import urllib.request
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE))

from aws_endpoint import Aws  # noqa: E402
from browser import A4, LETTER, Browser  # noqa: E402

# vSphere allows 80 characters.
HOSTILE = [
    "<script>document.title='owned'</script>",
    "\"><img src=https://198.51.100.7/x onerror=alert(1)>",
    "</td></tr></table><style>*{display:none}</style>",
    "gpj.\u202eexe",
    "W0" + "W" * 78,
    "\u05e9\u05e8\u05ea-\u05d0\u05d9\u05e0\u05d8\u05e8\u05e0\u05d8 \u062e\u0627\u062f\u0645",
    "\U0001f469\u200d\U0001f680 rocket \U0001f680\U0001f3fd",
    "a b\u00a0c\u2003d \u0301\u0301\u0301",
]
MILLIMETRE = 72 / 25.4
CONFIG = """
[[vcenter]]
name = "dc1"
url = "{url}"
username = "{user}"
password = {{ file = "{folder}/password" }}
ca_file = "{folder}/ca.pem"
[[aws]]
name = "main"
region = "{region}"
endpoint = "{aws}"
ca_file = "{folder}/ca.pem"
[state]
directory = "{folder}/state"
"""


def program(name):
    path = Path(os.environ.get(name.upper().replace("-", "_")) or ROOT / "target/debug" / name)
    if not path.is_file():
        raise RuntimeError(f"{path} is missing; build it with: cargo build --workspace --bins")
    return path


def letters(text):
    """How often each letter, digit and bracket is there: what is not on paper is missing in it."""
    text = unicodedata.normalize("NFKC", text)
    return Counter(c for c in text if c.isascii() and (c.isalnum() or c in "<>/_-:;()"))


def plain(text):
    return "".join(unicodedata.normalize("NFKC", text).split())


class Judge:
    """What is wrong with a page on paper."""

    HEADS = "[...document.querySelectorAll('table')].map(t => [...t.tHead.rows[0].cells].map(c => c.innerText))"
    FIRSTS = "[...document.querySelectorAll('tbody tr')].map(r => r.cells[0].innerText)"
    TITLES = "[...document.querySelectorAll('h1, h2, h3')].map(h => h.innerText)"
    TEXT = "[...document.querySelectorAll('header, main')].map(e => e.innerText).join('\\n')"

    def __init__(self, page):
        self.heads = {tuple(plain(cell) for cell in head) for head in page.evaluate(self.HEADS)}
        self.firsts = [plain(first) for first in page.evaluate(self.FIRSTS)]
        self.titles = [plain(title) for title in page.evaluate(self.TITLES)]
        self.text = page.evaluate(self.TEXT)

    def judge(self, papers):
        """Sentences, none if all is well; and how many pages begin with the head of a table that goes on."""
        problems, repeated = [], 0
        found = letters(" ".join(word.text for paper in papers for word in paper.words))
        lost = letters(self.text) - found
        if lost:
            problems.append(f"not on paper: {dict(lost)}")
        for number, paper in enumerate(papers, 1):
            margin = 10 * MILLIMETRE
            outside = [word for word in paper.words if word.left < margin or word.right > paper.width - margin
                       or word.top < 0 or word.bottom > paper.height]
            problems += [f"page {number}: {word.text!r} stands outside, at {word.left:.0f} to {word.right:.0f}" for word in outside[:3]]
            if number == 1:
                continue
            lines = paper.lines()
            # Heads of columns may take several lines: those above the first cell of the first column below.
            top = [plain(word.text) for word in lines[0]]
            head = next((head for head in self.heads if "".join(head).startswith("".join(top)) or self.begins(head, top)), None)
            if head is None:
                if not any("".join(top).startswith(title[:12]) for title in self.titles):
                    problems.append(f"page {number} begins with {' '.join(top)!r}, which is neither a title nor the head of a table")
                continue
            repeated += 1
            body = self.body(lines, head)
            first = [word for word in body if word.left < lines[0][0].left + 8]
            begun = plain("".join(word.text for word in body if word.left < self.second(lines[0], head)))
            # What is written from right to left stands on paper in another order.
            begun = re.match("[ -~]*", begun).group()
            if not first or not any(cell.startswith(begun) for cell in self.firsts):
                problems.append(f"page {number} goes on in the middle of a row: {' '.join(word.text for word in body)!r}")
        return problems, repeated

    @staticmethod
    def begins(head, top):
        """Whether the first line is that of this head, of which some cells are longer than a line."""
        cells = list(head)
        return len(top) >= 2 and all(any(cell.startswith(word) or word in cell for cell in cells) for word in top) \
            and top[0] and cells[0].startswith(top[0])

    @staticmethod
    def body(lines, head):
        """The first line below the head."""
        text = "".join(head)
        for line in lines[1:]:
            if all(plain(word.text) in text for word in line):
                continue
            return line
        return lines[-1]

    @staticmethod
    def second(line, head):
        """Where the second column begins."""
        first = head[0]
        at = 0
        for word in line:
            if at >= len(first):
                return word.left - 2
            at += len(plain(word.text))
        return line[-1].left - 2


class Print(unittest.TestCase):
    """One estate, one report and one browser for all tests."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        with (cls.folder / "log").open("wb") as out:
            arguments = [program("vmbridge-simulator"), "--dir", cls.folder, "--vms", "60", "--aws-nodes", "70"]
            process = subprocess.Popen(arguments, stdout=out, stderr=out)
        cls.addClassCleanup(process.wait)
        cls.addClassCleanup(process.terminate)
        endpoints = cls.folder / "endpoints.json"
        deadline = time.monotonic() + 60
        while not endpoints.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the simulator did not start:\n{(cls.folder / 'log').read_text()}")
            time.sleep(0.05)
        told = json.loads(endpoints.read_text())
        aws = Aws(endpoints)
        control = told["controlUrl"]
        with urllib.request.urlopen(f"{control}/vms/dc1", timeout=10) as answer:
            vms = json.load(answer)
        for vm, name in zip(vms, HOSTILE):
            body = json.dumps({"op": "rename", "vm": vm, "name": name}).encode()
            urllib.request.urlopen(f"{control}/mutate/dc1", body, timeout=10).close()
        aws.control("POST", "/aws/mutate", {"op": "addInstance", "computerName": "<b>ec2</b>", "tags": {}})
        vcenter = told["vcenters"][0]
        (cls.folder / "vmbridge.toml").write_text(CONFIG.format(
            url=vcenter["url"], user=vcenter["username"], folder=cls.folder, region=aws.region, aws=aws.url))
        cls.environment = {
            "AWS_ACCESS_KEY_ID": aws.accounts[0]["accessKeyId"], "AWS_SECRET_ACCESS_KEY": aws.accounts[0]["secretAccessKey"],
            "AWS_EC2_METADATA_DISABLED": "true", "HOME": folder.name,
        }
        cls.audit = json.loads(cls.report("json"))
        cls.page_file = cls.folder / "report.html"
        cls.page_file.write_bytes(cls.report("html"))
        cls.browser = Browser()
        cls.addClassCleanup(cls.browser.close)

    @classmethod
    def report(cls, form):
        command = [program("vmbridge"), "--config", cls.folder / "vmbridge.toml", "report", "--format", form]
        done = subprocess.run(command, capture_output=True, env=cls.environment, timeout=90)
        if done.returncode not in (0, 1):
            raise RuntimeError(done.stderr.decode())
        return done.stdout

    def test_it_has_read_what_the_rules_ask_although_nothing_is_turned_on(self):
        self.assertEqual(self.audit["notRead"], [])
        self.assertGreater(sum(one["status"] == "failed" for one in self.audit["results"]), 100)
        self.assertTrue({"vm", "host"} <= {one["kind"] for one in self.audit["results"]})

    def test_it_prints_well_on_both_papers(self):
        page = self.browser.open(self.page_file)
        judge = Judge(page)
        count = self.audit["count"]
        for name, paper in (("A4", A4), ("Letter", LETTER)):
            with self.subTest(paper=name):
                papers = page.print(paper)
                self.assertAlmostEqual(papers[0].width, paper[1] * 72, delta=2, msg="the long side lies")
                self.assertAlmostEqual(papers[0].height, paper[0] * 72, delta=2)
                first = plain(" ".join(word.text for line in papers[0].lines() for word in line))
                totals = f"{count['machines']}: {count['compliant']} compliant, {count['nonCompliant']} not compliant"
                for wanted in ("Compliance report", "Made " + self.audit["time"][:10], "Scope", "Maintenance window", "Summary", totals, "Sources", "dc1"):
                    self.assertIn(plain(wanted), first)
                problems, repeated = judge.judge(papers)
                self.assertEqual(problems, [])
                self.assertGreater(repeated, 3, "tables go on over pages")

    def test_names_are_text_and_nothing_leaves_the_page(self):
        page = self.browser.open(self.page_file)
        page.print(A4)
        self.assertEqual(page.requests(), [self.page_file.as_uri()])
        self.assertEqual(page.complaints(), [])
        self.assertEqual(page.evaluate("document.querySelectorAll('script, img, iframe, object, link, form, base').length"), 0)
        self.assertEqual(page.evaluate("document.querySelectorAll('style').length"), 1)
        self.assertTrue(page.evaluate("document.title").startswith("Compliance report of "))
        text = page.evaluate("document.body.innerText")
        for name in HOSTILE[:3] + HOSTILE[4:6] + ["<b>ec2</b>", "gpj.\\u{202e}exe"]:
            self.assertIn(plain(name), plain(text))

    def test_it_can_be_read_on_a_narrow_screen(self):
        page = self.browser.open(self.page_file)
        self.browser.ask("Emulation.setDeviceMetricsOverride", page.session, width=1024, height=700, deviceScaleFactor=1, mobile=False)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        self.assertLessEqual(wide, 0)

    def test_the_judge_sees_what_is_wrong(self):
        sound = self.page_file.read_text()
        rows = "".join(f"<tr><th>row-{at} {'x ' * 200}</th><td>{'y ' * 300}</td></tr>" for at in range(60))
        table = f"<table><thead><tr><th>Name</th><th>Why</th></tr></thead><tbody>{rows}</tbody></table>"

        def judged(style, body=table):
            file = self.folder / "bad.html"
            file.write_text(f"<!DOCTYPE html><meta charset=utf-8><style>{style}</style><body><header><h1>T</h1></header><main>{body}</main>")
            page = self.browser.open(file)
            return Judge(page).judge(page.print(A4))[0]

        fine = "@page{margin:12mm}th,td{text-align:left}table{width:100%;table-layout:fixed}tr{break-inside:avoid}"
        self.assertEqual(judged(fine), [])
        self.assertIn("in the middle of a row", " ".join(judged(fine.replace("avoid", "auto"))))
        self.assertIn("neither a title", " ".join(judged(fine + "thead{display:table-row-group}")))
        wide = judged(fine + "td{white-space:nowrap;overflow:hidden}")
        self.assertIn("not on paper", " ".join(wide))
        self.assertIn("outside", " ".join(judged("@page{margin:0}" + fine.replace("@page{margin:12mm}", ""))))
        # And that something is asked for elsewhere.
        file = self.folder / "asks.html"
        file.write_text(sound.replace("<body>", "<body><img src=\"https://198.51.100.7/x\">"))
        page = self.browser.open(file)
        self.assertTrue(page.complaints(), "the policy of the page forbids it, which the console shows")
        file.write_text("<img src=\"https://198.51.100.7/x\">")
        self.assertEqual(len(self.browser.open(file).requests()), 2)


if __name__ == "__main__":
    unittest.main()
