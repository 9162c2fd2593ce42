"""Renders ``dashboard.php`` without PHP: its server-side regions become version stamps or nothing.

Bytes in, bytes out (contract chapter 10, section 6.3). Who may see the page, and where it and its
assets lie, is decided elsewhere.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

logger = logging.getLogger(__name__)

# `<?xml` is text for PHP (with its short tags off, the legacy default); any other `<?` may open code.
_OPENING_TAG = re.compile(rb"<\?(?!xml\b)", re.IGNORECASE)

# Up to the closing tag as PHP sees it: one within a string, a block comment or a heredoc closes nothing,
# and taking it for the end would send the rest of the code to the browser. Unfinished ones reach to the
# end of the file.
_REGION = re.compile(
    rb"""
    <\?(?!xml\b)
    (?: ' (?: [^'\\] | \\. )*+ (?: ' | \\?\Z )
      | " (?: [^"\\] | \\. )*+ (?: " | \\?\Z )
      | ` (?: [^`\\] | \\. )*+ (?: ` | \\?\Z )
      | /\* (?: (?! \*/ ) . )*+ (?: \*/ | \Z )
      | (?: // | \#(?!\[) ) (?: (?! \?> ) [^\r\n] )*+
      | <<<[ \t]*(?P<quote>["']?)(?P<label>[a-z_]\w*)(?P=quote)(?=\r?\n)
        (?: (?! \n[ \t]*(?P=label)\b ) . )*+ (?: \n[ \t]*(?P=label)\b | \Z )
      | (?! \?> ) .
    )*+
    (?: \?> (?: \r?\n )? | \Z )
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)

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
        """The page with each asset's modification time (Unix seconds; None for a missing file) in its place."""
        pieces = [self.texts[0]]
        for stamp, text in zip(stamps, self.texts[1:], strict=True):
            pieces += [b"" if stamp is None else b"%d" % stamp, text]
        return _without_code(b"".join(pieces))


def compile_dashboard(source: bytes) -> Dashboard:
    """Splits the page into texts and stamps; every other region is left out, all but a leading one logged."""
    texts: list[bytes] = [b""]
    assets: list[str] = []
    position = 0
    for region in _REGION.finditer(source):
        texts[-1] += source[position : region.start()]
        position = region.end()
        stamp = _STAMP.fullmatch(region[0])
        if stamp:
            assets.append(stamp["name"].decode("ascii"))
            texts.append(b"")
        elif region.start() > 0:
            # The place only: what stands there may be a secret.
            line = source.count(b"\n", 0, region.start()) + 1
            logger.warning("dashboard.php: left out the server-side code at line %d, it is not a version stamp", line)
    texts[-1] += source[position:]
    return Dashboard(tuple(texts), tuple(assets))


def _without_code(body: bytes) -> bytes:
    """Cuts the page where an opening tag is left: removing regions may have joined one together."""
    left = _OPENING_TAG.search(body)
    if left is None:
        return body
    logger.error("dashboard.php: cut off after %d bytes, an opening tag was left", left.start())
    return body[: left.start()]
