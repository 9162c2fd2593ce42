"""The commands about sessions: a user's listed and ended, PHP's taken over, old ones cleared away."""

from collections.abc import Mapping
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext

from commands.failing import failing_clearly
from compat.sessions import PhpSessionInterface, SessionUnavailable
from compat.sessions.interface import ListedSession
from compat.sessions.php_files import PhpFileSessions
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
        store = _store()
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


def session_command(panel: Panel) -> click.Group:
    @click.group("session", help="Take over the sessions of a PHP panel, and clear old ones away.")
    def session() -> None: ...

    @session.command(
        "import",
        help="Take over who is logged in by PHP's session files (DIRECTORY: [session] php_save_path) into the"
        " configured store, sql or redis. Can be repeated; who is there already stays as he is.",
    )
    @click.argument("directory", required=False)
    @with_appcontext
    @failing_clearly
    def import_(directory: str | None) -> None:
        panel.layout  # noqa: B018 - a database that we may not touch is told now
        settings = panel.config.session
        if settings.store == "php-files":
            raise click.ClickException("The configured store is php-files itself; set [session] store to sql or redis.")
        path, handler = directory or settings.php_save_path, settings.php_serialize_handler
        try:
            _import(PhpFileSessions(path, handler, now=panel.clock.seconds))
        except ValueError as error:
            raise click.ClickException(f"{error}.") from None
        except SessionUnavailable as error:
            raise click.ClickException(error.text) from None

    @session.command("clean", help="Delete the sessions that no request used for longer than they live.")
    @with_appcontext
    def clean() -> None:
        cleared = 0
        try:
            while found := _store().clear():
                cleared += found
        except SessionUnavailable as error:
            raise click.ClickException(error.text) from None
        click.echo(f"{cleared} sessions deleted.")

    return session


def _import(source: PhpFileSessions) -> None:
    store = _store()
    taken = known = 0
    for sid, data in source.stored():
        if not says_logged_in(data) or data.idle_seconds > store.lifetime:
            continue
        if store.adopt(sid, data, data.idle_seconds):
            taken += 1
        else:
            known += 1
    click.echo(f"{taken} sessions taken over, {known} were there already.")


def _store() -> PhpSessionInterface:
    store = current_app.session_interface
    assert isinstance(store, PhpSessionInterface)  # noqa: S101 - installed by create_app
    return store


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
