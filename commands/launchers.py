"""What ``cron install`` writes and ``cron uninstall`` takes away: a stand-in for php, launchers, and links to them.

Below the panel's root there are only links: a file there could be served, and would tell where this program lies.
Originals of the panel stay beside their links, and come back. Templates: ``deploy/cron``. Source: contract chapter 60,
"Existing crontabs, unedited".
"""

import json
import os
import shlex
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.resources import files
from pathlib import Path

import click

from core.config import default_path
from core.workers.cron_scripts import ALL_SCRIPTS, paths

BEFORE = ".before-showbox"
_HERE = Path(__file__).resolve().parent.parent
_TEMPLATES = files("deploy") / "cron"
_JOB, _STAND_IN, _LAUNCHERS, _MODES = "showbox-job", "php", "launchers", "originals.json"
# of launchers as earlier versions wrote them, as files
_WRITTEN_BY = b"cron install"


def install(directory: Path, root: Path | None, *, replace: bool) -> Iterator[str]:
    """Write the stand-in and what it runs to ``directory``, and links below ``root``; a line for each.

    Raises ClickException, before anything is written, where a file of the panel's own is in the way and not
    ``replace``; OSError.
    """
    places = [] if root is None else [root / path for script in ALL_SCRIPTS for path in paths(script)]
    originals = [place for place in places if _is_there(place) and not _is_ours(place)]
    _refuse_unsaved(originals, replace=replace)
    config = default_path()
    values = {
        "DIRECTORY": shlex.quote(str(Path.cwd())),
        "CONFIG": shlex.quote(str(config.resolve()) if config else ""),
        # the link inside a virtual environment, not what it leads to: that decides where packages are found
        "PYTHON": shlex.quote(sys.executable),
        "APP": shlex.quote(str(_HERE / "wsgi.py")),
        "SCRIPTS": " | ".join(ALL_SCRIPTS),
        "JOB": shlex.quote(str(directory / _JOB)),
    }
    for name in (_JOB, _STAND_IN):
        yield str(_write(directory / name, name, values))
    if root is None:
        return
    for script in ALL_SCRIPTS:
        _write(directory / _LAUNCHERS / script, "launcher.php", {})
    for original in originals:
        yield _save(original, directory)
    for place in places:
        yield str(_link(place, directory / _LAUNCHERS / place.name))


def uninstall(directory: Path, root: Path | None) -> Iterator[str]:
    """Take away what :func:`install` wrote, and put the panel's originals back; a line for each. Raises OSError."""
    modes = _read_modes(directory)
    for place in [] if root is None else [root / path for script in ALL_SCRIPTS for path in paths(script)]:
        if _is_ours(place):
            place.unlink()
            yield f"removed {place}"
        saved = place.with_name(place.name + BEFORE)
        if _is_there(saved) and not _is_there(place):
            saved.rename(place)
            if not place.is_symlink():
                place.chmod(modes.get(str(place), 0o644))
            yield f"put back {place}"
        if root is not None and place.parent != root:
            with suppress(OSError):
                place.parent.rmdir()
    for name in (_STAND_IN, _JOB, _MODES, *(f"{_LAUNCHERS}/{script}" for script in ALL_SCRIPTS)):
        if _is_there(directory / name):
            (directory / name).unlink()
            yield f"removed {directory / name}"
    for emptied in (directory / _LAUNCHERS, directory):
        with suppress(OSError):
            emptied.rmdir()


def _refuse_unsaved(originals: list[Path], *, replace: bool) -> None:
    if originals and not replace:
        raise click.ClickException(
            f"{originals[0]} is not ours; with --replace it is kept as {originals[0].name}{BEFORE}"
        )
    for original in originals:
        saved = original.with_name(original.name + BEFORE)
        if _is_there(saved):
            raise click.ClickException(f"{saved} is there already, and would be lost; move it away first")


def _save(original: Path, directory: Path) -> str:
    """Out of the way, and closed to the web server, which knows the new name as no program and would show the text."""
    saved = original.with_name(original.name + BEFORE)
    if not original.is_symlink():
        modes = _read_modes(directory) | {str(original): stat.S_IMODE(original.stat().st_mode)}
        _write_text(directory / _MODES, json.dumps(modes, indent=1), 0o600)
        original.chmod(0o600)
    original.rename(saved)
    return f"kept {saved}"


def _read_modes(directory: Path) -> dict[str, int]:
    try:
        read: dict[str, int] = json.loads((directory / _MODES).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return read


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _is_ours(path: Path) -> bool:
    if path.is_symlink():
        return Path(os.readlink(path)).parent.name == _LAUNCHERS
    return path.is_file() and _WRITTEN_BY in path.read_bytes()


def _link(place: Path, launcher: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = place.with_name(f".{place.name}.new")
    with suppress(FileNotFoundError):
        beside.unlink()
    beside.symlink_to(launcher)
    # in one step: cron may be about to run what stands there
    beside.replace(place)
    return place


def _write(path: Path, template: str, values: Mapping[str, str]) -> Path:
    text = (_TEMPLATES / template).read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(f"@{name}@", value)
    return _write_text(path, text, 0o755)


def _write_text(path: Path, text: str, mode: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text, encoding="utf-8")
    beside.chmod(mode)
    beside.replace(path)
    return path
