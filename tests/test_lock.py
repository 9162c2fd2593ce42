"""What is deployed is locked, and the audit says when it knows nothing (issue "no way in", line 13)."""

import re
import tomllib
from importlib.metadata import distribution

import pytest
from packaging.requirements import Requirement

from tests.audit import UNREACHABLE, verdict
from tests.worlds.places import ROOT


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_13_every_dependency_is_locked_with_hashes() -> None:
    text = (ROOT / "requirements.lock").read_text()
    entries = re.findall(
        r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+) \\\n((?:    --hash=sha256:[0-9a-f]{64}.*\n)+)", text, re.M
    )
    locked = {_normal(name) for name, _, _ in entries}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {_normal(re.split(r"[\[<>=;~! ]", line, maxsplit=1)[0]) for line in project["dependencies"]}
    assert wanted <= locked
    assert len(entries) == len(re.findall(r"^[A-Za-z0-9._-]+.*==", text, re.MULTILINE))
    assert "file://" not in text


# Debian 12's own, and later ones
@pytest.mark.parametrize("version", ["3.11.2", "3.11.9", "3.12.1", "3.13.0", "3.14.0"])
def test_13_what_the_locked_versions_need_is_locked_for_every_python(version: str) -> None:
    """Else an installation by hashes is refused there."""
    locked = re.findall(r"^([A-Za-z0-9._-]+)==", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    python = {"python_version": version.rpartition(".")[0], "python_full_version": version, "extra": ""}
    missing = [
        f"{name} needs {wanted}"
        for name in locked
        for wanted in map(Requirement, distribution(name).requires or [])
        if (wanted.marker is None or wanted.marker.evaluate(python)) and _normal(wanted.name) not in locked
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("code", "output", "expected"),
    [
        (0, "No known vulnerabilities found", (0, "No known vulnerabilities found")),
        (1, "Found 1 known vulnerability in 1 package\nx 1.0 PYSEC-1", (1, "Found 1 known vulnerability")),
        (0, "No known vulnerabilities found\nx  Dependency not found and could not be audited", (2, "No known")),
        (1, "requests.exceptions.ConnectionError: Max retries exceeded", (2, UNREACHABLE)),
    ],
)
def test_13_an_audit_without_data_is_no_good_news(code: int, output: str, expected: tuple[int, str]) -> None:
    result, text = verdict(code, output)
    assert result == expected[0]
    assert text.startswith(expected[1])
