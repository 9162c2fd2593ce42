"""Behind a proxy that sets no header at all: login, pages and logout work."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests

from core.storage.tables import User
from tests.conftest import MakeWorld
from tests.worlds.harness import World, user_row
from tests.worlds.places import FRONTENDS
from tests.worlds.web_servers import PLAIN_APACHE, PLAIN_NGINX, Front, apache, nginx

LOGIN = {"username": "admin", "password": "admin123"}
HERE = "https://billing.example.com"
ELSEWHERE = "https://evil.example"

pytestmark = pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
Before = Callable[[World], Front]


def _world(make_world: MakeWorld, **settings: str) -> World:
    frontend = str(FRONTENDS / "modern")
    world = make_world("sqlite", SHOWBOX_SESSION_STORE="sql", SHOWBOX_FRONTEND_ROOT=frontend, **settings)
    world.insert(User, [user_row(1, "admin", super_user=1)])
    return world


@pytest.fixture(params=[(nginx, PLAIN_NGINX), (apache, PLAIN_APACHE)], ids=["nginx", "apache"])
def before(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Before]:
    """``before(world)``: the proxy, until the end of the test."""
    server, lines = request.param
    with ExitStack() as stack:
        yield lambda world: stack.enter_context(server(tmp_path, lines, world.url))


@pytest.mark.parametrize(
    "sent",
    [{}, {"Origin": HERE, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors"}],
    ids=["a script", "a browser"],
)
def test_login_pages_and_logout_work_and_redirects_stay_at_the_site(
    before: Before, make_world: MakeWorld, sent: dict[str, str]
) -> None:
    front = before(_world(make_world))
    client = front.client()
    sent_away = client.get(f"{front.url}/dashboard.php", allow_redirects=False)
    assert (sent_away.status_code, _path(front, sent_away)) == (302, "/index.html")
    assert client.get(f"{front.url}/").text.startswith("<!DOCTYPE html>")
    login = client.post(f"{front.url}/api/login.php", json=LOGIN, headers=sent)
    assert login.json()["error"] == 0, login.text
    assert client.get(f"{front.url}/get_user_info.php", headers=sent).json()["error"] == 0
    assert client.post(f"{front.url}/session_heartbeat.php", headers=sent).json()["error"] == 0
    assert client.get(f"{front.url}/dashboard.php").text.startswith("<!DOCTYPE html>")
    logout = client.get(f"{front.url}/logout.php", allow_redirects=False)
    assert (logout.status_code, _path(front, logout)) == (302, "/index.html")
    assert client.get(f"{front.url}/get_user_info.php").json()["code"] == 2


def _path(front: Front, answer: requests.Response) -> str:
    return urljoin(answer.url, answer.headers["Location"]).removeprefix(front.url)


def test_the_configured_address_is_the_panel_s_own_whatever_host_the_proxy_names(
    before: Before, make_world: MakeWorld
) -> None:
    front = before(_world(make_world, SHOWBOX_SECURITY_PUBLIC_URL=HERE))
    client = front.client()

    def login(**headers: str) -> int:
        return client.post(f"{front.url}/login.php", json=LOGIN, headers=headers).status_code

    assert login(Origin=HERE) == login(Referer=f"{HERE}/index.html") == login(Origin=f"{HERE}:443") == 200
    for other in (ELSEWHERE, "http://billing.example.com", f"{HERE}.evil.example", f"{HERE}:8443", "null"):
        assert login(Origin=other) == 403
    assert login(Origin=HERE, **{"Sec-Fetch-Site": "cross-site"}) == 403
