"""Encrypted connections to MariaDB and MySQL: what an address says of them, as the arguments of its driver.

Alike for each driver. By themselves they are not: mysqlclient, told an authority alone, compares no name and speaks in
clear to a server that cannot encrypt; PyMySQL, told to compare names, forgets the authority and compares none.
"""

import os
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy.engine import URL
from sqlalchemy.util import asbool

from core.values.database_urls import SSL_SWITCHES

_AUTHORITIES = ("ssl_ca", "ssl_capath")
_OURS = ("ssl_cert", "ssl_key")
_FILES = (*_AUTHORITIES, *_OURS)
_SAID = (*_FILES, "ssl_cipher", *SSL_SWITCHES)


def encryption(url: URL) -> tuple[URL, dict[str, Any]]:
    """The address without what it says of encryption, and that as arguments of its driver's ``connect``.

    ``ssl_ca`` (a file) or ``ssl_capath`` (a folder) names the authorities that are trusted: then, and by
    ``ssl_verify_cert`` or ``ssl_check_hostname``, which without them trust the system's, the server must show a
    certificate of theirs for its name. ``ssl_check_hostname=false``: for any name. ``ssl_cert``, ``ssl_key``: ours.
    Nothing of all that: nothing is checked, and encrypted is what the driver does by itself.

    Raises ValueError, in a sentence, for files that cannot be used.
    """
    said = {name: str(url.query[name]) for name in _SAID if name in url.query}
    rest = url.difference_update_query(_SAID)
    switches = {name: asbool(said[name]) for name in SSL_SWITCHES if name in said}
    compares = switches.get("ssl_check_hostname")
    # of two that contradict each other the stricter
    checks = compares is True or switches.get("ssl_verify_cert", any(name in said for name in _AUTHORITIES))
    used = _FILES if checks else _OURS
    files = {name.removeprefix("ssl_"): said[name] for name in used if name in said}
    if not checks and not said.keys() & {*_FILES, "ssl_cipher"}:
        return rest, {}
    for name, path in files.items():
        if not os.access(path, os.R_OK):
            raise ValueError(f"ssl_{name} of the database's address names a file that is not there or not ours to read")
    compares = checks and compares is not False
    ciphers = {"cipher": said["ssl_cipher"]} if "ssl_cipher" in said else {}
    if url.drivername.endswith("+pymysql"):
        return rest, {"ssl": _context(files | ciphers, checks=checks, compares=compares)}
    # it would find out with the first connection; what ciphers are called is its library's
    _context(files, checks=checks, compares=compares)
    mode = "VERIFY_IDENTITY" if compares else "VERIFY_CA" if checks else "REQUIRED"
    return rest, {"ssl": files | ciphers, "ssl_mode": mode}


def _context(said: Mapping[str, str], *, checks: bool, compares: bool) -> ssl.SSLContext:
    """For PyMySQL, made once: to read the system's certificates takes longer than all the rest of a connection."""
    try:
        if checks:
            context = ssl.create_default_context(cafile=said.get("ca"), capath=said.get("capath"))
            # from Python 3.13 on it refuses the certificates that MySQL makes for itself
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
            context.check_hostname = compares
        else:
            context = _without_checks()
        if "cert" in said:
            # a key that is locked is refused; without a password OpenSSL would ask at the console
            context.load_cert_chain(said["cert"], said.get("key"), password="")
        if "cipher" in said:
            context.set_ciphers(said["cipher"])
    except OSError as error:
        reason = error.strerror or "bad files"
        raise ValueError(f"what the database's address says of encryption cannot be used: {reason}") from None
    return context


def _without_checks() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@cache
def unchecked() -> ssl.SSLContext:
    """For an address that asks for no check: encrypts where the server can.

    PyMySQL would read the system's certificates for each such connection.
    """
    return _without_checks()
