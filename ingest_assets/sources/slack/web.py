"""The SDK's client with one session of aiohttp, which it would open for every request otherwise."""

from logging import CRITICAL, Logger
from typing import Any

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient

from ingest_assets.sources.client.http import LONGEST_ANSWER, parse_json, too_large
from ingest_assets.sources.client.unpacking import ENCODINGS
from ingest_assets.sources.json_values import Json

TIMEOUT = aiohttp.ClientTimeout(total=60, connect=10)
_silent = Logger("slack_sdk", CRITICAL)  # at DEBUG the SDK would log whole answers


class _Web(AsyncWebClient):
    """Sends with one session: follows no redirect, and reads no answer that is too long."""

    async def _request(self, *, http_verb: str, api_url: str, req_args: Json) -> Json:
        session: Any = self.session
        async with session.request(http_verb, api_url, allow_redirects=False, **req_args) as response:
            content = bytearray()
            async for piece in response.content.iter_any():
                content += piece
                if len(content) > LONGEST_ANSWER:
                    raise too_large("Slack", api_url.rpartition("/")[2])
        try:
            data = parse_json(bytes(content))
        except ValueError:
            data = None
        return {
            "data": data if isinstance(data, dict) else {},
            "headers": response.headers,
            "status_code": response.status,
        }


def open_session(at_once: int) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        timeout=TIMEOUT,
        connector=aiohttp.TCPConnector(limit=at_once),
        headers={"accept-encoding": ENCODINGS},
    )
    # else a GET goes out twice where a kept connection was cut; `retried` decides, and counts. There is no option.
    session._retry_connection = False
    return session


def web_client(session: aiohttp.ClientSession, base_url: str, token: str | None) -> AsyncWebClient:
    return _Web(token, base_url=base_url, session=session, retry_handlers=[], logger=_silent)
