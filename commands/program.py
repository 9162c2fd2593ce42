"""The program ``showbox``: all commands of the panel, and those that need none, in one place.

The commands of the panel are made when one of them is asked for; serving and looking at the configuration work also
where that would fail. Started by :mod:`showbox`, which first makes sure that these packages are ours.
"""

import os
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click
from click.shell_completion import get_completion_class
from flask import Flask
from flask.cli import ScriptInfo

from commands.config import config_command
from core.config import load_config

NAME, DISTRIBUTION = "showbox", "showbox-server"
_COMPLETE, _LISTS = "_SHOWBOX_COMPLETE", "showbox.lists"
_SHELLS = click.Choice(["bash", "zsh", "fish"])


class Program(click.Group):
    """The panel's commands beside its own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        # to list commands, or to complete the name of one, any configuration will do
        ctx.meta[_LISTS] = True
        return sorted({*super().list_commands(ctx), *_app(any_configuration=True).cli.commands})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        own = super().get_command(ctx, cmd_name)
        if own is not None:
            return own
        app = _app(any_configuration=ctx.resilient_parsing or _LISTS in ctx.meta)
        ctx.obj = ScriptInfo(create_app=lambda: app)
        return app.cli.commands.get(cmd_name)


@cache
def _app(*, any_configuration: bool) -> Flask:
    # the door imports the commands
    import wsgi

    try:
        return wsgi.create_app()
    except SystemExit:
        if not any_configuration:
            raise
    return wsgi.build(load_config(None, {}))[0]


def _version() -> str:
    try:
        return version(DISTRIBUTION)
    except PackageNotFoundError:
        return "not installed"


def _use(_context: click.Context, _parameter: click.Parameter, config: Path | None) -> None:
    """At once: which commands there are is asked for before the program itself begins."""
    if config is not None:
        os.environ["SHOWBOX_CONFIG"] = str(config)


@click.group(NAME, cls=Program, help="The billing panel's server and its commands.")
@click.version_option(_version(), prog_name=NAME)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_use,
    is_eager=True,
    expose_value=False,
    help="The configuration file, instead of $SHOWBOX_CONFIG or ./config.ini.",
)
def program() -> None: ...


_host = click.option("--host", help="The address to listen on, instead of the configured one.")
_port = click.option("--port", type=int, help="The port to listen on, instead of the configured one.")


@program.command("serve", help="Serve the panel until SIGTERM or Ctrl-C.")
@_host
@_port
def serve(host: str | None, port: int | None) -> None:
    _serve([], host, port)


@program.command("demo", help="Serve example data from var/demo/, whatever is configured; nothing leaves this machine.")
@_host
@_port
def demo(host: str | None, port: int | None) -> None:
    _serve(["--demo"], host, port)


def _serve(options: Sequence[str], host: str | None, port: int | None) -> None:
    import wsgi

    given = [f"--{name}={value}" for name, value in (("host", host), ("port", port)) if value is not None]
    wsgi.main([*options, *given])


@program.command("completion", help="Print what makes a shell complete the commands; for its start-up file.")
@click.argument("shell", type=_SHELLS)
def completion(shell: str) -> None:
    found = get_completion_class(shell)
    assert found is not None  # noqa: S101 - click knows these shells
    click.echo(found(program, {}, NAME, _COMPLETE).source())


program.add_command(config_command())
