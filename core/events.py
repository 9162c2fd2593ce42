"""What happened to accounts, told inside this process after the commit, and who listens.

Handlers run on the panel's background threads: they never delay or fail the request. What is queued when the process
ends is lost; durable jobs are not built yet. Source: contract chapter 20 §1.10.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from core.account_portal import servers
from core.panel import Panel
from core.portal import PortalError

log = logging.getLogger(__name__)

CREATED, RENEWED, REMOVED, STATUS_CHANGED = "created", "renewed", "removed", "status_changed"


@dataclass(frozen=True, slots=True)
class Event:
    """``kind`` is one of the four above; ``owner_id`` the account's reseller, ``actor_id`` who did it."""

    kind: str
    account_id: int
    username: str
    mac: str
    full_name: str
    owner_id: int | None
    actor_id: int
    actor_name: str
    plan_name: str | None = None
    end_date: date | None = None


Handler = Callable[[Panel, Event], None]


def announce(panel: Panel, event: Event) -> None:
    """Hand ``event`` to its handlers and return at once. Call it after the commit."""
    for handler in HANDLERS.get(event.kind, ()):
        try:
            panel.background.submit(_handle, handler, panel, event)
        except RuntimeError:
            # the panel is closing
            log.warning("event %s: %s was not run", event.kind, handler.__name__)


def _handle(handler: Handler, panel: Panel, event: Event) -> None:
    try:
        handler(panel, event)
    except Exception as error:
        # nobody waits for the outcome; a broken handler must not end the thread silently
        log.error("event %s: %s failed: %s", event.kind, handler.__name__, type(error).__name__)


def welcome_device(panel: Panel, event: Event) -> None:
    """The configured welcome text on the set-top box, by server 1 and 2; failures are ignored."""
    text = panel.config.panel.welcome_message
    if not text:
        return
    for server in servers(panel):
        try:
            server.send_message(event.mac, text)
        except PortalError as error:
            log.warning("welcome message by %s: %s", server.name, type(error).__name__)


HANDLERS: dict[str, tuple[Handler, ...]] = {CREATED: (welcome_device,)}
