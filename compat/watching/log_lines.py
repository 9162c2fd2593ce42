"""Log lines as text or JSON, each with the id of the request that it was written for. Who writes what: each room."""

import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

import orjson

Format = Literal["text", "json"]
# "" outside of any request: at the start, in commands, in background threads
request_id: ContextVar[str] = ContextVar("request_id", default="")
ACCESS_FIELDS = "showbox_access"
# what is said at every turn by libraries, and by nobody asked for
_QUIETER = {"waitress.queue": logging.ERROR, "alembic": logging.WARNING, "huey": logging.WARNING}


class TextLines(logging.Formatter):
    """``2026-11-27 10:00:00,000 INFO showbox.access [id]: message``; the id only where there is one."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s%(request)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        of_request = request_id.get()
        record.request = f" [{of_request}]" if of_request else ""
        return super().format(record)


class JsonLines(logging.Formatter):
    """One JSON object a line: ``time`` (UTC, ISO 8601), ``level``, ``logger``, ``message``, and where there are such
    ``request_id``, ``exception`` and the fields of the access line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if of_request := request_id.get():
            line["request_id"] = of_request
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        line |= getattr(record, ACCESS_FIELDS, {})
        return orjson.dumps(line, default=str).decode()


def configure(format: Format = "text", level: str = "info") -> None:
    """Send everything of ``level`` and above to stderr, in this format; a second call replaces the first."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if format == "json" else TextLines())
    root = logging.getLogger()
    for earlier in [one for one in root.handlers if isinstance(one.formatter, TextLines | JsonLines)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name, least in _QUIETER.items():
        logging.getLogger(name).setLevel(max(least, root.level))
