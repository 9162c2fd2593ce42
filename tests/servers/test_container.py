"""The container's files: linted, every step of the Containerfile run, and compose's services started as processes."""

import re
import shlex
import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

import pytest
import requests

from bench.processes import free_port
from core.config import load_config
from tests.servers.test_wsgi_servers import serves_login_page_and_job
from tests.worlds.containers import CONTAINERFILE, Image, build, compose, steps
from tests.worlds.databases import create_database, require
from tests.worlds.lacking import missing, require_program
from tests.worlds.places import FRONTENDS, ROOT
from tests.worlds.programs import CRON_KEY, running
from tests.worlds.warm import warmed

DEBIAN = Path("/usr/bin/python3")
# what docs/operating.md tells to run once in the server's container
OPERATOR = [["showbox", "db", "upgrade"], ["showbox", "user", "add", "admin", "--super"]]


def test_the_container_s_steps_are_sound() -> None:
    known = {
        *("FROM", "RUN", "COPY", "ENV", "USER", "WORKDIR", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD"),
    }
    assert {name for name, _ in steps()} <= known
    images = [rest.split()[0] for name, rest in steps() if name == "FROM"]
    assert all(":" in image and not image.endswith(":latest") for image in images)
    assert [rest for name, rest in steps() if name == "USER"] == ["10001"]
    assert steps()[-1][0] == "CMD"
    assert any(name == "HEALTHCHECK" and "/_health" in rest for name, rest in steps())
    for name, rest in steps():
        if name == "COPY" and "--from" not in rest:
            assert (ROOT / shlex.split(rest)[0]).exists()
        if name == "RUN":
            assert "apt-get install -y --no-install-recommends" in rest or "apt-get" not in rest
    settings = dict(pair.split("=", 1) for name, rest in steps() if name == "ENV" for pair in shlex.split(rest))
    load_config(None, {name: value for name, value in settings.items() if name.startswith("SHOWBOX_")})


def _settings(service: str) -> dict[str, str]:
    environment = compose()["services"][service]["environment"]
    return {key: re.sub(r"\$\{[^}]*\}", "secret", value) for key, value in environment.items()}


def test_the_services_of_compose_are_complete_and_their_settings_are_ours() -> None:
    document = compose()
    assert set(document["services"]) == {"server", "worker", "database", "redis"}
    for service in document["services"].values():
        assert not service["image"].endswith(":latest")
        named = {volume.partition(":")[0] for volume in service.get("volumes", [])}
        assert named <= set(document["volumes"])
        assert set(service.get("depends_on", {})) <= set(document["services"])
    for name in ("database", "redis", "server"):
        # who is waited for until it is healthy, can tell: the server by its image
        assert name == "server" or document["services"][name]["healthcheck"]["test"]
    assert (ROOT / document["services"]["server"]["build"]["dockerfile"]) == CONTAINERFILE
    for name in ("server", "worker"):
        service = document["services"][name]
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        config = load_config(None, _settings(name))
        assert (config.session.store, config.jobs.in_process) == ("redis", False)


def test_no_password_stands_in_the_files_of_the_container() -> None:
    for service in compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            if "PASSWORD" in name and name != "MARIADB_RANDOM_ROOT_PASSWORD":
                assert value.startswith("${"), name


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    require("mariadb")
    if not DEBIAN.exists() or not Path("/usr/bin/apt-get").exists():
        missing("this is no Debian, whose image the Containerfile begins with")
    return build(tmp_path_factory.mktemp("image"))


def _on_path(image: Image, command: list[str]) -> list[str]:
    """The command as the image's ``PATH`` finds it."""
    found = shutil.which(command[0], path=image.environment["PATH"])
    assert found is not None, command
    return [found, *command[1:]]


def _variables(image: Image, service: str, places: dict[str, str]) -> dict[str, str]:
    """What the service would find in its environment; ``places``: where it is on this machine by its place there."""
    settings = {**image.environment, **_settings(service)}
    for there, here in places.items():
        settings = {name: value.replace(there, here) for name, value in settings.items()}
    # what an operator adds, to see pages and to start a job
    return {**settings, "SHOWBOX_FRONTEND_ROOT": str(FRONTENDS / "modern"), "SHOWBOX_SECURITY_CRON_KEY": CRON_KEY}


def test_the_steps_of_the_container_make_what_its_services_run(image: Image, tmp_path: Path) -> None:
    # what the build makes is all that is used
    told = subprocess.run(
        warmed(_on_path(image, ["showbox", "--version"])), capture_output=True, text=True, check=True, cwd="/"
    )
    assert told.stdout.startswith("showbox, version ")
    database = create_database("mariadb", "container")
    redis_port, port = free_port(), free_port()
    places = {
        "mysql://showbox:secret@database/showbox": database,
        "redis://redis:6379/": f"redis://127.0.0.1:{redis_port}/",
        "172.16.0.0/12": "127.0.0.1",
    }
    server, worker = (_variables(image, name, places) for name in ("server", "worker"))
    server |= {"SHOWBOX_SERVER_PORT": str(port), "SHOWBOX_USER_PASSWORD": "admin123"}
    redis = [require_program("redis-server", "redis-server"), *compose()["services"]["redis"]["command"][1:]]
    with ExitStack() as stack:

        def start(name: str, command: list[str], at: int, environment: dict[str, str] | None = None) -> None:
            (tmp_path / name).mkdir()
            stack.enter_context(running(command, at, cwd=tmp_path / name, environment=environment))

        start("redis", [*redis, "--port", str(redis_port), "--bind", "127.0.0.1"], redis_port)
        for line in OPERATOR:
            subprocess.run(
                warmed(_on_path(image, line)), env=server, cwd=tmp_path, check=True, capture_output=True, timeout=120
            )
        start("server", _on_path(image, image.command), port, server)
        health = [part.replace(":8000", f":{port}") for part in image.health]
        health = warmed(_on_path(image, health))
        assert subprocess.run(health, env=server, timeout=60, check=False).returncode == 0
        # the port is the server's: the worker has none
        start("worker", _on_path(image, compose()["services"]["worker"]["command"]), port, worker)
        serves_login_page_and_job(f"http://127.0.0.1:{port}", requests)
    assert subprocess.run(health, env=server, timeout=60, check=False, capture_output=True).returncode


def test_what_the_build_must_not_see_stays_outside(image: Image) -> None:
    assert not (image.root / "src/tests").exists()
    assert not [path for path in (image.root / "src").rglob("*") if path.name in (".git", ".venv", "config.ini", "var")]
    assert (image.root / "src/pyproject.toml").exists()
