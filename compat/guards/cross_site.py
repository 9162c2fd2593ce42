"""Refuses requests that another site made a browser send; curl and scripts, which say nothing of sites, pass.

Source: contract chapter 00, "Cross-site requests", and its README, "state-changing GETs" and "navigations through the
service worker".
"""

from compat.client import ClientResolver, Environ

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# a service worker that repeats a navigation makes a request of its own page of it; the pages' calls have mode cors
_PAGE_MODES = frozenset({"navigate", "same-origin"})
_PAGE_DESTINATIONS = frozenset({"document", "iframe", "frame", "embed", "object", "fencedframe"})

_PURPOSES = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")
_PART_TYPES = ("image/", "text/css")


def is_refused(environ: Environ, clients: ClientResolver, *, navigable: bool) -> bool:
    """Whether a request that can change something must be refused.

    ``navigable``: the endpoint may be opened in the address bar or by a link (logout), also from elsewhere.
    """
    is_safe = environ["REQUEST_METHOD"] in SAFE_METHODS
    if is_navigation(environ) and not (navigable and not is_safe):
        return not navigable
    if _is_prefetch(environ) or (is_safe and not navigable and _is_part_of_a_page(environ)):
        return True
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in ("same-origin", "none")
    from_where = environ.get("HTTP_ORIGIN")
    if from_where is None:
        # an empty one is sent by scripts that name no page
        from_where = environ.get("HTTP_REFERER") or None
    return from_where is not None and not clients.is_same_origin(str(from_where), environ)


def _is_prefetch(environ: Environ) -> bool:
    """Whether a browser asks before anybody wanted it."""
    said = " ".join(str(environ.get(name, "")) for name in _PURPOSES).lower()
    return any(word in said for word in ("prefetch", "prerender", "preview"))


def is_navigation(environ: Environ) -> bool:
    """Whether this asks for a page to be shown: from the address bar, a link or a form, whosever they are.

    Browsers say so to sites with TLS only (``Sec-Fetch-*``); to the others it shows by what they accept.
    """
    return (
        _header(environ, "SEC_FETCH_MODE") in _PAGE_MODES
        or _header(environ, "SEC_FETCH_DEST") in _PAGE_DESTINATIONS
        or "HTTP_UPGRADE_INSECURE_REQUESTS" in environ
        or "text/html" in _header(environ, "ACCEPT")
    )


def _is_part_of_a_page(environ: Environ) -> bool:
    """Whether a page shows or runs the answer as an image, a style or a script, none of which a call of ours is."""
    return _header(environ, "SEC_FETCH_MODE") == "no-cors" or _header(environ, "ACCEPT").startswith(_PART_TYPES)


def _header(environ: Environ, name: str) -> str:
    return str(environ.get(f"HTTP_{name}") or "").strip().lower()
