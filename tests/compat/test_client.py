"""The client's address, the public scheme and host: forwarding headers count from trusted proxies only."""

import pytest

from compat.client import ClientResolver
from compat.guards.cross_site import is_refused

PROXIES = ("127.0.0.1", "10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.9", "198.51.100.1", "192.0.2.9"),
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "6.6.6.6, 198.51.100.1, 10.1.2.3", "198.51.100.1"),
        ("127.0.0.1", "10.9.9.9", "10.9.9.9"),
        ("127.0.0.1", "<script>", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1, evil", "127.0.0.1"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("127.0.0.1", "198.51.100.1:51234", "198.51.100.1"),
        ("127.0.0.1", "[2001:db8::1]:51234, ", "2001:db8::1"),
        ("127.0.0.1", '"198.51.100.1:80"', "198.51.100.1"),
        ("127.0.0.1", "'198.51.100.1'", "198.51.100.1"),
        ("127.0.0.1", "198.51.100.1:", "198.51.100.1"),
        ("127.0.0.1", "[2001:db8::1%eth0]:1", "2001:db8::1"),
        ("127.0.0.1", " , ,198.51.100.1,, ", "198.51.100.1"),
        # a spelling that some read as octal is nobody's
        ("127.0.0.1", "198.051.100.001", "127.0.0.1"),
        ("::ffff:127.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd00::1", "::ffff:198.51.100.1", "198.51.100.1"),
    ],
)
def test_address(peer: str, forwarded: str, address: str) -> None:
    environ = {"REMOTE_ADDR": peer, "HTTP_X_FORWARDED_FOR": forwarded}
    assert ClientResolver(PROXIES).address(environ) == address


def test_real_ip_from_a_trusted_proxy_only() -> None:
    clients = ClientResolver(PROXIES)
    assert clients.address({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_REAL_IP": "198.51.100.1"}) == "198.51.100.1"
    assert clients.address({"REMOTE_ADDR": "127.0.0.1", "HTTP_X_REAL_IP": "junk"}) == "127.0.0.1"
    assert clients.address({"REMOTE_ADDR": "192.0.2.9", "HTTP_X_REAL_IP": "198.51.100.1"}) == "192.0.2.9"


def test_without_trusted_proxies_no_header_counts() -> None:
    environ = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "1.2.3.4", "HTTP_X_FORWARDED_PROTO": "https"}
    clients = ClientResolver()
    assert (clients.address(environ), clients.scheme(environ)) == ("127.0.0.1", "http")


SITE = {
    "REMOTE_ADDR": "192.0.2.9",
    "HTTP_HOST": "panel.example.com",
    "REQUEST_METHOD": "POST",
    "wsgi.url_scheme": "https",
}


@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),
        ({"HTTP_SEC_FETCH_SITE": "same-origin"}, False),
        ({"HTTP_SEC_FETCH_SITE": "none"}, False),
        ({"HTTP_SEC_FETCH_SITE": "same-site"}, True),
        ({"HTTP_SEC_FETCH_SITE": "cross-site"}, True),
        ({"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_ORIGIN": "https://evil.example"}, False),
        ({"HTTP_ORIGIN": "https://panel.example.com"}, False),
        ({"HTTP_ORIGIN": "https://panel.example.com:443"}, False),
        ({"HTTP_ORIGIN": "https://PANEL.example.com"}, False),
        ({"HTTP_ORIGIN": "https://panel.example.com.evil.example"}, True),
        ({"HTTP_ORIGIN": "https://panel.example.com:8443"}, True),
        ({"HTTP_ORIGIN": "null"}, True),
        ({"HTTP_ORIGIN": ""}, True),
        ({"HTTP_ORIGIN": "https://[broken"}, True),
    ],
)
def test_cross_site_posts(headers: dict[str, str], refused: bool) -> None:
    assert is_refused(SITE | headers, ClientResolver(), navigable=False) is refused


@pytest.mark.parametrize(
    ("site", "mode", "navigable", "refused"),
    [
        ("cross-site", "no-cors", True, True),
        ("cross-site", "navigate", True, False),
        ("cross-site", "navigate", False, True),
        ("none", "navigate", False, True),
        ("same-origin", "navigate", False, True),
        ("same-origin", "cors", False, False),
    ],
)
def test_gets_that_change_something(site: str, mode: str, navigable: bool, refused: bool) -> None:
    headers = {"HTTP_SEC_FETCH_SITE": site, "HTTP_SEC_FETCH_MODE": mode, "REQUEST_METHOD": "GET"}
    assert is_refused(SITE | headers, ClientResolver(), navigable=navigable) is refused


def test_the_public_host_behind_a_trusted_proxy() -> None:
    environ = SITE | {
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1:8000",
        "HTTP_X_FORWARDED_HOST": "panel.example.com",
        "HTTP_X_FORWARDED_PROTO": "https",
        "wsgi.url_scheme": "http",
        "HTTP_ORIGIN": "https://panel.example.com",
    }
    assert not is_refused(environ, ClientResolver(PROXIES), navigable=False)
    assert is_refused(environ, ClientResolver(), navigable=False)
