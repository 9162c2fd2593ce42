"""The world of chapter 50's golden cases: two resellers with a box each, before one or two simulated portals."""

import base64
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import sqlalchemy as sa
from pydantic import SecretStr

from core.storage.tables import Account, AuditEntry, StalkerSetting, StbActionLog, User
from core.storage.tables.secret_columns import portal_place
from core.values.clock import Clock
from simulators.portal.settings import Dialect
from simulators.stalker import StalkerPortal, in_order
from tests.conftest import MakeWorld
from tests.worlds.harness import Client, World, user_row
from tests.worlds.logged_in import logged_in

MAC1, MAC2, MAC3 = "00:1A:79:00:00:01", "00:1A:79:00:00:02", "00:1A:79:00:00:03"
PORTAL_PASSWORD = "portal-secret"
# 2026-01-31 10:00:00 in Tehran
NOON = 1769841000


class Boxes:
    """One served panel with its portals. Each request has a session of its own, so that none is a double click."""

    def __init__(self, world: World, portals: list[StalkerPortal]) -> None:
        self.world = world
        self.portals = portals

    def client(self, username: str | None) -> Client:
        if username is None:
            return self.world.client()
        return logged_in(self.world, username)

    def post(self, who: str | None, path: str, fields: Any, encoding: str = "form") -> dict[str, Any]:
        response = self.client(who).post(path, fields, encoding)
        assert (response.status_code, response.headers["Content-Type"]) == (200, "application/json")
        answer: dict[str, Any] = response.json()
        return answer

    def get(self, who: str | None, path: str, **query: Any) -> dict[str, Any]:
        response = self.client(who).get(path, params=query)
        assert response.status_code == 200
        answer: dict[str, Any] = response.json()
        return answer

    @property
    def asked(self) -> list[str]:
        """What the portals were asked, in order: ``one POST stb_msg/00:1A:… msg=Hi``."""
        requests = in_order(*self.portals)
        return [f"{request.server} {request.call} {request.body.decode()}".strip() for request in requests]

    @property
    def log(self) -> list[dict[str, Any]]:
        return self.world.rows(sa.select(*StbActionLog.__table__.c).order_by(StbActionLog.id))

    @property
    def audit(self) -> list[dict[str, Any]]:
        return self.world.rows(sa.select(*AuditEntry.__table__.c).order_by(AuditEntry.id))

    @property
    def settings(self) -> dict[str, str]:
        rows = self.world.rows(sa.select(StalkerSetting.setting_key, StalkerSetting.setting_value))
        found = {row["setting_key"]: row["setting_value"] for row in rows}
        return {key: self.world.panel.unsealed(value, portal_place(found)) for key, value in found.items()}

    def forget(self) -> None:
        for portal in self.portals:
            portal.forget_requests()
        self.world.execute(sa.delete(StbActionLog))
        self.world.execute(sa.delete(AuditEntry))

    def hurry(self, seconds: float) -> None:
        """Portal calls may take ``seconds``, until the end of the test."""
        panel = self.world.panel
        portal = panel.config.portal.model_copy(update={"call_seconds": seconds})
        panel.config = panel.config.model_copy(update={"portal": portal})


@contextmanager
def boxes_world(make_world: MakeWorld, kind: str, *, dual: bool = False, **portal_switches: Any) -> Iterator[Boxes]:
    world = make_world(kind)
    panel = world.panel
    original, clock = panel.config, panel.clock
    switches = {"dialect": Dialect.PANEL, "user": "apiuser", "password": PORTAL_PASSWORD, **portal_switches}
    with ExitStack() as stack:
        portals = [stack.enter_context(StalkerPortal(name=name, **switches)) for name in ("one", "two")]
        for portal in portals:
            for number, mac in enumerate((MAC1, MAC2), 1):
                portal.add_user(f"user00{number}", mac)
        stack.callback(setattr, panel, "config", original)
        stack.callback(setattr, panel, "clock", clock)
        panel.config = original.model_copy(
            update={
                "portal": original.portal.model_copy(
                    update={
                        "primary_address": portals[0].server_address,
                        "primary_api_url": portals[0].base_url,
                        "secondary_address": portals[1].server_address,
                        "secondary_api_url": portals[1].base_url,
                        "dual_server": dual,
                        "username": "apiuser",
                        "password": SecretStr(PORTAL_PASSWORD),
                        "primary_pause_seconds": 0.0,
                    }
                )
            }
        )
        started = time.time()
        panel.clock = Clock("Asia/Tehran", source=lambda: NOON + time.time() - started)
        _fill(world)
        yield Boxes(world, portals)


def _fill(world: World) -> None:
    world.insert(
        User,
        [
            user_row(1, "admin", super_user=1, permissions="1|1|1|1|1|1|1"),
            user_row(5, "reseller1"),
            user_row(6, "reseller2"),
            user_row(7, "radmin", permissions="0|0|1|0|0|0|0"),
            user_row(8, "obs", is_observer=1, permissions="1|1|1|1|1|1|1"),
        ],
    )
    world.insert(
        Account,
        [
            {"id": 1, "username": "user001", "mac": MAC1, "reseller": 5, "status": 1},
            {"id": 2, "username": "user002", "mac": MAC2, "reseller": 6, "status": 1},
            {"id": 3, "username": "user003", "mac": MAC3, "reseller": None, "status": 1},
        ],
    )


def permit(boxes: Boxes, username: str, permissions: str) -> None:
    boxes.world.execute(sa.update(User).where(User.username == username).values(permissions=permissions))


def basic(username: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
