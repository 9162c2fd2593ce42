"""The configuration in force as a file of it, for people who look what is set: secrets are only told to be set."""

from collections.abc import Iterator
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from core.config.sections import Config

SET = "(set)"


def shown(config: Config) -> Iterator[str]:
    """Lines of an ini file; of an address that holds a password, what is no secret."""
    for section in type(config).model_fields:
        yield f"[{section}]"
        values = getattr(config, section)
        for key in type(values).model_fields:
            yield f"{key} = {_shown(getattr(values, key))}".rstrip()
        yield ""


def _shown(value: object) -> str:
    if isinstance(value, SecretStr):
        return _without_secret(value.get_secret_value())
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {item}" for name, item in value.items())
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if value is None:
        return ""
    return str(value) if isinstance(value, Path) else str(value).replace("\n", "\n\t")


def _without_secret(text: str) -> str:
    if not text:
        return ""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        return SET
    if not url.host and not url.database:
        return SET
    # what stands behind the question mark may hold anything
    return url.set(query={}).render_as_string(hide_password=True)
