"""The settings of the portal servers as a super admin sees and changes them: checking, testing, storing.

How what is stored takes the place of the configuration: :mod:`core.portal.settings_in_force`. Source: contract chapter
50, ``get_stalker_settings`` and ``update_stalker_settings``.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Connection, delete, insert, select, update

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import CHANGE_PORTAL_SETTINGS, READ_PORTAL_SETTINGS, require
from core.config import Portal
from core.errors import DatabaseFailed, InvalidInput, TooManyAttempts, UpstreamFailed
from core.panel import Panel
from core.portal import (
    PortalAuthentication,
    PortalError,
    PortalInvalidInput,
    PortalServer,
    ServerSettings,
    settings_in_force,
)
from core.portal.addresses import api_address, default_api_address, server_address
from core.portal.settings import primary_settings, secondary_settings
from core.security.throttle import WINDOW_SECONDS
from core.storage.one_at_a_time import serialise
from core.storage.tables import StalkerSetting

# what stands in the form for a password that is stored, and comes back for one that is to stay
PLACEHOLDER = "********"
NOT_A_PORTAL = "no portal there accepts these credentials"
_ADDRESS_CHARACTERS = 500
_NAME_CHARACTERS = 255


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. ``password`` empty or the placeholder, ``dual`` None: as it is. Empty addresses follow from
    server 1's."""

    server_address: str
    server_2_address: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    api_base_url: str = ""
    api_2_base_url: str = ""
    dual: bool | None = None
    test: bool = False

    @property
    def only_test(self) -> bool:
        """The frontends' Test button, which sends no mode: nothing is stored."""
        return self.test and self.dual is None

    @property
    def keeps_password(self) -> bool:
        return self.password in ("", PLACEHOLDER)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force, addresses that are not set filled in as they are understood."""

    server_address: str
    server_2_address: str
    username: str
    has_password: bool
    api_base_url: str
    api_2_base_url: str
    dual: bool


def read_settings(panel: Panel, actor: Actor) -> Settings:
    """Raises NotAllowed."""
    require(actor, READ_PORTAL_SETTINGS)
    portal = panel.portal_settings
    texts = settings_in_force.shown(portal)
    return Settings(
        server_address=texts["server_address"],
        server_2_address=texts["server_2_address"],
        username=texts["api_username"],
        has_password=bool(portal.password.get_secret_value()),
        api_base_url=texts["api_base_url"],
        api_2_base_url=texts["api_2_base_url"],
        dual=portal.dual_server,
    )


def change_settings(panel: Panel, by: By, wish: Wish) -> None:
    """Test the settings if asked to, and store them unless that is all that was asked for.

    Raises NotAllowed, InvalidInput, UpstreamFailed (the test; nothing is stored then), DatabaseFailed.
    """
    require(by.actor, CHANGE_PORTAL_SETTINGS)
    texts = _checked(wish)
    if wish.test:
        current = panel.portal_settings
        wanted = _wanted(current, wish, texts)
        if not panel.connection_tests.may(f"portal/{by.actor.id}"):
            raise TooManyAttempts("Too many connection tests; please wait a minute", retry_after=WINDOW_SECONDS)
        _test(wanted, known=settings_in_force.destinations(current))
    if not wish.only_test:
        _store(panel, by, wish, texts)


def forget_settings(panel: Panel) -> None:
    """From now on the configuration's portals count again."""
    if panel.layout.has_table(settings_in_force.TABLE):

        def act(connection: Connection) -> None:
            connection.execute(delete(StalkerSetting))

        panel.database.transact(act)


def _checked(wish: Wish) -> dict[str, str]:
    """The fields of section [portal]. Raises InvalidInput."""
    if not wish.server_address or not wish.username:
        raise InvalidInput("The server address and the API user name are required")
    if ":" in wish.username or not wish.username.isprintable() or len(wish.username) > _NAME_CHARACTERS:
        raise InvalidInput("The API user name is not valid: no colon and no control characters are allowed")
    first = _address(wish.server_address, "server 1")
    second = _address(wish.server_2_address, "server 2") if wish.server_2_address else first
    return {
        "primary_address": first,
        "secondary_address": second,
        "username": wish.username,
        "primary_api_url": _api_url(wish.api_base_url, first, "server 1"),
        "secondary_api_url": _api_url(wish.api_2_base_url, second, "server 2"),
    }


