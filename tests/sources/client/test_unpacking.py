"""Decompression within a bound."""

import gzip
import zlib

import pytest

from ingest_assets.sources.client.unpacking import Undecodable, unpacking

TEXT = b"a text that repeats itself " * 1000


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("", TEXT),
        ("identity", TEXT),
        ("gzip", gzip.compress(TEXT)),
        (" X-GZIP", gzip.compress(TEXT)),
        ("deflate", zlib.compress(TEXT)),
    ],
)
def test_pieces_add_up(encoding: str, packed: bytes) -> None:
    unpack = unpacking(encoding)
    assert b"".join(unpack(packed[at : at + 10], len(TEXT)) for at in range(0, len(packed), 10)) == TEXT


def test_no_more_than_asked_for_comes_of_a_piece() -> None:
    assert unpacking("gzip")(gzip.compress(TEXT), 100) == TEXT[:100]


def test_what_is_not_packed_as_it_says_is_an_invalid_value() -> None:  # as JSON that is none
    with pytest.raises(Undecodable):
        unpacking("gzip")(b"no gzip", 100)
    assert issubclass(Undecodable, ValueError)
