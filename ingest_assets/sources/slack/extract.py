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
    """Yield the account's pages. What a channel, a thread or a profile refuses rides on them and ends nothing."""
    known_limited = AccountCursor.model_validate(run.cursors.get(ACCOUNT, {})).limited
    detect = run.settings.app_class == "auto"
    async with SlackClient.open(
        run,
        in_flight=run.options.concurrency,
        paced=run.options.pacing,
        limited=known_limited if detect else run.settings.app_class == "limited",
    ) as client:
        client.may_become_limited = detect
        run.parts.login = client.identity
        directory = Directory(run, client)
        async with aclosing(directory.read()) as pages:
            async for page in pages:
                yield page
        reader = ChannelReader(run, client, directory)
        selected, unreadable = await directory.selected()
        if unreadable:
            yield Page(unreadable=unreadable)
        channels = [reader.read(channel) for channel in sorted(selected, key=lambda channel: _order(run, channel))]
        at_once = (
            1 if client.limited else CHANNELS_AT_ONCE
        )  # a request a minute ends nothing that is begun at once
        known = directory.account
        async with aclosing(interleave(channels, at_once=at_once)) as pages:
            async for page in pages:
                yield page
                if detect and client.limited and not directory.account.limited:
                    directory.account = directory.account.model_copy(update={"limited": True})
                    known = directory.account
                    yield Page(stream=ACCOUNT, cursor=known)
        if reader.held is not None:
            raise reader.held
        batch = await directory.waiting()
        if len(batch) or batch.unreadable or batch.read or directory.account != known:
            yield Page(
                batch.records,
                rejected=batch.rejected,
                unreadable=batch.unreadable,
                read=batch.read,
                stream=ACCOUNT,
                cursor=directory.account,
            )


def _order(run: Extraction, channel: dict[str, Any]) -> tuple[bool, str]:
    """Order channels: what could not be read before comes last, and before it what was read last.

    A sync may reach its time limit before it reaches everybody, and a sick channel's requests take long.
    """
    cursor = run.cursors.get(channel["id"], {})
    return run.parts.known(channel["id"]), str(cursor.get("covered_to", ""))
