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
from compat.multipart import HELD_BYTES, BadParameters
from compat.parameters import Limits, read_parameters


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
        ("[x]=1", {"_x]": "1"}),
        ("n=%D8%B9%D9%84%DB%8C&p=%2B98", {"n": "علی", "p": "+98"}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_names_and_nesting(query: str, values: dict[str, Any]) -> None:
    assert _read(query, method="GET").values == values
    assert _read(body=query.encode(), kind="application/x-www-form-urlencoded").values == values


def test_names_of_nothing_are_left_out() -> None:
    assert _read("=1&&", method="GET").values == {}


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
    with pytest.raises(BadParameters, match="The request body cannot be read: "):
        _read("q=1", body, "application/json")


def test_an_empty_json_body_is_empty() -> None:
    assert _read(body=b" ", kind="application/json").values == {}


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"a=1", "text/plain"),
        (b"<account><username>a</username></account>", "application/xml"),
        (b"<account id='1'/>", "application/x-www-form-urlencoded"),
        (b"[1]", "application/x-www-form-urlencoded"),
        (b"&&", "application/x-www-form-urlencoded"),
        (b"hello", ""),
        (b"hello", "multipart/form-data; boundary=sep"),
        (b"a=1", "multipart/form-data"),
    ],
)
def test_a_body_that_yields_no_field_is_refused(body: bytes, kind: str) -> None:
    with pytest.raises(BadParameters, match=r"^The request body cannot be read$"):
        _read("q=1", body, kind)


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
    with pytest.raises(BadParameters):
        _read(body=body, kind="application/json")


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


SEP = "multipart/form-data; boundary=sep"
FIRST = b'--sep\r\nContent-Disposition: form-data; name="a"\r\n\r\n1'


@pytest.mark.parametrize(
    "end", [b"", b"\r", b"\r\n", b"\r\n-", b"\r\n--se", b"\r\n--sep", b"\r\n--sep-", b"\r\n--sep--", b"\r\n--sep\r\n"]
)
def test_multipart_without_its_last_boundary_is_read_as_php_reads_it(end: bytes) -> None:
    assert _read(body=FIRST + end, kind=SEP).values == {"a": "1"}


def test_a_part_without_disposition_is_passed_over() -> None:
    part = b"\r\n--sep\r\nX-Other: y\r\n\r\nContent-Disposition: none"
    assert _read(body=FIRST + part + b"\r\n--sep--\r\n", kind=SEP).values == {"a": "1"}
    assert _read(body=FIRST + part, kind=SEP).values == {"a": "1"}


def test_multipart_without_parts_is_empty() -> None:
    assert _read("q=1", b"--sep--\r\n", SEP).values == {"q": "1"}


def test_a_file_that_is_cut_short_is_refused_and_a_whole_one_before_a_missing_end_is_read() -> None:
    file = b'--sep\r\ncontent-disposition: form-data; name="f"; filename="x.png"\r\n\r\nPNG'
    with pytest.raises(BadParameters, match="not complete"):
        _read(body=file, kind=SEP)
    found = _read(body=file + b"\r\n" + FIRST, kind=SEP)
    assert (found.values, found.files["f"].filename) == ({"a": "1"}, "x.png")


def test_a_body_too_large_to_be_held_must_be_whole() -> None:
    large = FIRST + b"\r\n" + FIRST.replace(b'"a"', b'"f"; filename="x"') + b"x" * HELD_BYTES
    assert list(_read(body=large + b"\r\n--sep--\r\n", kind=SEP, file_bytes=2 * HELD_BYTES).files) == ["f"]
    with pytest.raises(BadParameters):
        _read(body=large, kind=SEP, file_bytes=2 * HELD_BYTES)


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


@pytest.mark.parametrize("value", [5, "5", " 5", "5\n", 5.0, "+5", "۵", "٥", "\u200f۵\u200e"])
def test_whole_numbers(value: object) -> None:
    assert _Form.read({"number": value}).number == 5


@pytest.mark.parametrize("value", ["abc", "5.5", 5.5, [], {}, "1e3", True, False, "²", 2**63, "9" * 30, float("inf")])
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


@pytest.mark.parametrize(("value", "text"), [(" a \t\x0b", "a"), (12, "12"), (1.5, "1.5"), (2**62, str(2**62))])
def test_text(value: object, text: str) -> None:
    assert _Form.read({"text": value}).text == text


def test_raw_text_keeps_its_blanks() -> None:
    assert _Form.read({"raw": " a "}).raw == " a "


def test_a_list_is_no_text_and_the_sentence_names_the_field_but_not_the_value() -> None:
    with pytest.raises(BadField) as caught:
        _Form.read({"text": ["secret"]})
    assert caught.value.text == "Invalid value for text: expected text, not a list"
