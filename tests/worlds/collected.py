"""What the process has done already that all test processes are forked from (:mod:`tests.worlds.workers`): whatever a
test file imports, and what is worked out once."""

import json
import os
from contextlib import redirect_stdout
from typing import Any

import pytest

from tests.worlds.workers import COLLECTED


def _collect() -> None:
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
        pytest.main(["--collect-only", "-q", "-n0", "-p", "no:cacheprovider", *json.loads(os.environ[COLLECTED])])


def _collect_from_both_ends() -> None:
    """What a clone's first run has to compile (pytest rewrites each file of tests) is done by two processes, each of
    which finds what the other has done."""
    other = os.fork()
    if other == 0:
        os.environ.update(PYTEST_XDIST_WORKER="gw1", PYTEST_XDIST_WORKER_COUNT="2")
        _collect()
        os._exit(0)
    _collect()
    os.waitpid(other, 0)


def _know_what_text_is() -> None:
    # imported by pytest, which rewrites it
    from hypothesis import given, settings
    from hypothesis import strategies as st

    @settings(max_examples=1, database=None)
    @given(st.text())
    def take(_: Any) -> None:
        pass

    take()


_collect_from_both_ends()
_know_what_text_is()
