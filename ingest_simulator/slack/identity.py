"""auth.test, team.info and oauth.v2.access.

auth.test        needs no scope
oauth.v2.access  the refresh grant only: a refresh token works once and yields a new pair
"""

from hashlib import sha256

from ingest_simulator.slack.call import Call, SlackError, ok
from ingest_simulator.slack.world import Grant, Rotation, SlackWorld, Team


def auth_test(call: Call) -> bytes:
    """auth.test."""
    team = call.team
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


def refresh(world: SlackWorld, params: dict[str, str], now: float) -> bytes:
    """oauth.v2.access with grant_type=refresh_token."""
    team = world.rotated(params.get("client_id", ""))
    if team is None or team.rotation is None:
        raise SlackError("invalid_client_id")
    rotation = team.rotation
    if params.get("client_secret") != rotation.client_secret:
        raise SlackError("bad_client_secret")
    if params.get("grant_type", "authorization_code") != "refresh_token":
        raise SlackError("invalid_code" if "code" in params else "invalid_grant_type")
    if params.get("refresh_token") != rotation.refresh_token:
        raise SlackError("invalid_refresh_token")
    newest = world.grants[world.token_of(team)]
    if newest.revoked:
        raise SlackError("token_revoked")
    token = _next_pair(rotation, team)
    world.issue(token, Grant(team, newest.scopes, expires_at=now + rotation.expires_in))
    return ok(
        access_token=token,
        refresh_token=rotation.refresh_token,
        expires_in=rotation.expires_in,
        token_type="bot",  # noqa: S106 - a kind of token, not a token
        scope=newest.provided,
        bot_user_id=team.bot.id,
        app_id=f"A{team.bot_id[1:]}",
        team={"id": team.id, "name": team.name},
        enterprise=None,
        authed_user={"id": next(iter(team.people()), team.bot.id)},
    )


def _next_pair(rotation: Rotation, team: Team) -> str:
    """Return a new access token; the refresh token in `rotation` is replaced."""
    rotation.issued += 1
    # derived from what came before, so that a seeded world always issues the same pairs
    old = f"{team.id}/{rotation.refresh_token}/{rotation.issued}"
    digest = sha256(old.encode()).hexdigest()
    rotation.refresh_token = f"xoxe-1-{digest[:40]}"
    return f"xoxe.xoxb-1-{digest[24:]}"
