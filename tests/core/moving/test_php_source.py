"""PHP scripts read as data: what they set is found, nothing is executed, and nothing makes the reading fail."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.moving.php_source import UNKNOWN, read_script


def _variable(source: str) -> Any:
    return read_script(f"<?php $x = {source};").variables["x"]


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("'it''s'", "it"),
        (r"'p\'a\\b\n'", r"p'a\b\n"),
        (r'"a\"b\\\$c\n\x41\u{e9}\101"', 'a"b\\$c\nAéA'),
        ("'a' . 'b' . 3", "ab3"),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("-5", -5),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("['a' => 'b', 'c' => ['d']]", {"a": "b", "c": {"0": "d"}}),
        ("array('a' => 1, 2)", {"a": 1, "1": 2}),
        ("getenv('HOST') ?: 'fallback'", "fallback"),
        ("$_ENV['HOST'] ?? 'fallback'", "fallback"),
        ("rtrim('http://x/', '/') . '/api/'", "http://x/api/"),
        ("(string) 5 . 'x'", "5x"),
        ("trim('  ')", "  "),
        ("true ? 'a' : 'b'", "a"),
        ("<<<'END'\n  $a\n  b\n  END", "$a\nb"),
        ("<<<END\na\\tb\nEND", "a\tb"),
        ("$_POST['x']", UNKNOWN),
        ("'a' . time()", f"a{UNKNOWN}"),
    ],
)
def test_values(source: str, value: Any) -> None:
    assert _variable(source) == value


def test_names_are_followed() -> None:
    read = read_script(
        """<html><?php // comment $no = 1;
        # $no = 2;
        /* $no = 3; */
        define('HOST', 'http://p'); const BASE = HOST . '/api/', ON = true;
        if (!defined('HOST')) { define('HOST', 'other'); }
        $db['host'] = "h1"; $db['port'] = 3306;
        class K { const Q = 'q'; private ?string $secret = 'zz'; function get() { return $this->secret; } }
        $all = "$db[host]:{$db['port']} ${db} " . K::Q . \\App\\BASE;
        function connect($db = 'no', $given = ['x' => 'y']) { $link = new PDO("mysql:host={$db['host']}", 'u', $all); }
        ?> $no = 4; <?= HOST ?>"""
    )
    assert read.constants == {"HOST": "http://p", "BASE": "http://p/api/", "ON": True, "Q": "q"}
    assert read.variables["all"] == f"h1:3306 {UNKNOWN} qhttp://p/api/"
    assert read.variables["secret"] == "zz"
    assert "no" not in read.variables
    assert ("pdo", ["mysql:host=h1", "u", read.variables["all"]]) in read.calls


def test_what_is_known_is_not_forgotten_for_what_is_not() -> None:
    assert read_script("<?php $x = 'known'; $x = $_POST['x'];").variables["x"] == "known"


def test_nothing_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    read_script(f"<?php system('touch {mark}'); `touch {mark}`; file_put_contents('{mark}', 'x'); eval('touch'); exit;")
    assert not mark.exists()


@given(st.text(alphabet="<?php $'\"\\{}[]()=>.;,:!-@&a1\n#/*") | st.text())
def test_no_text_makes_it_fail(source: str) -> None:
    read_script(f"<?php {source}")
    read_script(source)


def test_nesting_without_end_does_not_make_it_fail() -> None:
    for opening in ("[", "(", "!", "f(", '"{$a[', "$a["):
        read_script("<?php $x = " + opening * 20_000)
