"""The addresses of a portal server: checked, and in one spelling so that two can be compared.

Source: contract chapter 90 §10.2 and chapter 50 (settings, dual-server mode).
"""

from urllib.parse import urlsplit

from core.portal.errors import PortalInvalidInput

_PORTS = {"http": 80, "https": 443}
_API_PATH = "stalker_portal/api/"
# what is pasted with the API's address, after which a path of ours would mean something else
_RESOURCES = frozenset(
    {
        *("accounts", "users", "stb", "stb_msg", "send_event", "stb_modules", "stb_auth", "itv", "itv_subscription"),
        *("account_subscription", "tariffs", "services_package", "reseller"),
    }
)


def api_address(address: str) -> str:
    """``address`` with lower-case scheme and host, without default port, ending in exactly one slash; without the
    name of a resource that was pasted with it.

    Raises PortalInvalidInput for anything but http(s)://HOST[:PORT][/PATH] (no user info, query, fragment).
    """
    if not address.isprintable() or any(character in address for character in " \\?#@"):
        raise PortalInvalidInput("The portal address is not valid")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise PortalInvalidInput("The portal address is not valid") from None
    if parts.scheme not in _PORTS or not parts.hostname or port == 0:
        raise PortalInvalidInput("The portal address must look like http://portal.example.com/")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    shown_port = f":{port}" if port is not None and port != _PORTS[parts.scheme] else ""
    segments = [part for part in parts.path.split("/") if part]
    if "." in segments or ".." in segments:
        raise PortalInvalidInput("The portal address is not valid")
    return "/".join([f"{parts.scheme}://{host}{shown_port}", *_without_resource(segments), ""])


def _without_resource(segments: list[str]) -> list[str]:
    names = [segment.lower() for segment in segments]
    for number in range(1, len(names)):
        if names[number] in _RESOURCES and names[number - 1] in ("api", "v1"):
            return segments[:number]
    return segments


def server_address(address: str) -> str:
    """The scheme, host and port of ``address``, ending in a slash: where the theme script's path begins."""
    return "/".join(api_address(address).split("/")[:3]) + "/"


def default_api_address(address: str) -> str:
    """The API address of the portal server at ``address``, be it that of one of its pages."""
    base = api_address(address)
    server = server_address(base)
    path, _, _ = f"/{base.removeprefix(server)}".partition(f"/{_API_PATH.split('/')[0]}/")
    return f"{server}{path.strip('/')}/{_API_PATH}" if path.strip("/") else f"{server}{_API_PATH}"
