import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compat.sessions.codec import JsonSerializer, php_handler
from compat.sessions.php_values import Foreign, Unreadable
from compat.sessions.session import Changes

LOGIN = (
    b'login|i:1;username|s:5:"admin";user_id|i:1;super_user|i:1;'
    b'permissions|s:13:"1|1|1|1|1|1|1";last_activity|i:1732547600;'
)
SIX_KEYS = {
    "login": 1,
    "username": "admin",
    "user_id": 1,
    "super_user": 1,
    "permissions": "1|1|1|1|1|1|1",
    "last_activity": 1732547600,
}
NAMES = ["php", "php_serialize"]

texts = st.binary(max_size=30).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | texts
# PHP knows neither an empty dict nor a key "5"; see test_php_array_keys
keys = st.integers(-(2**63), 2**63 - 1) | texts.filter(lambda text: not text.lstrip("-").isdecimal())
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, min_size=1, max_size=4).filter(lambda d: list(d) != list(range(len(d))))
    ),
    max_leaves=12,
)
names = texts.filter(lambda text: "|" not in text and not text.lstrip("-").isdecimal())


def exact(value: Any) -> str:
    return repr(value)


def test_login_is_written_as_php_writes_it() -> None:
    assert php_handler("php").encode(SIX_KEYS) == LOGIN
    assert php_handler("php").decode(LOGIN) == SIX_KEYS


def test_php_serialize_is_one_array() -> None:
    handler = php_handler("php_serialize")
    raw = b'a:2:{s:5:"login";i:1;s:8:"username";s:5:"admin";}'
    assert handler.encode({"login": 1, "username": "admin"}) == raw
    assert handler.decode(raw) == {"login": 1, "username": "admin"}
    assert handler.encode({}) == b"a:0:{}"


@pytest.mark.parametrize("name", NAMES)
def test_no_bytes_are_an_empty_session(name: str) -> None:
    assert php_handler(name).decode(b"") == {}


@pytest.mark.parametrize(
    ("value", "raw"),
    [
        (None, b"N;"),
        (True, b"b:1;"),
        (False, b"b:0;"),
        (-1, b"i:-1;"),
        (0.5, b"d:0.5;"),
        (1.0, b"d:1;"),
        (1e25, b"d:1.0E+25;"),
        (math.inf, b"d:INF;"),
        (-math.inf, b"d:-INF;"),
        (math.nan, b"d:NAN;"),
        ('é;"|', b's:5:"\xc3\xa9;"|";'),
        ("\udcff", b's:1:"\xff";'),
        ([], b"a:0:{}"),
        (["a|b"], b'a:1:{i:0;s:3:"a|b";}'),
        ({"k": [1]}, b'a:1:{s:1:"k";a:1:{i:0;i:1;}}'),
        ({7: 1}, b"a:1:{i:7;i:1;}"),
    ],
)
@pytest.mark.parametrize("name", NAMES)
def test_each_type(name: str, value: Any, raw: bytes) -> None:
    handler = php_handler(name)
    assert raw in handler.encode({"x": value})
    assert exact(handler.decode(handler.encode({"x": value}))["x"]) == exact(value)


def test_php_array_keys() -> None:
    handler = php_handler("php")
    assert handler.encode({"x": {"5": 1, "05": 2, "-0": 3, "": 4}}) == (
        b'x|a:4:{i:5;i:1;s:2:"05";i:2;s:2:"-0";i:3;s:0:"";i:4;}'
    )
    assert handler.decode(b"x|a:2:{i:1;i:5;i:0;i:6;}") == {"x": {1: 5, 0: 6}}
    assert handler.encode({"x": {}}) == b"x|a:0:{}"


