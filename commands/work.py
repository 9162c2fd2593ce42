"""The commands about open operations, jobs and workers."""

import sys

import click

from commands.failing import failing_clearly
from core.accounts import recovery
from core.accounts.operations import Record
from core.jobs import jobs
from core.panel import Panel
from core.workers import workers

_SHOWN_UNDONE = 20


def operations_command(panel: Panel) -> click.Group:
    @click.group(
        "operations",
        invoke_without_command=True,
        help="List what was begun on accounts and is not finished: the portals and the database may differ there. "
        "Then what was undone in the background, and why.",
    )
    @click.pass_context
    @failing_clearly
    def operations_(context: click.Context) -> None:
        if context.invoked_subcommand is not None:
            return
        waiting = recovery.open_operations(panel)
        for record in waiting:
            _tell(panel, record)
        if not waiting:
            click.echo("No open operations.")
        if undone := recovery.undone_operations(panel, _SHOWN_UNDONE):
            click.echo("Undone in the background:")
        for record in undone:
            _tell(panel, record)

    @operations_.command("finish", help="Finish or undo all that nobody works on, now. Exits with 1 if one stays open.")
    @failing_clearly
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
    @failing_clearly
    def resolve(number: int) -> None:
        recovery.resolve(panel, number)
        click.echo(f"Operation {number} closed.")

    return operations_


def _tell(panel: Panel, record: Record) -> None:
    since = panel.clock.local(record.created_at).isoformat(sep=" ")
    taken = f", {record.amount} taken" if record.amount is not None else ""
    click.echo(f"{record.id}  {since}  {record.kind} {record.username} {record.mac}: {record.state}{taken}")
    if record.error:
        click.echo(f"    {record.error}")


def jobs_command(panel: Panel) -> click.Command:
    @click.command("jobs", help="List the work that waits, runs or has failed.")
    @failing_clearly
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


def worker_command(panel: Panel) -> click.Command:
    @click.command("worker", help="Run jobs in a process of its own, until SIGTERM or Ctrl-C.")
    @failing_clearly
    def worker() -> None:
        panel.layout  # noqa: B018 - a database that we may not touch is told now
        click.echo("Working; end with Ctrl-C.")
        workers.work(panel)

    return worker
