"""The server starts while its database is away, says so, and works as soon as it is there.

Source: issue "Nothing lost", line 14.
"""

from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import requests
from sqlalchemy.engine import make_url

from bench.processes import free_port
from tests.worlds.databases import prepared_database
from tests.worlds.harness import Client
from tests.worlds.mysql_proxy import MysqlProxy
from tests.worlds.served import served
from tests.worlds.waiting import until

SENTENCE = (
    "The database is not available: no server answers at the configured address."
    " Until it is there, requests are answered with 503."
)


@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_server_starts_before_its_database(tmp_path: Path, processes: str) -> None:
    database = prepared_database("mariadb", "late")
    port = free_port()
    url = make_url(database).set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    settings = {"SHOWBOX_DATABASE_URL": url, "SHOWBOX_SERVER_PROCESSES": processes}
    with ExitStack() as stack, served(tmp_path, **settings) as (address, process):
        client = Client(address)
        login = {"username": "nobody", "password": "nothing"}
        for _ in range(4):
            refused = client.post("/login.php", login)
            assert (refused.status_code, refused.json()["error"]) == (503, 1)
        assert process.stderr.count(SENTENCE) == 1
        assert "Traceback" not in process.stderr
        # it closes after the server has ended, which may be connecting
        stack.callback(MysqlProxy(database, port).close)
        until(lambda: _is_answered(client, login), "the database is there")
        assert client.post("/login.php", login).json()["code"] == 2


def _is_answered(client: Client, login: dict[str, str]) -> bool:
    # on a busy machine the first look at the database takes its time
    with suppress(requests.Timeout):
        return client.post("/login.php", login).status_code == 200
    return False
