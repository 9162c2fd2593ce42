"""A configuration file made of what a PHP panel was set up with, for this user alone to read.

What was read: :mod:`core.moving.panel_settings`. Which keys there are, and what they may hold: :mod:`core.config`.
"""

import configparser
import io
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from core.config import ConfigError, load_config
from core.errors import AlreadyExists, InvalidInput
from core.moving.panel_settings import Key, read_panel


@dataclass(frozen=True, slots=True)
class Imported:
    """``taken``: each key with the script that it was in; ``left_out``: what could not be taken over, and why."""

    taken: Mapping[Key, str]
    left_out: Mapping[Key, str]


def import_panel(directory: Path, output: Path) -> Imported:
    """Write ``output`` (mode 600), which must not be there yet.

    Raises AlreadyExists, and InvalidInput where there is no panel or the file cannot be written.
    """
    if os.path.lexists(output):
        raise AlreadyExists(f"{output} is there already; nothing was written")
    read = read_panel(directory)
    values, left_out = dict(read.values), {}
    for key in list(values):
        reason = _reason_against({key: values[key]})
        if reason is not None:
            left_out[key] = reason
            del values[key]
    text = f"# made from the panel in {directory}\n{_as_ini(values)}"
    try:
        with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise AlreadyExists(f"{output} is there already; nothing was written") from None
    except OSError as error:
        raise InvalidInput(f"{output} cannot be written: {error.strerror}") from None
    return Imported({key: read.found_in[key] for key in values}, left_out)


def _reason_against(values: Mapping[Key, str]) -> str | None:
    """Why a value cannot stand in the file; None when it is read again as it was. Never repeats it."""
    [((section, key), value)] = values.items()
    with tempfile.TemporaryDirectory() as place:
        file = Path(place, "config.ini")
        try:
            file.write_text(_as_ini(values), encoding="utf-8")
            read = getattr(getattr(load_config(file, {}), section), key)
        except UnicodeEncodeError:
            return "it is not UTF-8 text"
        except ConfigError as error:
            return error.sentences[0].rpartition("): ")[2].rstrip(".")
    held = read.get_secret_value() if hasattr(read, "get_secret_value") else read
    if isinstance(held, str) and held != value:
        return "a line of this kind of file cannot hold it as it is; give it by the environment"
    return None


def _as_ini(values: Mapping[Key, str]) -> str:
    parser = configparser.ConfigParser(interpolation=None)
    for (section, key), value in sorted(values.items()):
        if not parser.has_section(section):
            parser.add_section(section)
        parser.set(section, key, value)
    text = io.StringIO()
    parser.write(text)
    return text.getvalue()
