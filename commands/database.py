"""The commands that check, upgrade and fill the database."""

import sys

import click

from commands.failing import failing_clearly
from commands.progress import progress
from core.administration import upgrading
from core.administration.database_clock import zone_warnings
from core.administration.missing_settings import missing_settings
from core.moving import copying
from core.panel import Panel
from core.storage.database import Database
from core.storage.table_faults import narrow_texts


def database_command(panel: Panel) -> click.Group:
    @click.group("db", help="Check or upgrade the configured database.")
    def db() -> None: ...

    @db.command("check", help="Tell what an upgrade would do; change nothing. Exits with 1 when there is something.")
    @failing_clearly
    def check() -> None:
        findings = upgrading.planned(panel)
        click.echo(f"Database: {findings.shape.value}")
        for line in findings.lines:
            click.echo(f"- {line}")
        for fault in findings.faults:
            click.echo(f"Wrong: {fault}")
        for warning in [] if findings.is_refused else _warnings(panel):
            click.echo(f"Warning: {warning}")
        if findings.lines or findings.faults:
            sys.exit(1)
        click.echo("Nothing to do.")

    @db.command("upgrade", help="Add missing tables, columns, indexes and first rows. Nothing is removed or renamed.")
    @click.option("--dry-run", is_flag=True, help="Only tell all that would be written.")
    @failing_clearly
    def upgrade(dry_run: bool) -> None:
        if dry_run:
            _tell_plan(panel)
            return
        done = upgrading.upgrade(panel, lambda line: click.echo(f"- {line}"))
        click.echo(f"Done: {len(done)} changes." if done else "Nothing to do.")

    return db


def _warnings(panel: Panel) -> list[str]:
    return [*narrow_texts(panel.database), *zone_warnings(panel), *missing_settings(panel.config, panel.database)]


def _tell_plan(panel: Panel) -> None:
    findings = upgrading.planned(panel)
    if findings.is_refused:
        raise click.ClickException(" ".join(findings.lines))
    for line in findings.lines:
        click.echo(f"- {line}")
    click.echo(f"To be done: {len(findings.lines)} changes." if findings.lines else "Nothing to do.")


def copy_command(panel: Panel) -> click.Command:
    @click.command("copy-from", help="Copy a panel's database into the configured one. Can be repeated.")
    @click.argument("database_url")
    @click.option("--replace", is_flag=True, help="Copy also over what was entered in the configured database since.")
    @failing_clearly
    def copy_from(database_url: str, replace: bool) -> None:
        try:
            source = Database(database_url, must_exist=True)
        except ValueError as error:
            raise click.ClickException(str(error)) from None
        with progress("rows") as report:
            copied = copying.copy_from(source, panel.database, report, replace=replace)
        for table, count in copied.items():
            click.echo(f"{table}: {count}")

    return copy_from
