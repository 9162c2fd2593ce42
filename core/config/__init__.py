"""The typed configuration: its sections, and how they are read from file and environment. Settings that are stored in
the database stand in the rooms that use them."""

from core.config.load import ENVIRONMENT_PREFIX, ConfigError, default_path, load_config
from core.config.sections import (
    Backup,
    Config,
    DatabaseSection,
    FrontendSection,
    Jobs,
    Log,
    Mail,
    PanelSection,
    Portal,
    Push,
    Security,
    Server,
    Session,
    Sms,
    Telegram,
    Xtream,
)

__all__ = [
    "ENVIRONMENT_PREFIX",
    "Backup",
    "Config",
    "ConfigError",
    "DatabaseSection",
    "FrontendSection",
    "Jobs",
    "Log",
    "Mail",
    "PanelSection",
    "Portal",
    "Push",
    "Security",
    "Server",
    "Session",
    "Sms",
    "Telegram",
    "Xtream",
    "default_path",
    "load_config",
]
