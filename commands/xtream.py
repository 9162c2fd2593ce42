"""``flask --app wsgi xtream …``: filling, listing and linking what the Xtream API works on. Core does the work."""

import os
from pathlib import Path
from typing import Any

import click
import orjson

from commands.failing import failing_clearly
from core.errors import NotFound
from core.panel import Panel
from core.xtream import removal, users
from core.xtream.catalogue import exporting, importing, links, listing
from core.xtream.catalogue.file_format import read_data, read_file
from core.xtream.command_log import Caller
from core.xtream.nodes import deadline
from core.xtream.permissions import Member
from core.xtream.streams import ALL_SERVERS, KINDS, find_stream

# as whom the log of commands shows what the command line did
CONSOLE = Caller(Member(None, "command line", is_admin=True, advanced=None), "")
_DIALECTS = click.Choice(["xc_new", "xc_old"])
# as the value of an option: ask for it
_ASK = "-"
_SCHEMES = click.Choice(["http", "https"])


def xtream_command(panel: Panel) -> click.Group:
    @click.group("xtream", help="What the Xtream Codes API works on: servers, streams, lines, and who may.")
    def xtream() -> None: ...

    for command in (_import(panel), _export(panel), _link(panel), _unlink(panel)):
        xtream.add_command(command)
    for group in (_servers(panel), _streams(panel), _lines(panel)):
        xtream.add_command(group)
    return xtream


def _import(panel: Panel) -> click.Command:
    @click.command("import", help="Store a JSON file of servers, groups, members, streams, lines; all or nothing.")
    @click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
    @click.option("--replace", is_flag=True, help="Delete what the file no longer has, in the tables that it names.")
    @failing_clearly
    def import_(file: Path, replace: bool) -> None:
        read = read_file(file.read_bytes(), os.environ)
        for key, number in importing.import_file(panel, read, replace=replace).items():
            click.echo(f"{key}: {number}")

    return import_


def _export(panel: Panel) -> click.Command:
    @click.command("export", help="Print what is stored as such a file, without secrets and passwords.")
    @failing_clearly
    def export() -> None:
        click.echo(orjson.dumps(exporting.export_file(panel), option=orjson.OPT_INDENT_2).decode())

    return export


def _link(panel: Panel) -> click.Command:
    @click.command("link", help="Let a user of the panel act as a group, or as an account of the bound database.")
    @click.argument("username")
    @click.option("--group", type=int, help="A group's id; own tables only.")
    @click.option("--owner", help="The user whose sub-reseller this is; own tables only.")
    @click.option("--account", help="The name of an account; bound database only.")
    @click.option("--disabled", is_flag=True, help="Keep the user out of the API.")
    @failing_clearly
    def link(username: str, group: int | None, owner: str | None, account: str | None, disabled: bool) -> None:
        links.link_user(panel, links.Link(username, group, owner, account, not disabled))
        click.echo(f"{username} is linked.")

    return link


def _unlink(panel: Panel) -> click.Command:
    @click.command("unlink", help="Let a user act by the role in the panel again.")
    @click.argument("username")
    @failing_clearly
    def unlink(username: str) -> None:
        links.unlink_user(panel, username)
        click.echo(f"{username} is not linked any more.")

    return unlink


def _servers(panel: Panel) -> click.Group:
    @click.group("servers", help="Streaming servers.")
    def servers() -> None: ...

    @servers.command("list", help="List them, without their secrets.")
    @failing_clearly
    def list_() -> None:
        for one in listing.servers(panel):
            usable = "" if one.is_usable else ", cannot be called: switched off, or without address or secret"
            click.echo(f"{one.id}  {one.name}: {one.url} ({one.dialect}){usable}")

    @servers.command("add", help="Add one; asks for the nodes' password.")
    @click.argument("number", type=int)
    @click.argument("host")
    @click.option("--name", help="The name shown.")
    @click.option("--port", type=int, default=25461, show_default=True)
    @click.option("--scheme", type=_SCHEMES, default="http", show_default=True)
    @click.option("--dialect", type=_DIALECTS, default="xc_new", show_default=True)
    @click.option("--main", "is_main", is_flag=True, help="The main server.")
    @click.option("--secret", prompt=True, hide_input=True)
    @failing_clearly
    def add(number: int, host: str, name: str | None, **more: Any) -> None:
        _add(panel, "servers", {"id": number, "host": host, "name": name or host, **more})

    servers.add_command(_set_server(panel))

    @servers.command("remove", help="Remove one that has no streams any more.")
    @click.argument("number", type=int)
    @failing_clearly
    def remove(number: int) -> None:
        listing.remove_server(panel, number)
        click.echo(f"Server {number} removed.")

    return servers


