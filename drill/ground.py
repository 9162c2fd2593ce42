"""What the drill stands on: the database, the processes, and what is killed of them."""

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import requests
import sqlalchemy as sa

from bench.processes import family, free_port
from core.administration.users import add_user
from core.config import load_config
from core.panel import Panel
from core.storage.tables import Plan, User

ROOT = Path(__file__).resolve().parent.parent
BOSS = "boss"
PASSWORD = "drill-Pass-77"
RESELLERS = tuple(f"seller{number}" for number in range(1, 5))
START_BALANCE = 1_000_000
PLAN = "78-GBP"
PRICE = 10
# the machine may be busy with other work
_START_SECONDS = 180.0


class NotStarted(Exception):
    """A process did not come up; the text has the end of its log."""


class Process:
    """A child that can be killed, with all that it has started, and started again; ``port`` None: it answers nobody."""

    def __init__(
        self, name: str, command: Sequence[str], folder: Path, port: int | None, environment: Mapping[str, str]
    ) -> None:
        self.name = name
        self._command, self._port = list(command), port
        # compiled once, and not into the checkout: a start takes most of a round otherwise
        compiled = {"PYTHONPYCACHEPREFIX": str(folder / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
        self._environment = {**os.environ, **environment, **compiled}
        self.log = folder / f"{name}.log"
        self._child: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self._child = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # a group of its own, so that no process of a server has time to end in order
                start_new_session=True,
            )

    def await_port(self) -> None:
        """Raises NotStarted."""
        deadline = time.monotonic() + _START_SECONDS
        while self._port is not None:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=1).close()
            except OSError:
                if time.monotonic() > deadline or self._child is None or self._child.poll() is not None:
                    raise NotStarted(f"{self.name}: {self.log.read_text(errors='replace')[-2000:]}") from None
                time.sleep(0.05)
            else:
                return

    def end(self) -> None:
        if self._child is not None:
            try:
                os.killpg(self._child.pid, signal.SIGKILL)
            except ProcessLookupError:
                # it leads no group, as where a test has forked it
                self._child.send_signal(signal.SIGKILL)
            self._child.wait(30)
            self._child = None

    @property
    def children(self) -> list[int]:
        """Process ids of what it has started."""
        return [] if self._child is None else [pid for pid in family([self._child.pid]) if pid != self._child.pid]


class OneOfItsProcesses:
    """A server of several processes loses one of them, and replaces it by itself."""

    def __init__(self, server: Process, chance: random.Random) -> None:
        self.name = "one process of a server"
        self._server = server
        self._chance = chance

    def end(self) -> None:
        children = self._server.children
        if children:
            with suppress(ProcessLookupError):
                os.kill(self._chance.choice(children), signal.SIGKILL)

    def start(self) -> None:
        """It is started by its server."""

    def await_port(self) -> None:
        """The others go on answering."""


Victim = Process | OneOfItsProcesses


