"""The command ``flask --app wsgi sync``: the accounts brought in line with the portal's. Core does the work."""

from dataclasses import replace

import click

from commands.progress import progress
from core.access.actors import bare_actor
from core.access.audit import By, Origin
from core.errors import PanelError
from core.panel import Panel
from core.sync.fields import LocalAccount
from core.sync.merge import Changes, counts
from core.sync.sync import synchronise, wish_of

SHOWN_NAMES = 10
# as whom the audit log shows what the command line did
SYSTEM = bare_actor(0, "system", super_user=True)
BY_CONSOLE = By(SYSTEM, Origin("", "command line"))


def sync_command(panel: Panel) -> click.Command:
    @click.command("sync", help="Take the accounts over from portal server 1, and tell what was changed.")
    @click.option("--dry-run", is_flag=True, help="Only tell what would be changed.")
    @click.option("--force", is_flag=True, help="Believe a list that is empty or lacks most accounts.")
    def sync(dry_run: bool, force: bool) -> None:
        try:
            with progress("accounts") as report:
                wish = replace(wish_of(panel, SYSTEM), force=force, dry_run=dry_run, report=report)
                changes = synchronise(panel, BY_CONSOLE, wish)
        except PanelError as error:
            raise click.ClickException(error.text) from None
        _tell(changes, dry_run)

    return sync


def _tell(changes: Changes, dry_run: bool) -> None:
    click.echo("This would be changed:" if dry_run else "This was changed:")
    for label, number in counts(changes).items():
        click.echo(f"{label + ':':<12}{number}")
    for label, accounts in (("new", changes.inserted), ("removed", changes.removed)):
        if accounts:
            click.echo(f"{label}: {_names(accounts)}")


def _names(accounts: list[LocalAccount]) -> str:
    shown = ", ".join(account.username for account in accounts[:SHOWN_NAMES])
    more = len(accounts) - SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown
