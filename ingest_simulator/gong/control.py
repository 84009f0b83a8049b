"""The control plane's Gong part: companies, calls, keys, and a bit of life."""

import random
from collections import Counter
from hashlib import sha256
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field
from starlette.routing import Route

from ingest_simulator.errors import OrderError
from ingest_simulator.gong import seeding
from ingest_simulator.gong.world import NEVER, SCOPES, Call, Company, Grant, Settings
from ingest_simulator.orders import Order, order
from ingest_simulator.rotation import rotation
from ingest_simulator.state import Simulator
from ingest_simulator.wire import Json

Count = Annotated[int, Field(ge=0)]
HOUR = 3600.0
ACTIONS = {"call": 40, "edit": 30, "transcript": 20, "delete": 10}  # in hundredths


class AddCompany(Order):
    """A company, a key to it and its seeded calls."""

    access_key: str | None = None
    access_key_secret: str | None = None
    name: str = "Acme"
    id: str | None = None
    region: str = "us-1"
    seed: int = 0
    scopes: tuple[str, ...] = SCOPES
    client_id: str | None = None
    client_secret: str | None = None
    refresh_token: str | None = None
    access_token: str | None = None
    expires_in: int = 86_400
    users: Count = 6
    workspaces: Count = 1
    calls: Count = 0
    sentences: Count = 20
    span_hours: Annotated[float, Field(gt=0)] = 240.0
    ends_hours_ago: Annotated[float, Field(ge=0)] = 1.0
    private: Count = 0
    enforce_limits: bool = False
    page_size: Annotated[int, Field(ge=1)] = 100
    order: Literal["newest_first", "oldest_first", "shuffled"] = "shuffled"


class AddCall(Order):
    """A call; its parts are there so many seconds from now, None for never."""

    company: str
    id: str | None = None
    title: str | None = None
    hours_ago: float = 1.0
    duration: Count = 600
    sentences: Count = 20
    lines: list[str] | None = None
    private: bool = False
    appears_after_seconds: float = 0.0
    details_after_seconds: float = 0.0
    transcript_after_seconds: float | None = 0.0
    raw: Json = Field(default_factory=dict)


class OneCompany(Order):
    """Which company."""

    company: str


class OneCall(OneCompany):
    """Which call."""

    call: str


class Edit(OneCall):
    """Other metaData."""

    fields: Json


class Speak(OneCall):
    """Another transcript, or whether there is one at all."""

    sentences: Count | None = None
    lines: list[str] | None = None
    monologues: list[Any] | None = None
    """Sent as they are."""
    ready: bool = True


class Replace(OneCall):
    """What /v2/calls/extensive shows instead; null for the call as it is."""

    payload: Any = None


class SetCredential(OneCompany):
    """A change to all of a company's keys and tokens."""

    revoked: bool | None = None
    scopes: tuple[str, ...] | None = None


class Change(OneCompany):
    """Other settings."""

    enforce_limits: bool | None = None
    page_size: Annotated[int, Field(ge=1)] | None = None
    per_second: Annotated[int, Field(ge=1)] | None = None
    per_day: Annotated[int, Field(ge=1)] | None = None
    order: Literal["newest_first", "oldest_first", "shuffled"] | None = None


class Live(OneCompany):
    """Some steps of seeded life."""

    seed: int = 0
    steps: Count = 10


def routes(simulator: Simulator) -> list[Route]:
    """Every route under /_sim/gong."""
    return [
        order(simulator, "/gong/company", AddCompany, _add_company),
        order(simulator, "/gong/call", AddCall, _add_call),
        order(simulator, "/gong/edit", Edit, _edit),
        order(simulator, "/gong/transcript", Speak, _speak),
        order(simulator, "/gong/delete", OneCall, _delete),
        order(simulator, "/gong/restore", OneCall, _restore),
        order(simulator, "/gong/raw", Replace, _replace),
        order(simulator, "/gong/credential", SetCredential, _set_credential),
        order(simulator, "/gong/settings", Change, _change),
        order(simulator, "/gong/life", Live, _live),
        order(simulator, "/gong/state", OneCompany, _state, method="GET"),
    ]


def _add_company(simulator: Simulator, wanted: AddCompany) -> Json:
    world, now = simulator.gong, simulator.clock.now()
    rng = random.Random(f"{wanted.seed}/{wanted.name}/{wanted.access_key}/{wanted.client_id}")  # noqa: S311 - repeatable on purpose
    company = Company(
        wanted.id or seeding.digits(rng, 15),
        wanted.name,
        wanted.region,
        rng,
        Settings(enforce_limits=wanted.enforce_limits, page_size=wanted.page_size, order=wanted.order),
    )
    if company.id in world.companies:
        raise OrderError(f"there is a company {company.id} already")
    scopes = frozenset(wanted.scopes)
    if wanted.access_key is not None:
        world.issue(wanted.access_key, Grant(company, wanted.access_key_secret, scopes))
    app = rotation("gong", wanted.client_id, wanted.client_secret, wanted.refresh_token, wanted.expires_in)
    if app is not None:
        company.rotation = app
        world.issue(
            wanted.access_token or app.first_token(),
            Grant(company, None, scopes, expires_at=now + wanted.expires_in),
        )
    elif wanted.access_key is None:
        raise OrderError("a company needs access_key, or client_id, client_secret and refresh_token")
    world.companies[company.id] = company
    seeding.add_people(company, wanted.users, wanted.workspaces)
    seeding.add_calls(
        company,
        wanted.calls,
        wanted.sentences,
        end=now - wanted.ends_hours_ago * HOUR,
        span=wanted.span_hours * HOUR,
        private=wanted.private,
    )
    return {
        "company": company.id,
        "base_path": f"/gong/{company.region}",
        "calls": list(company.calls),
        "users": [user["id"] for user in company.users],
        "workspaces": [workspace["id"] for workspace in company.workspaces],
    }


