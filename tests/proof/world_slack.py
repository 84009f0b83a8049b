"""Slack: channels that the bot joins and leaves, posts, replies, broadcasts, edits, deletions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar

from ingest_assets.sources.slack.records import at
from tests.proof.operations import WORKSPACE
from tests.proof.worlds import MARGIN, Item, Numbers, Shown, World, picked
from tests.sources.tenants import SlackTenant, Tenant

ARCHIVED = "old-room"  # and opened again
CHANNELS = ("general", "deals", ARCHIVED, "secret")
WATCHED = timedelta(days=5)
YOUNG = timedelta(hours=1)  # messages that every sync of an app with a request a minute looks at again


class Customer(SlackTenant):
    """A workspace that Slack treats in its own way."""

    fields: ClassVar[Mapping[str, Any]]

    def found(self) -> str:
        self.secrets = {"token": "xoxb-acme-secret"}
        world = {"channels": [{"name": "general"}]}
        made = self.bench.order("slack/team", token=self.secrets["token"], world=world, **self.fields)
        self.channel: str = made["channels"]["general"]
        return str(made["team_id"])


VARIANTS: tuple[Mapping[str, Any], ...] = (
    {"page_cap": 3},
    {"app_class": "limited"},
    {"page_cap": 4, "order": "oldest_first", "empty_pages": True, "repeat_parent": False},
)


class SlackLife(World):
    faults = {  # noqa: RUF012
        "conversations.history": ("internal_error", "channel_not_found", "not_in_channel", "missing_scope", "odd"),
        "conversations.replies": ("internal_error", "thread_not_found", "token_revoked", "ratelimited"),
        "users.conversations": ("internal_error", "invalid_auth", "fatal_error"),
        "users.list": ("internal_error", "missing_scope"),
        "users.info": ("user_not_found", "internal_error", "missing_scope"),
        "auth.test": ("internal_error", "invalid_auth"),
    }

    def customer(self) -> Tenant:
        chosen: type[Customer] = type("Chosen", (Customer,), {"fields": VARIANTS[self.variant]})
        return chosen(self.bench, WORKSPACE)

    def configuration(self) -> Mapping[str, str]:
        """Watch for less than an episode lasts, and ask an app with a request a minute no more often."""
        pacing = "true" if self.limited else "false"
        return {"SLACK_WATCH_DAYS": f"{WATCHED.days}", "SLACK_HISTORY_DAYS": "30", "SLACK_PACING": pacing}

    @property
    def limited(self) -> bool:
        return self.variant == 1

    def begin(self, numbers: Numbers) -> None:
        for name in CHANNELS[1:]:
            self.tenant.order("channel", name=name, private=name == "secret")
        for place in range(40 if self.limited else 6 + numbers[3] % 10):
            self._post(picked(CHANNELS, place), hours_ago=picked((1, 30, 200, 600), place + numbers[1]))

    def live(self, numbers: Numbers) -> str:
        verbs = (
            (self._posting, 5),
            (self._reply, 7),
            (self._edit, 4),
            (self._delete, 4),
            (self._membership, 2),
            (self._react, 1),
            (lambda _numbers: self.malform(), 1),
        )
        return str(picked([verb for verb, weight in verbs for _ in range(weight)], numbers[0])(numbers[1:]))

    def _post(self, channel: str, **fields: Any) -> str:
        return str(self.tenant.order("post", channel=channel, text=self.words(), **fields)["ts"])

    def _posting(self, numbers: Numbers) -> str:
        channel = picked(CHANNELS, numbers[0])
        if channel == ARCHIVED and self._archived():
            return "nobody can post in an archived channel"
        for _ in range(1 + numbers[1] % 4):
            self._post(channel)
        return f"posted in {channel}"

    def _messages(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what can be answered, edited and deleted, with its channel."""
        channels = self.bench.ask("slack/state", team=self.tenant.vendor_id)["channels"]
        return [
            (channel["name"], message)
            for channel in channels
            if not channel["archived"]
            for message in channel["messages"]
            if message["subtype"] in (None, "thread_broadcast") and str(message["text"]).startswith("said-")
        ]

    def _reply(self, numbers: Numbers) -> str:
        channel, parent = picked(
            [one for one in self._messages() if one[1]["thread_ts"] in (None, one[1]["ts"])] or [(None, None)],
            numbers[0],
        )
        if parent is None:
            return "nothing to reply to"
        for _ in range(1 + numbers[1] % 5):
            self._post(channel, thread_ts=parent["ts"], broadcast=numbers[2] % 6 == 0)
        return f"replied to {parent['ts']}"

    def _edit(self, numbers: Numbers) -> str:
        return self._change("edit", numbers, text=self.words())

    def _delete(self, numbers: Numbers) -> str:
        return self._change("delete", numbers)

    def _react(self, numbers: Numbers) -> str:
        return self._change("react", numbers, name="eyes")

    def _change(self, verb: str, numbers: Numbers, **fields: Any) -> str:
        messages = self._messages()
        if not messages:
            return "nothing is there"
        channel, message = picked(messages, numbers[0])
        self.tenant.order(verb, channel=channel, ts=message["ts"], **fields)
        return f"{verb} {message['ts']}"

    def _membership(self, numbers: Numbers) -> str:
        channel, member, archived = picked(CHANNELS[1:], numbers[0]), numbers[1] % 3 > 0, numbers[2] % 2 == 0
        archived = archived and channel == ARCHIVED
        self.tenant.order("membership", channel=channel, member=member, archived=archived)
        return f"{channel}: member {member} archived {archived}"

    def _archived(self) -> bool:
        """Tell whether nobody can say or change anything in the channel that comes and goes."""
        channels = self.bench.ask("slack/state", team=self.tenant.vendor_id)["channels"]
        return any(channel["archived"] for channel in channels)

    def mend(self) -> None:
        super().mend()
        for channel in CHANNELS:
            self.tenant.order("membership", channel=channel, member=True, archived=False)

    def shown(self) -> Shown:
        state = self.bench.ask("slack/state", team=self.tenant.vendor_id)["channels"]
        found: dict[str, Item] = {}
        for channel in state:
            if not channel["member"]:
                continue
            for message in channel["messages"]:
                external_id = f"{channel['id']}:{message['ts']}"
                if message["subtype"] != "tombstone" and external_id not in self.malformed:
                    text = message["text"] if message["subtype"] in (None, "thread_broadcast") else None
                    found[external_id] = Item((text, message["thread_ts"]), at(message["ts"]))
        return found

    def stored(self) -> Shown:
        return {
            key: Item((row.text if row.subtype in (None, "thread_broadcast") else None, row.thread_ts), at(row.ts))
            for key, row in self.tenant.rows.items()
            if row.deleted_at is None
        }

    def promised(self, item: Item, began: datetime) -> bool:
        """Tell so of what is watched; the rest has its turn in the audit, with its thread."""
        thread_ts = item.content[1]
        said_at = item.at if thread_ts is None else at(thread_ts)
        return said_at > began - (YOUNG if self.limited else WATCHED) + MARGIN

    def alike(self, external_id: str, stored: Item, shown: Sequence[Item], *, settled: bool) -> bool:
        """Tell the same, but for the text of replies, which only the audit looks at after some days."""
        if super().alike(external_id, stored, shown, settled=settled):
            return True
        thread_ts = stored.content[1]
        is_reply = thread_ts is not None and not external_id.endswith(thread_ts)
        # on a parent thread_ts comes and goes with its replies
        return not settled and is_reply and stored.content[1] in [one.content[1] for one in shown]
