"""Refuses requests that another site made a browser send; curl and scripts, which say nothing of sites, pass.

Source: contract chapter 00, "Cross-site requests", and its README, "state-changing GETs".
"""

from compat.client import ClientResolver, Environ

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_refused(environ: Environ, clients: ClientResolver, *, navigable: bool) -> bool:
    """Whether a request that can change something must be refused.

    ``navigable``: the endpoint may be opened in the address bar or by a link (logout), also from elsewhere.
    """
    if is_navigation(environ) and environ["REQUEST_METHOD"] in SAFE_METHODS:
        return not navigable
    if _is_prefetch(environ):
        return True
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site is not None:
        return site not in ("same-origin", "none")
    origin = environ.get("HTTP_ORIGIN")
    return origin is not None and not clients.is_same_origin(str(origin), environ)


def _is_prefetch(environ: Environ) -> bool:
    """Whether a browser asks before anybody wanted it."""
    return any("prefetch" in str(environ.get(name, "")).lower() for name in ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE"))


def is_navigation(environ: Environ) -> bool:
    """Whether a browser says that this is a page to be shown: from the address bar, a link, or another site's form."""
    return environ.get("HTTP_SEC_FETCH_MODE") == "navigate"
