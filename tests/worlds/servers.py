"""Where the servers are that the tests work with: a run's own databases, so that it is as fast on each machine and
touches nobody's data.

``SHOWBOX_TEST_MARIADB_URL``, ``SHOWBOX_TEST_POSTGRESQL_URL`` and ``SHOWBOX_TEST_REDIS_URL`` name others.
"""

import atexit
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from tests.worlds.private_servers import PrivateMariadb, PrivatePostgresql, PrivateServer

REDIS_URL = os.environ.get("SHOWBOX_TEST_REDIS_URL", "redis://127.0.0.1:6379/0")

_OWN: dict[str, type[PrivateServer]] = {"mariadb": PrivateMariadb, "postgresql": PrivatePostgresql}
# tells the processes of a run which servers end with it
_ENDING = "SHOWBOX_TEST_ENDING_SERVERS"
# where one listens that is not of our own
_DEFAULTS = {"mariadb": "mysql://root@127.0.0.1:3306/", "postgresql": "postgresql://root@127.0.0.1:5432/root"}
# bytes of memory that the files of several test processes, or of a server, may need
_ROOM = 4 << 30

_started: list[PrivateServer] = []


@cache
def server_url(kind: str) -> str:
    """Of the server for databases of this kind: the one that is named, else one of our own from now to the end of this
    process, else, where its programs are not, the one that may be at the usual port."""
    if given := os.environ.get(_variable(kind)):
        return given
    if not _OWN[kind].is_installed():
        return _DEFAULTS[kind]
    server = _OWN[kind](in_memory(kind))
    atexit.register(server.close)
    _started.append(server)
    return server.url


def share_with_children() -> None:
    """What this process starts from now on works with its servers."""
    for kind in _OWN:
        os.environ[_variable(kind)] = server_url(kind)
    os.environ[_ENDING] = " ".join(filter(ends_with_run, _OWN))


def ends_with_run(kind: str) -> bool:
    """Whether nothing is left of databases of this kind, dropped or not."""
    is_ours = any(isinstance(server, _OWN[kind]) for server in _started)
    return is_ours or kind in os.environ.get(_ENDING, "").split()


def in_memory(name: str) -> Path:
    """A folder until the end of this process, in memory where there is room for it: a commit waits for no disk."""
    memory = Path("/dev/shm")
    has_room = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM
    folder = Path(tempfile.mkdtemp(prefix=f"sbx-tests-{name}-", dir=memory if has_room else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _variable(kind: str) -> str:
    return f"SHOWBOX_TEST_{kind.upper()}_URL"
