"""The door: builds the panel of the configuration and serves it, with ``python wsgi.py`` or any WSGI server.

``wsgi:app`` is the application, made at its first request; ``flask --app wsgi`` has the commands.
"""

import gc

# nothing that is imported is garbage; to look through it again and again, and at the end, takes half of a short run
_COLLECTS = gc.isenabled()
gc.disable()

import argparse
import ipaddress
import logging
import os
import socket
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from flask import Flask
from pydantic import SecretStr, ValidationError
from sqlalchemy import select
from werkzeug.wrappers import Response

import commands
from compat.serving.engines import ServingSettings, serve_by_several, serve_here
from compat.serving.granian_engine import EngineMissing
from compat.sessions import refuse_unusable_sessions
from compat.watching import log_lines
from core.administration.demo import DemoUser, demo_users, fill_demo, use_catchers
from core.administration.portal_servers import forget_settings
from core.config import Config, ConfigError, Portal, Server, default_path, load_config
from core.errors import DatabaseBusy, DatabaseUnavailable, PanelError
from core.jobs.bell import bell
from core.panel import Panel
from core.storage.faults import DatabaseSetUp
from core.storage.private_files import refuse_unusable_directory, warn_if_readable
from core.storage.schema import UnknownDatabase
from core.storage.tables import Account, Plan
from core.workers import workers
from core.xtream.catalogue.demo import CONNECTIONS, fill_xtream_demo
from core.xtream.node_client import DIALECTS
from legacy_routes import app as wire
from simulators.mail_catcher import MailCatcher
from simulators.stalker import StalkerPortal
from simulators.telegram import TOKEN, USERNAME, BotApi
from simulators.xtream_node.server import XtreamNode

if _COLLECTS:
    gc.freeze()
    gc.enable()

log = logging.getLogger(__name__)

_UNUSABLE = "The configuration cannot be used; the log of the server says why."
DEMO_DATABASE = Path("var/demo/panel.db")
# of the simulated portal, which only this machine can reach
DEMO_THEME_KEY = "demo"
_MIB = 1024 * 1024


def build(config: Config) -> tuple[Flask, Panel]:
    """The application and the panel behind it; no database is touched yet."""
    log_lines.configure(config.log.format, config.log.level)
    panel = Panel(config)
    app = wire.create_app(panel)
    commands.register(app, panel)
    workers.attach(panel)
    return app, panel


def begin(app: Flask, panel: Panel) -> None:
    """In the process that serves: what works beside it starts. Raises ValueError or PanelError, in a sentence, where
    sessions, jobs or files could not be kept."""
    try:
        refuse_unusable_sessions(app)
        refuse_unusable_directory(panel.config.panel.data_directory)
        bell(panel).open()
    except (PanelError, ValueError):
        panel.close()
        raise
    workers.start(panel)


def create_app() -> Flask:
    """The configured application, for ``flask --app wsgi``; its commands decide themselves what is begun."""
    _log_to_stderr()
    try:
        app, _ = build(load_config(default_path()))
    except (ConfigError, ValueError) as error:
        raise SystemExit(str(error)) from None
    return app


class LateApplication:
    """The configured application, made at its first request, in the process that serves it.

    A server may load this file long before it forks: threads, locks and connections would not survive that.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._app: Flask | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            app = self._app or self._made()
        except (ConfigError, PanelError, ValueError) as error:
            log.critical("%s", error)
            return Response(_UNUSABLE, 503, content_type="text/plain")(environ, start_response)
        return app(environ, start_response)

    def _made(self) -> Flask:
        with self._lock:
            if self._app is None:
                _log_to_stderr()
                app, panel = build(load_config(default_path()))
                begin(app, panel)
                self._app = app
            return self._app


app = LateApplication()
# the name that mod_wsgi and uWSGI look for
application = app


@dataclass(frozen=True)
class Catchers:
    """What the demo's messages end in."""

    api: BotApi
    mail: MailCatcher


@contextmanager
def catchers(config: Config) -> Iterator[tuple[Config, Catchers]]:
    """A Bot API and a mail server that deliver nothing, and the configuration that uses them."""
    with BotApi() as api, MailCatcher() as mail:
        telegram = config.telegram.model_copy(update={"api_base": api.base_url})
        yield config.model_copy(update={"telegram": telegram}), Catchers(api, mail)


