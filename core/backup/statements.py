"""The statements of a dump: which we understand, and what they say. Anything else refuses the whole file.

Nothing is executed. What comes of a file is what its statements say (:mod:`core.backup.statement_meanings`), in order.
Source: contract chapter 70, ``import_database.php``, and contract README, "imports of dumps".
"""

from collections.abc import Iterator
from typing import BinaryIO

from core.backup.statement_meanings import Counted, PassedOver, Rows, Statement, TableMade, ZoneSet
from core.backup.tokens import FOREIGN, Kind, Token, Tokens, Value

# more columns than any table has
_COLUMNS = 1000
_NAME_CHARACTERS = 64
# between CREATE and what is created, of what is passed over
_PRECEDING = frozenset(
    "OR REPLACE ALGORITHM UNDEFINED MERGE TEMPTABLE DEFINER CURRENT_USER SQL SECURITY INVOKER".split()  # noqa: SIM905
)
_NO_COLUMNS = ("PRIMARY", "UNIQUE", "KEY", "INDEX", "CONSTRAINT", "FULLTEXT", "SPATIAL", "FOREIGN", "CHECK", "PERIOD")
_ALTERATIONS = ("ADD", "MODIFY", "AUTO_INCREMENT", "DISABLE", "ENABLE")
_PASSED_OVER = ("VIEW", "TRIGGER")


