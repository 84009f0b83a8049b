"""Google's errors and what each means for us, by HTTP status and reason, never by message text."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from ingest_assets.errors import (
    CredentialRejected,
    CursorExpired,
    PartUnreadable,
    SourceError,
    TokenRefused,
    Transient,
    UnexpectedResponse,
)
from ingest_assets.sources.client.headers import pause_of

NOT_FOUND, TOO_MANY, SERVER_ERROR = 404, 429, 500
BATCH = "batch"  # the batch endpoint itself; a call inside goes by its own name
ITEMS = ("threads.get", "attachments.get")
DAY = timedelta(hours=24)

CONNECT = "Connect the mailbox again with `ingest-assets connect gmail`."
MEANING: dict[tuple[int, str], tuple[type[SourceError], str]] = {
    (401, "authError"): (TokenRefused, CONNECT),
    (403, "rateLimitExceeded"): (Transient, "The quota is used up for the moment."),
    (403, "userRateLimitExceeded"): (Transient, "The mailbox's quota is used up for the moment."),
    (403, "dailyLimitExceeded"): (Transient, "The project's quota of the day is used up."),
    (403, "domainPolicy"): (CredentialRejected, "The domain's administrator does not allow the Gmail API."),
    (403, "insufficientPermissions"): (
        CredentialRejected,
        "The login lacks the scope https://www.googleapis.com/auth/gmail.readonly; grant it and connect again.",
    ),
    (403, "accessNotConfigured"): (CredentialRejected, "Enable the Gmail API in the Google Cloud project."),
    (403, "forbidden"): (
        CredentialRejected,
        "The login may not read this mailbox, or lacks the scope https://www.googleapis.com/auth/gmail.readonly.",
    ),
    (400, "failedPrecondition"): (
        CredentialRejected,
        "This user has no Gmail mailbox, or it is switched off; leave the user out.",
    ),
    (400, "invalidArgument"): (UnexpectedResponse, "Please report this: the request was ours."),
}
BY_STATUS: dict[int, tuple[type[SourceError], str]] = {
    400: (UnexpectedResponse, "Please report this: the request was ours."),
    401: (TokenRefused, CONNECT),
    403: (CredentialRejected, "The login may not do this; check its scopes, and connect again."),
    404: (UnexpectedResponse, "Check GMAIL_API_URL."),
}
BATCH_ADDRESS = "Check GMAIL_BATCH_URL, or GMAIL_API_URL where that is empty; if it is right, please report this."

TOKEN_ERRORS: dict[str, str] = {
    "invalid_grant": "the login was revoked, expired, or names a user who does not exist. " + CONNECT,
    "unauthorized_client": "the service account is not authorised for this user: in the Admin console, under "
    "domain-wide delegation, add its client ID with the scope https://www.googleapis.com/auth/gmail.readonly "
    "(it may take a day to take effect).",
    "invalid_client": "client id and client secret do not belong together. " + CONNECT,
    "invalid_scope": "the app was not given the scope https://www.googleapis.com/auth/gmail.readonly. " + CONNECT,
    "access_denied": "an administrator denies access. " + CONNECT,
}

RETRY_AT = re.compile(r"Retry after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)")


def meaning(method: str, status: int, headers: Mapping[str, Any], content: bytes) -> SourceError:
    """Classify an answer that is not a 2xx."""
    reason, text = _parsed(content)
    if status == TOO_MANY or status >= SERVER_ERROR:
        found: tuple[type[SourceError], str] = (Transient, "We ask again.")
    else:
        found = MEANING.get((status, reason)) or BY_STATUS.get(status) or BY_STATUS[400]
    kind, action = found
    code = f"HTTP {status}{f', {reason}' if reason else ''}"
    if status == NOT_FOUND and reason and method in ITEMS:
        return PartUnreadable(f"Gmail has no such item any more ({method}: {code}).", code=reason)
    if status == NOT_FOUND and reason and method == "history.list":
        return CursorExpired("Gmail no longer knows what changed since the last sync.")
    if method == BATCH and kind is UnexpectedResponse:
        action = BATCH_ADDRESS
    if kind is Transient:
        pause = DAY if reason == "dailyLimitExceeded" else _pause(headers, text)
        return Transient(f"Gmail refused {method} ({code}). {action}", retry_after=pause)
    return kind(f"Gmail refused {method} ({code}). {action}")


def _parsed(content: bytes) -> tuple[str, str]:
    """Give Google's reason, where there is one, and the text, of which only a time is used."""
    try:
        error = orjson.loads(content)["error"]
        details = error.get("errors") or [{}]
        return str(details[0].get("reason") or error.get("status") or ""), str(error.get("message") or "")
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        return "", ""


def _pause(headers: Mapping[str, Any], text: str) -> timedelta | None:
    if (given := pause_of(headers, datetime.now(UTC))) is not None:
        return given
    if found := RETRY_AT.search(text):
        return max(datetime.fromisoformat(found[1]) - datetime.now(UTC), timedelta(seconds=1))
    return None
