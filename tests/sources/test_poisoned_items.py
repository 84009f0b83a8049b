"""What PostgreSQL or JSON cannot take, in any column of any record: the item is stored cleaned or set aside.

Whatever it is, the six good items beside it are stored, and the account does not fail.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Any

import pytest
from pydantic import ValidationError

from ingest_assets.sources import SOURCES
from ingest_assets.sources.columns import Id, Kind
from ingest_assets.sources.fathom.records import FathomSession
from ingest_assets.sources.gmail.records import GmailMessage, GmailThread
from ingest_assets.sources.gong.records import GongCall, GongUser, GongWorkspace
from ingest_assets.sources.login import Account
from ingest_assets.sources.record import Record
from ingest_assets.sources.rows import Rows
from ingest_assets.sources.slack.names import Names
from ingest_assets.sources.slack.records import SlackChannel, SlackMessage, SlackUser
from ingest_assets.sources.source import Connector, Extraction, Page, Store
from ingest_assets.sources.values import DEEPEST, LONGEST_ID, LONGEST_TEXT
from ingest_assets.sync.account import sync
from tests.sources.payloads import part
from tests.sources.tenants import TENANTS, Tenant
from tests.workbench import Bench

GOOD = 6


def nested(levels: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


POISONS: dict[str, Any] = {
    "nul": "a\0b",
    "only nul": "\0",
    "half of a pair": "a\ud83db",
    "20,000 characters": "x" * 20_000,
    "20,000 wide characters": "\N{GRINNING FACE}" * 20_000,
    "an integer": 7,
    "beyond 64 bits": 2**63,
    "below 64 bits": -(2**63) - 1,
    "of 4,000 digits": 10**4_000,
    "infinity": inf,
    "no number": nan,
    "true": True,
    "an object": {"a\0": 1},
    "a list": ["a\0b", "\udc00", 1],
    "another key": {1: 2},
    "255 levels": nested(255),
    "2,000 levels": nested(2_000),
    "year 1": "0001-01-01T00:00:00Z",
    "year 1 elsewhere": "0001-01-01T00:00:00+14:00",
    "year 9999": "9999-12-31T23:59:59Z",
    "year 10000": "10000-01-01T00:00:00Z",
    "a number of seconds": "9" * 30,
    "null": None,
    "nothing": "",
}
ACCOUNT = Account(account_id=1, workspace_id="acme", name="acme", external_id="A", settings={})

Path = tuple[str | int, ...]
OURS: Path = ()
"""Of a column that holds nothing of the vendor's."""


@dataclass(frozen=True)
class Sample:
    """An item of a vendor's, how it is parsed, and where in it each column comes from."""

    item: dict[str, Any]
    id: Path
    parse: Callable[[Account, Any], Record]
    places: dict[str, Path]

    def good(self, number: int) -> dict[str, Any]:
        return self.poisoned(self.id, self._id(number))

    def _id(self, number: int) -> Any:
        found = self.item
        for key in self.id:
            found = found[key]  # type: ignore[index]
        if isinstance(found, int):
            return found + number
        return f"{str(found)[:-1]}{number}"

    def poisoned(self, path: Path, value: Any) -> dict[str, Any]:
        item = copy.deepcopy(self.item)
        inner: Any = item
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value
        return item


def _message(_account: Account, item: Any) -> GmailMessage:
    return GmailMessage.from_api(_account, item, {}, max_bytes=10_000_000)


def _thread(account: Account, thread: Any) -> GmailThread:
    return GmailThread.from_messages(account, thread, [_message(account, MAIL.item)])


