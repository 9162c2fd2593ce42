"""The units of systemd as systemd reads them; the container's files, linted, their steps followed."""

import configparser
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.config import load_config
from tests.worlds.places import ROOT
from tests.worlds.programs import require_program
from tests.worlds.web_servers import DEPLOY

UNITS = ("showbox.service", "showbox-worker.service")
# of systemd-analyze security, from 0 (closed) to 10
MOST_EXPOSED = 25
CONTAINERFILE = DEPLOY / "container/Containerfile"


@pytest.fixture
def placed(tmp_path: Path) -> Path:
    """The units where systemd looks for them, and a program where they name it."""
    program = tmp_path / "opt/showbox/bin/python"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for name in UNITS:
        text = (DEPLOY / "systemd" / name).read_text()
        (tmp_path / name).write_text(text.replace("/opt/showbox/bin", str(program.parent)))
        drop_in = tmp_path / f"{name}.d"
        drop_in.mkdir()
        (drop_in / "php-sessions.conf").write_text((DEPLOY / "systemd/php-sessions.conf").read_text())
    return tmp_path


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_wrong_with_a_unit(placed: Path, name: str) -> None:
    program = require_program("systemd-analyze", "systemd")
    result = subprocess.run(
        [program, "verify", "--man=no", str(placed / name)], capture_output=True, text=True, timeout=60, check=False
    )
    # what it says of other units of the machine is theirs
    told = [line for line in result.stderr.splitlines() if str(placed) in line or "showbox" in line]
    assert (result.returncode, told) == (0, []), result.stderr


def test_systemd_finds_what_is_wrong_with_a_unit(placed: Path) -> None:
    program = require_program("systemd-analyze", "systemd")
    unit = placed / UNITS[0]
    unit.write_text(unit.read_text().replace("ProtectSystem=strict", "ProtectSystm=strict"))
    result = subprocess.run(
        [program, "verify", "--man=no", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert "ProtectSystm" in result.stderr


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_is_hardened(placed: Path, name: str) -> None:
    program = require_program("systemd-analyze", "systemd")
    command = [program, "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", str(placed / name)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stdout[-2000:]


def test_the_drop_in_lets_the_units_run_as_php_s_user() -> None:
    parser = configparser.ConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read(DEPLOY / "systemd/php-sessions.conf")
    assert parser["Service"]["User"] == "www-data"
    assert parser["Service"]["ReadWritePaths"] == load_config(None, {}).session.php_save_path


def _steps() -> list[tuple[str, str]]:
    """The instructions of the Containerfile with what follows them."""
    text = re.sub(r"\\\n", " ", CONTAINERFILE.read_text())
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def test_the_container_s_steps_are_sound() -> None:
    known = {
        *("FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD"),
    }
    steps = _steps()
    assert {name for name, _ in steps} <= known
    images = [rest.split()[0] for name, rest in steps if name == "FROM"]
    assert all(":" in image and not image.endswith(":latest") for image in images)
    assert [rest for name, rest in steps if name == "USER"] == ["10001"]
    assert steps[-1][0] == "CMD"
    assert any(name == "HEALTHCHECK" and "/_health" in rest for name, rest in steps)
    for name, rest in steps:
        if name == "COPY" and "--from" not in rest:
            assert (ROOT / shlex.split(rest)[0]).exists()
        if name == "RUN":
            assert subprocess.run(["sh", "-n", "-c", rest], timeout=60, check=False).returncode == 0, rest
            assert "apt-get install -y --no-install-recommends" in rest or "apt-get" not in rest
    settings = dict(pair.split("=", 1) for name, rest in steps if name == "ENV" for pair in shlex.split(rest))
    load_config(None, {name: value for name, value in settings.items() if name.startswith("SHOWBOX_")})


def _compose() -> dict[str, Any]:
    document = yaml.safe_load((DEPLOY / "container/compose.yaml").read_text())
    assert isinstance(document, dict)
    return document


def test_the_services_of_compose_are_complete_and_their_settings_are_ours() -> None:
    compose = _compose()
    assert set(compose["services"]) == {"server", "worker", "database", "redis"}
    for service in compose["services"].values():
        assert not service["image"].endswith(":latest")
        named = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(compose["volumes"])
        assert set(service.get("depends_on", {})) <= set(compose["services"])
    for name in ("database", "redis", "server"):
        # who is waited for until it is healthy, can tell: the server by its image
        assert name == "server" or compose["services"][name]["healthcheck"]["test"]
    assert (ROOT / compose["services"]["server"]["build"]["dockerfile"]) == CONTAINERFILE
    for name in ("server", "worker"):
        service = compose["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        settings = {key: re.sub(r"\$\{[^}]*\}", "secret", value) for key, value in service["environment"].items()}
        config = load_config(None, settings)
        assert (config.session.store, config.jobs.in_process) == ("redis", False)


def test_no_password_stands_in_the_files_of_the_container() -> None:
    for service in _compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name and name != "MARIADB_RANDOM_ROOT_PASSWORD":
                assert value.startswith("${"), name
