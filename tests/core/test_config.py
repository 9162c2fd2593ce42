"""The configuration: the example file, overriding by environment, and one clear sentence for each mistake."""

import os
import re
from pathlib import Path

import pytest

from commands.users import PASSWORD_VARIABLE
from core.config import Config, ConfigError, default_path, load_config
from tests.worlds.places import ROOT

EXAMPLE = ROOT / "config.example.ini"


def test_the_example_is_valid_and_shows_the_defaults() -> None:
    assert load_config(EXAMPLE, {}) == load_config(None, {})


def test_the_example_explains_every_key_in_a_line() -> None:
    lines = EXAMPLE.read_text().splitlines()
    explained = set()
    section = ""
    for above, line in zip(["", *lines], lines, strict=False):
        if match := re.fullmatch(r"\[(\w+)\]", line):
            section = match[1]
        elif match := re.match(r"(\w+) =", line):
            assert above.startswith("# "), f"{section}.{match[1]} is not explained"
            explained.add((section, match[1]))
    known = {
        (section, key) for section, field in Config.model_fields.items() for key in type(field.default).model_fields
    }
    assert explained == known


def test_the_environment_wins(tmp_path: Path) -> None:
    file = tmp_path / "config.ini"
    file.write_text("[server]\nport = 9000\nthreads = 3\n[portal]\npassword = 50%off;#\n")
    config = load_config(file, {"SHOWBOX_SERVER_PORT": "9001", "SHOWBOX_SESSION_REDIS_URL": "redis://h/1", "PATH": "x"})
    assert (config.server.port, config.server.threads) == (9001, 3)
    assert config.session.redis_url.get_secret_value() == "redis://h/1"
    assert config.portal.password.get_secret_value() == "50%off;#"


def test_proxies_are_addresses_or_networks_parted_by_blanks_or_commas() -> None:
    config = load_config(None, {"SHOWBOX_SERVER_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8 ::1"})
    assert config.server.trusted_proxies == ("127.0.0.1/32", "10.0.0.0/8", "::1/128")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SERVER_PORT", "abc", "[server] port (SHOWBOX_SERVER_PORT): a whole number is expected."),
        ("SERVER_PORT", "70000", "[server] port (SHOWBOX_SERVER_PORT): it must be less than or equal to 65535."),
        ("PORTAL_DUAL_SERVER", "maybe", "[portal] dual_server (SHOWBOX_PORTAL_DUAL_SERVER): yes or no is expected."),
        ("SESSION_STORE", "files", "it must be 'sql', 'redis' or 'php-files'"),
        ("SESSION_REDIS_URL", "foo", "a Redis address such as redis://127.0.0.1:6379/0 is expected"),
        ("PANEL_TIMEZONE", "Mars/Base", "'Mars/Base' is not a known time zone such as Asia/Tehran"),
        ("PANEL_TIMEZONE", "../../etc/passwd", "is not a known time zone"),
        ("SERVER_TRUSTED_PROXIES", "proxy.local", "'proxy.local' is not an address or network"),
        (
            "DATABASE_URL",
            "oracle://u:hunter2@h/x",
            "unknown kind of database 'oracle'; use sqlite, mysql or postgresql",
        ),
        ("DATABASE_URL", "hunter2", "the database url cannot be read; expected e.g. sqlite:///var/panel.db"),
        ("PANEL_DATA_DIRECTORY", "", "[panel] data_directory (SHOWBOX_PANEL_DATA_DIRECTORY): the name of a directory"),
        ("FRONTEND_ROOT", "/no/such/place", "this directory does not exist"),
        ("PORTAL_CA_FILE", "/no/such/place", "this is no readable file with certificates (PEM)"),
        ("PORTAL_CA_FILE", __file__, "this is no readable file with certificates (PEM)"),
        ("PORTAL_CALL_SECONDS", "31", "[portal] call_seconds (SHOWBOX_PORTAL_CALL_SECONDS): it must be less than"),
        ("PORTAL_CONNECT_SECONDS", "0", "it must be greater than 0"),
        ("PORTAL_SYNC_WAIT_SECONDS", "soon", "a number is expected"),
        ("PORTAL_SYNC_DEFAULT_RESELLER", "admin", "a whole number is expected"),
        ("PORTAL_PRIMARY_API_URL", "ftp://x", "an address must begin with http:// or https://"),
        ("SERVER_PROT", "1", "There is no key 'prot' in section [server]"),
        ("SECURITY_CRON_KEY", "hunter2", "a key has at least 16 characters"),
        ("PANEL_TARIFF_PRICES", "GBP ten", "'GBP ten' is not a currency and an amount such as GBP 10"),
        ("PANEL_TARIFF_PRICES", "GBP 10, AED 5", "'AED 5': one amount for each of GBP, USD, EUR, IRR at most"),
        ("PANEL_TARIFF_PRICES", "GBP 10, gbp 5", "'gbp 5': one amount for each of"),
        ("NOSUCH_KEY", "1", "There is no section [nosuch]"),
    ],
)
def test_mistakes_are_one_clear_sentence_each(name: str, value: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, {f"SHOWBOX_{name}": value})
    [said] = caught.value.sentences
    assert sentence in said
    assert "hunter2" not in said


