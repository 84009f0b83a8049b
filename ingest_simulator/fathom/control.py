"""The control plane's Fathom part: organisations, users and their keys, meetings, and a bit of life."""

import random
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.routing import Route

from ingest_simulator.errors import OrderError
from ingest_simulator.fathom import seeding
from ingest_simulator.fathom.world import NEVER, Grant, Org, Settings, User
from ingest_simulator.orders import Order, order
from ingest_simulator.rotation import rotation
from ingest_simulator.state import Simulator
from ingest_simulator.wire import Json

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
HOUR = 3600.0
ACTIONS = {"meeting": 40, "summary": 20, "complete": 25, "delete": 15}  # in hundredths
Ordering = Literal["newest_first", "oldest_first", "shuffled"]


class AddOrg(Order):
    """An organisation, its first user with a key, and seeded meetings."""

    api_key: str | None = None
    name: str = "Acme"
    id: str | None = None
    seed: int = 0
    email: str = "bob@vendor.example"
    role: str = "account_admin"
    meetings: Count = 0
    segments: Count = 20
    span_hours: Annotated[float, Field(gt=0)] = 240.0
    ends_hours_ago: Annotated[float, Field(ge=0)] = 1.0
    page_size: Positive = 10
    enforce_limits: bool = False
    heavy_limit: Positive = 30
    global_limit: Positive = 60
    order: Ordering = "newest_first"
    oauth_includes: Literal["error", "silent"] = "error"
    client_id: str | None = None
    client_secret: str | None = None
    refresh_token: str | None = None
    access_token: str | None = None
    expires_in: Positive = 3600


class OneOrg(Order):
    """Which organisation."""

    org: str


class AddUser(OneOrg):
    """One more user with a key."""

    api_key: str
    email: str
    name: str | None = None
    role: str = "user"
    sees: Literal["own", "all"] = "own"


class AddMeeting(OneOrg):
    """A meeting; its parts are there so many seconds from now, None for never."""

    id: int | None = None
    title: str | None = None
    hours_ago: float = 1.0
    segments: Count = 20
    lines: list[str] | None = None
    recorded_by: str | None = None
    visible_to: list[str] | None = None
    transcript_after_seconds: float | None = 0.0
    summary_after_seconds: float | None = 0.0
    action_items: Count = 2
    raw: Json = Field(default_factory=dict)


class OneMeeting(OneOrg):
    """Which meeting."""

    recording: int


class Edit(OneMeeting):
    """Other fields."""

    fields: Json


class Summarise(OneMeeting):
    """Another summary."""

    markdown: str


class Complete(OneMeeting):
    """An action item that is done."""

    item: Count = 0


class Speak(OneMeeting):
    """Another transcript, or whether there is one at all."""

    lines: list[str] | None = None
    utterances: list[Any] | None = None
    """Sent as they are."""
    ready: bool = True


class Hide(OneMeeting):
    """From whom."""

    email: str


class Withhold(OneMeeting):
    """A part that is refused with this status; null shows it again."""

    part: Literal["transcript", "summary"]
    status: Annotated[int, Field(ge=400, le=599)] | None = 403


class Replace(OneMeeting):
    """What lists show instead; null for the meeting as it is."""

    payload: Any = None


class SetCredential(OneOrg):
    """A change to one key, or to all keys and tokens."""

    api_key: str | None = None
    revoked: bool


class Change(OneOrg):
    """Other settings."""

    enforce_limits: bool | None = None
    heavy_limit: Positive | None = None
    global_limit: Positive | None = None
    page_size: Positive | None = None
    oauth_includes: Literal["error", "silent"] | None = None
    bad_key_status: Positive | None = None
    reset_written: Literal["seconds", "epoch", "milliseconds", "date", "nonsense", "endless"] | None = None
    order: Ordering | None = None


class Live(OneOrg):
    """Some steps of seeded life."""

    seed: int = 0
    steps: Count = 10


def routes(simulator: Simulator) -> list[Route]:
    """Every route under /_sim/fathom."""
    return [
        order(simulator, "/fathom/org", AddOrg, _add_org),
        order(simulator, "/fathom/user", AddUser, _add_user),
        order(simulator, "/fathom/meeting", AddMeeting, _add_meeting),
        order(simulator, "/fathom/edit", Edit, _edit),
        order(simulator, "/fathom/summary", Summarise, _summarise),
        order(simulator, "/fathom/complete", Complete, _complete),
        order(simulator, "/fathom/transcript", Speak, _speak),
        order(simulator, "/fathom/delete", OneMeeting, _delete),
        order(simulator, "/fathom/restore", OneMeeting, _restore),
        order(simulator, "/fathom/hide", Hide, _hide),
        order(simulator, "/fathom/withhold", Withhold, _withhold),
        order(simulator, "/fathom/raw", Replace, _replace),
        order(simulator, "/fathom/credential", SetCredential, _set_credential),
        order(simulator, "/fathom/settings", Change, _change),
        order(simulator, "/fathom/life", Live, _live),
        order(simulator, "/fathom/state", OneOrg, _state, method="GET"),
    ]


