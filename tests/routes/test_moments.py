"""What becomes of what others do between two looks of a request: PostgreSQL shows each statement another moment, and
portals take seconds. On SQLite nobody writes while another one does.
"""

import datetime
import threading
from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from core.access.audit import Origin
from core.access.began import Began
from core.accounts import operations
from core.accounts.operations import Draft
from core.accounts.records import Change
from core.storage.tables import Account, ArchivedPayment, Currency, ResellerPayment, User
from simulators.faults import Delay
from tests.conftest import MakeWorld
from tests.worlds.accounts import MAC, Accounts, accounts_world, new_account
from tests.worlds.harness import Client
from tests.worlds.logged_in import logged_in
from tests.worlds.moments import after_first_look
from tests.worlds.resellers import Resellers, refused
from tests.worlds.waiting import until

on_servers = pytest.mark.parametrize("kind", ["mariadb", "postgresql"])
pytestmark = [pytest.mark.every_kind, pytest.mark.one_process("the statements of one are listened to")]
# longer than anybody needs who waits for nobody
_MOMENT = 0.3


class _Beside:
    """A request that is made while another one is under way, and may have to wait for it."""

    def __init__(self, request: Callable[[], dict[str, Any]]) -> None:
        self._thread = threading.Thread(target=lambda: self._answers.append(request()))
        self._answers: list[dict[str, Any]] = []

    def begin(self) -> None:
        self._thread.start()
        self._thread.join(_MOMENT)

    @property
    def answer(self) -> dict[str, Any]:
        self._thread.join()
        return self._answers[0]


def _in_another_browser(accounts: Accounts, who: str) -> Client:
    """Beside the session with which ``who`` asks otherwise, which is made here, too."""
    accounts.client(who)
    return logged_in(accounts.world, who)


@pytest.fixture
def accounts(make_world: MakeWorld, kind: str) -> Iterator[Accounts]:
    with accounts_world(make_world, kind, seconds=10 * _MOMENT) as accounts:
        yield accounts


@on_servers
def test_an_account_that_arrives_while_its_reseller_is_removed_keeps_the_reseller(resellers: Resellers) -> None:
    panel = resellers.panel
    began = Began(1, "admin", "Admin", Origin("", ""))
    change = Change("update", {}, portal=[], changed=[], entry=None, plan_name=None, phone=None, began=began)
    draft = Draft("add", "coming", MAC("0C"), None, change, None, Decimal(0), Decimal(0), reseller=4)
    coming = operations.begin(panel, 1, lambda connection: draft, "server 1")
    assert coming is not None

    def arrive(connection: sa.Connection) -> None:
        values = {"id": 900, "username": "coming", "mac": MAC("0C"), "status": 1, "reseller": 4}
        connection.execute(sa.insert(Account).values(**values))
        operations.move(panel, connection, coming, operations.DONE)

    arriving = partial(panel.database.transact, arrive)
    with after_first_look(panel, arriving, "_accounts", "_sbx_operations") as looks:
        refused(resellers.get("admin", "/remove_reseller.php?id=4"), 6)
    assert len(looks) > 1
    assert resellers.user_by_id(4) is not None


@on_servers
def test_a_payment_that_is_cancelled_while_its_reseller_is_removed_is_archived_so(resellers: Resellers) -> None:
    payment = {"id": 901, "reseller_id": 4, "amount": 10, "currency": "GBP", "bank_name": "Cash", "recorded_by": 1}
    more = {"payment_date": datetime.date(2026, 11, 1), "recorded_by_username": "admin", "status": "active"}
    resellers.world.insert(ResellerPayment, [payment | more])
    clicked = {"payment_id": 901, "reason": "dup"}
    cancelling = _Beside(lambda: resellers.post("admin", "cancel_reseller_payment", **clicked))
    admin = _in_another_browser(resellers, "admin")
    with after_first_look(resellers.panel, cancelling.begin, "_reseller_payments"):
        assert admin.get("/remove_reseller.php?id=4").json()["error"] == 0
    [archived] = resellers.world.rows(sa.select(ArchivedPayment.status))
    assert (cancelling.answer["error"], archived["status"]) in ((0, "cancelled"), (1, "active"))


