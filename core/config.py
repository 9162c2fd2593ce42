"""The typed configuration: one ini file, every key overridable by the environment variable SHOWBOX_SECTION_KEY.

Unknown sections and keys and bad values are refused, one clear sentence each. What a key means stands in
config.example.ini; here stand type, default and bounds.
"""

import configparser
import ipaddress
import os
import re
import ssl
from collections.abc import Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from core import money
from core.database import normal_url
from core.errors import InvalidInput

ENVIRONMENT_PREFIX = "SHOWBOX_"
KEY_CHARACTERS = 16
# those that a new plan may have (contract chapter 40 §1.6)
PLAN_CURRENCIES = ("GBP", "USD", "EUR", "IRR")
# read by the program itself or by its test suite, not keys of a section
_OTHER_VARIABLES = ("SHOWBOX_CONFIG",)
_OTHER_PREFIXES = ("SHOWBOX_TEST_",)


class ConfigError(Exception):
    """The configuration cannot be used; ``sentences`` say why, one each, without repeating secrets."""

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = list(sentences)
        super().__init__("\n".join(self.sentences))


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


def _database_url(value: SecretStr) -> SecretStr:
    normal_url(value.get_secret_value())
    return value


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


def _vapid_subject(value: str) -> str:
    if value and not value.startswith(("https://", "mailto:")):
        raise ValueError("the subject is an address that begins with https:// or mailto:")
    if re.search(r"[/@](localhost|[^/@]*\.local)(?:[:/]|$)", value):
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
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Certificates = Annotated[Path | None, BeforeValidator(_empty_is_none), AfterValidator(_certificates)]
Directory = Annotated[Path | None, BeforeValidator(_empty_is_none), AfterValidator(_directory)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)


class Server(_Section):
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    threads: int = Field(8, ge=1, le=256)
    trusted_proxies: Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(_parted)] = ()
    body_limit_mib: float = Field(8, gt=0, le=1024)
    file_limit_mib: float = Field(2, gt=0, le=1024)
    fields_limit: int = Field(1000, ge=10, le=100_000)


class DatabaseSection(_Section):
    url: Annotated[SecretStr, AfterValidator(_database_url)] = SecretStr("sqlite:///var/showbox.db")


class Session(_Section):
    store: Literal["sql", "redis", "php-files"] = "sql"
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] = SecretStr("redis://127.0.0.1:6379/0")
    php_save_path: str = "/var/lib/php/sessions"
    php_serialize_handler: Literal["php", "php_serialize"] = "php"
    cookie_name: str = Field("PHPSESSID", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    lifetime_minutes: int = Field(24, ge=1, le=60 * 24 * 30)

    @model_validator(mode="after")
    def _save_path_is_there(self) -> Self:
        if self.store == "php-files" and not Path(self.php_save_path.rpartition(";")[2]).is_dir():
            raise ValueError("php_save_path must name the existing directory of PHP's session files")
        return self


class PanelSection(_Section):
    name: str = Field("ShowBox Billing", min_length=1, max_length=100)
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Tehran"
    welcome_message: str = ""
    data_directory: Annotated[Path, BeforeValidator(_not_empty)] = Path("var")
    default_theme: str = "HenSoft-TV Realistic-Centered SHOWBOX"
    themes: Annotated[tuple[ThemeId, ...], BeforeValidator(_parted_by_commas), Field(min_length=1)] = (
        "HenSoft-TV Realistic-Centered SHOWBOX",
        "HenSoft-TV Realistic-Centered",
        "HenSoft-TV Realistic-Dark",
        "HenSoft-TV Realistic-Light",
        "cappuccino",
        "digital",
        "emerald",
        "graphite",
        "ocean_blue",
    )
    tariff_prices: Annotated[dict[str, Decimal], BeforeValidator(_prices)] = {
        "GBP": Decimal(10),
        "USD": Decimal(12),
        "EUR": Decimal(11),
        "IRR": Decimal(500_000),
    }


class FrontendSection(_Section):
    root: Directory = None


class Portal(_Section):
    primary_api_url: HttpUrl = ""
    secondary_api_url: HttpUrl = ""
    primary_address: HttpUrl = ""
    secondary_address: HttpUrl = ""
    username: str = ""
    password: SecretStr = SecretStr("")
    dual_server: bool = False
    theme_key: SecretStr = SecretStr("")
    theme_pause_seconds: float = Field(0.1, ge=0, le=60)
    send_reseller: bool = False
    verify_tls: bool = True
    ca_file: Certificates = None
    connect_seconds: float = Field(5, gt=0, le=30)
    # a creation asks up to five times in a row while its operation is leased (core.operations.LEASE_SECONDS)
    call_seconds: float = Field(10, gt=0, le=30)
    recheck_seconds: float = Field(2, ge=0, le=10)
    list_seconds: float = Field(180, gt=0, le=3600)
    secondary_pause_seconds: float = Field(60, ge=0, le=3600)
    primary_full_updates: bool = False
    secondary_full_updates: bool = False
    sync_wait_seconds: float = Field(60, gt=0, le=600)
    sync_default_reseller: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_empty_is_none)] = None


class Sms(_Section):
    template_language: Literal["fa", "en"] = "fa"
    support_contact: str = Field("", max_length=200)
    provider_hosts: Annotated[tuple[Annotated[str, Field(pattern=_HOST)], ...], BeforeValidator(_parted)] = (
        "edge.ippanel.com",
    )
    allow_private: bool = False
    country_code: str = Field("", pattern=r"^(\+?[1-9][0-9]{0,3})?$")
    sending_type: Literal["webservice", "peer_to_peer"] = "webservice"
    recipients_per_call: int = Field(100, ge=1, le=10_000)
    calls_per_second: int = Field(10, ge=1, le=10_000)
    expired_days: int = Field(1, ge=1, le=7)


