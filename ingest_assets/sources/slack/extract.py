"""Read one Slack account: its directory, what is new in its channels, a few at a time, and what was never read."""

from functools import partial

from ingest_assets.sources.concurrency import few
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.slack.audit import Audit
from ingest_assets.sources.slack.channel import ChannelReader
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.connect import SlackExtraction
from ingest_assets.sources.slack.directory import ACCOUNT, AccountCursor, Directory
from ingest_assets.sources.slack.hints import Hints
from ingest_assets.sources.slack.unread import read_unread
from ingest_assets.sources.source import Page, Store

CHANNELS_AT_ONCE = 4


async def extract(run: SlackExtraction, store: Store) -> None:
    """Store the account's pages. What a channel, a thread or a profile refuses rides on them and ends nothing."""
    known_limited = AccountCursor.model_validate(run.cursors.get(ACCOUNT, {})).limited
    detect = run.settings.app_class == "auto"
    async with SlackClient.open(run, limited=known_limited if detect else None) as client:
        client.may_become_limited = detect
        run.parts.login = client.identity
        directory = Directory(run, client)
        await directory.read(store)
        known = directory.account

        async def note(**changes: object) -> None:
            nonlocal known
            known = known.model_copy(update=changes)
            await store(Page(stream=ACCOUNT, cursor=known))

        async def store_and_note(page: Page) -> None:
            await store(page)
            if detect and client.limited and not known.limited:
                await note(limited=True)

        reader = await _channels(run, client, directory, store_and_note)
        if reader.held is None:
            await Hints(reader, store_and_note, known.search, lambda cursor: note(search=cursor)).follow()
            pace = await Audit(reader, store_and_note).go_on(directory.account.audit)
            directory.account = directory.account.model_copy(update={"audit": pace})
        rows = await directory.waiting()
        after = directory.account.model_copy(update={"limited": known.limited, "search": known.search})
        if len(rows) or rows.unreadable or rows.read or after != known:
            await store(rows.page(stream=ACCOUNT, cursor=after))


async def _channels(
    run: SlackExtraction, client: SlackClient, directory: Directory, store: Store
) -> ChannelReader:
    """Read the channels. Raises the error of a pause that is too long for this sync, where none could be read."""
    reader = ChannelReader(run, client, directory, store)
    selected, unreadable = await directory.selected()
    if unreadable:
        await store(Page(unreadable=unreadable))
    channels = sorted(selected, key=lambda channel: _order(run, channel))
    later: list[Json] = []

    async def read(channel: Json) -> None:
        if reader.unread and run.half_time and run.clock.now() >= run.half_time:
            later.append(channel)  # it is the turn of what was never read, else that might never come
        else:
            await reader.read(channel)
            run.progress.advance()

    at_once = 1 if client.limited else CHANNELS_AT_ONCE  # a request a minute ends nothing that is begun at once
    run.progress.expect(len(channels), "channels", run.clock.now())
    await few([partial(read, channel) for channel in channels], at_once=at_once)
    if reader.held is None:
        await few([partial(read_unread, reader, one) for one in list(reader.unread)], at_once=at_once)
    await few([partial(reader.read, channel) for channel in later], at_once=at_once)
    if reader.held is not None and not reader.any_read:
        raise reader.held
    return reader


def _order(run: SlackExtraction, channel: Json) -> tuple[bool, str]:
    """Order channels: what could not be read before comes last, and before it what was read last.

    A sync may reach its time limit before it reaches everybody, and a sick channel's requests take long.
    """
    cursor = run.cursors.get(channel["id"], {})
    return run.parts.known(channel["id"]), str(cursor.get("covered_to", ""))
