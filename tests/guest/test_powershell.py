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
        of_linux = set(re.findall(r"^        ([A-Z_0-9]+)\) (?:[a-z_0-9]+=\$2 )?;;$", linux, re.M))
        listed = re.search(r"\$Known = ((?:'[A-Z_0-9]+',?\s*)+)", windows)[1]
        self.assertEqual(of_linux, set(re.findall(r"'([A-Z_0-9]+)'", listed)))
        for step in ["preflight", "prepare", "register", "restart", "cleanup"]:
            self.assertIn(step, linux)
            self.assertIn(f"'{step}'", windows)

    def calls(self):
        """Its statements in the order in which they stand, without the comments."""
        return re.sub(r"^\s*#.*$", "", POWERSHELL.read_text(), flags=re.M)

    def in_order(self, *parts):
        source, place = self.calls(), 0
        for part in parts:
            found = source.find(part, place)
            self.assertGreaterEqual(found, 0, f"{part} after {parts}")
            place = found + len(part)

    def test_the_parameters_are_gone_before_they_are_read(self):
        self.in_order("function Read-Parameters", "New-Object IO.FileStream($path", "::DeleteOnClose)", "Remove-Item -Force -LiteralPath $path", ".ReadToEnd()", "$Told[$name] = $value")
        # Who may read the file is seen before the directory gives it other rights.
        self.in_order("function Initialize-Directory", '(Test-Others "$Dir\\parameters"', "icacls.exe", "/inheritance:r")
        # And the variable before anything else.
        self.in_order("$Handed = $env:VMBRIDGE_PARAMETERS", "Remove-Item -Path Env:VMBRIDGE_PARAMETERS", "$ErrorActionPreference", "function")
        self.assertEqual(self.calls().count("VMBRIDGE_PARAMETERS"), 2)

    def test_what_programs_say_on_standard_error_does_not_end_it(self):
        source = self.calls()
        native = re.search(r"^function Invoke-Native.*?^}", source, re.M | re.S)[0]
        self.assertIn("$ErrorActionPreference = 'Continue'", native)
        self.assertEqual(source.count("2>&1"), 1)
        # No program is called in another way.
        self.assertEqual(re.findall(r"(?<![>&])& +[$\"']\S*", source), ["& $Path"])

    def test_one_at_a_time_and_in_this_order(self):
        self.in_order("Initialize-Directory\n", "IsInRole", "Read-Parameters\n", "Global\\vmbridge-install", "switch ($Step)")
        self.assertIn("Tls12", self.calls())

    def test_a_package_is_verified_before_it_is_run(self):
        self.in_order("function Install-Agent", "Test-Package $package", "Start-Process -FilePath $package")
        self.in_order("function Test-Package", "'windows_amd64'", "Get-FileHash -Algorithm SHA256", "return", "Get-AuthenticodeSignature", "-ne 'Valid'", "-cne $Told.SIGNATURE_SUBJECT")

    def test_for_the_oldest_powershell(self):
        # What 5.1 does not have.
        source = POWERSHELL.read_text()
        for newer in [r"\?\?", r"&&", r"\|\|", r"\? .* : ", "-Parallel", "ConvertFrom-Json -AsHashtable"]:
            self.assertIsNone(re.search(newer, source), newer)


if __name__ == "__main__":
    unittest.main()
