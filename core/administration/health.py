"""How the server is, for those who watch it: whether it can work, and how much work waits."""

from sqlalchemy import func, select

from core.errors import PanelError
from core.panel import Panel
from core.storage.tables import Job


def can_work(panel: Panel) -> bool:
    """Whether the database answers and is one that we may use."""
    try:
        panel.layout  # noqa: B018 - raises where the database cannot be used
        with panel.database.read() as connection:
            connection.execute(select(1))
    except PanelError:
        return False
    return True


def jobs_by_state(panel: Panel) -> dict[str, float]:
    """How many jobs are waiting, running, done or failed, of those that are kept. Raises DatabaseFailed."""
    with panel.database.read() as connection:
        rows = connection.execute(select(Job.state, func.count()).group_by(Job.state))
        return {str(state): float(count) for state, count in rows}
