"""Hashing and verifying of panel passwords: argon2 for our own, MD5 and bcrypt as the legacy panels stored them.

Source: contract chapter 10 §3. No function here logs or returns a password or shows a hash to anyone.
"""

import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, lru_cache

import bcrypt
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError

# what PHP's trim() takes off; all panels trim before they hash
BLANKS = " \t\n\r\0\x0b"
_MD5 = re.compile(r"[0-9a-fA-F]{32}")
_BCRYPT = ("$2y$", "$2a$", "$2b$")
_BCRYPT_BYTES = 72
# the OWASP minimum: a login must not cost 64 MiB when eight arrive at once
_argon2 = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
# the one gate of all that is slow: each hashing takes a core and 19 MiB for some 20 ms, and a thread that has done one
# keeps the memory, so a few threads of their own, not every thread of the server
_hashing = ThreadPoolExecutor(max(1, min(4, os.cpu_count() or 1)), thread_name_prefix="hashing")
_ROUNDS = re.compile(r"\$2[aby]\$(\d\d)\$")
_ARGON2 = "$argon2"
# how much of a stored hash tells what it costs to look at: its kind, and bcrypt's rounds
KIND_CHARACTERS = 7
COMMON_PASSWORDS = 1000


class Passwords:
    """``strong``: new hashes are argon2 and weaker ones are replaced at login; else MD5, which the PHP panel reads.

    ``kinds``: the beginnings of the hashes that are stored now, ``KIND_CHARACTERS`` long.
    """

    def __init__(self, *, strong: bool, kinds: Callable[[], Iterable[str]] = tuple) -> None:
        self.strong = strong
        self._kinds = kinds

    def hash(self, password: str) -> str:
        """The form to store. Surrounding blanks do not count, as in every panel."""
        text = password.strip(BLANKS)
        if self.strong:
            return _hashing.submit(_argon2.hash, text).result()
        return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()

    def verify(self, stored: str | None, password: str) -> bool:
        """Whether ``password`` is the one that ``stored`` was made of; ``stored`` None: there is no such user.

        A refusal takes as long for an unknown user as for a known one: each kind of hash that is stored is looked at.
        """
        if _matches(stored or "", password):
            return True
        looked_at = _dummy((stored or "")[:KIND_CHARACTERS])
        for dummy in {_dummy(kind) for kind in (*self._kinds(), *([_ARGON2] if self.strong else []))}:
            if dummy and dummy != looked_at:
                _matches(dummy, password)
        return False

    def is_usable(self, stored: str) -> bool:
        """Whether anybody could log in with a password of which ``stored`` was made."""
        return bool(_MD5.fullmatch(stored)) or stored.startswith(("$argon2", *_BCRYPT))

    def should_upgrade(self, stored: str) -> bool:
        """Whether a verified password should be stored anew in the stronger form."""
        return self.strong and (not stored.startswith("$argon2") or _argon2.check_needs_rehash(stored))


@lru_cache(maxsize=1024)
def fingerprint(key: str, stored: str, salt: str = "") -> str:
    """A keyed digest of a stored hash: tells sessions that the password was changed, and nobody anything else.

    ``salt`` is new at each change, so that a password that comes back revives no session.
    """
    return hmac.new(key.encode(), (stored + salt).encode(), hashlib.sha256).hexdigest()[:32]


def is_common(password: str, *names: str | None) -> bool:
    """Whether guessing begins with this one: the commonest passwords, and the user's own names."""
    text = password.strip(BLANKS).lower()
    return text in _common() or text in {name.strip(BLANKS).lower() for name in names if name}


@cache
def _common() -> frozenset[str]:
    # read when a password is set for the first time: the list is long
    from zxcvbn.frequency_lists import FREQUENCY_LISTS

    return frozenset(FREQUENCY_LISTS["passwords"][:COMMON_PASSWORDS])


@cache
def _dummy(kind: str) -> str:
    """A hash of no user's password that costs as much to look at as those of ``kind``; "" where that is nothing."""
    if kind.startswith(_ARGON2):
        return _argon2.hash("no user has this password")
    rounds = _ROUNDS.match(kind)
    if rounds is None:
        return ""
    return bcrypt.hashpw(b"no user has this password", bcrypt.gensalt(min(max(int(rounds[1]), 4), 31))).decode()


def _matches(stored: str, password: str) -> bool:
    trimmed = password.strip(BLANKS)
    if not trimmed:
        return False
    if _MD5.fullmatch(stored):
        return any(_same_md5(stored, text) for text in (trimmed, password))
    if stored.startswith("$argon2"):
        try:
            return _hashing.submit(_argon2.verify, stored, trimmed).result()
        except (Argon2Error, InvalidHashError):
            return False
    if stored.startswith(_BCRYPT):
        return any(_same_bcrypt(stored, text) for text in dict.fromkeys((password, trimmed)))
    return False


def _same_md5(stored: str, text: str) -> bool:
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return hmac.compare_digest(digest, stored.lower())


def _same_bcrypt(stored: str, text: str) -> bool:
    # bcrypt never looked at more than 72 bytes, and stops at a NUL; the library raises where PHP cut
    try:
        return _hashing.submit(bcrypt.checkpw, text.encode()[:_BCRYPT_BYTES], stored.encode()).result()
    except ValueError:
        return False
