"""Sending an event or a message to one set-top box: who may, over which servers, and what is recorded of it.

Server 1 decides; server 2 follows in dual mode and never changes the outcome. Source: contract chapter 50. Many boxes
at once: :mod:`core.devices.send_many`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from sqlalchemy import Connection

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import SEND_EVENTS, SEND_MESSAGES, Right, Scope, may_touch, require, scope_of
from core.accounts.on_portals import one_operation
from core.accounts.rows import owners_by_mac
from core.devices.log import is_written, settle_row, write_row
from core.devices.rules import Content, checked_event, checked_mac, checked_message
from core.errors import DatabaseFailed, InvalidInput, NotAllowed, NotFound, UpstreamFailed
from core.jobs.claims import AUDITED, INTERRUPTED, first_time
from core.panel import Panel
from core.portal import PortalError, PortalNotConfigured, PortalServer, PortalTimeout

log = logging.getLogger(__name__)

NOT_KNOWN = "Device not found"
NOT_YOURS = "Permission denied. This device does not belong to you."
_SERVER2_CHARACTERS = 100
Write = Callable[[Connection], None]


@dataclass(frozen=True, slots=True)
class Delivery:
    """What became of one device: ``error`` None: server 1 took it; ``server2``: why server 2 did not.

    ``is_recorded``: the log has it.
    """

    mac: str
    error: str | None = None
    is_timeout: bool = False
    server2: str | None = None
    is_recorded: bool = True


@dataclass(frozen=True, slots=True)
class Sent:
    """``server2``: what server 2 said instead of taking it, None where nothing failed; ``is_recorded``: the log and
    the audit log have it."""

    server2: str | None
    is_recorded: bool


def send_event(panel: Panel, by: By, mac: str, event: str, channel: str) -> Sent:
    """Server 1 took it.

    Raises NotAllowed, NotFound, InvalidInput, UpstreamFailed.
    """
    require(by.actor, SEND_EVENTS)
    device = checked_mac(mac)
    if not event:
        raise InvalidInput("Event type is required")
    _require_own(panel, by.actor, SEND_EVENTS, device)
    return _send(panel, by, device, checked_event(event, channel))


def send_message(panel: Panel, by: By, mac: str, text: str, ttl: int | None) -> Sent:
    """As :func:`send_event`."""
    require(by.actor, SEND_MESSAGES)
    device = checked_mac(mac)
    message = checked_message(text, ttl)
    _require_own(panel, by.actor, SEND_MESSAGES, device)
    return _send(panel, by, device, message)


def refusals(panel: Panel, actor: Actor, right: Right, macs: list[str]) -> dict[str, NotAllowed | NotFound]:
    """Which of ``macs`` the actor may not send to, and why. Who may send to all needs no account for them."""
    if scope_of(actor, right) is Scope.ALL:
        return {}
    with panel.database.read() as connection:
        owners = owners_by_mac(connection, macs)
    unknown = {mac: NotFound(NOT_KNOWN) for mac in macs if mac not in owners}
    foreign = {mac: NotAllowed(NOT_YOURS) for mac, owner in owners.items() if not may_touch(actor, right, owner)}
    return {**unknown, **foreign}


@one_operation
def deliver(
    panel: Panel, actor: Actor, mac: str, content: Content, *, row_id: int = 0, also: Write | None = None
) -> Delivery:
    """Hand ``content`` to the portals for the device, and log what became of it as :func:`note` does, ``also`` together
    with that if it was sent; never raises PortalError."""
    delivery = _deliver(panel, mac, content)
    also = also if delivery.error is None else None
    return replace(delivery, is_recorded=note(panel, actor, delivery, content, row_id=row_id, also=also))


def on_its_way(panel: Panel, connection: Connection, actor: Actor, mac: str, content: Content) -> int:
    """The log's row of a device that is about to be told, which :func:`note` settles; its id, 0 for none."""
    return _write_row(panel, connection, actor, Delivery(mac, INTERRUPTED), content)


def note(
    panel: Panel, actor: Actor, delivery: Delivery, content: Content, *, row_id: int = 0, also: Write | None = None
) -> bool:
    """The outcome in the log's row of one device (0: a new one), ``also`` in its transaction, and a line in the log
    file; whether it was stored."""
    outcome = f"failed: {delivery.error}" if delivery.error else "sent"
    log.info("%s to %s by user %d: %s", content.file_label, delivery.mac, actor.id, outcome)

    def write(connection: Connection) -> None:
        if row_id:
            settle_row(panel, connection, row_id, delivery.error)
        else:
            _write_row(panel, connection, actor, delivery, content)

    def write_both(connection: Connection) -> None:
        write(connection)
        if also is not None:
            also(connection)

    is_recorded = _record(panel, write_both)
    if not is_recorded and also is not None:
        # the one must not be missing because of the other
        _record(panel, write)
    return is_recorded


