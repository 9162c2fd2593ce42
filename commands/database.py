"""The commands that check, upgrade and fill the database."""

import sys

import click

from commands.failing import failing_clearly
from commands.progress import progress
from core.access import audit_digest
from core.administration.clocks import zone_warnings
from core.messages.mail.first_templates import give_first_super
from core.messages.sms import first_templates
from core.messages.telegram.templates import give_missing
from core.moving import copying
from core.panel import Panel
from core.storage import schema
from core.storage.database import Database
from core.workers import workers


def database_command(panel: Panel) -> click.Group:
    @click.group("db", help="Check or upgrade the configured database.")
    def db() -> None: ...

    @db.command("check", help="Tell what an upgrade would do; change nothing. Exits with 1 when there is something.")
    @failing_clearly
    def check() -> None:
        findings = schema.check(panel.database)
        click.echo(f"Database: {findings.shape.value}")
        for line in findings.lines:
            click.echo(f"- {line}")
        for warning in zone_warnings(panel):
            click.echo(f"Warning: {warning}")
        if findings.lines:
            sys.exit(1)
        click.echo("Nothing to do.")

    @db.command("upgrade", help="Add missing tables, columns and indexes. Nothing is ever removed or renamed.")
    @failing_clearly
    def upgrade() -> None:
        done = schema.upgrade(panel.database, lambda line: click.echo(f"- {line}"))
        given = first_templates.give_missing_stages(panel) + give_first_super(panel) + give_missing(panel)
        if given:
            done.append(f"add {given} message templates")
            click.echo(f"- {done[-1]}")
        workers.seal_stored(panel)
        # a long log is counted now, and not while somebody waits for its first page
        audit_digest.carry_on(panel)
        click.echo(f"Done: {len(done)} changes." if done else "Nothing to do.")

    return db


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
