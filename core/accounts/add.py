"""Creating a subscriber account: on the portals, in the database and in the ledger, or nowhere.

Source: contract chapter 20 §1.6 to §1.9 and §3. A creation that fails or is cut short is always undone: without the
password, which is stored nowhere, it could not be finished.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, func, select

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import ADD_ACCOUNTS, is_unpaid, require
from core.access.user_rows import read_user
from core.accounts import operations, rules
from core.accounts.events import AccountCreated
from core.accounts.on_portals import Lag, known_tariffs, may_still_follow, refusal_of, servers, set_theme
from core.accounts.operations import Draft, Record
from core.accounts.rows import insert_account, refuse_taken
from core.errors import DatabaseFailed, InvalidInput, NotAllowed, NotFound, PanelError, UpstreamFailed
from core.jobs import jobs
from core.jobs.events import announce
from core.ledger import ledger
from core.panel import Panel
from core.plans.choice import (
    NOT_FOUND,
    PlanRow,
    PlanWish,
    is_no_plan,
    net_price,
    plan_for_add,
    plan_for_tariff,
    portal_tariff,
    read_plans,
    refuse_currency,
    require_balance,
    require_usable,
)
from core.portal import NewPortalAccount, Outcome, PortalError, PortalServer, Tariff
from core.storage.tables import Account
from core.values.checks import checked_date, checked_email, clean_name, clean_text, normal_phone
from core.values.currencies import ANY_CURRENCY, currency_code

KIND = "add"
_FAILED = "The account could not be created"


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What was asked for, as texts of the request. ``reseller``: the owner's user id or empty.

    ``needs_plan``: the request came from a form that has no account without a plan.
    """

    username: str
    mac: str
    password: str = field(repr=False)
    full_name: str = ""
    email: str = ""
    phone: str = ""
    plan: PlanWish = None
    tariff_plan: str = ""
    end_date: str = ""
    status: int | None = None
    comment: str = ""
    discount: int = 0
    reseller: int | None = None
    needs_plan: bool = False


@dataclass(frozen=True, slots=True)
class Added:
    account_id: int
    is_dual: bool
    end_date: date | None
    lag: Lag


@dataclass(frozen=True, slots=True)
class _Purchase:
    """What the account gets and who pays; ``plan`` None: no local plan."""

    plan: PlanRow | None
    tariff_plan: str
    net: Decimal
    payer: Actor | None
    entry: ledger.Entry | None


def add_account(panel: Panel, by: By, wish: NewAccount) -> Added:
    """Raises NotAllowed, InvalidInput, AlreadyExists, NotFound, NotEnoughCredit, AccountBusy, UpstreamFailed."""
    require(by.actor, ADD_ACCOUNTS)
    wish = _checked(wish)
    with panel.database.read() as connection:
        # what can be refused is refused before any portal is asked; checked again in the transaction that reserves
        _draft(panel, connection, by, wish, tariffs=None)
    every_server = servers(panel)
    tariffs = known_tariffs(panel) or []

    def plan(connection: Connection) -> Draft:
        draft = _draft(panel, connection, by, wish, tariffs)
        number = operations.next_account_number(connection)
        return Draft(**{**_fields(draft), "payload": {**draft.payload, "account_number": number}})

    record = operations.begin(panel, by.actor.id, plan, step=every_server[0].name)
    assert record is not None  # noqa: S101 - a creation always has something to do
    _create(panel, record, every_server, wish.password)
    account_id = _confirm(panel, by, record)
    payload = record.payload
    theme = set_theme(panel, record.username, payload["theme"])
    jobs.ring(panel)
    return Added(account_id, len(every_server) > 1, _day(payload["end_date"]), Lag(theme=theme))


def _fields(draft: Draft) -> dict[str, Any]:
    return {name: getattr(draft, name) for name in draft.__slots__}


def _checked(wish: NewAccount) -> NewAccount:
    """The wish with every value in its stored form. Raises InvalidInput."""
    if not wish.password:
        raise InvalidInput("Password is required")
    if wish.end_date:
        checked_date(wish.end_date)
    return NewAccount(
        username=rules.new_username(wish.username),
        mac=rules.required_mac(wish.mac),
        password=wish.password,
        full_name=clean_name(wish.full_name, "name"),
        email=checked_email(wish.email) or "",
        phone=normal_phone(wish.phone) or "",
        plan=wish.plan,
        tariff_plan=clean_text(wish.tariff_plan, "tariff plan", 100),
        end_date=wish.end_date,
        status=rules.checked_status(wish.status, default=1),
        comment=clean_text(wish.comment, "comment", rules.COMMENT_CHARACTERS),
        discount=wish.discount,
        reseller=wish.reseller,
        needs_plan=wish.needs_plan,
    )


