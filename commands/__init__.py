"""What ``showbox …`` and ``flask --app wsgi …`` can do: one module per group of commands. Core does the work."""

from flask import Flask

from commands.backup import backup_command
from commands.database import copy_command, database_command
from commands.jobs import cron_command, job_command
from commands.ledger import ledger_command
from commands.sessions import session_command
from commands.sync import sync_command
from commands.telegram import telegram_command
from commands.users import unassign_command, user_command
from commands.work import jobs_command, operations_command, worker_command
from commands.xtream import xtream_command
from core.panel import Panel


def register(app: Flask, panel: Panel) -> None:
    """Give ``app`` the commands, working on ``panel``."""
    # Flask-Session's own, which ours replace: "session clean"
    app.cli.commands.pop("session_cleanup", None)
    for command in (
        database_command(panel),
        user_command(panel),
        copy_command(panel),
        backup_command(panel),
        operations_command(panel),
        jobs_command(panel),
        worker_command(panel),
        sync_command(panel),
        ledger_command(panel),
        telegram_command(panel),
        unassign_command(panel),
        job_command(panel),
        cron_command(panel),
        session_command(panel),
        xtream_command(panel),
    ):
        app.cli.add_command(command)
