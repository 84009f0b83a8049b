"""What Gong's errors mean, by method and status."""

import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from ingest_assets.errors import (
    CredentialRejected,
    CursorExpired,
    PartUnreadable,
    SourceError,
    TokenRefused,
    UnexpectedResponse,
)
from ingest_assets.sources.client.http import Request
from ingest_assets.sources.client.method import Level
from ingest_assets.sources.gong.methods import METHODS, ONLY_NAMES, SCOPES
from ingest_assets.sources.json_values import mapping_of

NOTHING_FOUND = re.compile(r"no [^\"]*found[^\"]*(filters|period)", re.IGNORECASE)
"""The only thing that tells an empty range from a wrong address: both are HTTP 404."""
LONGEST_SENTENCE, MOST_SENTENCES = 300, 10  # that are searched for it
CURSOR_DIED = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
"""In answer to a request with a page cursor; Gong documents no status for it."""


class NothingFound(SourceError):
    """Gong's way of saying that a range is empty."""


class NoSuchCall(SourceError):
    """Gong's way of saying that a call is deleted."""


def meaning_at(host: str) -> Callable[[Request, int, Any], SourceError]:
    """Return what tells the meaning of a 4xx of this host, by status; an empty range is a 404, too."""

    def meaning(request: Request, status: int, body: object) -> SourceError:
        method, code = request.method, f"http_{status}"
        if status == HTTPStatus.UNAUTHORIZED:
            return TokenRefused(
                f"Gong at {host} refused the login for {method} (HTTP 401): the key is wrong or revoked, belongs "
                f"to a customer of another host, or may not {SCOPES[method]}. A technical administrator finds "
                "host and keys at app.gong.io/company/api.",
                code=code,
            )
        if status == HTTPStatus.FORBIDDEN:
            lacking = f"lacks the scope {SCOPES[method]}"
            sentence = f"Gong at {host} refused {method} (HTTP 403): the login {lacking}"
            if method in ONLY_NAMES:
                return PartUnreadable(f"{sentence}.", code=lacking)
            return CredentialRejected(f"{sentence}; grant it, then connect.", code=lacking)
        if status in CURSOR_DIED and "cursor" in {**(request.body or {}), **(request.params or {})}:
            return CursorExpired(f"Gong no longer knows the page cursor of {method}.")
        if status == HTTPStatus.NOT_FOUND and (known := _not_found(method, body)):
            return known
        if METHODS[method].level is Level.PART:
            sentence = f"Gong at {host} answered {method} with HTTP {status}; the next syncs ask again."
            return PartUnreadable(sentence, code=code)
        if status == HTTPStatus.NOT_FOUND:
            sentence = f"Gong at {host} knows no {method} (HTTP 404); check the base URL."
            return UnexpectedResponse(sentence, code=code)
        sentence = f"Gong at {host} answered {method} with HTTP {status}; please report this."
        return UnexpectedResponse(sentence, code=code)

    return meaning


def _not_found(method: str, body: object) -> SourceError | None:
    """Return what a 404 in words of Gong's own says; None for any other."""
    errors = mapping_of(body).get("errors")
    if not isinstance(errors, list):
        return None
    if method == "calls.get":
        return NoSuchCall("Gong knows the call no more.")
    if any(
        isinstance(text, str) and NOTHING_FOUND.search(text[:LONGEST_SENTENCE]) for text in errors[:MOST_SENTENCES]
    ):
        return NothingFound("Nothing in this range.")
    return None
