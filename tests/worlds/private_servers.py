"""Database servers of our own, each at a free port of the loopback address: what is in them is nobody else's, and they
never wait for a disk, for nothing of it has to survive the machine."""

import os
import pwd
import shutil
import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

import psycopg
import pymysql

from bench.processes import free_port
from tests.worlds.lacking import find_program, missing
from tests.worlds.strangers import mysql_connection
from tests.worlds.waiting import PATIENCE_SECONDS, until


class PrivateServer(ABC):
    """Served from ``folder``, which its data fill, until closed; ``root`` has no password. ``options``: of its
    program."""

    name: ClassVar[str]
    _ends_by: ClassVar[signal.Signals]
    _user: ClassVar[str | None] = None

    def __init__(self, folder: Path, *options: str) -> None:
        if not self.is_installed():
            missing(f"the programs of {self.name} are not installed")
        self._folder = folder
        self._options = options
        self.port = free_port()
        self._make()
        self._start()

    @staticmethod
    @abstractmethod
    def is_installed() -> bool:
        """Whether its programs are on this machine, and may be run."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Of the server, with a database that is always there where there is none without."""

    @abstractmethod
    def _make(self) -> None:
        """Fills the folder."""

    @abstractmethod
    def _command(self) -> list[str]:
        """Serves what is in the folder."""

    @abstractmethod
    def _call(self, program: str, *options: str) -> list[str]:
        """One of its programs, for what is in the folder."""

    @abstractmethod
    def _answers(self) -> bool: ...

    def restart(self) -> None:
        self.close()
        self._start()

    def close(self) -> None:
        self._process.send_signal(self._ends_by)
        self._process.wait(PATIENCE_SECONDS)

    def _run(self, program: str, *options: str) -> None:
        command = self._call(program, *options)
        done = subprocess.run(command, cwd=self._folder, user=self._user, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{program} fails: {done.stdout}{done.stderr}"

    def _start(self) -> None:
        # an interrupt of the tests is none of it, but it ends with them, however they do
        setpriv = find_program("setpriv")
        bound = [setpriv, "--pdeathsig", self._ends_by.name.removeprefix("SIG")] if setpriv else []
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*bound, *self._command()],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=self._user,
            )
        until(self._serves, f"{self.name} answers")

    def _serves(self) -> bool:
        assert self._process.poll() is None, (self._folder / "log").read_text(errors="replace")
        return self._answers()


class PrivateMariadb(PrivateServer):
    name = "MariaDB"

    _ends_by = signal.SIGTERM

    @staticmethod
    def is_installed() -> bool:
        return all(map(find_program, ("mariadb-install-db", "mariadbd")))

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/"

    def run(self, *statements: str) -> None:
        with mysql_connection(self.url) as connection:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            connection.commit()

    def _make(self) -> None:
        self._run("mariadb-install-db", "--auth-root-authentication-method=normal", "--skip-test-db")

    def _command(self) -> list[str]:
        return self._call(
            *("mariadbd", f"--socket={self._folder}/socket", f"--pid-file={self._folder}/pid", f"--port={self.port}"),
            *("--bind-address=127.0.0.1", "--character-set-server=utf8mb4", "--skip-log-bin", "--sync-frm=0"),
            *("--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite"),
            *self._options,
        )

    def _call(self, program: str, *options: str) -> list[str]:
        # a server that starts removes the temporary tables of others where it has its own
        folders = f"--datadir={self._folder}", f"--tmpdir={self._folder}"
        as_root = ["--user=root"] if os.getuid() == 0 else []
        return [str(find_program(program)), "--no-defaults", *folders, *options, *as_root]

    def _answers(self) -> bool:
        try:
            self.run("SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True


class PrivatePostgresql(PrivateServer):
    name = "PostgreSQL"

    # at once: it would wait for its clients
    _ends_by = signal.SIGQUIT
    # it does not run as root
    _user = "postgres" if os.getuid() == 0 else None

    @classmethod
    def is_installed(cls) -> bool:
        return bool(_postgresql_programs()) and cls._user in (None, *(user.pw_name for user in pwd.getpwall()))

    @property
    def url(self) -> str:
        return f"postgresql://root@127.0.0.1:{self.port}/postgres"

    def _make(self) -> None:
        shutil.chown(self._folder, self._user or os.getuid())
        self._run("initdb", "--username=root", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")

    def _command(self) -> list[str]:
        settings = (
            *(f"port={self.port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"),
            *("fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off"),
            # to compile takes longer than anything that is asked of few rows
            *("jit=off", *self._options),
        )
        return self._call("postgres", *(part for setting in settings for part in ("-c", setting)))

    def _call(self, program: str, *options: str) -> list[str]:
        return [str(_postgresql_programs()[-1] / program), "-D", f"{self._folder}/data", *options]

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=3).close()
        except psycopg.OperationalError:
            return False
        return True


def _postgresql_programs() -> list[Path]:
    """Where they are, the newest last: Debian has each version's by itself."""
    found = find_program("initdb")
    return [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)


def _version(programs: Path) -> float:
    return float(programs.parent.name)
