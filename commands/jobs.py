"""The commands ``flask --app wsgi job`` and ``cron``: scheduled jobs, and crontabs that name the panel's scripts.

Core does the work. Source: contract chapter 60, "Scheduled jobs" and "Existing crontabs, unedited".
"""

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import click
from tqdm import tqdm

from commands import launchers
from commands.launchers import BEFORE
from core.administration import upgrading
from core.config import ENVIRONMENT_PREFIX
from core.errors import PanelError
from core.jobs.scheduled import COULD_NOT_RUN, DONE, Options, run_job
from core.messages.reminders.log import clear_log
from core.messages.reminders.settings import MAX_DAYS, MIN_DAYS
from core.panel import Panel
from core.workers import schedule
from core.workers.cron_scripts import JOB_SCRIPTS, RESET_SCRIPT, SETUP_SCRIPTS

_CLEAR = "showbox cron clear-history"


class Console:
    """Lines on standard output, each at once and in UTF-8 whatever the locale; a bar where a terminal watches."""

    def __init__(self) -> None:
        # where standard output is none of its own, as under another program's capture, it stays as it is
        with suppress(AttributeError, OSError):
            sys.stdout.reconfigure(encoding="utf-8", errors="replace", line_buffering=True)  # type: ignore[union-attr]
        self._bar = tqdm(disable=None, dynamic_ncols=True, leave=False)

    def line(self, text: str) -> None:
        tqdm.write(text, file=sys.stdout)

    def progress(self, done: int, total: int) -> None:
        self._bar.total = total
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        self._bar.close()


def job_command(panel: Panel) -> click.Command:
    names = ", ".join(job.name for job in schedule.JOBS)

    @click.command("job", help=f"Run a scheduled job now: {names}. Its panel's script name does as well.")
    @click.argument("name")
    @click.option("--days", type=int, help=f"Instead of the configured number of days, {MIN_DAYS} to {MAX_DAYS}.")
    @click.option("--dry-run", is_flag=True, help="Only tell what would be done.")
    @click.option("--strict", is_flag=True, help="Exit with 2 when something failed.")
    def job_(name: str, days: int | None, dry_run: bool, strict: bool) -> None:
        sys.exit(_run(panel, name, Options(days, dry_run, strict)))

    return job_


def cron_command(panel: Panel) -> click.Group:
    @click.group("cron", help="For crontabs that were made for the panel: their scripts, as ours.")
    def cron() -> None: ...

    @cron.command(
        "run",
        help="Do what the panel's script of that name did. Arguments that it never knew are ignored, as it did.",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    @click.argument("script")
    @click.option("--days")
    @click.option("--dry-run", is_flag=True)
    @click.option("--strict", is_flag=True)
    def run(script: str, days: str | None, dry_run: bool, strict: bool) -> None:
        sys.exit(_run_script(panel, script, days, dry_run, strict))

    @cron.command("install", help="Write a stand-in for php to DIRECTORY, and with --root launchers to a panel's root.")
    @click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
    @click.option("--root", type=click.Path(file_okay=False, path_type=Path), help="The directory that crontabs name.")
    @click.option("--replace", is_flag=True, help=f"Also where PHP's own files are, which are kept as *{BEFORE}.")
    def install(directory: Path, root: Path | None, replace: bool) -> None:
        _tell(launchers.install(directory.resolve(), root.resolve() if root else None, replace=replace))
        _warn_of_environment()

    @cron.command("uninstall", help="Take away what install wrote to DIRECTORY and the root, and put originals back.")
    @click.argument("directory", type=click.Path(file_okay=False, path_type=Path))
    @click.option("--root", type=click.Path(file_okay=False, path_type=Path), help="The directory that crontabs name.")
    def uninstall(directory: Path, root: Path | None) -> None:
        _tell(launchers.uninstall(directory.resolve(), root.resolve() if root else None))

    @cron.command("clear-history", help="Delete the whole history of reminders, and so what was sent already.")
    @click.confirmation_option(prompt="Reminders that are due today may then be sent again. Delete the whole history?")
    def clear() -> None:
        try:
            click.echo(f"Deleted: {clear_log(panel)}")
        except PanelError as error:
            raise click.ClickException(error.text) from None

    return cron


def _run(panel: Panel, name: str, options: Options) -> int:
    console = Console()
    try:
        job = schedule.find(name)
        if job is None:
            console.line(f"ERROR: there is no job {name}")
            return COULD_NOT_RUN
        if options.days is not None and not MIN_DAYS <= options.days <= MAX_DAYS:
            console.line(f"ERROR: the days must be {MIN_DAYS} to {MAX_DAYS}")
            return COULD_NOT_RUN
        return run_job(panel, job, options, console)
    finally:
        console.close()


def _run_script(panel: Panel, script: str, days: str | None, dry_run: bool, strict: bool) -> int:
    name = Path(script).name
    if name in SETUP_SCRIPTS:
        return _upgrade(panel, name)
    if name == RESET_SCRIPT:
        click.echo(f"ERROR: {name} is not run from here; to delete the history of reminders: {_CLEAR}")
        return COULD_NOT_RUN
    if days is not None and not days.isdecimal():
        click.echo(f"ERROR: the days must be {MIN_DAYS} to {MAX_DAYS}")
        return COULD_NOT_RUN
    number = None if days is None else int(days)
    return _run(panel, JOB_SCRIPTS.get(name, name), Options(number, dry_run, strict))


def _upgrade(panel: Panel, script: str) -> int:
    try:
        done = upgrading.upgrade(panel, click.echo)
    except PanelError as error:
        click.echo(f"ERROR: {script}: {error.text}")
        return COULD_NOT_RUN
    click.echo(f"{script}: the database is up to date ({len(done)} changes)")
    return DONE


def _tell(lines: Iterator[str]) -> None:
    try:
        for line in lines:
            click.echo(line)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None


def _warn_of_environment() -> None:
    """Cron gives jobs no environment of ours."""
    names = sorted(name for name in os.environ if name.startswith(ENVIRONMENT_PREFIX) and name != "SHOWBOX_CONFIG")
    if names:
        click.echo(
            f"These settings of your environment are not seen by cron; put them into the file: {' '.join(names)}",
            err=True,
        )
