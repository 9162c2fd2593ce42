"""The typed configuration: one ini file, every key overridable by the environment variable SHOWBOX_SECTION_KEY.

Unknown sections and keys and bad values are refused, one clear sentence each. What a key means stands in
config.example.ini; here stand type, default and bounds.
"""

import configparser
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import (
    ValidationError,
)

from core.config.sections import Config

ENVIRONMENT_PREFIX = "SHOWBOX_"
# read by the program itself or by its test suite, not keys of a section
_OTHER_VARIABLES = ("SHOWBOX_CONFIG", "SHOWBOX_USER_PASSWORD")
_OTHER_PREFIXES = ("SHOWBOX_TEST_",)


class ConfigError(Exception):
    """The configuration cannot be used; ``sentences`` say why, one each, without repeating secrets."""

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = list(sentences)
        super().__init__("\n".join(self.sentences))


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
        with path.open(encoding="utf-8-sig") as file:
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
