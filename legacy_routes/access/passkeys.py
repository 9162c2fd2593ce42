"""Passkeys, which the panels call biometrics: registering, logging in, and one's own list (contract chapter 10 §5).

Here is only how the wire spells them, and what a PHP panel that shares the session files finds in, and leaves for us.
"""

import base64
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from compat.endpoints import Answer, Endpoints
from compat.fields import RawText, RequestModel, Text, to_text
from core.access.actors import Actor
from core.access.audit import By
from core.access.credentials import stored_credential
from core.access.passkeys.challenges import OfPhp, Visit
from core.access.passkeys.keys import decoded
from core.access.passkeys.login import SentLogin, log_in_by_passkey, offer_login
from core.access.passkeys.own import OwnPasskey, list_passkeys, remove_passkey
from core.access.passkeys.registration import UNKNOWN_DEVICE, NewPasskey, begin_registration, register
from core.access.passkeys.relying_party import RelyingParty, relying_party
from core.errors import InvalidInput
from core.messages.telegram.logins import note_login
from core.values import sinks
from core.values.clock import shown
from legacy_routes.forms import Id
from legacy_routes.gate import ANYBODY, LOGGED_IN, Call, begin_session, by, caller, origin_of

endpoints = Endpoints(chapter="10")
endpoint = endpoints.endpoint

TIMEOUT_MS = 60_000
_LONGEST_HANDLE = 64
# the session keys of PHP's challenges; the third is ours: the latest that we, and not PHP, wrote there
_REGISTERING = ("webauthn_challenge", "sbx_wa_reg")
_LOGGING_IN = ("webauthn_auth_challenge", "sbx_wa_auth")
_LOGIN_NAME = "webauthn_auth_username"


def _present(value: object) -> str | None:
    return None if value is None else to_text(value)


Present = Annotated[str | None, BeforeValidator(_present)]


class RegisterForm(RequestModel):
    keep_empty = True
    credential_id: RawText = ""
    public_key: Present = None
    attestation: RawText = Field("", validation_alias="attestation_object")
    client_data: RawText = Field("", validation_alias="client_data_json")
    device_name: Text = ""


@endpoint("webauthn_register", "GET", "POST", who=LOGGED_IN, model=RegisterForm)
def webauthn_register(call: Call, form: RegisterForm) -> Answer:
    """Register a passkey for oneself: what a browser needs to make one, then what it made."""
    actor, party = caller(call), _party(call)
    visit = Visit(party, call.session.sid or "", _of_php(call, _REGISTERING))
    if call.method == "GET":
        challenge = begin_registration(call.panel, actor, visit)
        _mirror(call, _REGISTERING, challenge)
        return _creation_options(call, actor, party, challenge)
    wanted = NewPasskey(
        form.credential_id, form.public_key, form.client_data, form.attestation, form.device_name or UNKNOWN_DEVICE
    )
    register(call.panel, by(call), wanted, visit)
    _forget_mirrored(call, *_REGISTERING)
    return {"err_msg": "", "message": "Biometric registered successfully"}


def _creation_options(call: Call, actor: Actor, party: RelyingParty, challenge: bytes) -> Answer:
    handle = f"{actor.id}_{actor.username}".encode()
    return {
        "err_msg": "",
        "challenge": _base64(challenge),
        "rp": {"name": call.panel.config.panel.name, "id": party.id},
        "user": {
            "id": _base64(handle if len(handle) <= _LONGEST_HANDLE else str(actor.id).encode()),
            "name": actor.username,
            "displayName": actor.name or actor.username,
        },
        "pubKeyCredParams": [{"type": "public-key", "alg": -7}, {"type": "public-key", "alg": -257}],
        "authenticatorSelection": {
            "authenticatorAttachment": "platform",
            "userVerification": "required",
            "residentKey": "preferred",
        },
        "timeout": TIMEOUT_MS,
        "attestation": "none",
    }


class AuthenticateForm(RequestModel):
    """``counter`` is what the page reads out of the signed data, where we read it ourselves."""

    keep_empty = True
    username: Text = ""
    credential_id: Present = None
    authenticator_data: Present = None
    client_data_json: Present = None
    signature: Present = None


