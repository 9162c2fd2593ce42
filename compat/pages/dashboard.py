"""Renders ``dashboard.php`` without PHP: its server-side regions become version stamps or nothing.

Bytes in, bytes out (contract chapter 10, section 6.3). Who may see the page, and where it and its
assets lie, is decided elsewhere.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

from compat.pages.complete_pages import BrokenPage

logger = logging.getLogger(__name__)

# `<?xml` is text for PHP (with its short tags off, the legacy default); any other `<?` may open code.
_OPENING_TAG = re.compile(rb"<\?(?!xml\b)", re.IGNORECASE)

# One piece of code as PHP sees it, each closed or reaching to the end of the file: a closing tag in a string, a block
# comment or a heredoc closes nothing, and taking it for the end would send the rest of the code to the browser.
# Nothing here can be matched in two ways, so nothing is tried twice; possessive quantifiers would say the same, but
# CPython 3.11.2, which is Debian 12's, gets them wrong.
_PIECE = re.compile(
    rb"""
      (?P<end> \?> (?: \r?\n )? )
    | ' [^'\\]* (?: \\. [^'\\]* )* (?: ' | (?P<open_single> \\?\Z ) )
    | " [^"\\]* (?: \\. [^"\\]* )* (?: " | (?P<open_double> \\?\Z ) )
    | ` [^`\\]* (?: \\. [^`\\]* )* (?: ` | (?P<open_command> \\?\Z ) )
    | /\* .*? (?: \*/ | (?P<open_comment> \Z ) )
    | (?: // | \#(?!\[) ) (?: [^?\r\n] | \?(?!>) )*
    | <<<[ \t]*(?P<quote>["']?)(?P<label>[a-z_]\w*)(?P=quote)(?=\r?\n)
      .*? (?: \n[ \t]*(?P=label)\b | (?P<open_heredoc> \Z ) )
    | [^?'"`/\#<]+
    | .
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_OPEN = ("open_single", "open_double", "open_command", "open_comment", "open_heredoc")

_STAMP = re.compile(
    rb"""
    (?: <\?php \s+ echo \b | <\?= ) \s*
    @? \s* filemtime \s* \( \s*
    (?: __DIR__ \s* \. \s* '/ | ' ) (?P<name> [a-z0-9_-] [a-z0-9._-]* ) '
    \s* \) \s* ;? \s* (?: \?> \s* )?
    """,
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Dashboard:
    """A compiled page: ``texts`` has one element more than ``assets``, whose stamps go between them."""

    texts: Sequence[bytes]
    assets: Sequence[str]

    def render(self, stamps: Sequence[int | None]) -> bytes:
        """The page with each asset's modification time (Unix seconds; None for a missing file) in its place.

        Raises BrokenPage where an opening tag is left: removing regions may have joined one together.
        """
        pieces = [self.texts[0]]
        for stamp, text in zip(stamps, self.texts[1:], strict=True):
            pieces += [b"" if stamp is None else b"%d" % stamp, text]
        body = b"".join(pieces)
        left = _OPENING_TAG.search(body)
        if left is not None:
            raise BrokenPage(f"an opening tag is left after {left.start()} bytes")
        return body


def compile_dashboard(source: bytes) -> Dashboard:
    """Splits the page into texts and stamps; every other region is left out, all but a leading one logged.

    Raises BrokenPage where the code ends within a string, a comment or a heredoc, as PHP would refuse it.
    """
    texts: list[bytes] = [b""]
    assets: list[str] = []
    position = 0
    while (opening := _OPENING_TAG.search(source, position)) is not None:
        texts[-1] += source[position : opening.start()]
        position = _end_of_region(source, opening.end())
        stamp = _STAMP.fullmatch(source, opening.start(), position)
        if stamp:
            assets.append(stamp["name"].decode("ascii"))
            texts.append(b"")
        elif opening.start() > 0:
            # The place only: what stands there may be a secret.
            line = source.count(b"\n", 0, opening.start()) + 1
            logger.warning("dashboard.php: left out the server-side code at line %d, it is not a version stamp", line)
    texts[-1] += source[position:]
    return Dashboard(tuple(texts), tuple(assets))


def _end_of_region(source: bytes, position: int) -> int:
    """Where the text goes on after the code at ``position``: behind its closing tag, or at the end of the file."""
    while piece := _PIECE.match(source, position):
        if any(piece[name] is not None for name in _OPEN):
            raise BrokenPage("its server-side code ends within a string, a comment or a heredoc")
        position = piece.end()
        if piece["end"] is not None:
            break
    return position
