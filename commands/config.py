"""The command ``showbox config``: the configuration checked, shown, and made from a PHP panel's. Core does the work."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from commands.failing import failing_clearly
from compat.sessions.php_directory import SessionDirectory, refuse_if_unusable
from core.config import Config, ConfigError, default_path, load_config
from core.config.shown import shown
from core.errors import PanelError
from core.moving.config_file import import_panel
from core.storage import schema
from core.storage.database import Database
from core.storage.private_files import warn_if_readable

_REDIS_SECONDS = 3


def config_command() -> click.Group:
    """Works with any configuration, also one that cannot be used."""

    @click.group("config", help="Check or show the configuration, or make one from a PHP panel's.")
    def config() -> None: ...

    @config.command("check", help="Tell what is wrong with it, and with what it leads to. Exits with 1 if anything is.")
    def check() -> None:
        loaded = _loaded()
        faults = list(_faults(loaded))
        for fault in faults:
            click.echo(f"Wrong: {fault}")
        if faults:
            sys.exit(1)
        click.echo("The configuration can be used.")

    @config.command("show", help="Show all settings in force, from file, environment and defaults; without secrets.")
    def show() -> None:
        for line in shown(_loaded()):
            click.echo(line)

    @config.command(
        "import",
        help="Write a configuration (mode 600) from the config.php and scripts of the panel in PANEL_DIR. They are read"
        " as texts, never executed; no value is shown.",
    )
    @click.argument("panel_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
    @click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Instead of config.ini.")
    @failing_clearly
    def import_(panel_dir: Path, output: Path | None) -> None:
        path = output or Path(os.environ.get("SHOWBOX_CONFIG") or "config.ini")
        imported = import_panel(panel_dir.resolve(), path)
        for (section, key), script in imported.taken.items():
            click.echo(f"[{section}] {key}: from {script}")
        for (section, key), reason in imported.left_out.items():
            click.echo(f"[{section}] {key}: left out, for {reason}")
        click.echo(f"{len(imported.taken)} settings written to {path}.")
        if ("database", "url") not in imported.taken:
            click.echo("The database was not found; set [database] url.")

    return config


def _loaded() -> Config:
    path = default_path()
    try:
        config = load_config(path)
    except ConfigError as error:
        raise click.ClickException(str(error)) from None
    if path is not None:
        warn_if_readable(path)
    return config


def _faults(config: Config) -> Iterator[str]:
    """What the settings lead to: each thing is tried, none is changed."""
    yield from _faults_of_database(config.database.url.get_secret_value())
    if config.session.store == "php-files":
        try:
            refuse_if_unusable(SessionDirectory.parse(config.session.php_save_path))
        except ValueError as error:
            yield str(error)
    addresses = {"[jobs] redis_url": config.jobs.redis_url.get_secret_value()}
    if config.session.store == "redis":
        addresses["[session] redis_url"] = config.session.redis_url.get_secret_value()
    for name, address in addresses.items():
        if address and not _answers(address):
            yield f"{name}: no Redis answers there"


def _faults_of_database(url: str) -> Iterator[str]:
    try:
        database = Database(url)
    except ValueError as error:
        yield f"[database] url: {error}"
        return
    try:
        findings = schema.check(database)
        if findings.is_refused:
            yield from findings.lines
        yield from findings.faults
    except PanelError as error:
        yield error.text
    except SQLAlchemyError:
        yield "The database cannot be looked at"
    finally:
        database.dispose()


def _answers(address: str) -> bool:
    try:
        with Redis.from_url(address, socket_connect_timeout=_REDIS_SECONDS, socket_timeout=_REDIS_SECONDS) as client:
            client.ping()
    except (RedisError, ValueError):
        return False
    return True
