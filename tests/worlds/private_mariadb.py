"""A MariaDB server of a test's own, which may be restarted: its databases are nobody else's."""

import os
import shutil
import subprocess
from pathlib import Path

import pymysql
import pytest

from bench.processes import free_port
from tests.worlds.databases import mysql_connection
from tests.worlds.waiting import PATIENCE_SECONDS, until


class PrivateMariadb:
    """Served from ``folder`` on a free loopback port until closed; ``root`` has no password. ``options``: of its
    program."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._options = options
        programs = [shutil.which(name) for name in ("mariadb-install-db", "mariadbd")]
        if not all(programs):
            line = "no mariadbd and mariadb-install-db on this machine"
            if os.environ.get("CI"):
                pytest.fail(line)
            pytest.skip(line)
        install, self._program = map(str, programs)
        self._folder = folder
        # a server that starts removes the temporary tables of others where it has its own
        self._own_tables = f"--tmpdir={folder}"
        self._user = ["--user=root"] if os.getuid() == 0 else []
        self.port = free_port()
        made = [install, "--no-defaults", f"--datadir={folder}", "--auth-root-authentication-method=normal"]
        subprocess.run([*made, "--skip-test-db", self._own_tables, *self._user], check=True, capture_output=True)
        self._start()

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/"

    def run(self, *statements: str) -> None:
        with mysql_connection(self.url) as connection:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            connection.commit()

    def restart(self) -> None:
        self.close()
        self._start()

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE_SECONDS)

    def _start(self) -> None:
        command = [
            *(self._program, "--no-defaults", f"--datadir={self._folder}", f"--socket={self._folder}/socket"),
            *(f"--port={self.port}", "--bind-address=127.0.0.1", "--innodb-flush-log-at-trx-commit=0"),
            *(f"--pid-file={self._folder}/pid", "--skip-log-bin", self._own_tables),
            *(*self._options, *self._user),
        ]
        log = (self._folder / "log").open("ab")
        with log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers, "MariaDB answers")

    def _answers(self) -> bool:
        try:
            self.run("SELECT 1")
        except pymysql.err.OperationalError:
            if self._process is None or self._process.poll() is not None:
                raise
            return False
        return True
