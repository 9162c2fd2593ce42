"""What a PHP panel was set up with, found in its ``config.php`` and scripts, as settings of ours.

The scripts are read as data (:mod:`core.moving.php_source`). Names of the panel's configuration: contract chapter 50,
"Configuration values"; the theme script's secret and the push key stood in scripts (chapters 30 C and 70). How the
database was named is not known of all panels: what the calls that open it are given counts before any name.
"""

import base64
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy.engine import URL

from core.errors import InvalidInput
from core.moving.php_source import UNKNOWN, Read, Value, as_text, is_known, read_script

CONFIGURATIONS = ("config.php", "reqs/config.php", "api/config.php", "includes/config.php", "inc/config.php")
_LEFT_OUT = frozenset({"vendor", "node_modules", "uploads", "backups", "PHPMailer"})
_LARGEST_BYTES, _MOST_SCRIPTS = 1024 * 1024, 2000
# ours by the panel's name
NAMED = {
    ("panel", "name"): "PANEL_NAME",
    ("panel", "welcome_message"): "WELCOME_MSG",
    ("portal", "primary_address"): "SERVER_1_ADDRESS",
    ("portal", "secondary_address"): "SERVER_2_ADDRESS",
    ("portal", "primary_api_url"): "WEBSERVICE_BASE_URL",
    ("portal", "secondary_api_url"): "WEBSERVICE_2_BASE_URL",
    ("portal", "username"): "WEBSERVICE_USERNAME",
    ("portal", "password"): "WEBSERVICE_PASSWORD",
    ("portal", "dual_server"): "DUAL_SERVER_MODE_ENABLED",
    ("push", "vapid_subject"): "VAPID_SUBJECT",
}
_DATABASE_NAMES = {
    "host": r"(ub_)?(db|database|mysql|mysqli|sql)_?(host|hostname|server)|servername",
    "user": r"(ub_)?(db|database|mysql|mysqli|sql)_?(user|username|login)",
    "password": r"(ub_)?(db|database|mysql|mysqli|sql)_?(pass|passwd|password|pwd)",
    "dbname": r"(ub_)?(main_)?(db|database|mysql|mysqli|sql)_?(name|database|db|schema)?",
    "port": r"(ub_)?(db|database|mysql|mysqli|sql)_?port",
}
_IN_ARRAYS = {"host": "host", "user": "user", "username": "user", "pass": "password", "password": "password"} | {
    "name": "dbname",
    "dbname": "dbname",
    "database": "dbname",
    "port": "port",
}
_MYSQLI = ("host", "user", "password", "dbname", "port", "unix_socket")
_THEME_SCRIPT = "update_account.php"
_THEME_KEY = re.compile(r"(?:^|[?&])key=([^&\0]+)&(?:login|theme)=")
_PRIVATE_KEY = re.compile(r"[A-Za-z0-9_-]{43}=?")
_PUBLIC_KEY = re.compile(r"B[A-Za-z0-9_-]{86}=?")

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class PanelSettings:
    """``values`` by section and key of our configuration; ``found_in``: the script that each was read from."""

    values: Mapping[Key, str] = field(repr=False)
    found_in: Mapping[Key, str]


def read_panel(directory: Path) -> PanelSettings:
    """Raises InvalidInput where the directory holds no configuration of a panel."""
    search = _Search(directory)
    search.run()
    return PanelSettings(search.values, search.found_in)


