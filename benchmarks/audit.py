"""Slack's audit: what a round costs in requests, and how soon it finds what happened to old messages."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any

from sqlalchemy import text

from benchmarks.results import Result, at_most, exactly
from benchmarks.slack import TOKEN, TOKEN_VARIABLE, connected, rows_of, workspace
from benchmarks.stage import Simulator, Stage
from ingest_assets.app import App
from ingest_assets.sources.login import Clock
from ingest_assets.sources.slack import SLACK
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.sync.account import sync

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PAGE = 999
LARGE = {"channels": 50, "messages": 3_600, "threads": 200, "replies": 2, "span_hours": 24 * 600}
SMALL = {"channels": 1, "messages": 2_000, "threads": 100, "replies": 2, "span_hours": 24 * 700}
OLD = {"ends_hours_ago": 24 * 40}
LIMIT = 1.05  # times pages and threads
MESSAGES_DAYS, THREADS_DAYS = 7, 30
FOUND = "select count(*) from raw.slack_messages where ts = :ts and text = :said"
READ_AT = (
    "select min((stretch ->> 'read_at')::timestamptz) from ingest.sync_cursors, "
    "jsonb_array_elements((cursor -> 'audited' -> 'messages') || (cursor -> 'audited' -> 'threads')) as stretch "
    "where (stretch ->> 'oldest')::double precision < :before"
)


class Account:
    """One account, read by a clock that costs no time."""

    def __init__(self, stage: Stage, url: str, **environ: str) -> None:
        os.environ[TOKEN_VARIABLE] = TOKEN
        self.simulator = stage.simulator
        self.app = App.load({**connected(stage.simulator, url), "SLACK_HISTORY_DAYS": "800", **environ})
        self._ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def sync(self, *, after: timedelta = timedelta()) -> Mapping[str, int]:
        """Sync once; return how often each method was called."""
        self._ahead += after
        self.simulator.order("/clock", advance_seconds=after.total_seconds())
        with self.app.engine.connect() as conn:
            [row] = find_accounts(conn, source=SLACK.name)
        worker = replace(self.app.worker("benchmark"), clock=Clock(now=self.now))
        result = sync(SLACK, row, self.app.options_of(SLACK), worker)
        assert result.status == "success", result.reason
        return result.calls

    def ask(self, statement: str, **values: Any) -> Any:
        with self.app.engine.connect() as conn:
            return conn.execute(text(statement), values).scalar_one()


def benchmark(stage: Stage) -> Iterator[Result]:
    """Run all parts."""
    yield from _round(stage)
    yield from _bound(stage)


def _round(stage: Stage) -> Iterator[Result]:
    """Look at everything again once, hour by hour, at a tenth of Slack's limit."""
    print(f"audit: {rows_of(LARGE):,} messages in {LARGE['channels']} channels")
    workspace(stage.simulator, LARGE | OLD)
    with stage.database(migrated=True) as url:
        account = Account(stage, url, SLACK_AUDIT_DAYS="1", SLACK_AUDIT_THREADS_DAYS="1")
        account.sync()
        begun, asked, syncs = account.now(), 0, 0
        before = (
            begun.timestamp() - OLD["ends_hours_ago"] * 3600
        )  # all that was said, and nothing that was watched
        while account.ask(READ_AT, before=before) < begun:
            calls = account.sync(after=HOUR)
            # the watch window is empty, and takes a request a channel with each sync
            asked += calls["conversations.history"] - LARGE["channels"] + calls["conversations.replies"]
            syncs += 1
            print(f"audit: {asked:,} requests in {syncs} syncs", end="\r", flush=True)
        print()
        account.app.engine.dispose()
    pages, threads = LARGE["channels"] * ceil(LARGE["messages"] / PAGE), LARGE["channels"] * LARGE["threads"]
    yield Result("Slack, audit: requests of a round", asked, "requests")
    yield at_most("Slack, audit: requests of a round / pages and threads", asked / (pages + threads), "x", LIMIT)


def _bound(stage: Stage) -> Iterator[Result]:
    """Answer a thread of two years ago, edit an old reply, and count the days until it is seen."""
    team = workspace(stage.simulator, SMALL | OLD)
    with stage.database(migrated=True) as url:
        account = Account(stage, url)
        account.sync()
        [channel] = stage.simulator.ask("/slack/state", team=team)["channels"]
        place = {"team": team, "channel": channel["id"]}
        threads = [one for one in channel["messages"] if one["reply_count"]]
        replies = [one for one in channel["messages"] if one["thread_ts"] not in (None, one["ts"])]
        asked = {
            "a reply to the oldest thread": (_answered(stage.simulator, place, threads[0]["ts"]), MESSAGES_DAYS),
            "an edit of an old reply": (_edited(stage.simulator, place, replies[60]["ts"]), THREADS_DAYS),
        }
        found: dict[str, float] = {}
        days = 0.0
        while len(found) < len(asked) and days < 2 * THREADS_DAYS:
            account.sync(after=DAY / 8)
            days += 1 / 8
            for what, (ts, _limit) in asked.items():
                if what not in found and account.ask(FOUND, ts=ts, said=what_is_said(ts)):
                    found[what] = days
        account.app.engine.dispose()
    yield exactly("Slack, audit: changes of old messages that were found", len(found), "changes", len(asked))
    for what, (_ts, limit) in asked.items():
        yield at_most(f"Slack, audit: {what} is found after", found.get(what, days), "days", limit)


def what_is_said(ts: str) -> str:
    return f"said at {ts}"


def _answered(simulator: Simulator, place: Mapping[str, str], parent: str) -> str:
    ts = f"{int(datetime.now(UTC).timestamp()) - 60}.000100"
    simulator.order("/slack/post", **place, text=what_is_said(ts), thread_ts=parent, ts=ts)
    return ts


def _edited(simulator: Simulator, place: Mapping[str, str], ts: str) -> str:
    simulator.order("/slack/edit", **place, ts=ts, text=what_is_said(ts))
    return ts
