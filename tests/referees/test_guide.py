"""docs/snapshots.md names everything that vmbridge may say of snapshots, and nothing that it never says."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/snapshots.md").read_text()


def words(path, start, end):
    """The words that a `match` between two lines of a source gives."""
    text = (ROOT / path).read_text()
    part = text[text.index(start) :]
    part = part[: part.index(end)]
    return re.findall(r'=> "([A-Za-z-]+)"', part)


def section(heading):
    part = GUIDE[GUIDE.index(f"\n## {heading}\n") + 1 :]
    return part.split("\n## ")[0]


def listed(text):
    """The words in the first column of the tables."""
    cells = re.findall(r"^\| (`[^|]*) \|", text, re.M)
    return [word for cell in cells for word in re.findall(r"`([^`]+)`", cell)]


class Guide(unittest.TestCase):
    def test_every_hazard_and_no_other(self):
        known = words("mappings/src/snapshot/hazard/words.rs", "pub fn word(", "pub fn sentence(")
        self.assertGreater(len(known), 20)
        self.assertEqual(sorted(listed(section("What is in the way"))), sorted(known))

    def test_everything_that_is_said_of_a_vm(self):
        said = words("mappings/src/protection/say.rs", "pub fn word(", "pub fn is_problem(")
        notes = {"noWindow", "cannotHold", "notAWindow"}
        reasons = (ROOT / "bridge/src/plan/reason.rs").read_text() + (ROOT / "bridge/src/plan/snapshots.rs").read_text()
        for note in notes:
            self.assertIn(f'"{note}"', reasons)
        table = section("When something is wrong").split("Failures of vCenter")[0]
        self.assertGreater(len(said), 15)
        self.assertEqual(sorted(listed(table)), sorted({*said, *notes}))

    def test_every_judgement(self):
        known = words("mappings/src/protection/record.rs", "impl Judgement", "pub fn why(")
        self.assertEqual(sorted(listed(section("After the window"))), sorted(known))

    def test_faults_of_vcenter_exist(self):
        names = re.findall(r"^    ([A-Z][A-Za-z]+),$", (ROOT / "vsphere-client/src/vcenter/snapshot/fault.rs").read_text(), re.M)
        table = section("When something is wrong").split("Failures of vCenter")[1]
        self.assertGreater(len(listed(table)), 4)
        self.assertLessEqual(set(listed(table)), set(names))

    def test_every_setting_exists(self):
        reference = (ROOT / "docs/configuration.md").read_text()
        part = reference[reference.index("## `[snapshots]`") : reference.index("## `[inventory]`")]
        keys = set(re.findall(r"^### `(\w+)`", part, re.M))
        self.assertIn("lead", keys)
        used = {key for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.S) for key in re.findall(r"^(\w+) = ", block, re.M)}
        self.assertLessEqual(used, keys)
        # What a policy is made of is explained, or shown.
        for key in keys - {"name", "vms", "horizon", "documents", "schedule"}:
            self.assertTrue(key in GUIDE or re.sub(r"(per|remove_per)_\w+", r"\1_", key) in GUIDE, key)

    def test_links_lead_somewhere(self):
        def anchors(text):
            heads = re.findall(r"^#+ (.+)$", text, re.M)
            return {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads}

        for name in ["snapshots.md", "iam.md", "privileges.md", "operator-guide.md", "enrolment.md"]:
            text = (ROOT / "docs" / name).read_text()
            for target, anchor in re.findall(r"\]\(([a-z-]*\.md)?(#[a-z0-9-]+)?\)", text):
                if not target and not anchor:
                    continue
                path = ROOT / "docs" / (target or name)
                self.assertTrue(path.is_file(), f"{name}: {target}")
                if anchor:
                    self.assertIn(anchor[1:], anchors(path.read_text()), f"{name}: {target}{anchor}")


if __name__ == "__main__":
    unittest.main()
