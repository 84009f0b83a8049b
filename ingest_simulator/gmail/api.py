"""The routes of the Gmail API under /gmail, its batch endpoint and Google's token endpoint.

login    Bearer access tokens, got for a refresh token or for a service account's signed assertion
batch    one HTTP request with up to 100 calls, each with a status of its own, answered in any order
"""

import random
import re
import time
from base64 import urlsafe_b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit
from uuid import uuid4

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest_simulator.authorize import AuthorizePage
from ingest_simulator.consent import CodeError
from ingest_simulator.faults import Fault, Kind
from ingest_simulator.gmail.answers import Call, GmailError, answer
from ingest_simulator.gmail.world import Access, Login, ServiceAccount
from ingest_simulator.state import Simulator
from ingest_simulator.vendor import LOGIN_PAGE, Asked, Wire, attend
from ingest_simulator.wire import JSON_TYPE, Answer, Json, header, read_body

VENDOR = "gmail"
MOST_INNER = 100
JWT_GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
USER_PATH = re.compile(r"/gmail/v1/users/([^/]+)/(.+)")
METHODS = (
    (re.compile(r"profile"), "profile"),
    (re.compile(r"labels"), "labels.list"),
    (re.compile(r"threads"), "threads.list"),
    (re.compile(r"threads/([^/]+)"), "threads.get"),
    (re.compile(r"messages"), "messages.list"),
    (re.compile(r"messages/([^/]+)"), "messages.get"),
    (re.compile(r"messages/([^/]+)/attachments/([^/]+)"), "attachments.get"),
    (re.compile(r"history"), "history.list"),
)
REASONS = {401: "authError", 403: "userRateLimitExceeded", 404: "notFound", 429: "rateLimitExceeded"}
INSTEAD: dict[Kind, Callable[[Fault], bytes]] = {
    Kind.HTML: lambda _fault: LOGIN_PAGE,
    Kind.JSON: lambda fault: orjson.dumps(fault.body),
    Kind.RAW: lambda fault: str(fault.body).encode(),
}
"""What a call inside a batch is answered with."""
INNER_FAULTS = frozenset({Kind.STATUS, Kind.ERROR, Kind.RATELIMIT, Kind.TRUNCATE, Kind.MISSING, *INSTEAD})


def routes(simulator: Simulator) -> list[Route]:
    api, batch = GmailApi(simulator), BatchApi(simulator)

    def knows(client_id: str) -> bool:
        return any(login.client_id == client_id for login in simulator.gmail.logins.values())

    return [
        Route("/gmail/o/oauth2/v2/auth", AuthorizePage(simulator, VENDOR, knows)),
        Route("/gmail/token", TokenApi(simulator)),
        Route("/gmail/batch", batch),
        Route("/gmail/batch/gmail/v1", batch),
        Route("/gmail/{path:path}", api),
    ]


def _understood(path: str) -> tuple[str, str, tuple[str, ...]]:
    """Return the user, the method's name and the ids in a path."""
    if found := USER_PATH.fullmatch(path):
        for pattern, method in METHODS:
            if ids := pattern.fullmatch(found[2]):
                return unquote(found[1]), method, tuple(map(unquote, ids.groups()))
    return "", "unknown", ()


class _Methods:
    """Carries single calls out, however they came."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    def access(self, scope: Scope) -> Access | None:
        kind, _, token = header(scope, b"authorization").partition(" ")
        return self._simulator.gmail.tokens.get(token) if kind.lower() == "bearer" else None

    def run(
        self,
        access: Access | None,
        user: str,
        method: str,
        ids: tuple[str, ...],
        query: dict[str, list[str]],
        *,
        repeat: bool = False,
    ) -> tuple[int, bytes, str | None]:
        """Return the status, the body and the reason."""
        try:
            if access is None or not access.valid():
                raise GmailError(401, "authError", "Invalid Credentials")
            if method == "unknown":
                raise GmailError(404, "notFound", "Not Found")
            if user not in ("me", access.email):
                raise GmailError(403, "forbidden", f"Delegation denied for {access.email}")
            box = self._simulator.gmail.mailboxes.get(access.email)
            if box is None:
                raise GmailError(400, "failedPrecondition", "Mail service not enabled")
            call = Call(box, access, method, ids, query, self._simulator.clock.now(), repeat)
            return 200, answer(call), None
        except GmailError as error:
            return error.status, error.body(), error.reason


class GmailApi(_Methods):
    """The ASGI application behind single calls."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        user, method, ids = _understood(f"/{scope['path_params']['path']}")
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        access = self.access(scope)
        params = {name: ",".join(values) for name, values in query.items()} | {"ids": ",".join(ids)}
        if "pageToken" in params:
            params["cursor"] = params["pageToken"]

        def run(repeat: bool) -> Answer:
            status, body, reason = self.run(access, user, method, ids, query, repeat=repeat)
            return Answer(body, status, (JSON_TYPE,), reason)

        team = None if access is None else access.email
        await attend(
            self._simulator, Wire(scope, receive, send), Asked(VENDOR, method, team, params), run, _instead
        )


