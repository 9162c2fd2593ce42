"""What somebody sends or stored is never a fault of the server (issue "no way in", line 11)."""

import pytest
import sqlalchemy as sa

from core.storage.tables import LoginHistory, ReminderSettings, SmsLog
from tests.conftest import MakeWorld
from tests.routes.conftest import fill_chapter_10
from tests.worlds.databases import require
from tests.worlds.harness import NOT_LOGGED_IN, Client, World
from tests.worlds.logged_in import logged_in

ZERO = "0000-00-00 00:00:00"


@pytest.mark.parametrize(
    "path",
    [
        "get_sms_logs.php?date=9999-12-31",
        "get_reminder_history.php?date=9999-12-31",
        "get_reminder_history.php?date=0001-01-01",
        "get_dates_with_data.php?type=sms_history&start_date=9999-12-31&end_date=9999-12-31",
        "get_reseller_balance.php?year=9999&month=12",
        "get_monthly_invoice.php?year=9999&month=12&reseller_id=2&calendar=gregorian",
        "get_reseller_payments.php?start_date=9999-12-31&end_date=9999-12-31",
        "get_transactions.php?start_date=9999-12-31&end_date=9999-12-31",
    ],
)
def test_11_the_calendars_ends_are_no_fault(sqlite_world: World, path: str) -> None:
    response = logged_in(sqlite_world, "admin").get(f"/api/{path}")
    assert response.status_code < 500
    assert response.json()["error"] in (0, 1)


@pytest.mark.parametrize("name", [b"\xff\xfe", b"adm\xe9n", b"admin\x00"])
def test_11_a_php_session_whose_name_is_no_text_is_nobodys(sqlite_world: World, name: bytes) -> None:
    content = b'login|i:1;username|s:%d:"%s";user_id|i:1;' % (len(name), name)
    for path in ("get_user_info.php", "get_accounts.php", "session_heartbeat.php"):
        response = sqlite_world.php_session(content).get(f"/api/{path}")
        assert response.status_code == 200
        assert response.json()["error"] == 1


@pytest.mark.parametrize("length", [250, 251, 255, 256, 257])
def test_11_a_long_session_id_is_no_session(sqlite_world: World, length: int) -> None:
    response = Client(sqlite_world.url, {"PHPSESSID": "a" * length}).get("/get_user_info.php")
    assert response.json() == NOT_LOGGED_IN


# PostgreSQL holds no such value
@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_11_zero_date_times_of_legacy_rows_are_null_in_every_answer(make_world: MakeWorld, kind: str) -> None:
    require(kind)
    world = fill_chapter_10(make_world(kind))
    now = world.panel.clock.now()
    world.insert(
        ReminderSettings,
        [{"user_id": 1, "days_before_expiry": 7, "auto_send_enabled": 0, "created_at": now, "updated_at": now}],
    )
    world.insert(SmsLog, [{"recipient_number": "1", "message": "m", "sent_by": 1, "sent_at": now, "status": "sent"}])
    world.insert(LoginHistory, [{"user_id": 1, "username": "admin", "login_time": now, "status": "success"}])
    columns = [("_reminder_settings", "last_sweep_at"), ("_sms_logs", "sent_at"), ("_sms_logs", "created_at")]
    with world.panel.database.write() as connection:
        if kind == "mariadb":
            connection.execute(sa.text("SET SESSION sql_mode = ''"))
        for table, column in [*columns, ("_login_history", "login_time")]:
            connection.execute(sa.text(f"UPDATE {table} SET {column} = '{ZERO}'"))
    client = logged_in(world, "admin")
    settings = client.get("/get_reminder_settings.php")
    assert settings.json()["settings"]["last_sweep_at"] is None
    [row] = client.get("/get_sms_logs.php").json()["logs"]
    assert (row["sent_at"], row["created_at"]) == (None, None)
    history = client.get("/get_login_history.php").json()["data"]
    assert None in [row["login_time"] for row in history]
    assert ZERO not in settings.text + str(row) + str(history)
