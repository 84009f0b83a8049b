"""The routes of the Gong API under /gong/{region}, where the region stands for a customer's host.

login    Basic key:secret or Bearer token, at the region of the company only; elsewhere 401
empty    a range without a visible call is 404 with a text about it
cursor   only where more follows, only at the top level of the body, for an hour after its first request
denied   a missing scope is 401 for calls and 403 for users and workspaces
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from urllib.parse import parse_qsl
from uuid import uuid4

import orjson
from starlette.types import Receive, Scope, Send

from ingest_simulator.faults import Fault, Kind
from ingest_simulator.gong.tokens import basic
from ingest_simulator.gong.world import Call, Company, Grant
from ingest_simulator.state import Simulator
from ingest_simulator.vendor import Asked, Wire, attend, flattened
from ingest_simulator.wire import JSON_TYPE, Answer, Json, header, read_body

VENDOR = "gong"
CURSOR_LIFE = 3600  # seconds from the first request of a sequence
NO_CALLS = "No calls found corresponding to the provided filters"
PARTS = ("parties", "content", "interaction", "collaboration")

METHODS = {
    ("GET", "calls"): ("calls.list", "api:calls:read:basic", 401),
    ("POST", "calls/extensive"): ("calls.extensive", "api:calls:read:extensive", 401),
    ("POST", "calls/transcript"): ("calls.transcript", "api:calls:read:transcript", 401),
    ("GET", "users"): ("users.list", "api:users:read", 403),
    ("GET", "workspaces"): ("workspaces.list", "api:workspaces:read", 403),
}
ONE_CALL = ("calls.get", "api:calls:read:basic", 401)


class GongError(Exception):
    """The request is answered with this status and text."""

    def __init__(self, status: int, text: str, *, retry_after: int | None = None) -> None:
        super().__init__(text)
        self.status, self.text, self.retry_after = status, text, retry_after

    def answer(self) -> Answer:
        body = orjson.dumps({"requestId": uuid4().hex[:19], "errors": [self.text]})
        more = () if self.retry_after is None else ((b"retry-after", str(self.retry_after).encode()),)
        return Answer(body, self.status, (JSON_TYPE, *more), self.text[:60])


@dataclass(slots=True)
class _Asked:
    """A request that was understood as far as its path."""

    method: str
    scope: str
    denied: int
    path: str
    query: dict[str, str]
    body: Json | None
    grant: Grant | None
    region: str
    now: float
    repeat_cursor: bool = False


class GongApi:
    """The ASGI application behind a customer's host."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path_params"]["path"]
        method, needed, denied = METHODS.get((scope["method"], path)) or (
            ONE_CALL if scope["method"] == "GET" and path.startswith("calls/") else ("unknown", "", 404)
        )
        query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        body = _parsed(await read_body(receive)) if scope["method"] == "POST" else {}
        if method == "calls.extensive" and "callIds" in _filter(body):
            method = "calls.by_id"
        grant = self._grant(header(scope, b"authorization"))
        asked = _Asked(method, needed, denied, path, query, body, grant, scope["path_params"]["region"], 0.0)
        company = None if grant is None else grant.company.id
        params = query | flattened({k: v for k, v in (body or {}).items() if k != "contentSelector"})
        if path.startswith("calls/"):
            params["id"] = path.removeprefix("calls/")
        await attend(
            self._simulator,
            Wire(scope, receive, send),
            Asked(VENDOR, method, company, params),
            lambda repeat: self._answer(asked, repeat),
            instead,
        )

    def _grant(self, authorization: str) -> Grant | None:
        kind, _, credential = authorization.partition(" ")
        grants = self._simulator.gong.grants
        if kind.lower() == "bearer":
            found = grants.get(credential)
            return found if found is not None and found.secret is None else None
        key, _, secret = basic(authorization)
        found = grants.get(key)
        return found if found is not None and found.secret == secret else None

    def _answer(self, asked: _Asked, repeat_cursor: bool) -> Answer:
        asked.now, asked.repeat_cursor = self._simulator.clock.now(), repeat_cursor
        try:
            company = self._authorised(asked)
            if asked.body is None:
                raise GongError(400, "Could not parse the request body")
            match asked.method:
                case "calls.list":
                    return _calls_list(company, asked)
                case "calls.get":
                    return _call_get(company, asked)
                case "calls.extensive" | "calls.by_id":
                    return _extensive(company, asked)
                case "calls.transcript":
                    return _transcripts(company, asked)
                case "users.list":
                    return _users(company, asked)
                case _:
                    return _ok(b'"workspaces":' + orjson.dumps(company.workspaces))
        except GongError as error:
            return error.answer()

    def _authorised(self, asked: _Asked) -> Company:
        grant = asked.grant
        if asked.method == "unknown":
            raise GongError(404, "Not found")
        expired = grant is not None and grant.expires_at is not None and asked.now >= grant.expires_at
        if grant is None or grant.revoked or expired or grant.company.region != asked.region:
            raise GongError(401, "Missing or invalid credentials, or the access token has been revoked")
        if wait := grant.company.wait_needed(asked.now):
            raise GongError(429, "API rate limit exceeded", retry_after=wait)
        if asked.scope not in grant.scopes:
            raise GongError(asked.denied, "Access denied")
        return grant.company


