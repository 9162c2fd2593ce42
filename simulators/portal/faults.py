"""Answers of a broken or misconfigured portal in place of the true one, without its effect unless ``effect``."""

from simulators.faults import Answer
from simulators.portal import routing
from simulators.wire import Response


def unauthorized(*, effect: bool = False) -> Answer:
    """401, as under a PHP that never sees the credentials."""
    return Answer(routing.unauthorized("Stalker API"), effect)


def server_error(*, effect: bool = False) -> Answer:
    """500 with a page of HTML."""
    page = b"<html><head><title>500 Internal Server Error</title></head><body><h1>Oops</h1></body></html>"
    return Answer(Response(page, 500), effect)


def redirect(location: str, *, effect: bool = False) -> Answer:
    """302 to ``location``."""
    return Answer(Response(b"<html><body>302 Found</body></html>", 302, headers={"Location": location}), effect)


def empty_body(*, effect: bool = False) -> Answer:
    """200 and nothing, as PHP gives for invalid UTF-8 or after a fatal error."""
    return Answer(Response(b"", content_type="application/json"), effect)


def not_json(
    text: str = "<br />\n<b>Fatal error</b>: Maximum execution time exceeded", *, effect: bool = False
) -> Answer:
    """200 with a text that is not JSON."""
    return Answer(Response(text.encode()), effect)


def error(text: str, *, effect: bool = False) -> Answer:
    """The portal's ERROR envelope with ``text``."""
    return Answer(routing.refusal(text), effect)


def nothing_done(*, effect: bool = False) -> Answer:
    """OK with ``results`` false."""
    return Answer(routing.ok(False), effect)


def without_results(*, effect: bool = False) -> Answer:
    """OK without ``results``."""
    return Answer(Response(b'{"status":"OK"}', content_type="application/json"), effect)
