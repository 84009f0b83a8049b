"""Gong's token endpoint: HTTP Basic with the app's id and secret, a code or a refresh token that works once."""

from base64 import b64decode
from binascii import Error as Base64Error
from urllib.parse import parse_qsl

import orjson
from starlette.types import Receive, Scope, Send

from ingest_simulator.consent import CodeError
from ingest_simulator.gong.world import Company, GongWorld, Grant
from ingest_simulator.state import Simulator
from ingest_simulator.vendor import Asked, Wire, attend
from ingest_simulator.wire import Answer, header, read_body

VENDOR = "gong"


class TokenApi:
    """Where OAuth apps get and refresh their tokens."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        given = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        given |= dict(parse_qsl((await read_body(receive)).decode("latin-1")))
        client_id, _, secret = basic(header(scope, b"authorization"))
        company = self._simulator.gong.app(client_id)
        host = f"http://{header(scope, b'host')}"
        await attend(
            self._simulator,
            Wire(scope, receive, send),
            Asked(VENDOR, "oauth.token", None if company is None else company.id, given),
            lambda _repeat: self._answer(company, secret, given, host),
            lambda _fault: None,
        )

    def _answer(self, company: Company | None, secret: str, given: dict[str, str], host: str) -> Answer:
        world, now = self._simulator.gong, self._simulator.clock.now()
        if company is None or company.rotation is None or company.rotation.client_secret != secret:
            return _refused("invalid_client", "Client authentication failed.", 401)
        rotation = company.rotation
        revoked = any(grant.revoked and grant.secret is None for grant in world.grants_of(company))
        if given.get("grant_type") == "authorization_code":
            try:
                code = self._simulator.consents.redeem(
                    given.get("code", ""), rotation.client_id, given, self._simulator.clock.now()
                )
            except CodeError as error:
                return _refused("invalid_grant", f"The {error} is wrong.")
            return _pair(world, company, frozenset(code.scopes), now, host, lasting=code.refresh_token)
        if given.get("grant_type") != "refresh_token":
            return _refused("unsupported_grant_type", "Only authorization_code and refresh_token.")
        if revoked or given.get("refresh_token") != rotation.refresh_token:
            return _refused("invalid_grant", "Token has been expired or revoked.")
        newest = [grant for grant in world.grants_of(company) if grant.secret is None][-1]
        return _pair(world, company, newest.scopes, now, host)


def _pair(
    world: GongWorld, company: Company, scopes: frozenset[str], now: float, host: str, *, lasting: bool = True
) -> Answer:
    rotation = company.rotation
    if rotation is None:
        return _refused("invalid_client", "Client authentication failed.", 401)
    token = rotation.next_pair()
    world.issue(token, Grant(company, None, scopes, expires_at=now + rotation.expires_in))
    document = {
        "access_token": token,
        "refresh_token": rotation.refresh_token,
        "token_type": "bearer",
        "expires_in": rotation.expires_in,
        "scope": " ".join(sorted(scopes)),
        "api_base_url_for_customer": f"{host}/gong/{company.region}",
    }
    if not lasting:
        del document["refresh_token"]
    return Answer(orjson.dumps(document))


def _refused(code: str, text: str, status: int = 400) -> Answer:
    return Answer(orjson.dumps({"error": code, "error_description": text}), status, error=code)


def basic(authorization: str) -> tuple[str, str, str]:
    kind, _, credential = authorization.partition(" ")
    try:
        return b64decode(credential).decode().partition(":") if kind.lower() == "basic" else ("", "", "")
    except (Base64Error, UnicodeDecodeError):
        return "", "", ""
