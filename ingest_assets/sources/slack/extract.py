"""Read one Slack account: its directory, then its channels, a few at a time."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from ingest_assets.sources.concurrency import interleave
from ingest_assets.sources.slack.channel import ChannelReader
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.directory import ACCOUNT, AccountCursor, Directory
from ingest_assets.sources.source import Extraction, Page

CHANNELS_AT_ONCE = 4


async def extract(run: Extraction) -> AsyncGenerator[Page]:
    """Yield the account's pages; `run.skipped` tells which channels could not be read."""
    known_limited = AccountCursor.model_validate(run.cursors.get(ACCOUNT, {})).limited
    detect = run.settings.app_class == "auto"
    async with SlackClient.open(
        run,
        in_flight=run.options.concurrency,
        paced=run.options.pacing,
        limited=known_limited if detect else run.settings.app_class == "limited",
    ) as client:
        client.may_become_limited = detect
        directory = Directory(run, client)
        async with aclosing(directory.read()) as pages:
            async for page in pages:
                yield page
        reader = ChannelReader(run, client, directory)
        # who was read last comes last: a sync may reach its time limit before it reaches everybody
        selected = sorted(await directory.selected(), key=lambda channel: _covered_to(run, channel))
        channels = [reader.read(channel) for channel in selected]
        at_once = (
            1 if client.limited else CHANNELS_AT_ONCE
        )  # a request a minute ends nothing that is begun at once
        async with aclosing(interleave(channels, at_once=at_once)) as pages:
            async for page in pages:
                yield page
                if detect and client.limited and not directory.account.limited:
                    directory.account = directory.account.model_copy(update={"limited": True})
                    yield Page(stream=ACCOUNT, cursor=directory.account)


def _covered_to(run: Extraction, channel: dict[str, Any]) -> str:
    return str(run.cursors.get(channel["id"], {}).get("covered_to", ""))
