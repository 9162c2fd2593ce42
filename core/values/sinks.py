"""The one table of sinks: what each page makes of each field of a list, and so in which form the field leaves us.

Nothing that the frontends receive is escaped by them. Source: contract chapter 05 §6, and the README's "names with
quotes". A new list of rows has its lines here, and passes :func:`shown` on its way out; on the way in the same forms
are made by :mod:`core.values.checks`.
"""

from collections.abc import Mapping
from enum import Enum, member
from functools import partial
from typing import Any

from core.values import escaping


class Sink(Enum):
    """Where a page puts a text."""

    #: text of the page, edited or exported besides: no angle brackets, quotation marks stay
    TEXT = member(partial(escaping.plain))
    #: an attribute or the string of an inline handler as well
    HANDLER = member(partial(escaping.quotable))
    #: the same for codes and keys, which pages put together and send back
    KEY = member(partial(escaping.key))
    #: text or attribute, only displayed: as entities
    LOG = member(partial(escaping.escaped))
    #: the same in the fields of which chapter 60 S8 says that ``&`` stays
    LOG_60 = member(partial(escaping.html_out))
    #: a double-quoted attribute, of a text that the page itself escapes but for the quotation mark
    ATTRIBUTE = member(partial(escaping.attr_out))
    #: the same, and a line of the page as well
    LINE = member(partial(escaping.log_text))
    #: an inline handler, the page's text and an escaped copy at once: names of mail templates
    TEMPLATE = member(partial(escaping.template_name))

    def safe(self, text: str) -> str:
        return str(self.value(text))


_TEXT, _HANDLER, _KEY, _LOG, _LOG_60 = Sink.TEXT, Sink.HANDLER, Sink.KEY, Sink.LOG, Sink.LOG_60

SINKS: Mapping[str, Mapping[str, Sink]] = {
    # the bulk dialog reads attributes back and inserts them again; exports and edit forms show the same
    "account": dict.fromkeys(
        (
            "username",
            "mac",
            "email",
            "phone_number",
            "full_name",
            "tariff_plan",
            "plan_name",
            "reseller_name",
            "currency_name",
        ),
        _HANDLER,
    ),
    "reseller": {
        **dict.fromkeys(("username", "full_name", "name", "email", "reseller_name"), _HANDLER),
        **dict.fromkeys(
            ("currency", "currency_id", "currency_name", "theme", "permissions", "plans", "ip_ranges"), _KEY
        ),
    },
    # an observer's page inserts the name as HTML
    "user": {
        **dict.fromkeys(("username", "full_name", "name"), _TEXT),
        **dict.fromkeys(("email",), _HANDLER),
        **dict.fromkeys(
            ("currency", "currency_id", "currency_name", "theme", "permissions", "plans", "ip_ranges"), _KEY
        ),
    },
    "plan": {
        **dict.fromkeys(("plan_id", "external_id", "currency", "currency_id"), _KEY),
        **dict.fromkeys(("name", "category"), _TEXT),
    },
    "transaction": {
        **dict.fromkeys(
            (
                "creator",
                "currency",
                "details",
                "description",
                "reseller_name",
                "reseller_username",
                "mac_address",
                "formatted_description",
                "correction_note",
            ),
            _TEXT,
        ),
        **dict.fromkeys(("corrected_by_username", "corrected_at"), _HANDLER),
    },
    # what a sweep has done, whose text is shown by a box of the browser's own
    "sweep": dict.fromkeys(("account", "full_name", "mac", "error", "reason", "status"), _LOG_60),
    # escaped by the page but for the quotation marks of its attribute (60 S8 leaves it out): entities would show
    "reminder": {
        **dict.fromkeys(("username", "full_name", "mac", "end_date", "status"), _LOG_60),
        "message": Sink.LINE,
    },
    "invoice": dict.fromkeys(
        ("mac_address", "currency", "description", "status", "correction_note", "corrected_by"), _TEXT
    ),
    "sms": dict.fromkeys(
        ("message", "message_type", "recipient_name", "recipient_number", "sent_by_name", "sent_by_username"), _LOG_60
    ),
    "sms_template": dict.fromkeys(("name", "template", "description"), _TEXT),
    "stb": dict.fromkeys(("username", "mac_address", "action_detail", "action_type", "error_message", "status"), _LOG),
    "login": dict.fromkeys(
        ("username", "user_name", "name", "ip_address", "user_agent", "login_method", "failure_reason", "status"), _LOG
    ),
    "mail": dict.fromkeys(("subject", "error_message"), Sink.ATTRIBUTE),
    "mail_template": {"name": Sink.TEMPLATE},
    "telegram": {
        "message": Sink.ATTRIBUTE,
        **dict.fromkeys(("recipient_username", "username", "message_type"), _LOG_60),
    },
    "telegram_recipient": dict.fromkeys(("username", "user_type"), _LOG_60),
    "audit": dict.fromkeys(
        (
            *("username", "user_type", "action", "target_type", "target_id", "target_name", "ip_address", "details"),
            "user_display_name",
        ),
        _LOG_60,
    ),
    "passkey": {"device_name": _LOG},
    "payment": {
        **dict.fromkeys(("reseller_name", "currency"), _HANDLER),
        **dict.fromkeys(("bank_name", "reference_number", "reseller_username", "reseller_currency", "status"), _TEXT),
        **dict.fromkeys(("recorded_by_username", "recorder_name"), _TEXT),
        # the page escapes these, but for the quotation mark that ends its attribute
        **dict.fromkeys(("description", "cancellation_reason"), Sink.ATTRIBUTE),
    },
}


# the functions by themselves, for every row of every list goes through them
_SAFE = {kind: [(name, sink.value.func) for name, sink in fields.items()] for kind, fields in SINKS.items()}


def shown(kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """``row`` of the list ``kind`` as it may leave; what is no text, or has no line in the table, stays as it is."""
    answer = dict(row)
    for name, safe in _SAFE[kind]:
        value = answer.get(name)
        if isinstance(value, str):
            answer[name] = safe(value)
    return answer