@contextmanager
def simulated_portal(config: Config) -> Iterator[tuple[Config, StalkerPortal]]:
    """A portal for the demo, and the configuration that uses it; it lives as long as the demo does."""
    with StalkerPortal(dialect="panel", theme_key=DEMO_THEME_KEY, tariff_lengths=True) as portal:
        used = Portal(
            primary_api_url=portal.base_url, primary_address=portal.server_address, theme_key=SecretStr(DEMO_THEME_KEY)
        )
        yield config.model_copy(update={"portal": used}), portal


@contextmanager
def simulated_nodes() -> Iterator[Mapping[int, XtreamNode]]:
    """Streaming servers for the demo, one of each dialect, by their ids."""
    with XtreamNode(DIALECTS[0], name="node 1") as one, XtreamNode(DIALECTS[1], name="node 2", seed=2) as two:
        yield {1: one, 2: two}


def _fill_nodes(nodes: Mapping[int, XtreamNode], panel: Panel) -> None:
    """What the Xtream API works on, with the processes of its open connections."""
    fill_xtream_demo(panel, {id: node.port for id, node in nodes.items()}, nodes[1].secret)
    for _, _, _, server, pid, _ in CONNECTIONS:
        if pid is not None:
            nodes[server].state.add_process(pid)


def _fill_portal(portal: StalkerPortal, panel: Panel) -> None:
    """Give the portal the plans and accounts that the demo's database has kept."""
    with panel.database.read() as connection:
        for plan in connection.execute(select(Plan.external_id, Plan.name, Plan.days)):
            portal.add_plan(plan.external_id, plan.name, days_to_expires=plan.days)
        for account in connection.execute(select(Account.__table__).order_by(Account.id)):
            portal.add_user(
                account.username,
                account.mac,
                tariff_plan=account.tariff_plan or "",
                full_name=account.full_name or "",
                phone=account.phone_number or "",
                status=int(bool(account.status)),
                end_date=f"{account.end_date} 00:00:00" if account.end_date else "0000-00-00 00:00:00",
                reseller=account.reseller,
            )


def main(arguments: Sequence[str] | None = None) -> None:
    """``python wsgi.py [--config FILE] [--host H] [--port P] [--demo]``."""
    options = _options(arguments)
    _log_to_stderr()
    # what we write is nobody else's to read
    os.umask(0o077)
    try:
        config = _config(options)
    except (ConfigError, PanelError, ValueError) as error:
        raise SystemExit(str(error)) from None
    try:
        if options.demo:
            _serve_demo(config)
        else:
            serve_configured(config)
    except OSError as error:
        address = f"{config.server.host}:{config.server.port}"
        raise SystemExit(f"Nothing can be served at {address}: {error.strerror or error}.") from None


def serve_configured(config: Config) -> None:
    """Serve by as many processes as ``config`` says, until SIGTERM or Ctrl-C.

    Raises SystemExit, with a sentence, when what is configured cannot be used, and OSError for its address.
    """
    try:
        refuse_unusable_directory(config.panel.data_directory)
        app, panel = build(config)
        _look_at_database(panel)
        refuse_unusable_sessions(app)
        bell(panel).open()
    except (ConfigError, PanelError, ValueError) as error:
        raise SystemExit(str(error)) from None
    settings = _serving_settings(config)
    # a name that nobody knows is told now, whichever engine would meet it
    socket.getaddrinfo(settings.host, settings.port)
    if settings.is_one_process:
        begin(app, panel)
        serve_here(app, settings, _greeting(config))
        return
    # each process has its own: connections and threads do not survive a fork
    panel.close()
    try:
        serve_by_several(partial(_started, config), settings, _greeting(config))
    except EngineMissing as error:
        raise SystemExit(str(error)) from None


def _look_at_database(panel: Panel) -> None:
    """One that we may not touch, or that is set up wrongly, is told now and not at the first request; one that is only
    away is waited for, by requests that are answered with 503. Raises DatabaseFailed."""
    try:
        panel.layout  # noqa: B018 - looks at it
    except (DatabaseSetUp, UnknownDatabase):
        raise
    except (DatabaseBusy, DatabaseUnavailable) as error:
        log.warning("%s. Until it is there, requests are answered with 503.", error.text.rstrip("."))


def _started(config: Config) -> Flask:
    app, panel = build(config)
    begin(app, panel)
    return app


