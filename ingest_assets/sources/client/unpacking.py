"""Answers that are decompressed up to a bound, which the HTTP libraries do not know."""

import zlib
from collections.abc import Callable

ENCODINGS = "gzip"  # of which a piece can become a thousand times as long
PACKED = frozenset({"gzip", "x-gzip", "deflate"})
EITHER_HEADER = 32  # zlib's: gzip's or its own


class Undecodable(ValueError):
    """An answer is not compressed as it says."""


def unpacking(encoding: str) -> Callable[[bytes, int], bytes]:
    """Return what decompresses the next piece of an answer, up to a number of bytes. It raises Undecodable."""
    if encoding.strip().lower() not in PACKED:
        return lambda piece, _at_most: piece
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | EITHER_HEADER)

    def unpack(piece: bytes, at_most: int) -> bytes:
        try:
            return unpacker.decompress(piece, at_most)
        except zlib.error as error:
            raise Undecodable(str(error)) from error

    return unpack
