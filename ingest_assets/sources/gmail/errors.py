"""Google's errors and what each means for us: by method, HTTP status and reason, never by message text.

older   {"error": {"code": 403, "errors": [{"reason": "rateLimitExceeded"}], "message": ...}}
newer   {"error": {"code": 403, "status": "PERMISSION_DENIED", "details": [{"reason": "SERVICE_DISABLED"}]}}
OAuth   {"error": "invalid_grant", "error_description": ...}
others  HTML or nothing, from whoever stands between us and Google
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any

from ingest_assets.errors import (
    CredentialRejected,
    CursorExpired,
    DoubtfulRejection,
    PartUnreadable,
    QuotaSpent,
    SourceError,
    TokenRefused,
    Transient,
    UnexpectedResponse,
)
from ingest_assets.sources.client.headers import LONGEST_PAUSE, pause_of
from ingest_assets.sources.client.http import Answer, Limit, parse_json
from ingest_assets.sources.client.method import Level
from ingest_assets.sources.gmail.methods import BATCH, HISTORY, METHODS

GONE = "not found"  # the code of an item that Gmail has no more
SHORTEST_PAUSE = timedelta(seconds=1)  # Google's advice for a quota that is used up
REASON = re.compile(r"[A-Za-z_]{1,60}", re.ASCII)  # anything else is not Google's, and not repeated
RETRY_AT = re.compile(r"Retry after (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?Z)", re.ASCII)

QUOTA = frozenset(
    {
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "quotaExceeded",
        "dailyLimitExceeded",
        "RATE_LIMIT_EXCEEDED",
        "RESOURCE_EXHAUSTED",
    }
)
"""Reasons of a 403 that is about the quota; a 429 always is."""
OF_THE_DAY = frozenset({"dailyLimitExceeded", "quotaExceeded"})

CONNECT = "Connect the mailbox with a login that works: `ingest-assets connect gmail`."
SCOPE = "The login lacks the scope https://www.googleapis.com/auth/gmail.readonly; grant it, then connect."
ENABLE = "Enable the Gmail API in the Google Cloud project."
NO_MAILBOX = "This user has no Gmail mailbox, or it is switched off; leave the user out."
AGAIN = "It is asked for again, less and less often; look whether Gmail shows the thread."
REPORT = "Please report this: the request was ours."
BATCH_ADDRESS = "Check GMAIL_BATCH_URL, or GMAIL_API_URL where that is empty; if it is right, please report this."

PRECONDITION = frozenset({"failedPrecondition", "FAILED_PRECONDITION"})
REFUSED: dict[str, str] = {
    **dict.fromkeys(PRECONDITION, NO_MAILBOX),
    "domainPolicy": "The domain's administrator does not allow the Gmail API.",
    "insufficientPermissions": SCOPE,
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": SCOPE,
    "accessNotConfigured": ENABLE,
    "SERVICE_DISABLED": ENABLE,
    "forbidden": "The login may not read this mailbox, or lacks the scope "
    "https://www.googleapis.com/auth/gmail.readonly.",
}
"""Reasons for which the login may not read, and what to do. Google has answered each of them for a moment, too."""
MAY_NOT = "The login may not do this; check its scopes, and connect with one that may."

TOKEN_ERRORS: dict[str, str] = {
    "invalid_grant": "the login was revoked, expired, or names a user who does not exist. " + CONNECT,
    "unauthorized_client": "the service account is not authorised for this user: in the Admin console, under "
    "domain-wide delegation, add its client ID with the scope https://www.googleapis.com/auth/gmail.readonly "
    "(it may take a day to take effect).",
    "invalid_client": "client id and client secret do not belong together. " + CONNECT,
    "invalid_scope": "the app was not given the scope https://www.googleapis.com/auth/gmail.readonly. " + CONNECT,
    "access_denied": "an administrator denies access. " + CONNECT,
}
TOKEN_PASSING = frozenset({"internal_failure", "server_error", "temporarily_unavailable", "rate_limit_exceeded"})
GONE_STATUSES = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)


def limit_of(answer: Answer, now: datetime, ignored: "Counter[str] | None" = None) -> Limit | None:
    """Return the quota that an answer says is used up, if any, with the pause that it asks for."""
    if answer.status not in (HTTPStatus.FORBIDDEN, HTTPStatus.TOO_MANY_REQUESTS):
        return None
    body = parsed(answer.content)
    reason = reason_of(body)
    if answer.status == HTTPStatus.FORBIDDEN and reason not in QUOTA:
        return None
    if reason in OF_THE_DAY:
        return Limit(LONGEST_PAUSE, of_the_day=True)
    given = pause_of(answer.headers, now, ignored) or _pause_in(body, now)
    return Limit(max(given or SHORTEST_PAUSE, SHORTEST_PAUSE))


def call_error(method: str, answer: Answer, now: datetime, ignored: "Counter[str] | None" = None) -> SourceError:
    """Classify what the batch endpoint answered to one of the calls in a request."""
    body = parsed(answer.content)
    code = _code(answer.status, reason_of(body))
    if (limit := limit_of(answer, now, ignored)) is not None:
        kind = QuotaSpent if limit.of_the_day else Transient
        return kind(f"Gmail's quota was used up for {method} ({code}).", retry_after=limit.pause, code=code)
    if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Transient(f"Gmail answered {method} with {code}.", code=code)
    return meaning(method, answer.status, body)


def meaning(method: str, status: int, body: object) -> SourceError:
    """Classify a 3xx or 4xx that is not about the quota."""
    reason = reason_of(body)
    code = _code(status, reason)
    if status == HTTPStatus.UNAUTHORIZED:
        return TokenRefused(f"Gmail refused {method} ({code}). {CONNECT}", code=code)
    if METHODS[method].level is Level.PART:
        if status == HTTPStatus.NOT_FOUND and reason:
            return PartUnreadable(f"Gmail has no such item any more ({method}: {code}).", code=GONE)
        return PartUnreadable(f"Gmail refused {method} ({code}). {AGAIN}", code=code)
    if method == HISTORY and _too_old(status, reason):
        return CursorExpired("Gmail no longer knows what changed since the last sync.", code=code)
    if status == HTTPStatus.FORBIDDEN or (status == HTTPStatus.BAD_REQUEST and reason in PRECONDITION):
        return DoubtfulRejection(f"Gmail refused {method} ({code}). {REFUSED.get(reason, MAY_NOT)}", code=code)
    action = REPORT if status != HTTPStatus.NOT_FOUND else "Check GMAIL_API_URL."
    return UnexpectedResponse(
        f"Gmail refused {method} ({code}). {BATCH_ADDRESS if method == BATCH else action}", code=code
    )


def token_meaning(status: int, body: object, *, whose: str = "") -> SourceError:
    """Classify a 4xx of the token endpoint; `whose`: the mailbox, where one login reads several."""
    reason = reason_of(body)
    if reason in TOKEN_PASSING or reason in QUOTA or status == HTTPStatus.REQUEST_TIMEOUT:
        return Transient("Google's token endpoint asks us to try again.", code=_code(status, reason))
    if isinstance(body, dict) and isinstance(body.get("error"), str) and reason:
        owner = f" for {whose}" if whose else ""
        return CredentialRejected(f"Google gave no token{owner} ({reason}): {TOKEN_ERRORS.get(reason, CONNECT)}")
    return Transient(
        "Google's token endpoint gave an answer that is not Google's; check GOOGLE_TOKEN_URL.",
        code=_code(status, reason),
    )


def parsed(content: bytes) -> Any:
    """Parse an error's body; None where it is no JSON."""
    try:
        return parse_json(content)
    except ValueError:
        return None


