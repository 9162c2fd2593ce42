"""``python wsgi.py`` in processes of its own, as people start it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.processes import free_port
from tests.worlds.forked import Forked
from tests.worlds.places import ROOT


def environment(**variables: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SHOWBOX_")}
    return kept | {"PYTHONPATH": str(ROOT)} | variables


@contextmanager
def served(cwd: Path, *arguments: str, **variables: str) -> Iterator[tuple[str, Forked]]:
    """``python wsgi.py`` with these arguments, from the moment it says where it is served."""
    port = free_port()
    process = Forked("wsgi.py", ["--port", str(port), *arguments], cwd=cwd, environment=environment(**variables))
    try:
        for line in process.stdout:
            if "is served at" in line:
                break
        else:
            pytest.fail(f"the server did not start: {process.stderr}")
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.end()
        process.close()
