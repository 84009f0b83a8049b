"""What a Slack login may see, and what its syncs found out about it."""

from collections.abc import Mapping, Sequence
from contextlib import aclosing

from ingest_assets.sources.json_values import Json
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.connect import SlackLogin, SlackSettings
from ingest_assets.sources.slack.directory import ACCOUNT, AccountCursor
from ingest_assets.sources.slack.methods import LIMITED_OBJECTS

LIMITED = f"Slack holds this app to 1 request a minute and {LIMITED_OBJECTS} messages a request."


async def visible(login: SlackLogin) -> tuple[str, bool]:
    """Count the channels that the bot is in. Raises SourceError."""
    settings: SlackSettings = login.settings
    types = "public_channel" if settings.public_only else "public_channel,private_channel"
    count = 0
    async with (
        SlackClient.open(login, at_once=1, paced=False, limited=False) as client,
        aclosing(client.joined_channels(types)) as pages,
    ):
        async for channels in pages:
            count += len(channels)
    return f"the bot is in {count or 'no'} {'channel' if count < 2 else 'channels'}", count > 0


def cautions(cursors: Mapping[str, Json]) -> Sequence[str]:
    """Return a sentence where a sync saw that the app is one of those that Slack slows down."""
    return [LIMITED] if AccountCursor.model_validate(cursors.get(ACCOUNT, {})).limited else []