def _add_call(simulator: Simulator, wanted: AddCall) -> Json:
    company, now = simulator.gong.company(wanted.company), simulator.clock.now()
    if wanted.id is not None and wanted.id in company.calls:
        raise OrderError(f"there is a call {wanted.id} already")
    call = seeding.add_call(
        company,
        now - wanted.hours_ago * HOUR,
        sentences=wanted.sentences,
        private=wanted.private,
        call_id=wanted.id,
        title=wanted.title,
        duration=wanted.duration,
    )
    if wanted.lines is not None:
        call.transcript = seeding.spoken(company.rng, _speakers(call), 0, wanted.lines)
    call.facts |= wanted.raw
    after = wanted.transcript_after_seconds
    call.appears_at = now + wanted.appears_after_seconds
    call.details_at = now + wanted.details_after_seconds
    call.transcript_at = NEVER if after is None else now + after
    return {"call": call.id}


def _speakers(call: Call) -> list[str]:
    return [party["speakerId"] for party in call.parts["parties"] if "speakerId" in party]


def _edit(simulator: Simulator, wanted: Edit) -> Json:
    call = simulator.gong.company(wanted.company).call(wanted.call)
    call.facts |= wanted.fields
    call.changed()
    return {"call": call.id}


def _speak(simulator: Simulator, wanted: Speak) -> Json:
    company = simulator.gong.company(wanted.company)
    call = company.call(wanted.call)
    if wanted.sentences is not None or wanted.lines is not None:
        call.transcript = seeding.spoken(company.rng, _speakers(call), wanted.sentences or 0, wanted.lines)
    if wanted.monologues is not None:
        call.transcript = wanted.monologues
    call.transcript_at = 0.0 if wanted.ready else NEVER
    call.changed()
    return {"call": call.id}


def _delete(simulator: Simulator, wanted: OneCall) -> Json:
    simulator.gong.company(wanted.company).call(wanted.call).deleted = True
    return {"call": wanted.call}


def _restore(simulator: Simulator, wanted: OneCall) -> Json:
    simulator.gong.company(wanted.company).call(wanted.call).deleted = False
    return {"call": wanted.call}


def _replace(simulator: Simulator, wanted: Replace) -> Json:
    simulator.gong.company(wanted.company).call(wanted.call).replacement = wanted.payload
    return {"call": wanted.call}


def _set_credential(simulator: Simulator, wanted: SetCredential) -> Json:
    company = simulator.gong.company(wanted.company)
    for grant in simulator.gong.grants_of(company):
        if wanted.revoked is not None:
            grant.revoked = wanted.revoked
        if wanted.scopes is not None:
            grant.scopes = frozenset(wanted.scopes)
    return {"company": company.id}


def _change(simulator: Simulator, wanted: Change) -> Json:
    company = simulator.gong.company(wanted.company)
    for name, value in wanted.model_dump(exclude={"company"}, exclude_none=True).items():
        setattr(company.settings, name, value)
    return {"company": company.id}


def _live(simulator: Simulator, wanted: Live) -> Json:
    company, now = simulator.gong.company(wanted.company), simulator.clock.now()
    rng = random.Random(f"{company.id}/{wanted.seed}")  # noqa: S311 - repeatable on purpose
    done: Counter[str] = Counter(dict.fromkeys(ACTIONS, 0))
    for _ in range(wanted.steps):
        action = rng.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        living = [call for call in company.calls.values() if not call.deleted]
        if action == "call" or not living:
            late = rng.choice((0.0, 0.0, HOUR, NEVER))
            seeding.add_call(company, now - 600, sentences=12).transcript_at = now + late
            done["call"] += 1
            continue
        call = rng.choice(living)
        if action == "edit":
            call.facts["title"] = f"{call.facts['title']} (edited)"
        elif action == "transcript":
            call.transcript_at = 0.0
        else:
            call.deleted = True
        call.changed()
        done[action] += 1
    return dict(done)


def _state(simulator: Simulator, wanted: OneCompany) -> Json:
    company, now = simulator.gong.company(wanted.company), simulator.clock.now()
    return {
        "company": company.id,
        "calls": [
            {
                "id": call.id,
                "title": call.facts.get("title"),
                "started": call.facts.get("started"),
                "private": bool(call.facts.get("isPrivate")),
                "deleted": call.deleted,
                "listed": call.visible(now),
                "transcript": bool(call.transcript) and call.transcript_at <= now,
                "sentences": sum(len((turn or {}).get("sentences") or ()) for turn in call.transcript),
                "text_sha": sha256(orjson.dumps(call.transcript)).hexdigest(),
            }
            for call in company.calls.values()
        ],
    }
