"""A worker in a process of its own, which a test kills in the middle of its work."""

import os

from tests.worlds.forked import Forked
from tests.worlds.places import ROOT

_WORK = """
from core.config import load_config
from core.jobs import jobs
from core.panel import Panel
from core.workers import workers
jobs.work_off(Panel(load_config(None)), workers.KINDS)
"""


def start_worker() -> Forked:
    """It works off the open jobs of the panel that the environment's ``SHOWBOX_...`` describe, and ends.

    It may have begun before this returns: who is to kill it waits until it is known.
    """
    return Forked("-c", [_WORK], cwd=ROOT, environment=os.environ)
