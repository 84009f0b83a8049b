"""What a test works with: simulated workspaces that are connected, syncs of them, and what was stored."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import httpx
from sqlalchemy import Engine, Row, Table, select, text

from ingest_assets.app import App
from ingest_assets.cli.connecting import connect_account
from ingest_assets.settings import CoreSettings
from ingest_assets.sources.login import Clock
from ingest_assets.sources.slack import SLACK
from ingest_assets.sources.slack.connect import SlackOptions
from ingest_assets.sources.slack.records import SlackMessage
from ingest_assets.storage.schema import accounts, rejected_records, sync_cursors, syncs, unreadable_parts
from ingest_assets.storage.vault import new_key
from ingest_assets.sync.account import sync
from ingest_assets.sync.result import SyncResult
from ingest_assets.sync.worker import Worker
from tests.commands import COMMAND, Commands

MESSAGES = SlackMessage.table
AT_START = {"LANG", "LC_ALL", "PYTHONIOENCODING", "PYTHONUTF8", "PYTHONPATH"}
"""Variables that an interpreter reads when it starts."""

Shown = set[tuple[str, str, str | None, str | None]]
"""(channel, ts, thread_ts, edited_ts)"""


def plain_environ() -> dict[str, str]:
    """Return the variables that each program of ours starts with."""
    return {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}


class VirtualClock:
    """Time that costs nothing: a pause moves this clock and the simulator's, once nobody is due before."""

    YIELD = 0.004  # real seconds in which the others may go on with what is due earlier

    def __init__(self, sim: httpx.Client) -> None:
        self._sim = sim
        self._ahead = timedelta()
        self._due: list[datetime] = []
        self.pauses: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        due = self.now() + timedelta(seconds=seconds)
        self._due.append(due)
        try:
            while self.now() < due:
                await asyncio.sleep(self.YIELD)
                if due == min(self._due) and (rest := due - self.now()) > timedelta():
                    self.advance(rest)
        finally:  # one that was cancelled must hold up nobody
            self._due.remove(due)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait for none of those who are due earlier, and cannot go on until the block is done."""
        due, self._due = self._due, []
        try:
            yield
        finally:
            self._due = due

    def go_wrong(self, by: timedelta) -> None:
        """Move our clock alone."""
        self._ahead += by

    def advance(self, by: timedelta) -> None:
        self._ahead += by
        answer = self._sim.post("/_sim/clock", json={"advance_seconds": by.total_seconds()})
        assert answer.status_code == 200, answer.text


@dataclass
class Workspace:
    """One simulated Slack workspace, and the account of ours that reads it."""

    bench: Bench
    name: str
    team: str
    token: str
    users: list[str]
    channels: dict[str, str]

    @property
    def account(self) -> Row[Any]:
        with self.bench.engine.connect() as conn:
            return conn.execute(select(accounts).where(accounts.c.workspace_id == self.name)).one()

    @property
    def rows(self) -> dict[str, Row[Any]]:
        """All stored messages by ts, deleted ones included; ts is unique only in its channel."""
        return {row.ts: row for row in self.stored(MESSAGES)}

    @property
    def living(self) -> dict[str, Row[Any]]:
        return {ts: row for ts, row in self.rows.items() if row.deleted_at is None}

    @property
    def rejected(self) -> list[Row[Any]]:
        return self.stored(rejected_records)

    @property
    def unreadable(self) -> dict[str, Row[Any]]:
        """The parts that cannot be read, by their names."""
        return {row.name: row for row in self.stored(unreadable_parts)}

    @property
    def history(self) -> list[Row[Any]]:
        return self.stored(syncs)

    @property
    def cursors(self) -> dict[str, Any]:
        return {row.stream: row.cursor for row in self.stored(sync_cursors)}

    def stored(self, table: Table) -> list[Row[Any]]:
        with self.bench.engine.connect() as conn:
            return list(conn.execute(select(table).where(table.c.workspace_id == self.name)).all())

    def content(self) -> list[tuple[str, bytes]]:
        """What two syncs that did the same leave alike."""
        return sorted((row.external_id, row.content_hash) for row in self.stored(MESSAGES))

    def sync(self, **changes: Any) -> SyncResult:
        """Sync once; `changes` are core settings."""
        return self.bench.sync(self, **changes)

    def reads(self) -> SyncResult:
        """Sync once and insist on success."""
        result = self.sync()
        assert result.status == "success", result.reason
        return result

    def say(self, channel: str, said: str, **fields: Any) -> str:
        return str(self.order("post", channel=channel, text=said, **fields)["ts"])

    def say_many(self, channel: str, count: int, *, hours_ago: float = 1.0) -> list[str]:
        items = [{"text": f"message {place}", "hours_ago": hours_ago} for place in range(count)]
        made: list[str] = self.order("posts", channel=channel, items=items)["ts"]
        return made

    def order(self, verb: str, **fields: Any) -> Any:
        return self.bench.order(f"slack/{verb}", team=self.team, **fields)

    def fault(self, kind: str, **fields: Any) -> None:
        self.bench.order("fault", kind=kind, team=self.team, **fields)

    def heal(self) -> None:
        """End all faults."""
        self.bench.sim.delete("/_sim/fault").raise_for_status()

    def requests(self, method: str, *, since: int = 0) -> list[dict[str, Any]]:
        """The requests to one method, as the simulator saw them."""
        seen: list[dict[str, Any]] = self.bench.ask("ledger", since=since, team=self.team)["requests"]
        return [request for request in seen if request["method"] == method]

    def calls(self, *, since: int = 0) -> dict[str, int]:
        """How often each method was called."""
        found: dict[str, int] = self.bench.ask("ledger/counts", since=since, team=self.team)["by_method"]
        return found

    def shown(self) -> Shown:
        """All that the bot can see, without the tombstones."""
        return {
            (channel["id"], message["ts"], message["thread_ts"], (message["edited"] or {}).get("ts"))
            for channel in self.bench.ask("slack/state", team=self.team)["channels"]
            if channel["member"]
            for message in channel["messages"]
            if message["subtype"] != "tombstone"
        }

    def held(self) -> Shown:
        """All that we hold, without the deleted."""
        rows = [row for row in self.stored(MESSAGES) if row.deleted_at is None]
        return {(row.channel_id, row.ts, row.thread_ts, row.edited_ts) for row in rows}


@dataclass
class Bench:
    """A database and a simulator, and what a worker needs to sync one from the other."""

    sim: httpx.Client
    database_url: str
    clock: VirtualClock
    environ: dict[str, str] = field(default_factory=dict)
    options: SlackOptions = field(default_factory=SlackOptions)
    commands: Commands | None = None
    """What runs commands without starting an interpreter for each."""

    def __post_init__(self) -> None:
        self.environ = {
            "DATABASE_URL": self.database_url,
            "INGEST_ENCRYPTION_KEYS": new_key(),
            "SLACK_API_URL": f"{self.sim.base_url}/slack/api/",
            "SLACK_AUTHORIZE_URL": f"{self.sim.base_url}/slack/oauth/v2/authorize",
            "SLACK_PACING": "false",
            "GONG_ALLOWED_HOSTS": "127.0.0.1",
            "GONG_AUTHORIZE_URL": f"{self.sim.base_url}/gong/oauth2/authorize",
            "GONG_TOKEN_URL": f"{self.sim.base_url}/gong/oauth2/generate-customer-token",
            "GONG_PACING": "false",
            "FATHOM_API_URL": f"{self.sim.base_url}/fathom/external/v1",
            "FATHOM_AUTHORIZE_URL": f"{self.sim.base_url}/fathom/external/v1/oauth2/authorize",
            "FATHOM_TOKEN_URL": f"{self.sim.base_url}/fathom/external/v1/oauth2/token",
            "FATHOM_PACING": "false",
            "GMAIL_API_URL": f"{self.sim.base_url}/gmail/",
            "GOOGLE_AUTHORIZE_URL": f"{self.sim.base_url}/gmail/o/oauth2/v2/auth",
            "GOOGLE_TOKEN_URL": f"{self.sim.base_url}/gmail/token",
            "GMAIL_PACING": "false",
        }
        self.options = self.app.options_of(SLACK)

    @cached_property
    def app(self) -> App:
        return App.load(self.environ)

    def configure(self, **environ: str) -> None:
        """Set environment variables for what follows."""
        self.close()
        self.environ |= environ
        del self.app

    @property
    def engine(self) -> Engine:
        return self.app.engine

    def close(self) -> None:
        self.engine.dispose()

    def order(self, path: str, **fields: Any) -> Any:
        answer = self.sim.post(f"/_sim/{path}", json=fields)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ask(self, path: str, **params: Any) -> Any:
        answer = self.sim.get(f"/_sim/{path}", params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def requests(self) -> int:
        """How many requests the vendors got so far; a `since` for what follows."""
        count: int = self.ask("ledger/counts")["total"]
        return count

    def team(self, name: str, *channels: Any, world: Mapping[str, Any] | None = None, **fields: Any) -> Workspace:
        """Make a workspace that nobody has connected; channels are named or described."""
        token = f"xoxb-{name}-secret"
        described = [{"name": channel} if isinstance(channel, str) else channel for channel in channels]
        content = {"channels": described} | dict(world or {})
        made = self.order("slack/team", token=token, name=name.title(), world=content, **fields)
        return Workspace(self, name, made["team_id"], token, made["users"], made["channels"])

    def workspace(self, name: str = "acme", *channels: Any, **fields: Any) -> Workspace:
        """Make a workspace and connect it; `settings` are the account's choices."""
        settings = fields.pop("settings", {})
        made = self.team(name, *channels, **fields)
        self.connect(made, **settings)
        return made

    def connect(self, workspace: Workspace, *, search_token: str | None = None, **settings: Any) -> None:
        secrets = {"token": workspace.token} | ({"search_token": search_token} if search_token else {})
        connect_account(
            self.app,
            SLACK,
            workspace.name,
            given=dict.fromkeys(secrets, "-"),
            settings=settings,
            name=None,
            read_secret=secrets.__getitem__,
            clock=self.source_clock,
        )

    def choose(self, **changes: Any) -> None:
        """Change options of the Slack source, for the syncs that follow."""
        self.options = SlackOptions.model_validate(self.options.model_dump() | changes)

    @property
    def source_clock(self) -> Clock:
        return Clock(now=self.clock.now, sleep=self.clock.sleep)

    def worker(self, owner: str = "test", **changes: Any) -> Worker:
        core = CoreSettings.model_validate(self.app.core.model_dump() | changes, by_name=True)
        return Worker(engine=self.engine, vault=self.app.vault, core=core, owner=owner, clock=self.source_clock)

    def sync(self, workspace: Workspace, **changes: Any) -> SyncResult:
        return sync(SLACK, workspace.account, self.options, self.worker(**changes))

    def execute(self, statement: str, **params: Any) -> None:
        with self.engine.begin() as conn:
            conn.execute(text(statement), params)

    def shell(self, **changes: str | None) -> dict[str, str]:
        """The environment of a command; None takes a variable out."""
        changed = {**plain_environ(), **self.environ, **changes}
        return {name: value for name, value in changed.items() if value is not None}

    def run(self, *arguments: str, stdin: str = "", **changes: str | None) -> subprocess.CompletedProcess[str]:
        """Run `ingest-assets` to its end."""
        if self.commands is not None and not changes.keys() & AT_START:
            return self.commands.run(list(arguments), self.shell(**changes), stdin)
        return subprocess.run(  # noqa: S603  (our own command)
            [COMMAND, *arguments],
            env=self.shell(**changes),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, *arguments: str, **changes: str | None) -> subprocess.Popen[str]:
        """Start `ingest-assets` and let it run."""
        return subprocess.Popen(  # noqa: S603  (our own command)
            [COMMAND, *arguments],
            env=self.shell(**changes),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
