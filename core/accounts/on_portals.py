"""What the operations on accounts share in dealing with the portals: which servers, looks, themes, refusals.

The calls themselves are in :mod:`core.portal`. Source: contract chapters 20 §1.9 and 90 §10.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from core.access.user_rows import read_user
from core.accounts.rows import MAC_TAKEN, USERNAME_TAKEN, AccountRow
from core.accounts.rules import FAR_FUTURE
from core.errors import AlreadyExists, DatabaseFailed, InvalidInput, NotFound, PanelError, UpstreamFailed
from core.panel import Panel
from core.plans.plan_tariff import Tariffs
from core.portal import (
    Outcome,
    PortalAccount,
    PortalAccountNotFound,
    PortalError,
    PortalInvalidInput,
    PortalLoginTaken,
    PortalMacTaken,
    PortalServer,
    PortalTimeout,
    PortalUnreachable,
)
from core.portal.accounts import Field
from core.portal.reading_back import kept_otherwise
from core.portal.stored_form import LAST_END, is_same_end, is_same_text, kept_end
from core.portal.wire.deadline import one_deadline
from core.values.escaping import quotable

P = ParamSpec("P")
R = TypeVar("R")
log = logging.getLogger(__name__)


class Seen(Enum):
    """What a look at the portal says about a change whose answer was lost."""

    APPLIED = auto()
    NOT_APPLIED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Lag:
    """What did not work although the operation did: texts for the caller, None where nothing failed.

    ``notes``: what the portal has otherwise than it was asked for, a sentence each.
    """

    server2: str | None = None
    theme: str | None = None
    notes: tuple[str, ...] = ()


def servers(panel: Panel) -> Sequence[PortalServer]:
    """Server 1, and server 2 in dual mode. Raises PortalNotConfigured."""
    portals = panel.portals
    primary, secondary = portals.primary, portals.secondary
    return (primary,) if secondary is None else (primary, secondary)


def one_operation(act: Callable[Concatenate[Panel, P], R]) -> Callable[Concatenate[Panel, P], R]:
    """``act`` with one time for all that it asks of the portals (90 §13 M13)."""

    @wraps(act)
    def within_its_time(panel: Panel, /, *args: P.args, **options: P.kwargs) -> R:
        with one_deadline(panel.config.portal.operation_seconds):
            return act(panel, *args, **options)

    return within_its_time


def told_otherwise(panel: Panel, login: str, sent: Mapping[str, Field]) -> tuple[str, ...]:
    """A sentence for each of the ``sent`` fields of an account that a portal has otherwise now."""
    notes = []
    end = sent.get("end_date")
    if isinstance(end, date) and not is_same_end(end, kept_end(end)):
        notes.append(f"The portal can keep no end after {LAST_END}, and was told that day; here it is {end}")
    texts = {name: value for name, value in sent.items() if isinstance(value, str)}
    for server in servers(panel):
        for kept in kept_otherwise(server, login, texts):
            shown = kept.name.replace("full_name", "name")
            became = "perhaps not all" if kept.text is None else f"not all: it has {quotable(kept.text)}"
            notes.append(f"The portal keeps of the {shown} {became}")
    return tuple(dict.fromkeys(notes))


def tariffs_now(panel: Panel) -> Tariffs:
    """The tariffs of server 1, just asked for: an external id that is not there any more would give the default."""
    try:
        return Tariffs(panel.portals.tariffs.get(fresh=True))
    except PortalError as error:
        return Tariffs(failure=error)


def refusal_of(error: PortalError, doing: str) -> PanelError:
    """The failure that the caller reads: ``doing`` says what did not work ("Account creation failed")."""
    if isinstance(error, PortalLoginTaken):
        return AlreadyExists(USERNAME_TAKEN)
    if isinstance(error, PortalMacTaken):
        return AlreadyExists(error.text if error.text.startswith(MAC_TAKEN) else MAC_TAKEN)
    text = f"{doing} on {error.server}: {error.text}" if error.server else f"{doing}: {error.text}"
    if isinstance(error, PortalAccountNotFound):
        return NotFound(text)
    return InvalidInput(text) if isinstance(error, PortalInvalidInput) else UpstreamFailed(text)


def may_still_follow(error: PortalError) -> bool:
    """Whether the effect of a call without an answer may come after we looked for it."""
    return error.outcome is not Outcome.NOT_DONE and isinstance(error, PortalTimeout | PortalUnreachable)


def set_theme(panel: Panel, username: str, theme: str | None, owner_id: int | None) -> str | None:
    """Set the theme on every server; the first failure's text, None when there is none.

    ``theme``: that of the account's owner when this was decided; if he was given another one while the portals took
    their time, that. Without a theme or a configured key nothing is sent.
    """
    if not theme or not panel.config.portal.theme_key.get_secret_value():
        return None
    # nothing may fail any more that is not the portals' fault
    with suppress(DatabaseFailed), panel.database.read() as connection:
        owner = None if owner_id is None else read_user(panel, connection, owner_id)
        theme = (owner and owner.theme) or theme
    failure = None
    for server in servers(panel):
        try:
            server.set_theme(username, theme)
        except PortalError as error:
            log.warning("portal %s: the theme of an account was not taken: %s", server.name, type(error).__name__)
            failure = failure or error.text
    return failure


def fields_of(row: AccountRow, names: Iterable[str]) -> dict[str, Field]:
    """The portal's fields ``names`` as the account is stored; a comment that was never stored is left out."""
    values: dict[str, Field] = {
        "login": row.username,
        "full_name": row.full_name,
        "email": row.email,
        "phone": row.phone_number,
        "tariff_plan": row.tariff_plan,
        "status": row.status,
        "end_date": row.end_date,
        "comment": row.comment,
    }
    fields = {name: values[name] for name in names}
    if fields.get("comment", "") is None:
        del fields["comment"]
    if fields.get("tariff_plan") == "":
        del fields["tariff_plan"]
    return fields


