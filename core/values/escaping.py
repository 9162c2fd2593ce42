"""Keeping stored text from becoming script in the panel's pages, which insert it as HTML. Source: contract 05 §6.

What each does is said here; which field of which list needs which is :mod:`core.values.sinks`'s table.
"""

import html
import re

# an entity that a page decodes once and inserts again is as live as the character itself
_LIVE = re.compile(r"[<>\x00-\x08\x0b-\x1f\x7f]|&(?:lt|gt|#0*6[02]|#x0*3[ce])(?:;|(?![0-9a-z]))", re.IGNORECASE)
# what ends a text, an attribute or the string of a handler, or begins what the page's parser makes such a sign of
_UNSAFE = re.compile(r"""["'`\\<>&\x00-\x1f\x7f\u2028\u2029]""")
_QUOTED_ENTITY = re.compile(
    r"&+(?=#|quot|apos|grave|diacriticalgrave|bsol|tab;|newline;|lt(?![a-z0-9])|gt(?![a-z0-9]))", re.IGNORECASE
)
_ANGLES = (
    (
        re.compile(r"&(?:lt|#0*60|#x0*3c)(?:;|(?![0-9a-z]))", re.IGNORECASE),
        "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
    ),
    (
        re.compile(r"&(?:gt|#0*62|#x0*3e)(?:;|(?![0-9a-z]))", re.IGNORECASE),
        "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
    ),
)
_LOOKALIKES = str.maketrans(
    {
        '"': "\N{RIGHT DOUBLE QUOTATION MARK}",
        "'": "\N{RIGHT SINGLE QUOTATION MARK}",
        "<": "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}",
        ">": "\N{SINGLE RIGHT-POINTING ANGLE QUOTATION MARK}",
        **dict.fromkeys(["`", "\\", "\x7f", "\u2028", "\u2029", *map(chr, range(32))]),
    }
)
# that a text has one of these tells that it may be another one's safe form
LOOKALIKES = frozenset(sign for sign in _LOOKALIKES.values() if sign)


def plain(text: str) -> str:
    """``text`` without ``<``, ``>``, control characters, and the entities that stand for the two."""
    # a look that is quick also at a long text, and finds most to be plain
    if text.isprintable() and not ("<" in text or ">" in text or "&" in text):
        return text
    while _LIVE.search(text):  # taking one out may join the halves of another
        text = _LIVE.sub("", text)
    return text


def quotable(text: str) -> str:
    """``text`` for an attribute or between the quotes of an inline handler, where entities do not help.

    Quotation marks and angle brackets, also as entities, become those that no parser knows; what would begin another
    entity of the kind, backslashes, grave accents and control characters are left out.
    """
    if _UNSAFE.search(text) is None:
        return text
    while (cleaned := _without_signs(text)) != text:  # leaving one out may join the halves of another
        text = cleaned
    return text


def _without_signs(text: str) -> str:
    text = text.translate(_LOOKALIKES)
    for entity, sign in _ANGLES:
        text = entity.sub(sign, text)
    return _QUOTED_ENTITY.sub("", text)


def key(text: str) -> str:
    """``text`` for the same places, for codes and keys, in which no quotation mark has a place."""
    return _NOT_IN_KEYS.sub("", quotable(plain(text)))


_NOT_IN_KEYS = re.compile(f"[{''.join(LOOKALIKES)}]")


def escaped(text: str | None) -> str | None:
    """``text`` with ``& < > " '`` as entities."""
    return None if text is None else html.escape(text, quote=True)


def html_out(text: str | None) -> str | None:
    """``text`` with ``< > "`` as entities but ``&`` as it is, for the fields that chapters 60 S8 and 70 name."""
    return None if text is None else text.replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def attr_out(text: str | None) -> str | None:
    """``text`` for fields that a page escapes itself but for the quotes around them (chapter 70)."""
    return None if text is None else text.replace('"', "\N{RIGHT DOUBLE QUOTATION MARK}")


def log_text(text: str) -> str:
    """``text`` for an attribute and a line of the page at once, escaped there or not: its double quotation marks and
    angle brackets become others, ``&`` and line breaks stay."""
    return text.translate(_LOG_SIGNS)


_LOG_SIGNS = {sign: _LOOKALIKES[sign] for sign in map(ord, '"<>')}


def template_name(text: str) -> str:
    """As :func:`quotable`, for the name of a mail template; a backslash becomes ``/``, control characters blanks."""
    return quotable(re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", text.replace("\\", "/")))
