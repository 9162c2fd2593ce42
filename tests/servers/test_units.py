"""The units of systemd, as systemd reads them and as the processes that they name."""

import configparser
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from bench.processes import free_port
from core.config import load_config
from tests.servers.test_wsgi_servers import serves_login_page_and_job
from tests.worlds.lacking import require_program
from tests.worlds.programs import demo_variables, running
from tests.worlds.web_servers import DEPLOY

UNITS = ("showbox.service", "showbox-worker.service")
# of systemd-analyze security, from 0 (closed) to 10
MOST_EXPOSED = 25


@pytest.fixture
def placed(tmp_path: Path) -> Path:
    """The units where systemd looks for them, and a program where they name it."""
    program = tmp_path / "opt/showbox/bin/showbox"
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


def _service(name: str) -> dict[str, list[str]]:
    """The lines of the unit's section ``[Service]``, by their names."""
    lines: dict[str, list[str]] = {}
    for line in (DEPLOY / "systemd" / name).read_text().partition("[Service]\n")[2].splitlines():
        if "=" in line and not line.startswith("#"):
            lines.setdefault(line.partition("=")[0], []).append(line.partition("=")[2])
    return lines


def test_what_the_units_name_serves_and_works(tmp_path: Path) -> None:
    """With the server's jobs left to the worker, which then is the one that runs them."""
    port = free_port()
    variables = demo_variables("units", tmp_path, SHOWBOX_SERVER_PORT=str(port), SHOWBOX_JOBS_IN_PROCESS="no")
    places = {
        "/opt/showbox/bin": str(Path(sys.executable).parent),
        "/etc/showbox/config.ini": str(tmp_path / "config.ini"),
        "/run/showbox": str(tmp_path),
    }
    (tmp_path / "config.ini").touch(mode=0o600)
    (tmp_path / "metrics").mkdir()

    def of(name: str) -> tuple[list[str], dict[str, str]]:
        lines = {key: [_replaced(value, places) for value in values] for key, values in _service(name).items()}
        given = dict(value.split("=", 1) for value in lines["Environment"])
        return shlex.split(lines["ExecStart"][0]), {**variables, **given}

    with ExitStack() as stack:
        for name in UNITS:
            command, environment = of(name)
            place = tmp_path / name
            place.mkdir()
            # the worker has no port: it begins when the server has its own
            # nor has it numbers, which are kept in files where the environment says so at their import
            fresh = "PROMETHEUS_MULTIPROC_DIR" in environment
            stack.enter_context(running(command, port, cwd=place, environment=environment, fresh=fresh))
        serves_login_page_and_job(f"http://127.0.0.1:{port}", requests)
        metrics = requests.get(f"http://127.0.0.1:{port}/_metrics", timeout=20)
        assert "showbox_requests_total" in metrics.text
        assert list((tmp_path / "metrics").iterdir())


def _replaced(text: str, places: dict[str, str]) -> str:
    for there, here in places.items():
        text = text.replace(there, here)
    return text
