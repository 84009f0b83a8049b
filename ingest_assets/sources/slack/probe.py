"""Log in and see what a Slack login may read, before it is stored."""

from collections.abc import Sequence
from contextlib import aclosing

from ingest_assets.errors import CredentialRejected, IngestError, did_you_mean
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.login import Probe
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.connect import SlackLogin, SlackSettings
from ingest_assets.sources.slack.scopes import SEARCH, needed
from ingest_assets.sources.slack.search import searching


async def probe(login: SlackLogin) -> Sequence[Probe]:
    """Log in, check the scopes and find the channels. Raises SourceError or IngestError, in one sentence."""
    settings: SlackSettings = login.settings
    async with SlackClient.open(login, at_once=1, paced=False, limited=False) as client:
        identity = await client.identity()
        if identity.get("is_enterprise_install"):
            raise CredentialRejected(
                "This token is of a whole Enterprise organisation; install the app in the workspace itself and "
                "connect with the token that this gives."
            )
        if client.granted and (missing := needed(settings) - client.granted):
            raise CredentialRejected(
                f"The Slack app lacks the scopes {', '.join(sorted(missing))}; add them under OAuth & Permissions,"
                " reinstall the app, and connect with what it gives then."
            )
        channels, warnings = await _find(client, settings)
    await _probe_search(login, identity)
    return [
        Probe(
            external_id=identity["team_id"],
            name=identity["team"],
            settings=settings.model_copy(update={"channels": channels}).model_dump(mode="json"),
            warnings=warnings,
        )
    ]


async def _probe_search(login: SlackLogin, identity: Json) -> None:
    """Check that a search token, if there is one, may search the bot's workspace."""
    settings: SlackSettings = login.settings
    if login.credential.search_token is None:
        if settings.search:
            raise IngestError("--search needs --search-token, a user token with search:read, or --login.")
        return
    async with searching(login) as client:
        try:
            user = await client.identity()
        except CredentialRejected as error:
            raise CredentialRejected(
                f"Slack refused the search token ({error.code}); pass one that works, or leave it out.",
                code=error.code,
            ) from None
    if user["team_id"] != identity["team_id"]:
        raise CredentialRejected(
            f"The search token is of another workspace, {user['team']}; pass one of {identity['team']}."
        )
    if SEARCH - client.granted:
        raise CredentialRejected(
            "The search token lacks the scope search:read; add it to the User Token Scopes under OAuth & "
            "Permissions, reinstall the app, and pass the user token (xoxp-...) that this gives."
        )


async def _find(client: SlackClient, settings: SlackSettings) -> tuple[tuple[str, ...], list[str]]:
    """Turn names into ids, which survive a renaming."""
    if not settings.channels:
        return (), []
    visible: dict[str, Json] = {}
    types = "public_channel" if settings.public_only else "public_channel,private_channel"
    async with aclosing(client.visible_channels(types)) as pages:
        async for channels in pages:
            visible |= {channel["id"]: channel for channel in channels}
    by_name = {channel.get("name"): channel for channel in visible.values()}
    found, warnings = [], []
    for wanted in settings.channels:
        channel = visible.get(wanted) or by_name.get(wanted.removeprefix("#"))
        if channel is None:
            raise IngestError(
                f"Slack shows this bot no channel {wanted!r}; check the name, and invite the bot if it is private."
                + did_you_mean(wanted.removeprefix("#"), by_name)
            )
        if not channel.get("is_member") and not settings.join:
            warnings.append(f"The bot is not in {wanted}; invite it, or connect with --join.")
        found.append(channel["id"])
    return tuple(found), warnings
