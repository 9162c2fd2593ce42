"""Requests as scripts send them: built by requests, sent for half of what its sessions cost, of which tests have many.

No redirect is followed, no proxy looked for, and no cookie kept; failures are those of requests.
"""

import gzip
import io
import socket
from collections import OrderedDict
from collections.abc import Mapping
from http.client import HTTPException, HTTPResponse
from typing import Any

import requests
from requests.cookies import extract_cookies_to_jar
from requests.utils import default_headers, get_encoding_from_headers
from urllib3.util.wait import wait_for_read

PATIENCE_SECONDS = 60
_DEFAULTS = dict(default_headers())
_MOST_ADDRESSES = 20
# open connections that wait for their next request, by address; the one used last is the last
_idle: OrderedDict[tuple[str, int], list[socket.socket]] = OrderedDict()


class _Raw(io.BytesIO):
    """The body as it came, and where requests looks for cookies."""

    def __init__(self, body: bytes, response: HTTPResponse) -> None:
        super().__init__(body)
        self._original_response = response


def send(
    method: str, address: tuple[str, int], url: str, headers: Mapping[str, str | None], **content: Any
) -> requests.Response:
    """``content``: as requests takes it (``json``, ``data``, ``files``, ``params``); headers of None are left out."""
    given = {name: value for name, value in {**_DEFAULTS, **headers}.items() if value is not None}
    prepared = requests.Request(method, url, headers=given, **content).prepare()
    try:
        connection = _connection(address)
        try:
            connection.sendall(_message(prepared, address))
            response = HTTPResponse(connection, method=method)
            response.begin()
            body = response.read()
        except BaseException:
            connection.close()
            raise
    except TimeoutError as error:
        raise requests.Timeout(error, request=prepared) from error
    except (OSError, HTTPException) as error:
        raise requests.ConnectionError(error, request=prepared) from error
    if response.will_close:
        connection.close()
    else:
        _keep(address, connection)
    return _answer(prepared, response, body)


def set_cookies(answer: requests.Response) -> list[str]:
    """The lines of ``Set-Cookie``."""
    assert isinstance(answer.raw, _Raw)
    return answer.raw._original_response.headers.get_all("Set-Cookie") or []


def _connection(address: tuple[str, int]) -> socket.socket:
    idle = _idle.get(address, [])
    while idle:
        connection = idle.pop()
        # where something can be read, the other side has closed it
        if not wait_for_read(connection, 0):
            return connection
        connection.close()
    connection = socket.create_connection(address, PATIENCE_SECONDS)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _keep(address: tuple[str, int], connection: socket.socket) -> None:
    _idle.setdefault(address, []).append(connection)
    _idle.move_to_end(address)
    if len(_idle) > _MOST_ADDRESSES:
        for old in _idle.popitem(last=False)[1]:
            old.close()


def _message(prepared: requests.PreparedRequest, address: tuple[str, int]) -> bytes:
    head = [f"{prepared.method} {prepared.path_url} HTTP/1.1"]
    if "Host" not in prepared.headers:
        head.append(f"Host: {address[0]}:{address[1]}")
    head += [f"{name}: {value}" for name, value in prepared.headers.items()]
    body = prepared.body or b""
    return "\r\n".join([*head, "", ""]).encode("latin-1") + (body.encode() if isinstance(body, str) else body)


def _answer(prepared: requests.PreparedRequest, response: HTTPResponse, body: bytes) -> requests.Response:
    answer = requests.Response()
    answer.status_code, answer.reason = response.status, response.reason
    answer.request, answer.url = prepared, prepared.url or ""
    for name, value in response.getheaders():
        # as several lines of one header are read
        answer.headers[name] = f"{answer.headers[name]}, {value}" if name in answer.headers else value
    answer.encoding = get_encoding_from_headers(answer.headers)
    answer.raw = _Raw(body, response)
    answer._content = gzip.decompress(body) if body and answer.headers.get("Content-Encoding") == "gzip" else body
    if "Set-Cookie" in answer.headers:
        extract_cookies_to_jar(answer.cookies, prepared, answer.raw)  # type: ignore[no-untyped-call]
    return answer
