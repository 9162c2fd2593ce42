"""What is read of the text of a dump, wherever the file is cut into pieces; and what refuses it."""

import io
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.backup import tokens
from core.backup.statement_meanings import Counted, PassedOver, Rows, TableMade, ZoneSet
from core.backup.statements import Script
from core.backup.tokens import Unreadable


def _read(text: str | bytes) -> list[Any]:
    return list(_events(text))


def _events(text: str | bytes) -> Iterator[Any]:
    file = io.BytesIO(text.encode() if isinstance(text, str) else text)
    for statement in Script(file).statements():
        if isinstance(statement, Rows):
            yield (statement.table, statement.columns, [tuple(row) for row in statement.rows])
        else:
            yield statement


def _values(literals: str) -> tuple[Any, ...]:
    [(_, _, [row])] = _read(f"INSERT INTO t VALUES ({literals});")
    return tuple(row)


LITERALS = {
    "1": "1",
    " -12 ": "-12",
    "- 12": "-12",
    "+3": "3",
    "1.50": "1.50",
    ".5": ".5",
    "1e3": "1e3",
    "-1.5E-3": "-1.5E-3",
    "NULL": None,
    "null": None,
    "TRUE": "1",
    "false": "0",
    "''": "",
    "'it''s'": "it's",
    r"'it\'s'": "it's",
    r"'\0\b\n\r\t\Z\\\'\"'": "\0\b\n\r\t\x1a\\'\"",
    r"'50\% \_x \q'": r"50\% \_x q",
    "'a\"\"b'": 'a""b',
    '"a""b\'\'c"': "a\"b''c",
    "'a;b -- c /* d */ # e &amp;'": "a;b -- c /* d */ # e &amp;",
    "'two\nlines'": "two\nlines",
    "'علی 🎬'": "علی 🎬",
    "_utf8mb4'x'": "x",
    "_utf8mb4 'x'": "x",
    "_binary 'x'": "x",
    "_latin1 X'E9'": "é",
    "0x4142": b"AB",
    "X'4142'": b"AB",
    "x''": b"",
    "_binary 0x00ff": b"\x00\xff",
    "b'101'": b"\x05",
    "0b11": b"\x03",
    "/* c */ 1 -- d\n": "1",
    "/*!50000 7 */": "7",
}


@pytest.mark.parametrize("literal", LITERALS)
def test_a_literal(literal: str) -> None:
    assert _values(literal) == (LITERALS[literal],)
    assert _values(f"1,{literal},'z'") == ("1", LITERALS[literal], "z")