HEADERS = ("From", "To", "Cc", "Bcc", "Subject", "Message-ID")
MAIL = Sample(
    {
        "id": "18c0000000000000",
        "threadId": "18c0000000000000",
        "labelIds": ["INBOX"],
        "internalDate": "1795000000000",
        "sizeEstimate": 1000,
        "payload": part("text/plain", "Hi", headers=[{"name": name, "value": "a@b.example"} for name in HEADERS]),
    },
    ("id",),
    _message,
    {
        "conversation_id": ("threadId",),
        "occurred_at": ("internalDate",),
        "text": ("payload", "body"),
        "text_shortened": OURS,
        "thread_id": ("threadId",),
        "rfc822_message_id": ("payload", "headers", 5, "value"),
        "sender": ("payload", "headers", 0, "value"),
        "recipients": ("payload", "headers", 1, "value"),
        "cc": ("payload", "headers", 2, "value"),
        "bcc": ("payload", "headers", 3, "value"),
        "subject": ("payload", "headers", 4, "value"),
        "label_ids": ("labelIds",),
        "size_bytes": ("sizeEstimate",),
        "attachment_count": ("payload", "filename"),
        "body_omitted": ("sizeEstimate",),
        "new_text": ("payload", "mimeType"),
    },
)
SAMPLES: dict[type[Record], Sample] = {
    SlackMessage: Sample(
        {
            "type": "message",
            "ts": "1795000000.000000",
            "thread_ts": "1795000000.000000",
            "user": "U1",
            "text": "Hi",
            "subtype": None,
            "edited": {"ts": "1795000000.000001"},
            "reply_count": 1,
            "latest_reply": "1795000001.000000",
        },
        ("ts",),
        lambda account, item: SlackMessage.from_api(account, "C1", item, Names(), in_channel=True),
        {
            "conversation_id": ("thread_ts",),
            "occurred_at": ("ts",),
            "text": ("text",),
            "text_shortened": OURS,
            "channel_id": OURS,
            "ts": ("ts",),
            "thread_ts": ("thread_ts",),
            "in_channel": ("subtype",),
            "author_id": ("user",),
            "author_name": ("username",),
            "subtype": ("subtype",),
            "edited_ts": ("edited", "ts"),
            "reply_count": ("reply_count",),
            "latest_reply": ("latest_reply",),
        },
    ),
    SlackUser: Sample(
        {
            "id": "U0",
            "profile": {"display_name": "Ann", "email": "a@b.example"},
            "is_bot": False,
            "deleted": False,
        },
        ("id",),
        lambda account, item: SlackUser.from_api(account, item),
        {
            "name": ("profile", "display_name"),
            "email": ("profile", "email"),
            "is_bot": ("is_bot",),
            "is_deleted": ("deleted",),
        },
    ),
    SlackChannel: Sample(
        {"id": "C0", "name": "general", "is_private": False, "is_archived": False},
        ("id",),
        lambda account, item: SlackChannel.from_api(account, item),
        {"name": ("name",), "is_private": ("is_private",), "is_archived": ("is_archived",)},
    ),
    GongCall: Sample(
        {
            "metaData": {
                "id": "70",
                "started": "2026-06-01T10:00:00Z",
                "title": "A call",
                "duration": 60,
                "direction": "Inbound",
                "scope": "External",
                "isPrivate": False,
                "primaryUserId": "1",
                "workspaceId": "2",
            },
            "parties": [{"speakerId": "1", "name": "Ann"}],
            "transcript": [{"speakerId": "1", "sentences": [{"start": 0, "end": 9, "text": "Hi"}]}],
        },
        ("metaData", "id"),
        lambda account, item: GongCall.from_api(account, item, item["transcript"], was=None, age=timedelta(0)),
        {
            "conversation_id": ("metaData", "id"),
            "occurred_at": ("metaData", "started"),
            "text": ("transcript", 0, "sentences", 0, "text"),
            "text_shortened": ("transcript",),
            "title": ("metaData", "title"),
            "duration_seconds": ("metaData", "duration"),
            "direction": ("metaData", "direction"),
            "scope": ("metaData", "scope"),
            "is_private": ("metaData", "isPrivate"),
            "primary_user_id": ("metaData", "primaryUserId"),
            "gong_workspace_id": ("metaData", "workspaceId"),
            "transcript_state": ("transcript",),
            "details_hash": ("parties",),
        },
    ),
    GongUser: Sample(
        {"id": "70", "firstName": "Ann", "lastName": "Lee", "emailAddress": "a@b.example", "active": True},
        ("id",),
        lambda account, item: GongUser.from_api(account, item),
        {"name": ("firstName",), "email": ("emailAddress",), "is_active": ("active",)},
    ),
    GongWorkspace: Sample(
        {"id": "70", "name": "Sales"},
        ("id",),
        lambda account, item: GongWorkspace.from_api(account, item),
        {"name": ("name",)},
    ),
    FathomSession: Sample(
        {
            "recording_id": 100,
            "created_at": "2026-06-01T10:00:00Z",
            "recording_start_time": "2026-06-01T10:00:00Z",
            "title": "A session",
            "meeting_type": "external",
            "recorded_by": {"email": "a@b.example"},
            "url": "https://fathom.video/1",
            "default_summary": {"markdown_formatted": "Short"},
            "action_items": [],
            "transcript": [{"speaker": {"display_name": "Ann"}, "text": "Hi", "timestamp": "00:00:01"}],
        },
        ("recording_id",),
        lambda account, item: FathomSession.from_api(account, item, was=None, age=timedelta(0)),
        {
            "conversation_id": ("recording_id",),
            "occurred_at": ("recording_start_time",),
            "text": ("transcript", 0, "text"),
            "text_shortened": ("transcript", 0, "speaker"),
            "created_at": ("created_at",),
            "title": ("title",),
            "meeting_type": ("meeting_type",),
            "recorded_by": ("recorded_by", "email"),
            "url": ("url",),
            "summary": ("default_summary", "markdown_formatted"),
            "action_items": ("action_items",),
            "transcript_state": ("transcript",),
            "details_hash": ("default_summary",),
        },
    ),
    GmailThread: Sample(
        {"id": "18c0000000000000", "historyId": "1"},
        ("id",),
        _thread,
        {
            "conversation_id": ("id",),
            "occurred_at": OURS,
            "text": OURS,
            "text_shortened": OURS,
            "subject": OURS,
            "message_count": OURS,
            "began_at": OURS,
            "history_id": ("historyId",),
        },
    ),
    GmailMessage: MAIL,
}
RECORDS = [record for source in SOURCES for record in source.records]
COLUMNS = [(record, "external_id") for record in RECORDS] + [
    (record, column) for record in RECORDS for column in record.own_fields
]


