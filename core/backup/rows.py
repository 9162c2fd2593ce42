"""The rows of an INSERT, one at a time: values that stand there as literals, and nothing that had to be computed.

Source: contract chapter 70, import step 3.
"""

from collections.abc import Iterator

from core.backup.tokens import FOREIGN, Kind, Tokens, Value

# more columns than any table has
MOST_COLUMNS = 1000
_COMPUTED = "a value that is no plain one"


def read_rows(tokens: Tokens) -> Iterator[list[Value]]:
    """From behind VALUES to the end of the statement. Raises Unreadable."""
    while True:
        tokens.expect("(")
        yield _row(tokens)
        token = tokens.take()
        if token.is_sign(";"):
            return
        if token.kind is Kind.END:
            raise tokens.cut_off()
        if not token.is_sign(","):
            raise tokens.fault(FOREIGN)


def _row(tokens: Tokens) -> list[Value]:
    row: list[Value] = []
    plain_value = tokens.plain_value
    while len(row) < MOST_COLUMNS:
        value, sign = plain_value() or _any_value(tokens)
        row.append(value)
        if sign == ")":
            return row
    raise tokens.fault("a row has too many values")


def _any_value(tokens: Tokens) -> tuple[Value, str]:
    value = _literal(tokens)
    token = tokens.take()
    if token.kind is Kind.END:
        raise tokens.cut_off()
    if not token.is_sign(",") and not token.is_sign(")"):
        raise tokens.fault(_COMPUTED)
    return value, token.text


def _literal(tokens: Tokens) -> Value:
    token = tokens.take()
    if token.kind in (Kind.TEXT, Kind.NUMBER):
        return token.text
    if token.kind is Kind.BYTES:
        return token.content
    if token.is_sign("-") or token.is_sign("+"):
        number = tokens.take()
        if number.kind is Kind.NUMBER:
            return ("-" if token.text == "-" else "") + number.text
    elif token.is_word("NULL", "TRUE", "FALSE"):
        return {"NULL": None, "TRUE": "1", "FALSE": "0"}[token.text.upper()]
    elif token.kind is Kind.WORD and token.text.startswith("_"):
        return _introduced(tokens, token.text[1:].lower())
    if token.kind is Kind.END:
        raise tokens.cut_off()
    raise tokens.fault(_COMPUTED)


def _introduced(tokens: Tokens, charset: str) -> Value:
    """A literal after ``_utf8mb4`` and the like, which says what its bytes mean; a text is in the file's UTF-8."""
    token = tokens.take()
    if token.kind is Kind.TEXT:
        return token.text
    if token.kind is not Kind.BYTES:
        raise tokens.fault(_COMPUTED)
    if charset == "latin1":
        return token.content.decode("cp1252", errors="replace")
    return token.content