class BatchApi(_Methods):
    """The ASGI application behind the batch endpoint."""

    _last: Answer | None = None
    """What the last request was answered with."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await read_body(receive)
        inner = _inner_requests(body, header(scope, b"content-type"))
        access = self.access(scope)
        methods = sorted({method for _, _, method, _, _ in inner})
        ids = ",".join(one for _, _, _, ids, _ in inner for one in ids)
        params = {"calls": str(len(inner)), "methods": ",".join(methods), "ids": ids}
        team = None if access is None else access.email
        await attend(
            self._simulator,
            Wire(scope, receive, send),
            Asked(VENDOR, "batch", team, params),
            lambda _repeat: self._answer(access, inner),
            self._instead,
        )

    def _answer(self, access: Access | None, inner: list[Any]) -> Answer:
        if len(inner) > MOST_INNER:
            text = f"Inner request count exceeds the limit. Received: {len(inner)}, Limit: {MOST_INNER}"
            return Answer(GmailError(400, "badRequest", text).body(), 400, error="badRequest")
        boundary = f"batch_{uuid4().hex}"
        parts = []
        for content_id, user, method, ids, query in inner:
            if (answered := self._one(access, user, method, ids, query)) is None:
                continue
            status, body = answered
            parts.append(
                f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: {content_id}\r\n\r\n"
                f"HTTP/1.1 {status} {'OK' if status == 200 else 'Error'}\r\n"
                f"Content-Type: application/json; charset=UTF-8\r\nContent-Length: {len(body)}\r\n\r\n".encode()
                + body
                + b"\r\n"
            )
        random.Random(len(parts)).shuffle(parts)  # noqa: S311 - parts come in any order
        kind = (b"content-type", f'multipart/mixed; boundary="{boundary}"'.encode())
        self._last = Answer(b"".join(parts) + f"--{boundary}--\r\n".encode(), headers=(kind,))
        return self._last

    def _instead(self, fault: Fault) -> Answer | None:
        return self._last if fault.kind is Kind.REPLAY else _instead(fault)

    def _one(
        self, access: Access | None, user: str, method: str, ids: tuple[str, ...], query: dict[str, list[str]]
    ) -> tuple[int, bytes] | None:
        """Return the status and the body of one call; None if it is left out of the answer."""
        params = {name: ",".join(values) for name, values in query.items()} | {"ids": ",".join(ids)}
        team = None if access is None else access.email
        fault = self._simulator.faults.take(VENDOR, method, team, params, kinds=INNER_FAULTS)
        if fault is None or fault.kind is Kind.TRUNCATE:
            status, body, _ = self.run(access, user, method, ids, query)
            return status, body if fault is None else body[: len(body) // 2]
        if fault.kind is Kind.MISSING:
            return None
        if fault.kind in INSTEAD:
            return fault.status, INSTEAD[fault.kind](fault)
        status = 429 if fault.kind is Kind.RATELIMIT else fault.status
        reason = REASONS.get(status, "backendError") if fault.kind is not Kind.ERROR else fault.error
        return status, GmailError(status, reason, "Scripted failure").body()


def _inner_requests(body: bytes, content_type: str) -> list[Any]:
    """Return the Content-ID of the answer and the understood call of every part."""
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if found is None:
        return []
    inner = []
    for part in body.decode("latin-1").split(f"--{found[1]}")[1:-1]:
        head, _, request = part.lstrip("\r\n").replace("\r\n", "\n").partition("\n\n")
        content_id = re.search(r"(?im)^content-id:\s*<(.*)>\s*$", head)
        line = re.match(r"(\S+) (\S+) HTTP/1\.1", request.lstrip("\n"))
        if line is None:
            continue
        url = urlsplit(line[2])
        path = url.path[url.path.index("/gmail/v1/") :] if "/gmail/v1/" in url.path else url.path
        user, method, ids = _understood(path) if line[1] == "GET" else ("", "unknown", ())
        response_id = f"<response-{content_id[1]}>" if content_id else "<response->"
        inner.append((response_id, user, method, ids, parse_qs(url.query)))
    return inner


class TokenApi:
    """Google's token endpoint."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(parse_qsl((await read_body(receive)).decode("latin-1")))
        login = self._simulator.gmail.logins.get(given.get("refresh_token", ""))
        claims = _claims(given.get("assertion", ""))
        team = login.email if login is not None else claims.get("sub")
        params = {"grant_type": given.get("grant_type", "")}
        await attend(
            self._simulator,
            Wire(scope, receive, send),
            Asked(VENDOR, "token", team, params),
            lambda _repeat: self._answer(given, login, claims),
            _instead,
        )

    def _answer(self, given: dict[str, str], login: Login | None, claims: Json) -> Answer:
        if given.get("grant_type") == "refresh_token":
            if login is None or login.revoked:
                return _refused("invalid_grant", "Token has been expired or revoked.")
            if (given.get("client_id"), given.get("client_secret")) != (login.client_id, login.client_secret):
                return _refused("invalid_client", "The OAuth client was not found.", 401)
            return self._issue(login.email, login.scopes, login)
        if given.get("grant_type") == "authorization_code":
            return self._exchanged(given)
        if given.get("grant_type") != JWT_GRANT:
            return _refused("unsupported_grant_type", "Invalid grant_type")
        account = self._simulator.gmail.service_accounts.get(str(claims.get("iss")))
        if account is None or not _signed(given["assertion"], account):
            return _refused("invalid_grant", "Invalid JWT Signature.")
        subject, scopes = str(claims.get("sub")), str(claims.get("scope", "")).split()
        if subject in account.unauthorized or not account.scopes.issuperset(scopes):
            return _refused("unauthorized_client", "Client is unauthorized to retrieve access tokens.", 401)
        if subject not in account.subjects:
            return _refused("invalid_grant", "Invalid email or User ID")
        return self._issue(subject, tuple(scopes), None)

    def _exchanged(self, given: dict[str, str]) -> Answer:
        """Answer to a code: with a refresh token only where offline access was asked for."""
        world, client_id = self._simulator.gmail, given.get("client_id", "")
        app = next((login for login in world.logins.values() if login.client_id == client_id), None)
        if app is None or given.get("client_secret") != app.client_secret:
            return _refused("invalid_client", "The OAuth client was not found.", 401)
        try:
            code = self._simulator.consents.redeem(
                given.get("code", ""), client_id, given, self._simulator.clock.now()
            )
        except CodeError as error:
            told = "redirect_uri_mismatch" if str(error) == "redirect_uri" else "invalid_grant"
            return _refused(told, "Malformed auth code.")
        login = Login(app.email, client_id, app.client_secret, code.scopes, tells_expiry=app.tells_expiry)
        lasting = f"1//{uuid4().hex}" if code.offline and code.refresh_token else None
        if lasting is not None:
            world.logins[lasting] = login
        return self._issue(app.email, code.scopes, login, lasting)

    def _issue(
        self, email: str, scopes: tuple[str, ...], login: Login | None, lasting: str | None = None
    ) -> Answer:
        world = self._simulator.gmail
        token = f"ya29.{uuid4().hex}"
        world.tokens[token] = Access(email, scopes, time.time() + world.expires_in, login)
        document: Json = {
            "access_token": token,
            "scope": " ".join(scopes),
            "token_type": "Bearer",
        }
        if lasting is not None:
            document["refresh_token"] = lasting
        if login is None or login.tells_expiry:
            document["expires_in"] = world.expires_in
        return Answer(orjson.dumps(document))