def all_fields_of(row: AccountRow) -> dict[str, Field]:
    """Every field that the PHP panel sends with an edit, empty ones left out (chapter 20 §1.9)."""
    names = ("login", "full_name", "email", "phone", "status", "end_date", "comment")
    told = {name: value for name, value in fields_of(row, names).items() if value is not None and value != ""}
    return {**told, "stb_mac": row.mac}


def put(server: PortalServer, row: AccountRow, fields: dict[str, Field]) -> None:
    """Change ``fields`` of the account that the portal has as ``row``. Raises PortalError.

    The status alone goes by the call that may be repeated.
    """
    if list(fields) == ["status"]:
        server.set_status(row.mac, fields["status"] == 1, login=row.username)
    elif fields:
        server.update_account(row.mac, fields, login=row.username)


def put_password(server: PortalServer, row: AccountRow, password: str | None) -> None:
    """Give the account that the portal has as ``row`` a new password, if there is one. Raises PortalError.

    Alone and last: a portal carries out status, password and the rest one after the other, and what it refuses of the
    rest leaves the password changed (90 §13 M8).
    """
    if password:
        server.update_account(row.mac, {"password": password}, login=row.username)


def switch_back(server: PortalServer, before: AccountRow, after: AccountRow, fields: Mapping[str, Field]) -> bool:
    """After ``fields`` were refused: the status as it was, for a portal sets that before it looks at the rest. False
    if that could not be done."""
    if before.status == after.status or "status" not in fields or len(fields) == 1:
        return True
    try:
        server.set_status(before.mac, before.status == 1, login=before.username)
    except PortalAccountNotFound:
        return True
    except PortalError:
        return False
    return True


def look(server: PortalServer, row: AccountRow, changed: Iterable[str]) -> Seen:
    """Whether the portal has the ``changed`` fields as ``row`` has them."""
    try:
        found = server.account_by_mac(row.mac, login=row.username)
    except PortalError:
        return Seen.UNKNOWN
    if found is None:
        return Seen.NOT_APPLIED
    answers = [_agrees(found, row, name) for name in changed]
    visible = [answer for answer in answers if answer is not None]
    if not visible:
        return Seen.UNKNOWN
    return Seen.APPLIED if all(visible) else Seen.NOT_APPLIED


def _agrees(found: PortalAccount, row: AccountRow, name: str) -> bool | None:
    """None for what the portal does not tell."""
    if name == "login":
        return found.login.casefold() == row.username.casefold()
    if name == "status":
        return found.status == (row.status == 1)
    if name == "full_name":
        return is_same_text(found.full_name, row.full_name)
    if name == "tariff_plan":
        return found.tariff_plan == row.tariff_plan
    if name == "phone" and found.has_phone:
        return _digits(found.phone) == _digits(row.phone_number)
    if name == "end_date" and found.has_end_date:
        return _same_end(found.end_date, row.end_date)
    return None


def _same_end(told: date | None, wanted: date | None) -> bool:
    # earlier versions sent the far future, which a stock portal cannot keep and tells as no date
    return is_same_end(told, wanted) or (told is None and wanted == FAR_FUTURE)


def _digits(text: str | None) -> str:
    return "".join(character for character in text or "" if character.isdigit())
