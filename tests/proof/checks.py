"""Which claims of a sync are untrue, given what the vendor showed before it and after it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row

from ingest_assets.storage.coverage import NO_GAPS
from ingest_assets.storage.schema import StoredRow
from ingest_assets.sync.result import PARTIAL, SUCCESS, SyncResult
from tests.proof.worlds import Shown, World

TOLD = NO_GAPS | {"rejected", "pending", "audit due"}
"""What coverage may say after a success: rejected items and missing transcripts are counted apart."""


def untrue(
    world: World,
    result: SyncResult,
    coverage: Sequence[StoredRow] | None,
    before: Shown,
    after: Shown,
    began: datetime,
    account: Row[Any],
) -> list[str]:
    """Return a line for each claim of an account's sync that does not hold."""
    found = [
        *_always(world, result, (before.keys() & after.keys()) & world.seen_by(account)),
        *_coverage(result, coverage),
    ]
    if result.status == SUCCESS:
        found += _success(world, before, after, began, account)
    return found


def _always(world: World, result: SyncResult, there: set[str]) -> Iterator[str]:
    """Yield what no sync may do, however it ends."""
    for external_id in sorted(world.marked() & there):
        yield f"marked as deleted while it is shown: {external_id}"
    reason = result.reason or ""
    if "bug of ours" in reason:
        yield "a bug"
    if "said-" in reason:
        yield "contents in a reason"


def _coverage(result: SyncResult, coverage: Sequence[StoredRow] | None) -> Iterator[str]:
    if coverage is None:
        return
    gaps = [row for row in coverage if row.state not in TOLD]
    if result.status == SUCCESS and gaps:
        yield from (f"success with a gap: {row.part} {row.state} {row.reason}" for row in gaps)
    if result.status == PARTIAL and not result.unfinished and not gaps:
        yield "partial without a gap in coverage"


def _success(world: World, before: Shown, after: Shown, began: datetime, account: Row[Any]) -> Iterator[str]:
    """Yield what a success says and is not so: all that was there is stored as it was, or as it is by now."""
    first = account.last_success_at is None  # `account` is from before the sync: all of its history is new
    stored, seen, owned = world.stored(), world.seen_by(account), world.owned_by(account)
    for external_id, item in sorted(before.items()):
        told = external_id in after and external_id in seen and item.at <= began
        if not told or not (first or world.promised(item, began)):
            continue
        held = stored.get(external_id)
        if held is None:
            yield f"lost: {external_id} {item}"
        elif external_id in owned and not world.alike(
            external_id, held, [item, after[external_id]], settled=False
        ):
            yield f"stale: {external_id} stored {held.content} shown {item.content} {after[external_id].content}"
    for external_id, item in sorted(stored.items()):
        gone = (
            external_id in owned
            and external_id not in before
            and external_id not in after
            and external_id not in world.malformed
        )
        if gone and item.at <= began and world.promised(item, began):
            yield f"not marked: {external_id} {item}"
