"""What the process has done already that all others are forked from: imports, and an application made once.

The forks find it all in their memory, and their collector passes over it.
"""

import gc

import showbox
import tests.conftest
import wsgi
from core.config import load_config

__all__ = ["showbox", "tests", "wsgi"]

# what is imported and compiled at first use
wsgi.build(load_config(None, {}))[1].close()
gc.collect()
gc.freeze()
gc.enable()