def test_php_s_session_directory_must_be_there() -> None:
    settings = {"SHOWBOX_SESSION_STORE": "php-files", "SHOWBOX_SESSION_PHP_SAVE_PATH": "2;/no/such/place"}
    with pytest.raises(ConfigError, match="php_save_path must name the existing directory"):
        load_config(None, settings)


@pytest.mark.parametrize(("said", "meant"), [("on", "yes"), ("True", "yes"), ("0", "no"), ("auto", "auto")])
def test_the_switch_with_three_positions_takes_every_spelling(said: str, meant: str) -> None:
    assert load_config(None, {"SHOWBOX_SECURITY_UPGRADE_PASSWORDS": said}).security.upgrade_passwords == meant


def test_receipts_never_lie_where_files_are_served(tmp_path: Path) -> None:
    settings = {
        "SHOWBOX_FRONTEND_ROOT": str(tmp_path),
        "SHOWBOX_PANEL_DATA_DIRECTORY": str(tmp_path / "x" / ".." / "var"),
    }
    with pytest.raises(ConfigError, match=r"^\[panel\] data_directory must not lie within \[frontend\] root\.$"):
        load_config(None, settings)
    assert load_config(None, {**settings, "SHOWBOX_PANEL_DATA_DIRECTORY": f"{tmp_path}-var"})


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, {"SHOWBOX_SERVER_PORT": "x", "SHOWBOX_SERVER_THREADS": "0"})
    assert len(caught.value.sentences) == 2


@pytest.mark.parametrize("content", ["no section = 1\n", "[server\n", "[server]\nport = 1\nport = 2\n", "\xff"])
def test_unreadable_files(tmp_path: Path, content: str) -> None:
    file = tmp_path / "config.ini"
    file.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError):
        load_config(file, {})


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path / "nothing.ini", {})


def test_the_file_is_named_by_the_environment_or_is_the_usual_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_path({}) is None
    (tmp_path / "config.ini").touch()
    assert default_path({}) == Path("config.ini")
    assert default_path({"SHOWBOX_CONFIG": "other.ini"}) == Path("other.ini")


def test_the_variables_of_commands_are_no_keys() -> None:
    assert load_config(None, {PASSWORD_VARIABLE: "a-password", "SHOWBOX_CONFIG": "other.ini"}) == load_config(None, {})


def test_secrets_do_not_show_in_a_printed_configuration() -> None:
    shown = repr(
        load_config(None, {"SHOWBOX_DATABASE_URL": "mysql://u:hunter2@h/x", "SHOWBOX_PORTAL_PASSWORD": "hunter2"})
    )
    assert "hunter2" not in shown


def test_a_file_that_an_editor_of_windows_wrote_is_read(tmp_path: Path) -> None:
    """With a byte order mark, and its line ends."""
    file = tmp_path / "config.ini"
    file.write_bytes(b"\xef\xbb\xbf[server]\r\nport = 9000\r\n")
    assert load_config(file, {}).server.port == 9000


@pytest.mark.parametrize(
    ("url", "processes", "count"),
    [
        ("sqlite:///x.db", "", 1),
        ("sqlite:///x.db", "3", 3),
        ("sqlite:///x.db", "auto", None),
        ("mysql://u@h/x", "", None),
        ("postgresql://u@h/x", "Auto", None),
        ("mysql://u@h/x", "1", 1),
    ],
)
def test_how_many_processes_serve(url: str, processes: str, count: int | None) -> None:
    """One for a file, else one for each processor, unless it is said."""
    config = load_config(None, {"SHOWBOX_DATABASE_URL": url, "SHOWBOX_SERVER_PROCESSES": processes})
    assert config.process_count == (min(len(os.sched_getaffinity(0)), 8) if count is None else count)


@pytest.mark.parametrize("processes", ["0", "-1", "65", "two", "1.5", "\u0661"])
def test_what_is_no_number_of_processes_is_refused(processes: str) -> None:
    with pytest.raises(ConfigError, match="a number from 1 to 64 or auto is expected"):
        load_config(None, {"SHOWBOX_SERVER_PROCESSES": processes})