class Ground:
    """One database with two servers, a worker and the portal, all of which can be killed."""

    def __init__(self, kind: str, folder: Path, chance: random.Random) -> None:
        self.kind = kind
        ports = [free_port() for _ in range(4)]
        self.urls = [f"http://127.0.0.1:{port}" for port in ports[:2]]
        self.database = self._database(folder, ports[3])
        self.portal = Process(
            "portal",
            [sys.executable, "-m", "drill.portal", str(folder / "portal"), str(ports[2])],
            folder,
            ports[2],
            {},
        )
        self.settings = self._settings(folder, ports[2])
        python = [sys.executable, "wsgi.py", "--host", "127.0.0.1", "--port"]
        self.servers = [
            Process(f"server{port}", [*python, str(port)], folder, port, self.settings) for port in ports[:2]
        ]
        self._ones = [OneOfItsProcesses(server, chance) for server in self.servers]
        worker = [sys.executable, "-m", "flask", "--app", "wsgi", "worker"]
        self.worker = Process("worker", worker, folder, None, self.settings)

    def _database(self, folder: Path, port: int) -> Process | None:
        if self.kind == "sqlite":
            self.url = f"sqlite:///{folder}/panel.db"
            return None
        data = folder / "mariadb"
        install = [
            "mariadb-install-db",
            "--no-defaults",
            f"--datadir={data}",
            "--auth-root-authentication-method=normal",
            f"--tmpdir={folder}",
        ]
        user = ["--user=root"] if os.geteuid() == 0 else []
        subprocess.run([*install, "--skip-test-db", *user], check=True, capture_output=True)
        server = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        switches = ["--no-defaults", f"--datadir={data}", f"--port={port}", f"--socket={folder}/s", *user]
        # a server that starts removes what looks like its own from the place of temporary tables
        switches += ["--bind-address=127.0.0.1", "--innodb-buffer-pool-size=64M", "--skip-name-resolve"]
        switches.append(f"--tmpdir={folder}")
        self.url = f"mysql://root@127.0.0.1:{port}/drill"
        return Process("mariadbd", [server, *switches], folder, port, {})

    def _settings(self, folder: Path, portal: int) -> dict[str, str]:
        for name in ("data", "backups"):
            (folder / name).mkdir()
        return {
            "SHOWBOX_DATABASE_URL": self.url,
            "SHOWBOX_PANEL_DATA_DIRECTORY": str(folder / "data"),
            "SHOWBOX_JOBS_IN_PROCESS": "no",
            "SHOWBOX_JOBS_QUEUE_FILE": str(folder / "queue"),
            "SHOWBOX_SECURITY_LOGIN_ATTEMPTS_PER_MINUTE": "10000",
            "SHOWBOX_SECURITY_UPGRADE_PASSWORDS": "no",
            "SHOWBOX_PORTAL_PRIMARY_API_URL": f"http://127.0.0.1:{portal}/stalker_portal/api/",
            "SHOWBOX_PORTAL_CALL_SECONDS": "3",
            "SHOWBOX_PORTAL_CONNECT_SECONDS": "2",
        }

    def panel(self) -> Panel:
        """For looking at the database, and settling what is open."""
        return Panel(load_config(None, self.settings))

    def start(self) -> None:
        if self.database is not None:
            self.database.start()
            self.database.await_port()
            engine = sa.create_engine(self.url.replace("mysql:", "mysql+pymysql:").removesuffix("drill"))
            with engine.begin() as connection:
                connection.exec_driver_sql("CREATE DATABASE IF NOT EXISTS drill CHARACTER SET utf8mb4")
            engine.dispose()
        self._fill()
        for process in (self.portal, *self.servers, self.worker):
            process.start()
        for process in (self.portal, *self.servers):
            process.await_port()

    def _fill(self) -> None:
        panel = self.panel()
        panel.layout  # noqa: B018 - creates the tables
        add_user(panel, BOSS, PASSWORD, super_user=True)
        for name in RESELLERS:
            add_user(panel, name, PASSWORD, permissions="1|1|0|1|1|1|1|1")
        plan = {"external_id": "78", "currency_id": "GBP", "price": PRICE, "days": 30, "name": "Month"}

        def give(connection: sa.Connection) -> None:
            connection.execute(sa.insert(Plan).values(**plan))
            sellers = sa.update(User).where(User.super_user == 0)
            connection.execute(sellers.values(balance=START_BALANCE, plans=PLAN, max_users=0))

        panel.database.transact(give)
        panel.close()

    @property
    def _programs(self) -> list[Process]:
        database = [] if self.database is None else [self.database]
        return [*self.servers, self.worker, self.portal, *database]

    @property
    def victims(self) -> list[Sequence[Victim]]:
        """By their kinds."""
        kinds: list[Sequence[Victim]] = [self.servers, [self.worker], [self.portal]]
        # a file is served by one process
        return kinds if self.database is None else [*kinds, self._ones, [self.database]]

    def revive(self, victim: Victim) -> None:
        victim.start()
        victim.await_port()

    def portal_accounts(self) -> dict[str, dict[str, str]]:
        """What the portal holds, by login."""
        answer = requests.get(self.settings["SHOWBOX_PORTAL_PRIMARY_API_URL"] + "accounts/", timeout=30).json()
        return {row["login"]: row for row in answer["results"]}

    def unexpected(self) -> list[str]:
        """What the programs logged of faults of their own."""
        logs = (process.log.read_text(errors="replace") for process in (*self.servers, self.worker))
        return [line for log in logs for line in log.splitlines() if "nexpected " in line]

    def end(self) -> None:
        for process in reversed(self._programs):
            process.end()
