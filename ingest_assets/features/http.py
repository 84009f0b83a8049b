"""The SDK's HTTP: no redirect is followed, and no answer is read beyond a bound, whatever it says of itself.

A redirect would carry the transcript to another host.
"""

from collections.abc import AsyncIterator

import httpx2
from openai import DefaultAsyncHttpxClient

from ingest_assets.sources.client.unpacking import ENCODINGS, unpacking

LONGEST_ANSWER = 16 * 2**20  # bytes after decompression: 100 times the longest answer that is asked for
LONGEST_FILE = 512 * 2**20  # of a batch's answers, of which there are up to 20,000


class AnswerTooLarge(Exception):
    """An answer has more bytes than are read."""


def http_client(timeout_seconds: float) -> httpx2.AsyncClient:
    return DefaultAsyncHttpxClient(
        follow_redirects=False,
        timeout=timeout_seconds,
        headers={"accept-encoding": ENCODINGS},
        event_hooks={"response": [_bound]},
    )


async def _bound(response: httpx2.Response) -> None:
    """Put a bound on an answer before anybody reads it."""
    assert isinstance(response.stream, httpx2.AsyncByteStream)  # noqa: S101  (an asynchronous client's)
    longest = LONGEST_FILE if response.request.url.path.endswith("/content") else LONGEST_ANSWER
    response.stream = _Bounded(response.stream, response.headers.pop("content-encoding", ""), longest)


class _Bounded(httpx2.AsyncByteStream):
    """A stream that ends with AnswerTooLarge when it has brought too many bytes, decompressed."""

    def __init__(self, stream: httpx2.AsyncByteStream, encoding: str, longest: int) -> None:
        self._stream, self._encoding, self._longest = stream, encoding, longest

    async def __aiter__(self) -> AsyncIterator[bytes]:
        unpack, left = unpacking(self._encoding), self._longest
        async for piece in self._stream:
            unpacked = unpack(piece, left + 1)
            left -= len(unpacked)
            if left < 0:
                raise AnswerTooLarge
            yield unpacked

    async def aclose(self) -> None:
        await self._stream.aclose()
