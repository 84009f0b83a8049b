"""The route of Slack's Web API: authentication, faults and limits around every method.

answers  HTTP 200 even for errors, except 429; every answer to a known token carries x-oauth-scopes
token    the Authorization header, or the argument `token`
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest_simulator.authorize import AuthorizePage
from ingest_simulator.faults import Fault, Kind
from ingest_simulator.slack import directory, identity, reading, searching
from ingest_simulator.slack.call import Call, SlackError
from ingest_simulator.slack.limits import wait_needed
from ingest_simulator.slack.world import Grant
from ingest_simulator.state import Simulator
from ingest_simulator.vendor import Asked, Wire, attend
from ingest_simulator.wire import JSON_TYPE, Answer, BodyError, header, read_params

VENDOR = "slack"
OAUTH = "oauth.v2.access"


@dataclass(slots=True, frozen=True)
class Method:
    """A Web API method, its rate limit tier and the scope it always needs."""

    run: Callable[[Call], bytes]
    tier: int | None = None
    scope: str | None = None


METHODS = {
    "auth.test": Method(identity.auth_test),
    "team.info": Method(identity.team_info, 3, "team:read"),
    "users.list": Method(directory.users_list, 2, "users:read"),
    "users.info": Method(directory.users_info, 4, "users:read"),
    "users.conversations": Method(directory.users_conversations, 3),
    "conversations.list": Method(directory.conversations_list, 2),
    "conversations.info": Method(directory.conversations_info, 3),
    "conversations.members": Method(directory.conversations_members, 4),
    "conversations.join": Method(directory.conversations_join, 3),
    "conversations.history": Method(reading.history, 3),
    "conversations.replies": Method(reading.replies, 3),
    "search.messages": Method(searching.messages, 2),
}

LISTS = {
    "users.list": "members",
    "conversations.members": "members",
    "conversations.list": "channels",
    "users.conversations": "channels",
}


@dataclass(slots=True)
class _Request:
    """What was asked, by whom, and what is wrong with how it was sent, if anything."""

    method: str
    params: dict[str, str]
    grant: Grant | None
    refusal: str | None


def routes(simulator: Simulator) -> list[Route]:
    def knows(client_id: str) -> bool:
        return simulator.slack.rotated(client_id) is not None

    return [
        Route("/slack/oauth/v2/authorize", AuthorizePage(simulator, VENDOR, knows, separator=",")),
        Route("/slack/api/{method}", SlackApi(simulator)),
    ]


class SlackApi:
    """The ASGI application behind /slack/api/{method}."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method: str = scope["path_params"]["method"]
        refusal = None
        try:
            params = await read_params(scope, receive)
        except BodyError as error:
            params, refusal = {}, error.code
        _add_credentials(method, params, header(scope, b"authorization"))
        grant = self._simulator.slack.grants.get(params.get("token", ""))
        team = self._team_id(method, params, grant)
        request = _Request(method, params, grant, refusal)
        await attend(
            self._simulator,
            Wire(scope, receive, send),
            Asked(VENDOR, method, team, params),
            lambda repeat_cursor: self._answer(request, repeat_cursor=repeat_cursor),
            lambda fault: _instead(fault, method),
        )

    def _team_id(self, method: str, params: dict[str, str], grant: Grant | None) -> str | None:
        if grant is not None:
            return grant.team.id
        if method != OAUTH:
            return None
        team = self._simulator.slack.rotated(params.get("client_id", ""))
        return None if team is None else team.id

    def _answer(self, request: _Request, *, repeat_cursor: bool = False) -> Answer:
        method, params, grant = request.method, request.params, request.grant
        headers = (JSON_TYPE,) if grant is None else (JSON_TYPE, *grant.headers)
        now = self._simulator.clock.now()
        try:
            if request.refusal is not None:
                raise SlackError(request.refusal)
            if method == OAUTH:
                return Answer(identity.access(self._simulator, params, now), headers=headers)
            known = METHODS.get(method)
            if known is None:
                raise SlackError("unknown_method", req_method=method)
            caller = _authenticated(params, grant, now)
            if wait := wait_needed(caller.team, method, known.tier, now):
                return _ratelimited(wait, headers)
            call = Call(caller, params, now, repeat_cursor)
            if known.scope is not None:
                call.require(known.scope)
            return Answer(known.run(call), headers=headers)
        except SlackError as error:
            return Answer(error.body(), headers=headers, error=error.code)


def _add_credentials(method: str, params: dict[str, str], authorization: str) -> None:
    """Copy what the Authorization header says into the parameters."""
    kind, _, credential = authorization.partition(" ")
    if kind.lower() == "bearer":
        params["token"] = credential.strip()
    elif kind.lower() == "basic" and method == OAUTH:
        try:
            user, _, password = b64decode(credential).decode().partition(":")
        except (Base64Error, UnicodeDecodeError):
            return
        params["client_id"], params["client_secret"] = user, password


def _authenticated(params: dict[str, str], grant: Grant | None, now: float) -> Grant:
    if not params.get("token"):
        raise SlackError("not_authed")
    if grant is None:
        raise SlackError("invalid_auth")
    if grant.revoked:
        raise SlackError("token_revoked")
    if grant.expires_at is not None and now >= grant.expires_at:
        raise SlackError("token_expired")
    return grant


def _ratelimited(wait: int, headers: tuple[tuple[bytes, bytes], ...] = (JSON_TYPE,)) -> Answer:
    retry_after = (b"retry-after", str(wait).encode())
    body = SlackError("ratelimited").body()
    return Answer(body, 429, (*headers, retry_after), "ratelimited")


def _instead(fault: Fault, method: str) -> Answer | None:
    """Return the answer a fault gives instead of the method's, None if the method is to run after all."""
    match fault.kind:
        case Kind.ERROR:
            return Answer(SlackError(fault.error).body(), error=fault.error)
        case Kind.INVALID_CURSOR:
            return Answer(SlackError("invalid_cursor").body(), error="invalid_cursor")
        case Kind.RATELIMIT:
            return _ratelimited(fault.retry_after)
        case Kind.GARBAGE_PAGE:
            return Answer(b'{"ok":true,"%s":"oops"}' % LISTS.get(method, "messages").encode())
        case _:
            return None
