"""One episode of the soup: step after step, and each claim of a sync is compared with the truth."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from sqlalchemy import Row

from ingest_assets.storage.coverage import NO_GAPS, find_coverage
from ingest_assets.storage.writes import load_cursors
from ingest_assets.sync.account import sync
from ingest_assets.sync.replay import replay_all
from ingest_assets.sync.result import SyncResult
from ingest_assets.sync.stop import Stop
from tests.proof.checks import Claim
from tests.proof.commits import counted_commits, counted_requests
from tests.proof.faults import fault_of
from tests.proof.matrix import EXPIRED
from tests.proof.operations import WORKSPACE
from tests.proof.steps import Step
from tests.proof.tally import Tally, Untrue
from tests.proof.world_fathom import FathomLife
from tests.proof.world_gmail import GmailLife
from tests.proof.world_gong import GongLife
from tests.proof.world_slack import SlackLife
from tests.proof.worlds import Numbers, Shown, World, picked
from tests.workbench import Bench

WORLDS: dict[str, type[World]] = {"slack": SlackLife, "gong": GongLife, "fathom": FathomLife, "gmail": GmailLife}
SKEW = timedelta(minutes=10)
TIMES = tuple(timedelta(minutes=minutes) for minutes in (3, 15, 15, 70, 200, 600, 1500, 3000))
LONGEST = timedelta(days=30)  # of all steps of time
HOUR, DAY, WEEK, MONTH = timedelta(hours=1), timedelta(days=1), timedelta(days=7), timedelta(days=31)
SOON = timedelta(hours=1)
QUIET = 8  # syncs until nothing changes any more, at most
AUDITS = 50  # the same until all that is old was looked at again
AGES = "update {table} set first_seen_at = first_seen_at + :passed where first_seen_at >= :since"


@dataclass
class Episode:
    """One customer, its steps, and what is noted of them."""

    bench: Bench
    killer: subprocess.Popen[str]
    source: str
    seed: int
    tally: Tally = field(default_factory=Tally)
    log: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    """What became of syncs of another worker amid the one under way."""
    skew: timedelta = timedelta()
    passed: timedelta = timedelta()

    def run(self, steps: Sequence[Step]) -> None:
        """Take all steps, then read everything. Raises Untrue."""
        self.tally.episodes += 1
        numbers = [Random(f"{self.source}/{self.seed}/begin").randrange(1000) for _ in range(8)]  # noqa: S311
        kind = WORLDS[self.source]
        self.world = kind(self.bench, numbers)
        self.world.begin(numbers)
        self.world.connect()
        for step in steps:
            self.tally.steps += 1
            self.log.append(f"{step} ->")
            done = getattr(self, f"_{step.kind.replace(' ', '_')}")(step.numbers)
            self.log[-1] += f" {done}"
        self._end()

    def _live(self, numbers: Numbers) -> str:
        return self.world.live(numbers)

    def _fault(self, numbers: Numbers) -> str:
        fields = fault_of(self.source, self.world.faults, numbers, every_method=not self.world.rotating)
        self.world.tenant.fault(**fields)
        self.tally.faults += 1
        return str(fields)

    def _heal(self, _numbers: Numbers) -> str:
        self.world.tenant.calm()
        return "no faults"

    def _login(self, numbers: Numbers) -> str:
        revoked = numbers[0] % 3 == 0
        self.world.tenant.revoke(revoked=revoked)
        return f"revoked {revoked}"

    def _time(self, numbers: Numbers) -> str:
        by = picked(TIMES, numbers[0])
        if self.passed + by > LONGEST:
            return "no more time"
        self.passed += by
        self.bench.clock.advance(by)
        return f"{by} passed"

    def _skew(self, numbers: Numbers) -> str:
        wanted = picked((-SKEW, timedelta(), timedelta(), SKEW), numbers[0])
        self.bench.clock.go_wrong(wanted - self.skew)
        self.skew = wanted
        return f"our clock is {wanted} ahead"

    def _sync(self, numbers: Numbers) -> str:
        changes: dict[str, Any] = {"sync_minutes": 1e-9} if numbers[0] % 6 == 0 else {}
        account = picked(self.world.accounts, numbers[2])
        return self._checked(account, lambda: self._synced(account, reserved=numbers[1] % 4 == 0, **changes))

    def _sync_amid_something(self, numbers: Numbers) -> str:
        stop, noted, account = Stop(), list[str](), picked(self.world.accounts, numbers[2])
        at_commit, taken = numbers[6] % 2 == 0, list[object]()

        def lived(times: int) -> None:
            for time in range(times):
                noted.append(self.world.live([*numbers[3 + time :], *numbers, *numbers]))

        def another() -> None:
            lone = (
                nullcontext() if at_commit else self.bench.clock.alone()
            )  # before a request all others stand still
            with lone, ThreadPoolExecutor(1) as pool:  # a thread without an event loop
                self.others.append(pool.submit(self._synced, account, "another").result().status)

        def overtake() -> None:
            if any(one.lease_owner == "worker" for one in self.world.accounts):
                self._expire()
                taken.append(account)

        something: dict[str, Sequence[Callable[[], object]]] = {
            "stopped": [stop.request],
            "lived": [partial(lived, 1)],
            "lived more": [partial(lived, 4)],
            "another worker came": [another],
            "overtaken": [overtake, partial(lived, 2), another],
            "healed": [self.world.tenant.calm],
            "time passed": [partial(self.bench.clock.advance, timedelta(minutes=10))],
        }
        what = picked(list(something), numbers[1])

        def act() -> None:
            for one in something[what]:
                one()

        before = self.world.shown()
        amid = (
            counted_commits(2 + numbers[0] % 8, act) if at_commit else counted_requests(1 + numbers[0] % 12, act)
        )
        with amid:
            done = self._checked(account, lambda: self._synced(account, stop=stop), before=before)
        if taken and self.others[-1] != "skipped" and not done.startswith("skipped"):
            raise Untrue(f"{done}\noverlapped: another worker had the lease")
        return f"{done}, {what} {' '.join([*noted, *self.others])}"

    def _kill(self, numbers: Numbers) -> str:
        if self.world.rotating or len(self.world.accounts) > 1:
            return self._sync(numbers)
        order = {
            "operation": "first sync",
            "source": self.source,
            "environ": self.bench.environ,
            "now": self.bench.clock.now().isoformat(),
            "at": 1 + numbers[0] % 12,
            "before": numbers[1] % 2 == 0,
            "imports": [],
        }
        assert self.killer.stdin is not None
        assert self.killer.stdout is not None
        self.killer.stdin.write(json.dumps(order) + "\n")
        self.killer.stdin.flush()
        told = json.loads(self.killer.stdout.readline())
        self.tally.kills += told["killed"]
        self._expire()
        if not told["killed"] and told.get("code"):
            raise Untrue(f"a sync in a process of its own ended with {told['code']}")
        return "killed" if told["killed"] else f"ended before: {told['outcome']}"

    def _expire(self) -> None:
        for statement in EXPIRED:
            self.bench.execute(statement)

    def _synced(
        self,
        account: Row[Any],
        owner: str = "worker",
        *,
        reserved: bool = False,
        stop: Stop | None = None,
        **changes: Any,
    ) -> SyncResult:
        """Sync once, and date what is new by the time that has passed for us and not for PostgreSQL."""
        tenant = self.world.tenant
        worker = self.bench.worker(owner, **changes)
        worker = replace(worker, stop=stop or worker.stop, reservation="a run" if reserved else None)
        since, ahead = datetime.now(UTC), self.bench.clock.now() - datetime.now(UTC)
        result = sync(tenant.source, account, self.bench.app.options_of(tenant.source), worker)
        self.bench.execute(AGES.format(table=tenant.table.fullname), passed=ahead, since=since)
        self.tally.syncs += 1
        return result

    def _checked(self, account: Row[Any], syncs: Callable[[], SyncResult], *, before: Shown | None = None) -> str:
        """Sync, and compare what the sync claims with what the vendor showed when it began, and shows now."""
        before, marked = before or self.world.shown(), self.world.marked()
        self.others.clear()
        with self.bench.engine.connect() as conn:
            fresh = not load_cursors(conn, account.account_id)
        began = min(self.bench.clock.now(), self.world.now)  # what coverage will say, whichever clock is wrong
        try:
            result = syncs()
        except Exception as error:
            raise Untrue(f"raised {type(error).__name__}: {error}") from error
        self.tally.successes += result.status == "success"
        told = f"{result.status}: {result.reason}" if result.reason else result.status
        alone = set(self.others) <= {"skipped"}  # else what one could not read may have been read by the other
        claim = Claim(
            world=self.world,
            account=account,
            result=result,
            coverage=[row for row in self._coverage() if row.account == account.name] if alone else None,
            before=before,
            after=self.world.shown(),
            began=began,
            fresh=fresh,
            marked=marked,
        )
        if found := claim.untrue():
            raise Untrue(f"{told}\n" + "\n".join(found))
        return told

    def _coverage(self) -> Sequence[Any]:
        with self.bench.engine.connect() as conn:
            return find_coverage(conn, WORKSPACE, self.source)

    def _end(self) -> None:
        """Take all faults away, let everything come due, and insist on the truth."""
        tenant = self.world.tenant
        tenant.calm()
        tenant.revoke(revoked=False)
        self.world.mend()
        self.bench.clock.go_wrong(-self.skew)
        vault = self.bench.app.vault
        list(replay_all(self.bench.engine, [tenant.source], lambda: True, owner="night", length=SOON, vault=vault))
        for pause in (timedelta(), DAY + SOON, WEEK + DAY):
            self.bench.clock.advance(pause)
            self.world.settled_at = self.world.settled_at or (self.bench.clock.now() if pause else None)
            self._until_quiet(insist=pause > timedelta())  # what was not found is believed to be gone after a day
        self._until_audited()
        shown, stored = self.world.shown(), self.world.stored()
        self.tally.rows += len(shown)
        found = [f"lost: {key} {shown[key]}" for key in sorted(shown.keys() - stored.keys())]
        found += [f"not marked: {key} {stored[key]}" for key in sorted(stored.keys() - shown.keys())]
        found += [
            f"stale: {key} stored {stored[key].content} shown {shown[key].content}"
            for key in sorted(shown.keys() & stored.keys())
            if not self.world.alike(key, stored[key], [shown[key]], settled=True)
        ]
        found += [f"still rejected: {row.item_key} {row.error}" for row in tenant.rejected]
        found += self._gaps()
        if found:
            raise Untrue("in the end\n" + "\n".join(found))

    def _until_audited(self) -> None:
        """Sync until all that is old was looked at again; at Gong and Fathom it was."""
        if self.source != "slack":
            return
        self.bench.clock.advance(MONTH)
        for _ in range(AUDITS):
            self.bench.clock.advance(HOUR)
            self._until_quiet(insist=True)
            looked = [row.read_at for row in self._coverage() if row.state.startswith("audit")]
            if min(looked) > self.world.settled_at:
                return
        raise Untrue("in the end it is never looked at again")

    def _until_quiet(self, *, insist: bool) -> None:
        told = ""
        for _ in range(QUIET):
            held = self.world.stored()
            told = " ".join(self._checked(one, partial(self._synced, one)) for one in self.world.accounts)
            self.log.append(f"end -> {told}")
            if set(told.split()) == {"success"} and held == self.world.stored():
                return
        if insist:
            raise Untrue(f"in the end it is never quiet: {told}")

    def _gaps(self) -> list[str]:
        """Return what coverage says is missing, but for transcripts that Gong and Fathom do not have."""
        return [
            f"gap: {row.part} {row.state} {row.reason}"
            for row in self._coverage()
            if row.state not in NO_GAPS | {"pending"}
        ]