def _serving_settings(config: Config) -> ServingSettings:
    return ServingSettings(
        host=config.server.host,
        port=config.server.port,
        processes=config.process_count,
        threads=config.server.threads,
        engine=config.server.engine,
        connections_per_address=config.server.connections_per_address,
        exempt=config.server.trusted_proxies,
        largest_body=int(max(8 * config.server.body_limit_mib, 2 * config.backup.max_mib) * _MIB),
        held_back=wire.hashing_paths(),
    )


def _serve_demo(config: Config) -> None:
    """Everything that the panel talks to is simulated within this process."""
    with ExitStack() as stack:
        try:
            config, portal = stack.enter_context(simulated_portal(config))
            config, caught = stack.enter_context(catchers(config))
            nodes = stack.enter_context(simulated_nodes())
            users = demo_users(only_here=is_only_here(config))
            refuse_unusable_directory(config.panel.data_directory)
            app, panel = build(config)
            # of an earlier start, whose portal had another address
            forget_settings(panel)
            fill_demo(panel, users)
            use_catchers(panel, caught.mail.host, caught.mail.port, TOKEN, USERNAME)
            _fill_portal(portal, panel)
            _fill_nodes(nodes, panel)
        except (ConfigError, PanelError, ValueError) as error:
            raise SystemExit(str(error)) from None
        begin(app, panel)
        serve_here(app, _serving_settings(config), _greeting(config, users, caught))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="wsgi.py", description="Serve the panel.")
    parser.add_argument("--config", type=Path, help="the configuration file (default: $SHOWBOX_CONFIG, ./config.ini)")
    parser.add_argument("--host", help="the address to listen on")
    parser.add_argument("--port", type=int, help="the port to listen on")
    parser.add_argument("--demo", action="store_true", help="serve example data from var/demo/, whatever is configured")
    return parser.parse_args(arguments)


def _config(options: argparse.Namespace) -> Config:
    """The configuration with the command line's word on top; the demo never uses a configured database."""
    file = options.config or (None if options.demo else default_path())
    config = load_config(file)
    if file is not None:
        warn_if_readable(file)
    given = {key: value for key in ("host", "port") if (value := getattr(options, key)) is not None}
    try:
        server = Server.model_validate({**config.server.model_dump(), **given})
    except ValidationError:
        raise ConfigError(["The port must be a number from 0 to 65535."]) from None
    config = config.model_copy(update={"server": server})
    if options.demo:
        database = config.database.model_copy(update={"url": SecretStr(f"sqlite:///{DEMO_DATABASE}")})
        session = config.session.model_copy(update={"store": "sql"})
        panel = config.panel.model_copy(update={"data_directory": DEMO_DATABASE.parent})
        xtream = config.xtream.model_copy(update={"database_url": SecretStr("")})
        config = config.model_copy(update={"database": database, "session": session, "panel": panel, "xtream": xtream})
    return config


def is_only_here(config: Config) -> bool:
    """Whether nobody but this machine's users reaches the server: not the network, nor a proxy's clients."""
    return _is_loopback(config.server.host) and not config.server.trusted_proxies and not config.security.public_url


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _greeting(config: Config, users: Sequence[DemoUser] = (), caught: Catchers | None = None) -> str:
    """``users`` and ``caught``: of the demo, which has them."""
    address = f"http://{config.server.host}:{config.server.port}"
    lines = [f"{config.panel.name} is served at {address}"]
    if caught is not None:
        admin = users[0]
        lines += ["Logins:", *(f"  {user.username} / {user.password}  ({user.shown})" for user in users), "Try:"]
        body = f'{{"username":"{admin.username}","password":"{admin.password}"}}'
        lines.append(f"  curl -c cookies.txt -H 'Content-Type: application/json' -d '{body}' {address}/login.php")
        lines.append(f"  curl -b cookies.txt {address}/get_accounts.php")
        lines += ["Messages go nowhere; the last ones are shown at:"]
        lines += [f"  {caught.mail.messages_url}  (mail)", f"  {caught.api.base_url}/messages  (Telegram)"]
        lines.append(f"  curl -b cookies.txt '{address}/api.php?action=stream&sub=start&stream_id=1&server_id=1'")
    return "\n".join(lines) + "\n"


def _log_to_stderr() -> None:
    log_lines.configure()


if __name__ == "__main__":
    main()
