"""Keeping stored text from becoming script in the panel's pages, which insert it as HTML. Source: contract 05 §6.

``plain`` is for names and the like, which are also edited and exported; ``escaped`` for display-only logs.
"""

import html
import re

# an entity that a page decodes once and inserts again is as live as the character itself
_LIVE = re.compile(r"[<>\x00-\x08\x0b-\x1f\x7f]|&(?:lt|gt|#0*6[02]|#x0*3[ce])(?:;|(?![0-9a-z]))", re.IGNORECASE)
_LIVE_IN_HANDLERS = re.compile(r"[\"\\`\x00-\x1f\x7f]")
_SUSPICIOUS = re.compile(r"[<>&'\"\\`\x00-\x1f\x7f]")
_REFERENCE = re.compile(r"&(?:#x?[0-9a-f]+|[a-z][a-z0-9]+);?", re.IGNORECASE)


def plain(text: str) -> str:
    """``text`` without ``<``, ``>``, control characters, and the entities that stand for the two."""
    while _LIVE.search(text):  # taking one out may join the halves of another
        text = _LIVE.sub("", text)
    return text


def inert(text: str, apostrophe: str = "") -> str:
    """:func:`plain`, and without what ends a text inside an inline handler: quotes, backslash, every control character.

    ``apostrophe`` takes the place of ``'``. A browser decodes the handler's entities first, so those go as well.
    """
    if not _SUSPICIOUS.search(text):
        return text
    before = None
    while before != text:  # taking one out may join the halves of another
        before = text
        text = _REFERENCE.sub(_if_harmless, _LIVE_IN_HANDLERS.sub("", plain(text)))
    return text.replace("'", apostrophe)


def _if_harmless(reference: re.Match[str]) -> str:
    means = html.unescape(reference[0])
    return "" if "'" in means or "<" in means or ">" in means or _LIVE_IN_HANDLERS.search(means) else reference[0]


def escaped(text: str | None) -> str | None:
    """``text`` with ``& < > " '`` as entities."""
    return None if text is None else html.escape(text, quote=True)
