"""The app: the register of all endpoints, the session store, and what is installed around them."""

from typing import Any, cast

import flask
from flask import Flask
from redis import Redis
from sqlalchemy import Table
from sqlalchemy.exc import SQLAlchemyError

from compat import double_clicks
from compat.application import Application
from compat.client import ClientResolver
from compat.dispatcher import Dispatcher
from compat.endpoints import Endpoint, Endpoints
from compat.guards.rate_limit import RequestLimit
from compat.guards.security_headers import install_security_headers
from compat.guards.security_log import install_security_log
from compat.pages import Frontend
from compat.parameters import Limits
from compat.serving.broken_bodies import with_readable_bodies
from compat.serving.waiting_requests import Places
from compat.sessions import SessionStore, SessionUnavailable, install_sessions
from compat.sessions.php_files import PhpFileSessions
from compat.sessions.redis import RedisSessions
from compat.sessions.sql import Find, Replace, SqlSessions
from compat.slashes import install_prefixed_redirects, with_single_slashes
from compat.watching.metrics import install_metrics
from compat.watching.requests import install_access_log, with_request_ids
from core.access.identity import find_session, replace_session
from core.access.idle_timeout import AUTO_LOGOUT_MAX
from core.config import Config
from core.errors import DatabaseFailed, PanelError
from core.jobs.given_answers import GivenAnswers
from core.panel import Panel
from core.storage.faults import LASTING, set_up_fault
from core.storage.tables import StoredSession
from core.values.entry_losses import losses
from legacy_routes.access import audit_log, passkeys, session
from legacy_routes.accounts import accounts, sync
from legacy_routes.administration import backup, stalker_settings
from legacy_routes.devices import stb
from legacy_routes.gate import Gate
from legacy_routes.ledger import transactions
from legacy_routes.messages import mail, push, reminders, sms, telegram
from legacy_routes.operating import install_operating
from legacy_routes.pages import install_pages
from legacy_routes.payments import payments
from legacy_routes.payments.receipts import install_receipts
from legacy_routes.plans import plans, tariffs
from legacy_routes.resellers import assigning, resellers, themes
from legacy_routes.workers import jobs
from legacy_routes.workers.cron import install_cron
from legacy_routes.xtream import api as xtream

_MIB = 1024 * 1024
AREAS: tuple[Endpoints, ...] = (
    session.endpoints,
    passkeys.endpoints,
    audit_log.endpoints,
    accounts.endpoints,
    sync.endpoints,
    resellers.endpoints,
    assigning.endpoints,
    themes.endpoints,
    reminders.endpoints,
    payments.endpoints,
    jobs.endpoints,
    plans.endpoints,
    tariffs.endpoints,
    stb.endpoints,
    stalker_settings.endpoints,
    sms.endpoints,
    mail.endpoints,
    telegram.endpoints,
    transactions.endpoints,
    push.endpoints,
    backup.endpoints,
    xtream.endpoints,
)


def all_endpoints() -> list[Endpoint]:
    """Every declared endpoint, area by area."""
    return [endpoint for area in AREAS for endpoint in area.declared.values()]


def hashing_paths() -> frozenset[str]:
    """Where passwords are looked at or stored, which holds a thread and a processor for long."""
    return frozenset(path for endpoint in all_endpoints() if endpoint.manners.hashes for path in endpoint.paths)


def create_app(panel: Panel) -> Flask:
    """The whole panel as a WSGI application. Touches no database before the first request."""
    config = panel.config
    app = Application("showbox", static_folder=None, template_folder=None)
    app.config.update(
        MAX_CONTENT_LENGTH=int(config.server.body_limit_mib * _MIB),
        MAX_FORM_MEMORY_SIZE=int(config.server.body_limit_mib * _MIB),
        MAX_FORM_PARTS=config.server.fields_limit,
    )
    clients = ClientResolver(config.server.trusted_proxies, config.security.public_url)
    install_sessions(
        app,
        _session_store(panel),
        secure=lambda request: request.is_secure,
        cookie_name=config.session.cookie_name,
    )
    if config.security.log_refusals:
        install_security_log(app, clients)
    install_security_headers(app, hsts=config.security.hsts)
    app.url_map.merge_slashes = False
    install_prefixed_redirects(app)
    install_metrics(app)
    install_access_log(app, clients, lines=config.log.access)
    served = with_readable_bodies(with_single_slashes(clients.behind_proxies(app.wsgi_app)))
    app.wsgi_app = with_request_ids(served, clients)  # type: ignore[method-assign, assignment]
    limits = Limits(config.server.fields_limit, int(config.server.file_limit_mib * _MIB))
    request_limit = RequestLimit(config.security.requests_per_minute, panel.counters)
    places = Places(config.server.threads)
    memory = GivenAnswers(panel, int(double_clicks.SECONDS * 1000))
    dispatcher = Dispatcher(panel, Gate(), clients, limits, PanelError, request_limit, memory, losses, places)
    dispatcher.install(app, all_endpoints())
    install_cron(app, dispatcher)
    telegram.install_webhook(app, dispatcher)
    install_receipts(app, dispatcher)
    backup.install_downloads(app, dispatcher)
    xtream.install_redirect(app)
    install_operating(app, dispatcher)
    install_pages(app, dispatcher, Frontend(config.frontend.root, hsts=config.security.hsts))
    return app


def _session_store(panel: Panel) -> SessionStore:
    settings: Config = panel.config
    # the gate decides when a session is idle; the store only forgets what no rule could still allow
    lifetime = 60 * max(settings.session.lifetime_minutes, AUTO_LOGOUT_MAX)
    now = panel.clock.seconds
    if settings.session.store == "php-files":
        path, handler = settings.session.php_save_path, settings.session.php_serialize_handler
        return PhpFileSessions(path, handler, lifetime=lifetime, now=now, waiters=max(1, settings.server.threads // 2))
    if settings.session.store == "redis":
        server = panel.redis.at(settings.session.redis_url.get_secret_value())
        return RedisSessions(Redis(connection_pool=server.pool), "showbox:session:", lifetime, now)
    table = cast(Table, StoredSession.__table__)
    return SqlSessions(
        panel.database.engine, table, lifetime, now, _find(panel), replace=_replace(panel), explain=_explained
    )


def _explained(error: SQLAlchemyError) -> str | None:
    fault = set_up_fault(getattr(error, "orig", None))
    return None if fault is None else fault.text


def _find(panel: Panel) -> Find:
    """The look-up of a stored session together with its user; the first one prepares the database."""

    def find(session_id: str) -> tuple[str, str, int, Any] | None:
        try:
            row = find_session(panel, session_id, counting=flask.session.wants_more)  # type: ignore[attr-defined]
        except DatabaseFailed as error:
            raise SessionUnavailable(error.text if isinstance(error, LASTING) else None) from error
        return None if row is None else (row.session_id, row.data, row.touched_at, row if row.id is not None else None)

    return find


def _replace(panel: Panel) -> Replace:
    def replace(sid: str, old: str, new: str, touched_at: int) -> bool:
        try:
            return replace_session(panel, sid, old, new, touched_at)
        except DatabaseFailed as error:
            raise SessionUnavailable from error

    return replace
