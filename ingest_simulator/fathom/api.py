"""The routes of the Fathom API under /fathom/external/v1.

login    X-Api-Key of a user, or Bearer token of an OAuth app, which may not ask for transcripts in lists
cursor   a page number: what comes or goes while somebody pages shifts the pages
share    a recording may be listed and its transcript or summary be refused: 403 for a limited share
limits   60 requests a minute for a user, 30 of them heavy; RateLimit headers on every answer
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from dataclasses import dataclass
from datetime import datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs, parse_qsl
from zlib import crc32

import orjson
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest_simulator.authorize import AuthorizePage
from ingest_simulator.consent import CodeError
from ingest_simulator.fathom.world import (
    OLDEST_FIRST,
    SHUFFLED,
    Allowance,
    Grant,
    Meeting,
    Org,
    count_request,
)
from ingest_simulator.faults import Fault, Kind
from ingest_simulator.state import Simulator
from ingest_simulator.vendor import Asked, Wire, attend
from ingest_simulator.wire import JSON_TYPE, Answer, Json, header, read_body

VENDOR = "fathom"
BASE = "/fathom/external/v1"
LISTS = {
    "meetings": "meetings.list",
    "users": "users.list",
    "teams": "teams.list",
    "team_members": "team_members.list",
    "meeting_types": "meeting_types.list",
}
RECORDING_PARTS = ("transcript", "summary")
NAMES_A_PAGE = 25


class FathomError(Exception):
    """The request is answered with this status."""

    def __init__(self, status: int, text: str, *, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.retry_after = status, text, retry_after

    def answer(self, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Answer:
        more = () if self.retry_after is None else ((b"retry-after", str(self.retry_after).encode()),)
        body = orjson.dumps({"error": self.text})
        return Answer(body, self.status, (JSON_TYPE, *headers, *more), self.text[:60])


@dataclass(slots=True)
class _Asked:
    """A request that was understood as far as its path."""

    method: str
    part: str
    recording: str
    query: dict[str, list[str]]
    grant: Grant | None
    repeat_cursor: bool = False
    now: float = 0.0

    def one(self, name: str) -> str | None:
        return self.query[name][-1] if name in self.query else None

    def flag(self, name: str) -> bool:
        given = self.one(name)
        if given not in (None, "true", "false"):
            raise FathomError(400, f"{name} must be true or false")
        return given == "true"

    @property
    def heavy(self) -> bool:
        inline = self.one("include_transcript") == "true" or self.one("include_summary") == "true"
        return bool(self.recording) or (self.method == "meetings.list" and inline)


def routes(simulator: Simulator) -> list[Route]:
    def knows(client_id: str) -> bool:
        return simulator.fathom.app(client_id) is not None

    return [
        Route(f"{BASE}/oauth2/authorize", AuthorizePage(simulator, VENDOR, knows)),
        Route(f"{BASE}/oauth2/token", TokenApi(simulator)),
        Route(f"{BASE}/{{path:path}}", FathomApi(simulator)),
    ]


class FathomApi:
    """The ASGI application behind the API."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        parts = scope["path_params"]["path"].split("/")
        method, part, recording = LISTS.get(parts[0], "unknown"), parts[-1], ""
        if len(parts) == 3 and parts[0] == "recordings" and part in RECORDING_PARTS:
            method, recording = f"recordings.{part}", parts[1]
        if scope["method"] != "GET":
            method = "unknown"
        grant = self._grant(scope)
        asked = _Asked(method, part, recording, query, grant)
        params = {name: ",".join(values) for name, values in query.items()}
        if recording:
            params["recording"] = recording
        await attend(
            self._simulator,
            Wire(scope, receive, send),
            Asked(VENDOR, method, None if grant is None else grant.org.id, params),
            lambda repeat: self._answer(asked, repeat),
            _instead,
        )

    def _grant(self, scope: Scope) -> Grant | None:
        grants = self._simulator.fathom.grants
        if key := header(scope, b"x-api-key"):
            found = grants.get(key)
            return found if found is not None and found.is_key else None
        kind, _, token = header(scope, b"authorization").partition(" ")
        found = grants.get(token) if kind.lower() == "bearer" else None
        return found if found is not None and not found.is_key else None

    def _answer(self, asked: _Asked, repeat_cursor: bool) -> Answer:
        asked.now, asked.repeat_cursor = self._simulator.clock.now(), repeat_cursor
        headers: tuple[tuple[bytes, bytes], ...] = ()
        try:
            grant = self._authorised(asked)
            allowance = count_request(grant.org.settings, grant.user, asked.now, heavy=asked.heavy)
            headers = _told(allowance, grant.org.settings.reset_written, asked.now)
            if allowance.wait:
                raise FathomError(429, "rate limit exceeded", retry_after=allowance.wait)
            return Answer(orjson.dumps(self._document(grant, asked)), headers=(JSON_TYPE, *headers))
        except FathomError as error:
            return error.answer(headers)

    def _authorised(self, asked: _Asked) -> Grant:
        grant = asked.grant
        if asked.method == "unknown":
            raise FathomError(404, "not found")
        if grant is None:
            raise FathomError(401, "unauthorized")
        if grant.revoked or (grant.expires_at is not None and asked.now >= grant.expires_at):
            raise FathomError(grant.org.settings.bad_key_status, "unauthorized")
        return grant

    def _document(self, grant: Grant, asked: _Asked) -> Json:
        if asked.recording:
            return _recording(grant, asked)
        if asked.method == "meetings.list":
            return _meetings(grant, asked)
        if asked.method == "users.list" and grant.user.role != "account_admin":
            raise FathomError(403, "forbidden")
        names = [
            {"name": user.name, "email": user.email, "created_at": "2024-06-01T08:30:00Z"}
            for user in grant.org.users
        ]
        items = names if asked.method in ("users.list", "team_members.list") else []
        return {"limit": NAMES_A_PAGE, "next_cursor": None, "items": items}


