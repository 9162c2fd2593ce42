"""What ``make help`` says."""

import re
import subprocess

from tests.worlds.places import ROOT


def test_make_help_has_a_line_for_each_target() -> None:
    said = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    ).stdout
    [targets] = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"^make ([a-z-]+) +\S", said, re.MULTILINE) == targets.split()