DUMP = """\ufeff/*M!999999\\- enable the sandbox mode */ \r
-- MariaDB dump 10.19\r
--
# another
/*!40101 SET NAMES utf8mb4 */;
/*!40103 SET @OLD_TIME_ZONE=@@TIME_ZONE */;
/*!40103 SET TIME_ZONE='+00:00' */;
SET @@SESSION.SQL_LOG_BIN= 0;
SET @@GLOBAL.GTID_PURGED=/*!80000 '+'*/ '';
mysqldump: [Warning] Using a password on the command line interface can be insecure.
/usr/bin/mysqldump: Deprecated program name. It will be removed, use '/usr/bin/mariadb-dump' instead
CREATE DATABASE /*!32312 IF NOT EXISTS*/ `panel` /*!40100 DEFAULT CHARACTER SET utf8mb4 */;
USE `panel`;
DROP TABLE IF EXISTS `t`;
CREATE TABLE `t` (
  `id` int(11) NOT NULL AUTO_INCREMENT COMMENT 'a, (b) ; c',
  `when` timestamp NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  `kind` enum('a','b') COLLATE utf8mb4_0900_ai_ci DEFAULT 'a',
  PRIMARY KEY (`id`),
  UNIQUE KEY `k` (`kind`(3),`when`),
  CONSTRAINT `f` FOREIGN KEY (`id`) REFERENCES `u` (`id`) ON DELETE CASCADE
) ENGINE=InnoDB AUTO_INCREMENT=42 DEFAULT CHARSET=utf8mb4 /*!50100 PARTITION BY HASH (`id`) */;
LOCK TABLES `t` WRITE;
/*!40000 ALTER TABLE `t` DISABLE KEYS */;
set autocommit=0;
INSERT INTO `t` VALUES (1,'x','y'),
(2,NULL,'it\\'s');
INSERT IGNORE INTO panel.t (`id`, kind) VALUES (3,'z');
REPLACE INTO "t" ("id") VALUES (4) , ( 5 ) ;
/*!40000 ALTER TABLE `t` ENABLE KEYS */;
UNLOCK TABLES;
commit;
ALTER TABLE `t` ADD PRIMARY KEY (`id`), ADD KEY `k` (`kind`);
ALTER TABLE `t` MODIFY `id` int(11) NOT NULL AUTO_INCREMENT, AUTO_INCREMENT=43;
/*!50003 SET @saved_cs_client      = @@character_set_client */ ;
DELIMITER ;;
/*!50003 CREATE*/ /*!50017 DEFINER=`root`@`localhost`*/ /*!50003 TRIGGER `trg` BEFORE INSERT ON `t` FOR EACH ROW BEGIN
 DELETE FROM x; SET NEW.id = ';;'; END */;;
DELIMITER ;
DELIMITER $$
CREATE TRIGGER trg2 AFTER INSERT ON t FOR EACH ROW BEGIN UPDATE x SET a = 1; END$$
DELIMITER ;
/*!50001 CREATE ALGORITHM=UNDEFINED */
/*!50013 DEFINER=`root`@`localhost` SQL SECURITY DEFINER */
/*!50001 VIEW `seen` AS select 1 AS `1` */;
/*!50001 DROP VIEW IF EXISTS `seen`*/;
START TRANSACTION;
;
/*!40103 SET TIME_ZONE=@OLD_TIME_ZONE */;
-- Dump completed on 2026-11-22 10:30:00
"""
READ = [
    ZoneSet("+00:00"),
    PassedOver("a message of the dump program"),
    PassedOver("a message of the dump program"),
    TableMade("t", {"id": "int", "when": "timestamp", "kind": "enum"}),
    Counted("t", "42"),
    ("t", None, [("1", "x", "y"), ("2", None, "it's")]),
    ("t", ("id", "kind"), [("3", "z")]),
    ("t", ("id",), [("4",), ("5",)]),
    Counted("t", "43"),
    PassedOver("trigger trg"),
    PassedOver("trigger trg2"),
    PassedOver("view seen"),
    ZoneSet(None),
]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1000, 1_000_000])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_everything_that_dumps_hold(monkeypatch: pytest.MonkeyPatch, chunk: int, ends: str) -> None:
    monkeypatch.setattr(tokens, "CHUNK_BYTES", chunk)
    assert _read(DUMP.replace("\r\n", "\n").replace("\n", ends)) == READ


@given(
    rows=st.lists(
        st.lists(st.one_of(st.none(), st.integers(), st.text()), min_size=1, max_size=4), min_size=1, max_size=9
    ),
    chunk=st.integers(1, 40),
)
def test_any_text_comes_through_any_cut(rows: list[list[Any]], chunk: int) -> None:
    from core.backup.values import quoted

    def literal(value: Any) -> str:
        return str(value) if isinstance(value, int) else quoted(value)

    usable = [[value for value in row if not isinstance(value, str) or _is_unicode(value)] or [None] for row in rows]
    text = "INSERT INTO t VALUES " + ",\n".join(f"({','.join(map(literal, row))})" for row in usable) + ";"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "CHUNK_BYTES", chunk)
        [(_, _, read)] = _read(text)
    assert read == [tuple(str(value) if isinstance(value, int) else value for value in row) for row in usable]


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


