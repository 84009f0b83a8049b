"""One sick part among healthy ones, for each method that asks for a part: what the poison matrix works with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from ingest_assets.sources.client.method import Level, Method
from ingest_assets.sources.fathom.client import METHODS as FATHOM_METHODS
from ingest_assets.sources.gmail.client import METHODS as GMAIL_METHODS
from ingest_assets.sources.gmail.records import GmailMessage
from ingest_assets.sources.gong.client import METHODS as GONG_METHODS
from ingest_assets.sources.gong.records import GongUser, GongWorkspace
from ingest_assets.sources.slack.methods import METHODS as SLACK_METHODS
from ingest_assets.sources.slack.records import SlackUser
from tests.sources.tenants import FathomTenant, GmailTenant, GongTenant, SlackTenant, Tenant
from tests.workbench import Bench

METHODS: Mapping[str, Mapping[str, Method]] = {
    "slack": SLACK_METHODS,
    "gong": GONG_METHODS,
    "fathom": FATHOM_METHODS,
    "gmail": GMAIL_METHODS,
}
PARTS = {
    (source, method)
    for source, methods in METHODS.items()
    for method, known in methods.items()
    if known.level is Level.PART
}
"""What a fault may concern, as the clients' own tables say."""
HEALTHY = 4  # parts beside the sick one
JOINED = "the channel was joined, and only the answer got lost"
GONE = "the vendor says that the item does not exist, which is an answer"
PENDING = "an answer without a transcript is how one says that there is none yet"


class Case(ABC):
    """A customer with one part that is to fall ill; `healthy` and `sick` are external ids that must arrive."""

    source: ClassVar[str]
    method: ClassVar[str]
    exempt: ClassVar[Mapping[str, str]] = {}
    """Answers that are none of a fault, with the reason; of these only the healthy parts are looked at."""
    lists_names: ClassVar[bool] = False
    """The part is a list of names: no argument tells its requests from others."""
    counts_together: ClassVar[bool] = False
    """A request that is put off for long speaks of a limit that the healthy parts share: nobody may ask."""
    once: ClassVar[bool] = False
    """A part is asked once and never again."""
    halved: ClassVar[bool] = False
    """One request asks for several parts, and is halved down to the sick one."""
    many: ClassVar[bool] = False
    """There may be as many sick parts as Slack has codes, or as there are answers."""

    def __init__(self, bench: Bench, name: str = "acme") -> None:
        self.bench = bench
        self.healthy: set[str] = set()
        self.sick: set[str] = set()
        self.tenant = self.customer(bench, name)
        self.part = self.fall_ill()
        """What the faulty requests name."""
        self.grow()

    @abstractmethod
    def customer(self, bench: Bench, name: str) -> Tenant:
        """Make and connect a customer."""

    @abstractmethod
    def fall_ill(self) -> str:
        """Make the part that is to be sick; return its id as requests name it."""

    @abstractmethod
    def grow(self) -> None:
        """Make something new in each healthy part."""

    def relapse(self) -> None:
        """Make something new in a sick part."""
        self.part = self.fall_ill()

    @property
    def told(self) -> str:
        """What the part's key holds."""
        return self.part

    def arrived(self, external_ids: set[str]) -> bool:
        return external_ids <= self.tenant.living

    def whole(self) -> bool:
        """Whether the sick part is complete."""
        return self.arrived(self.sick)


class Channels(SlackTenant):
    """A workspace with a few channels."""

    def found(self) -> str:
        vendor_id = super().found()
        self.names = ["general", *(f"channel-{place}" for place in range(1, HEALTHY))]
        self.ids = {"general": self.channel}
        for name in self.names[1:]:
            self.ids[name] = self.open(name, vendor_id)
        return vendor_id

    def open(self, name: str, team: str | None = None) -> str:
        made = self.bench.order("slack/channel", team=team or self.vendor_id, name=name)
        return str(made["channel"])

    def say(self, channel: str, **fields: Any) -> str:
        return str(self.order("post", channel=channel, text="something new", **fields)["ts"])


class SlackCase(Case):
    source = "slack"
    tenant: Channels

    def customer(self, bench: Bench, name: str) -> Channels:
        tenant = Channels(bench, name)
        tenant.connect()
        return tenant

    def grow(self) -> None:
        for name in self.tenant.names:
            self.healthy.add(f"{self.tenant.ids[name]}:{self.tenant.say(name, hours_ago=0.01)}")