def _recording(grant: Grant, asked: _Asked) -> Json:
    known = grant.org.meetings.get(int(asked.recording)) if asked.recording.isdecimal() else None
    if known is None or known.deleted or grant.user.email not in known.visible_to:
        raise FathomError(404, "not found")
    if asked.part in known.withheld:
        raise FathomError(known.withheld[asked.part], "withheld")
    if asked.part == "transcript":
        return {"transcript": known.transcript if known.transcript_at <= asked.now else []}
    return {"summary": known.summary if known.summary_at <= asked.now else None}


def _meetings(grant: Grant, asked: _Asked) -> Json:
    org = grant.org
    inline = asked.flag("include_transcript"), asked.flag("include_summary")
    if not grant.is_key and any(inline):
        if org.settings.oauth_includes == "error":
            raise FathomError(400, "include_transcript and include_summary are not available to OAuth apps")
        inline = False, False
    after, before = _moment(asked, "created_after"), _moment(asked, "created_before")
    recorded_by = asked.query.get("recorded_by[]")
    found = [
        meeting
        for meeting in org.seen_by(grant.user)
        if (after is None or after <= meeting.created)
        and (before is None or meeting.created < before)
        and (recorded_by is None or meeting.item["recorded_by"]["email"] in recorded_by)
    ]
    found.sort(key=_sort_key(org))
    page, size = _page_number(asked), org.settings.page_size
    shown = found[(page - 1) * size : page * size]
    more = page * size < len(found)
    following = b64encode(orjson.dumps({"page_num": page + 1})).decode() if more else None
    if asked.repeat_cursor and (given := asked.one("cursor")):
        following = given
    return {
        "limit": size,
        "next_cursor": following,
        "items": [_item(meeting, asked, *inline) for meeting in shown],
    }


def _item(meeting: Meeting, asked: _Asked, transcript: bool, summary: bool) -> Any:
    if meeting.replacement is not None:
        return meeting.replacement
    heard = transcript and meeting.transcript_at <= asked.now and "transcript" not in meeting.withheld
    summed_up = summary and meeting.summary_at <= asked.now and "summary" not in meeting.withheld
    return meeting.item | {
        "transcript": meeting.transcript if heard else None,
        "default_summary": meeting.summary if summed_up else None,
        "action_items": meeting.action_items if asked.flag("include_action_items") else None,
        "crm_matches": {"contacts": [], "companies": [], "deals": [], "error": None}
        if asked.flag("include_crm_matches")
        else None,
    }


