"""The simulated portal as a process of its own that may be killed: what it answered for it has when it is back."""

import os
import pickle
import signal
import sys
import threading
from pathlib import Path
from typing import Any

from simulators.portal.settings import Dialect
from simulators.portal.state import PortalState, User
from simulators.stalker import StalkerPortal

TARIFF = "78"


class DurableState(PortalState):
    """Accounts are written to ``path`` before a call is answered."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        if path.exists():
            # written by this very class, in a directory of our own
            for user in pickle.loads(path.read_bytes()):
                self._last_user = max(self._last_user, user.id)
                self._store(user)

    def add_user(self, **columns: Any) -> User:
        user = super().add_user(**columns)
        self._write()
        return user

    def change_user(self, user: User, **columns: Any) -> User:
        changed = super().change_user(user, **columns)
        self._write()
        return changed

    def delete_user(self, user: User) -> None:
        super().delete_user(user)
        self._write()

    def _write(self) -> None:
        new = self._path.with_suffix(".new")
        new.write_bytes(pickle.dumps(list(self.users.values())))
        new.replace(self._path)


def main() -> None:
    path, port = Path(sys.argv[1]), int(sys.argv[2])
    with StalkerPortal(port=port, state=DurableState(path), dialect=Dialect.PANEL) as portal:
        portal.add_plan(TARIFF, "Tariff")
        stopped = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stopped.set())
        while not stopped.wait(0.5) and os.getppid() != 1:
            pass


if __name__ == "__main__":
    main()
