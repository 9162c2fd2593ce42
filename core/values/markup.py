"""Keeping stored text from becoming script in the panel's pages, which insert it as HTML. Source: contract 05 §6.

``plain`` is for names and the like, which are also edited and exported; ``escaped`` and ``html_out`` are for what is
only displayed; ``quotable`` for names that pages put into handlers.
"""

import html
import re

# an entity that a page decodes once and inserts again is as live as the character itself
_LIVE = re.compile(r"[<>\x00-\x08\x0b-\x1f\x7f]|&(?:lt|gt|#0*6[02]|#x0*3[ce])(?:;|(?![0-9a-z]))", re.IGNORECASE)
# quotation marks of an inline handler, and the entities that the page's parser makes such marks of
_QUOTES = re.compile(r'["\\`\t\n]|&+(?=#|quot|apos|grave|diacriticalgrave|bsol|tab;|newline;)', re.IGNORECASE)


def plain(text: str) -> str:
    """``text`` without ``<``, ``>``, control characters, and the entities that stand for the two."""
    # a look that is quick also at a long text, and finds most to be plain
    if text.isprintable() and not ("<" in text or ">" in text or "&" in text):
        return text
    while _LIVE.search(text):  # taking one out may join the halves of another
        text = _LIVE.sub("", text)
    return text


def quotable(text: str, apostrophe: str = "\N{RIGHT SINGLE QUOTATION MARK}") -> str:
    """``text`` for pages that put it between the quotes of an inline handler, where entities do not help.

    ``apostrophe`` takes the place of ``'``.
    """
    while (cleaned := _QUOTES.sub("", plain(text))) != text:
        text = cleaned
    return text.replace("'", apostrophe)


def escaped(text: str | None) -> str | None:
    """``text`` with ``& < > " '`` as entities."""
    return None if text is None else html.escape(text, quote=True)


def html_out(text: str | None) -> str | None:
    """``text`` with ``< > "`` as entities but ``&`` as it is, for the fields that chapters 60 S8 and 70 name."""
    return None if text is None else text.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