def _sort_key(org: Org) -> Any:
    if org.settings.order == SHUFFLED:
        return lambda meeting: crc32(str(meeting.id).encode())
    sign = 1 if org.settings.order == OLDEST_FIRST else -1
    return lambda meeting: (sign * meeting.created, meeting.id)


def _page_number(asked: _Asked) -> int:
    cursor = asked.one("cursor")
    if cursor is None:
        return 1
    try:
        return int(orjson.loads(b64decode(cursor))["page_num"])
    except (Base64Error, ValueError, KeyError, TypeError):
        raise FathomError(400, "invalid cursor") from None


def _moment(asked: _Asked, name: str) -> float | None:
    given = asked.one(name)
    if given is None:
        return None
    try:
        return datetime.fromisoformat(given).timestamp()
    except ValueError:
        raise FathomError(400, f"{name} is not an ISO-8601 date") from None


def _told(allowance: Allowance, reset_written: str, now: float) -> tuple[tuple[bytes, bytes], ...]:
    free_at = now + allowance.reset
    reset = {
        "seconds": str(allowance.reset),
        "epoch": str(round(free_at)),
        "milliseconds": str(round(free_at * 1000)),
        "date": formatdate(free_at, usegmt=True),
        "nonsense": "soon",
        "endless": "9" * 18,
    }[reset_written]
    return (
        (b"ratelimit-limit", str(allowance.limit).encode()),
        (b"ratelimit-remaining", str(allowance.remaining).encode()),
        (b"ratelimit-reset", reset.encode()),
    )


class TokenApi:
    """Where OAuth apps get and refresh their tokens."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(parse_qsl((await read_body(receive)).decode("latin-1")))
        org = self._simulator.fathom.app(given.get("client_id", ""))
        await attend(
            self._simulator,
            Wire(scope, receive, send),
            Asked(VENDOR, "oauth.token", None if org is None else org.id, given),
            lambda _repeat: self._answer(org, given),
            _instead,
        )

    def _answer(self, org: Org | None, given: dict[str, str]) -> Answer:
        world, now = self._simulator.fathom, self._simulator.clock.now()
        if org is None or org.rotation is None or given.get("client_secret") != org.rotation.client_secret:
            return FathomError(401, "invalid_client").answer()
        rotation = org.rotation
        tokens = [grant for grant in world.grants.values() if grant.org is org and not grant.is_key]
        lasting = True
        if given.get("grant_type") == "authorization_code":
            try:
                lasting = self._simulator.consents.redeem(
                    given.get("code", ""), rotation.client_id, given, now
                ).refresh_token
            except CodeError:
                return FathomError(400, "invalid_grant").answer()
        elif given.get("grant_type") != "refresh_token":
            return FathomError(400, "unsupported_grant_type").answer()
        elif any(grant.revoked for grant in tokens) or given.get("refresh_token") != rotation.refresh_token:
            return FathomError(400, "invalid_grant").answer()
        token = rotation.next_pair()
        world.issue(token, Grant(org, org.users[0], is_key=False, expires_at=now + rotation.expires_in))
        document = {
            "access_token": token,
            "refresh_token": rotation.refresh_token,
            "expires_in": rotation.expires_in,
            "token_type": "bearer",
        }
        if not lasting:
            del document["refresh_token"]
        return Answer(orjson.dumps(document))


def _instead(fault: Fault) -> Answer | None:
    match fault.kind:
        case Kind.RATELIMIT:
            return FathomError(429, "rate limit exceeded", retry_after=fault.retry_after).answer()
        case Kind.ERROR:
            return FathomError(fault.status, fault.error).answer()
        case Kind.INVALID_CURSOR:
            return FathomError(fault.status, "invalid cursor").answer()
        case Kind.GARBAGE_PAGE:
            return Answer(b'{"limit":10,"items":"oops"}')
        case _:
            return None
