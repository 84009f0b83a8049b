"""How every workspace is, in words: one judgement for the checks, `ops/sync_health`, `status` and the metrics."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from sqlalchemy import Connection

from ingest_assets.settings import CoreSettings
from ingest_assets.sources import SOURCES
from ingest_assets.storage.history import success_rates
from ingest_assets.storage.overview import health
from ingest_assets.terminal import markdown_cell

WINDOWS = {"1h": timedelta(hours=1), "24h": timedelta(hours=24), "7d": timedelta(days=7)}
WORST = 20  # workspaces named in the overview
LEAST_SHARE = 0.001  # of rejected items that is told from none


@dataclass(frozen=True)
class Health:
    """One workspace at one source."""

    workspace_id: str
    source: str
    state: str
    """fresh, stale, retrying, failing or needs_reconnect."""
    fresh: bool
    """Every account had a complete sync within the objective."""
    reason: str
    age: timedelta | None
    """Since the last complete sync began, of the account that waits longest; None if one never had any."""
    objective: timedelta
    rejected: int
    stored: int
    """As far as it tells against `rejected`."""
    accounts: int = 1
    read: int = 1
    """Accounts that were read and did not fail since."""

    @property
    def rejected_share(self) -> float:
        return self.rejected / max(1, self.rejected + self.stored)


def find(
    conn: Connection,
    core: CoreSettings,
    now: datetime,
    *,
    source: str | None = None,
    workspace_ids: Sequence[str] | None = None,
) -> list[Health]:
    """Judge all workspaces, or some, by one statement."""
    objective = timedelta(minutes=core.freshness_minutes)
    rows = health(
        conn,
        {one.name: one.main.table for one in SOURCES},
        now,
        objective,
        telling=ceil(1 / max(core.rejected_share, LEAST_SHARE)),
        source=source,
        workspace_ids=workspace_ids,
    )
    return [_of(row, now, objective) for row in rows]


def _of(row: Any, now: datetime, objective: timedelta) -> Health:
    minutes = f"{objective.total_seconds() / 60:.0f} minutes"
    if row.fresh:
        reason = f"synced within {minutes}"
    else:
        last = row.last_success_at
        reason = f"no complete sync within {minutes} " + (
            "(never)" if last is None else f"(last at {last:%Y-%m-%d %H:%M} UTC)"
        )
    calm = row.state == "active"
    return Health(
        workspace_id=row.workspace_id,
        source=row.source,
        state=("fresh" if row.fresh else "stale") if calm else row.state,
        fresh=row.fresh,
        reason=f"{reason}: {row.reason}" if row.reason else reason,
        age=None if row.last_success_at is None else now - row.last_success_at,
        objective=objective,
        rejected=int(row.rejected),
        stored=int(row.stored),
        accounts=row.accounts,
        read=row.read,
    )


def table(healths: Iterable[Health]) -> str:
    """Return workspaces as a table in Markdown, those that wait longest first, and how many it leaves out."""
    worst = sorted(
        healths,
        key=lambda one: (one.age is not None, -(one.age or timedelta()).total_seconds(), one.workspace_id),
    )
    lines = [_line(["workspace", "source", "state", "reason"]), _line(["---"] * 4)]
    lines += [_line([one.workspace_id, one.source, one.state, markdown_cell(one.reason)]) for one in worst[:WORST]]
    if len(worst) > WORST:
        lines += ["", f"and {len(worst) - WORST} more."]
    return "\n".join(lines)


@dataclass(frozen=True)
class Overview:
    """All workspaces, and how many syncs succeed."""

    healths: Sequence[Health]
    rates: dict[tuple[str, str], tuple[int, int]]
    """(source, window) -> (succeeded, all)"""

    @classmethod
    def read(cls, conn: Connection, core: CoreSettings, now: datetime) -> "Overview":
        return cls(find(conn, core, now), success_rates(conn, now, WINDOWS))

    def states(self, source: str | None = None) -> Counter[str]:
        """Count workspaces, a source's or of all, by state."""
        return Counter(one.state for one in self.healths if source in {None, one.source})

    def rate(self, window: str, source: str | None = None) -> float | None:
        """Return the share of syncs that succeeded; None if there was none."""
        found = [pair for (of, name), pair in self.rates.items() if name == window and source in {None, of}]
        total = sum(count for _, count in found)
        return sum(good for good, _ in found) / total if total else None

    def numbers(self) -> dict[str, float]:
        """Return what is worth a plot."""
        states = self.states()
        found: dict[str, float] = {
            "pairs_of_workspace_and_source": len(self.healths),
            "fresh": sum(one.fresh for one in self.healths),
            "not_fresh": sum(not one.fresh for one in self.healths),
            **{state: states[state] for state in ("retrying", "failing", "needs_reconnect")},
            "rejected_items": sum(one.rejected for one in self.healths),
        }
        for window in WINDOWS:
            rate = self.rate(window)
            if rate is not None:
                found[f"success_rate_{window}"] = round(rate, 4)
        return found

    def entries(self) -> list[dict[str, Any]]:
        """Return one row per source: its workspaces by state, and its success rates in per cent."""
        found = []
        for source in sorted({one.source for one in self.healths}):
            states = self.states(source)
            found.append(
                {
                    "source": source,
                    "workspaces": states.total(),
                    **{
                        name: states[name] for name in ("fresh", "stale", "retrying", "failing", "needs_reconnect")
                    },
                    **{f"success_{window}": _per_cent(self.rate(window, source)) for window in WINDOWS},
                }
            )
        return found

    def markdown(self) -> str:
        """Show the sources, and below them the workspaces that wait longest."""
        entries = self.entries()
        if not entries:
            return "No account is connected."
        columns = list(entries[0])
        lines = [_line(columns), _line(["---"] * len(columns))]
        lines += [_line(["" if value is None else str(value) for value in entry.values()]) for entry in entries]
        bad = [one for one in self.healths if not one.fresh or one.state not in {"fresh", "stale"}]
        return "\n".join([*lines, "", table(bad)] if bad else lines)

    def fingerprint(self) -> str:
        """Return another text whenever a workspace comes, goes or changes its state."""
        states = sorted((one.source, one.workspace_id, one.state) for one in self.healths)
        return hashlib.blake2b(repr(states).encode(), digest_size=16).hexdigest()


def _per_cent(share: float | None) -> str | None:
    return None if share is None else f"{100 * share:.1f} %"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