def _write_row(panel: Panel, connection: Connection, actor: Actor, delivery: Delivery, content: Content) -> int:
    kind, label, text = content.kind, content.label, content.full_text
    return write_row(panel, connection, actor, kind, delivery.mac, label, full_text=text, error=delivery.error)


def audit_sent(
    panel: Panel, by: By, content: Content, target: str, new: dict[str, Any], details: str, *, once: str
) -> bool:
    """One audit row for what was sent to many devices, ``once`` under that name; whether it is stored."""
    return _record(panel, _only(panel, once, _audited(panel, by, content, target, new, details)))


def _only(panel: Panel, once: str, write: Write) -> Write:
    def act(connection: Connection) -> None:
        if first_time(connection, AUDITED, once, panel.clock.stamp()):
            write(connection)

    return act


def _audited(panel: Panel, by: By, content: Content, target: str, new: dict[str, Any], details: str) -> Write:
    def write(connection: Connection) -> None:
        target_type = f"stb_{content.kind}"
        by.write_audit(panel, connection, "send", target_type, target_name=target, new=new, details=details)

    return write


def note_server2(panel: Panel, by: By, kind: str, deliveries: list[Delivery], *, once: str | None = None) -> str | None:
    """Audit rows for the devices that server 2 did not take, ``once`` under that name, and a sentence that tells of the
    first."""
    late = [delivery for delivery in deliveries if delivery.server2 is not None]
    if not late:
        return None

    def write(connection: Connection) -> None:
        for delivery in late:
            by.write_audit(
                panel,
                connection,
                "server2_failure",
                "stalker_portal",
                target_name=delivery.mac,
                new={"operation": kind, "error": delivery.server2, "server": "server 2"},
                details=_server2_sentence(kind, delivery, None),
            )

    _record(panel, write if once is None else _only(panel, once, write))
    return _server2_sentence(kind, late[0], _SERVER2_CHARACTERS)


def _require_own(panel: Panel, actor: Actor, right: Right, mac: str) -> None:
    for refusal in refusals(panel, actor, right, [mac]).values():
        raise refusal


def _send(panel: Panel, by: By, mac: str, content: Content) -> Sent:
    audit = _audited(panel, by, content, mac, content.facts, f"{content.kind.title()} sent to STB {mac}")
    delivery = deliver(panel, by.actor, mac, content, row_id=_begun(panel, by.actor, mac, content), also=audit)
    if delivery.error is not None:
        raise UpstreamFailed(failure_text(content, delivery.error))
    return Sent(note_server2(panel, by, content.kind, [delivery]), delivery.is_recorded)


def _begun(panel: Panel, actor: Actor, mac: str, content: Content) -> int:
    """As :func:`on_its_way`; a log that cannot be written keeps nothing from being sent."""

    def act(connection: Connection) -> int:
        return on_its_way(panel, connection, actor, mac, content)

    try:
        row_id: int = panel.database.transact(act, is_stored=partial(is_written, panel))
        return row_id
    except DatabaseFailed as error:
        log.warning("the log of devices could not be told beforehand: %s", type(error.__cause__).__name__)
        return 0


def failure_text(content: Content, error: str) -> str:
    """The frontends look into this text for the word ``event`` or ``message``, and for the portal's words."""
    return f"Failed to send {content.kind}: {error}"


def _deliver(panel: Panel, mac: str, content: Content) -> Delivery:
    try:
        portals = panel.portals
        stock_form = content.send(portals.primary, mac)
    except PortalError as error:
        return Delivery(mac, _words(error), isinstance(error, PortalTimeout))
    return Delivery(mac, server2=_follow(portals.secondary, mac, content, stock_form))


def _follow(server: PortalServer | None, mac: str, content: Content, stock_form: bool) -> str | None:
    if server is None:
        return None
    try:
        content.send(server, mac, stock_form=stock_form)
    except PortalError as error:
        return error.text
    return None


def _words(error: PortalError) -> str:
    # the frontends know no words for it, so that the true ones can stand
    return error.text if isinstance(error, PortalNotConfigured) else error.device_text


def _server2_sentence(kind: str, delivery: Delivery, limit: int | None) -> str:
    return f"Server 2 failed: {kind} for {delivery.mac}: {(delivery.server2 or '')[:limit]}"


def _record(panel: Panel, write: Write) -> bool:
    """What was sent cannot be taken back: when it cannot be written down, the answer still is the portal's.

    Whether it was written down.
    """
    try:
        panel.database.transact(write)
        return True
    except DatabaseFailed as error:
        log.error("What was sent to a device could not be recorded: %s", type(error.__cause__).__name__)
        return False