def _add_org(simulator: Simulator, wanted: AddOrg) -> Json:
    world, now = simulator.fathom, simulator.clock.now()
    rng = random.Random(f"{wanted.seed}/{wanted.name}/{wanted.api_key}")  # noqa: S311 - repeatable on purpose
    settings = Settings(
        **wanted.model_dump(
            include={"enforce_limits", "heavy_limit", "global_limit", "page_size", "order", "oauth_includes"}
        )
    )
    org = Org(wanted.id or f"org{rng.randrange(10**9)}", wanted.name, rng, settings)
    if org.id in world.orgs:
        raise OrderError(f"there is an organisation {org.id} already")
    user = _user(org, wanted.email, None, wanted.role, sees_all=True)
    if wanted.api_key is not None:
        world.issue(wanted.api_key, Grant(org, user, is_key=True))
    app = rotation("fathom", wanted.client_id, wanted.client_secret, wanted.refresh_token, wanted.expires_in)
    if app is not None:
        org.rotation = app
        world.issue(
            wanted.access_token or app.first_token(),
            Grant(org, user, is_key=False, expires_at=now + wanted.expires_in),
        )
    elif wanted.api_key is None:
        raise OrderError("an organisation needs api_key, or client_id, client_secret and refresh_token")
    world.orgs[org.id] = org
    end, span = now - wanted.ends_hours_ago * HOUR, wanted.span_hours * HOUR
    step = span / max(1, wanted.meetings)
    for place in range(wanted.meetings):
        created = end - span + place * step + rng.random() * step
        seeding.add_meeting(org, created, user, segments=wanted.segments, visible_to=[user.email])
    return {"org": org.id, "user": user.id, "recordings": list(org.meetings)}


def _user(org: Org, email: str, name: str | None, role: str, *, sees_all: bool) -> User:
    called = name or email.partition("@")[0].title()
    user = User(f"user{len(org.users)}", email, called, role, sees_all)
    org.users.append(user)
    return user


def _add_user(simulator: Simulator, wanted: AddUser) -> Json:
    org = simulator.fathom.org(wanted.org)
    user = _user(org, wanted.email, wanted.name, wanted.role, sees_all=wanted.sees == "all")
    if user.sees_all:
        for meeting in org.meetings.values():
            meeting.visible_to.add(user.email)
    simulator.fathom.issue(wanted.api_key, Grant(org, user, is_key=True))
    return {"user": user.id}


def _add_meeting(simulator: Simulator, wanted: AddMeeting) -> Json:
    org, now = simulator.fathom.org(wanted.org), simulator.clock.now()
    if wanted.id is not None and wanted.id in org.meetings:
        raise OrderError(f"there is a recording {wanted.id} already")
    by = next((user for user in org.users if user.email == wanted.recorded_by), org.users[0])
    everybody = [user.email for user in org.users if user.sees_all or user is by]
    meeting = seeding.add_meeting(
        org,
        now - wanted.hours_ago * HOUR,
        by,
        segments=wanted.segments,
        visible_to=everybody if wanted.visible_to is None else wanted.visible_to,
        action_items=wanted.action_items,
        recording=wanted.id,
        title=wanted.title,
        lines=wanted.lines,
    )
    recording = meeting.id
    meeting.item |= wanted.raw
    meeting.transcript_at = _moment(now, wanted.transcript_after_seconds)
    meeting.summary_at = _moment(now, wanted.summary_after_seconds)
    return {"recording": recording}


def _moment(now: float, after: float | None) -> float:
    return NEVER if after is None else now + after


def _edit(simulator: Simulator, wanted: Edit) -> Json:
    simulator.fathom.org(wanted.org).meeting(wanted.recording).item |= wanted.fields
    return {"recording": wanted.recording}


def _summarise(simulator: Simulator, wanted: Summarise) -> Json:
    meeting = simulator.fathom.org(wanted.org).meeting(wanted.recording)
    meeting.summary = {"template_name": "general", "markdown_formatted": wanted.markdown}
    return {"recording": wanted.recording}