class History(SlackCase):
    method = "conversations.history"
    counts_together = True
    many = True

    def fall_ill(self) -> str:
        name = f"sick-{len(self.sick)}"
        channel = self.tenant.open(name)
        self.sick.add(f"{channel}:{self.tenant.say(name, hours_ago=1)}")
        return channel

    def relapse(self) -> None:
        self.sick.add(f"{self.part}:{self.tenant.say('sick-0', hours_ago=0.01)}")


class Replies(SlackCase):
    method = "conversations.replies"
    counts_together = True
    many = True

    def fall_ill(self) -> str:
        parent = self.tenant.say("general", hours_ago=2)
        self.healthy.add(f"{self.tenant.channel}:{parent}")
        self.answer(parent)
        return parent

    def answer(self, parent: str) -> None:
        reply = self.tenant.say("general", thread_ts=parent, hours_ago=0.5)
        self.sick.add(f"{self.tenant.channel}:{reply}")

    def relapse(self) -> None:
        self.answer(self.part)


class Profile(SlackCase):
    method = "users.info"
    many = True

    def fall_ill(self) -> str:
        number = len(self.sick)
        made = self.tenant.order("user", name=f"gus{number}", real_name=f"Gus {number}", listed=False)
        self.tenant.say("general", user=made["user"], hours_ago=1)
        self.sick.add(made["user"])
        return str(made["user"])

    def whole(self) -> bool:
        named = {row.external_id for row in self.tenant.stored(SlackUser.table) if row.name}
        return self.sick <= named


class Members(SlackCase):
    method = "users.list"
    lists_names = True

    def fall_ill(self) -> str:
        return "users"

    def whole(self) -> bool:
        return bool(self.tenant.stored(SlackUser.table))


class Joining(SlackCase):
    method = "conversations.join"
    once = True
    exempt: ClassVar = {"cut off": JOINED}

    def customer(self, bench: Bench, name: str) -> Channels:
        tenant = Channels(bench, name)
        made = bench.order("slack/channel", team=tenant.vendor_id, name="wanted", member=False)
        self.wanted = str(made["channel"])
        tenant.connect(channels=(*tenant.names, "wanted"), join=True)
        return tenant

    def fall_ill(self) -> str:
        self.sick.add(f"{self.wanted}:{self.tenant.say('wanted', hours_ago=1)}")
        return self.wanted


class GmailCase(Case):
    source = "gmail"
    counts_together = True
    tenant: GmailTenant

    def customer(self, bench: Bench, name: str) -> GmailTenant:
        tenant = GmailTenant(bench, name)
        tenant.connect()
        return tenant

    def grow(self) -> None:
        self.healthy |= {self.tenant.add(hours_ago=0.01) for _ in range(HEALTHY)}


class MailThread(GmailCase):
    method = "threads.get"
    many = True

    def fall_ill(self) -> str:
        thread = self.tenant.add(hours_ago=1)
        self.sick.add(thread)
        return thread


class MailBody(GmailCase):
    method = "attachments.get"
    many = True
    exempt: ClassVar = {"error 404": GONE, "status 404": GONE}

    def fall_ill(self) -> str:
        made = self.tenant.message(text="Kept apart", body_as_attachment=True, hours_ago=1)
        self.sick.add(made["message"])
        self.thread = made["thread"]
        return made["message"]

    @property
    def told(self) -> str:
        return self.thread

    def whole(self) -> bool:
        rows = {row.external_id: row for row in self.tenant.stored(GmailMessage.table)}
        return all(one in rows and "Kept apart" in (rows[one].text or "") for one in self.sick)


class GongCase(Case):
    source = "gong"
    counts_together = True
    tenant: GongTenant

    def customer(self, bench: Bench, name: str) -> GongTenant:
        tenant = GongTenant(bench, name)
        tenant.connect()
        return tenant

    def grow(self) -> None:
        self.healthy |= {self.tenant.add(hours_ago=0.01) for _ in range(HEALTHY)}

    def arrived(self, external_ids: set[str]) -> bool:
        rows = self.tenant.rows
        return all(one in rows and rows[one].text for one in external_ids)


class Transcript(GongCase):
    method = "calls.transcript"
    many = True
    halved = True

    def fall_ill(self) -> str:
        call = self.tenant.add(hours_ago=1)
        self.sick.add(call)
        return call


class Existence(GongCase):
    """A call that is no longer listed is asked for by its id."""

    method = "calls.get"
    exempt: ClassVar = {"error 404": GONE}

    def fall_ill(self) -> str:
        call = self.tenant.add(hours_ago=1)
        self.tenant.sync()
        self.tenant.delete(call)
        self.sick.add(call)
        return call

    def whole(self) -> bool:
        return self.sick.isdisjoint(self.tenant.living)


