"""Which addresses count as public, in each form in which a private one may be written."""

import pytest

from core.outbound.public_addresses import is_public

PRIVATE = (
    # loopback, this network, private, link-local with the clouds' metadata, shared, benchmark, documentation
    *("127.0.0.1", "127.255.255.254", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.0.1", "198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.0.0.1"),
    # multicast, reserved, broadcast, relays of 6to4
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "192.88.99.1"),
    # the same in IPv6: unspecified, loopback, unique local, link-local with and without a zone, site-local, multicast
    *("::", "::1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1"),
    # documentation, discard, segment routing
    *("2001:db8::1", "3fff::1", "100::1", "5f00::1"),
    # mapped, compatible, translated
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "::8.8.8.8", "::ffff:0:7f00:1"),
    # NAT64, well-known and local
    *("64:ff9b::127.0.0.1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::e000:1"),
    *("64:ff9b:1::127.0.0.1", "64:ff9b:1::8.8.8.8"),
    # 6to4 and Teredo, whatever they carry
    *("2002:7f00:1::", "2002:a00:1::1", "2002:808:808::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001::1"),
    # no addresses at all
    *("", "localhost", "127.1", "0x7f000001", "2130706433"),
)
PUBLIC = (
    *("8.8.8.8", "1.1.1.1", "17.57.144.1", "172.32.0.1", "100.128.0.1", "192.88.98.1", "223.255.255.254"),
    *("2606:4700:4700::1111", "2a00:1450:4009:80b::200a", "2400:cb00::1", "2001:4860:4860::8888"),
    *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8"),
)


@pytest.mark.parametrize("address", PRIVATE)
def test_private(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public(address: str) -> None:
    assert is_public(address)
