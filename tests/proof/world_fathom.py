"""Fathom: sessions, late and withdrawn transcripts, summaries, sessions hidden from the login, deletions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row

from tests.proof.operations import WORKSPACE
from tests.proof.worlds import MARGIN, Item, Numbers, Shown, World, alike_but_for_old_transcripts, picked, spoken
from tests.sources.tenants import FathomTenant, Tenant
from tests.test_tokens import rotating

AGES = (0.02, 0.1, 0.2, 0.3, 0.4, 3.0, 30.0, 500.0)  # hours
HOUR = 3600.0
LOOK_BACK = timedelta(hours=1)
EMAIL, OTHER = "bob@vendor.example", "eve@vendor.example"


class FathomLife(World):
    faults = {  # noqa: RUF012
        "meetings.list": ("oops",),
        "recordings.transcript": ("oops",),
        "recordings.summary": ("oops",),
    }

    def customer(self) -> Tenant:
        return rotating(FathomTenant, self.bench) if self.rotating else FathomTenant(self.bench, WORKSPACE)

    @property
    def rotating(self) -> bool:
        return self.variant == 1

    def connect(self) -> None:
        """Connect it, in one variant with the login of a second user as well."""
        self.tenant.connect(name="bob")
        if self.variant == 2:
            self.tenant.order("user", api_key="another", email=OTHER, sees="own")
            self.tenant.secrets = {"api_key": "another"}
            self.tenant.connect(name="eve")

    def begin(self, numbers: Numbers) -> None:
        order = picked(("newest_first", "oldest_first", "shuffled"), numbers[1])
        self.tenant.order("settings", page_size=2 + numbers[4] % 4, order=order)
        self.lines: dict[str, str] = {}
        for place in range(4 + numbers[2] % 8):
            self._meeting(picked(AGES, place + numbers[3]))

    def live(self, numbers: Numbers) -> str:
        verbs = (
            (self._new, 6),
            (self._edit, 3),
            (self._delete, 3),
            (self._transcript, 4),
            (self._hide, 1),
            (lambda _numbers: self.malform(), 1),
        )
        return str(picked([verb for verb, weight in verbs for _ in range(weight)], numbers[0])(numbers[1:]))

    def _meeting(self, hours_ago: float, **fields: Any) -> str:
        said, title = self.words(), self.words()
        made = self.tenant.order("meeting", lines=[said], title=title, hours_ago=hours_ago, **fields)["recording"]
        self.lines[str(made)] = said
        return str(made)

    def _new(self, numbers: Numbers) -> str:
        seen = [EMAIL, OTHER] if numbers[4] % 2 else [picked((EMAIL, OTHER), numbers[5])]
        made = self._meeting(
            visible_to=seen if self.variant == 2 else None,
            hours_ago=picked(AGES, numbers[0]) if numbers[1] % 2 else 0.02,
            transcript_after_seconds=picked((0, 0, 0, 1200, 8 * HOUR, 100 * HOUR, None), numbers[2]),
            summary_after_seconds=picked((0, 600, None), numbers[3]),
        )
        return f"meeting {made}"

    def _state(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.bench.ask("fathom/state", org=self.tenant.vendor_id)["meetings"]
        return found

    def _change(self, verb: str, number: int, **fields: Any) -> str:
        living = [
            one["recording"] for one in self._state() if not one["deleted"] and str(one["recording"]) in self.lines
        ]
        if not living:
            return "no meeting"
        recording = picked(living, number)
        self.tenant.order(verb, recording=recording, **fields)
        if fields.get("lines"):
            self.lines[str(recording)] = fields["lines"][0]
        return f"{verb} {recording} {fields}"

    def _edit(self, numbers: Numbers) -> str:
        return self._change("edit", numbers[0], fields={"title": self.words()})

    def _delete(self, numbers: Numbers) -> str:
        return self._change("delete", numbers[0])

    def _hide(self, numbers: Numbers) -> str:
        return self._change(
            "hide", numbers[0], email=picked((EMAIL, OTHER), numbers[1]) if self.variant == 2 else EMAIL
        )

    def _transcript(self, numbers: Numbers) -> str:
        lines = picked((None, [self.words()]), numbers[2])
        return self._change("transcript", numbers[0], ready=numbers[1] % 4 > 0, lines=lines)

    def shown(self) -> Shown:
        return {
            key: Item(
                (one["title"], self.lines.get(key, "") if one["transcript"] else ""),
                datetime.fromisoformat(one["created_at"]),
            )
            for one in self._state()
            if not one["deleted"]
            and self._logins() & set(one["visible_to"])
            and (key := str(one["recording"])) not in self.malformed
        }

    def seen_by(self, account: Row[Any]) -> set[str]:
        email = OTHER if account.name == "eve" else EMAIL
        return {str(one["recording"]) for one in self._state() if email in one["visible_to"]}

    def _logins(self) -> set[str]:
        return {EMAIL, OTHER} if self.variant == 2 else {EMAIL}

    def stored(self) -> Shown:
        return {
            key: Item((row.title, spoken(row.text) if key in self.lines else ""), row.created_at)
            for key, row in self.tenant.rows.items()
            if row.deleted_at is None
        }

    def promised(self, item: Item, began: datetime) -> bool:
        return item.at > began - LOOK_BACK + MARGIN

    def alike(self, external_id: str, stored: Item, shown: Sequence[Item], *, settled: bool) -> bool:
        """Compare all of it where a list brings transcripts; an app asks for none that it has."""
        if not self.rotating:
            return super().alike(external_id, stored, shown, settled=settled)
        return alike_but_for_old_transcripts(self, stored, shown, settled=False)