def _address(address: str, server: str) -> str:
    _normal(address, f"The address of {server}")
    return address


def _api_url(address: str, base: str, server: str) -> str:
    return _normal(address, f"The API address of {server}") if address else default_api_address(base)


def _normal(address: str, what: str) -> str:
    try:
        if len(address) <= _ADDRESS_CHARACTERS:
            return api_address(address)
    except PortalInvalidInput:
        pass
    raise InvalidInput(f"{what} is not valid; expected e.g. http://portal.example.com")


def _wanted(current: Portal, wish: Wish, texts: dict[str, str]) -> Portal:
    """Raises InvalidInput where the stored password would be sent to a server that it was not entered for."""
    values: dict[str, object] = dict(texts)
    if wish.keeps_password:
        if current.password.get_secret_value() and not _origins(texts) <= settings_in_force.destinations(current):
            raise InvalidInput("Another server needs the API password again; please enter it")
    else:
        values["password"] = SecretStr(wish.password)
    if wish.dual is not None:
        values["dual_server"] = wish.dual
    return current.model_copy(update=values)


def _origins(texts: Mapping[str, str]) -> set[str]:
    """Scheme, host and port of each address."""
    return {server_address(text) for name, text in texts.items() if name != "username" and text}


def _test(portal: Portal, known: Collection[str]) -> None:
    """Ask each server that would be used. Raises UpstreamFailed, which tells more of those that are ``known``."""
    for settings in (primary_settings(portal), secondary_settings(portal)):
        if settings is not None:
            _test_server(settings, tells=server_address(settings.api_url) in known)


def _test_server(settings: ServerSettings, *, tells: bool) -> None:
    try:
        server = PortalServer(settings)
        try:
            server.check()
        finally:
            server.close()
    except PortalError as error:
        text = "authentication failed" if isinstance(error, PortalAuthentication) else error.text
        # what stands at an address, or that nothing does, is nobody's to learn by a password that it does not know
        raise UpstreamFailed(f"Connection test failed on {settings.name}: {text if tells else NOT_A_PORTAL}") from error


def _store(panel: Panel, by: By, wish: Wish, texts: dict[str, str]) -> None:
    """Rows and audit row in one transaction; what is to stay stays as it is at that moment."""
    if not panel.layout.has_table(settings_in_force.TABLE):
        raise DatabaseFailed("This database has no table for portal settings yet; run the database upgrade first")

    def act(connection: Connection) -> None:
        serialise(panel.database, connection, "portal_settings")
        rows = _rows(connection)
        before = settings_in_force.in_force(panel.config.portal, rows, panel.unsealed)
        after = _wanted(before, wish, texts)
        _write_rows(panel, connection, by.actor, rows, settings_in_force.as_rows(after, panel.sealer.sealed))
        by.write_audit(
            panel,
            connection,
            "update",
            "settings",
            target_name="stalker",
            old=_audited(before),
            new={**_audited(after), "password_changed": before.password != after.password},
            details="Portal settings changed",
        )

    panel.database.transact(act)


def _rows(connection: Connection) -> settings_in_force.Rows:
    found = connection.execute(select(StalkerSetting.setting_key, StalkerSetting.setting_value))
    return {row.setting_key: row.setting_value for row in found}


def _write_rows(
    panel: Panel, connection: Connection, actor: Actor, present: settings_in_force.Rows, rows: settings_in_force.Rows
) -> None:
    stamp = {"updated_at": panel.clock.now(), "updated_by": actor.id}
    for key, value in rows.items():
        row = {"setting_value": value, **stamp}
        if key in present:
            connection.execute(update(StalkerSetting).where(StalkerSetting.setting_key == key).values(**row))
        else:
            connection.execute(insert(StalkerSetting).values(setting_key=key, **row))


def _audited(portal: Portal) -> dict[str, Any]:
    return {**settings_in_force.shown(portal), settings_in_force.DUAL: portal.dual_server}
