"""Why something could not be done, named for what to do about it.

Every text here is a full sentence for an operator. It names the who and the what, and never carries a
secret or anything that a customer wrote.
"""

from collections.abc import Iterable
from datetime import timedelta
from difflib import get_close_matches

NO_WORKSPACE = (
    "There is no workspace {!r}: nobody connected an account of it, or it was removed. "
    "`ingest-assets accounts` lists all, `ingest-assets connect {}` makes one."
)


def did_you_mean(word: str, known: Iterable[str | None]) -> str:
    """Return a question to end a sentence about an unknown name with; empty where no known one is near."""
    names = {name.casefold(): name for name in known if name}
    near = get_close_matches(word.casefold(), names, n=1, cutoff=0.6)
    return f" Did you mean {names[near[0]]!r}?" if near else ""


class IngestError(Exception):
    """Something the user can put right; the text says how."""


class ProcessFault(IngestError):
    """The process cannot do it, as it was started: its environment or clock is at fault, and never an account."""


class LeaseLost(IngestError):
    """Another worker took the account over while this one was busy: stop, it goes on from our last commit."""


class SourceError(IngestError):
    """A source could not be read."""

    kind = "source_error"

    def __init__(self, message: str, *, code: str = "") -> None:
        """`code`: the vendor's, or a status, from a table or checked by a pattern; by default the kind."""
        super().__init__(message)
        self.code = code or self.kind


class Transient(SourceError):
    """Ask again later; the account's backoff decides when."""

    kind = "transient"

    def __init__(self, message: str, *, retry_after: timedelta | None = None, code: str = "") -> None:
        super().__init__(message, code=code)
        self.retry_after = retry_after


class QuotaSpent(Transient):
    """The vendor's requests of a day are used up: it works, and more money or patience is what helps."""

    kind = "quota_spent"


class CredentialRejected(SourceError):
    """The workspace must act: the account needs to be connected again."""

    kind = "credential_rejected"


class DoubtfulRejection(CredentialRejected):
    """The vendor says so of passing faults, too: believed when it lasts over several syncs."""


class TokenRefused(CredentialRejected):
    """The vendor does not take the access token; a login that can get another one tries that first."""


class UnexpectedResponse(SourceError):
    """A developer must act: the answer contradicts the vendor's documents or our understanding of them."""

    kind = "unexpected_response"


class TooManyRejected(UnexpectedResponse):
    """So many items could not be parsed that the vendor's format has changed, or our parser is wrong."""

    kind = "rejected_share"


class DeletionsHeld(UnexpectedResponse):
    """So many rows are shown no more that an operator has to decide whether they are deleted."""

    kind = "deletions_held"


class AnswerTooLarge(UnexpectedResponse):
    """The answer is longer than we read; smaller questions may be answered."""

    kind = "answer_too_large"


class PartUnreadable(SourceError):
    """One part of the source (a channel, a thread) may not be read; the rest may."""

    kind = "part_unreadable"


class CursorExpired(SourceError):
    """The vendor no longer knows the page cursor: read the range again from its start."""

    kind = "cursor_expired"