def _draft(
    panel: Panel,
    connection: Connection,
    by: By,
    wish: NewAccount,
    tariffs: Sequence[Tariff] | None,
) -> Draft:
    """Every check, and what the operation will do; ``tariffs`` None: the portal was not asked yet."""
    owner = _owner(panel, connection, by.actor, wish)
    _refuse_too_many(connection, by.actor, owner)
    purchase = _purchase(connection, by.actor, owner, wish, tariffs)
    refuse_taken(panel, connection, username=wish.username, mac=wish.mac)
    end_date = _end_date(panel, by.actor, wish, purchase.plan)
    payer, plan = purchase.payer, purchase.plan
    return Draft(
        kind=KIND,
        username=wish.username,
        mac=wish.mac,
        account_id=None,
        payload={
            "full_name": wish.full_name,
            "email": wish.email or None,
            "phone": wish.phone or None,
            "reseller": owner.id,
            "plan": plan.id if plan else None,
            "plan_name": plan.shown_name() if plan else None,
            "tariff_plan": purchase.tariff_plan,
            "end_date": end_date and end_date.isoformat(),
            "status": wish.status,
            "comment": wish.comment,
            "theme": owner.theme or panel.config.panel.default_theme,
            "entry": purchase.entry and purchase.entry.stored(),
        },
        payer_id=payer.id if payer else None,
        amount=purchase.net if payer else Decimal(0),
        price=plan.price if payer and plan else Decimal(0),
    )


def _owner(panel: Panel, connection: Connection, actor: Actor, wish: NewAccount) -> Actor:
    """Whom the account will belong to, as stored now. Raises NotFound for an unknown reseller."""
    wanted = wish.reseller if is_unpaid(actor) and wish.reseller else actor.id
    owner = read_user(panel, connection, wanted)
    if owner is None:
        raise NotFound("Reseller not found")
    return owner


def _refuse_too_many(connection: Connection, actor: Actor, owner: Actor) -> None:
    if is_unpaid(actor) or owner.max_users <= 0:
        return
    own = connection.scalar(select(func.count()).select_from(Account).where(Account.reseller == owner.id)) or 0
    if own >= owner.max_users:
        raise NotAllowed(f"Account limit reached: you can have at most {owner.max_users} accounts")


def _purchase(
    connection: Connection, actor: Actor, owner: Actor, wish: NewAccount, tariffs: Sequence[Tariff] | None
) -> _Purchase:
    if is_no_plan(wish.plan) and wish.needs_plan:
        raise InvalidInput("Please select a plan")
    plans = read_plans(connection)
    plan = None if is_no_plan(wish.plan) else plan_for_add(plans, wish.plan, owner.currency)
    if plan is None and wish.tariff_plan:
        plan = plan_for_tariff(plans, wish.tariff_plan, owner.currency, tariffs or ())
        if plan is None and (is_unpaid(actor) or tariffs is None):
            return _Purchase(None, wish.tariff_plan, Decimal(0), None, None)
    if plan is None:
        if not is_no_plan(wish.plan) or not is_unpaid(actor):
            raise NotFound(NOT_FOUND)
        return _Purchase(None, "", Decimal(0), None, None)
    return _bought(actor, owner, wish, plan, tariffs or ())


def _bought(actor: Actor, owner: Actor, wish: NewAccount, plan: PlanRow, tariffs: Sequence[Tariff]) -> _Purchase:
    pays = not is_unpaid(owner)
    if not is_unpaid(actor):
        require_usable(plan, owner)
    if pays:
        refuse_currency(plan, owner)
    net = net_price(plan, wish.discount if is_unpaid(actor) else 0)
    if pays:
        require_balance(owner.balance, plan.price)
    named = f" ,{wish.full_name} , {wish.mac}" if wish.full_name else f" ,{wish.mac}"
    entry = ledger.Entry(
        creator="system",
        for_user=owner.id,
        amount=str(-net),
        currency=currency_code(owner.currency if plan.currency == ANY_CURRENCY else plan.currency),
        type=ledger.DEBIT,
        details=f'Plan "{plan.shown_name()}" assigned for {wish.username}{named}',
        note=ledger.Note(
            ledger.SALE,
            username=wish.username,
            mac=wish.mac,
            full_name=wish.full_name or None,
            plan_id=plan.id,
            plan_name=plan.shown_name(),
            discount=int(plan.price - net) or None,
        ),
    )
    return _Purchase(plan, portal_tariff(plan, tariffs), net, owner if pays else None, entry if net else None)


def _end_date(panel: Panel, actor: Actor, wish: NewAccount, plan: PlanRow | None) -> date | None:
    today = panel.clock.today()
    if actor.super_user and wish.end_date:
        return checked_date(wish.end_date)
    if plan is not None:
        return rules.first_end(today, plan.days)
    return None if actor.super_user else today + timedelta(days=rules.DAYS_WITHOUT_PLAN)


