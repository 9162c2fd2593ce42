"""``flask --app wsgi xtream …`` as an operator runs it, and what outlives a server that is killed."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
from click.testing import Result

from core.config import load_config
from simulators.faults import Delay
from simulators.recording import RecordedRequest
from simulators.xtream_node.server import XtreamNode, rejected
from tests.worlds.forked import run
from tests.worlds.served import environment, served
from tests.worlds.waiting import until
from wsgi import build

SECRET = "a-node-s-password"


@pytest.fixture
def node() -> Iterator[XtreamNode]:
    with XtreamNode(secret=SECRET) as node:
        yield node


def _flask(cwd: Path, *arguments: str, stdin: str = "") -> Any:
    return run("flask", *arguments, cwd=cwd, environment=environment(NODE_SECRET=SECRET), stdin=stdin)


def _prepare(cwd: Path, node: XtreamNode) -> None:
    assert _flask(cwd, "user", "add", "boss", "--super", "--password", "secret-1").returncode == 0
    file = {
        "servers": [{"id": 1, "name": "One", "host": "127.0.0.1", "port": node.port, "secret": "env:NODE_SECRET"}],
        "streams": [{"id": 5, "name": "News", "kind": "live", "servers": [1]}],
        "lines": [{"id": 101, "username": "l101", "member": "boss", "password": "pw"}],
    }
    (cwd / "xtream.json").write_text(json.dumps(file))
    imported = _flask(cwd, "xtream", "import", "xtream.json")
    assert (imported.returncode, imported.stdout) == (0, "servers: 1\nstreams: 1\nlines: 1\n"), imported.stderr


def _ask(url: str, query: str) -> Any:
    with requests.Session() as session:
        login = {"username": "boss", "password": "secret-1"}
        assert session.post(f"{url}/login.php", json=login, timeout=60).json()["error"] == 0
        return session.get(f"{url}/api.php?{query}", timeout=60).json()


Operator = Callable[..., Result]


@pytest.fixture
def operator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    """``flask --app wsgi xtream …`` within this process, for the many."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NODE_SECRET", SECRET)
    app, panel = build(load_config(None, {}))
    yield lambda *arguments: app.test_cli_runner().invoke(args=["xtream", *arguments])
    panel.close()


def test_the_commands(tmp_path: Path, node: XtreamNode, operator: Operator) -> None:
    _prepare(tmp_path, node)
    refused = _flask(tmp_path, "xtream", "servers", "remove", "99")
    assert (refused.returncode, "Traceback" in refused.stderr) == (1, False)
    assert _flask(tmp_path, "xtream", "export").stdout == operator("export").stdout
    with closing(sqlite3.connect(tmp_path / "var/showbox.db")) as database:
        [(stored,)] = database.execute("SELECT secret FROM _sbx_xt_server_control")
    assert SECRET not in stored
    listed = operator("servers", "list").stdout
    assert listed == f"1  One: http://127.0.0.1:{node.port}/api.php (xc_new)\n"
    exported = operator("export")
    assert SECRET not in exported.stdout
    (tmp_path / "again.json").write_text(exported.stdout)
    assert operator("import", "again.json", "--replace").exit_code == 0
    assert operator("export").stdout == exported.stdout
    steps = {
        ("servers", "add", "2", "127.0.0.1", "--dialect", "xc_old", "--secret", "x"): "servers: 2 added.\n",
        ("servers", "set", "2", "--port", "25500", "--disabled"): "Server 2 set.\n",
        ("servers", "remove", "2"): "Server 2 removed.\n",
        ("streams", "add", "6", "A Movie", "--kind", "movie", "--server", "1"): "streams: 6 added.\n",
        ("streams", "list"): "5  News (type 1): on 1 servers\n6  A Movie (type 2): on 1 servers\n",
        ("streams", "remove", "6"): "Movie 6 removed.\n",
        ("lines", "add", "102", "l102", "--password", "x"): "lines: 102 added.\n",
        ("lines", "list"): "101  l101: enabled, of member 1\n102  l102: enabled, of member None\n",
        ("lines", "remove", "102"): "Line 102 removed.\n",
        ("link", "boss", "--group", "4"): "boss is linked.\n",
        ("unlink", "boss"): "boss is not linked any more.\n",
    }
    for arguments, said in steps.items():
        done = operator(*arguments)
        assert (done.exit_code, done.stdout) == (0, said), (arguments, done.stderr)
    assert node.calls == ["POST vod/stop/6"]
    refusals = {
        ("servers", "add", "1", "127.0.0.1", "--secret", "x"): "servers: there is a number 1 already",
        ("servers", "remove", "1"): "Streams are assigned to this server; delete them from it first",
        ("streams", "remove", "99"): "Stream not found",
        ("link", "nobody", "--group", "4"): "There is no user named nobody",
        ("link", "boss", "--group", "77"): "There is no such group",
        ("link", "boss", "--account", "x"): "A user is linked to a group: --group ID",
        ("unlink", "boss"): "This user has no link",
    }
    for arguments, said in refusals.items():
        done = operator(*arguments)
        assert done.exit_code == 1, arguments
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_a_server_killed_between_stop_and_delete_has_deleted_nothing(tmp_path: Path, node: XtreamNode) -> None:
    _prepare(tmp_path, node)
    delete = "action=stream&sub=delete&stream_id=5&server_id=1"
    with served(tmp_path) as (url, process):
        doomed = [process]

        def asked(request: RecordedRequest) -> bool:
            while doomed and request.call == "POST stream/stop/5":
                doomed.pop().kill()
            return False

        node.fail(asked, Delay(0), times=0)
        with pytest.raises(requests.ConnectionError):
            _ask(url, delete)
        assert "POST stream/stop/5" in node.calls
    with closing(sqlite3.connect(tmp_path / "var/showbox.db")) as database:
        assert database.execute("SELECT stream_id, server_id FROM _sbx_xt_streams_servers").fetchall() == [(5, 1)]
        assert database.execute("SELECT id FROM _sbx_xt_streams").fetchall() == [(5,)]
    with served(tmp_path) as (url, _):
        assert _ask(url, delete) == {"result": True, "error": 0, "err_msg": ""}, "the script that runs again succeeds"


def test_a_stop_that_waits_is_delivered_by_the_next_process(tmp_path: Path, node: XtreamNode) -> None:
    _prepare(tmp_path, node)
    node.state.start_stream(5)
    node.fail("stream/stop/*", rejected())
    with served(tmp_path) as (url, process):
        assert _ask(url, "action=stream&sub=delete&stream_id=5&server_id=1")["result"] is True
        assert 5 in node.state.streams
        process.kill()
    with closing(sqlite3.connect(tmp_path / "var/showbox.db")) as database, database:
        # else the next process waits as long as there is to wait, and up to a minute more for its next look
        database.execute("UPDATE _sbx_xt_pending SET next_at = 0")
        database.execute("UPDATE _sbx_jobs SET due_at = 0")

    def waits() -> bool:
        with closing(sqlite3.connect(tmp_path / "var/showbox.db")) as database:
            return database.execute("SELECT * FROM _sbx_xt_pending").fetchall() != []

    with served(tmp_path):
        until(lambda: 5 not in node.state.streams, "the stream is stopped")
        until(lambda: not waits(), "what was delivered waits no more")
