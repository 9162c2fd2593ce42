"""A panel's settings found in its scripts, however it was written, and a configuration made of them."""

import base64
import os
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from core.config import load_config
from core.errors import AlreadyExists, InvalidInput
from core.moving.config_file import import_panel
from core.moving.panel_settings import read_panel

PASSWORD = "p@ss'w\"o\\rd%$x/:#;"
PHP_PASSWORD = r"'p@ss\'w\"o\\rd%$x/:#;'".replace('\\"', '"')
URL = "mysql://panel:p%40ss%27w%22o%5Crd%25%24x%2F%3A%23%3B@localhost/billing"

_key = ec.derive_private_key(0x1234567890ABCDEF, ec.SECP256R1())
PRIVATE = base64.urlsafe_b64encode((0x1234567890ABCDEF).to_bytes(32, "big")).rstrip(b"=").decode()
PUBLIC = (
    base64.urlsafe_b64encode(
        _key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    )
    .rstrip(b"=")
    .decode()
)

CONFIG = rf"""<?php
date_default_timezone_set('Europe/London');
$host = "localhost";
$dbname = 'billing'; $username = 'panel'; $password = {PHP_PASSWORD};
$PANEL_NAME = "My Panel";
$WELCOME_MSG = "Welcome!\nEnjoy  # and ; too";
$SERVER_1_ADDRESS = "http://one.example.com";
$SERVER_2_ADDRESS = "http://two.example.com";
$WEBSERVICE_USERNAME = "api"; $WEBSERVICE_PASSWORD = "portal $ecret";
$WEBSERVICE_BASE_URL = "$SERVER_1_ADDRESS/stalker_portal/api/";
$WEBSERVICE_2_BASE_URL = $SERVER_2_ADDRESS . '/stalker_portal/api/';
$DUAL_SERVER_MODE_ENABLED = true;
$WEBSERVICE_URLS['stb'] = $WEBSERVICE_BASE_URL . "stb/";
"""
SCRIPTS = {
    "add_account.php": """<?php include 'config.php';
        $pdo = new PDO("mysql:host=$host;dbname=$dbname;charset=utf8", $username, $password, [PDO::ATTR_ERRMODE => 1]);
        $user = $_POST['username'];
        $data = 'key=theme-secret-1&login=' . $user . '&theme=' . $theme;
        curl_setopt($c, CURLOPT_URL, $SERVER_1_ADDRESS . "/stalker_portal/update_account.php");""",
    "api/push_helper.php": f"""<?php
        define('VAPID_PUBLIC_KEY', '{PUBLIC}'); define('VAPID_PRIVATE_KEY', '{PRIVATE}');
        define('VAPID_SUBJECT', 'mailto:admin@panel.example.com');
        define('SOME_TOKEN', '{"x" * 43}');""",
    "vendor/other/config.php": "<?php $pdo = new PDO('mysql:host=evil;dbname=evil', 'evil', 'evil');",
}


def _panel(directory: Path, config: str = CONFIG, scripts: dict[str, str] | None = None) -> Path:
    root = directory / "panel"
    for name, text in {"config.php": config, **(SCRIPTS if scripts is None else scripts)}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def test_everything_that_a_panel_was_set_up_with_comes_over(tmp_path: Path) -> None:
    output = tmp_path / "config.ini"
    imported = import_panel(_panel(tmp_path), output)
    assert imported.left_out == {}
    config = load_config(output, {})
    assert config.database.url.get_secret_value() == URL
    assert config.panel.name == "My Panel"
    assert config.panel.timezone == "Europe/London"
    assert config.panel.welcome_message == "Welcome!\nEnjoy  # and ; too"
    portal = config.portal
    assert (portal.primary_address, portal.secondary_address) == ("http://one.example.com", "http://two.example.com")
    assert portal.primary_api_url == "http://one.example.com/stalker_portal/api/"
    assert portal.secondary_api_url == "http://two.example.com/stalker_portal/api/"
    assert (portal.username, portal.dual_server) == ("api", True)
    assert portal.theme_key.get_secret_value() == "theme-secret-1"
    assert config.push.vapid_private_key.get_secret_value() == PRIVATE
    assert config.push.vapid_subject == "mailto:admin@panel.example.com"
    assert imported.taken["portal", "theme_key"] == "add_account.php"
    assert output.stat().st_mode & 0o777 == 0o600


def test_a_password_with_a_dollar_is_read_as_php_reads_it(tmp_path: Path) -> None:
    """In double quotes ``$ecret`` is a variable that nobody set; the value is not known, and none is made up."""
    read = read_panel(_panel(tmp_path))
    assert ("portal", "password") not in read.values
    fixed = CONFIG.replace('"portal $ecret"', "'portal $ecret'")
    assert read_panel(_panel(tmp_path / "fixed", fixed)).values["portal", "password"] == "portal $ecret"


