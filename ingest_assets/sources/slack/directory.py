"""Who and what an account's messages name: its users, its channels, and which of these to read."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from pydantic import BaseModel

from ingest_assets.errors import PartUnreadable, SourceError
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.parts import LONGEST_PAUSE, UnreadablePart
from ingest_assets.sources.rows import Rows
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.connect import SlackExtraction
from ingest_assets.sources.slack.errors import UNSEEN
from ingest_assets.sources.slack.markup import USER
from ingest_assets.sources.slack.names import Names, name_in
from ingest_assets.sources.slack.pace import AuditPace
from ingest_assets.sources.slack.records import SHOWN, SlackChannel, SlackUser
from ingest_assets.sources.slack.spoken import Spoken
from ingest_assets.sources.source import Page, Store

ACCOUNT = ""  # the stream of what concerns the account as a whole; the others are channel ids
RHYTHM = timedelta(days=1)  # how often users are read anew
GUESTS_RHYTHM = timedelta(days=7)  # the same for people of other companies: a request each
REFUSED_RHYTHM = LONGEST_PAUSE  # how soon a profile is asked for again that Slack kept from us

USERS = "users"  # the list of people as a part; a profile is one, too
PROFILE = "user:"


class SearchCursor(BaseModel):
    """What search hinted at."""

    looked_at: datetime | None = None
    waiting: list[str] = []
    """Threads that are still to be read for it, by their parents' external ids."""


class AccountCursor(BaseModel):
    """What we know of the account."""

    users_read_at: datetime | None = None
    limited: bool = False
    guests: dict[str, datetime] = {}
    """When to ask again for each person that the list of people does not name, once a message names them."""
    audit: AuditPace = AuditPace()
    search: SearchCursor = SearchCursor()


