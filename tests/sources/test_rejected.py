"""Items that are set aside: what is told of them, and that the quarantine takes anything."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from math import inf, nan
from typing import Any

import pytest

from ingest_assets.sources.gmail.records import GmailMessage
from ingest_assets.sources.gong.records import GongCall
from ingest_assets.sources.login import Account
from ingest_assets.sources.record import Record
from ingest_assets.sources.rejected import Rejected, parsed
from ingest_assets.sources.slack import SLACK
from ingest_assets.sources.slack.names import Names
from ingest_assets.sources.slack.records import SlackMessage
from ingest_assets.sources.source import Connector, Extraction, Page, Store
from ingest_assets.sources.values import LONGEST_ID, LONGEST_PAYLOAD
from ingest_assets.sync.account import sync
from tests.sources.test_poisoned_items import nested
from tests.workbench import Bench

ACCOUNT = Account(account_id=1, workspace_id="acme", name="acme", external_id="A", settings={})
TS = "1795000000.000000"
CANARY = "CANARY"


def slack(message: Any) -> Record | Rejected:
    def parse(item: Any) -> SlackMessage:
        return SlackMessage.from_api(ACCOUNT, "C1", item, Names(), in_channel=True)

    return parsed(SlackMessage, message, parse)


def gong(call: Any) -> Record | Rejected:
    def parse(item: Any) -> GongCall:
        return GongCall.from_api(ACCOUNT, item, None, was=None, age=timedelta(0))

    return parsed(GongCall, call, parse)


def gmail(message: Any) -> Record | Rejected:
    return parsed(GmailMessage, message, lambda item: GmailMessage.from_api(ACCOUNT, item, {}, max_bytes=9_999))


MAIL = {"id": "1", "threadId": "1", "internalDate": "1795000000000"}
REASONS: list[tuple[Any, Any, str]] = [
    (slack, {"text": CANARY}, "ts: missing"),
    (slack, {"ts": CANARY}, "ts: not seconds.micros"),
    (slack, {"ts": TS, "user": {"id": CANARY}}, "user: an object where text is needed (column author_id)"),
    (slack, {"ts": TS, "subtype": [CANARY]}, "subtype: a list where text is needed"),
    (slack, {"ts": TS, "latest_reply": {"a": CANARY}}, "latest_reply: an object where text is needed"),
    (slack, [CANARY], "the item: a list of an unknown shape (TypeError)"),
    (slack, CANARY, "the item: a text of an unknown shape (TypeError)"),
    (slack, None, "the item: null of an unknown shape (TypeError)"),
    (gong, {"metaData": {"started": "2026-06-01T10:00:00Z"}}, "metaData.id: missing"),
    (
        gong,
        {"metaData": {"id": 7_000_007, "started": "2026-06-01T10:00:00Z"}},
        "metaData.id: an integer where text is needed",
    ),
    (
        gong,
        {"metaData": {"id": f"{CANARY}\0", "started": "2026-06-01T10:00:00Z"}},
        "metaData.id: a text that is no id",
    ),
    (gong, {"metaData": 5}, "metaData: an integer of an unknown shape"),
    (gmail, MAIL | {"threadId": {"a": CANARY}}, "threadId: an object where text is needed"),
    (gmail, MAIL | {"internalDate": CANARY}, "internalDate: a text of an unknown shape (ValueError)"),
]


@pytest.mark.parametrize(("parse", "item", "reason"), REASONS, ids=[reason for *_, reason in REASONS])
def test_a_reason_names_the_place_and_the_type_and_never_the_value(parse: Any, item: Any, reason: str) -> None:
    rejected = parse(item)
    assert isinstance(rejected, Rejected)
    assert rejected.error.startswith(reason)
    assert CANARY not in rejected.error
    assert "7000007" not in rejected.error


def test_a_reason_is_bounded_whatever_the_item_names_its_fields() -> None:
    rejected = gong({"metaData": {"\0" * 20_000: 1}})
    assert isinstance(rejected, Rejected)
    assert len(rejected.error) < 2_000
    assert "\0" not in rejected.error


KEYS: list[Any] = [5, 2**70, True, None, inf, {"a": 1}, ["a"], "", "a\0b", "\ud83d", "x" * (LONGEST_ID + 1), b"a"]
PAYLOADS: list[Any] = [
    {"a": inf, "b": nan, "c": -inf},
    [2**63, 2**64, 10**4_000, -(10**4_400)],
    nested(2_000),
    {"a": nested(300)},
    {"\0": 1, "\ud83d": 2, 3: 4, None: 5, (1, 2): 6},
    {"text": "x" * 3_000_000},
    ["\N{GRINNING FACE}" * 3_000_000],
    {"odd": {1, 2}, "bytes": b"a", "object": object(), "complex": 1j},
    None,
    5,
    "text",
]


def never(_login: Any) -> Any:
    raise AssertionError("a sync neither probes nor opens a client by itself")


class TestTheQuarantine:
    @pytest.fixture
    def keeps(self, bench: Bench) -> Any:
        workspace = bench.workspace("acme", "general")

        def keep(*rejected: Rejected) -> list[Any]:
            async def extract(_run: Extraction, store: Store) -> None:
                await store(Page(rejected=rejected))

            connector: Connector = Connector(extract, probe=never, client=never)
            source = replace(SLACK, connector=lambda: connector)
            result = sync(source, workspace.account, bench.options, bench.worker(rejected_share=1.0))
            assert "bug" not in str(result.reason)
            return workspace.rejected

        return keep

    def test_takes_keys_of_any_type(self, keeps: Any) -> None:
        kept = keeps(*(Rejected(SlackMessage, {"place": n}, "odd", key) for n, key in enumerate(KEYS)))
        assert sorted(row.payload["place"] for row in kept) == list(range(len(KEYS)))
        assert all(0 < len(row.item_key) <= LONGEST_ID for row in kept)

    def test_takes_payloads_of_any_kind(self, keeps: Any) -> None:
        kept = keeps(*(Rejected(SlackMessage, payload, "odd", str(n)) for n, payload in enumerate(PAYLOADS)))
        assert len(kept) == len(PAYLOADS)
        by_key = {row.item_key: row.payload for row in kept}
        assert by_key["0"] == {"a": None, "b": None, "c": None}
        assert by_key["1"][:2] == [2**63, str(2**64)]
        assert by_key["10"] == "text"

    def test_takes_payloads_of_any_kind_without_a_key(self, keeps: Any) -> None:
        assert len(keeps(*(Rejected(SlackMessage, payload, "odd") for payload in PAYLOADS))) == len(PAYLOADS)

    def test_keeps_the_beginning_of_a_huge_payload_and_says_so(self, keeps: Any) -> None:
        [row] = keeps(Rejected(SlackMessage, {"text": "x" * 3_000_000}, "odd", "huge"))
        assert "3000011 bytes" in row.payload["shortened"]
        assert row.payload["head"].startswith('{"text":"xxx')
        assert len(json.dumps(row.payload)) < 2 * LONGEST_PAYLOAD

    def test_keeps_a_reason_of_any_kind(self, keeps: Any) -> None:
        [row] = keeps(Rejected(SlackMessage, {}, "a\0b\ud83d", "1"))
        assert row.error.startswith("ab")
