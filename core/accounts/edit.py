"""What the edits of a subscriber account decide: edit, renewal, partial update and status, with every check.

Carrying the decision out, on the portals and in the database, is in :mod:`core.accounts.change`. Source: contract
chapter 20 §1.5 to §1.8, §4, §5, §7, §8.
"""

from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import EDIT_ACCOUNTS, TOGGLE_ACCOUNTS, is_unpaid, require, require_over
from core.access.user_rows import read_user, refuse_observer
from core.accounts import rules
from core.accounts.change import PORTAL_FAILED, Changed, Planned, change_if_any
from core.accounts.on_portals import Lag, fields_of, one_operation, refusal_of, tariffs_now, told_otherwise
from core.accounts.rows import AccountRow, find_by_mac, refuse_taken, require_by_username
from core.errors import InvalidInput, NotAllowed, NotFound
from core.ledger import ledger
from core.panel import Panel
from core.plans.choice import (
    NOT_FOUND,
    PlanRow,
    PlanWish,
    is_no_plan,
    net_price,
    plan_for_add,
    plan_for_edit,
    plan_for_tariff,
    read_plans,
    require_balance,
    require_usable,
)
from core.plans.plan_tariff import NOT_ASKED, Tariffs, tariff_by_name, tariff_of_plan
from core.portal import PortalError
from core.values.checks import checked_email, clean_name, clean_text
from core.values.currencies import ANY_CURRENCY, currency_code
from core.values.escaping import quotable

# a repeated identical switch within this time is a double click (contract README, "double clicks")
DOUBLE_CLICK_MS = 2000


@dataclass(frozen=True, slots=True)
class Edit:
    """What was asked for; None is absent. Texts of the request; an empty e-mail or phone clears, other texts keep.

    ``partial``: the rules of ``update_account``, else those of ``edit_account``.
    """

    username: str
    new_username: str | None = None
    password: str | None = field(default=None, repr=False)
    full_name: str | None = None
    email: str | None = None
    phone: str | None = None
    comment: str | None = None
    status: int | None = None
    plan: PlanWish = None
    discount: int = 0
    partial: bool = False
    tariff_plan: str | None = None
    end_date: str | None = None
    mac: str | None = None
    reseller: int | None = None


@one_operation
def edit_account(panel: Panel, by: By, wish: Edit) -> Changed:
    """Edit, renew or update. Raises NotAllowed, NotFound, InvalidInput, AlreadyExists, NotEnoughCredit,
    AccountBusy, UpstreamFailed."""
    require(by.actor, EDIT_ACCOUNTS)
    with panel.database.read() as connection:
        needs = _needs_tariffs(_plan_edit(panel, connection, by.actor, wish, NOT_ASKED), wish)
    tariffs = tariffs_now(panel) if needs else NOT_ASKED
    changed = change_if_any(
        panel,
        by,
        lambda connection: _plan_edit(panel, connection, by.actor, wish, tariffs),
        password=wish.password or None,
    )
    assert changed is not None  # noqa: S101 - this plan always decides
    return replace(changed, lag=_with_what_portals_keep(panel, changed))


def _with_what_portals_keep(panel: Panel, changed: Changed) -> Lag:
    before, after = changed.before, changed.after
    names = [name for name in ("full_name", "comment", "end_date") if getattr(before, name) != getattr(after, name)]
    return replace(
        changed.lag, notes=changed.lag.notes + told_otherwise(panel, after.username, fields_of(after, names))
    )


@one_operation
def set_status(
    panel: Panel,
    by: By,
    status: int | None,
    *,
    username: str = "",
    mac: str = "",
) -> Changed:
    """Switch an account on (1) or off (0). Raises as :func:`edit_account`."""
    if not username and not mac:
        raise InvalidInput.missing("username", "or mac")
    if status is None:
        raise InvalidInput.missing("status", "1 or 0")
    status = rules.checked_status(status, default=1)

    def plan(connection: Connection) -> Planned | None:
        before = _target(panel, connection, username, mac)
        require_over(by.actor, TOGGLE_ACCOUNTS, before.reseller)
        is_repeated = panel.clock.seconds() * 1000 - before.changed_at < DOUBLE_CLICK_MS
        if before.status == status and is_repeated:
            return None
        return Planned(before, replace(before, status=status), always_send=("status",), what="status")

    with panel.database.read() as connection:
        found = _target(panel, connection, username, mac)
        require_over(by.actor, TOGGLE_ACCOUNTS, found.reseller)
    done = change_if_any(panel, by, plan, password=None)
    if done is None:
        return Changed(found, replace(found, status=status), renewed=False, lag=Lag())
    return done


