"""What the channels' answers and questions have in common."""

from typing import Any

from compat.fields import RequestModel, Text
from core.messages.log_page import Query
from core.values.clock import Clock
from core.values.days import checked_date
from legacy_routes.forms import PageNumber


def said(text: str) -> dict[str, Any]:
    """Of a success."""
    return {"err_msg": "", "message": text}


class DayLogForm(RequestModel):
    """Which rows of one day's log are wanted; without a ``date``, today's."""

    date: Text = ""
    status: Text = ""
    search: Text = ""
    page: PageNumber = 1

    def query(self, clock: Clock, kind: str, limit: int) -> Query:
        """Raises InvalidInput."""
        day = checked_date(self.date) if self.date else clock.today()
        return Query(day, self.status, kind, self.search, self.page, limit)
