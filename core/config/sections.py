"""The sections of the configuration, typed; one class a section, one attribute a line of ``config.example.ini``."""

import os
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

from core.config.fields import (
    _HOST,
    Certificates,
    CountryCode,
    Directory,
    HttpUrl,
    ThemeId,
    _database_url,
    _empty_is_none,
    _long_key,
    _lower_case,
    _network,
    _not_empty,
    _optional_database_url,
    _optional_redis_url,
    _parted,
    _parted_by_commas,
    _prices,
    _process_count,
    _proxy,
    _public_url,
    _redis_url,
    _vapid_key,
    _yes_or_no,
    _zone,
    checked_subject,
)

# each has database connections of its own, of which servers grant some hundred altogether
_MOST_BY_THEMSELVES = 8


def _processors() -> int:
    """Those that this process may use, as far as databases let that many connect."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, _MOST_BY_THEMSELVES)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, hide_input_in_errors=True)


class Server(_Section):
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=0, le=65535)
    processes: Annotated[int | None, BeforeValidator(_process_count)] = None
    engine: Literal["waitress", "granian"] = "waitress"
    threads: int = Field(8, ge=1, le=256)
    trusted_proxies: Annotated[tuple[Annotated[str, AfterValidator(_network)], ...], BeforeValidator(_parted)] = ()
    body_limit_mib: float = Field(8, gt=0, le=1024)
    file_limit_mib: float = Field(2, gt=0, le=1024)
    fields_limit: int = Field(1000, ge=10, le=100_000)
    connections_per_address: int = Field(100, ge=0, le=10_000)


class DatabaseSection(_Section):
    url: Annotated[SecretStr, AfterValidator(_database_url)] = SecretStr("sqlite:///var/showbox.db")
    longest_transaction_seconds: int = Field(60, ge=1, le=3600)


class Session(_Section):
    store: Literal["sql", "redis", "php-files"] = "sql"
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] = SecretStr("redis://127.0.0.1:6379/0")
    php_save_path: str = "/var/lib/php/sessions"
    php_serialize_handler: Literal["php", "php_serialize"] = "php"
    cookie_name: str = Field("PHPSESSID", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    lifetime_minutes: int = Field(24, ge=1, le=60 * 24 * 30)
    absolute_days: int = Field(30, ge=0, le=3650)

    @model_validator(mode="after")
    def _save_path_is_there(self) -> Self:
        if self.store == "php-files" and not Path(self.php_save_path.rpartition(";")[2]).is_dir():
            raise ValueError("php_save_path must name the existing directory of PHP's session files")
        return self


class PanelSection(_Section):
    name: str = Field("ShowBox Billing", min_length=1, max_length=100)
    timezone: Annotated[str, AfterValidator(_zone)] = "Asia/Tehran"
    country_code: CountryCode = ""
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
    # a creation asks up to five times in a row while its operation is leased (core.accounts.operations.LEASE_SECONDS)
    call_seconds: float = Field(10, gt=0, le=30)
    recheck_seconds: float = Field(2, ge=0, le=10)
    list_seconds: float = Field(180, gt=0, le=3600)
    operation_seconds: float = Field(20, gt=0, le=120)
    primary_pause_seconds: float = Field(10, ge=0, le=3600)
    secondary_pause_seconds: float = Field(60, ge=0, le=3600)
    primary_full_updates: bool = False
    secondary_full_updates: bool = False
    sync_wait_seconds: float = Field(10, gt=0, le=600)
    list_fresh_seconds: float = Field(300, ge=0, le=86_400)
    whole_list_seconds: float = Field(86_400, ge=0, le=31 * 86_400)
    sync_default_reseller: Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_empty_is_none)] = None


class Sms(_Section):
    template_language: Literal["fa", "en"] = "fa"
    support_contact: str = Field("", max_length=200)
    provider_hosts: Annotated[tuple[Annotated[str, Field(pattern=_HOST)], ...], BeforeValidator(_parted)] = (
        "edge.ippanel.com",
    )
    allow_private: bool = False
    country_code: CountryCode = ""
    sending_type: Literal["webservice", "peer_to_peer"] = "webservice"
    recipients_per_call: int = Field(100, ge=1, le=10_000)
    calls_per_second: int = Field(10, ge=1, le=10_000)
    expired_days: int = Field(1, ge=1, le=7)


class Push(_Section):
    vapid_private_key: Annotated[SecretStr, AfterValidator(_vapid_key)] = SecretStr("")
    vapid_subject: Annotated[str, AfterValidator(checked_subject)] = ""
    allow_insecure: bool = False
    expired_hours: int = Field(24, ge=1, le=168)
    retry_seconds: Annotated[
        tuple[Annotated[float, Field(ge=0, le=600)], ...], BeforeValidator(_parted), Field(max_length=5)
    ] = (2.0, 8.0)
    urgent: Annotated[tuple[Literal["new_account", "renewal", "expiry", "payment"], ...], BeforeValidator(_parted)] = (
        "expiry",
        "payment",
    )


class Mail(_Section):
    default_host: str = Field("localhost", min_length=1, max_length=255, pattern=r"^[A-Za-z0-9.:_-]+$")
    verify_tls: bool = True
    copy_mode: Literal["cc", "bcc"] = "cc"
    expired_days: int = Field(1, ge=1, le=7)


class Telegram(_Section):
    api_base: Annotated[HttpUrl, AfterValidator(lambda address: address.rstrip("/")), Field(min_length=8)] = (
        "https://api.telegram.org"
    )
    proxy: Annotated[SecretStr, AfterValidator(_proxy)] = SecretStr("")
    low_balance_accounts: int = Field(3, ge=0, le=1000)


class Jobs(_Section):
    redis_url: Annotated[SecretStr, AfterValidator(_optional_redis_url)] = SecretStr("")
    queue_file: str = ""
    in_process: bool = True
    workers: int = Field(2, ge=1, le=64)
    wait_seconds: int = Field(60, ge=0, le=3600)
    message_pause_ms: int = Field(300, ge=0, le=60_000)
    scheduler: bool = False


class Backup(_Section):
    max_mib: float = Field(50, gt=0, le=4096)
    reseller_admin_export: Literal["redacted", "full", "off"] = "redacted"
    reseller_admin_import: bool = False
    daily: bool = False
    keep_days: int = Field(14, ge=1, le=3650)


class Xtream(_Section):
    database_url: Annotated[SecretStr, AfterValidator(_optional_database_url)] = SecretStr("")
    plain_result: bool = False
    via_main: bool = False
    api_pass: SecretStr = SecretStr("")


class Security(_Section):
    upgrade_passwords: Annotated[Literal["auto", "yes", "no"], BeforeValidator(_yes_or_no)] = "auto"
    login_attempts_per_minute: int = Field(5, ge=0, le=10_000)
    requests_per_minute: int = Field(0, ge=0, le=1_000_000)
    hsts: bool = True
    min_password_length: int = Field(6, ge=1, le=128)
    log_refusals: bool = False
    cron_key: Annotated[SecretStr, AfterValidator(_long_key)] = SecretStr("")
    metrics_key: Annotated[SecretStr, AfterValidator(_long_key)] = SecretStr("")
    application_key: Annotated[SecretStr, AfterValidator(_long_key)] = SecretStr("")
    public_url: Annotated[str, AfterValidator(_public_url)] = ""
    strict_passkeys: bool = False
    php_passkeys: bool = True


class Log(_Section):
    format: Literal["text", "json"] = "text"
    level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower_case)] = "info"
    access: bool = False


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
    telegram: Telegram = Telegram()
    jobs: Jobs = Jobs()
    sms: Sms = Sms()
    backup: Backup = Backup()
    xtream: Xtream = Xtream()
    security: Security = Security()
    log: Log = Log()

    @property
    def country_code(self) -> str:
        """Digits of the country code of national telephone numbers; empty: not known."""
        return (self.panel.country_code or self.sms.country_code).removeprefix("+")

    @property
    def process_count(self) -> int:
        """How many processes serve: unless it is set, one for a database that is a file, else one each processor."""
        if self.server.processes is None and self.database.url.get_secret_value().startswith("sqlite"):
            return 1
        return self.server.processes or _processors()

    @model_validator(mode="after")
    def _data_is_not_served(self) -> Self:
        root = self.frontend.root
        if root is not None and self.panel.data_directory.resolve().is_relative_to(root.resolve()):
            raise ValueError("[panel] data_directory must not lie within [frontend] root")
        return self
