"""Sending one event or message to several set-top boxes, as the panel's older endpoints do.

What may not be sent to is counted as failed and never asked of the portal, for which no MAC means every box. The
sending itself is a job: :mod:`core.devices.batch`. Source: contract chapter 50, ``send_message`` and ``send_event``.
"""

from dataclasses import dataclass, field

from core.access.actors import Actor
from core.access.audit import By
from core.access.began import Began
from core.access.permissions import Right, require
from core.devices.batch import KIND, KINDS, Batch, Result
from core.devices.rules import Content
from core.devices.send import failure_text, refusals
from core.errors import InvalidInput, NotAllowed, NotFound, PanelError, UpstreamFailed
from core.jobs import jobs
from core.panel import Panel
from core.portal import normal_mac


@dataclass(slots=True)
class Report:
    """Failed targets with their reasons, in the order of the request; ``server2``: of the first that it refused;
    ``is_recorded``: the logs have all of it.

    ``pending``: not tried yet; the job ``job_id`` goes on with them.
    """

    total: int
    failed: dict[str, PanelError] = field(default_factory=dict)
    server2: str | None = None
    is_recorded: bool = True
    pending: int = 0
    job_id: int | None = None

    @property
    def sent(self) -> int:
        return self.total - len(self.failed) - self.pending


def send_to_many(
    panel: Panel, by: By, right: Right, targets: list[str], content: Content, *, in_detail: bool
) -> Report:
    """Send ``content`` to ``targets`` (see :func:`core.devices.rules.checked_targets`), waiting up to the configured
    time; the rest goes on as a job.

    Raises when none was reached: NotAllowed, NotFound, InvalidInput where that is the reason of all; else
    UpstreamFailed, which tells the portal's words of a single target only ``in_detail``.
    """
    require(by.actor, right)
    refused = _refused(panel, by.actor, right, targets)
    report = Report(len(targets), refused)
    macs = [mac for mac in targets if mac not in refused]
    if macs:
        _carry_out(panel, by, report, macs, content)
    report.failed = {target: report.failed[target] for target in targets if target in report.failed}
    if not report.sent and not report.pending:
        raise _nothing_sent(report, content, in_detail)
    return report


def _refused(panel: Panel, actor: Actor, right: Right, targets: list[str]) -> dict[str, PanelError]:
    macs = [target for target in targets if normal_mac(target) == target]
    invalid = {target: InvalidInput("The MAC address is not valid") for target in set(targets).difference(macs)}
    return {**invalid, **refusals(panel, actor, right, macs)}


def _carry_out(panel: Panel, by: By, report: Report, macs: list[str], content: Content) -> None:
    """Into ``report`` what became of the boxes by now. Raises PanelError when the job itself failed."""
    batch = Batch(content, macs, list(report.failed), Began.of(by))
    record = jobs.run_and_wait(panel, KINDS, KIND, batch.stored(), by.actor.id, panel.config.jobs.wait_seconds)
    if record.state == jobs.FAILED:
        raise PanelError(record.error)
    result = Result.read(record.result)
    errors = {delivery.mac: delivery.error for delivery in result.deliveries if delivery.error is not None}
    failed = {mac: UpstreamFailed(failure_text(content, error)) for mac, error in errors.items()}
    report.failed = {**report.failed, **failed}
    report.server2 = result.server2
    report.is_recorded = result.is_recorded
    report.pending = len(macs) - len(result.deliveries)
    report.job_id = record.id if report.pending else None


def _nothing_sent(report: Report, content: Content, in_detail: bool) -> PanelError:
    reasons = list(report.failed.values())
    same = {type(reason) for reason in reasons}
    if len(same) == 1 and isinstance(reasons[0], InvalidInput | NotAllowed | NotFound):
        return reasons[0]
    if in_detail and len(reasons) == 1:
        return reasons[0]
    return UpstreamFailed(f"The {content.kind} could not be sent to any STB")
