"""The command ``showbox``: makes sure that the packages it is about to use are ours, and hands over to them.

They have plain names (core, commands, compat …), under which another program installed beside this one may have its
own. Whoever comes first in Python's path would be used, or have written over the other's files; neither goes unnoticed.
"""

import base64
import gc
import hashlib
import sys
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("commands", "compat", "core", "deploy", "legacy_routes", "simulators", "wsgi")
_HERE = Path(__file__).resolve().parent


def strangers() -> list[str]:
    """A sentence for each of our packages that is another program's, or was written over by one."""
    found = []
    for name in PACKAGES:
        spec = find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin not in (_HERE / name / "__init__.py", _HERE / f"{name}.py"):
            found.append(f"The package {name} is another program's ({origin or 'none is found'}).")
        elif not _is_as_installed(origin):
            found.append(f"The package {name} was changed since it was installed, or written over by another program.")
    return found


def _is_as_installed(file: Path) -> bool:
    """By the hash that was noted at the installation; a checkout has noted none."""
    try:
        recorded = distribution("showbox-server").files or []
    except PackageNotFoundError:
        return True
    for path in recorded:
        if path.hash is not None and Path(str(path.locate())).resolve() == file:
            digest = hashlib.new(path.hash.mode, file.read_bytes()).digest()
            return base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == path.hash.value
    return True


def main() -> None:
    sys.path.insert(0, str(_HERE))
    found = strangers()
    if found:
        sys.exit("\n".join([*found, "Install showbox-server in a virtual environment of its own."]))
    # nothing that is imported is garbage, and the collector would look through it again and again
    gc.disable()
    from commands.program import program

    gc.freeze()
    gc.enable()
    program(prog_name="showbox")


if __name__ == "__main__":
    main()
