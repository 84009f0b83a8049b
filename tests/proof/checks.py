"""Which claims of a sync are untrue, given what the vendor showed before it and after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from ingest_assets.storage.coverage import NO_GAPS
from ingest_assets.storage.schema import StoredRow
from ingest_assets.sync.result import PARTIAL, SUCCESS, SyncResult
from tests.proof.worlds import Shown, World

TOLD = NO_GAPS | {"rejected", "pending", "audit due"}
"""What coverage may say after a success: rejected items and missing transcripts are counted apart."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """What a sync says, and what there was to be read."""

    world: World
    account: Row[Any]
    result: SyncResult
    coverage: Sequence[StoredRow] | None
    """None where another sync came in between."""
    before: Shown
    after: Shown
    began: datetime
    """By the clock that is behind."""
    fresh: bool
    """Nothing was read before."""
    marked: set[str]
    """What was marked as deleted before."""

    def untrue(self) -> list[str]:
        """Return a line for each claim that does not hold."""
        found = [*self._always(), *self._of_coverage()]
        return [*found, *self._of_success()] if self.result.status == SUCCESS else found

    def _always(self) -> Iterator[str]:
        """Yield what no sync may do, however it ends."""
        # what this login sees no more is marked, until another one that sees it reads it again
        there = self.before.keys() & self.after.keys() & self.world.seen_by(self.account)
        for external_id in sorted((self.world.marked() - self.marked) & there):
            yield f"marked as deleted while it is shown: {external_id}"
        reason = self.result.reason or ""
        if "bug of ours" in reason:
            yield "a bug"
        if "said-" in reason:
            yield "contents in a reason"

    def _of_coverage(self) -> Iterator[str]:
        if self.coverage is None:
            return
        gaps = [row for row in self.coverage if row.state not in TOLD]
        if self.result.status == SUCCESS and gaps:
            yield from (f"success with a gap: {row.part} {row.state} {row.reason}" for row in gaps)
        if self.result.status == PARTIAL and not self.result.unfinished and not gaps:
            yield "partial without a gap in coverage"

    def _of_success(self) -> Iterator[str]:
        """Yield what was there and is not stored as it was or is by now, and what is gone and not marked."""
        world = self.world
        stored, seen, owned = world.stored(), world.seen_by(self.account), world.owned_by(self.account)
        for external_id, item in sorted(self.before.items()):
            now = self.after.get(external_id)
            if now is None or external_id not in seen or not (self.fresh or world.promised(item, self.began)):
                continue
            held = stored.get(external_id)
            if item.at > self.began:  # the clock that is behind does not claim it
                continue
            if held is None:
                yield f"lost: {external_id} {item}"
            elif external_id in owned and not world.alike(external_id, held, [item, now], settled=False):
                yield f"stale: {external_id} stored {held.content} shown {item.content} {now.content}"
        for external_id in sorted(owned & stored.keys() - self.before.keys() - self.after.keys()):
            item = stored[external_id]
            if external_id not in world.malformed and item.at <= self.began and world.promised(item, self.began):
                yield f"not marked: {external_id} {item}"