def _create(panel: Panel, record: Record, every_server: Sequence[PortalServer], password: str) -> None:
    """On every server, or on none and the money back."""
    account = _portal_account(record, password)
    for number, server in enumerate(every_server):
        try:
            if number:
                operations.step(panel, record, server.name)
            server.create_account(account)
        except PortalError as error:
            certain = error.outcome is Outcome.NOT_DONE
            _undo(panel, record, every_server[: number if certain else number + 1], late=may_still_follow(error))
            refusal = refusal_of(error, _FAILED)
            if number and isinstance(refusal, UpstreamFailed):
                refusal = UpstreamFailed(f"{refusal.text}; it was removed from {every_server[0].name} again")
            raise refusal from error
        except PanelError:
            _undo(panel, record, every_server[:number])
            raise


def _portal_account(record: Record, password: str = "") -> NewPortalAccount:
    payload = record.payload
    return NewPortalAccount(
        login=record.username,
        mac=record.mac,
        password=password,
        account_number=str(payload["account_number"]),
        tariff_plan=payload["tariff_plan"],
        full_name=payload["full_name"],
        status=payload["status"] == 1,
        end_date=_day(payload["end_date"]),
        comment=payload["comment"],
        reseller=payload["reseller"],
        phone=payload["phone"] or "",
    )


def _confirm(panel: Panel, by: By, record: Record) -> int:
    """Row, ledger row and audit row in one transaction; if that fails the portals are cleared again."""
    payload = record.payload
    try:
        with panel.database.write() as connection:
            operations.move(panel, connection, record, operations.DONE)
            account_id = insert_account(
                panel,
                connection,
                {
                    "username": record.username,
                    "mac": record.mac,
                    "email": payload["email"],
                    "phone_number": payload["phone"],
                    "reseller": payload["reseller"],
                    "plan": payload["plan"],
                    "timestamp": panel.clock.stamp(),
                    "full_name": payload["full_name"],
                    "tariff_plan": payload["tariff_plan"][:100],
                    "end_date": _day(payload["end_date"]),
                    "status": payload["status"],
                },
                account_number=payload["account_number"],
                comment=payload["comment"] or None,
                # what it tells of the owner from now on is our own word, until it tells another
                portal_reseller_seen=payload["reseller"],
                portal_reseller_known=1,
            )
            entry = ledger.Entry.read(payload["entry"])
            if entry is not None:
                taken = record.amount or Decimal(0)
                ledger.record(connection, entry, panel.clock.stamp(), account_id=account_id, effect=-taken)
            _audit(panel, connection, by, record, account_id)
            event = AccountCreated(
                account_id,
                record.username,
                record.mac,
                payload["full_name"],
                payload["reseller"],
                by.actor.id,
                by.actor.name or by.actor.username,
                payload["plan_name"],
                _day(payload["end_date"]),
                payload["phone"],
            )
            announce(panel, connection, event)
    except DatabaseFailed:
        _undo(panel, record, servers(panel))
        raise
    return account_id


def _audit(panel: Panel, connection: Connection, by: By, record: Record, account_id: int) -> None:
    payload = record.payload
    by.write_audit(
        panel,
        connection,
        "create",
        "account",
        target_id=account_id,
        target_name=record.mac,
        new={
            "mac": record.mac,
            "username": record.username,
            "name": payload["full_name"],
            "plan": payload["plan_name"],
            "expiry": payload["end_date"],
            "phone": payload["phone"],
        },
        details=f"Account {record.username} created",
    )


def _undo(panel: Panel, record: Record, touched: Sequence[PortalServer], *, late: bool = False) -> None:
    """After a failed creation: money back, remains deleted; what cannot be done now stays recorded.

    ``touched``: the servers that may have the account; ``late``: it may still appear there after a look.
    """
    with operations.best_effort(record):
        if touched:
            _clear(panel, operations.refund(panel, record, operations.COMPENSATING), touched, late=late)
        else:
            operations.close(panel, record)


def take_up(panel: Panel, record: Record) -> None:
    """Undo a creation that was left open: the money first, then what it left on the portals."""
    if record.state == operations.RESERVED:
        record = operations.refund(panel, record, operations.COMPENSATING)
    _clear(panel, record, servers(panel))


def _clear(panel: Panel, record: Record, touched: Sequence[PortalServer], *, late: bool = False) -> None:
    try:
        for server in touched:
            _remove_remains(server, _portal_account(record))
    except PortalError as error:
        operations.leave(panel, record, f"{error.server}: {error.text}")
        return
    if late:
        operations.leave(panel, record, "The portal did not answer in time; it is asked again later")
    else:
        operations.close(panel, record)


def _remove_remains(server: PortalServer, account: NewPortalAccount) -> None:
    """Delete the account if it is the one that this creation made, never an older one of the same device."""
    found = server.account_by_mac(account.mac)
    if found is not None and account.is_stored_as(found):
        server.delete_account(account.mac)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None
