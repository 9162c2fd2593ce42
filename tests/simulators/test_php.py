"""How PHP reads forms and writes JSON."""

import pytest

from simulators.php import PhpValue, encode_json, parse_form, scalar, to_int


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        (b"", {}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a;b=1", {"a;b": "1"}),
        (b"flag&=x&a=b=c", {"flag": "", "a": "b=c"}),
        (b"d.e=1& f g=2", {"d_e": "1", "f_g": "2"}),
        (b"a=x+y%2B%26%zz", {"a": "x y+&%zz"}),
        (b"x[]=1&x[]=2", {"x": ["1", "2"]}),
        (b"c[k]=1&c[l][]=2&c[3]=x", {"c": {"k": "1", "l": ["2"], "3": "x"}}),
        (b"x=1&x[]=2", {"x": ["2"]}),
        (b"x[=1&[y]=2", {"x_": "1"}),
        (b'{"msg":"Hi"}', {'{"msg":"Hi"}': ""}),
        (b"a=caf%E9", {"a": "caf\udce9"}),
    ],
)
def test_forms(body: bytes, fields: dict[str, PhpValue]) -> None:
    assert parse_form(body) == fields


def test_at_most_a_thousand_variables() -> None:
    body = b"&".join(b"v%d=1" % number for number in range(1200))
    assert len(parse_form(body)) == 1000


def test_lists_as_text() -> None:
    assert scalar({"a": ["1"]}, "a") == "Array"
    assert scalar({}, "a", "none") == "none"


@pytest.mark.parametrize(("text", "number"), [("12", 12), (" 12abc", 12), ("-3", -3), ("x", 0), ("", 0)])
def test_integers(text: str, number: int) -> None:
    assert to_int(text) == number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"a": [1, None, True]}, b'{"a":[1,null,true]}'),
        ("/é😀", b'"\\/\\u00e9\\ud83d\\ude00"'),
        ("\udce9", b""),
        ("\\udce9 as text", b'"\\\\udce9 as text"'),
        ([], b"[]"),
    ],
)
def test_json(value: object, text: bytes) -> None:
    assert encode_json(value) == text
