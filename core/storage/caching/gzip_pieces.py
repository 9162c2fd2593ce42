"""Gzip put together of pieces that were compressed each by itself, and can be kept so (RFC 1951, RFC 1952)."""

import zlib
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
# an empty block that is the last one
_END = b"\x03\x00"
_POLYNOMIAL = 0xEDB88320
_ONE = 1 << 31


class Piece(NamedTuple):
    """Whole blocks of deflate that refer to nothing before them, and what they hold by checksum and length."""

    deflated: bytes
    crc: int
    length: int


def piece(content: bytes, level: int = 6) -> Piece:
    packer = zlib.compressobj(level, zlib.DEFLATED, -zlib.MAX_WBITS)
    deflated = packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)
    return Piece(deflated, zlib.crc32(content), len(content))


def joined(pieces: Iterable[Piece]) -> bytes:
    """The gzip of all that the pieces hold, one after the other."""
    crc = length = 0
    deflated = [_HEAD]
    for part in pieces:
        deflated.append(part.deflated)
        crc = _followed(crc, part.length) ^ part.crc
        length += part.length
    return b"".join([*deflated, _END, crc.to_bytes(4, "little"), (length & 0xFFFFFFFF).to_bytes(4, "little")])


def _followed(crc: int, length: int) -> int:
    """What a checksum becomes when so many bytes follow, but for those bytes' own."""
    product = 0
    for multiple, bit in zip(_multiples(length), f"{crc:032b}", strict=True):
        if bit == "1":
            product ^= multiple
    return product


@lru_cache(1024)
def _multiples(length: int) -> tuple[int, ...]:
    """The power of x by which a checksum is multiplied when so many bytes follow, times one, x, x squared, …"""
    power, square = _ONE, 1 << 23  # x to the eighth: one byte
    while length:
        if length & 1:
            power = _times(square, power)
        square = _times(square, square)
        length >>= 1
    multiples = [power]
    while len(multiples) < 32:
        multiples.append(_by_x(multiples[-1]))
    return tuple(multiples)


def _times(a: int, b: int) -> int:
    """The product of two polynomials modulo that of CRC-32, the highest bit being the lowest power."""
    product, bit = 0, _ONE
    while bit:
        if a & bit:
            product ^= b
        bit >>= 1
        b = _by_x(b)
    return product


def _by_x(a: int) -> int:
    return (a >> 1) ^ _POLYNOMIAL if a & 1 else a >> 1
