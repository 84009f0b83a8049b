"""The vendor's clock: answers carry its time, and ours may be wrong.

A cursor says "read up to here" on the vendor's clock. Written by a clock that is ahead, it passes over what is
said until that moment. So ranges are asked for up to the later of both clocks, and covered up to the earlier one.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from ingest_assets.sources.client.headers import date_of


class VendorClock:
    """Compares our clock with the `Date` of answers. Without such an answer both are the same."""

    def __init__(self) -> None:
        self._ahead: timedelta | None = None
        """How far the vendor's clock is ahead of ours: the highest that an answer showed, since `Date` is cut to
        seconds and an answer takes its time."""

    def note(self, headers: Mapping[str, str], now: datetime) -> None:
        """Take note of an answer that arrived at a time of ours."""
        if (date := date_of(headers)) is not None:
            ahead = date - now
            self._ahead = ahead if self._ahead is None else max(self._ahead, ahead)

    def earlier(self, moment: datetime) -> datetime:
        """Return a moment of ours, or what the vendor's clock showed then if that is earlier."""
        return moment + min(self._ahead or timedelta(0), timedelta(0))

    def later(self, moment: datetime) -> datetime:
        """Return a moment of ours, or what the vendor's clock showed then if that is later."""
        return moment + max(self._ahead or timedelta(0), timedelta(0))
