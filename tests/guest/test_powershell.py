"""The installer for Windows: there is no Windows here, so it is parsed, and held to the same agreement as that for Linux."""

import re
import tomllib
import unittest

import tree_sitter_powershell
from tree_sitter import Language, Parser

from tests.guest.rooted import REPOSITORY, SCRIPT

POWERSHELL = REPOSITORY / "scripts/guest/install-ssm-agent.ps1"


def mistakes(source):
    """What cannot be parsed, by line."""
    tree = Parser(Language(tree_sitter_powershell.language())).parse(source)
    found, rest = [], [tree.root_node]
    while rest:
        node = rest.pop()
        if node.is_error or node.is_missing:
            found.append((node.start_point[0] + 1, node.text.decode()[:80]))
        rest.extend(node.children)
    return found


class PowerShell(unittest.TestCase):
    def test_it_is_powershell(self):
        self.assertEqual(mistakes(POWERSHELL.read_bytes()), [])

    def test_a_mistake_would_be_found(self):
        source = POWERSHELL.read_text()
        for broken in [source.replace("function Get-File(", "function Get-File((", 1), source + "\nif (1 {\n"]:
            self.assertNotEqual(mistakes(broken.encode()), [])

    def test_its_words_are_those_of_the_table(self):
        table = tomllib.loads((REPOSITORY / "mappings/defaults/guest-reasons.toml").read_text())["reason"]
        known = {(reason["code"], reason["word"]) for reason in table}
        used = {(int(code), word) for code, word in re.findall(r"Stop-Here (\d+) '([a-z-]+)'", POWERSHELL.read_text()) if code != "0"}
        self.assertEqual(used, known)

    def test_both_know_the_same_parameters_and_steps(self):
        linux, windows = SCRIPT.read_text(), POWERSHELL.read_text()
        of_linux = set(re.findall(r"^        ([A-Z_0-9]+)\) [a-z_0-9]+=\$2 ;;$", linux, re.M))
        listed = re.search(r"\$Known = ((?:'[A-Z_0-9]+',?\s*)+)", windows)[1]
        self.assertEqual(of_linux, set(re.findall(r"'([A-Z_0-9]+)'", listed)))
        for step in ["preflight", "prepare", "register", "restart", "cleanup"]:
            self.assertIn(step, linux)
            self.assertIn(f"'{step}'", windows)

    def test_for_the_oldest_powershell(self):
        # What 5.1 does not have.
        source = POWERSHELL.read_text()
        for newer in [r"\?\?", r"&&", r"\|\|", r"\? .* : ", "-Parallel", "ConvertFrom-Json -AsHashtable"]:
            self.assertIsNone(re.search(newer, source), newer)


if __name__ == "__main__":
    unittest.main()
