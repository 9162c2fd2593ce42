"""Sending one event or message to several set-top boxes, as the panel's older endpoints do.

What may not be sent to is counted as failed and never asked of the portal, for which no MAC means every box. Source:
contract chapter 50, ``send_message`` and ``send_event``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from core.access.actors import Actor
from core.access.audit import By
from core.access.permissions import Right, require
from core.devices.rules import Content
from core.devices.send import Delivery, audit_sent, deliver, failure_text, note, note_server2, refusals
from core.errors import InvalidInput, NotAllowed, NotFound, PanelError, UpstreamFailed
from core.panel import Panel
from core.portal import PortalTimeout, normal_mac

# a portal that never answers would else hold the request for hours
_PATIENCE_TIMEOUTS = 3


@dataclass(slots=True)
class Report:
    """Failed targets with their reasons, in the order of the request; ``server2``: of the first that it refused."""

    total: int
    failed: dict[str, PanelError] = field(default_factory=dict)
    server2: str | None = None

    @property
    def sent(self) -> int:
        return self.total - len(self.failed)


def send_to_many(
    panel: Panel, by: By, right: Right, targets: list[str], content: Content, *, in_detail: bool
) -> Report:
    """Send ``content`` to ``targets`` (see :func:`core.devices.rules.checked_targets`).

    Raises when none was reached: NotAllowed, NotFound, InvalidInput where that is the reason of all; else
    UpstreamFailed, which tells the portal's words of a single target only ``in_detail``.
    """
    require(by.actor, right)
    report = Report(len(targets), _refused(panel, by.actor, right, targets))
    deliveries = list(_deliver_all(panel, by.actor, [mac for mac in targets if mac not in report.failed], content))
    failed = {d.mac: UpstreamFailed(failure_text(content, d.error)) for d in deliveries if d.error is not None}
    found = {**report.failed, **failed}
    report.failed = {target: found[target] for target in targets if target in found}
    if not report.sent:
        raise _nothing_sent(report, content, in_detail)
    _audit(panel, by, report, deliveries, content)
    report.server2 = note_server2(panel, by, content.kind, deliveries)
    return report


def _refused(panel: Panel, actor: Actor, right: Right, targets: list[str]) -> dict[str, PanelError]:
    macs = [target for target in targets if normal_mac(target) == target]
    invalid = {target: InvalidInput("The MAC address is not valid") for target in set(targets).difference(macs)}
    return {**invalid, **refusals(panel, actor, right, macs)}


def _deliver_all(panel: Panel, actor: Actor, macs: list[str], content: Content) -> Iterator[Delivery]:
    timeouts = 0
    for mac in macs:
        if timeouts < _PATIENCE_TIMEOUTS:
            delivery = deliver(panel, actor, mac, content)
            timeouts = timeouts + 1 if delivery.is_timeout else 0
        else:
            delivery = Delivery(mac, PortalTimeout.default_text)
            note(panel, actor, delivery, content)
        yield delivery


def _nothing_sent(report: Report, content: Content, in_detail: bool) -> PanelError:
    reasons = list(report.failed.values())
    same = {type(reason) for reason in reasons}
    if len(same) == 1 and isinstance(reasons[0], InvalidInput | NotAllowed | NotFound):
        return reasons[0]
    if in_detail and len(reasons) == 1:
        return reasons[0]
    return UpstreamFailed(f"The {content.kind} could not be sent to any STB")


def _audit(panel: Panel, by: By, report: Report, deliveries: list[Delivery], content: Content) -> None:
    sent = [delivery.mac for delivery in deliveries if delivery.error is None]
    if not report.failed:
        target, new = f"Bulk: {report.sent} devices", {**content.facts, "devices": sent}
    else:
        target = f"Bulk: {report.sent}/{report.total} devices"
        failed = {"failed_count": len(report.failed), "failed_devices": list(report.failed)}
        new = {**content.facts, "success_count": report.sent, **failed}
    details = f"{content.kind.title()} sent to {report.sent} of {report.total} STBs"
    audit_sent(panel, by, content, target, new, details)
