"""What verifying an account came to."""

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """Something that is stored otherwise than the vendor shows it."""

    table: str
    id: str
    conversation: str
    """The thread, call or session that the item belongs to: what is to be read again."""
    look: str
    """What was looked at: a range of time, or ids."""
    how: str
    fields: Sequence[str] = ()
    """Names of columns and of fields of raw, never contents."""


@dataclass
class Verified:
    """What verifying one account came to."""

    source: str
    workspace: str
    account: str
    findings: list[Finding] = field(default_factory=list)
    compared: int = 0
    changed: int = 0
    """Rows whose items changed at the vendor since they were read."""
    gone: int = 0
    """Rows whose items the vendor no longer shows, which no sync has noticed yet."""
    kept: int = 0
    """The same where an operator keeps them, or is to decide."""
    calls: int = 0
    unverified: str | None = None
    """Why it was not verified, or not to the end."""