def named(value: Any) -> str:
    return value.__name__ if isinstance(value, type) else str(value)


def _never(_login: Any) -> Any:
    raise AssertionError("no sync probes a login")


class Poisoned:
    """A vendor that sends a page of six good items and a poisoned one for each poison."""

    def __init__(self, bench: Bench, record: type[Record], items: Sequence[Any]) -> None:
        [source] = [source for source in SOURCES if record in source.records]
        self.tenant: Tenant = TENANTS[source.name](bench, "acme").connected()
        self.record, self.sample, self.items = record, SAMPLES[record], items
        connector = Connector(extract=self._extract, probe=_never, client=_never)
        self.source = replace(source, connector=lambda: connector)

    async def _extract(self, run: Extraction, store: Store) -> None:
        batch = Rows()
        for item in self.items:
            parse = self.sample.parse
            batch.parse(self.record, item, lambda item: parse(run.account, item), external_id=_id_in(item))  # noqa: B023
        await store(Page(batch.records, rejected=batch.rejected))

    def sync(self) -> Any:
        bench = self.tenant.bench
        worker = bench.worker(rejected_share=1.0)
        return sync(self.source, self.tenant.account, bench.app.options_of(self.source), worker)

    @property
    def stored(self) -> int:
        return len(self.tenant.stored(self.record.table))


def _id_in(item: Any) -> Any:
    return item.get("id") if isinstance(item, dict) else None


