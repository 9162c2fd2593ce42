"""A batch of mails over one session with the mail server, each at most once: what :mod:`core.messages.mail.send` and
:mod:`core.messages.mail.notices` have in common. The nightly sweep has its own pace and its own memory.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from core.messages.by_hand import Tally
from core.messages.delivery import Delivery, Outbox, Outcome, settle_interrupted
from core.messages.mail.message import NotSendable, encoded
from core.messages.mail.outbox import MailChannel, Posting
from core.messages.mail.settings import Settings
from core.messages.mail.smtp import MailSession
from core.messages.pace import Pace
from core.panel import Panel

NOT_CONFIGURED = "Mail is not configured: server, user name and password are needed"


def post(
    panel: Panel,
    settings: Settings | None,
    postings: Sequence[Posting],
    *,
    pause: float = 0.0,
    report: Callable[[Tally[str]], None] = lambda tally: None,
) -> Tally[str]:
    """Send what was not sent before; ``settings`` None: nothing goes out, and the log says why.

    Raises only what the database, or ``report``, raises.
    """
    settle_interrupted(panel)
    outbox, pace = Outbox(panel, MailChannel(panel)), Pace(pause)
    tally: Tally[str] = Tally()
    if settings is None:
        for posting in postings:
            tally.count(posting.mail.recipient, outbox.deliver([posting], _not_configured)[1])
        tally.is_recorded = outbox.is_recorded
        return tally
    with MailSession(settings.server, verify_tls=panel.config.mail.verify_tls) as session:

        def call(batch: Sequence[Posting]) -> Delivery:
            [posting] = batch
            pace.wait()
            delivery = _hand_in(panel, settings, session, posting)
            pace.sent()
            return delivery

        for posting in postings:
            tally.count(posting.mail.recipient, outbox.deliver([posting], call)[1])
            tally.is_recorded = outbox.is_recorded
            report(tally)
    return tally


def _not_configured(_: Sequence[Posting]) -> Delivery:
    return Delivery(Outcome.REFUSED, NOT_CONFIGURED)


def _hand_in(panel: Panel, settings: Settings, session: MailSession, posting: Posting) -> Delivery:
    now = datetime.fromtimestamp(panel.clock.stamp(), panel.clock.zone)
    try:
        message = encoded(posting.mail, settings, now)
    except NotSendable:
        return Delivery(Outcome.REFUSED, "The mail cannot be written with these settings")
    return session.send(settings.from_email, posting.mail.envelope, message)
