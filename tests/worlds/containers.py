"""The container's files without an engine: their steps are run in a directory, their services as processes.

What only an engine does is not tried: other images, users, read-only file systems, networks.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import yaml

from tests.worlds.lacking import require_program
from tests.worlds.places import ROOT
from tests.worlds.web_servers import DEPLOY

CONTAINERFILE = DEPLOY / "container/Containerfile"
# a wheel is fetched, at worst, for each that is needed
_STEP_SECONDS = 900
# what the image's root has, and no test may touch in this machine's
_PLACES = ("/opt/", "/src", "/var/")
_WAY_TO_PACKAGES = re.compile("PIP_|SSL_|HTTPS?_|https?_|no_proxy|HOME$|XDG_")
# Debian's programs that would change this machine: installing is only planned, a user is added to files of the image
_STAND_INS = {
    "apt-get": '[ "$1" = update ] || exec /usr/bin/apt-get --simulate "$@"',
    "useradd": 'exec /usr/sbin/useradd --prefix {root} "$@"',
}


def steps() -> list[tuple[str, str]]:
    """The instructions of the Containerfile with what follows them."""
    text = re.sub(r"\\\n", " ", CONTAINERFILE.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def compose() -> dict[str, Any]:
    document = yaml.safe_load((DEPLOY / "container/compose.yaml").read_text())
    assert isinstance(document, dict)
    return document


@dataclass(frozen=True)
class Image:
    """The directory that stands for the image's root, once all steps were run in it."""

    root: Path
    environment: Mapping[str, str]
    health: list[str]
    command: list[str]

    def inside(self, text: str) -> str:
        """A line of the Containerfile with the places of the image in this directory."""
        return re.sub(rf"(?<![\w./])({'|'.join(_PLACES)})", rf"{self.root}\1", text)


def build(root: Path) -> Image:
    """Run every step, each as it stands, on a Debian, whose ``/usr/bin/python3`` is the image's here."""
    image = Image(root, {}, [], [])
    _furnish(root)
    for name, rest in steps():
        if name == "RUN":
            if "requirements.lock" in rest:
                _lend(image)
            _run(image, rest)
        elif name == "COPY" and "--from" not in rest:
            source, target = shlex.split(rest)
            _copy(ROOT / source, Path(image.inside(target)))
        elif name == "COPY":
            # both stages have one directory here
            assert Path(image.inside(shlex.split(rest)[-1])).exists()
    settings = (pair.split("=", 1) for name, rest in steps() if name == "ENV" for pair in shlex.split(rest))
    [health] = [json.loads(rest.partition("CMD ")[2]) for name, rest in steps() if name == "HEALTHCHECK"]
    [command] = [json.loads(rest) for name, rest in steps() if name == "CMD"]
    return Image(root, {name: image.inside(value) for name, value in settings}, health, command)


def _furnish(root: Path) -> None:
    for name in ("etc", "opt", "var/lib/apt/lists", "stand-ins"):
        (root / name).mkdir(parents=True)
    for name in ("passwd", "group", "shadow", "gshadow"):
        (root / "etc" / name).touch()
    for name, line in _STAND_INS.items():
        program = root / "stand-ins" / name
        program.write_text(f"#!/bin/sh\n{line.format(root=root)}\n")
        program.chmod(0o755)


def _lend(image: Image) -> None:
    """Link into the image what the lock names and this environment has of the same version, so that pip finds it there
    and fetches the others only. That all are fetched, and have their hashes, is what ``.ci/clean-machine`` shows."""
    [packages] = (image.root / "opt/showbox").glob("lib/*/site-packages")
    if packages.parent.name != f"python{sys.version_info.major}.{sys.version_info.minor}":
        return
    for name, version in re.findall(r"^(\S+)==(\S+) ", (ROOT / "requirements.lock").read_text(), re.MULTILINE):
        with suppress(PackageNotFoundError):
            if distribution(name).version == version:
                _link(name, packages)
    # by which ours is built; pip would fetch it for each build
    (image.root / "tools").mkdir()
    _link("setuptools", image.root / "tools")


def _link(name: str, place: Path) -> None:
    found = distribution(name)
    for top in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
        here = Path(str(found.locate_file(top)))
        # what was installed from source names files of that, too, which are not installed
        if here.exists():
            (place / top).symlink_to(here)


def _run(image: Image, line: str) -> None:
    require_program("useradd", "passwd")
    kept = {name: value for name, value in os.environ.items() if _WAY_TO_PACKAGES.match(name)}
    tools = image.root / "tools"
    # what was fetched for one step is kept for the next run of the tests
    command = image.inside(line).replace("--no-cache-dir ", "")
    result = subprocess.run(
        ["sh", "-ec", command],
        cwd=image.root,
        env={
            **kept,
            "HOME": os.environ.get("HOME", "/"),
            "PATH": f"{image.root}/stand-ins:/usr/bin:/bin",
            "LANG": "C.UTF-8",
            # its name says the contrary of what it does
            **({"PYTHONPATH": str(tools), "PIP_NO_BUILD_ISOLATION": "no"} if tools.exists() else {}),
        },
        capture_output=True,
        text=True,
        timeout=_STEP_SECONDS,
        check=False,
    )
    assert result.returncode == 0, (command, result.stdout[-2000:], result.stderr[-4000:])


def _copy(source: Path, target: Path) -> None:
    """As an engine does, without what ``.dockerignore`` names."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    ignored = [line.removeprefix("**/") for line in lines if line and not line.startswith("#")]
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(*ignored))
