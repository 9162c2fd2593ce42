"""The commands of ``flask --app wsgi``: database, users, copying of a legacy database, open work, workers.
Sync and what crontabs start have modules of their own. Core does the work.
"""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click
from flask import Flask

from commands_job import cron_command, job_command
from commands_progress import progress
from commands_sync import CONSOLE, SYSTEM, sync_command
from core import assigning, copying, jobs, recovery, schema, sms_templates, users, workers
from core.database import Database
from core.errors import PanelError
from core.panel import Panel


def register(app: Flask, panel: Panel) -> None:
    """Give ``app`` the commands, working on ``panel``."""
    for command in (
        _db(panel),
        _user(panel),
        _copy_from(panel),
        _operations(panel),
        _jobs(panel),
        _worker(panel),
        sync_command(panel),
        _unassign_admins(panel),
        job_command(panel),
        cron_command(panel),
    ):
        app.cli.add_command(command)


def _db(panel: Panel) -> click.Group:
    @click.group("db", help="Check or upgrade the configured database.")
    def db() -> None: ...

    @db.command("check", help="Tell what an upgrade would do; change nothing. Exits with 1 when there is something.")
    @_failing_clearly
    def check() -> None:
        findings = schema.check(panel.database)
        click.echo(f"Database: {findings.shape.value}")
        for line in findings.lines:
            click.echo(f"- {line}")
        if findings.lines:
            sys.exit(1)
        click.echo("Nothing to do.")

    @db.command("upgrade", help="Add missing tables, columns and indexes. Nothing is ever removed or renamed.")
    @_failing_clearly
    def upgrade() -> None:
        done = schema.upgrade(panel.database, lambda line: click.echo(f"- {line}"))
        given = sms_templates.give_missing_stages(panel)
        if given:
            done.append(f"add {given} message templates")
            click.echo(f"- {done[-1]}")
        click.echo(f"Done: {len(done)} changes." if done else "Nothing to do.")

    return db


def _user(panel: Panel) -> click.Group:
    @click.group("user", help="Add users and set their passwords.")
    def user() -> None: ...

    @user.command("add", help="Add a user; asks for the password.")
    @click.argument("username")
    @click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
    @click.option("--name", help="The name shown in the panel.")
    @click.option("--email")
    @click.option("--currency", default="GBP", show_default=True)
    @click.option("--super", "super_user", is_flag=True, help="A super admin.")
    @click.option("--observer", is_flag=True, help="Sees everything, changes nothing.")
    @_failing_clearly
    def add(
        username: str,
        password: str,
        name: str | None,
        email: str | None,
        currency: str,
        super_user: bool,
        observer: bool,
    ) -> None:
        users.add_user(
            panel,
            username,
            password,
            name=name,
            email=email,
            currency=currency,
            super_user=super_user,
            is_observer=observer,
        )
        click.echo(f"User {username} added.")

    @user.command("password", help="Set a user's password; asks for it. The user's sessions end.")
    @click.argument("username")
    @click.option("--password", prompt=True, hide_input=True, confirmation_prompt=True)
    @_failing_clearly
    def password_(username: str, password: str) -> None:
        users.set_password(panel, username, password)
        click.echo(f"Password of {username} set.")

    return user


def _copy_from(panel: Panel) -> click.Command:
    @click.command("copy-from", help="Copy a panel's database into the configured one. Can be repeated.")
    @click.argument("database_url")
    @click.option("--replace", is_flag=True, help="Copy also over what was entered in the configured database since.")
    @_failing_clearly
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


def _operations(panel: Panel) -> click.Group:
    @click.group(
        "operations",
        invoke_without_command=True,
        help="List what was begun on accounts and is not finished: the portals and the database may differ there.",
    )
    @click.pass_context
    @_failing_clearly
    def operations_(context: click.Context) -> None:
        if context.invoked_subcommand is not None:
            return
        waiting = recovery.open_operations(panel)
        for record in waiting:
            since = panel.clock.local(record.created_at).isoformat(sep=" ")
            taken = f", {record.amount} taken" if record.amount is not None else ""
            click.echo(f"{record.id}  {since}  {record.kind} {record.username} {record.mac}: {record.state}{taken}")
            if record.error:
                click.echo(f"    {record.error}")
        if not waiting:
            click.echo("No open operations.")

    @operations_.command("finish", help="Finish or undo all that nobody works on, now. Exits with 1 if one stays open.")
    @_failing_clearly
    def finish() -> None:
        findings = recovery.finish_open_operations(panel, even_if_not_due=True)
        for found in findings:
            outcome = "closed" if found.is_closed else f"still open: {found.error or 'no reason is known'}"
            click.echo(f"{found.id}  {found.kind} {found.username}: {outcome}")
        click.echo(f"Done: {sum(found.is_closed for found in findings)} of {len(findings)} closed.")
        if not all(found.is_closed for found in findings):
            sys.exit(1)

    @operations_.command(
        "resolve", help="Close one without asking the portals, after you have set them right; pays back what was taken."
    )
    @click.argument("number", type=int)
    @_failing_clearly
    def resolve(number: int) -> None:
        recovery.resolve(panel, number)
        click.echo(f"Operation {number} closed.")

    return operations_


def _jobs(panel: Panel) -> click.Command:
    @click.command("jobs", help="List the work that waits, runs or has failed.")
    @_failing_clearly
    def jobs_() -> None:
        found = jobs.open_jobs(panel)
        for record in found:
            since = panel.clock.local(record.created_at).isoformat(sep=" ")
            progress = "" if record.total is None else f", {record.done} of {record.total}"
            click.echo(f"{record.id}  {since}  {record.kind}: {record.state}{progress}")
            if record.error:
                click.echo(f"    {record.error}")
        if not found:
            click.echo("No open jobs.")

    return jobs_


def _worker(panel: Panel) -> click.Command:
    @click.command("worker", help="Run jobs in a process of its own, until SIGTERM or Ctrl-C.")
    @_failing_clearly
    def worker() -> None:
        panel.layout  # noqa: B018 - a database that we may not touch is told now
        click.echo("Working; end with Ctrl-C.")
        workers.work(panel)

    return worker


def _unassign_admins(panel: Panel) -> click.Command:
    @click.command("unassign-admins", help="Assign the accounts of super admins to nobody.")
    @_failing_clearly
    def unassign_admins() -> None:
        panel.layout  # noqa: B018 - a database that we may not touch is told now
        click.echo(f"Updated {assigning.unassign_super_admins(panel, SYSTEM, CONSOLE)} accounts.")

    return unassign_admins


def _failing_clearly(function: Callable[..., Any]) -> Callable[..., Any]:
    """A refusal of the business is one sentence and exit code 1, no stack trace."""

    @wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except PanelError as error:
            raise click.ClickException(error.text) from None

    return run
