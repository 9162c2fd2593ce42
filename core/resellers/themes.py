"""Portal themes: which there are, and giving one to all accounts of a reseller. Source: contract chapter 30 C and D.

The calls run as a job, one after the other with a pause, so that a run of thousands dies neither with the browser nor
with the process: what was done is stored, and another process goes on from there.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, Self

from sqlalchemy import Connection, func, select

from core.access.actors import Actor
from core.access.audit import By
from core.access.user_rows import require_reseller
from core.accounts.on_portals import servers
from core.errors import DatabaseFailed, InvalidInput, PanelError
from core.jobs import jobs
from core.jobs.jobs import Kind, Work
from core.jobs.locks import Held, LockHeld, is_held, named_lock
from core.panel import Panel
from core.portal import PortalError, PortalNotConfigured, PortalServer, PortalTimeout, PortalUnreachable
from core.resellers.rules import MISSING, checked_theme
from core.storage.tables import Account

log = logging.getLogger(__name__)

KIND = "reseller_theme"
# the words for an account's failure; portals' own may hold anything
TIMEOUT, NO_CONNECTION, INVALID, NOT_CONFIGURED = (
    "Connection timeout",
    "Connection failed",
    "Invalid response",
    "Not configured",
)
# so many accounts in a row without a connection, and the rest is not tried
_PATIENCE = 3
_TELL_SECONDS, _RENEW_SECONDS = 1, 60
# longer in all than the lock of a process that is gone
_ATTEMPTS = 5


class ThemeRunning(PanelError):
    """All accounts of this reseller are being given a theme already."""

    default_text = "The theme of this reseller's accounts is being changed already; please wait until that has finished"


@dataclass(frozen=True, slots=True)
class Theme:
    id: str
    name: str
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What the job is to do; ``total``: the accounts that the reseller had then."""

    reseller_id: int
    theme: str
    total: int = 0

    def stored(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        return cls(**stored)


@dataclass
class ThemeCounts:
    """What became of a reseller's accounts so far.

    ``errors``: ``<username>: <reason>`` each; ``lagging``: accounts that server 2 refused; ``last_id``: the account up
    to which all is done.
    """

    total: int = 0
    updated: int = 0
    failed: int = 0
    errors: list[str] = field(default_factory=list)
    lagging: int = 0
    last_id: int = 0

    def count(self, account_id: int, username: str, reason: str | None) -> None:
        self.last_id = account_id
        if reason is None:
            self.updated += 1
        else:
            self.failed += 1
            self.errors.append(f"{username}: {reason}")

    def give_up(self, reason: str) -> None:
        """The rest was not tried."""
        self.failed = self.total - self.updated
        self.errors.append(reason)

    def stored(self) -> dict[str, Any]:
        """As ``get_job_status`` shows it."""
        return asdict(self)

    @classmethod
    def read(cls, stored: Mapping[str, Any] | None, total: int = 0) -> Self:
        """``stored`` None: nothing was told yet of ``total`` accounts."""
        return cls(total) if stored is None else cls(**stored)


@dataclass(frozen=True, slots=True)
class Propagation:
    """``job_id`` None: it is finished; else the job that goes on, and ``counts`` are those so far."""

    counts: ThemeCounts
    job_id: int | None = None


def offered_themes(panel: Panel) -> list[Theme]:
    """The configured themes, the default first."""
    settings = panel.config.panel
    ids = sorted(settings.themes, key=lambda theme: theme != settings.default_theme)
    return [Theme(theme, _shown(theme) + (" (Default)" if theme == ids[0] else ""), theme == ids[0]) for theme in ids]


def change_accounts_theme(panel: Panel, by: By, reseller_id: int, theme: str) -> Propagation:
    """Give all accounts of the reseller ``theme``; the reseller's own setting stays. Raises InvalidInput, NotFound,
    ThemeRunning."""
    if not theme:
        raise InvalidInput(MISSING)
    theme = checked_theme(theme)
    refuse_while_running(panel, reseller_id)

    def act(connection: Connection) -> jobs.Record | None:
        reseller = require_reseller(panel, connection, reseller_id)
        by.write_audit(
            panel,
            connection,
            "update",
            "theme",
            target_id=reseller.id,
            target_name=reseller.username,
            new={"theme": theme},
            details=f"Theme {theme} for all accounts of {reseller.username}",
        )
        return reserve(panel, connection, by.actor, reseller_id, theme)

    reserved = panel.database.transact(act, is_stored=partial(jobs.is_stored, panel))
    return carry_out(panel, reserved)


def refuse_while_running(panel: Panel, reseller_id: int) -> None:
    """Raises ThemeRunning."""
    for record in jobs.open_jobs(panel):
        if record.kind == KIND and not record.is_closed and Order.read(record.payload).reseller_id == reseller_id:
            raise ThemeRunning
    if is_held(panel, _lock(reseller_id)):
        raise ThemeRunning


def reserve(panel: Panel, connection: Connection, actor: Actor, reseller_id: int, theme: str) -> jobs.Record | None:
    """The job of a propagation, stored in the transaction that makes it due; None for a reseller without accounts."""
    total = connection.scalar(select(func.count()).where(Account.reseller == reseller_id)) or 0
    if not total:
        return None
    return jobs.reserve(panel, connection, KIND, Order(reseller_id, theme, total).stored(), actor.id)


def carry_out(panel: Panel, reserved: jobs.Record | None) -> Propagation:
    """Propagate, and wait for it as long as is configured: what asked for it is done, whatever comes of this."""
    if reserved is None:
        return Propagation(ThemeCounts())
    record = jobs.run_reserved(panel, KINDS, reserved, panel.config.jobs.wait_seconds)
    counts = ThemeCounts.read(record.result, Order.read(record.payload).total)
    if record.state == jobs.FAILED:
        counts.give_up(record.error or PanelError.default_text)
    return Propagation(counts, None if record.is_closed else record.id)


def propagate(
    panel: Panel, reseller_id: int, theme: str, report: Callable[[ThemeCounts], None], counts: ThemeCounts
) -> ThemeCounts:
    """Go on from ``counts`` to the end; ``report`` is told after each account."""
    with panel.database.read() as connection:
        accounts = _accounts(connection, reseller_id, counts.last_id)
    counts.total = counts.updated + counts.failed + len(accounts)
    script = _ThemeScript(panel, theme)
    for account_id, username in accounts:
        reason = script.set(username)
        counts.count(account_id, username, reason)
        counts.lagging += script.is_lagging
        report(counts)
        if script.is_worth_a_pause:
            time.sleep(panel.config.portal.theme_pause_seconds)
    return counts


class _ThemeScript:
    """The calls for one theme: server 1 decides, server 2 follows; gives up after failures in a row."""

    def __init__(self, panel: Panel, theme: str) -> None:
        self._theme = theme
        self._failures = 0
        self._last = NOT_CONFIGURED
        self._servers = _configured_servers(panel)
        self.is_lagging = False

    @property
    def is_worth_a_pause(self) -> bool:
        return bool(self._servers) and self._failures < _PATIENCE

    def set(self, username: str) -> str | None:
        """Why server 1 did not take it; None: it did."""
        self.is_lagging = False
        if not self._servers:
            return NOT_CONFIGURED
        if not username:
            return INVALID
        if self._failures >= _PATIENCE:
            return self._last
        first, *others = self._servers
        reason = self._call(first, username)
        self._failures = self._failures + 1 if reason in (TIMEOUT, NO_CONNECTION) else 0
        self._last = reason or self._last
        for server in others:
            self.is_lagging = self._call(server, username) is not None
        return reason

    def _call(self, server: PortalServer, username: str) -> str | None:
        try:
            server.set_theme(username, self._theme)
        except PortalTimeout:
            return TIMEOUT
        except PortalUnreachable:
            return NO_CONNECTION
        except PortalError:
            return INVALID
        return None


def _configured_servers(panel: Panel) -> list[PortalServer]:
    """Nothing where no theme can be set: without a portal or a key for its script."""
    if not panel.config.portal.theme_key.get_secret_value():
        log.warning("themes are not applied: no theme key is configured")
        return []
    try:
        return list(servers(panel))
    except PortalNotConfigured:
        log.warning("themes are not applied: no portal is configured")
        return []


def _accounts(connection: Connection, reseller_id: int, after: int) -> list[tuple[int, str]]:
    rows = connection.execute(
        select(Account.id, Account.username)
        .where(Account.reseller == reseller_id, Account.id > after)
        .order_by(Account.id)
    )
    return [(row.id, row.username or "") for row in rows]


class _Progress:
    """Stores how far a run is, now and then, which also renews the claims on the job and on its lock."""

    def __init__(self, work: Work, held: Held) -> None:
        self._work = work
        self._held = held
        self._told_at = self._renewed_at = time.monotonic()

    def __call__(self, counts: ThemeCounts) -> None:
        now = time.monotonic()
        if now < self._told_at + _TELL_SECONDS:
            return
        self._told_at = now
        try:
            self._work.report(counts.updated + counts.failed, counts.total, counts.stored())
            if now > self._renewed_at + _RENEW_SECONDS:
                self._renewed_at = now
                self._held.renew()
        except DatabaseFailed as error:
            # the accounts matter more than the count; the claims hold for some minutes
            log.warning("the progress of a theme could not be stored: %s", type(error).__name__)


def _run(work: Work) -> Mapping[str, Any]:
    order, counts = Order.read(work.payload), ThemeCounts.read(work.record.result)
    try:
        with named_lock(work.panel, _lock(order.reseller_id)) as held:
            progress = _Progress(work, held)
            return propagate(work.panel, order.reseller_id, order.theme, progress, counts).stored()
    except LockHeld:
        # asked for at the same moment, or by a job that was taken for dead: this one comes after it
        raise ThemeRunning from None


def _lock(reseller_id: int) -> str:
    return f"theme:{reseller_id}"


def _shown(theme: str) -> str:
    return theme.replace("_", " ").title() if theme.islower() else theme


KINDS: Mapping[str, Kind] = {KIND: Kind(_run, attempts=_ATTEMPTS, carries_on=True)}
