"""The command that lists the sessions of a user and ends them, in whatever store they are."""

from collections.abc import Mapping
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from commands.failing import failing_clearly
from compat.sessions import PhpSessionInterface, SessionUnavailable
from compat.sessions.interface import ListedSession
from core.access.identity import STARTED_MARK, find_user, says_logged_in
from core.panel import Panel


def sessions_command(panel: Panel) -> click.Command:
    @click.command("sessions", help="List the sessions of a user, or end them.")
    @click.argument("username")
    @click.option("--end", metavar="ID|all", help="The session to end, as the list names it, or all of them.")
    @with_appcontext
    @failing_clearly
    def sessions(username: str, end: str | None) -> None:
        panel.layout  # noqa: B018 - a database that we may not touch is told now
        store = current_app.session_interface
        assert isinstance(store, PhpSessionInterface)  # noqa: S101 - installed by create_app
        try:
            found = [listed for listed in store.list_sessions() if _belongs(panel, listed.data, username)]
            if end is None:
                _show(panel, found)
                return
            ended = [listed for listed in found if end in ("all", listed.name)]
            if not ended and end != "all":
                raise click.ClickException(f"{username} has no session {end}")
            for listed in ended:
                store.end_session(listed)
        except SessionUnavailable as error:
            raise click.ClickException(error.text) from None
        click.echo(f"{len(ended)} ended.")

    return sessions


def _belongs(panel: Panel, data: Mapping[str, Any], username: str) -> bool:
    if not says_logged_in(data):
        return False
    user = find_user(panel, username)
    name = str(data["username"]).casefold()
    return name in ({username.casefold()} | ({user.username.casefold()} if user else set()))


def _show(panel: Panel, found: list[ListedSession]) -> None:
    for listed in found:
        started = listed.data.get(STARTED_MARK)
        since = panel.clock.local(started).strftime("%Y-%m-%d %H:%M") if isinstance(started, int) else "unknown"
        click.echo(f"{listed.name}  since {since}  idle {listed.data.idle_seconds // 60} min")
    click.echo(f"{len(found)} sessions.")
