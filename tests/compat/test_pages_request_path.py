"""Which spellings of a path are plain; unlike over HTTP, no list of files hides what this part lets through."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compat.pages.request_path import requested_path


@pytest.mark.parametrize(
    "path", ["/", "/a", "/a/b.png", "/a.b/c~d", "/BYekan+.ttf", "/a b", "/é".encode().decode("latin-1")]
)
def test_plain(path: str) -> None:
    assert requested_path({"PATH_INFO": path}) == path.encode("latin-1").decode()


@pytest.mark.parametrize(
    "path",
    ["//", "/a/", "//a", "/a//b", "/.", "/..", "/a/../b", "/.git", "/a/.b", "/a.", "/a./b", "/a ", "/a /b", "/...",
     "/a%62", "/%", "/a\\b", "/a:b",
     "/a\0", "/a\nb", "/a\x7f", "/\xff", "/\xc0\xae", "/\xc2\x85", "/\xed\xa0\x80", "a", "*"],
)  # fmt: skip
def test_not_plain(path: str) -> None:
    assert requested_path({"PATH_INFO": path}) is None


@pytest.mark.parametrize(
    ("target", "path"),
    [
        ("/a?b=//../", "/a"),
        ("/a#//", "/a"),
        ("http://host:80/a", "/a"),
        ("HTTPS://host/a?b", "/a"),
        ("http://host", "/"),
        ("http://host?x", "/"),
        ("//a", None),
        ("http://host//a", None),
        ("/%2e", None),
        ("/a%2Fb", None),
        ("/a%5cb", None),
        ("/a%252fb", None),
        ("/a\tb", None),
        ("a", None),
        ("*", None),
    ],
)
def test_request_target_is_held_to_the_same_rules(target: str, path: str | None) -> None:
    decoded = path or "/a"
    assert requested_path({"PATH_INFO": decoded, "REQUEST_URI": target}) == path
    assert requested_path({"PATH_INFO": decoded, "RAW_URI": target}) == path


def test_empty_path_is_the_root() -> None:
    assert requested_path({"PATH_INFO": ""}) == "/"
    assert requested_path({}) == "/"


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_bytes_give_a_plain_path_or_nothing(path: bytes, target: bytes) -> None:
    found = requested_path({"PATH_INFO": path.decode("latin-1"), "REQUEST_URI": target.decode("latin-1")})
    if found is not None:
        assert found.startswith("/")
        assert ".." not in found.split("/")
        assert not set(found) & set("\\%:\0")
