"""The test processes of a run of several: each is forked from one that has imported and collected all there is to test,
which takes longer than many a room's tests."""

import json
import os
from collections.abc import Sequence
from pathlib import Path

from tests.worlds import forked, warm_server
from tests.worlds.warm import answered_by

# what is collected, for the process that they are forked from
COLLECTED = "SHOWBOX_TEST_COLLECTED"


def python_of_workers(collected: Sequence[str]) -> Path:
    """What each test process is to be started by, in place of an interpreter; ``collected``: pytest's arguments."""
    os.environ[COLLECTED] = json.dumps([*collected])
    forked.prepare("tests.worlds.collected")
    del os.environ[COLLECTED]
    return answered_by(_work)


def _work(arguments: list[str], directory: str, environment: dict[str, str], files: Sequence[int]) -> int:
    warm_server.become(directory, environment, files)
    forked.share()
    # the first line of what makes this a test process, which it reads
    exec(arguments[-1], {"__name__": "__main__"})
    return 0
