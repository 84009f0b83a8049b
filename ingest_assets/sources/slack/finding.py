"""Why a message may not be here, by an account's cursors, and by Slack itself."""

from collections.abc import Mapping
from contextlib import aclosing

from ingest_assets.errors import PartUnreadable
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.locating import Covered, Shown, Sought
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.connect import SlackLogin
from ingest_assets.sources.slack.plan import ChannelCursor
from ingest_assets.sources.slack.records import SlackMessage, at


def covered(cursors: Mapping[str, Json], sought: Sought) -> Covered | None:
    """Return what was read of the channel; None where none was, or none is named."""
    if sought.part is None or sought.part not in cursors:
        return None
    cursor = ChannelCursor.model_validate(cursors[sought.part])
    unread = [(at(one.oldest), at(one.latest)) for one in cursor.unread]
    return Covered(since=at(cursor.covered_from), until=at(cursor.covered_to), unread=unread)


async def shows(login: SlackLogin, sought: Sought) -> Shown | None:
    """Ask for one message, as one of the channel and as one of a thread; None where its channel is not known.

    Raises SourceError, where Slack does not let the login look for another reason than the channel.
    """
    if sought.record is not SlackMessage or sought.part is None:
        return None
    ts = sought.value.partition(":")[2]
    async with SlackClient.open(login, at_once=1, limited=False) as client:
        for pages in (
            client.history(sought.part, oldest=ts, latest=ts),
            client.replies(sought.part, ts),
        ):
            try:
                async with aclosing(pages):
                    async for messages in pages:
                        if any(isinstance(one, dict) and one.get("ts") == ts for one in messages):
                            return Shown(shown=True, at=at(ts))
            except PartUnreadable:
                continue
    return Shown(shown=False)
