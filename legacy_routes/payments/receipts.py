"""Receipts of payments at the path that their rows name (contract chapter 30 D), for those who may see the payment."""

from flask import Flask
from werkzeug.wrappers import Response

from compat import envelope
from compat.dispatcher import Dispatcher
from compat.endpoints import ROUTED_METHODS
from core.access.permissions import READ_BOOKS, may_touch
from core.errors import PanelError
from core.payments import receipts
from core.payments.payments import receipt_owner
from legacy_routes.gate import Call, Gate, caller, having

_METHODS = ("GET", "HEAD")
_HEADERS = {
    **envelope.NO_CACHE,
    "X-Content-Type-Options": "nosniff",
    # nothing of an uploaded file may run as a page of ours
    "Content-Disposition": "attachment",
}


def install_receipts(app: Flask, dispatcher: Dispatcher) -> None:
    """Before the static host, which serves nothing below this path."""

    def receipt(name: str) -> Response:
        call: Call = dispatcher.call()
        if call.request.method not in _METHODS:
            return _not_found()
        try:
            return _read(call, name)
        except PanelError as error:
            return envelope.instead_of_a_file(error)

    rule = f"/{receipts.PREFIX}<name>"
    app.add_url_rule(rule, "receipt", receipt, methods=ROUTED_METHODS, provide_automatic_options=False)


def _read(call: Call, name: str) -> Response:
    Gate().admit(call, having(READ_BOOKS))
    owner = receipt_owner(call.panel, receipts.PREFIX + name)
    # somebody else's receipt is as unknown as one that never was
    if owner is None or not may_touch(caller(call), READ_BOOKS, owner):
        return _not_found()
    found = receipts.read(call.panel, name)
    if found is None:
        return _not_found()
    return Response(found.content, content_type=found.content_type, headers=_HEADERS)


def _not_found() -> Response:
    return envelope.failure("Not found", 4, 404)
