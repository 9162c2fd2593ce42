"""Passkeys and the audit log in the databases of live panels, as their PHP left them, and upgraded."""

import pytest
import sqlalchemy as sa

from core.storage import schema
from core.storage.tables import WebauthnCredential
from tests.worlds.authenticators import Authenticator, at_host, b64, log_in, offered, register
from tests.worlds.harness import World

AUTHENTICATED = {"error": 0, "err_msg": "", "message": "Authentication successful"}


def test_passkeys_are_made_and_used_beside_php(live: World) -> None:
    device, of_php = Authenticator(), Authenticator()
    admin = at_host(live.client("admin", "admin123"))
    assert register(admin, device)["message"] == "Biometric registered successfully"
    assert log_in(at_host(live.client()), device, "admin") == AUTHENTICATED
    of_php.registers({"rp": {"id": "billing.example.com"}, "user": {"id": "MV9h"}, "challenge": b64(bytes(32))})
    # as PHP inserts: these columns alone
    row = {"user_id": 1, "credential_id": b64(of_php.credential_id), "public_key": of_php.spki, "device_name": "Mac"}
    live.insert(WebauthnCredential, [row])
    assert len(offered(at_host(live.client()), "admin")["allowCredentials"]) >= 2
    assert log_in(at_host(live.client()), of_php, "ADMIN") == AUTHENTICATED
    listed = admin.get("/webauthn_manage.php").json()
    assert listed["count"] == len(listed["credentials"]) >= 2
    for passkey in listed["credentials"]:
        assert (
            admin.request("DELETE", "/webauthn_manage.php", json={"credential_id": passkey["id"]}).json()["error"] == 0
        )
    assert live.rows(sa.select(WebauthnCredential.id).where(WebauthnCredential.user_id == 1)) == []


def test_the_audit_log_is_read_or_said_to_be_missing(live: World) -> None:
    admin = live.client("admin", "admin123")
    before = admin.get("/get_audit_log.php").json()
    assert before["error"] == 0
    if not live.panel.layout.has_table("_audit_log"):
        assert (before["data"], before["pagination"]["total_records"]) == ([], 0)
        assert "upgrade" in before["message"]
    schema.upgrade(live.panel.database)
    live.panel._layout = None
    assert admin.post("/api/auto_logout_settings.php", {"timeout": 9}, "json").json()["error"] == 0
    after = admin.get("/get_audit_log.php?target_type=settings").json()
    assert after["data"][0]["target_name"] == "auto_logout"
    assert after["pagination"]["total_records"] >= before["pagination"]["total_records"] or "message" not in before


@pytest.mark.parametrize("stored", ["", "o2NmbXRkbm9uZQ", "MFkwEwYHKoZIzj0CAQ"])
def test_a_row_whose_key_php_lost_offers_nothing(live: World, stored: str) -> None:
    live.execute(sa.delete(WebauthnCredential))
    live.insert(WebauthnCredential, [{"user_id": 1, "credential_id": "AAAA", "public_key": stored}])
    assert offered(at_host(live.client()), "admin")["biometric_available"] is False
