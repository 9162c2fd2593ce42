"""Files of payment receipts: what may be one, where they lie, how they are found again. Source: contract chapter 30 D.

They lie below the data directory, which no web server serves; who may read one is decided by its payment
(:mod:`core.payments.payments`). A file is what its content says, never what its name says.
"""

import logging
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

from core.errors import InvalidInput, PanelError
from core.panel import Panel
from core.storage.private_files import make_private

log = logging.getLogger(__name__)

# of ``_reseller_payments.receipt_path``, and of the address that a receipt is read at
PREFIX = "uploads/receipts/"
_DIRECTORY = "receipts"
# ours, and those of a panel whose receipts were moved here
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,150}\.(?:jpe?g|png|gif|pdf)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file, known by how it begins."""

    extension: str
    content_type: str
    beginnings: tuple[bytes, ...]


_KINDS = (
    Kind("jpg", "image/jpeg", (b"\xff\xd8\xff",)),
    Kind("png", "image/png", (b"\x89PNG\r\n\x1a\n",)),
    Kind("gif", "image/gif", (b"GIF87a", b"GIF89a")),
    Kind("pdf", "application/pdf", (b"%PDF-",)),
)


class ReceiptNotStored(PanelError):
    default_text = "The receipt could not be stored"


@dataclass(frozen=True, slots=True)
class Receipt:
    content: bytes
    content_type: str


def kind_of(content: bytes) -> Kind:
    """Raises InvalidInput for anything but JPEG, PNG, GIF and PDF."""
    for kind in _KINDS:
        if content.startswith(kind.beginnings):
            return kind
    raise InvalidInput("The receipt must be a JPEG, PNG, GIF or PDF file")


def store(panel: Panel, content: bytes, kind: Kind) -> str:
    """Write the file under a name that cannot be guessed; returns its path. Raises ReceiptNotStored."""
    name = f"receipt_{secrets.token_hex(16)}.{kind.extension}"
    directory = _directory(panel)
    try:
        make_private(directory)
        descriptor = os.open(directory / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise _not_stored(error) from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
    except OSError as error:
        remove(panel, PREFIX + name)
        raise _not_stored(error) from None
    return PREFIX + name


def remove(panel: Panel, path: str) -> None:
    """Take back what :func:`store` stored."""
    try:
        (_directory(panel) / path.removeprefix(PREFIX)).unlink(missing_ok=True)
    except OSError as error:
        log.warning("a receipt without a payment could not be removed: %s", error.strerror)


def read(panel: Panel, name: str) -> Receipt | None:
    """The receipt of that file name; None for what is no receipt of ours."""
    if not _NAME.fullmatch(name):
        return None
    path = _directory(panel) / name
    try:
        if path.is_symlink() or not path.is_file():
            return None
        content = path.read_bytes()
        return Receipt(content, kind_of(content).content_type)
    except (OSError, InvalidInput):
        return None


def _directory(panel: Panel) -> Path:
    return panel.config.panel.data_directory / _DIRECTORY


def _not_stored(error: OSError) -> ReceiptNotStored:
    # a path in the message would say where things lie
    log.error("a receipt could not be stored: %s", error.strerror)
    return ReceiptNotStored()
