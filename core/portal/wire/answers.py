"""What an HTTP answer of the portal's API means: its ``results``, or a named failure.

Source: contract chapter 90 §4, §10.8, §10.9, §10.12 and chapter 50 R3.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from core.portal.accounts import PortalAccount, account_of
from core.portal.errors import (
    Outcome,
    PortalAccountNotFound,
    PortalAuthentication,
    PortalHttpStatus,
    PortalInvalidAnswer,
    PortalRefused,
    PortalSwitchedOff,
    PortalThemeFailed,
    PortalThemeUnsupported,
    refusal,
)
from core.portal.wire.transport import Answer
from core.portal.wire.values import records_with

_OK, _UNAUTHORIZED, _NOT_FOUND, _SERVER_ERROR = 200, 401, 404, 500
_SWITCHED_OFF = b"API not enabled"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def envelope_of(answer: Answer, writing: bool) -> dict[str, Any]:
    """The JSON object of an answer. Raises PortalError; a broken answer to a write leaves its effect unknown."""
    unknown = Outcome.UNKNOWN if writing else Outcome.NOT_DONE
    if answer.status == _UNAUTHORIZED:
        raise PortalAuthentication
    if answer.status == _NOT_FOUND and _SWITCHED_OFF in answer.body:
        raise PortalSwitchedOff
    if answer.status != _OK:
        outcome = unknown if answer.status >= _SERVER_ERROR else Outcome.NOT_DONE
        raise PortalHttpStatus(answer.status, outcome=outcome)
    try:
        envelope = orjson.loads(answer.body.removeprefix(_BYTE_ORDER_MARK))
    except orjson.JSONDecodeError:
        raise PortalInvalidAnswer(outcome=unknown) from None
    if not isinstance(envelope, dict):
        raise PortalInvalidAnswer(outcome=unknown)
    return envelope


def results_of(answer: Answer, writing: bool) -> object:
    """The ``results`` of a success (None when absent). Raises PortalError for everything else.

    ``OK`` with ``results`` false is the portal's way to say that nothing was done: PortalRefused.
    """
    envelope = envelope_of(answer, writing)
    status = envelope.get("status")
    if status == "ERROR":
        raise refusal(envelope.get("error") or envelope.get("message"), writing)
    if status != "OK":
        raise PortalInvalidAnswer(outcome=Outcome.UNKNOWN if writing else Outcome.NOT_DONE)
    if envelope.get("results") is False:
        raise PortalRefused
    return envelope.get("results")


def require_tariffs(answer: Answer, writing: bool) -> None:
    """A list of tariffs, be it an empty one, is what no other resource answers. Raises PortalInvalidAnswer."""
    results = results_of(answer, writing)
    if not isinstance(results, list):
        raise PortalInvalidAnswer
    records_with(results, "external_id")


def accepted(answer: Answer, writing: bool) -> bool:
    """False if the portal answered that it did nothing (OK with false), as for an event that it does not know."""
    envelope = envelope_of(answer, writing)
    if envelope.get("status") == "OK" and envelope.get("results") is False:
        return False
    results_of(answer, writing)
    return True


def accounts_found(answer: Answer, writing: bool) -> list[PortalAccount]:
    records = records_with(results_of(answer, writing), "login", "stb_mac")
    return [account for record in records if (account := account_of(record))]


def record_found(answer: Answer, writing: bool) -> Mapping[str, Any]:
    records = records_with(results_of(answer, writing), "login", "stb_mac")
    found: Mapping[str, Any] = next((record for record in records if isinstance(record, dict)), {})
    return found


def deleted(answer: Answer, writing: bool) -> bool:
    try:
        results_of(answer, writing)
    except PortalAccountNotFound:
        # the first of two requests may have deleted it before its connection was lost
        return answer.repeated
    return True


def require_theme_set(answer: Answer, _writing: bool) -> None:
    if answer.status == _NOT_FOUND:
        raise PortalThemeUnsupported
    if answer.status != _OK or answer.body.strip().removeprefix(_BYTE_ORDER_MARK).strip() != b"OK":
        raise PortalThemeFailed(outcome=Outcome.UNKNOWN)