def _claims(assertion: str) -> Json:
    try:
        claims: Json = orjson.loads(_decoded(assertion.split(".")[1]))
        return claims
    except (IndexError, ValueError, Base64Error):
        return {}


def _signed(assertion: str, account: ServiceAccount) -> bool:
    signed, _, signature = assertion.rpartition(".")
    key = load_pem_public_key(account.public_key.encode())
    if not isinstance(key, RSAPublicKey):
        return False
    try:
        key.verify(_decoded(signature), signed.encode(), PKCS1v15(), SHA256())
    except (InvalidSignature, Base64Error, ValueError):
        return False
    return True


def _decoded(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _refused(code: str, text: str, status: int = 400) -> Answer:
    return Answer(orjson.dumps({"error": code, "error_description": text}), status, error=code)


def _instead(fault: Fault) -> Answer | None:
    match fault.kind:
        case Kind.RATELIMIT:
            body = GmailError(429, "rateLimitExceeded", "Quota exceeded", domain="usageLimits").body()
            retry_after = (b"retry-after", str(fault.retry_after).encode())
            return Answer(body, 429, (JSON_TYPE, retry_after), "rateLimitExceeded")
        case Kind.ERROR:
            return Answer(
                GmailError(fault.status, fault.error, "Scripted").body(), fault.status, error=fault.error
            )
        case Kind.INVALID_CURSOR:
            error = GmailError(400, "invalidArgument", "Invalid pageToken")
            return Answer(error.body(), 400, error=error.reason)
        case Kind.GARBAGE_PAGE:
            return Answer(b'{"threads":"oops","history":"oops","labels":"oops"}')
        case _:
            return None
