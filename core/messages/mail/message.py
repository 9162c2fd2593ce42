"""From a template to the bytes of a mail: placeholders, headers, HTML and plain part. Source: contract chapter 80."""

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, make_msgid
from html.parser import HTMLParser

from core.messages.mail.settings import Settings, Template
from core.messages.placeholders import account_values, render, without_controls

NO_NAME = "Customer"
_SUBJECT_CHARACTERS = 255
_NAME_CHARACTERS = 200
_BREAKS = frozenset({"br", "p", "div", "tr", "li", "h1", "h2", "h3", "h4", "table", "ul", "ol"})
_UNSEEN = frozenset({"style", "script", "head", "title"})


class NotSendable(ValueError):
    """Something in an address or a text cannot stand in a mail."""


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail to one customer; ``copies``: further addresses, in plain sight unless ``are_copies_hidden``."""

    recipient: str
    recipient_name: str
    subject: str
    html: str = field(repr=False)
    plain: str = field(repr=False)
    copies: tuple[str, ...] = ()
    are_copies_hidden: bool = False

    @property
    def envelope(self) -> list[str]:
        return [self.recipient, *self.copies]


def customer_values(
    *, name: str, username: str, mac: str, end_date: date | None, days: int, plan_name: str
) -> dict[str, str]:
    """The placeholders of every mail to a customer. A password never stands in a mail."""
    values = account_values(name=name or NO_NAME, username=username, mac=mac, end_date=end_date, days=days)
    return {**values, "plan_name": plan_name, "password": ""}


def one_line(text: str) -> str:
    """``text`` without line breaks and other control characters: a header ends where its line ends."""
    return " ".join(without_controls(text).split())


def filled(template: Template, values: Mapping[str, str]) -> Template:
    """The template with the values in it, as text in the subject and the plain part, and escaped in the HTML."""
    body = render(template.html, values, lambda value: html.escape(without_controls(value)))
    plain = render(template.plain, values, without_controls) if template.plain.strip() else plain_text(body)
    subject = one_line(render(template.subject, values, one_line))[:_SUBJECT_CHARACTERS]
    return Template(subject, body, plain)


def encoded(mail: Mail, settings: Settings, now: datetime) -> bytes:
    """The mail as it goes over the wire; ``now`` with its zone. Raises NotSendable."""
    message = EmailMessage(policy=SMTP)
    try:
        message["From"] = _address(settings.from_email, settings.from_name)
        message["To"] = _address(mail.recipient, mail.recipient_name)
        if mail.copies and not mail.are_copies_hidden:
            message["Cc"] = [_address(copy, "") for copy in mail.copies]
        message["Subject"] = one_line(mail.subject)
        message["Date"] = format_datetime(now)
        message["Message-ID"] = make_msgid(domain=settings.from_email.rpartition("@")[2])
        message.set_content(mail.plain or " ")
        message.add_alternative(mail.html, subtype="html")
        return message.as_bytes()
    except (ValueError, LookupError, MessageError) as error:
        raise NotSendable from error


def _address(address: str, name: str) -> Address:
    return Address(display_name=one_line(name)[:_NAME_CHARACTERS], addr_spec=address)


class _Text(HTMLParser):
    """The visible text of an HTML body, with line breaks where blocks end."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self._unseen += tag in _UNSEEN
        if tag == "br":
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unseen = max(0, self._unseen - (tag in _UNSEEN))
        if tag in _BREAKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.parts.append(data)


def plain_text(body: str) -> str:
    """What a reader without HTML sees of ``body``."""
    parser = _Text()
    parser.feed(body)
    parser.close()
    lines = [" ".join(line.split()) for line in "".join(parser.parts).splitlines()]
    return "\n".join(line for number, line in enumerate(lines) if line or (number and lines[number - 1])).strip()
