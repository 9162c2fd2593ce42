"""The static host: which files of a frontend directory the world may see, and the responses with them.

The directory is usually an existing panel with its configuration, dumps and logs, so everything that
is not on the list does not exist (contract chapter 10, sections 6 to 8). Sessions, redirects and
routes are the caller's.
"""

import logging
import os
import re
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import BinaryIO

from werkzeug.wrappers import Request, Response

from compat.pages.complete_pages import BrokenPage
from compat.pages.dashboard import Dashboard, compile_dashboard
from compat.pages.delivery import (
    DEFAULT_CONTENT_SECURITY_POLICY,
    RENDERED_PAGE,
    Content,
    Delivery,
    media_of,
)
from compat.pages.files import Tree, version_of
from compat.pages.request_path import requested_path

log = logging.getLogger(__name__)

_ALLOWED = re.compile(
    r"""
      index\.html | dashboard\.(?:html|css|js) | service-worker\.js | manifest\.json
    | [a-z0-9-]+-functions\.js
    | icons/[^/]+\.png | icons/icon\.svg
    | favicon\.(?:png|ico) | favicon-(?:16x16|32x32)\.png | video-play-icon-20\.png
    | assets/(?:icons|images|fonts)/[^/]+\.(?:png|svg|jpg|webp|ico|ttf|woff2?)
    | screenshots/[^/]+\.png
    """,
    re.VERBOSE,
)
# What stands in for a name that the directory lacks.
_STAND_INS = {"favicon.ico": "favicon.png"}
_COUNTERPARTS = {"/dashboard.php": "/dashboard.html", "/dashboard.html": "/dashboard.php"}
_WELCOME_PATHS = ("/", "/index.html")
_WELCOME = Path(__file__).with_name("welcome.html")


class Frontend:
    """One frontend directory as the browser sees it.

    ``root``: the directory, or None when no frontend is configured (then only our welcome page exists);
    NotADirectoryError when it is none. ``hsts`` and ``content_security_policy`` as in ``Delivery``.
    Safe to share between threads.
    """

    def __init__(
        self,
        root: Path | None,
        *,
        hsts: bool = True,
        content_security_policy: str = DEFAULT_CONTENT_SECURITY_POLICY,
    ) -> None:
        self._tree = None if root is None else Tree(root)
        self._delivery = Delivery(hsts=hsts, content_security_policy=content_security_policy)
        self._compiled: tuple[object, Dashboard] | None = None
        self._reported: set[tuple[str, str]] = set()

    def file(self, request: Request) -> Response | None:
        """The answer to a GET or HEAD of a listed path; None when there is no such file for the world."""
        path = requested_path(request.environ) if request.method in ("GET", "HEAD") else None
        if path is None:
            return None
        if self._tree is None:
            return self.welcome(request) if path in _WELCOME_PATHS else None
        name = "index.html" if path == "/" else path[1:]
        if not _ALLOWED.fullmatch(name):
            return None
        for candidate in filter(None, (name, _STAND_INS.get(name))):
            opened = self._tree.open(candidate)
            if opened is not None:
                return self._deliver_file(request, candidate, opened)
        return None

    def dashboard(self, request: Request) -> Response | None:
        """``dashboard.php`` rendered, for a caller that may see it; None when the directory has none."""
        opened = None if self._tree is None else self._tree.open("dashboard.php")
        if self._tree is None or opened is None:
            return None
        try:
            with opened:
                version = version_of(os.fstat(opened.fileno()))
                page = self._compile(version, opened)
            stamps = tuple(map(self._tree.modified, page.assets))
            content = Content(RENDERED_PAGE, ("dashboard.php", version, stamps), partial(page.render, stamps))
            return self._delivery.respond(request, content)
        except BrokenPage as error:
            return self._refuse(request, "dashboard.php", error)

    @property
    def has_dashboard(self) -> bool:
        """Whether the directory has a ``dashboard.php``."""
        return self._exists("/dashboard.php")

    def counterpart(self, path: str) -> str | None:
        """Where to send a request for the dashboard of the other generation (6.4); None: nowhere.

        ``/dashboard.php`` and ``/dashboard.html`` lead to each other where only the other one exists.
        """
        other = _COUNTERPARTS.get(path)
        if other is None or self._exists(path) or not self._exists(other):
            return None
        return other

    def welcome(self, request: Request) -> Response:
        """Our own page, which tells how to connect a frontend."""
        return self._deliver_file(request, _WELCOME.name, _WELCOME.open("rb"))

    def _exists(self, path: str) -> bool:
        return self._tree is not None and self._tree.modified(path[1:]) is not None

    def _deliver_file(self, request: Request, name: str, opened: BinaryIO) -> Response:
        with opened:
            info = os.fstat(opened.fileno())
            content = Content(
                media=media_of(name),
                version=version_of(info),
                read=opened.read,
                etag=f"{info.st_mtime_ns:x}-{info.st_size:x}",
                modified=datetime.fromtimestamp(int(info.st_mtime), UTC),
            )
            try:
                return self._delivery.respond(request, content)
            except BrokenPage as error:
                return self._refuse(request, name, error)

    def _refuse(self, request: Request, name: str, broken: BrokenPage) -> Response:
        fault = (name, str(broken))
        if fault not in self._reported:
            self._reported.add(fault)
            log.error("%s of the frontend cannot be shown: %s", name, broken)
        return self._delivery.refuse(request, broken)

    def _compile(self, version: object, opened: BinaryIO) -> Dashboard:
        """The compiled page, kept until its version changes."""
        kept = self._compiled
        if kept is not None and kept[0] == version:
            return kept[1]
        page = compile_dashboard(opened.read())
        self._compiled = (version, page)
        return page
