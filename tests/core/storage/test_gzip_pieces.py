"""Pieces that were packed each by itself make one gzip that everybody reads."""

import gzip

from hypothesis import given
from hypothesis import strategies as some

from core.storage.caching.gzip_pieces import joined, piece


@given(some.lists(some.binary(max_size=300).map(lambda content: content * 20), max_size=8), some.integers(1, 9))
def test_what_is_put_together_is_read_as_one(contents: list[bytes], level: int) -> None:
    whole = joined(piece(content, level) for content in contents)
    # its checksum and its length are checked, and nothing may follow
    assert gzip.decompress(whole) == b"".join(contents)


def test_pieces_refer_to_nothing_before_them() -> None:
    one, other = piece(b"one" * 100), piece(b"other" * 100)
    assert gzip.decompress(joined([other, one, other])) == b"other" * 100 + b"one" * 100 + b"other" * 100