def _calls_list(company: Company, asked: _Asked) -> Answer:
    found = _between(company, asked.query, asked, required=True)
    page, records = _page(company, found, asked, asked.query.get("cursor"), asked.query)
    return _ok(b'"records":' + orjson.dumps(records), b'"calls":' + orjson.dumps([c.facts for c in page]))


def _call_get(company: Company, asked: _Asked) -> Answer:
    call = company.calls.get(asked.path.removeprefix("calls/"))
    if call is None or not call.visible(asked.now):
        raise GongError(404, "Call ID was not found")
    return _ok(b'"call":' + orjson.dumps(call.facts))


def _extensive(company: Company, asked: _Asked) -> Answer:
    body, chosen = _filtered(asked)
    selector = body.get("contentSelector") or {}
    exposed = selector.get("exposedFields") or {}
    selected = tuple(part for part in PARTS if exposed.get(part))
    if selector.get("context") in ("Basic", "Extended"):
        selected = ("context", *selected)
    found = _between(company, chosen, asked, required="callIds" not in chosen)
    page, records = _page(company, found, asked, body.get("cursor"), chosen)
    items = [call.extensive(selected, asked.now) for call in page]
    if exposed.get("media"):
        items = [_with_media(item) for item in items]
    return _ok(b'"records":' + orjson.dumps(records), b'"calls":[' + b",".join(items) + b"]")


def _with_media(item: bytes) -> bytes:
    signed = f"https://media.example/{uuid4().hex}?X-Amz-Expires=28799"
    return orjson.dumps(orjson.loads(item) | {"media": {"audioUrl": signed, "videoUrl": signed}})


def _transcripts(company: Company, asked: _Asked) -> Answer:
    body, chosen = _filtered(asked)
    found = [
        call
        for call in _between(company, chosen, asked, required="callIds" not in chosen)
        if call.transcript_at <= asked.now and call.transcript
    ]
    page, records = _page(company, found, asked, body.get("cursor"), chosen)
    items = b",".join(call.spoken() for call in page)
    return _ok(b'"records":' + orjson.dumps(records), b'"callTranscripts":[' + items + b"]")


def _users(company: Company, asked: _Asked) -> Answer:
    size = company.settings.page_size
    start = 0
    if cursor := asked.query.get("cursor"):
        start = int(_decoded(cursor, "users", asked.now)["after"])
    shown = company.users[start : start + size]
    records: Json = {
        "totalRecords": len(company.users),
        "currentPageSize": len(shown),
        "currentPageNumber": start // size,
    }
    if start + size < len(company.users):
        records["cursor"] = _encoded("users", str(start + size), asked.now)
    return _ok(b'"records":' + orjson.dumps(records), b'"users":' + orjson.dumps(shown))


def _filtered(asked: _Asked) -> tuple[Json, Json]:
    body = asked.body or {}
    if not isinstance(body.get("filter"), dict):
        raise GongError(400, "filter: must not be null")
    return body, _filter(body)


