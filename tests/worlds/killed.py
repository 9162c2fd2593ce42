"""A worker in a process of its own, which a test kills in the middle of its work."""

import os
import subprocess
import sys

from tests.worlds.places import ROOT

_WORK = """
from core.config import load_config
from core.jobs import jobs
from core.panel import Panel
from core.workers import workers
jobs.work_off(Panel(load_config(None)), workers.KINDS)
"""


def start_worker() -> "subprocess.Popen[bytes]":
    """It works off the open jobs of the panel that the environment's ``SHOWBOX_...`` describe, and ends."""
    return subprocess.Popen([sys.executable, "-c", _WORK], cwd=ROOT, env=os.environ.copy())