class Push(_Section):
    vapid_private_key: Annotated[SecretStr, AfterValidator(_vapid_key)] = SecretStr("")
    vapid_subject: Annotated[str, AfterValidator(_vapid_subject)] = ""
    allow_insecure: bool = False
    expired_hours: int = Field(24, ge=1, le=168)


class Mail(_Section):
    default_host: str = Field("localhost", min_length=1, max_length=255, pattern=r"^[A-Za-z0-9.:_-]+$")
    verify_tls: bool = True
    copy_mode: Literal["cc", "bcc"] = "cc"
    expired_days: int = Field(1, ge=1, le=7)


class Jobs(_Section):
    redis_url: Annotated[SecretStr, AfterValidator(_optional_redis_url)] = SecretStr("")
    queue_file: str = ""
    in_process: bool = True
    workers: int = Field(2, ge=1, le=64)
    wait_seconds: int = Field(60, ge=0, le=3600)
    message_pause_ms: int = Field(300, ge=0, le=60_000)
    scheduler: bool = False


class Security(_Section):
    upgrade_passwords: Annotated[Literal["auto", "yes", "no"], BeforeValidator(_yes_or_no)] = "auto"
    login_attempts_per_minute: int = Field(5, ge=0, le=10_000)
    requests_per_minute: int = Field(0, ge=0, le=1_000_000)
    hsts: bool = True
    min_password_length: int = Field(6, ge=1, le=128)
    cron_key: Annotated[SecretStr, AfterValidator(_long_key)] = SecretStr("")
    application_key: Annotated[SecretStr, AfterValidator(_long_key)] = SecretStr("")


class Config(_Section):
    """All sections; attribute names are the ini file's section and key names."""

    server: Server = Server()
    database: DatabaseSection = DatabaseSection()
    session: Session = Session()
    panel: PanelSection = PanelSection()
    frontend: FrontendSection = FrontendSection()
    portal: Portal = Portal()
    push: Push = Push()
    mail: Mail = Mail()
    jobs: Jobs = Jobs()
    sms: Sms = Sms()
    security: Security = Security()

    @model_validator(mode="after")
    def _data_is_not_served(self) -> Self:
        root = self.frontend.root
        if root is not None and self.panel.data_directory.resolve().is_relative_to(root.resolve()):
            raise ValueError("[panel] data_directory must not lie within [frontend] root")
        return self


def load_config(path: Path | None, environment: Mapping[str, str] | None = None) -> Config:
    """The configuration of ``path`` (None: defaults only) with the environment's overrides.

    Raises ConfigError.
    """
    values = _read_file(path) if path is not None else {}
    for section, key, value in _overrides(os.environ if environment is None else environment):
        values.setdefault(section, {})[key] = value
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_sentence(item) for item in error.errors(include_url=False)) from None


def default_path(environment: Mapping[str, str] | None = None) -> Path | None:
    """The file that $SHOWBOX_CONFIG names, else ./config.ini when there is one."""
    named = (os.environ if environment is None else environment).get("SHOWBOX_CONFIG")
    if named:
        return Path(named)
    usual = Path("config.ini")
    return usual if usual.exists() else None


def _read_file(path: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, inline_comment_prefixes=None)
    try:
        with path.open(encoding="utf-8") as file:
            parser.read_file(file)
    except OSError as error:
        raise ConfigError([f"The configuration file {path} cannot be read: {error.strerror}."]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"The configuration file {path} is not UTF-8 text."]) from None
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        where = f" near line {line}" if line else ""
        raise ConfigError([f"The configuration file {path} is not a valid ini file{where}."]) from None
    if parser.defaults():
        raise ConfigError(["The section [DEFAULT] is not used here; give each key its own section."])
    return {section: dict(parser.items(section)) for section in parser.sections()}


def _overrides(environment: Mapping[str, str]) -> Iterable[tuple[str, str, str]]:
    for name, value in environment.items():
        if not name.startswith(ENVIRONMENT_PREFIX) or name in _OTHER_VARIABLES or name.startswith(_OTHER_PREFIXES):
            continue
        section, _, key = name.removeprefix(ENVIRONMENT_PREFIX).lower().partition("_")
        yield section, key, value


_REASONS = {
    "int_parsing": "a whole number is expected",
    "float_parsing": "a number is expected",
    "bool_parsing": "yes or no is expected",
}


def _sentence(error: Any) -> str:
    location = [str(part) for part in error["loc"]]
    if not location:
        return f"{error['msg'].removeprefix('Value error, ')}."
    section, key = location[0], location[1] if len(location) > 1 else None
    variable = f"{ENVIRONMENT_PREFIX}{section}_{key or ''}".upper().rstrip("_")
    if error["type"] == "extra_forbidden":
        if key is None:
            known = ", ".join(Config.model_fields)
            return f"There is no section [{section}] ({variable}…); known sections: {known}."
        known = ", ".join(Config.model_fields[section].default.__class__.model_fields)
        return f"There is no key '{key}' in section [{section}] ({variable}); known keys: {known}."
    if key is None:
        return f"[{section}]: {error['msg'].removeprefix('Value error, ')}."
    reason = _REASONS.get(error["type"]) or error["msg"].removeprefix("Value error, ").replace(
        "Input should", "it must"
    )
    return f"[{section}] {key} ({variable}): {reason}."