def _target(panel: Panel, connection: Connection, username: str, mac: str) -> AccountRow:
    if username:
        return require_by_username(panel, connection, username)
    found = find_by_mac(connection, rules.required_mac(mac))
    if found is None:
        raise NotFound("Account not found")
    return found


def _plan_edit(
    panel: Panel,
    connection: Connection,
    actor: Actor,
    wish: Edit,
    tariffs: Tariffs,
) -> Planned:
    """Every check, and the row as it will be."""
    if not wish.username:
        raise InvalidInput.missing("username")
    before = require_by_username(panel, connection, wish.username)
    require_over(actor, EDIT_ACCOUNTS, before.reseller)
    if wish.mac and rules.required_mac(wish.mac) != before.mac:
        raise InvalidInput("The {field} of an account cannot be changed: it is another one here", field="mac")
    after = _with_texts(actor, before, wish, panel.config.country_code)
    if wish.new_username and quotable(wish.new_username).casefold() != quotable(before.username).casefold():
        after = replace(
            after, username=rules.new_username(wish.new_username, "new_username" if wish.partial else "username")
        )
        refuse_taken(panel, connection, username=after.username)
    after = _with_owner(panel, connection, actor, after, wish)
    always = ("end_date",) if before.end_date is not None and not wish.partial else ()
    planned = Planned(before, after, always_send=always, phone_given=bool(wish.phone))
    if not is_no_plan(wish.plan):
        return _with_renewal(panel, connection, actor, planned, wish, tariffs)
    if wish.partial:
        planned = replace(planned, after=_with_end_date(actor, planned.after, wish))
        if wish.tariff_plan:
            planned = _with_tariff(panel, connection, actor, planned, wish.tariff_plan, tariffs)
    return planned


def _with_texts(actor: Actor, row: AccountRow, wish: Edit, country_code: str) -> AccountRow:
    """Name, e-mail, phone, comment and status."""
    status = rules.checked_status(wish.status, default=row.status)
    comment = clean_text(wish.comment or "", "comment", rules.COMMENT_CHARACTERS)
    row = replace(row, status=status, comment=comment or row.comment)
    if not rules.may_edit_names(actor):
        return row
    if wish.full_name:
        row = replace(row, full_name=_named(row, wish.full_name))
    if wish.email is not None:
        row = replace(row, email=checked_email(wish.email))
    if wish.phone is not None:
        row = replace(row, phone_number=rules.edited_phone(wish.phone, row.phone_number, country_code))
    return row


def _named(row: AccountRow, name: str) -> str:
    """The full name after an edit; one that comes back as it was shown is the stored one."""
    return row.full_name if name == quotable(row.full_name) else clean_name(name, "full_name") or row.full_name


def _with_owner(panel: Panel, connection: Connection, actor: Actor, row: AccountRow, wish: Edit) -> AccountRow:
    if not wish.partial or not wish.reseller or wish.reseller == row.reseller:
        return row
    if not actor.super_user:
        raise NotAllowed("Permission denied. Only a super admin can assign an account to another reseller.")
    owner = read_user(panel, connection, wish.reseller)
    if owner is None:
        raise NotFound("Reseller not found")
    refuse_observer(owner)
    return replace(row, reseller=wish.reseller)


def _with_end_date(actor: Actor, row: AccountRow, wish: Edit) -> AccountRow:
    if not wish.end_date:
        return row
    end_date = rules.checked_end(wish.end_date)
    if end_date is None and not actor.super_user and row.end_date is not None:
        raise NotAllowed("Permission denied. Only a super admin can make an account unlimited.")
    if not is_unpaid(actor) and end_date != row.end_date:
        raise NotAllowed("Permission denied. Only admins and reseller admins can set an end date.")
    return replace(row, end_date=end_date)