class Again(GongCase):
    """A call without a transcript is looked at again by its id."""

    method = "calls.by_id"
    halved = True
    exempt: ClassVar = dict.fromkeys(("error 404",), "to a list, this says that nothing was found")

    def fall_ill(self) -> str:
        call = str(self.tenant.order("call", hours_ago=30, transcript_after_seconds=None)["call"])
        self.tenant.sync()
        self.tenant.order("transcript", call=call, sentences=4)
        self.sick.add(call)
        return call

    def relapse(self) -> None:
        """Leave it as it is: a call of yesterday is not listed for the first time today."""


class GongNames(GongCase):
    lists_names = True

    def fall_ill(self) -> str:
        return self.method.partition(".")[0]

    def whole(self) -> bool:
        record = GongUser if self.method == "users.list" else GongWorkspace
        return bool(self.tenant.stored(record.table))


class GongUsers(GongNames):
    method = "users.list"


class GongWorkspaces(GongNames):
    method = "workspaces.list"


class App(FathomTenant):
    """An organisation that is read by an OAuth app: it asks for transcripts and summaries one by one."""

    def found(self) -> str:
        self.secrets = {"client_secret": "app-secret", "refresh_token": f"refresh-{self.name}"}
        made = self.bench.order(
            "fathom/org", id=self.name, client_id=f"app-{self.name}", page_size=50, **self.secrets
        )
        return str(made["org"])

    def given(self) -> dict[str, Any]:
        return {"client_id": f"app-{self.name}", "client_secret": "-", "refresh_token": "-"}


class FathomCase(Case):
    source = "fathom"
    counts_together = True
    tenant: FathomTenant

    def customer(self, bench: Bench, name: str) -> FathomTenant:
        tenant = App(bench, name)
        tenant.connect()
        return tenant

    def fall_ill(self) -> str:
        recording = self.tenant.add(hours_ago=1)
        self.sick.add(recording)
        return recording

    def grow(self) -> None:
        self.healthy |= {self.tenant.add(hours_ago=0.01) for _ in range(HEALTHY)}


class SessionTranscript(FathomCase):
    method = "recordings.transcript"
    many = True
    exempt: ClassVar = {"error 404": GONE, "status 404": GONE, "json {}": PENDING}

    def arrived(self, external_ids: set[str]) -> bool:
        rows = self.tenant.rows
        return all(one in rows and rows[one].text for one in external_ids)


class SessionSummary(FathomCase):
    method = "recordings.summary"
    many = True
    exempt: ClassVar = {"error 404": GONE, "status 404": GONE, "json {}": PENDING}

    def arrived(self, external_ids: set[str]) -> bool:
        rows = self.tenant.rows
        return all(one in rows and rows[one].summary for one in external_ids)


CASES: dict[tuple[str, str], type[Case]] = {
    (case.source, case.method): case
    for case in (
        History,
        Replies,
        Profile,
        Members,
        Joining,
        MailThread,
        MailBody,
        Transcript,
        Existence,
        Again,
        GongUsers,
        GongWorkspaces,
        SessionTranscript,
        SessionSummary,
    )
}

DEEP: list[Any] = []
for _level in range(200):
    DEEP = [DEEP]

ANSWERS: dict[str, dict[str, Any]] = {
    **{f"status {status}": {"kind": "status", "status": status} for status in (400, 403, 404, 410, 500)},
    **{
        f"error {status}": {"kind": "error", "status": status, "error": "a_code_that_nobody_knows"}
        for status in (200, 400, 403, 404, 410)
    },
    "rate limit": {"kind": "ratelimit", "retry_after": 1},
    "long rate limit": {"kind": "ratelimit", "retry_after": 1800},
    "html 200": {"kind": "html", "status": 200},
    "html 403": {"kind": "html", "status": 403},
    "no answer": {"kind": "drop"},
    "cut off": {"kind": "truncate"},
    "json []": {"kind": "json", "status": 200, "body": []},
    "json {}": {"kind": "json", "status": 200, "body": {}},
    "json text": {"kind": "json", "status": 200, "body": "soon"},
    "json null": {"kind": "json", "status": 200, "body": None},
    "json error": {"kind": "json", "status": 200, "body": {"error": {"code": 500, "message": "backend"}}},
    "json deep": {"kind": "json", "status": 200, "body": DEEP},
}
"""What one part's requests answer, for ever."""
