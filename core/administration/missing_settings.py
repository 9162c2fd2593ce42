"""What the panel had and this configuration lacks: themes, welcome messages and portals stop without a word otherwise.

Told by the panel's own ``config.php``, where ``[frontend] root`` is the panel's directory, and by its database.
"""

from collections.abc import Iterator
from pathlib import Path

import sqlalchemy as sa
from pydantic import SecretStr
from sqlalchemy import Connection

from core.config import Config
from core.errors import InvalidInput
from core.moving.panel_settings import Key, read_panel
from core.portal.settings_in_force import SAVED_MARK
from core.storage.database import Database
from core.storage.schema import LEGACY, read_layout
from core.storage.tables import StalkerSetting, User

_CONSEQUENCES: dict[Key, str] = {
    ("portal", "primary_api_url"): "no account can be added or changed",
    ("portal", "secondary_api_url"): "accounts are changed on server 1 alone",
    ("portal", "theme_key"): "accounts get no theme",
    ("panel", "welcome_message"): "new accounts get no message",
}
_SEEDS = {"api_base_url": ("portal", "primary_api_url"), "api_2_base_url": ("portal", "secondary_api_url")}


def missing_settings(config: Config, database: Database) -> list[str]:
    """A sentence for each; the database is only read."""
    had: dict[Key, str] = dict(_by_scripts(config.frontend.root))
    if not database.is_missing:
        layout = read_layout(database)
        is_panels = layout.origin == LEGACY
        with database.read() as connection:
            seeded = is_panels and layout.has_table(StalkerSetting.__tablename__)
            for key, source in _by_rows(connection, settings=seeded, themes=is_panels and layout.has(User.theme)):
                had.setdefault(key, source)
    lines = []
    for key, consequence in _CONSEQUENCES.items():
        section, name = key
        if key in had and not _plain(getattr(getattr(config, section), name)):
            lines.append(f"[{section}] {name} is empty, but {had[key]}: {consequence}")
    return lines


def _by_scripts(directory: Path | None) -> Iterator[tuple[Key, str]]:
    if directory is None:
        return
    try:
        read = read_panel(directory)
    except InvalidInput:
        return
    for key, script in read.found_in.items():
        yield key, f"the panel had one ({script})"


def _by_rows(connection: Connection, *, settings: bool, themes: bool) -> Iterator[tuple[Key, str]]:
    if settings:
        rows = connection.execute(sa.select(StalkerSetting.setting_key, StalkerSetting.setting_value)).all()
        # what was saved here counts before the configuration
        if not any(row.setting_key == SAVED_MARK for row in rows):
            for row in rows:
                if row.setting_key in _SEEDS and row.setting_value:
                    yield _SEEDS[row.setting_key], "the panel had one (its table _stalker_settings)"
    if (
        themes
        and connection.execute(sa.select(User.id).where(User.theme.not_in(["", "default"])).limit(1)).first()
        is not None
    ):
        yield ("portal", "theme_key"), "users of the panel have a theme"


def _plain(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
