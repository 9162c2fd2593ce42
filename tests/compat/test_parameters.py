"""Reading of parameters as PHP does: names, precedence, JSON in disguise, limits, bad text (contract chapter 00)."""

from contextlib import closing
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from compat.fields import BadField, Flag, Integer, RawText, RequestModel, Text
from compat.parameters import BadParameters, Limits, read_parameters


def _read(query: str = "", body: bytes = b"", kind: str | None = None, method: str = "POST", **limits: int) -> Any:
    environ = EnvironBuilder("/x.php", method=method, input_stream=BytesIO(body)).get_environ()
    environ |= {"QUERY_STRING": query, "CONTENT_LENGTH": str(len(body)), "CONTENT_TYPE": kind or ""}
    with closing(Request(environ)) as request:
        return read_parameters(request, Limits(**limits))


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("a=1&a=2", {"a": "2"}),
        ("b[]=x&b[]=y", {"b": ["x", "y"]}),
        ("c[k]=v&c[l]=w", {"c": {"k": "v", "l": "w"}}),
        ("d.e=1&f g=2&h+i=3", {"d_e": "1", "f_g": "2", "h_i": "3"}),
        ("flag", {"flag": ""}),
        ("flag&x=", {"flag": "", "x": ""}),
        ("a=1&a[]=2", {"a": ["2"]}),
        ("a[]=1&a=2", {"a": "2"}),
        ("a[1]=x&a[]=y", {"a": {"1": "x", "2": "y"}}),
        ("a[0][b]=x&a[0][c]=y", {"a": [{"b": "x", "c": "y"}]}),
        ("a[b=1", {"a_b": "1"}),
        ("a[b.c]=1", {"a": {"b.c": "1"}}),
        ("%20a=1", {"a": "1"}),
        ("=1&&", {}),
        ("[x]=1", {"_x]": "1"}),
        ("n=%D8%B9%D9%84%DB%8C&p=%2B98", {"n": "علی", "p": "+98"}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_names_and_nesting(query: str, values: dict[str, Any]) -> None:
    assert _read(query, method="GET").values == values
    assert _read(body=query.encode(), kind="application/x-www-form-urlencoded").values == values


def test_the_body_wins_over_the_query_string() -> None:
    assert _read("a=q&b=q", b"a=f", "application/x-www-form-urlencoded").values == {"a": "f", "b": "q"}
    assert _read("a=q&b=q", b'{"a":1}', "application/json").values == {"a": 1, "b": "q"}


@pytest.mark.parametrize(
    "kind",
    ["application/json", "application/json; charset=utf-8", "", "text/plain", "application/x-www-form-urlencoded"],
)
def test_json_is_recognised_under_what_curl_sends(kind: str) -> None:
    body = b'\xef\xbb\xbf \n{"a":"x=1&y","n":null,"l":[1]}'
    assert _read(body=body, kind=kind).values == {"a": "x=1&y", "n": None, "l": [1]}


def test_json_of_put_and_delete_is_read() -> None:
    assert _read(body=b'{"a":1}', kind="application/json", method="DELETE").values == {"a": 1}


@pytest.mark.parametrize("body", [b"{broken", b"[1]", b"5", b'"x"', b'{"a":"\xff"}', b'{"a":"\\ud800"}'])
def test_what_is_no_json_object_is_a_fault_of_the_body(body: bytes) -> None:
    result = _read("q=1", body, "application/json")
    assert result.body_fault
    assert result.values == {"q": "1"}


def test_an_empty_json_body_is_empty() -> None:
    assert _read(body=b" ", kind="application/json").body_fault is None


def test_plain_text_fills_nothing() -> None:
    assert _read(body=b"a=1", kind="text/plain").values == {}


@pytest.mark.parametrize("query", ["a=%FF", "%FF=a", "a=%00", "a%00=1"])
def test_bad_text_is_refused(query: str) -> None:
    with pytest.raises(BadParameters):
        _read(query, method="GET")
    with pytest.raises(BadParameters):
        _read(body=query.encode(), kind="application/x-www-form-urlencoded")


@pytest.mark.parametrize("body", [b'{"a":"\\u0000"}', b'{"a":{"b":["\\u0000"]}}', b'{"\\u0000":1}'])
def test_nul_in_json_is_refused(body: bytes) -> None:
    with pytest.raises(BadParameters, match="NUL"):
        _read(body=body, kind="application/json")


def test_deeply_nested_json_is_read_or_refused_but_never_a_fault() -> None:
    body = b'{"a":' + b"[" * 1000 + b'"\\u0000"' + b"]" * 1000 + b"}"
    with pytest.raises(BadParameters):
        _read(body=body, kind="application/json")
    body = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert _read(body=body, kind="application/json").body_fault


def test_too_many_fields_and_too_deep_names() -> None:
    with pytest.raises(RequestEntityTooLarge):
        _read("&".join(f"a{n}=1" for n in range(11)), fields=10, method="GET")
    with pytest.raises(BadParameters):
        _read("a" + "[x]" * 100 + "=1", method="GET")


def _multipart(parts: list[tuple[str, bytes]]) -> tuple[bytes, str]:
    body = b"".join(
        b'--sep\r\nContent-Disposition: form-data; name="' + name.encode() + b'"\r\n\r\n' + value + b"\r\n"
        for name, value in parts
    )
    return body + b"--sep--\r\n", "multipart/form-data; boundary=sep"


def test_multipart_follows_the_same_naming_rules() -> None:
    body, kind = _multipart([("a.b", b"1"), ("l[]", b"x"), ("l[]", "علی".encode()), ("e", b"")])
    assert _read("a_b=q", body, kind).values == {"a_b": "1", "l": ["x", "علی"], "e": ""}


@pytest.mark.parametrize("value", [b"\xff", b"a\0b"])
def test_bad_text_in_multipart_is_refused(value: bytes) -> None:
    body, kind = _multipart([("a", value)])
    with pytest.raises(BadParameters):
        _read(body=body, kind=kind)


def test_a_file_has_its_own_limit() -> None:
    body = (
        b'--sep\r\nContent-Disposition: form-data; name="f"; filename="x.png"\r\n'
        b"Content-Type: image/png\r\n\r\n" + b"x" * 2000 + b"\r\n--sep--\r\n"
    )
    kind = "multipart/form-data; boundary=sep"
    assert list(_read(body=body, kind=kind, file_bytes=2000).files) == ["f"]
    with pytest.raises(RequestEntityTooLarge):
        _read(body=body, kind=kind, file_bytes=1999)


KINDS = ["", "application/json", "application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=sep"]


@given(st.text(max_size=50), st.binary(max_size=200), st.sampled_from(KINDS))
def test_no_request_makes_the_reader_fail(query: str, body: bytes, kind: str) -> None:
    try:
        values = _read(query.encode().decode("latin-1"), body, kind).values
    except (BadParameters, RequestEntityTooLarge):
        return
    assert all(isinstance(name, str) for name in values)


# typed fields


class _Form(RequestModel):
    number: Integer = -1
    flag: Flag = False
    text: Text = ""
    raw: RawText = ""


@pytest.mark.parametrize("value", [5, "5", " 5", "5\n", 5.0, "+5"])
def test_whole_numbers(value: object) -> None:
    assert _Form.read({"number": value}).number == 5


@pytest.mark.parametrize("value", ["abc", "5.5", 5.5, [], {}, "1e3", "٥", 2**63, "9" * 30, float("inf")])
def test_no_whole_numbers(value: object) -> None:
    with pytest.raises(BadField, match="number"):
        _Form.read({"number": value})


@pytest.mark.parametrize("value", [None, ""])
def test_null_and_empty_are_absent(value: object) -> None:
    assert _Form.read({"number": value}).number == -1


@pytest.mark.parametrize(
    ("value", "flag"),
    [(True, True), ("true", True), (1, True), ("1", True), ("on", True), ("0", False), (False, False)],
)
def test_flags(value: object, flag: bool) -> None:
    assert _Form.read({"flag": value}).flag is flag


@pytest.mark.parametrize("value", ["maybe", 2, []])
def test_no_flags(value: object) -> None:
    with pytest.raises(BadField, match="flag"):
        _Form.read({"flag": value})


@pytest.mark.parametrize(
    ("value", "text"), [(" a \t\x0b", "a"), (12, "12"), (True, "1"), (1.5, "1.5"), (2**62, str(2**62)), (False, "")]
)
def test_text(value: object, text: str) -> None:
    assert _Form.read({"text": value}).text == text


def test_raw_text_keeps_its_blanks() -> None:
    assert _Form.read({"raw": " a "}).raw == " a "


def test_a_list_is_no_text_and_the_sentence_names_the_field_but_not_the_value() -> None:
    with pytest.raises(BadField) as caught:
        _Form.read({"text": ["secret"]})
    assert caught.value.text == "Invalid value for text: expected text"
