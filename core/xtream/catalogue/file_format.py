"""The import file: one JSON object, typed strictly; what is wrong is named by its place. Nothing is stored here.

Source: contract chapter 95 §15.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from core.errors import InvalidInput

Id = Annotated[int, Field(ge=1, le=2**31 - 1)]
Stamp = Annotated[int, Field(ge=0, le=2**31 - 1)]
Name = Annotated[str, Field(max_length=255)]
Kind = Literal["live", "movie", "created", "radio", "episode"]
TYPES: Mapping[str, int] = {"live": 1, "movie": 2, "created": 3, "radio": 4, "episode": 5}
_ENVIRONMENT = "env:"


class _Item(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Server(_Item):
    id: Id
    name: Name
    host: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9.:_-]+$")]
    port: Annotated[int, Field(ge=1, le=65535)] = 25461
    scheme: Literal["http", "https"] = "http"
    dialect: Literal["xc_new", "xc_old"] = "xc_new"
    secret: SecretStr = SecretStr("")
    is_main: bool = False
    can_delete: bool = True
    tls_verify: bool = True
    enabled: bool = True


class Group(_Item):
    id: Id
    name: Name
    is_admin: bool = False
    is_reseller: bool = False
    is_banned: bool = False
    delete_users: bool = False
    edit_isplock: bool = False
    advanced: list[str] = []


class MemberLink(_Item):
    username: str
    group: Id
    owner: str | None = None
    enabled: bool = True


class Stream(_Item):
    id: Id
    name: Name
    kind: Kind
    servers: list[Id] = []
    direct: bool = False
    container: Annotated[str, Field(max_length=32)] | None = None


class Episode(_Item):
    id: Id
    series: Id
    season: Annotated[int, Field(ge=0, le=2**31 - 1)]
    sort: Annotated[int, Field(ge=0, le=2**31 - 1)]
    stream: Id


class Bouquet(_Item):
    id: Id
    name: Name
    channels: list[Id] = []
    movies: list[Id] = []
    radios: list[Id] = []
    series: list[Id] = []


class Line(_Item):
    id: Id
    username: Name
    member: str | None = None
    password: SecretStr = SecretStr("")
    exp_date: Stamp | None = None
    enabled: bool = True
    admin_enabled: bool = True
    max_connections: Annotated[int, Field(ge=0, le=2**31 - 1)] = 1
    is_mag: bool = False
    is_e2: bool = False
    is_isplock: bool = False
    isp: Name | None = None


class Device(_Item):
    line: Id
    kind: Literal["mag", "enigma2"]
    mac: Annotated[str, Field(max_length=50)]


class Connection(_Item):
    id: Id
    line: Id
    stream: Id | None = None
    server: Id
    pid: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    container: Literal["ts", "hls", "rtmp"]
    ip: Annotated[str, Field(max_length=45)] = ""
    user_agent: Name = ""
    started: Stamp = 0


class File(_Item):
    """None: the key is not there, and its table is left alone."""

    servers: list[Server] | None = None
    groups: list[Group] | None = None
    members: list[MemberLink] | None = None
    streams: list[Stream] | None = None
    series_episodes: list[Episode] | None = None
    bouquets: list[Bouquet] | None = None
    lines: list[Line] | None = None
    devices: list[Device] | None = None
    connections: list[Connection] | None = None


def read_file(content: bytes, environment: Mapping[str, str]) -> File:
    """Raises InvalidInput, naming the place (``streams[3].servers[0]``)."""
    try:
        data = orjson.loads(content)
    except orjson.JSONDecodeError:
        raise InvalidInput("The file is not valid JSON") from None
    return read_data(data, environment)


def read_data(data: Any, environment: Mapping[str, str]) -> File:
    """As :func:`read_file`; ``environment`` is where ``env:NAME`` is looked up."""
    if not isinstance(data, dict):
        raise InvalidInput("The file must hold one JSON object")
    _fill_in(data, environment)
    try:
        file = File.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise InvalidInput(f"{_place(first['loc'])}: {first['msg']}") from None
    for place in _repeated(file):
        raise InvalidInput(f"{place}: this id stands there twice")
    return file


def _fill_in(data: dict[str, Any], environment: Mapping[str, str]) -> None:
    for key, name in (("servers", "secret"), ("lines", "password")):
        items = data.get(key)
        for number, item in enumerate(items if isinstance(items, list) else []):
            value = item.get(name) if isinstance(item, dict) else None
            if not isinstance(value, str) or not value.startswith(_ENVIRONMENT):
                continue
            variable = value.removeprefix(_ENVIRONMENT)
            if variable not in environment:
                raise InvalidInput(f"{key}[{number}].{name}: the environment variable {variable} is not set")
            item[name] = environment[variable]


def _repeated(file: File) -> Iterator[str]:
    for key, items in file:
        seen: set[Any] = set()
        for number, item in enumerate(items or []):
            name = "username" if key == "members" else "id"
            identity = getattr(item, name, None)
            if identity is not None and identity in seen:
                yield f"{key}[{number}].{name}"
            seen.add(identity)


def _place(location: tuple[int | str, ...]) -> str:
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".") or "file"
