"""The welcome text on the set-top box of a new account. Source: contract chapter 20 §1.10."""

import logging

from core.access.actors import bare_actor
from core.accounts.events import AccountCreated
from core.accounts.on_portals import servers
from core.devices.rules import Message
from core.devices.send import Delivery, note
from core.jobs.events import hears
from core.jobs.jobs import Work
from core.portal import PortalError

log = logging.getLogger(__name__)


@hears(AccountCreated, job="welcome_device")
def welcome_device(work: Work, event: AccountCreated) -> None:
    """The configured text, by server 1 and 2. Where no server sends it, the log of devices says so: the answer to the
    addition was given before."""
    text = work.panel.config.panel.welcome_message
    if not text:
        return
    failures = []
    every_server = servers(work.panel)
    for server in every_server:
        try:
            server.send_message(event.mac, text)
        except PortalError as error:
            log.warning("welcome message by %s: %s", server.name, type(error).__name__)
            failures.append(error.device_text)
    if len(failures) == len(every_server):
        actor = bare_actor(event.actor_id, event.actor_name)
        note(work.panel, actor, Delivery(event.mac, failures[0]), Message(text))