def _set_server(panel: Panel) -> click.Command:
    @click.command("set", help="Change how one is called, in own tables and for a bound database.")
    @click.argument("number", type=int)
    @click.option("--host", help="Instead of the server's own address.")
    @click.option("--port", type=click.IntRange(1, 65535))
    @click.option("--scheme", type=_SCHEMES)
    @click.option("--dialect", type=_DIALECTS)
    @click.option("--secret", help="The nodes' password; - asks for it.")
    @click.option("--tls-verify/--no-tls-verify", default=None)
    @click.option("--tls-ca", help="A file (PEM) with the certificate authorities of this server.")
    @click.option("--connect-timeout", type=click.IntRange(1, 10))
    @click.option("--read-timeout", type=click.IntRange(1, 10))
    @click.option("--enabled/--disabled", default=None)
    @failing_clearly
    def set_(number: int, secret: str | None, **values: Any) -> None:
        asked = click.prompt("Secret", hide_input=True) if secret == _ASK else secret
        links.set_server(panel, number, {**values, "secret": asked})
        click.echo(f"Server {number} set.")

    return set_


def _streams(panel: Panel) -> click.Group:
    @click.group("streams", help="Streams, movies, channels, radios and episodes.")
    def streams() -> None: ...

    @streams.command("list", help="List them.")
    @failing_clearly
    def list_() -> None:
        for one in listing.streams(panel):
            click.echo(f"{one.id}  {one.name} (type {one.type}): on {one.servers} servers")

    @streams.command("add", help="Add one.")
    @click.argument("number", type=int)
    @click.argument("name")
    @click.option("--kind", default="live", show_default=True)
    @click.option("--server", "servers", type=int, multiple=True, help="A server's id; can be given again.")
    @failing_clearly
    def add(number: int, name: str, kind: str, servers: tuple[int, ...]) -> None:
        _add(panel, "streams", {"id": number, "name": name, "kind": kind, "servers": list(servers)})

    @streams.command("remove", help="Stop and delete one, from all its servers.")
    @click.argument("number", type=int)
    @failing_clearly
    def remove(number: int) -> None:
        found = find_stream(panel, number)
        if found is None:
            raise NotFound("Stream not found")
        [kind] = [kind for kind in KINDS.values() if found.type in kind.types]
        removal.remove(panel, CONSOLE, kind, number, ALL_SERVERS, deadline())
        click.echo(f"{kind.noun} {number} removed.")

    return streams


def _lines(panel: Panel) -> click.Group:
    @click.group("lines", help="Subscribers' lines.")
    def lines() -> None: ...

    @lines.command("list", help="List them, without their passwords.")
    @failing_clearly
    def list_() -> None:
        for one in listing.lines(panel):
            state = "banned" if one.is_banned else "enabled" if one.is_enabled else "disabled"
            click.echo(f"{one.id}  {one.username}: {state}, of member {one.member_id}")

    @lines.command("add", help="Add one; asks for its password.")
    @click.argument("number", type=int)
    @click.argument("username")
    @click.option("--member", help="The panel's user whose line it is.")
    @click.option("--password", prompt=True, hide_input=True)
    @failing_clearly
    def add(number: int, username: str, member: str | None, password: str) -> None:
        _add(panel, "lines", {"id": number, "username": username, "member": member, "password": password})

    @lines.command("remove", help="Delete one with its devices, and close its connections.")
    @click.argument("number", type=int)
    @failing_clearly
    def remove(number: int) -> None:
        users.delete_line(panel, CONSOLE, number, deadline())
        click.echo(f"Line {number} removed.")

    return lines


def _add(panel: Panel, key: str, item: dict[str, Any]) -> None:
    """One item, as if it came in a file, unless there is one of that number."""
    known = {one.id for one in getattr(listing, key)(panel)}
    if item["id"] in known:
        raise click.ClickException(f"{key}: there is a number {item['id']} already")
    importing.import_file(panel, read_data({key: [item]}, os.environ))
    click.echo(f"{key}: {item['id']} added.")