class Directory:
    """The names of one account."""

    def __init__(self, run: SlackExtraction, client: SlackClient) -> None:
        self.run, self.client = run, client
        self.names = Names()
        self.account = AccountCursor.model_validate(run.cursors.get(ACCOUNT, {}))
        self.listed: dict[str, Json] = {}
        self._stored: set[str] = set()
        self._asked: set[str] = set()
        self._shown: dict[str, Json] = {}
        """What messages show of their authors."""

    async def read(self, store: Store) -> None:
        """Learn users (daily) and channels (always) by name."""
        stored = await self.run.existing(SlackUser).where(["external_id", "name"])
        self.names.users |= {row.external_id: row.name for row in stored if row.name}
        self._stored = {row.external_id for row in stored}
        if not _recent(self.account.users_read_at, self.run.started_at) and self.run.parts.due(USERS):
            await self._read_users(store)
        types = "public_channel" if self.run.settings.public_only else "public_channel,private_channel"
        async for channels in self.client.joined_channels(types):
            rows = Rows()
            for channel in channels:
                rows.parse(SlackChannel, channel, lambda item: SlackChannel.from_api(self.run.account, item))
            self.listed |= {record.external_id: record.raw for record in rows.records}
            await store(Page(rows.records, rejected=rows.rejected))
        self.names.channels = {key: channel["name"] for key, channel in self.listed.items() if channel.get("name")}

    async def _read_users(self, store: Store) -> None:
        parts, listed = self.run.parts, set[str]()
        try:
            async for members in self.client.users(tries=parts.tries(USERS)):
                page = self._users(members)
                listed |= {record.external_id for record in page.records}
                await store(page)
        except SourceError as error:  # messages bring names, too
            await store(Page(unreadable=[await parts.failed(USERS, "the list of people", error)]))
            return
        self._stored |= listed
        unlisted = self._stored - listed - self.account.guests.keys()
        self.account = self.account.model_copy(
            update={
                "users_read_at": self.run.started_at,
                "guests": self.account.guests | dict.fromkeys(sorted(unlisted), self.run.started_at),
            }
        )
        await store(Page(stream=ACCOUNT, cursor=self.account, read=parts.succeeded(USERS)))

    def _users(self, members: Sequence[object]) -> Page:
        rows = Rows()
        for member in members:
            rows.parse(SlackUser, member, lambda item: SlackUser.from_api(self.run.account, item))
        self._remember(rows)
        return Page(rows.records, rejected=rows.rejected)

    def _remember(self, rows: Rows) -> None:
        self.names.users |= {
            user.external_id: user.name for user in rows.records if isinstance(user, SlackUser) and user.name
        }

    async def selected(self) -> tuple[list[Json], list[UnreadablePart]]:
        """Return the channels to read, and those that cannot be.

        The account's choice is by id or name, none means all that are joined.
        """
        choice = self.run.settings.channels
        channels, unreadable = ([], []) if choice else (list(self.listed.values()), [])
        by_name = {channel.get("name"): channel for channel in self.listed.values()}
        for wanted in choice:
            channel = self.listed.get(wanted) or by_name.get(wanted.removeprefix("#"))
            if channel is None and not self.run.parts.due(wanted):
                continue  # it could not be joined before: noted, and asked for later
            try:
                if channel is None:
                    await self._join(wanted)
                channels.append(channel or {"id": wanted})
            except SourceError as error:
                if wanted not in self.run.cursors:  # else it was left
                    unreadable.append(await self.run.parts.failed(wanted, wanted, error))
        return channels, [*unreadable, *await self._left({channel["id"] for channel in channels})]

    async def _join(self, channel_id: str) -> None:
        if not self.run.settings.join:
            raise PartUnreadable("The bot is not in the channel; invite it.", code="not_in_channel")
        await self.client.join(channel_id, tries=self.run.parts.tries(channel_id))

    async def _left(self, selected: set[str]) -> list[UnreadablePart]:
        """Return the channels that were read before and that Slack lists no more."""
        missing = [stream for stream in self.run.cursors if stream not in {ACCOUNT, *selected, *self.listed}]
        if not missing:
            return []
        known = await self.run.existing(SlackChannel).by_id(missing, ["name", "is_private"])
        choice, left = self.run.settings.channels, []
        for channel_id in missing:
            row = known.get(channel_id)
            name = row.name if row is not None and row.name else channel_id
            unwanted = choice and channel_id not in choice and name not in choice and f"#{name}" not in choice
            hidden = self.run.settings.public_only and row is not None and row.is_private
            if not unwanted and not hidden:
                action = (
                    f"Slack no longer lists #{name}: the bot was removed from it, or it was archived or deleted. "
                    "Invite the bot again, or acknowledge it."
                )
                left.append(self.run.parts.left(channel_id, f"#{name}", action, self.run.started_at))
        return left

    async def guests(self, spoken: Sequence[Spoken]) -> Rows:
        """Look up users that the directory does not list, guests from other companies for one, once each."""
        wanted: set[str] = set()
        for message, _, said in spoken:
            if said is None:
                continue
            wanted |= said.mentions
            author = message.get("user")
            if isinstance(author, str) and (author in wanted or USER.fullmatch(author)):
                wanted.add(author)
                if isinstance(shown := message.get(SHOWN), dict):
                    self._shown[author] = shown
        rows = Rows()
        for user_id in sorted(wanted):
            if self._is_due(user_id):
                await self._look_up(user_id, rows)
        return rows

    async def waiting(self) -> Rows:
        """Look up those whose profiles could not be read before, and whom no message has named meanwhile."""
        rows = Rows()
        for part in self.run.parts.waiting(PROFILE):
            if (user_id := part.removeprefix(PROFILE)) not in self._asked:
                await self._look_up(user_id, rows)
        return rows

    def _is_due(self, user_id: str) -> bool:
        if user_id in self._asked:
            return False
        due = self.account.guests.get(user_id)
        if self.account.users_read_at is None:  # the list of people failed: nobody knows who is not on it
            return False
        if due is None:
            return user_id not in self._stored and user_id not in self.names.users
        return due <= self.run.started_at or due > self.run.started_at + GUESTS_RHYTHM  # a clock that was ahead

    async def _look_up(self, user_id: str, rows: Rows) -> None:
        """Ask for one profile. Where it is refused, what messages show of the person serves meanwhile."""
        parts, part, rhythm = self.run.parts, f"{PROFILE}{user_id}", GUESTS_RHYTHM
        if not parts.due(part):
            return
        self._asked.add(user_id)
        user: Json | None
        try:
            user = await self.client.user(user_id, tries=parts.tries(part))
        except SourceError as error:
            user, rhythm = self._meanwhile(user_id, error.code), REFUSED_RHYTHM
            if error.code not in UNSEEN:
                rows.unreadable.append(await parts.failed(part, f"profile of {user_id}", error))
        if not rows.unreadable or rows.unreadable[-1].part != part:
            rows.read += parts.succeeded(part)
        due = self.run.started_at + rhythm
        self.account = self.account.model_copy(update={"guests": self.account.guests | {user_id: due}})
        if user is not None:
            rows.parse(SlackUser, user, lambda item: SlackUser.from_api(self.run.account, item))
            self._remember(rows)

    def _meanwhile(self, user_id: str, code: str) -> Json | None:
        """Return what to store of a person whose profile was refused; None where an older one is better."""
        shown = self._shown.get(user_id)
        if user_id in self.names.users or (user_id in self._stored and name_in(shown) is None):
            return None
        return {"id": user_id, "error": code} | ({} if shown is None else {SHOWN: shown})


def _recent(last: datetime | None, now: datetime) -> bool:
    """Tell whether a moment is less than a day ago; one that lies ahead is that of a clock which was wrong."""
    return last is not None and timedelta(0) <= now - last < RHYTHM
