"""The Gmail API's way of refusing."""

import orjson

STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
}
PRECONDITION = "failedPrecondition"
QUOTA_REASONS = {403: "userRateLimitExceeded", 429: "rateLimitExceeded"}
REASONS = {400: "badRequest", 401: "authError", 404: "notFound", **QUOTA_REASONS}
"""The reason that usually goes with a status."""
USAGE = frozenset({*QUOTA_REASONS.values(), "dailyLimitExceeded"})
NOT_FOUND = "Requested entity was not found."


class GmailError(Exception):
    """The request is answered with this status and reason."""

    def __init__(self, status: int, reason: str, text: str) -> None:
        super().__init__(text)
        self.status, self.reason, self.text = status, reason, text

    def body(self) -> bytes:
        domain = "usageLimits" if self.reason in USAGE else "global"
        error = {
            "code": self.status,
            "message": self.text,
            "errors": [{"message": self.text, "domain": domain, "reason": self.reason}],
            "status": "FAILED_PRECONDITION" if self.reason == PRECONDITION else STATUSES.get(self.status, "UNKNOWN"),
        }
        return orjson.dumps({"error": error})


def invalid(text: str) -> GmailError:
    """The arguments make no sense."""
    return GmailError(400, "invalidArgument", text)


def not_found() -> GmailError:
    """There is no such message, thread, label or history."""
    return GmailError(404, "notFound", NOT_FOUND)
