"""What mysqlclient makes of stored values and may be told, so that the rest of the code cannot tell it from PyMySQL."""

from typing import Any

from pymysql import converters
from pymysql.constants import FIELD_TYPE

# a date or time that Python has no value for (zero dates, days that never were) is its text, not None: the legacy
# database holds them
_DATES = {
    FIELD_TYPE.DATE: converters.convert_date,
    FIELD_TYPE.DATETIME: converters.convert_datetime,
    FIELD_TYPE.TIMESTAMP: converters.convert_datetime,
    FIELD_TYPE.TIME: converters.convert_timedelta,
}


def mysqlclient_options() -> dict[str, Any]:
    """Arguments of its ``connect``; it must be there."""
    from MySQLdb.converters import conversions

    # several statements in one text are what an injection needs
    return {"conv": {**conversions, **_DATES}, "multi_statements": False}
