"""A simulated Stalker/Ministra portal: started by tests as :class:`StalkerPortal`, or alone from the command line.

The portal's behaviour itself is in :mod:`simulators.portal`.
"""

import argparse
import signal
import sys
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from simulators.faults import Fault, FaultRule, Match
from simulators.portal.columns import ZERO_DATE
from simulators.portal.routing import API, Portal
from simulators.portal.settings import Dialect, PortalSettings
from simulators.portal.state import Event, Package, Plan, PortalState, Reseller, User, hash_password
from simulators.recording import RecordedRequest
from simulators.simulator import Simulator


class StalkerPortal(Simulator):
    """A portal on a free loopback port from ``with`` (or :meth:`start`) until its end (or :meth:`close`).

    ``switches`` are the fields of :class:`simulators.portal.settings.PortalSettings`.
    """

    def __init__(
        self,
        *,
        name: str = "portal",
        host: str = "127.0.0.1",
        port: int = 0,
        state: PortalState | None = None,
        **switches: Any,
    ) -> None:
        self.settings = PortalSettings(**switches)
        self.state = PortalState() if state is None else state
        self._portal = Portal(self.settings, self.state)
        super().__init__(self._portal, name, host, port)

    @property
    def server_address(self) -> str:
        """The base of the theme script."""
        return self.origin

    @property
    def base_url(self) -> str:
        """The API's base, with a slash at its end."""
        return f"{self.origin}{API}"

    def forget_requests(self) -> None:
        self._recorder.forget()

    # what goes wrong

    def fail(self, match: Match, fault: Fault, *, times: int | None = 1, after: int = 0) -> FaultRule:
        """Fail requests like ``match`` with ``fault``: the one after the first ``after`` such requests, and
        ``times`` of them (None: all). See :class:`simulators.faults.FaultRule` for the patterns."""
        return self._faults.add(FaultRule(match, fault, times, after))

    def clear_faults(self) -> None:
        """Forget the rules, and accept connections again."""
        self._faults.clear()
        self._server.listen()

    # what it holds

    @property
    def users(self) -> list[User]:
        with self._portal.lock:
            return list(self.state.users.values())

    @property
    def events(self) -> list[Event]:
        with self._portal.lock:
            return list(self.state.events)

    def user(self, login: str) -> User | None:
        """The first user with that login."""
        return self._first("login", login)

    def user_by_mac(self, mac: str) -> User | None:
        """The first user with that MAC, as stored (upper case with colons, unless a PUT changed it)."""
        return self._first("stb_mac", mac)

    def _first(self, column: str, value: str) -> User | None:
        with self._portal.lock:
            return next(iter(self.state.find_users(column, [value])), None)

    def events_for(self, login: str) -> list[Event]:
        """The queue of the users with that login, oldest first."""
        with self._portal.lock:
            ids = {user.id for user in self.state.find_users("login", [login])}
            return [event for event in self.state.events if event.uid in ids]

    def add_user(
        self, login: str, stb_mac: str = "", *, password: str = "", tariff_plan: str = "", **columns: Any
    ) -> User:
        """A user as if always there; ``tariff_plan`` is an external id, ``columns`` are those of ``User``."""
        with self._portal.lock:
            plan = self.state.plan_by_external_id(tariff_plan)
            columns.setdefault("tariff_plan_id", plan.id if plan else 0)
            return self.state.add_user(
                login=login, stb_mac=stb_mac, password_hash=hash_password(password) if password else "", **columns
            )

    def change_user(self, login: str, /, **columns: Any) -> User:
        """Change the first user with that login behind the API's back."""
        with self._portal.lock:
            return self.state.change_user(self.state.find_users("login", [login])[0], **columns)

    def add_plan(
        self,
        external_id: str,
        name: str,
        *,
        user_default: bool = False,
        days_to_expires: int | None = None,
        packages: Iterable[Package] = (),
    ) -> Plan:
        with self._portal.lock:
            id = max(self.state.plans, default=0) + 1
            package_ids = tuple(package.id for package in packages)
            plan = Plan(id, external_id, name, int(user_default), days_to_expires, package_ids)
            self.state.plans[id] = plan
            return plan

    def add_package(self, external_id: str, name: str, **columns: Any) -> Package:
        with self._portal.lock:
            id = max(self.state.packages, default=0) + 1
            self.state.packages[id] = Package(id, external_id, name, **columns)
            return self.state.packages[id]

    def add_reseller(self, name: str, **columns: Any) -> Reseller:
        """A row of Ministra's own table."""
        with self._portal.lock:
            id = max(self.state.resellers, default=0) + 1
            self.state.resellers[id] = Reseller(id, name, **columns)
            return self.state.resellers[id]

    def add_examples(self, accounts: int) -> None:
        """Two plans, and ``accounts`` users ``user00001`` … with MACs ``00:1A:79:00:00:01`` …"""
        base = self.add_package("base", "Base")
        monthly = self.add_plan("78", "1 Month", user_default=True, days_to_expires=30, packages=[base])
        yearly = self.add_plan("79", "12 Months", days_to_expires=365, packages=[base])
        for number in range(1, accounts + 1):
            high, low = divmod(number, 256)
            self.add_user(
                f"user{number:05}",
                f"00:1A:79:{high // 256:02X}:{high % 256:02X}:{low:02X}",
                full_name=f"Customer {number}",
                phone=f"+4420{number:08}",
                account_number=str(10000000 + number),
                tariff_plan_id=(yearly if number % 4 == 0 else monthly).id,
                status=int(number % 10 != 0),
                end_date=ZERO_DATE if number % 50 == 0 else f"2030-{number % 12 + 1:02}-{number % 28 + 1:02} 00:00:00",
                stb_type="MAG254",
            )

    def snapshot(self) -> dict[str, list[dict[str, Any]]]:
        """Everything the portal holds as plain data, without row ids and times: equal for portals in the same state."""
        with self._portal.lock:
            return self.state.snapshot()


def in_order(*portals: StalkerPortal) -> list[RecordedRequest]:
    """The requests of several portals in the order of their arrival; ``server`` is the portal's name."""
    return sorted((request for portal in portals for request in portal.requests), key=lambda request: request.sequence)


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve a portal until Ctrl-C or SIGTERM; prints the API's address."""
    parser = argparse.ArgumentParser(prog="python -m simulators.stalker", description=__doc__.splitlines()[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8088, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--dialect", choices=list(Dialect), type=Dialect, default=Dialect.PANEL)
    parser.add_argument("--user", help="name of the API user (default: anyone may call)")
    parser.add_argument("--password", default="", help="password of the API user")
    parser.add_argument("--theme-key", default="theme-key", help="secret of update_account.php (default: %(default)s)")
    parser.add_argument("--accounts", type=int, default=20, help="number of example accounts (default: %(default)s)")
    options = parser.parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with StalkerPortal(
        host=options.host,
        port=options.port,
        dialect=options.dialect,
        user=options.user,
        password=options.password,
        theme_key=options.theme_key,
    ) as portal:
        portal.add_examples(options.accounts)
        sys.stdout.write(f"{portal.base_url}\n")
        sys.stdout.flush()
        ended.wait()


if __name__ == "__main__":
    main()
