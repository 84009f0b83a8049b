"""auth.test, team.info and oauth.v2.access.

auth.test        needs no scope
oauth.v2.access  a code for a bot token, or with rotation for a pair; a refresh token works once for the next one
"""

from hashlib import sha256

from ingest_simulator.consent import Code, CodeError
from ingest_simulator.slack.call import Call, SlackError, ok
from ingest_simulator.slack.world import Grant, Rotation, SlackWorld, Team
from ingest_simulator.state import Simulator
from ingest_simulator.wire import Json


def auth_test(call: Call) -> bytes:
    """auth.test."""
    team, user = call.team, call.team.users.get(call.grant.user or "")
    if user is not None:
        return ok(
            url=f"https://{team.domain}.slack.com/",
            team=team.name,
            user=user.name,
            team_id=team.id,
            user_id=user.id,
            is_enterprise_install=team.settings.org_wide,
        )
    return ok(
        url=f"https://{team.domain}.slack.com/",
        team=team.name,
        user=team.bot.name,
        team_id=team.id,
        user_id=team.bot.id,
        bot_id=team.bot_id,
        is_enterprise_install=team.settings.org_wide,
    )


def team_info(call: Call) -> bytes:
    """team.info."""
    team = call.team
    if call.params.get("team", team.id) != team.id:
        raise SlackError("team_not_found")
    icon = {"image_34": f"https://avatars.slack-edge.com/{team.id}_34.png", "image_default": True}
    return ok(
        team={
            "id": team.id,
            "name": team.name,
            "domain": team.domain,
            "email_domain": "",
            "icon": icon,
            "url": f"https://{team.domain}.slack.com/",
        }
    )


def access(simulator: Simulator, params: dict[str, str], now: float) -> bytes:
    """oauth.v2.access."""
    world = simulator.slack
    team = world.rotated(params.get("client_id", ""))
    if team is None or team.rotation is None:
        raise SlackError("invalid_client_id")
    rotation = team.rotation
    if params.get("client_secret") != rotation.client_secret:
        raise SlackError("bad_client_secret")
    grant_type = params.get("grant_type", "authorization_code")
    if grant_type == "authorization_code":
        code = _code(simulator, params, now)
        return _issued(world, team, frozenset(code.scopes), now, user_scopes=frozenset(code.user_scopes))
    if grant_type != "refresh_token" or not rotation.rotates:
        raise SlackError("invalid_grant_type")
    if params.get("refresh_token") != rotation.refresh_token:
        raise SlackError("invalid_refresh_token")
    newest = world.grants[world.token_of(team)]
    if newest.revoked:
        raise SlackError("token_revoked")
    return _issued(world, team, newest.scopes, now)


def _code(simulator: Simulator, params: dict[str, str], now: float) -> Code:
    try:
        return simulator.consents.redeem(params.get("code", ""), params.get("client_id", ""), params, now)
    except CodeError as error:
        codes = {"redirect_uri": "bad_redirect_uri", "code_verifier": "invalid_code_verifier"}
        raise SlackError(codes.get(str(error), "invalid_code")) from error


def _issued(
    world: SlackWorld,
    team: Team,
    scopes: frozenset[str],
    now: float,
    *,
    user_scopes: frozenset[str] = frozenset(),
) -> bytes:
    """Issue a token, with the refresh token that follows where the app rotates."""
    rotation = team.rotation
    if rotation is None:
        raise SlackError("invalid_client_id")
    token = _next_pair(rotation, team)
    pair = {"refresh_token": rotation.refresh_token, "expires_in": rotation.expires_in} if rotation.rotates else {}
    grant = Grant(team, scopes, expires_at=now + rotation.expires_in if rotation.rotates else None)
    world.issue(token, grant)
    return ok(
        access_token=token,
        **pair,
        token_type="bot",  # noqa: S106 - a kind of token, not a token
        scope=grant.provided,
        bot_user_id=team.bot.id,
        app_id=f"A{team.bot_id[1:]}",
        team={"id": team.id, "name": team.name},
        enterprise=None,
        is_enterprise_install=team.settings.org_wide,
        authed_user=_of_user(world, team, user_scopes, token),
    )


def _of_user(world: SlackWorld, team: Team, scopes: frozenset[str], bot_token: str) -> Json:
    """Return who pressed Allow, with a token where scopes of theirs were asked for."""
    user = next(iter(team.people()), team.bot.id)
    if not scopes:
        return {"id": user}
    token, grant = f"xoxp-{sha256(bot_token.encode()).hexdigest()}", Grant(team, scopes, user=user)
    world.issue(token, grant)
    return {"id": user, "scope": grant.provided, "access_token": token, "token_type": "user"}


def _next_pair(rotation: Rotation, team: Team) -> str:
    """Return a new access token; the refresh token in `rotation` is replaced."""
    rotation.issued += 1
    # derived from what came before, so that a seeded world always issues the same pairs
    old = f"{team.id}/{rotation.refresh_token}/{rotation.issued}"
    digest = sha256(old.encode()).hexdigest()
    rotation.refresh_token = f"xoxe-1-{digest[:40]}"
    return f"{'xoxe.xoxb-1' if rotation.rotates else 'xoxb'}-{digest[24:]}"
