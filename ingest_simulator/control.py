"""The control plane's general part: time, faults, latency, the ledger."""

from typing import Annotated, Any

from pydantic import AwareDatetime, Field
from starlette.routing import Route

from ingest_simulator import authorize
from ingest_simulator.errors import OrderError
from ingest_simulator.faults import FOREVER, Fault, Kind
from ingest_simulator.orders import Nothing, Order, order
from ingest_simulator.slack.world import SlackWorld
from ingest_simulator.state import Simulator
from ingest_simulator.vendors import NAMES, VENDORS
from ingest_simulator.wire import Json

STATUSES = {
    Kind.HTML: 200,
    Kind.RAW: 200,
    Kind.GZIP: 200,
    Kind.REDIRECT: 308,
    Kind.INVALID_CURSOR: 400,
}  # where it is not 503, if nobody says
CURSOR_KINDS = (Kind.REPEAT_CURSOR,)  # these mean nothing on a first page


class SetClock(Order):
    """Where to move the clock; nothing at all returns it to real time."""

    now: AwareDatetime | None = None
    advance_seconds: float | None = None
    frozen: bool = False


class SetLatency(Order):
    """How long every vendor request waits."""

    seconds: Annotated[float, Field(ge=0)]


class Since(Order):
    """Which part of the ledger."""

    since: Annotated[int, Field(ge=0)] = 0
    team: str | None = None


class AddFault(Order):
    """A failure to script."""

    kind: Kind
    vendor: str = "slack"
    method: str = "*"
    team: str | None = None
    channel: str | None = None
    part: str | None = None
    """An id that only the requests to be spoiled name."""
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    error: str = "internal_error"
    body: Any = None
    """What the kinds `json` and `raw` answer with, the megabytes of `gzip`, and where `redirect` leads."""
    retry_after: Annotated[int, Field(ge=0)] = 1
    seconds: Annotated[float, Field(ge=0)] = 1.0
    skip: Annotated[int, Field(ge=0)] = 0
    times: Annotated[int, Field(ge=FOREVER)] = 1
    every: Annotated[int, Field(ge=1)] = 1
    only_with_cursor: bool = False


def routes(simulator: Simulator) -> list[Route]:
    """Every route under /_sim."""
    return [
        order(simulator, "/health", Nothing, _health, method="GET"),
        order(simulator, "/reset", Nothing, _reset),
        order(simulator, "/clock", Nothing, _tell_time, method="GET"),
        order(simulator, "/clock", SetClock, _set_clock),
        order(simulator, "/latency", SetLatency, _set_latency),
        order(simulator, "/ledger", Since, _ledger, method="GET"),
        order(simulator, "/ledger/counts", Since, _counts, method="GET"),
        order(simulator, "/ledger", Nothing, _clear_ledger, method="DELETE"),
        order(simulator, "/fault", Nothing, _faults, method="GET"),
        order(simulator, "/fault", AddFault, _add_fault),
        order(simulator, "/fault", Nothing, _clear_faults, method="DELETE"),
        *authorize.routes(simulator),
        *(route for vendor in VENDORS for route in vendor.orders(simulator)),
    ]


def _health(simulator: Simulator, _: Nothing) -> Json:
    return {"ok": True, "now": simulator.clock.isoformat(), "teams": len(simulator.slack.teams)}


def _reset(simulator: Simulator, _: Nothing) -> Json:
    simulator.reset()
    return {"ok": True}


def _tell_time(simulator: Simulator, _: Nothing) -> Json:
    return {"now": simulator.clock.isoformat(), "epoch": simulator.clock.now()}


def _set_clock(simulator: Simulator, wanted: SetClock) -> Json:
    if wanted.now is not None and wanted.advance_seconds is not None:
        raise OrderError("set the clock or advance it, not both")
    if wanted.now is not None:
        simulator.clock.set(wanted.now, frozen=wanted.frozen)
    elif wanted.advance_seconds is not None:
        simulator.clock.advance(wanted.advance_seconds)
    else:
        simulator.clock.reset()
    return _tell_time(simulator, Nothing())


def _set_latency(simulator: Simulator, wanted: SetLatency) -> Json:
    simulator.latency = wanted.seconds
    return {"seconds": wanted.seconds}


def _ledger(simulator: Simulator, wanted: Since) -> Json:
    entries = simulator.ledger.since(wanted.since, team=wanted.team)
    return {"total": len(simulator.ledger), "requests": [entry.public() for entry in entries]}


def _counts(simulator: Simulator, wanted: Since) -> Json:
    return simulator.ledger.counts(wanted.since, team=wanted.team)


def _clear_ledger(simulator: Simulator, _: Nothing) -> Json:
    simulator.ledger.clear()
    return {"total": len(simulator.ledger)}


def _faults(simulator: Simulator, _: Nothing) -> Json:
    return {"faults": simulator.faults.public()}


def _add_fault(simulator: Simulator, wanted: AddFault) -> Json:
    if wanted.vendor not in NAMES:
        raise OrderError(f"there is no vendor {wanted.vendor}: know {', '.join(NAMES)}")
    given = wanted.model_dump(exclude={"channel", "status"})
    channels = _channels(simulator.slack, wanted.team, wanted.channel) if wanted.vendor == "slack" else None
    fault = Fault(**given, channels=channels)
    if status := wanted.status or STATUSES.get(wanted.kind):
        fault.status = status
    if wanted.kind in CURSOR_KINDS:
        fault.only_with_cursor = True
    return {"id": simulator.faults.add(fault)}


def _clear_faults(simulator: Simulator, _: Nothing) -> Json:
    simulator.faults.clear()
    return {"ok": True}


def _channels(world: SlackWorld, team_id: str | None, channel: str | None) -> frozenset[str] | None:
    """Return the ids a channel's id or name stands for, in one workspace or in all."""
    if team_id is not None:
        team = world.team(team_id)
        return None if channel is None else frozenset({team.channel(channel).id})
    if channel is None:
        return None
    named = {c.id for team in world.teams.values() for c in team.channels.values() if c.name == channel}
    return frozenset(named or {channel})
