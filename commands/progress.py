"""The progress bar of the commands of ``flask --app wsgi``."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


@contextmanager
def progress(unit: str) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal over one step after the other: ``report(step, done, total)``; a ``total`` of 0 is unknown."""
    bar = tqdm(unit=f" {unit}", disable=None, dynamic_ncols=True)
    current = ""

    def report(step: str, done: int, total: int) -> None:
        nonlocal current
        if step != current:
            current = step
            bar.reset(total=total or None)
            bar.set_description(step)
        bar.update(done - bar.n)

    try:
        yield report
    finally:
        bar.close()
