"""What this machine may lack: the test is skipped then, which is a failure in CI."""

import os
import shutil
from importlib.util import find_spec

import pytest

# where Debian has what only root calls
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin"


def find_program(name: str) -> str | None:
    """Its path, if it is installed."""
    return shutil.which(name, path=_PATH)


def require_program(name: str, package: str) -> str:
    """Its path, without which the test cannot be."""
    found = find_program(name)
    if found is None:
        missing(f"{name} is not installed (on Debian: apt-get install {package})")
    return str(found)


def missing(line: str) -> None:
    """What that is, and how to have it."""
    if os.environ.get("CI"):
        pytest.fail(line)
    pytest.skip(line)


def require_driver(name: str) -> None:
    """Of MariaDB. CI has mysqlclient in an environment of its own (``.ci/clean-machine``): where it is, all use it."""
    if name == "mysqldb" and find_spec("MySQLdb") is None:
        pytest.skip("mysqlclient is not installed: pip install '.[mysqlclient]'")