def _with_tariff(
    panel: Panel,
    connection: Connection,
    actor: Actor,
    planned: Planned,
    name: str,
    tariffs: Tariffs,
) -> Planned:
    """Another tariff by name. One that neither the panel nor the portal knows is not sent: a stock portal would
    silently give its default tariff."""
    row = planned.after
    name = clean_text(name, "tariff_plan", 100)
    if name in (row.tariff_plan, quotable(row.tariff_plan)):
        return planned
    if not is_unpaid(actor):
        raise NotAllowed("Permission denied. Only admins and reseller admins can change a tariff.")
    owner = read_user(panel, connection, row.reseller or actor.id) or actor
    plan = plan_for_tariff(read_plans(connection), name, owner.currency, tariffs.listed)
    if plan is not None:
        return _given(replace(planned, after=replace(row, plan=plan.id)), plan, tariffs)
    if isinstance(tariffs.failure, PortalError):
        raise refusal_of(tariffs.failure, PORTAL_FAILED)
    found = tariff_by_name(name, tariffs)
    notes = (found.note,) if found.note and tariffs != NOT_ASKED else ()
    if found.external_id:
        row = replace(row, tariff_plan=found.external_id)
    return replace(planned, after=row, notes=notes)


def _needs_tariffs(planned: Planned, wish: Edit) -> bool:
    """Whether the portal's list is needed to know what the account is to be given."""
    plan = planned.plan
    return bool(wish.tariff_plan) or (plan is not None and plan.external_id != planned.before.tariff_plan)


def _given(planned: Planned, plan: PlanRow, tariffs: Tariffs) -> Planned:
    """With the tariff of ``plan``: who pays for a plan gets its channels (90 §13 M15).

    One that the portal does not have is not sent: a stock portal would silently give its default tariff. Raises
    UpstreamFailed when the list that tells cannot be had, unless the plan stays the one that it is.
    """
    row = planned.after
    if plan.external_id == row.tariff_plan:
        return planned
    if isinstance(tariffs.failure, PortalError):
        if planned.before.plan == plan.id:
            return planned
        raise refusal_of(tariffs.failure, PORTAL_FAILED)
    found = tariff_of_plan(plan, tariffs)
    if found.is_known and found.external_id:
        row = replace(row, tariff_plan=found.external_id)
    return replace(planned, after=row, notes=(found.note,) if found.note else ())


def _with_renewal(
    panel: Panel, connection: Connection, actor: Actor, planned: Planned, wish: Edit, tariffs: Tariffs
) -> Planned:
    if wish.partial and wish.end_date:
        raise InvalidInput("Send either a plan or an end date")
    before = planned.before
    owner = read_user(panel, connection, before.reseller or actor.id) or actor
    choose = plan_for_add if wish.partial else plan_for_edit
    plan = choose(read_plans(connection), wish.plan, owner.currency)
    if plan is None:
        raise NotFound(NOT_FOUND)
    net_price(plan, wish.discount)
    after = replace(
        planned.after,
        plan=plan.id,
        end_date=rules.renewed_end(panel.clock.today(), before.end_date, plan.length),
    )
    planned = replace(planned, after=after, plan=plan, always_send=("end_date",), what="renewal")
    planned = _given(planned, plan, tariffs)
    if is_unpaid(actor):
        return planned
    payer = read_user(panel, connection, actor.id) or actor
    require_usable(plan, payer)
    require_balance(payer.balance, plan.cost)
    entry = ledger.Entry(
        creator=actor.username,
        for_user=actor.id,
        amount=str(-plan.cost),
        currency=currency_code(payer.currency if plan.currency == ANY_CURRENCY else plan.currency),
        type=ledger.CREDIT,  # what panels write for a renewal
        details=f"Account renewal: {before.username} - Plan: {plan.shown_name()}",
        note=ledger.Note(
            ledger.RENEWAL,
            account_id=before.id,
            username=before.username,
            mac=before.mac,
            full_name=before.full_name,
            plan_id=plan.id,
            plan_name=plan.shown_name(),
        ),
    )
    return replace(planned, payer=payer, net=plan.cost, entry=entry if plan.cost else None)
