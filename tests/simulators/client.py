"""A bare HTTP client for the simulated portal: raw targets and bodies, nothing tidied up."""

import base64
import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

FORM = "application/x-www-form-urlencoded"
API = "/stalker_portal/api/"
M1, M2, M9 = "00:1A:79:00:00:01", "00:1A:79:00:00:02", "00:1A:79:00:00:99"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def results(self) -> Any:
        assert self.json["status"] == "OK", self.body
        return self.json["results"]

    @property
    def error(self) -> str:
        assert self.status == 200
        assert list(self.json) == ["status", "results", "error"], self.body
        assert (self.json["status"], self.json["results"]) == ("ERROR", None)
        return str(self.json["error"])


def call(
    address: str,
    method: str,
    path: str,
    body: str | bytes | None = None,
    *,
    credentials: str | None = "apiuser:apipass",
    content_type: str = FORM,
    timeout: float = 5,
) -> Answer:
    """One request on a connection of its own; ``path`` is below the API unless it begins with a slash."""
    headers = {"Content-Type": content_type} if body is not None else {}
    if credentials:
        headers["Authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode()
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=timeout)
    try:
        connection.request(method, path if path.startswith("/") else API + path, body, headers)
        response = connection.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())
    finally:
        connection.close()
