"""What an address of MariaDB says of encryption: alike for each driver, against servers that offer it and one that does
not. What it says by nothing: test_drivers.py."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from pymysql import err
from pymysql.constants import CR

from core.config import load_config
from core.storage.database import Database
from core.storage.faults import DatabaseSetUp, set_up_fault
from core.values.database_urls import normal_url
from tests.worlds.certificates import make_certificate
from tests.worlds.lacking import require_driver, require_program
from tests.worlds.private_servers import PrivateMariadb
from wsgi import build

_CIPHER = sa.text("SHOW STATUS LIKE 'Ssl_cipher'")
_NAMES = {
    "ca": ["127.0.0.1"],
    "elsewhere": ["db.example.com"],
    "stranger": ["127.0.0.1"],
    "client": ["client"],
}


@dataclass(frozen=True)
class Place:
    """A server that shows ``ca.pem``, which is good for its address, and files of other certificates."""

    folder: Path
    server: PrivateMariadb

    def url(self, driver: str, query: str, user: str = "root") -> str:
        return f"mysql+{driver}://{user}@127.0.0.1:{self.server.port}/mysql?{query.format(folder=self.folder)}"

    @contextmanager
    def showing(self, name: str) -> Iterator[None]:
        """Another certificate meanwhile."""
        self._show(name)
        try:
            yield
        finally:
            self._show("ca")

    def _show(self, name: str) -> None:
        _lay_out(self.folder, name)
        self.server.run("FLUSH SSL")


def _lay_out(folder: Path, name: str) -> None:
    for ending in ("pem", "key"):
        shutil.copyfile(folder / f"{name}.{ending}", folder / f"shown.{ending}")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("encryption")
    for name, names in _NAMES.items():
        make_certificate(folder, f"{name}.pem", f"{name}.key", names=names)
    _lay_out(folder, "ca")
    (folder / "data").mkdir()
    shown = f"--ssl-cert={folder}/shown.pem", f"--ssl-key={folder}/shown.key"
    server = PrivateMariadb(folder / "data", *shown, f"--ssl-ca={folder}/client.pem")
    server.run("CREATE USER shown@'127.0.0.1' REQUIRE X509", "GRANT SELECT ON mysql.* TO shown@'127.0.0.1'")
    yield Place(folder, server)
    server.close()


@pytest.fixture(params=["pymysql", "mysqldb"])
def driver(request: pytest.FixtureRequest) -> str:
    require_driver(request.param)
    return str(request.param)


def _is_encrypted(url: str) -> bool:
    database = Database(url)
    try:
        with database.read() as connection:
            return bool(connection.execute(_CIPHER).one()[1])
    finally:
        database.dispose()


@pytest.mark.parametrize(
    "query",
    [
        "ssl_ca={folder}/ca.pem",
        "ssl_ca={folder}/ca.pem&ssl_verify_identity=true",
        "ssl_ca={folder}/ca.pem&ssl_verify_cert=1&ssl_check_hostname=yes",
        "ssl_ca={folder}/stranger.pem&ssl_verify_cert=no",
        "ssl_cert={folder}/client.pem&ssl_key={folder}/client.key",
        "ssl_cipher=ECDHE-ECDSA-AES256-GCM-SHA384",
    ],
)
def test_who_is_trusted_is_spoken_to(place: Place, driver: str, query: str) -> None:
    assert _is_encrypted(place.url(driver, query))


def test_authorities_may_be_a_folder(place: Place, driver: str, tmp_path: Path) -> None:
    openssl = require_program("openssl", "openssl")
    shutil.copy(place.folder / "ca.pem", tmp_path)
    subprocess.run([openssl, "rehash", tmp_path], check=True)
    assert _is_encrypted(place.url(driver, f"ssl_capath={tmp_path}"))


@pytest.mark.parametrize("query", ["ssl_verify_identity=no", "ssl_check_hostname=off&ssl_verify_cert=0"])
def test_no_is_as_if_nothing_were_said(place: Place, driver: str, query: str) -> None:
    assert _is_encrypted(place.url(driver, query)) == _is_encrypted(place.url(driver, ""))


@pytest.mark.parametrize(
    "query",
    [
        "ssl_ca={folder}/stranger.pem",
        "ssl_ca={folder}/stranger.pem&ssl_verify_identity=true",
        "ssl_ca={folder}/stranger.pem&ssl_check_hostname=no",
        "ssl_ca={folder}/stranger.pem&ssl_verify_cert=no&ssl_check_hostname=yes",
        # the system trusts others
        "ssl_verify_identity=yes",
        "ssl_verify_cert=yes",
    ],
)
def test_a_stranger_is_not(place: Place, driver: str, query: str) -> None:
    with pytest.raises(DatabaseSetUp, match="server's certificate is not of an authority"):
        _is_encrypted(place.url(driver, query))


def test_a_certificate_is_for_a_name(place: Place, driver: str) -> None:
    trusted = "ssl_ca={folder}/elsewhere.pem"
    with place.showing("elsewhere"):
        for query in (trusted, f"{trusted}&ssl_verify_identity=on", f"{trusted}&ssl_verify_cert=on"):
            with pytest.raises(DatabaseSetUp, match="or is for another name"):
                _is_encrypted(place.url(driver, query))
        # not with mysqlclient: MariaDB's library for it looks at both or at neither
        for name in ("ssl_verify_identity", "ssl_check_hostname"):
            assert _is_encrypted(place.url("pymysql", f"{trusted}&{name}=false"))


def test_a_certificate_of_ours_is_shown(place: Place, driver: str) -> None:
    ours = "ssl_ca={folder}/ca.pem&ssl_cert={folder}/client.pem&ssl_key={folder}/client.key"
    assert _is_encrypted(place.url(driver, ours, user="shown"))
    with pytest.raises(DatabaseSetUp, match="refuses the configured user"):
        _is_encrypted(place.url(driver, "ssl_ca={folder}/ca.pem", user="shown"))


def test_nothing_is_said_in_clear_to_a_server_that_cannot_encrypt(place: Place, driver: str, tmp_path: Path) -> None:
    server = PrivateMariadb(tmp_path, "--skip-ssl")
    try:
        plain = Place(place.folder, server)
        assert not _is_encrypted(plain.url(driver, ""))
        with pytest.raises(DatabaseSetUp, match="offers no encryption"):
            _is_encrypted(plain.url(driver, "ssl_ca={folder}/ca.pem"))
    finally:
        server.close()


def test_a_connection_that_breaks_while_it_is_encrypted_says_nothing_of_the_set_up() -> None:
    assert set_up_fault(err.OperationalError(CR.CR_SSL_CONNECTION_ERROR, "TLS/SSL error: unexpected eof")) is None


@pytest.mark.parametrize("name", ["ssl_ca", "ssl_capath", "ssl_cert", "ssl_key"])
def test_a_file_that_is_not_there_is_told_at_the_start(driver: str, name: str) -> None:
    config = load_config(None, {"SHOWBOX_DATABASE_URL": f"mysql+{driver}://u:secret@127.0.0.1/panel?{name}=/no/such"})
    with pytest.raises(ValueError, match=f"^{name} of the database's address names a file that is not there") as told:
        build(config)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("query", ["ssl_ca={text}", "ssl_cert={text}", "ssl_cert={text}&ssl_key={text}"])
def test_a_file_that_is_no_certificate_is_told_at_the_start(driver: str, query: str, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no certificate")
    with pytest.raises(ValueError, match="says of encryption cannot be used"):
        Database(f"mysql+{driver}://root@127.0.0.1/panel?{query.format(text=text)}")


def test_a_key_that_is_locked_is_refused_and_nobody_asked(place: Place, driver: str, tmp_path: Path) -> None:
    key = load_pem_private_key((place.folder / "client.key").read_bytes(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")))
    with pytest.raises(ValueError, match="says of encryption cannot be used"):
        Database(place.url(driver, f"ssl_cert={{folder}}/client.pem&ssl_key={locked}"))


@pytest.mark.parametrize("name", ["ssl_check_hostname", "ssl_verify_identity", "ssl_verify_cert"])
def test_what_is_neither_yes_nor_no_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name} in the database url must be yes or no$"):
        normal_url(f"mysql://root@127.0.0.1/panel?{name}=maybe")