def reason_of(body: object) -> str:
    """Return Google's reason, whichever of its forms the error has; empty where there is none."""
    error = body.get("error") if isinstance(body, dict) else None
    found = [reason for reason in _reasons(error) if isinstance(reason, str) and REASON.fullmatch(reason)]
    return next((reason for reason in found if reason in QUOTA), found[0] if found else "")


def _reasons(error: object) -> Iterator[Any]:
    """Yield what may be the reason, the most telling form first."""
    if not isinstance(error, dict):
        yield error
        return
    for key in ("errors", "details"):
        several = error.get(key)
        for one in several if isinstance(several, list) else ():
            if isinstance(one, dict):
                yield one.get("reason")
    yield error.get("status")


def _too_old(status: int, reason: str) -> bool:
    """Tell whether history.list refuses its start; a 404 without a reason is not Google's."""
    if status == HTTPStatus.BAD_REQUEST:
        return reason not in PRECONDITION
    return status in GONE_STATUSES and bool(reason)


def _code(status: int, reason: str) -> str:
    return f"HTTP {status}{f', {reason}' if reason else ''}"


def _pause_in(body: object, now: datetime) -> timedelta | None:
    """Read the moment that Google names in some messages about the quota, and nowhere else."""
    error = body.get("error") if isinstance(body, dict) else None
    text = error.get("message") if isinstance(error, dict) else None
    found = RETRY_AT.search(text) if isinstance(text, str) else None
    if found is None:
        return None
    try:
        pause = datetime.fromisoformat(found[1]) - now
    except (ValueError, OverflowError):
        return None
    return min(max(pause, SHORTEST_PAUSE), LONGEST_PAUSE)