@on_servers
def test_a_plan_that_is_removed_while_it_is_given_is_not_kept(resellers: Resellers) -> None:
    removing = _Beside(lambda: resellers.post("admin", "remove_plan", plan_id=2))
    admin = _in_another_browser(resellers, "admin")
    with after_first_look(resellers.panel, removing.begin, "_plans"):
        given = admin.post("/assign_plans.php", {"reseller_id": 4, "plans": "2-GBP"}).json()
    assert (given["error"], removing.answer["error"]) == (0, 0)
    reseller = resellers.user_by_id(4)
    assert reseller is not None
    assert "2-GBP" not in (reseller["plans"] or "")


@on_servers
@pytest.mark.parametrize("endpoint", ["add_reseller", "update_reseller"])
def test_a_currency_that_is_removed_while_it_is_given_is_not_kept(resellers: Resellers, endpoint: str) -> None:
    resellers.world.insert(Currency, [{"id": "SEK", "name": "SEK"}])
    removing = _Beside(lambda: resellers.post("admin", "remove_currency", id="SEK"))
    admin = _in_another_browser(resellers, "admin")
    fields = {"id": 4, "username": "new", "password": "a-long-one", "name": "New", "currency": "SEK"}
    # the session's user is looked up with his currency, by a join
    with after_first_look(resellers.panel, removing.begin, "FROM _currencies"):
        given = admin.post(f"/{endpoint}.php", fields).json()
    holders = sa.select(sa.func.count()).select_from(User).where(User.currency_id == "SEK")
    listed = sa.select(sa.func.count()).select_from(Currency).where(Currency.id == "SEK")
    counts = [next(iter(resellers.world.rows(counted)[0].values())) for counted in (holders, listed)]
    resellers.world.execute(sa.delete(Currency).where(Currency.id == "SEK"))
    assert (given["error"], removing.answer["error"], counts) in ((0, 1, [1, 1]), (1, 0, [0, 0]))


_THEMED = {
    "add_account": ("POST accounts*", new_account(0x31, reseller=2)),
    "update_account": ("PUT accounts*", {"username": "user00002", "name": "Somebody"}),
}


@pytest.mark.parametrize("endpoint", _THEMED)
def test_a_theme_that_is_changed_while_portals_take_their_time_is_what_they_get(
    light_resellers: Resellers, endpoint: str
) -> None:
    call, fields = _THEMED[endpoint]
    light_resellers.portal.fail(call, Delay(2 * _MOMENT))
    asking = _Beside(lambda: light_resellers.post("admin", endpoint, **fields))
    asking.begin()
    until(lambda: bool(light_resellers.open_operations()), "it has been decided")
    light_resellers.world.execute(sa.update(User).where(User.id == 2).values(theme="emerald"))
    assert asking.answer["error"] == 0
    assert [form["theme"] for form in light_resellers.themed if form["login"] == fields["username"]] == ["emerald"]


def test_an_account_that_an_edit_gives_to_a_reseller_keeps_the_reseller(light_resellers: Resellers) -> None:
    """While a portal takes its time."""
    name = light_resellers.portal.users[0].login
    light_resellers.world.execute(sa.update(User).where(User.id == 4).values(is_observer=0))
    assert 4 not in light_resellers.owners().values()
    light_resellers.portal.fail("PUT accounts*", Delay(2 * _MOMENT))
    fields = {"username": name, "name": "Somebody", "reseller": 4}
    giving = _Beside(lambda: light_resellers.post("admin", "update_account", **fields))
    admin = _in_another_browser(light_resellers, "admin")
    giving.begin()
    until(lambda: bool(light_resellers.open_operations()), "the edit has been decided")
    refused(admin.get("/remove_reseller.php?id=4").json(), 6)
    assert giving.answer["error"] == 0
    assert light_resellers.owners()[name] == 4
    assert light_resellers.user_by_id(4) is not None


def test_accounts_that_are_on_the_way_count_for_the_limit(accounts: Accounts) -> None:
    owned = sa.select(sa.func.count()).select_from(Account).where(Account.reseller == 2)
    [count] = accounts.world.rows(owned)
    most = next(iter(count.values())) + 1
    accounts.world.execute(sa.update(User).where(User.id == 2).values(max_users=most, balance=1000))
    accounts.portal.fail("POST accounts*", Delay(_MOMENT), times=None)
    adding = _Beside(lambda: accounts.post("reseller1", "add_account", **new_account(0x31, plan="78-GBP")))
    reseller = _in_another_browser(accounts, "reseller1")
    adding.begin()
    refused(reseller.post("/add_account.php", new_account(0x32, plan="78-GBP")).json(), 3)
    assert adding.answer["error"] == 0
    assert next(iter(accounts.world.rows(owned)[0].values())) == most
    assert accounts.balance("reseller1") == Decimal("989.50")