def _filter(body: Json | None) -> Json:
    chosen = (body or {}).get("filter")
    return chosen if isinstance(chosen, dict) else {}


def _between(company: Company, chosen: Json, asked: _Asked, *, required: bool) -> list[Call]:
    since, until = (_moment(chosen, name, required=required) for name in ("fromDateTime", "toDateTime"))
    if since is not None and until is not None and since >= until:
        raise GongError(400, "filter.fromDateTime: must be before toDateTime")
    ids = chosen.get("callIds")
    candidates = (
        list(company.calls.values())
        if ids is None
        else [company.calls[one] for one in ids if one in company.calls]
    )
    wanted = chosen.get("workspaceId")
    return [
        call
        for call in candidates
        if call.visible(asked.now)
        and (since is None or since <= call.moment)
        and (until is None or call.moment < until)
        and (wanted is None or call.facts["workspaceId"] == wanted)
    ]


def _moment(chosen: Json, name: str, *, required: bool) -> float | None:
    given = chosen.get(name)
    if given is None:
        if required:
            raise GongError(400, f"filter.{name}: must not be null")
        return None
    try:
        moment = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise GongError(400, f"filter.{name}: not an ISO-8601 date") from None
    if moment.tzinfo is None:
        raise GongError(400, f"filter.{name}: lacks an offset")
    return moment.timestamp()


def _page(
    company: Company, found: Sequence[Call], asked: _Asked, cursor: object, chosen: Json
) -> tuple[list[Call], Json]:
    if not found:
        raise GongError(404, NO_CALLS)
    order, size = company.settings.order, company.settings.page_size
    query = _digest(asked.method, chosen)
    ordered = sorted(found, key=lambda call: call.sort_key(order))
    first_at, number, after = asked.now, 0, None
    if cursor:
        decoded = _decoded(cursor, query, asked.now)
        first_at, number = decoded["at"], decoded["number"]
        after = (decoded["after"][0], decoded["after"][1])
        ordered = [call for call in ordered if call.sort_key(order) > after]
    page = ordered[:size]
    records: Json = {"totalRecords": len(found), "currentPageSize": len(page), "currentPageNumber": number}
    if asked.repeat_cursor and cursor:
        records["cursor"] = cursor
    elif len(ordered) > size:
        records["cursor"] = _encoded(query, page[-1].sort_key(order), first_at, number + 1)
    return page, records


def _digest(method: str, chosen: Json) -> str:
    inputs = {name: value for name, value in chosen.items() if name != "cursor"}
    return sha256(method.encode() + orjson.dumps(inputs, option=orjson.OPT_SORT_KEYS)).hexdigest()[:16]


def _encoded(query: str, after: object, at: float, number: int = 1) -> str:
    return urlsafe_b64encode(orjson.dumps({"query": query, "after": after, "at": at, "number": number})).decode()


def _decoded(cursor: object, query: str, now: float) -> Json:
    try:
        decoded: Json = orjson.loads(urlsafe_b64decode(str(cursor)))
    except (Base64Error, ValueError):
        raise GongError(400, "cursor: invalid") from None
    if decoded.get("query") != query:
        raise GongError(400, "cursor: does not belong to this request")
    if now - decoded["at"] > CURSOR_LIFE:
        raise GongError(400, "The cursor has expired")
    return decoded


def instead(fault: Fault) -> Answer | None:
    match fault.kind:
        case Kind.RATELIMIT:
            return GongError(429, "API rate limit exceeded", retry_after=fault.retry_after).answer()
        case Kind.ERROR:
            return GongError(fault.status, fault.error).answer()
        case Kind.INVALID_CURSOR:
            return GongError(fault.status, "The cursor has expired").answer()
        case Kind.GARBAGE_PAGE:
            return Answer(b'{"requestId":"x","records":{},"calls":"oops","users":"oops"}')
        case _:
            return None


def _ok(*members: bytes) -> Answer:
    request_id = b'"requestId":"' + uuid4().hex[:19].encode() + b'"'
    return Answer(b"{" + b",".join((request_id, *members)) + b"}")


def _parsed(body: bytes) -> Json | None:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return document if isinstance(document, dict) else None
