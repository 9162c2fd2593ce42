"""The command ``flask --app wsgi backup``: dumps of the database on the server itself. Core does the work."""

from pathlib import Path

import click

from commands.failing import failing_clearly
from commands.progress import progress
from commands.sync import BY_CONSOLE
from core.backup import backups, files
from core.backup.files import BackupKind
from core.panel import Panel

_KINDS = {
    BackupKind.EXPORT: "exported in the panel",
    BackupKind.BEFORE_IMPORT: "before a restore",
    BackupKind.BY_CLOCK: "by the nightly job",
    BackupKind.BY_HAND: "by hand",
}


def backup_command(panel: Panel) -> click.Group:
    @click.group("backup", help="Make, list and restore backups of the database: dumps for this server and for MySQL.")
    def backup() -> None: ...

    @backup.command("create", help="Store a backup, and tell where.")
    @failing_clearly
    def create() -> None:
        with progress("rows") as report:
            made = backups.make(panel, BackupKind.BY_HAND, report)
        click.echo(made.path.resolve())

    @backup.command("list", help="List the backups that are stored, the newest first.")
    @failing_clearly
    def list_() -> None:
        found = files.stored(panel)
        for stored in found:
            made_at = panel.clock.local(stored.made_at).isoformat(sep=" ")
            click.echo(f"{stored.name}  {made_at}  {stored.size} bytes  {_KINDS[stored.kind]}")
        if not found:
            click.echo("No backups.")

    @backup.command(
        "restore",
        help="Replace the panel's data by that of FILE: a dump of ours or of mysqldump, or a name that list shows. All"
        " of it or nothing. A backup is made before.",
    )
    @click.argument("file")
    @click.confirmation_option(prompt="This replaces accounts, users, balances and settings. Go on?")
    @failing_clearly
    def restore(file: str) -> None:
        path = _found(panel, file)
        with path.open("rb") as dump, progress("bytes") as report:
            done = backups.import_dump(panel, BY_CONSOLE, dump, path.name, report)
        for table, count in done.tables.items():
            click.echo(f"{table}: {count}")
        for what in done.skipped:
            click.echo(f"left out: {what}")
        click.echo(f"The backup made before is {done.backup}.")

    return backup


def _found(panel: Panel, name: str) -> Path:
    path = Path(name)
    stored = None if path.is_file() else files.find(panel, name)
    if stored is None and not path.is_file():
        raise click.ClickException(f"There is no file {name}, and no backup of that name.")
    return path if stored is None else stored.path
