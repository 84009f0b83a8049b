"""Read one Slack account: its directory, then its channels, a few at a time."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ingest_assets.sources.concurrency import interleave
from ingest_assets.sources.slack.channel import ChannelReader
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.connect import SlackExtraction
from ingest_assets.sources.slack.directory import ACCOUNT, AccountCursor, Directory
from ingest_assets.sources.source import Page

CHANNELS_AT_ONCE = 4


async def extract(run: SlackExtraction) -> AsyncGenerator[Page]:
    """Yield the account's pages. What a channel, a thread or a profile refuses rides on them and ends nothing."""
    known_limited = AccountCursor.model_validate(run.cursors.get(ACCOUNT, {})).limited
    detect = run.settings.app_class == "auto"
    async with SlackClient.open(run, limited=known_limited if detect else None) as client:
        client.may_become_limited = detect
        run.parts.login = client.identity
        directory = Directory(run, client)
        async with aclosing(directory.read()) as pages:
            async for page in pages:
                yield page
        known = directory.account
        async with aclosing(_channels(run, client, directory)) as pages:
            async for page in pages:
                yield page
                if detect and client.limited and not known.limited:
                    known = known.model_copy(update={"limited": True})
                    yield Page(stream=ACCOUNT, cursor=known)
        batch = await directory.waiting()
        after = directory.account.model_copy(update={"limited": known.limited})
        if len(batch) or batch.unreadable or batch.read or after != known:
            yield batch.page(stream=ACCOUNT, cursor=after)


async def _channels(run: SlackExtraction, client: SlackClient, directory: Directory) -> AsyncGenerator[Page]:
    """Read the channels. Raises the error of a pause that is too long for this sync, where none could be read."""
    reader = ChannelReader(run, client, directory)
    selected, unreadable = await directory.selected()
    if unreadable:
        yield Page(unreadable=unreadable)
    channels = [reader.read(channel) for channel in sorted(selected, key=lambda channel: _order(run, channel))]
    at_once = 1 if client.limited else CHANNELS_AT_ONCE  # a request a minute ends nothing that is begun at once
    async with aclosing(interleave(channels, at_once=at_once)) as pages:
        async for page in pages:
            yield page
    if reader.held is not None and not reader.any_read:
        raise reader.held


def _order(run: SlackExtraction, channel: dict[str, Any]) -> tuple[bool, str]:
    """Order channels: what could not be read before comes last, and before it what was read last.

    A sync may reach its time limit before it reaches everybody, and a sick channel's requests take long.
    """
    cursor = run.cursors.get(channel["id"], {})
    return run.parts.known(channel["id"]), str(cursor.get("covered_to", ""))
