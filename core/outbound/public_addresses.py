"""Which IP addresses are of the public internet: what this server may call on behalf of somebody who named a host.

An address is judged by where a packet to it may end: forms that carry an IPv4 address in an IPv6 one (mapped, NAT64)
by what they carry, and the forms of tunnels (6to4, Teredo) never, as no service is reached through them. Source:
contract chapter 70, "SSRF"; the IANA registries of special-purpose addresses.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# all that has been given out of IPv6's global unicast space
_UNICAST = IPv6Network("2000::/3")
# carries an IPv4 address in its last four bytes (RFC 6052)
_NAT64 = IPv6Network("64:ff9b::/96")
_TUNNELS_AND_EXAMPLES = (
    # Teredo, benchmarks, ORCHID and other protocols
    IPv6Network("2001::/23"),
    IPv6Network("2001:db8::/32"),
    # 6to4
    IPv6Network("2002::/16"),
    IPv6Network("3fff::/20"),
)
# relays of 6to4
_RELAYS = IPv4Network("192.88.99.0/24")


def is_public(address: str) -> bool:
    """Whether ``address``, as a resolver gives it, is one of the public internet; what is no address is not."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        carried = found.ipv4_mapped or (IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else None)
        if carried is None:
            return _is_public_six(found)
        found = carried
    return found.is_global and not found.is_multicast and found not in _RELAYS


def _is_public_six(address: IPv6Address) -> bool:
    return (
        address in _UNICAST and address.is_global and not any(address in network for network in _TUNNELS_AND_EXAMPLES)
    )