REFUSED = {
    "DELETE FROM t;": 1,
    "\n\nUPDATE t SET a = 1;": 3,
    "SELECT 1;": 1,
    "GRANT ALL ON *.* TO x;": 1,
    "CREATE USER x;": 1,
    "CREATE OR REPLACE PROCEDURE p() SELECT 1;": 1,
    "CREATE DEFINER=`a`@`b` FUNCTION f() RETURNS int RETURN 1;": 1,
    "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM t;": 1,
    "CREATE TEMPORARY TABLE t (a int);": 1,
    "CREATE TABLE t (a int) SELECT * FROM u;": 1,
    "CREATE TABLE t LIKE u;": 1,
    "CREATE TABLE t SELECT 1;": 1,
    "DROP DATABASE panel;": 1,
    "DROP USER x;": 1,
    "ALTER TABLE t DROP COLUMN a;": 1,
    "ALTER TABLE t ADD a int, RENAME TO u;": 1,
    "ALTER USER x IDENTIFIED BY 'y';": 1,
    "TRUNCATE t;": 1,
    "CALL p();": 1,
    "DELIMITER ;;\nCREATE PROCEDURE p() BEGIN END;;\nDELIMITER ;": 2,
    "DELIMITER ;;\nDELETE FROM t;;\nDELIMITER ;": 2,
    "DELIMITER\n": 1,
    "\\! ls": 1,
    "INSERT INTO t VALUES (1);\n\\! ls": 2,
    "INSERT INTO t VALUES (1) \\g": 1,
    "system ls": 1,
    "source x.sql": 1,
    "INSERT INTO t VALUES (NOW());": 1,
    "INSERT INTO t VALUES (1+1);": 1,
    "INSERT INTO t VALUES ((SELECT 1));": 1,
    "INSERT INTO t VALUES (@x);": 1,
    "INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 2;": 1,
    "INSERT INTO t SET a = 1;": 1,
    "INSERT INTO t SELECT 1;": 1,
    "USE a;\nUSE b;": 2,
    "SET SQL_MODE='NO_BACKSLASH_ESCAPES';": 1,
    "COMMIT AND CHAIN;": 1,
    "'x';": 1,
    "/* never ends": 1,
    "/*!50000 INSERT INTO t VALUES (1);": 1,
    "INSERT INTO t VALUES (1)": 1,
    "INSERT INTO t VALUES (1,'never ends);": 1,
    "INSERT INTO t VALUES (1,\n'a',": 2,
    "CREATE TABLE t (a int,": 1,
    "*/;": 1,
}


@pytest.mark.parametrize("text", REFUSED)
@pytest.mark.parametrize("chunk", [1, 100])
def test_what_refuses_the_whole_file(monkeypatch: pytest.MonkeyPatch, text: str, chunk: int) -> None:
    monkeypatch.setattr(tokens, "CHUNK_BYTES", chunk)
    with pytest.raises(Unreadable) as caught:
        _read(text)
    assert caught.value.text.startswith(f"Line {REFUSED[text]}: ")
    assert caught.value.text.endswith("; nothing was changed")


@pytest.mark.parametrize("content", [b"INSERT INTO t VALUES ('\xff');", b"\xff\xfeI\x00N\x00", b"SET x = '\xc3"])
def test_what_is_not_utf8(content: bytes) -> None:
    with pytest.raises(Unreadable, match="not UTF-8"):
        _read(content)


@pytest.mark.parametrize(
    "text", ["INSERT INTO t VALUES ('{}');", "INSERT INTO t VALUES (X'{}", "CREATE TABLE `{}` (a int);", "{}"]
)
def test_a_line_without_end_takes_no_memory(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(tokens, "LONGEST_CHARACTERS", 100_000)
    with pytest.raises(Unreadable, match="too long"):
        _read(text.replace("{}", "A" * 1_000_000))


def test_long_comments_and_statements_are_passed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tokens, "LONGEST_CHARACTERS", 5_000)
    monkeypatch.setattr(tokens, "CHUNK_BYTES", 1_000)
    rows = ",".join(f"({number},'x')" for number in range(5_000))
    text = f"-- {'c' * 50_000}\n/* {'d' * 50_000} */ INSERT INTO t VALUES {rows};"
    [(_, _, read)] = _read(text)
    assert read == [(str(number), "x") for number in range(5_000)]