def _complete(simulator: Simulator, wanted: Complete) -> Json:
    meeting = simulator.fathom.org(wanted.org).meeting(wanted.recording)
    if wanted.item >= len(meeting.action_items):
        raise OrderError(f"recording {wanted.recording} has no action item {wanted.item}")
    meeting.action_items[wanted.item]["completed"] = True
    return {"recording": wanted.recording}


def _speak(simulator: Simulator, wanted: Speak) -> Json:
    org = simulator.fathom.org(wanted.org)
    meeting = org.meeting(wanted.recording)
    if wanted.lines is not None:
        guest = meeting.item["calendar_invitees"][0]
        meeting.transcript = seeding.transcript(wanted.lines, guest["name"], guest["email"], org.users[0])
    if wanted.utterances is not None:
        meeting.transcript = wanted.utterances
    meeting.transcript_at = 0.0 if wanted.ready else NEVER
    return {"recording": wanted.recording}


def _delete(simulator: Simulator, wanted: OneMeeting) -> Json:
    simulator.fathom.org(wanted.org).meeting(wanted.recording).deleted = True
    return {"recording": wanted.recording}


def _restore(simulator: Simulator, wanted: OneMeeting) -> Json:
    simulator.fathom.org(wanted.org).meeting(wanted.recording).deleted = False
    return {"recording": wanted.recording}


def _hide(simulator: Simulator, wanted: Hide) -> Json:
    simulator.fathom.org(wanted.org).meeting(wanted.recording).visible_to.discard(wanted.email)
    return {"recording": wanted.recording}


def _withhold(simulator: Simulator, wanted: Withhold) -> Json:
    meeting = simulator.fathom.org(wanted.org).meeting(wanted.recording)
    if wanted.status is None:
        meeting.withheld.pop(wanted.part, None)
    else:
        meeting.withheld[wanted.part] = wanted.status
    return {"recording": wanted.recording}


def _replace(simulator: Simulator, wanted: Replace) -> Json:
    simulator.fathom.org(wanted.org).meeting(wanted.recording).replacement = wanted.payload
    return {"recording": wanted.recording}


def _set_credential(simulator: Simulator, wanted: SetCredential) -> Json:
    org = simulator.fathom.org(wanted.org)
    for token, grant in simulator.fathom.grants.items():
        if grant.org is org and wanted.api_key in (None, token):
            grant.revoked = wanted.revoked
    return {"org": org.id}


def _change(simulator: Simulator, wanted: Change) -> Json:
    org = simulator.fathom.org(wanted.org)
    for name, value in wanted.model_dump(exclude={"org"}, exclude_none=True).items():
        setattr(org.settings, name, value)
    return {"org": org.id}


def _live(simulator: Simulator, wanted: Live) -> Json:
    org, now = simulator.fathom.org(wanted.org), simulator.clock.now()
    rng = random.Random(f"{org.id}/{wanted.seed}")  # noqa: S311 - repeatable on purpose
    done: Counter[str] = Counter(dict.fromkeys(ACTIONS, 0))
    everybody = [user.email for user in org.users if user.sees_all]
    for _ in range(wanted.steps):
        action = rng.choices(list(ACTIONS), list(ACTIONS.values()))[0]
        living = [meeting for meeting in org.meetings.values() if not meeting.deleted]
        if action == "meeting" or not living:
            made = seeding.add_meeting(org, now - 300, org.users[0], segments=12, visible_to=everybody)
            made.transcript_at = now + rng.choice((0.0, 0.0, HOUR, NEVER))
            done["meeting"] += 1
            continue
        meeting = rng.choice(living)
        if action == "summary":
            meeting.summary = {"template_name": "general", "markdown_formatted": f"## Again\n{rng.random()}"}
        elif action == "complete":
            for item in meeting.action_items:
                item["completed"] = True
        else:
            meeting.deleted = True
        done[action] += 1
    return dict(done)


def _state(simulator: Simulator, wanted: OneOrg) -> Json:
    org, now = simulator.fathom.org(wanted.org), simulator.clock.now()
    return {
        "org": org.id,
        "meetings": [
            {
                "recording": meeting.id,
                "title": meeting.item.get("title"),
                "created_at": meeting.item.get("created_at"),
                "deleted": meeting.deleted,
                "transcript": meeting.transcript_at <= now,
                "segments": len(meeting.transcript),
                "summary": (meeting.summary or {}).get("markdown_formatted"),
                "action_items": [
                    {"description": item["description"], "completed": item["completed"]}
                    for item in meeting.action_items
                ],
                "visible_to": sorted(meeting.visible_to),
            }
            for meeting in org.meetings.values()
        ],
    }