class TestEveryColumn:
    def test_has_a_place_in_a_sample(self) -> None:
        assert SAMPLES.keys() == set(RECORDS)
        for record in RECORDS:
            assert SAMPLES[record].places.keys() == set(record.own_fields), record

    @pytest.mark.parametrize("record", RECORDS, ids=named)
    def test_that_is_poisoned_costs_its_item_at_most(self, bench: Bench, record: type[Record]) -> None:
        sample = SAMPLES[record]
        paths = {sample.id, *sample.places.values()} - {OURS}
        good = [sample.good(number) for number in range(GOOD)]
        bad = [(path, name) for path in sorted(paths, key=str) for name in POISONS]
        items = [
            replace(sample, item=sample.good(GOOD + number)).poisoned(path, POISONS[name])
            for number, (path, name) in enumerate(bad)
        ]
        poisoned = Poisoned(bench, record, [*good, *items])
        result = poisoned.sync()
        assert result.status == "success", result.reason
        stored = {row.external_id for row in poisoned.tenant.stored(record.table)}
        assert {sample.parse(ACCOUNT, item).external_id for item in good} <= stored
        assert len(poisoned.tenant.rejected) + len(stored) > len(items) / 2  # those without an id fall together
        for row in poisoned.tenant.rejected:
            assert "PostgreSQL refuses" not in row.error
            assert "xxx" not in row.error


NOW = datetime(2026, 6, 1, tzinfo=UTC)
FITTING: dict[Any, Any] = {str: "a", Id: "a", int: 1, bool: True, datetime: NOW, list[str]: ["a"]}
REFUSED = object()


def giving(outcome: Any, *values: Any) -> list[tuple[Any, Any]]:
    return [(value, outcome) for value in values]


OUTCOMES: dict[Any, list[tuple[Any, Any]]] = {
    str: [
        ("a\0b", "ab"),
        ("a\ud83db", "a\N{REPLACEMENT CHARACTER}b"),
        ("a\ud83d\ude00b", "a\N{GRINNING FACE}b"),
        ("x" * 20_000, "x" * 20_000),
        ("x" * (LONGEST_TEXT + 1), "x" * LONGEST_TEXT),
        ("", ""),
        *giving(REFUSED, 7, True, inf, {}, [], ["a"], b"a"),
    ],
    Id: [
        ("x" * LONGEST_ID, "x" * LONGEST_ID),
        *giving(None, "a\0b", "a\ud83db", "x" * (LONGEST_ID + 1), ""),
        *giving(REFUSED, 7, True, inf, {}, [], b"a"),
    ],
    int: [
        (2**63 - 1, 2**63 - 1),
        (-(2**63), -(2**63)),
        *giving(None, 2**63, -(2**63) - 1, 10**4_000),
        *giving(REFUSED, "7", True, inf, nan, 1.5, {}, []),
    ],
    bool: giving(REFUSED, 1, 0, "true", {}, []),
    datetime: [
        (datetime(1900, 1, 1, tzinfo=UTC), datetime(1900, 1, 1, tzinfo=UTC)),
        *giving(None, datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)),
        *giving(REFUSED, "2026-06-01T00:00:00Z", 0, {}, [], datetime(2026, 6, 1)),  # noqa: DTZ001
    ],
    list[str]: [
        (["a\0b", "\udc00"], ["ab", "\N{REPLACEMENT CHARACTER}"]),
        ([], []),
        *giving(REFUSED, "a", [1], [None], {}, 7, True),
    ],
}
"""By the type of a column: what it is given and what it holds then; None is REFUSED where a value is needed."""


@pytest.mark.parametrize(("record", "column"), COLUMNS, ids=named)
def test_the_door_lets_through_what_its_columns_hold(record: type[Record], column: str) -> None:
    kinds = {name: Kind.of(field) for name, field in record.model_fields.items() if name != "raw"}
    values = {"raw": {}} | {name: FITTING[kind.plain] for name, kind in kinds.items()}
    kind = kinds[column]
    for given, expected in OUTCOMES[kind.plain]:
        if expected is REFUSED or (expected is None and not kind.optional):
            with pytest.raises((ValidationError, TypeError)) as refusal:
                record(**values | {column: given})
            assert "xxx" not in str(refusal.value)
            continue
        made = record(**values | {column: given, "text_shortened": False})
        assert getattr(made, column) == expected
        if "text_shortened" in kinds and kind.plain is str:
            assert made.text_shortened is (len(given) > LONGEST_TEXT)  # type: ignore[attr-defined]
        made.row()