DATABASES = {
    "$db_host='h'; $db_name='d'; $db_user='u'; $db_pass='p';": "mysql://u:p@h/d",
    "define('DB_HOST','h:3307'); define('DB_NAME','d'); define('DB_USER','u'); define('DB_PASSWORD','p');": (
        "mysql://u:p@h:3307/d"
    ),
    "$config = ['db' => ['host' => 'h', 'user' => 'u', 'password' => 'p', 'database' => 'd', 'port' => 3308]];": (
        "mysql://u:p@h:3308/d"
    ),
    "$link = mysqli_connect('h', 'u', 'p', 'd', 3309);": "mysql://u:p@h:3309/d",
    "$m = new mysqli('localhost', 'u', '', 'd', 3306, '/run/my.sock');": (
        "mysql://u@localhost/d?unix_socket=%2Frun%2Fmy.sock"
    ),
    "return ['dsn' => new \\PDO('mysql:unix_socket=/s;dbname=d', username: 'u', password: 'p')];": (
        "mysql://u:p@localhost/d?unix_socket=%2Fs"
    ),
    "class Db { private $host = 'h'; private $u = 'u'; private $p = 'p'; private $name = 'd'; function c() "
    "{ return new PDO('mysql:host=' . $this->host . ';dbname=' . $this->name, $this->u, $this->p); } }": (
        "mysql://u:p@h/d"
    ),
    "$dbHost='h'; $dbName='d'; $dbUser='u'; $dbPassword='p';": "mysql://u:p@h/d",
}


@pytest.mark.parametrize(("config", "url"), DATABASES.items())
def test_the_database_is_found_however_it_is_named(tmp_path: Path, config: str, url: str) -> None:
    read = read_panel(_panel(tmp_path, f"<?php {config}", {}))
    assert read.values["database", "url"] == url


def test_constants_count_as_variables_do(tmp_path: Path) -> None:
    constants = CONFIG.replace("$DUAL_SERVER_MODE_ENABLED = true", "define('DUAL_SERVER_MODE_ENABLED', 0)")
    read = read_panel(_panel(tmp_path, constants))
    assert read.values["portal", "dual_server"] == "no"


def test_a_private_key_without_its_public_half_is_left(tmp_path: Path) -> None:
    scripts = {"push.php": f"<?php $vapid = ['privateKey' => '{PRIVATE}', 'publicKey' => 'B{'x' * 86}'];"}
    assert ("push", "vapid_private_key") not in read_panel(_panel(tmp_path, CONFIG, scripts)).values


def test_what_cannot_be_used_is_left_out_with_its_reason(tmp_path: Path) -> None:
    config = CONFIG.replace("Europe/London", "Mars/Base") + '$SERVER_1_ADDRESS = "ftp://one.example.com";'
    scripts = {"push.php": "<?php define('VAPID_SUBJECT', 'mailto:me@localhost');"}
    imported = import_panel(_panel(tmp_path, config, scripts), tmp_path / "config.ini")
    assert "not a known time zone" in imported.left_out["panel", "timezone"]
    assert "must begin with http" in imported.left_out["portal", "primary_address"]
    assert "real domain" in imported.left_out["push", "vapid_subject"]
    load_config(tmp_path / "config.ini", {})


def test_a_directory_without_a_panel_and_a_file_that_is_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no config\.php of a panel"):
        import_panel(tmp_path, tmp_path / "config.ini")
    assert not (tmp_path / "config.ini").exists()
    (tmp_path / "config.ini").write_text("mine")
    with pytest.raises(AlreadyExists, match="there already"):
        import_panel(_panel(tmp_path), tmp_path / "config.ini")
    assert (tmp_path / "config.ini").read_text() == "mine"
    with pytest.raises(InvalidInput, match="cannot be written"):
        import_panel(_panel(tmp_path), tmp_path / "nowhere" / "config.ini")


def test_texts_that_are_no_utf_8_are_left_out(tmp_path: Path) -> None:
    root = _panel(tmp_path)
    raw = (root / "config.php").read_bytes().replace(b"My Panel", b"My \xff Panel")
    (root / "config.php").write_bytes(b"\xef\xbb\xbf" + raw)
    imported = import_panel(root, tmp_path / "config.ini")
    assert imported.left_out == {("panel", "name"): "it is not UTF-8 text"}


def test_links_out_of_the_panel_are_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside.php"
    outside.write_text("<?php $d = 'key=other-secret&login=x&theme=y update_account.php'; '/update_account.php';")
    root = _panel(tmp_path, CONFIG, {})
    os.symlink(outside, root / "a.php")
    assert ("portal", "theme_key") not in read_panel(root).values