@pytest.mark.parametrize(
    "raw",
    [
        b"login|garbage",
        b"login",
        b"login|",
        b"login|i:1;x",
        b"login|i:1",
        b'x|s:6:"admin";',
        b'x|s:4:"admin";',
        b'x|s:-1:"admin";',
        b'x|s:99999999999999999999999999:"a";',
        b"x|a:1:{b:1;i:1;}",
        b"x|a:1:{a:0:{}i:1;}",
        b"x|a:99999999999:{i:0;i:1;}",
        b'x|O:7:"stdClass":0:{}',
        b'x|O:8:"stdClass":1:{}',
        b'x|C:1:"A":3:{ab}',
        b'x|E:8:"Kind:Open";',
        b"x|R:x;",
        b"x|" + b"a:1:{i:0;" * 5000,
    ],
)
def test_unreadable(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        php_handler("php").decode(raw)


@pytest.mark.parametrize(
    "raw", [b"i:1;", b"a:1:{}", b"a:0:{}x", b'a:1:{s:1:"x";i:1;', b"a:1:{N;i:1;}", LOGIN, b"a:x:{}"]
)
def test_unreadable_php_serialize(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        php_handler("php_serialize").decode(raw)


@pytest.mark.parametrize(
    "value", [b"bytes", object(), {1, 2}, 2**63, -(2**63) - 1, "\ud800", {None: 1}, {1.5: 1}, [object()]]
)
def test_what_php_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        php_handler("php").encode({"x": value})


def test_a_bar_in_a_key_is_refused_by_php_only() -> None:
    with pytest.raises(ValueError, match="contains"):
        php_handler("php").encode({"a|b": 1})
    handler = php_handler("php_serialize")
    assert handler.decode(handler.encode({"a|b": 1})) == {"a|b": 1}


def test_unknown_handler() -> None:
    with pytest.raises(ValueError, match="igbinary"):
        php_handler("igbinary")


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=50)
@given(data=st.dictionaries(names, values, max_size=5))
def test_round_trip(name: str, data: dict[str, Any]) -> None:
    handler = php_handler(name)
    raw = handler.encode(data)
    assert exact(handler.decode(raw)) == exact(data)
    assert handler.merge(raw, Changes({}, ())) == raw


@pytest.mark.parametrize("name", NAMES)
@given(raw=st.binary(max_size=60) | st.text('ailogsNOd:;{}"|0123456789-', max_size=60).map(str.encode))
def test_arbitrary_bytes_raise_nothing_but_unreadable(name: str, raw: bytes) -> None:
    handler = php_handler(name)
    try:
        handler.decode(raw)
    except Unreadable:
        return
    assert handler.decode(handler.merge(raw, Changes({"new": 1}, ())))["new"] == 1


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=50)
@given(data=st.dictionaries(names, values, max_size=5), noise=st.binary(max_size=3), at=st.integers(0, 200))
def test_damaged_sessions_raise_nothing_but_unreadable(name: str, data: dict[str, Any], noise: bytes, at: int) -> None:
    raw = php_handler(name).encode(data)
    damaged = raw[:at] + noise + raw[at + 1 :]
    try:
        php_handler(name).decode(damaged)
    except Unreadable:
        return


def test_merge_keeps_the_bytes_and_the_order_of_all_else() -> None:
    # spellings that we would not choose ourselves
    raw = b'a|d:0.50;x|a:1:{i:0;s:3:"a|b";}last|i:1;b|d:1.0E+3;'
    merged = php_handler("php").merge(raw, Changes({"last": 2, "new": None}, ("b",)))
    assert merged == b'a|d:0.50;x|a:1:{i:0;s:3:"a|b";}last|i:2;new|N;'


def test_merge_of_php_serialize_counts_again() -> None:
    raw = b'a:2:{s:1:"a";d:0.50;i:5;b:1;}'
    merged = php_handler("php_serialize").merge(raw, Changes({"new": "é"}, ("missing",)))
    assert merged == b'a:3:{s:1:"a";d:0.50;i:5;b:1;s:3:"new";s:2:"\xc3\xa9";}'


