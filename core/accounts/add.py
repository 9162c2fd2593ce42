"""Adding a subscriber account: every check, what it costs and whom.

Carrying it out, on the portals and in the database, is in :mod:`core.accounts.create`. Source: contract chapter 20
§1.6 to §1.9 and §3.
"""

from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal

from sqlalchemy import Connection, func, select

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import ADD_ACCOUNTS, is_unpaid, require
from core.access.user_rows import read_user, refuse_observer
from core.accounts import create, operations, rules
from core.accounts.on_portals import Lag, one_operation, servers, set_theme, tariffs_now, told_otherwise
from core.accounts.operations import Draft
from core.accounts.records import Creation, kept_otherwise
from core.accounts.rows import refuse_taken
from core.errors import InvalidInput, NotAllowed, NotFound
from core.jobs import jobs
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
    read_plans,
    refuse_currency,
    require_balance,
    require_usable,
)
from core.plans.plan_tariff import NOT_ASKED, Tariffs, tariff_by_name, tariff_of_plan
from core.storage.tables import Account
from core.values.checks import checked_email, clean_name, clean_text
from core.values.currencies import ANY_CURRENCY, currency_code
from core.values.phones import normal_phone


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
    notes: tuple[str, ...] = ()


@one_operation
def add_account(panel: Panel, by: By, wish: NewAccount) -> Added:
    """Raises NotAllowed, InvalidInput, AlreadyExists, NotFound, NotEnoughCredit, AccountBusy, UpstreamFailed."""
    require(by.actor, ADD_ACCOUNTS)
    wish = _checked(wish, panel.config.country_code)
    with panel.database.read() as connection:
        # what can be refused is refused before any portal is asked; checked again in the transaction that reserves
        _draft(panel, connection, by, wish, NOT_ASKED)
    every_server = servers(panel)
    tariffs = tariffs_now(panel)

    def plan(connection: Connection) -> Draft[Creation]:
        draft = _draft(panel, connection, by, wish, tariffs)
        notes = draft.payload.notes + kept_otherwise(connection, draft.payload)
        # a number is taken only for what passes every check
        number = operations.next_account_number(connection)
        return replace(draft, payload=replace(draft.payload, account_number=number, notes=notes))

    record = operations.begin(panel, by.actor.id, plan, step=every_server[0].name)
    assert record is not None  # noqa: S101 - a creation always has something to do
    record = create.on_portals(panel, record, every_server, wish.password)
    account_id = create.confirm(panel, by, record)
    creation = Creation.read(record.payload)
    theme = set_theme(panel, record.username, creation.theme, creation.reseller)
    sent = {"full_name": creation.full_name, "comment": creation.comment, "end_date": creation.end_date}
    notes = creation.notes + told_otherwise(panel, record.username, sent)
    jobs.ring(panel)
    return Added(account_id, len(every_server) > 1, creation.end_date, Lag(theme=theme, notes=notes))


def _checked(wish: NewAccount, country_code: str) -> NewAccount:
    """The wish with every value in its stored form. Raises InvalidInput."""
    if not wish.password:
        raise InvalidInput.missing("password")
    if wish.end_date:
        rules.checked_end(wish.end_date)
    return NewAccount(
        username=rules.new_username(wish.username),
        mac=rules.required_mac(wish.mac),
        password=wish.password,
        full_name=clean_name(wish.full_name, "full_name"),
        email=checked_email(wish.email) or "",
        phone=normal_phone(wish.phone, country_code) or "",
        plan=wish.plan,
        tariff_plan=clean_text(wish.tariff_plan, "tariff_plan", 100),
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
    tariffs: Tariffs,
) -> Draft[Creation]:
    """Every check, and what the operation will do."""
    owner = _owner(panel, connection, by.actor, wish)
    _refuse_too_many(connection, by.actor, owner)
    purchase = _purchase(connection, by.actor, owner, wish, tariffs)
    refuse_taken(panel, connection, username=wish.username, mac=wish.mac)
    end_date = _end_date(panel, by.actor, wish, purchase.plan)
    payer, plan = purchase.payer, purchase.plan
    return Draft(
        kind=create.KIND,
        username=wish.username,
        mac=wish.mac,
        account_id=None,
        payload=Creation(
            full_name=wish.full_name,
            email=wish.email or None,
            phone=wish.phone or None,
            reseller=owner.id,
            plan=plan.id if plan else None,
            plan_name=plan.shown_name() if plan else None,
            tariff_plan=purchase.tariff_plan,
            end_date=end_date,
            status=wish.status or 0,
            comment=wish.comment,
            theme=owner.theme or panel.config.panel.default_theme,
            entry=purchase.entry,
            notes=purchase.notes,
        ),
        reseller=owner.id,
        payer_id=payer.id if payer else None,
        amount=purchase.net if payer else Decimal(0),
        price=plan.cost if payer and plan else Decimal(0),
    )


