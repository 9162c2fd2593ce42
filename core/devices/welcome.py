"""The welcome text on the set-top box of a new account. Source: contract chapter 20 §1.10."""

import logging

from core.accounts.events import AccountCreated
from core.accounts.on_portals import servers
from core.jobs.events import hears
from core.jobs.jobs import Work
from core.portal import PortalError

log = logging.getLogger(__name__)


@hears(AccountCreated, job="welcome_device")
def welcome_device(work: Work, event: AccountCreated) -> None:
    """The configured text, by server 1 and 2; failures are ignored."""
    text = work.panel.config.panel.welcome_message
    if not text:
        return
    for server in servers(work.panel):
        try:
            server.send_message(event.mac, text)
        except PortalError as error:
            log.warning("welcome message by %s: %s", server.name, type(error).__name__)
