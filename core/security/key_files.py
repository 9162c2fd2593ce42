"""Keys of this installation that are made once and kept in files of the data directory, which no web server serves.

Not in the database: its dumps travel. Source: contract chapter 70, ``get_vapid_key.php``.
"""

import logging
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from core.errors import PanelError
from core.storage.private_files import private_directory, put_right

log = logging.getLogger(__name__)


class KeyNotStored(PanelError):
    default_text = "The server cannot read or store its keys; see the data directory"


def kept_key(directory: Path, name: str, make: Callable[[], bytes]) -> bytes:
    """What the file ``name`` of ``directory`` holds; where there is none, it is made first, also when several
    processes ask at once.

    Raises KeyNotStored.
    """
    path = directory / name
    try:
        if not path.exists():
            private_directory(directory)
            beside = directory / f".{name}.{secrets.token_hex(8)}"
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(make())
                    file.flush()
                    os.fsync(file.fileno())
                # whole or not at all, and only for the first
                os.link(beside, path)
            except FileExistsError:
                pass
            finally:
                beside.unlink()
        put_right(path)
        return path.read_bytes()
    except OSError as error:
        # a path in the message would say where things lie
        log.error("the key %s cannot be read or stored: %s", name, error.strerror)
        raise KeyNotStored from None