class _Search:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.values: dict[Key, str] = {}
        self.found_in: dict[Key, str] = {}
        self._key_pairs: tuple[list[str], list[str]] = ([], [])

    def run(self) -> None:
        configuration = Read()
        found = [name for name in CONFIGURATIONS if (self._directory / name).is_file()]
        if not found:
            raise InvalidInput("There is no config.php of a panel in this directory")
        for name in found:
            read = read_script(_text(self._directory / name), configuration)
            self._named(name, read)
            self._look_at(name, read, "")
            if configuration == Read():
                configuration = read
        for path in _scripts(self._directory):
            name, source = str(path.relative_to(self._directory)), _text(path)
            if name not in found:
                read = read_script(source, configuration)
                self._named(name, read)
                self._look_at(name, read, source)
        self._named_database(found[0], configuration)
        self._push_key()

    def _keep(self, section: str, key: str, value: Value, name: str) -> None:
        text = as_text(value).replace("\r\n", "\n").strip()
        if is_known(text) and text and (section, key) not in self.values:
            self.values[section, key] = text
            self.found_in[section, key] = name

    def _named(self, script: str, read: Read) -> None:
        """Constants and variables alike, however the panel wrote them."""
        known = {name.upper(): value for _, name, value in _flat(read.variables | read.constants)}
        for (section, key), name in NAMED.items():
            value = known.get(name)
            if key == "dual_server" and value is not None and is_known(value):
                value = "yes" if value not in (False, 0, "", "0", "false", "no", "off") else "no"
            self._keep(section, key, value, script)

    def _look_at(self, script: str, read: Read, source: str) -> None:
        for call, arguments in read.calls:
            if call in ("pdo", "mysqli", "mysqli_connect", "mysql_connect", "real_connect"):
                self._database(script, call, arguments)
            elif call == "date_default_timezone_set" and arguments:
                self._keep("panel", "timezone", arguments[0], script)
            elif call == "ini_set" and arguments[:1] == ["date.timezone"]:
                self._keep("panel", "timezone", arguments[-1], script)
        self._theme_key(script, read)
        texts = [text for text in (*map(as_text, read.constants.values()), *read.texts) if is_known(text)]
        self._key_pairs[0].extend(text for text in texts if _PRIVATE_KEY.fullmatch(text))
        self._key_pairs[1].extend(text for text in texts if _PUBLIC_KEY.fullmatch(text))
        if "vapid" in source.lower():
            for array in read.arrays:
                self._keep("push", "vapid_subject", array.get("subject"), script)

    def _theme_key(self, script: str, read: Read) -> None:
        for text in read.texts:
            if found := _THEME_KEY.search(text):
                self._keep("portal", "theme_key", found[1], script)
        calls_script = any(_THEME_SCRIPT in text for text in read.texts)
        for array in read.arrays:
            if calls_script and "key" in array and "login" in array:
                self._keep("portal", "theme_key", array["key"], script)

    # the database

    def _database(self, script: str, call: str, arguments: list[Value]) -> None:
        texts = [as_text(argument) for argument in arguments]
        if call != "pdo":
            self._address(script, dict(zip(_MYSQLI, texts, strict=False)))
        elif texts and texts[0].startswith("mysql:"):
            parts = dict(part.split("=", 1) for part in texts[0].removeprefix("mysql:").split(";") if "=" in part)
            given = {"user": texts[1] if len(texts) > 1 else "", "password": texts[2] if len(texts) > 2 else ""}
            self._address(script, {key.strip(): value for key, value in parts.items()} | given)

    def _address(self, script: str, parts: Mapping[str, str]) -> None:
        used = {key: parts.get(key, "") for key in (*_MYSQLI, "charset")}
        if not used["dbname"] or not used["user"] or any(UNKNOWN in used[key] for key in _MYSQLI):
            return
        host, _, port = used["host"].removeprefix("p:").partition(":")
        query = {"unix_socket": used["unix_socket"]} if used["unix_socket"] else {}
        number = used["port"] or port
        url = URL.create(
            "mysql",
            username=used["user"],
            password=used["password"] or None,
            host=host or "localhost",
            # PHP's localhost is the socket, whatever the port
            port=int(number) if number.isdecimal() and number != "0" and host != "localhost" else None,
            database=used["dbname"],
            query=query,
        )
        self._keep("database", "url", url.render_as_string(hide_password=False), script)

    def _named_database(self, script: str, read: Read) -> None:
        """Where no call shows what it is given."""
        if ("database", "url") in self.values:
            return
        parts: dict[str, str] = {}
        for name, _, value in _flat(read.constants | read.variables):
            words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name).lower()
            for part, pattern in _DATABASE_NAMES.items():
                if re.fullmatch(pattern, words) and is_known(value):
                    parts.setdefault(part, as_text(value))
        self._address(script, parts)
        for array in read.arrays:
            named = {_IN_ARRAYS[key]: as_text(value) for key, value in array.items() if key in _IN_ARRAYS}
            self._address(script, named)

    # the key of push messages

    def _push_key(self) -> None:
        """A private key is taken for the panel's only beside its public half: 43 characters may be anything."""
        private, public = ({text.rstrip("="): None for text in texts} for texts in self._key_pairs)
        for text in private:
            if _public_of(text) in public:
                self._keep("push", "vapid_private_key", text, "the push helper")


def _public_of(private: str) -> str | None:
    number = int.from_bytes(base64.urlsafe_b64decode(private + "="), "big")
    try:
        key = ec.derive_private_key(number, ec.SECP256R1())
    except (ValueError, InvalidKey):
        return None
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    return base64.urlsafe_b64encode(point).rstrip(b"=").decode()


def _scripts(directory: Path) -> Iterator[Path]:
    found = 0
    for path in sorted(directory.rglob("*.php")):
        inside = path.relative_to(directory).parts
        if path.is_symlink() or not path.is_file() or _LEFT_OUT.intersection(inside):
            continue
        found += 1
        if found > _MOST_SCRIPTS:
            return
        yield path


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LARGEST_BYTES).decode("utf-8", "surrogateescape").removeprefix("\ufeff")
    except OSError as error:
        if path.name == "config.php":
            raise InvalidInput(f"The panel's {path.name} cannot be read: {error.strerror}") from None
        return ""


def _flat(values: Mapping[str, Value], prefix: str = "") -> Iterable[tuple[str, str, Value]]:
    """Each value with its whole name, those of the arrays around it before, and its own."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}_")
        else:
            yield f"{prefix}{name}", name, value
