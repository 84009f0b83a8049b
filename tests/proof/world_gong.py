"""Gong: calls that appear late and bit by bit, late and withdrawn transcripts, edits, private calls, deletions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.proof.operations import WORKSPACE
from tests.proof.worlds import MARGIN, Item, Numbers, Shown, World, alike_but_for_old_transcripts, picked, spoken
from tests.sources.tenants import GongTenant, Tenant
from tests.test_tokens import rotating

AGES = (0.05, 0.3, 0.7, 2.0, 10.0, 30.0, 500.0)  # hours
HOUR = 3600.0
LOOK_BACK = timedelta(days=1)


class GongLife(World):
    faults = {  # noqa: RUF012
        "calls.extensive": ("oops",),
        "calls.by_id": ("oops",),
        "calls.transcript": ("oops",),
        "calls.get": ("oops",),
        "users.list": ("oops",),
        "workspaces.list": ("oops",),
    }

    def customer(self) -> Tenant:
        return rotating(GongTenant, self.bench) if self.rotating else GongTenant(self.bench, WORKSPACE)

    @property
    def rotating(self) -> bool:
        return self.variant == 1

    def begin(self, numbers: Numbers) -> None:
        self.tenant.order(
            "settings",
            page_size=2 + numbers[4] % 4,
            order=picked(("newest_first", "oldest_first", "shuffled"), numbers[1]),
        )
        self.lines: dict[str, str] = {}
        for place in range(4 + numbers[2] % 8):
            self._call(picked(AGES, place + numbers[3]))

    def live(self, numbers: Numbers) -> str:
        verbs = (
            (self._new, 6),
            (self._edit, 3),
            (self._delete, 2),
            (self._transcript, 4),
            (self._private, 1),
            (lambda _numbers: self.malform(), 1),
        )
        return str(picked([verb for verb, weight in verbs for _ in range(weight)], numbers[0])(numbers[1:]))

    def _call(self, hours_ago: float, **fields: Any) -> str:
        made = str(
            self.tenant.order(
                "call", lines=[said := self.words()], title=self.words(), hours_ago=hours_ago, **fields
            )["call"]
        )
        self.lines[made] = said
        return made

    def _new(self, numbers: Numbers) -> str:
        made = self._call(
            picked(AGES, numbers[0]) if numbers[1] % 2 else 0.05,
            appears_after_seconds=picked((0, 0, 0, 600, 5 * HOUR, 60 * HOUR), numbers[2]),
            details_after_seconds=picked((0, 0, 900), numbers[3]),
            transcript_after_seconds=picked((0, 0, 0, 1200, 8 * HOUR, 100 * HOUR, None), numbers[4]),
        )
        return f"call {made}"

    def _some(self, number: int) -> str | None:
        living = [one["id"] for one in self._state() if not one["deleted"] and one["id"] in self.lines]
        return picked(living, number) if living else None

    def _state(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.bench.ask("gong/state", company=self.tenant.vendor_id)["calls"]
        return found

    def _edit(self, numbers: Numbers) -> str:
        return self._change("edit", numbers[0], fields={"title": self.words()})

    def _private(self, numbers: Numbers) -> str:
        return self._change("edit", numbers[0], fields={"isPrivate": numbers[1] % 2 == 0})

    def _delete(self, numbers: Numbers) -> str:
        return self._change("delete", numbers[0])

    def _transcript(self, numbers: Numbers) -> str:
        call = self._some(numbers[0])
        if call is None:
            return "no call"
        said = picked((None, self.words()), numbers[2])
        self.tenant.order(
            "transcript", call=call, ready=numbers[1] % 4 > 0, **({} if said is None else {"lines": [said]})
        )
        self.lines[call] = said or self.lines[call]
        return f"transcript of {call}"

    def _change(self, verb: str, number: int, **fields: Any) -> str:
        if (call := self._some(number)) is None:
            return "no call"
        self.tenant.order(verb, call=call, **fields)
        return f"{verb} {call} {fields}"

    def shown(self) -> Shown:
        return {
            one["id"]: Item(
                (one["title"], self.lines.get(one["id"], "") if one["transcript"] else ""),
                datetime.fromisoformat(one["started"]),
            )
            for one in self._state()
            if one["listed"] and not one["private"] and one["id"] not in self.malformed
        }

    def stored(self) -> Shown:
        return {
            key: Item((row.title, spoken(row.text) if key in self.lines else ""), row.occurred_at)
            for key, row in self.tenant.rows.items()
            if row.deleted_at is None
        }

    def promised(self, item: Item, began: datetime) -> bool:
        return item.at > began - LOOK_BACK + MARGIN

    def alike(self, external_id: str, stored: Item, shown: Sequence[Item], *, settled: bool) -> bool:
        """Tell the same, but for transcripts that were changed late."""
        return alike_but_for_old_transcripts(self, stored, shown, settled=settled)
