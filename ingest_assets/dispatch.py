"""Who is read now, and in which runs: healthy workspaces travel together, a failing one travels alone.

A Dagster run costs about 4 CPU-seconds before any work. So a few due workspaces get a run each, many share batch
runs, and one that failed is retried in a run of its own, with its own log and its own red partition. A schedule's
tick and a sensor's look both come here; what one of them has asked for is reserved, and the other leaves it alone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import Engine

from ingest_assets.settings import CoreSettings
from ingest_assets.sources.source import Source
from ingest_assets.storage import queue
from ingest_assets.storage.history import outage
from ingest_assets.storage.queue import Due
from ingest_assets.sync.pool import DOWN

FEW = 20  # due workspaces, up to which each has a run of its own
ALONE = 20  # runs for one workspace that may be under way before another failing one is tried
OUTAGE = timedelta(hours=1)  # what is older says nothing about whether a vendor is down
PROBE = timedelta(minutes=1)  # how often it is tried meanwhile, by one workspace


@dataclass(frozen=True)
class Waiting:
    """Who is to be read."""

    due: Sequence[Due] = ()
    """Longest waiting first."""
    unshown: Sequence[str] = ()
    """Workspaces whose failure a batch run saw, and which no partition shows."""
    down_since: datetime | None = None
    """When the vendor failed last, if it seems to be down."""


@dataclass(frozen=True)
class UnderWay:
    """Runs that are not finished, those included that were asked for and do not exist yet."""

    busy: Collection[str] = ()
    """Workspaces that a run covers."""
    batches: Sequence[str] = ()
    """Runs for many workspaces."""
    alone: int = 0
    """Runs for one workspace that a schedule or sensor started."""


@dataclass(frozen=True)
class Asked:
    """One run that is asked for."""

    workspaces: Sequence[str]
    batch: bool = False
    urgent: bool = True
    """Nobody in it failed before."""
    reservation: str = ""


@dataclass(frozen=True)
class Plan:
    """The runs to ask for, and a sentence for an operator about those who wait."""

    runs: Sequence[Asked] = ()
    why: str = ""
    down: bool = False
    """The vendor seems to be down, and all but one wait."""


def plan(title: str, waiting: Waiting, live: UnderWay, core: CoreSettings, now: datetime) -> Plan:
    """Choose runs; `title`: of the source, for sentences."""
    due = [one for one in waiting.due if one.workspace_id not in live.busy]
    if waiting.down_since is not None and due:
        tried = live.batches or live.alone or waiting.down_since > now - PROBE
        probe = next((one for one in due if not one.run_alone), due[0])  # rather one without trouble of its own
        why = f"{title} seems to be down; {len(due)} workspaces wait, one tries each minute."
        return Plan([] if tried else [Asked([probe.workspace_id], urgent=False)], why, down=True)
    healthy = [one.workspace_id for one in due if not one.run_alone]
    unshown = [key for key in waiting.unshown if key not in live.busy]
    failing = list(dict.fromkeys([*unshown, *(one.workspace_id for one in due if one.run_alone)]))
    together, why = _together(healthy, live, core)
    alone = failing[: max(0, ALONE - live.alone)]
    if failing and not alone:
        why = f"{live.alone} runs for one workspace are under way; {len(failing)} failing ones wait for a turn."
    runs = [*together, *(Asked([key], urgent=False) for key in alone)]
    return Plan(runs, why or f"No {title} workspace is due ({len(live.busy)} under way).")


def _together(healthy: Sequence[str], live: UnderWay, core: CoreSettings) -> tuple[list[Asked], str]:
    """Choose runs for workspaces that are well, and say who waits."""
    if len(healthy) <= FEW:
        return [Asked([key]) for key in healthy], ""
    size, free = core.batch_workspaces, max(0, core.parallel_batches - len(live.batches))
    if not free:
        return [], f"The batch run {live.batches[0]} is unfinished; {len(healthy)} workspaces wait for their turn."
    return batches(healthy[: free * size], size), ""


def batches(keys: Sequence[str], size: int) -> list[Asked]:
    """Return runs for many workspaces each."""
    return [Asked(keys[start : start + size], batch=True) for start in range(0, len(keys), size)]


def numbered(runs: Sequence[Asked], by: str) -> list[Asked]:
    """Return the runs, each with a reservation of its own; `by`: who asks, unique to this call."""
    return [replace(run, reservation=f"{by}:{number}") for number, run in enumerate(runs, start=1)]


def dispatch(
    engine: Engine,
    source: Source,
    live: Callable[[Collection[str]], "LiveRuns"],
    core: CoreSettings,
    now: datetime,
    *,
    by: str,
    tick: bool = False,
) -> Plan:
    """Choose runs and reserve their accounts, in one transaction that excludes every other caller for the source.

    `live`: finds the source's unfinished runs, and which of some reservations had a run at all. `by`: who asks,
    unique to this call. `tick`: all are due.
    """
    with engine.begin() as conn:
        queue.exclusively(conn, source.name)
        if tick:
            queue.mark_due(conn, source.name, now)
        due = queue.due_workspaces(conn, source.name, now)
        waiting = Waiting(
            due,
            queue.unshown_failures(conn, source.name, now),
            outage(conn, source.name, now - OUTAGE, DOWN) if due else None,
        )
        held = queue.reservations(conn, source.name)
        under_way = live(held).and_reserved(held)
        chosen = plan(source.title, waiting, under_way, core, now)
        if chosen.down:
            queue.explain(conn, source.name, now, f"{source.title} seems to be down")
        until = now + timedelta(seconds=core.lease_seconds)
        runs = numbered(chosen.runs, by)
        for run in runs:
            queue.reserve(conn, source.name, run.workspaces, run.reservation, now, until)
    return replace(chosen, runs=runs)


@dataclass(frozen=True)
class LiveRuns(UnderWay):
    """Runs that are not finished, as Dagster knows them."""

    reservations: Collection[str] = ()
    """Those whose runs exist, finished ones included: what such a run did not read holds up no other."""

    def and_reserved(self, held: Mapping[str, int]) -> UnderWay:
        """Add the runs that do not exist yet; `held`: reservations, and for how many workspaces each is."""
        coming = {name: size for name, size in held.items() if name not in self.reservations}
        many = [name for name, size in coming.items() if size > 1]
        return UnderWay(self.busy, [*self.batches, *many], self.alone + len(coming) - len(many))
