"""Whether a page is one that a browser can show: an empty or cut page must not look like a success."""

import re

_BEGINS = re.compile(rb"<html\b", re.IGNORECASE)
_ENDS = re.compile(rb"</html\s*>", re.IGNORECASE)


class BrokenPage(Exception):
    """A page that is empty, cut, or not to be shown; the text says which, for the log and the admin at the browser.

    It names neither path nor content.
    """


def require_whole(body: bytes) -> bytes:
    """``body``, or BrokenPage for one without any text, or one that begins ``<html`` and never ends it."""
    if not body.strip():
        raise BrokenPage("it is empty")
    if _BEGINS.search(body) and not _ENDS.search(body):
        raise BrokenPage("its end is missing")
    return body
