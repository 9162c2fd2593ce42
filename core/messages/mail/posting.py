"""A batch of mails over one session with the mail server, each at most once: what :mod:`core.messages.mail.send` and
:mod:`core.messages.mail.notices` have in common. The nightly sweep has its own pace and its own memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from core.messages.delivery import Delivery, Fate, Outbox, settle_interrupted
from core.messages.mail.message import NotSendable, encoded
from core.messages.mail.outbox import MailChannel, Posting
from core.messages.mail.settings import Settings
from core.messages.mail.smtp import MailSession
from core.messages.pace import Pace
from core.panel import Panel

NOT_CONFIGURED = "Mail is not configured: server, user name and password are needed"


@dataclass(slots=True)
class Tally:
    """What became of the mails. ``known``: sent, or perhaps sent, before. ``errors``: whom it did not reach, why."""

    sent: int = 0
    known: int = 0
    errors: list[tuple[str, str]] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return len(self.errors)

    @property
    def done(self) -> int:
        return self.sent + self.known + self.failed


def post(
    panel: Panel,
    settings: Settings | None,
    postings: Sequence[Posting],
    *,
    pause: float = 0.0,
    report: Callable[[Tally], None] = lambda tally: None,
) -> Tally:
    """Send what was not sent before; ``settings`` None: nothing goes out, and the log says why.

    Raises only what the database, or ``report``, raises.
    """
    settle_interrupted(panel)
    tally, outbox, pace = Tally(), Outbox(panel, MailChannel(panel)), Pace(pause)
    if settings is None:
        for posting in postings:
            _count(tally, posting, outbox.deliver([posting], _not_configured)[1])
        return tally
    with MailSession(settings.server, verify_tls=panel.config.mail.verify_tls) as session:

        def call(batch: Sequence[Posting]) -> Delivery:
            [posting] = batch
            pace.wait()
            delivery = _hand_in(panel, settings, session, posting)
            pace.sent()
            return delivery

        for posting in postings:
            _count(tally, posting, outbox.deliver([posting], call)[1])
            report(tally)
    return tally


def _not_configured(_: Sequence[Posting]) -> Delivery:
    return Delivery(Fate.REFUSED, NOT_CONFIGURED)


def _hand_in(panel: Panel, settings: Settings, session: MailSession, posting: Posting) -> Delivery:
    now = datetime.fromtimestamp(panel.clock.stamp(), panel.clock.zone)
    try:
        message = encoded(posting.mail, settings, now)
    except NotSendable:
        return Delivery(Fate.REFUSED, "The mail cannot be written with these settings")
    return session.send(settings.from_email, posting.mail.envelope, message)


def _count(tally: Tally, posting: Posting, delivery: Delivery | None) -> None:
    if delivery is None:
        tally.known += 1
    elif delivery.fate is Fate.SENT:
        tally.sent += 1
    else:
        tally.errors.append((posting.mail.recipient, delivery.error or "not sent"))
