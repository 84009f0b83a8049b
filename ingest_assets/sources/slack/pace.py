"""How fast an audit goes: so that it is through in time, and never faster than its share of the limit."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import BaseModel

SHARE = 0.1
"""Of the requests that Slack grants a minute, those that an audit may have."""
EARLY = 0.9
"""A round takes so much of its time, so that its last requests are not late."""
MOST_AT_ONCE = timedelta(hours=1)
"""A sync spends the share of so long at most, however long ago the last one was."""


class Pace(BaseModel):
    """How much there is to ask for, and up to when its share was asked for."""

    total: int = 0
    until: datetime | None = None


class AuditPace(BaseModel):
    """The pace of an account's two audits."""

    counted_at: datetime | None = None
    messages: Pace = Pace()
    threads: Pace = Pace()


@dataclass(frozen=True)
class Allowance:
    """What a sync may spend on an audit."""

    steady: int
    """Requests that are due by now, for a round that takes its days."""
    most: int
    """The share of the limit, for what is late."""
    days: float
    """What a whole round takes, and so what can be promised."""
    _per_second: float
    _since: datetime
    _now: datetime

    def after(self, pace: Pace, asked: int) -> Pace:
        """Return the pace after so many requests; what was not enough for one more counts the next time."""
        if asked != self.steady or not self._per_second:  # nothing is left to ask for, or it was late
            return pace.model_copy(update={"until": self._now})
        spent = timedelta(seconds=asked / self._per_second)
        return pace.model_copy(update={"until": min(self._since + spent, self._now)})


def allowance(pace: Pace, now: datetime, *, days: float, per_minute: float) -> Allowance:
    """Tell what may be asked for now."""
    share, period = per_minute * SHARE / 60, timedelta(days=days).total_seconds()
    rate = min(pace.total / (period * EARLY), share)
    since = min(pace.until or now, now)
    passed = (now - since).total_seconds()
    most = int(min(passed, MOST_AT_ONCE.total_seconds()) * share)
    took = max(period, pace.total / share) / timedelta(days=1).total_seconds()
    return Allowance(min(int(passed * rate), most), most, took, rate, since, now)