def _owner(panel: Panel, connection: Connection, actor: Actor, wish: NewAccount) -> Actor:
    """Whom the account will belong to, as stored now. Raises NotFound for an unknown reseller."""
    wanted = wish.reseller if is_unpaid(actor) and wish.reseller else actor.id
    owner = read_user(panel, connection, wanted)
    if owner is None:
        raise NotFound("Reseller not found")
    refuse_observer(owner)
    return owner


def _refuse_too_many(connection: Connection, actor: Actor, owner: Actor) -> None:
    if is_unpaid(actor) or owner.max_users <= 0:
        return
    # those on their way first: one that arrives between the two looks is counted once
    coming = [record.mac for record in operations.read_open(connection) if create.is_coming_to(owner.id, record)]
    arrived = select(func.count()).select_from(Account).where(Account.reseller == owner.id, Account.mac.not_in(coming))
    if (connection.scalar(arrived) or 0) + len(coming) >= owner.max_users:
        raise NotAllowed(f"Account limit reached: you can have at most {owner.max_users} accounts")


def _purchase(connection: Connection, actor: Actor, owner: Actor, wish: NewAccount, tariffs: Tariffs) -> _Purchase:
    if is_no_plan(wish.plan) and wish.needs_plan:
        raise InvalidInput.missing("plan", "please select a plan")
    plans = read_plans(connection)
    plan = None if is_no_plan(wish.plan) else plan_for_add(plans, wish.plan, owner.currency)
    if plan is None and wish.tariff_plan:
        plan = plan_for_tariff(plans, wish.tariff_plan, owner.currency, tariffs.listed)
        if plan is None and (is_unpaid(actor) or tariffs == NOT_ASKED):
            return _unplanned(wish.tariff_plan, tariffs)
    if plan is None:
        if is_no_plan(wish.plan) and not wish.tariff_plan and not is_unpaid(actor):
            raise InvalidInput.missing("plan", "the id or the key of a plan that you may sell, such as 12-GBP")
        if not is_no_plan(wish.plan) or not is_unpaid(actor):
            raise NotFound(NOT_FOUND)
        return _Purchase(None, "", Decimal(0), None, None)
    return _bought(actor, owner, wish, plan, tariffs)


def _unplanned(name: str, tariffs: Tariffs) -> _Purchase:
    """A tariff without a plan, as it is written: the portal gives its default tariff where it does not know it."""
    found = tariff_by_name(name, tariffs)
    notes = (found.note,) if found.note and tariffs.known is not None else ()
    return _Purchase(None, name, Decimal(0), None, None, notes)


def _bought(actor: Actor, owner: Actor, wish: NewAccount, plan: PlanRow, tariffs: Tariffs) -> _Purchase:
    pays = not is_unpaid(owner)
    if not is_unpaid(actor):
        require_usable(plan, owner)
    if pays:
        refuse_currency(plan, owner)
    net = net_price(plan, wish.discount if is_unpaid(actor) else 0)
    if pays:
        require_balance(owner.balance, plan.cost)
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
            discount=int((plan.price or 0) - net) or None,
        ),
    )
    tariff = tariff_of_plan(plan, tariffs)
    notes = (tariff.note,) if tariff.note else ()
    return _Purchase(plan, tariff.external_id, net, owner if pays else None, entry if net else None, notes)


def _end_date(panel: Panel, actor: Actor, wish: NewAccount, plan: PlanRow | None) -> date | None:
    today = panel.clock.today()
    if actor.super_user and wish.end_date:
        return rules.checked_end(wish.end_date)
    if plan is not None:
        return rules.first_end(today, plan.length)
    return None if actor.super_user else today + timedelta(days=rules.DAYS_WITHOUT_PLAN)
