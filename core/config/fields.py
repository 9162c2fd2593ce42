"""What one setting may hold: texts read into values, each with the sentence for who wrote them wrongly."""

import ipaddress
import re
import ssl
from decimal import Decimal
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from core.errors import InvalidInput
from core.values import money
from core.values.currencies import PLAN_CURRENCIES
from core.values.database_urls import normal_url

KEY_CHARACTERS = 16
MOST_PROCESSES = 64


def _parted(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(item for item in value.replace(",", " ").split() if item)


def _parted_by_commas(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(dict.fromkeys(item.strip() for item in value.split(",") if item.strip()))


def _network(value: str) -> str:
    try:
        return str(ipaddress.ip_network(value, strict=False))
    except ValueError:
        raise ValueError(f"'{value}' is not an address or network such as 127.0.0.1 or 10.0.0.0/8") from None


def _zone(value: str) -> str:
    try:
        return ZoneInfo(value).key
    except (KeyError, ValueError, OSError):
        raise ValueError(f"'{value}' is not a known time zone such as Asia/Tehran") from None


def _http_url(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("an address must begin with http:// or https://")
    return value


def _public_url(value: str) -> str:
    """Browsers take such an address for the origin of pages, and as one that passkeys can belong to."""
    try:
        parts = urlsplit(value)
        is_secure = parts.scheme == "https" or (parts.scheme == "http" and parts.hostname == "localhost")
        is_bare = not (parts.path.strip("/") or parts.query or parts.fragment or parts.username)
        is_numbered = not (parts.hostname or "").rpartition(".")[2].strip("0123456789") or ":" in (parts.hostname or "")
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError:
        is_secure = is_bare = is_numbered = False
    if value and (not is_secure or not is_bare or is_numbered):
        raise ValueError("the panel's own address is expected, by its name, such as https://billing.example.com")
    return value


def _database_url(value: SecretStr) -> SecretStr:
    normal_url(value.get_secret_value())
    return value


def _optional_database_url(value: SecretStr) -> SecretStr:
    return _database_url(value) if value.get_secret_value() else value


def _directory(value: Path | None) -> Path | None:
    if value is not None and not value.is_dir():
        raise ValueError("this directory does not exist")
    return value


def _certificates(value: Path | None) -> Path | None:
    if value is not None:
        try:
            ssl.create_default_context(cafile=value)
        except OSError:
            raise ValueError("this is no readable file with certificates (PEM)") from None
    return value


def _yes_or_no(value: object) -> object:
    """The other spellings of yes and no that every switch takes."""
    words = {"true": "yes", "1": "yes", "on": "yes", "false": "no", "0": "no", "off": "no"}
    return words.get(value.strip().lower(), value.strip().lower()) if isinstance(value, str) else value


def _lower_case(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _redis_url(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().startswith(("redis://", "rediss://")):
        raise ValueError("a Redis address such as redis://127.0.0.1:6379/0 is expected")
    return value


def _long_key(value: SecretStr) -> SecretStr:
    if 0 < len(value.get_secret_value()) < KEY_CHARACTERS:
        raise ValueError(f"a key has at least {KEY_CHARACTERS} characters")
    return value


def _vapid_key(value: SecretStr) -> SecretStr:
    if not re.fullmatch(r"([A-Za-z0-9_-]{43}=?)?", value.get_secret_value()):
        raise ValueError("the private key is 32 bytes in base64url, which are 43 characters")
    return value


def checked_subject(value: str) -> str:
    """Push services refuse a subject by which nobody can be reached; Apple's says only ``BadJwtToken``."""
    if not value:
        return value
    if not re.fullmatch(r"(https://|mailto:)[^\s<>]+", value):
        raise ValueError("the subject is an address that begins with https:// or mailto:")
    host = (urlsplit(value).hostname if value.startswith("https://") else value.rpartition("@")[2]) or ""
    if not re.fullmatch(r"([a-z0-9_-]+\.)+[a-z][a-z0-9-]+", host.lower().rstrip(".")):
        raise ValueError("the subject names a host with a real domain, such as panel.example.com")
    if host.lower().rstrip(".").endswith((".local", ".localhost", ".localdomain", ".internal", ".invalid", ".test")):
        raise ValueError("push services refuse localhost and .local in the subject")
    return value


def _prices(value: object) -> object:
    """``GBP 10, USD 12``: a currency that a plan may have, and an amount, parted by commas."""
    if not isinstance(value, str):
        return value
    prices: dict[str, Decimal] = {}
    for item in filter(None, (part.strip() for part in value.split(","))):
        code, _, text = item.upper().partition(" ")
        try:
            amount = money.read_amount(text.strip(), code, least=Decimal(0))
        except InvalidInput:
            raise ValueError(f"'{item}' is not a currency and an amount such as GBP 10") from None
        if code not in PLAN_CURRENCIES or code in prices:
            raise ValueError(f"'{item}': one amount for each of {', '.join(PLAN_CURRENCIES)} at most")
        prices[code] = amount
    return prices


def _proxy(value: SecretStr) -> SecretStr:
    if value.get_secret_value() and not value.get_secret_value().startswith(("http://", "https://")):
        raise ValueError("a proxy's address begins with http:// or https://")
    return value


def _process_count(value: object) -> object:
    """None for what is left to us, 0 for as many as there are processors."""
    if not isinstance(value, str):
        return value
    text = value.strip().lower()
    if text in ("", "auto"):
        return {"": None, "auto": 0}[text]
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MOST_PROCESSES:
        raise ValueError(f"a number from 1 to {MOST_PROCESSES} or auto is expected")
    return int(text)


def _optional_redis_url(value: SecretStr) -> SecretStr:
    return _redis_url(value) if value.get_secret_value() else value


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


# host or host:port
_HOST = r"^[A-Za-z0-9.-]+(:[0-9]{1,5})?$"


def _not_empty(value: object) -> object:
    if isinstance(value, str) and not value.strip():
        raise ValueError("the name of a directory is expected")
    return value


ThemeId = Annotated[str, Field(pattern=r"^[A-Za-z0-9 _.-]{1,50}$")]
CountryCode = Annotated[str, Field(pattern=r"^(\+?[1-9][0-9]{0,3})?$")]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Certificates = Annotated[Path | None, BeforeValidator(_empty_is_none), AfterValidator(_certificates)]
Directory = Annotated[Path | None, BeforeValidator(_empty_is_none), AfterValidator(_directory)]
