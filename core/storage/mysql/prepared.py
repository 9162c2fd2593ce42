"""MariaDB: what is asked often is told to the server once for each connection, and then asked by its name.

A server takes three times as long to read and resolve the text of a short look-up with some joins as to carry it out.
SQL's own ``PREPARE`` and ``EXECUTE`` are used: their answers are those of the plain statement, whatever the driver.
Nothing that reads ``information_schema`` is asked so: MariaDB 10.11 ends in a crash when it carries out such a join for
the second time.
"""

import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

# of each connection; servers bound how many there may be in all
_MOST = 100
# what a server, or what stands before it, says of a name that it does not know
_UNKNOWN_NAME = 1243
_NEVER = "information_schema"
_PLACE = re.compile(r"%\((\w+)\)s|%%")


def takes_names(dialect: Any) -> bool:
    """Whether the server is one that can be asked so; known once it is connected."""
    return bool(getattr(dialect, "is_mariadb", False)) and dialect.server_version_info >= (10, 2, 3)


class Prepared:
    """``sql`` with places as ``%(name)s``; ``is_lost`` tells whether a driver's error is a lost connection."""

    def __init__(self, sql: str, is_lost: Callable[[Exception], bool]) -> None:
        self._places = [place[1] for place in _PLACE.finditer(sql) if place[1]]
        self._text = _PLACE.sub(lambda place: "?" if place[1] else "%", sql)
        # of the text: whoever shares a connection with us, behind a proxy, has told the same by this name
        self._name = f"sbx_{sha256(self._text.encode()).hexdigest()[:24]}"
        values = ", ".join(["%s"] * len(self._places))
        self._execute = f"EXECUTE {self._name} USING {values}" if values else f"EXECUTE {self._name}"
        self._is_lost = is_lost
        self._is_refused = _NEVER in sql.lower()

    def execute(self, connection: Any, cursor: Any, values: Mapping[str, Any]) -> bool:
        """False where it was not, and is to be executed as the text that it is. Raises the driver's errors."""
        if self._is_refused:
            return False
        told: set[str] = vars(connection).setdefault("sbx_told", set())
        if self._name not in told and not self._tell(cursor, told):
            return False
        try:
            cursor.execute(self._execute, [values[place] for place in self._places] or None)
        except Exception as error:
            if error.args[:1] != (_UNKNOWN_NAME,):
                raise
            # what stands between has given us another connection: it will do so again
            self._is_refused = True
            return False
        return True

    def _tell(self, cursor: Any, told: set[str]) -> bool:
        if len(told) >= _MOST:
            return False
        try:
            cursor.execute(f"PREPARE {self._name} FROM %s", (self._text,))
        except Exception as error:
            if self._is_lost(error):
                raise
            # too many, not allowed, or wrong: then the statement itself says so
            self._is_refused = True
            return False
        told.add(self._name)
        return True