class Script:
    """A dump while it is read. ``tokens`` tells how far, and what its comments say of it."""

    def __init__(self, file: BinaryIO) -> None:
        self.tokens = Tokens(file)
        self._delimiter = ";"
        self._database: str | None = None
        self._readers = {
            "INSERT": self._insert,
            "REPLACE": self._insert,
            "CREATE": self._create,
            "DROP": self._drop,
            "ALTER": self._alter,
            "SET": self._set,
            "USE": self._use,
            "LOCK": self._lock,
            "UNLOCK": self._lock,
            "START": self._transaction,
            "BEGIN": self._transaction,
            "COMMIT": self._transaction,
            "DELIMITER": self._set_delimiter,
        }

    def statements(self) -> Iterator[Statement]:
        """Raises Unreadable."""
        while True:
            if self._delimiter != ";":
                yield from self._in_other_delimiter()
                continue
            if self.tokens.tool_message():
                yield PassedOver("a message of the dump program")
                continue
            token = self.tokens.take()
            if token.kind is Kind.END:
                return
            if token.is_sign(";"):
                continue
            reader = self._readers.get(token.text.upper()) if token.kind is Kind.WORD else None
            if reader is None:
                raise self.tokens.fault(FOREIGN)
            yield from reader()

    # rows

    def _insert(self) -> Iterator[Statement]:
        while self.tokens.peek().is_word("IGNORE", "LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "INTO"):
            self.tokens.take()
        table = self._table()
        columns: tuple[str, ...] | None = None
        token = self.tokens.take()
        if token.is_sign("("):
            columns = tuple(self._names())
            token = self.tokens.take()
        if not token.is_word("VALUES", "VALUE"):
            raise self.tokens.fault(FOREIGN)
        yield Rows(table, columns, self._rows())

    def _names(self) -> Iterator[str]:
        """Up to the closing bracket."""
        for _ in range(_COLUMNS):
            yield self._name()
            token = self.tokens.take()
            if token.is_sign(")"):
                return
            if not token.is_sign(","):
                break
        raise self.tokens.fault("a list of columns that cannot be read")

    def _rows(self) -> Iterator[list[Value]]:
        while True:
            self._expect("(")
            yield self._row()
            token = self.tokens.take()
            if token.is_sign(";"):
                return
            if token.kind is Kind.END:
                raise self.tokens.fault("the file ends in the middle of a statement")
            if not token.is_sign(","):
                raise self.tokens.fault(FOREIGN)

    def _row(self) -> list[Value]:
        row: list[Value] = []
        plain_value = self.tokens.plain_value
        while len(row) < _COLUMNS:
            value, sign = plain_value() or self._any_value()
            row.append(value)
            if sign == ")":
                return row
        raise self.tokens.fault("a row has too many values")

    def _any_value(self) -> tuple[Value, str]:
        value = self._literal()
        token = self.tokens.take()
        if token.kind is Kind.END:
            raise self.tokens.fault("the file ends in the middle of a statement")
        if not token.is_sign(",") and not token.is_sign(")"):
            raise self.tokens.fault("a value that is no plain one")
        return value, token.text

    def _literal(self) -> Value:
        token = self.tokens.take()
        if token.kind in (Kind.TEXT, Kind.NUMBER):
            return token.text
        if token.kind is Kind.BYTES:
            return token.content
        if token.is_sign("-") or token.is_sign("+"):
            number = self.tokens.take()
            if number.kind is Kind.NUMBER:
                return ("-" if token.text == "-" else "") + number.text
        elif token.is_word("NULL", "TRUE", "FALSE"):
            return {"NULL": None, "TRUE": "1", "FALSE": "0"}[token.text.upper()]
        elif token.kind is Kind.WORD and token.text.startswith("_"):
            return self._introduced(token.text[1:].lower())
        if token.kind is Kind.END:
            raise self.tokens.fault("the file ends in the middle of a statement")
        raise self.tokens.fault("a value that is no plain one")

    def _introduced(self, charset: str) -> Value:
        """A literal after ``_utf8mb4`` and the like, which says what its bytes mean; a text is in the file's UTF-8."""
        token = self.tokens.take()
        if token.kind is Kind.TEXT:
            return token.text
        if token.kind is not Kind.BYTES:
            raise self.tokens.fault("a value that is no plain one")
        if charset == "latin1":
            return token.content.decode("cp1252", errors="replace")
        return token.content

    # structure

    def _create(self) -> Iterator[Statement]:
        if self.tokens.peek().is_word("TABLE"):
            self.tokens.take()
            yield from self._table_made()
        elif self.tokens.peek().is_word("DATABASE", "SCHEMA"):
            # made by --databases; which one is ours is not the file's to say
            self._pass_on()
        else:
            while _may_precede(token := self.tokens.take()):
                pass
            if not token.is_word(*_PASSED_OVER):
                raise self.tokens.fault(FOREIGN)
            self._skip_words("IF", "NOT", "EXISTS")
            yield PassedOver(f"{token.text.lower()} {self._shown(self._table())}")
            self._pass_on()

    def _table_made(self) -> Iterator[Statement]:
        self._skip_words("IF", "NOT", "EXISTS")
        name = self._table()
        self._expect("(")
        columns: dict[str, str] = {}
        while True:
            first = self.tokens.take()
            if first.kind in (Kind.NAME, Kind.TEXT) or (first.kind is Kind.WORD and not first.is_word(*_NO_COLUMNS)):
                columns[first.text] = self.tokens.peek().text.lower()
            elif first.kind is not Kind.WORD:
                raise self.tokens.fault("a table that cannot be read")
            if self._to_end_of_part(",)") == ")":
                break
            if len(columns) > _COLUMNS:
                raise self.tokens.fault("a table has too many columns")
        yield TableMade(name, columns)
        yield from self._options(name)

    def _options(self, table: str) -> Iterator[Statement]:
        """What stands behind the columns of CREATE TABLE; it may not be a SELECT."""
        while not (token := self.tokens.take()).is_sign(";"):
            if token.kind is Kind.END:
                raise self.tokens.fault("the file ends in the middle of a statement")
            if token.is_word("SELECT", "AS", "LIKE"):
                raise self.tokens.fault(FOREIGN)
            if token.is_word("AUTO_INCREMENT"):
                yield from self._next_id(table)

    def _next_id(self, table: str) -> Iterator[Statement]:
        if self.tokens.peek().is_sign("="):
            self.tokens.take()
        if self.tokens.peek().kind is Kind.NUMBER:
            yield Counted(table, self.tokens.take().text)

    def _to_end_of_part(self, ends: str) -> str:
        """Past one column or key of a table, or one alteration; the sign that ends it."""
        depth = 0
        while True:
            token = self.tokens.take()
            if depth == 0 and token.kind is Kind.SIGN and token.text in ends:
                return token.text
            if token.kind is Kind.END or token.is_sign(";"):
                raise self.tokens.fault("the file ends in the middle of a statement")
            depth += token.is_sign("(") - token.is_sign(")")

    def _drop(self) -> Iterator[Statement]:
        token = self.tokens.take()
        if not token.is_word("TABLE", *_PASSED_OVER):
            raise self.tokens.fault(FOREIGN)
        self._pass_on()
        yield from ()

    def _alter(self) -> Iterator[Statement]:
        if not self.tokens.take().is_word("TABLE"):
            raise self.tokens.fault(FOREIGN)
        table = self._table()
        while True:
            token = self.tokens.take()
            if not token.is_word(*_ALTERATIONS):
                raise self.tokens.fault(FOREIGN)
            if token.is_word("AUTO_INCREMENT"):
                yield from self._next_id(table)
            if self._to_end_of_part(",;") == ";":
                return

    # what surrounds them

    def _set(self) -> Iterator[Statement]:
        tokens: list[Token] = []
        while not (token := self.tokens.take()).is_sign(";"):
            if token.kind is Kind.END:
                raise self.tokens.fault("the file ends in the middle of a statement")
            if len(tokens) > _COLUMNS:
                raise self.tokens.fault(FOREIGN)
            if "NO_BACKSLASH_ESCAPES" in token.text.upper():
                raise self.tokens.fault("this dump was made in a mode in which backslashes mean nothing")
            tokens.append(token)
        for name, sign, value in zip(tokens, tokens[1:], tokens[2:], strict=False):
            if _is_time_zone(name) and sign.is_sign("="):
                yield ZoneSet(value.text if value.kind is Kind.TEXT else None)

    def _use(self) -> Iterator[Statement]:
        name = self._name()
        if self._database not in (None, name):
            raise self.tokens.fault("the file holds several databases")
        self._database = name
        self._pass_on()
        yield from ()

    def _lock(self) -> Iterator[Statement]:
        if not self.tokens.take().is_word("TABLES", "TABLE"):
            raise self.tokens.fault(FOREIGN)
        self._pass_on()
        yield from ()

    def _transaction(self) -> Iterator[Statement]:
        self._skip_words("TRANSACTION", "WORK")
        self._expect(";")
        yield from ()

    def _set_delimiter(self) -> Iterator[Statement]:
        self._delimiter = self.tokens.rest_of_line()
        if not 0 < len(self._delimiter) <= _NAME_CHARACTERS:
            raise self.tokens.fault("a delimiter that cannot be read")
        yield from ()

    def _in_other_delimiter(self) -> Iterator[Statement]:
        """One statement of a block that DELIMITER began: a trigger, which is passed over, or the block's end."""
        content = self.tokens.until(self._delimiter)
        first = next(content, None)
        if first is None:
            return
        if first.is_word("DELIMITER"):
            yield from self._set_delimiter()
            return
        if first.is_word("CREATE"):
            kind = next((token for token in content if not _may_precede(token)), first)
            if not kind.is_word("TRIGGER"):
                raise self.tokens.fault(FOREIGN)
            name = next((token.text for token in content if not token.is_word("IF", "NOT", "EXISTS")), "")
            yield PassedOver(f"trigger {self._shown(name)}")
        elif not first.is_word("SET", "DROP"):
            raise self.tokens.fault(FOREIGN)
        for _ in content:
            pass

    # helpers

    def _table(self) -> str:
        """The name of a table, without that of its database."""
        name = self._name()
        while self.tokens.peek().is_sign("."):
            self.tokens.take()
            name = self._name()
        return name

    def _name(self) -> str:
        token = self.tokens.take()
        # quoted by double quotes in dumps for other databases
        if token.kind not in (Kind.NAME, Kind.WORD, Kind.TEXT) or not 0 < len(token.text) <= _NAME_CHARACTERS:
            raise self.tokens.fault("a name that cannot be read")
        return token.text

    def _expect(self, sign: str) -> None:
        token = self.tokens.take()
        if token.kind is Kind.END:
            raise self.tokens.fault("the file ends in the middle of a statement")
        if not token.is_sign(sign):
            raise self.tokens.fault(FOREIGN)

    def _skip_words(self, *words: str) -> None:
        while self.tokens.peek().is_word(*words):
            self.tokens.take()

    def _pass_on(self) -> None:
        """To the end of the statement, of which nothing matters."""
        while not (token := self.tokens.take()).is_sign(";"):
            if token.kind is Kind.END:
                raise self.tokens.fault("the file ends in the middle of a statement")

    @staticmethod
    def _shown(name: str) -> str:
        return "".join(character for character in name[:_NAME_CHARACTERS] if character.isprintable())


def _may_precede(token: Token) -> bool:
    quoted = token.kind in (Kind.NAME, Kind.TEXT)
    return quoted or token.is_word(*_PRECEDING) or (token.kind is Kind.SIGN and token.text in "=@()")


def _is_time_zone(token: Token) -> bool:
    name = token.text.lower().removeprefix("@@").removeprefix("session.").removeprefix("global.")
    return token.kind is Kind.WORD and name == "time_zone"