def multipart(levels: int) -> dict[str, Any]:
    payload = part("text/plain", "Deep inside")
    for _ in range(levels):
        payload = part("multipart/mixed", parts=[payload])
    return payload


def _to_slack(acme: Any, payload: dict[str, Any]) -> None:
    ts = acme.order("post", channel="general", text="odd", hours_ago=1)["ts"]
    acme.order("delete", channel="general", ts=ts)
    acme.order("raw", channel="general", payload={"type": "message", "text": "odd", "ts": ts} | payload)


def _to_gong(acme: Any, facts: dict[str, Any]) -> None:
    odd = acme.add()
    acme.order("raw", call=odd, payload={"metaData": {"id": odd, "started": "2026-06-01T10:00:00Z"} | facts})


def _to_fathom(acme: Any, fields: dict[str, Any]) -> None:
    acme.order("edit", recording=int(acme.add()), fields=fields)


def _to_gmail(acme: Any, fields: dict[str, Any]) -> None:
    acme.message(text="odd", **fields)


SENDING = {"slack": _to_slack, "gong": _to_gong, "fathom": _to_fathom, "gmail": _to_gmail}
SENT: dict[str, list[dict[str, Any]]] = {
    "slack": [
        {"user": "U\0"},
        {"username": "a\0b"},
        {"subtype": "a\0b"},
        {"latest_reply": "1\0", "reply_count": 1},
        {"reply_count": 2**63},
        {"thread_ts": "x" * 20_000},
        {"user": "U" * 20_000},
        {"user": {"id": 5}},
        {"edited": {"ts": "\0"}},
        {"blocks": nested(240)},
        {"ts": "179\0"},
        {"ts": 5},
    ],
    "gong": [
        {"direction": "a\0b"},
        {"scope": "a\0b"},
        {"primaryUserId": "a\0b"},
        {"duration": 2**63},
        {"duration": 2**64 - 1},
        {"id": 5},
        {"id": {"a": 1}},
        {"id": "a\0b"},
        {"id": "x" * 20_000},
        {"started": "0001-01-01T00:00:00+14:00"},
        {"started": "9999-12-31T23:59:59-14:00"},
        {"title": nested(240)},
    ],
    "fathom": [
        {"url": "a\0b"},
        {"title": "a\0b"},
        {"meeting_type": {"a": 1}},
        {"recorded_by": nested(240)},
        {"scheduled_start_time": "x" * 20_000, "recording_start_time": None},
    ],
    "gmail": [
        *(
            {"raw": raw}
            for raw in (
                {"labelIds": ["INBOX", "a\0b"]},
                {"labelIds": {"a": 1}},
                {"threadId": "a\0b"},
                {"threadId": "x" * 20_000},
                {"threadId": 5},
                {"id": "a\0b"},
                {"id": {"a": 1}},
                {"sizeEstimate": 2**63},
                {"internalDate": "9" * 30},
                {"internalDate": "-99999999999999"},
            )
        ),
        {"payload": multipart(126)},
        {"payload": multipart(400)},
    ],
}


@pytest.mark.parametrize("name", SENT)
def test_items_that_are_sent_poisoned_leave_six_good_ones(bench: Bench, name: str) -> None:
    acme = TENANTS[name](bench, "acme")
    for item in SENT[name]:
        SENDING[name](acme, item)
    good = {acme.add(hours_ago=place + 1) for place in range(GOOD)}
    acme.connected()
    for _ in range(2):
        result = acme.sync(rejected_share=1.0)
        assert result.status in ("success", "partial"), result.reason
    assert good <= acme.living
    assert acme.account.state == "active"


@pytest.mark.parametrize("levels", [DEEPEST, DEEPEST + 1, 2_000])
def test_an_item_that_is_nested_too_deeply_is_stored_cut_off_and_says_so(bench: Bench, levels: int) -> None:
    item = SAMPLES[SlackMessage].item | {"odd": nested(levels - 2)}
    poisoned = Poisoned(bench, SlackMessage, [item])
    poisoned.sync()
    [row] = poisoned.tenant.stored(SlackMessage.table)
    assert ("nested too deeply" in str(row.raw)) is (levels > DEEPEST)
