"""Which process holds a stored claim (an operation, a job, a lock), so that others notice when it is gone."""

import hashlib
import os
import secrets
import socket
from functools import cache
from pathlib import Path


def new_owner() -> str:
    """A name for one claim: this process, as others on the same machine can recognise its end, and a random part."""
    pid = os.getpid()
    return f"{_machine()}:{pid}:{_start_of(pid) or 0}:{secrets.token_hex(4)}"


def is_gone(owner: str) -> bool:
    """Whether the process that made the claim has ended; False when that cannot be told from here."""
    machine, _, rest = owner.partition(":")
    pid, start, *_ = [*rest.split(":"), ""]
    if machine != _machine() or start == "0" or not pid.isdigit():
        return False
    return _start_of(int(pid)) != start


@cache
def _machine() -> str:
    """Host and process namespace: only there does a process id mean something."""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:
        namespace = ""
    return hashlib.sha256(f"{socket.gethostname()}/{namespace}".encode()).hexdigest()[:12]


def _start_of(pid: int) -> str | None:
    """The start time of a process (clock ticks since boot); None if there is none, or the system does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # the name may hold blanks and brackets itself; the start time is field 22 of all
    return stat.rpartition(")")[2].split()[19]