@endpoint("webauthn_authenticate", "GET", "POST", who=ANYBODY, model=AuthenticateForm)
def webauthn_authenticate(call: Call, form: AuthenticateForm) -> Answer:
    """Log in by passkey: whether a name has one, with a challenge, then what the browser signed."""
    if call.method == "GET":
        return _offer(call, form.username)
    sent = _sent_login(form)
    visit = Visit(_party(call), call.session.sid or "", _of_php(call, _LOGGING_IN))
    actor = log_in_by_passkey(call.panel, origin_of(call), sent, visit)
    begin_session(call, actor, stored_credential(call.panel, actor.id))
    note_login(call.panel, By(actor, origin_of(call)))
    return {"err_msg": "", "message": "Authentication successful"}


def _offer(call: Call, username: str) -> Answer:
    if not username:
        raise InvalidInput("Username is required")
    offer = offer_login(call.panel, origin_of(call), username, Visit(_party(call), call.session.sid or ""))
    if offer is None:
        message = "No biometric credentials found for this user"
        return {"err_msg": "", "biometric_available": False, "message": message}
    _mirror(call, _LOGGING_IN, offer.challenge, username)
    return {
        "err_msg": "",
        "biometric_available": True,
        "challenge": _base64(offer.challenge),
        "rpId": offer.rp_id,
        "allowCredentials": [
            {"type": "public-key", "id": text, "transports": ["internal"]} for text in offer.credential_ids
        ],
        "timeout": TIMEOUT_MS,
        "userVerification": "required",
    }


def _sent_login(form: AuthenticateForm) -> SentLogin:
    fields = ("credential_id", "authenticator_data", "client_data_json", "signature")
    texts = [getattr(form, name) for name in fields]
    missing = [name for name, text in zip(fields, texts, strict=True) if text is None]
    if missing:
        raise InvalidInput(f"Missing field: {missing[0]}")
    return SentLogin(*texts)


def _row_id(value: object) -> int | None:
    if isinstance(value, bool):
        raise ValueError("expected a number")
    return value  # type: ignore[return-value]  # read by Id


class ManageForm(RequestModel):
    credential_id: Annotated[Id, BeforeValidator(_row_id)] = None


@endpoint("webauthn_manage", "GET", "DELETE", who=LOGGED_IN, model=ManageForm)
def webauthn_manage(call: Call, form: ManageForm) -> Answer:
    """One's own passkeys: the list, or the removal of one by its number in it."""
    if call.method == "GET":
        found = list_passkeys(call.panel, caller(call))
        rows = [sinks.shown("passkey", _own_row(passkey)) for passkey in found]
        return {"err_msg": "", "credentials": rows, "count": len(rows)}
    if form.credential_id is None:
        raise InvalidInput("Missing field: credential_id")
    remove_passkey(call.panel, by(call), form.credential_id)
    return {"err_msg": "", "message": "Biometric credential removed successfully"}


def _own_row(passkey: OwnPasskey) -> dict[str, Any]:
    return {
        "id": passkey.id,
        "device_name": passkey.device_name,
        "created_at": shown(passkey.created_at),
        "last_used": shown(passkey.last_used),
    }


def _party(call: Call) -> RelyingParty:
    return relying_party(call.panel.config.security.public_url, call.clients.host(call.request.environ))


def _base64(raw: bytes) -> str:
    """With padding, as PHP encodes."""
    return base64.b64encode(raw).decode()


# what is shared with PHP through its session files


def _of_php(call: Call, keys: tuple[str, str]) -> OfPhp | None:
    """The challenge in the session, unless we wrote it there: ours are looked up, and count once only."""
    said, username = call.session.get(keys[0]), call.session.get(_LOGIN_NAME)
    if not isinstance(said, str) or said == call.session.get(keys[1]):
        return None
    challenge = decoded(said)
    return OfPhp(challenge, str(username or ""), call.session.idle_seconds) if challenge else None


def _mirror(call: Call, keys: tuple[str, str], challenge: bytes, username: str | None = None) -> None:
    """Let PHP finish the ceremony as well, in the session that there is.

    A login page that comes with no cookie gets a session where PHP's files are shared. One that comes with an id which
    is gone may be late: the login that ended that session has set a cookie, which must not be overwritten.
    """
    shares_files = call.panel.config.session.store == "php-files"
    if call.session.exists or (shares_files and not call.session.cookie_sent):
        call.session[keys[0]] = call.session[keys[1]] = _base64(challenge)
        if username is not None:
            call.session[_LOGIN_NAME] = username


def _forget_mirrored(call: Call, *keys: str) -> None:
    for key in keys:
        if key in call.session:
            del call.session[key]
