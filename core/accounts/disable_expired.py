"""J3: accounts that have expired are switched off, on the portals and in the panel. Source: contract chapter 60, J3.

Each account is a change like any other (:mod:`core.accounts.change`): what a crash or a silent portal server 2 leaves
open is finished by the next run.
"""

import time
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from core.access.audit import BY_CRON
from core.accounts.change import Changed, Planned, change_if_any
from core.accounts.end_dates import ended_before, known_day, stored_day
from core.accounts.on_portals import one_operation, servers
from core.accounts.records import AUTO_DISABLE
from core.accounts.recovery import finish_open_operations
from core.accounts.rows import find_by_id
from core.errors import DatabaseFailed, PanelError
from core.jobs.scheduled import Run, ScheduledJob
from core.panel import Panel
from core.storage.tables import Account

PAUSE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Expired:
    """An account that is on although its last day is over."""

    id: int
    username: str
    full_name: str | None
    mac: str
    end_day: str

    @property
    def shown(self) -> str:
        return f"{self.username} ({self.full_name or self.username}), {self.mac}, ended on {self.end_day}"


def expired_accounts(panel: Panel) -> list[Expired]:
    """All of them, the longest expired first."""
    chosen = (
        select(Account.id, Account.username, Account.full_name, Account.mac, stored_day(Account.end_date))
        .where(Account.status == 1, ended_before(Account.end_date, panel.clock.today()))
        .order_by(Account.end_date, Account.id)
    )
    panel.layout  # noqa: B018 - creates our tables where they are missing
    with panel.database.read() as connection:
        rows = [Expired(*row) for row in connection.execute(chosen)]
    return [account for account in rows if known_day(account.end_day) is not None]


@one_operation
def disable(panel: Panel, account_id: int) -> Changed | None:
    """Switch the account off; None when it is off, gone or renewed meanwhile. Raises UpstreamFailed, AccountBusy."""

    def plan(connection: Connection) -> Planned | None:
        still = ended_before(Account.end_date, panel.clock.today())
        due = select(Account.id).where(Account.id == account_id, Account.status == 1, still)
        before = find_by_id(connection, account_id) if connection.scalar(due) else None
        if before is None or before.end_date is None:
            return None
        return Planned(before, replace(before, status=0), always_send=("status",), what=AUTO_DISABLE)

    return change_if_any(panel, BY_CRON, plan, password=None)


def _run(run: Run) -> int:
    """How many accounts could not be switched off."""
    if not run.options.dry_run:
        # what an earlier run left open, e.g. because portal server 2 was away
        finish_open_operations(run.panel)
    accounts = expired_accounts(run.panel)
    if accounts and not run.options.dry_run:
        # without a portal nothing can be done at all
        servers(run.panel)
    succeeded = 0
    for number, account in enumerate(accounts, start=1):
        succeeded += _one(run, account)
        run.step(number, len(accounts))
    failed = 0 if run.options.dry_run else len(accounts) - succeeded
    run.stamped(f"Total: {len(accounts)} | Success: {succeeded} | Failed: {failed}")
    return failed


def _one(run: Run, account: Expired) -> bool:
    """Whether the account is off now, or need not be any more."""
    if run.options.dry_run:
        run.stamped(f"WOULD DISABLE - {account.shown}")
        return False
    try:
        changed = disable(run.panel, account.id)
    except DatabaseFailed:
        raise
    except PanelError as error:
        run.stamped(f"ERROR - {account.shown}: {error.text}")
        return False
    finally:
        time.sleep(PAUSE_SECONDS)
    if changed is None:
        run.stamped(f"SUCCESS - {account.shown}: changed meanwhile, left as it is")
        return True
    if changed.is_missing:
        run.stamped(f"WARN - {account.shown}: the portal has no such account")
    if changed.lag.server2:
        run.stamped(f"WARN - {account.shown}: server 2 did not follow and is told again later: {changed.lag.server2}")
    run.stamped(f"SUCCESS - {account.shown}")
    return True


DISABLE_EXPIRED = ScheduledJob(
    name="disable-expired",
    script="cron_disable_expired_accounts.php",
    lock="disable-expired",
    usual="0 * * * *",
    summary="Switch off accounts that have expired",
    run=_run,
)