@pytest.mark.parametrize("raw", [b"", b"{", b"[1]", b"1", b"null", b"\x80\x04}\x94.", b'{"a":"\xff"}'])
def test_json_unreadable(raw: bytes) -> None:
    with pytest.raises(Unreadable):
        JsonSerializer().decode(raw)


@given(raw=st.binary(max_size=60))
def test_json_raises_nothing_but_unreadable(raw: bytes) -> None:
    try:
        JsonSerializer().decode(raw)
    except Unreadable:
        return


@pytest.mark.parametrize("value", [b"bytes", object(), "\udcff", {1: 2}, {1}])
def test_what_json_cannot_hold_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        JsonSerializer().encode({"x": value})


# what only PHP can read

FOREIGN = [
    b'O:8:"stdClass":1:{s:4:"name";a:1:{i:0;s:3:"a|b";}}',
    b'O:4:"Cart":2:{s:8:"\x00Cart\x00id";i:7;s:5:"items";a:2:{i:0;N;i:1;d:0.5;}}',
    b'C:11:"ArrayObject":21:{x:i:0;a:0:{};m:a:0:{}}',
    b'E:11:"Suit:Hearts";',
    b'a:2:{s:4:"user";O:8:"stdClass":0:{}i:3;a:1:{i:0;a:1:{i:0;b:1;}}}',
    b"a:1:{i:0;" * 3000 + b"i:1;" + b"}" * 3000,
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("foreign", FOREIGN, ids=range(len(FOREIGN)))
def test_objects_and_what_else_we_cannot_read_stay_byte_for_byte(name: str, foreign: bytes) -> None:
    handler = php_handler(name)
    key = b's:4:"cart";' if name == "php_serialize" else b"cart|"
    raw = handler.encode(SIX_KEYS)
    raw = raw.replace(b"a:6:{", b"a:7:{" + key + foreign) if name == "php_serialize" else key + foreign + raw
    read = handler.decode(raw)
    assert isinstance(read.pop("cart"), Foreign)
    assert read == SIX_KEYS
    assert handler.merge(raw, Changes({}, ())) == raw
    changed = handler.merge(raw, Changes({"last_activity": 1732547601, "sbx_idle": 1}, {"permissions"}))
    assert key + foreign in changed
    assert {k: v for k, v in handler.decode(changed).items() if k != "cart"} == {
        **{k: v for k, v in SIX_KEYS.items() if k != "permissions"},
        "last_activity": 1732547601,
        "sbx_idle": 1,
    }
    # under a new id everything is written anew
    assert handler.encode(handler.decode(raw)) == raw


@pytest.mark.parametrize(
    ("before", "changes", "after"),
    [
        ("a|i:1;b|i:2;c|R:2;", Changes({"a": 5}, ()), "a|i:5;b|i:2;c|R:2;"),
        ("a|i:1;b|i:2;c|R:2;", Changes({}, {"a"}), "b|i:2;c|R:1;"),
        ("a|i:1;b|i:2;c|R:2;", Changes({"a": [7, 8]}, ()), "a|a:2:{i:0;i:7;i:1;i:8;}b|i:2;c|R:4;"),
        ("a|i:1;b|i:2;c|R:2;", Changes({"b": 5}, ()), "a|i:1;b|i:5;c|R:2;"),
        ('a|i:1;o|O:1:"A":1:{s:1:"x";r:2;}p|r:2;', Changes({}, {"a"}), 'o|O:1:"A":1:{s:1:"x";r:1;}p|r:1;'),
    ],
)
def test_references_follow_what_they_refer_to(before: str, changes: Changes, after: str) -> None:
    """PHP numbers the values of a whole session through."""
    handler = php_handler("php")
    assert handler.merge(before.encode(), changes) == after.encode()


def test_a_reference_to_what_goes_away_leaves_the_session_as_it_is() -> None:
    with pytest.raises(Unreadable):
        php_handler("php").merge(b"a|i:1;c|R:1;", Changes({}, {"a"}))
