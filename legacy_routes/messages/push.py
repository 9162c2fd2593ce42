"""Notifications on users' devices: the key that browsers subscribe with, and the devices (contract chapter 70)."""

from typing import Any, ClassVar

from compat.endpoints import Answer, Endpoints
from compat.envelope import FailedWith
from compat.fields import RequestModel
from core.errors import InvalidInput
from core.messages.push.subscriptions import count_devices, subscribe, unsubscribe
from core.messages.push.vapid import vapid_keys
from core.security.key_files import KeyNotStored
from legacy_routes.gate import ANYBODY, LOGGED_IN, Call, by, caller

endpoints = Endpoints(chapter="70")


@endpoints.endpoint("get_vapid_key", "GET", who=ANYBODY)
def get_vapid_key(call: Call) -> Answer:
    """The public key that browsers subscribe with."""
    try:
        return {"publicKey": vapid_keys(call.panel).public}
    except KeyNotStored as error:
        # pages read its length before they look for an error
        raise FailedWith(error, {"publicKey": ""}) from error


class SubscriptionForm(RequestModel):
    """``endpoint`` and ``keys`` as they were sent: whatever a browser's ``PushSubscription`` says."""

    keep_empty: ClassVar[bool] = True

    endpoint: Any = None
    keys: Any = None


@endpoints.endpoint("push_subscribe", "GET", "POST", "DELETE", who=LOGGED_IN, model=SubscriptionForm)
def push_subscribe(call: Call, form: SubscriptionForm) -> Answer:
    """GET: how many devices of yours get notifications; POST: enter one; DELETE: remove one, or all."""
    if call.method == "POST":
        subscribe(call.panel, by(call), form.endpoint, form.keys)
        return {"message": "Subscribed to notifications"}
    if call.method == "DELETE":
        _refuse_other_bodies(call, form)
        unsubscribe(call.panel, caller(call), form.endpoint)
        return {"message": "Unsubscribed from notifications"}
    count = count_devices(call.panel, caller(call))
    return {"subscribed": count > 0, "count": count}


def _refuse_other_bodies(call: Call, form: SubscriptionForm) -> None:
    """A body that names no device must at least be a JSON object: else a garbled one would remove all devices."""
    body = call.request.get_data(cache=True).strip()
    if form.endpoint is None and body and not body.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{"):
        raise InvalidInput("The request body must be a JSON object")
