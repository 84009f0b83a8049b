"""Parts that cannot be read: asked again with growing pauses, told by name, and no fault of the login's."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from ingest_assets.errors import CredentialRejected, PartUnreadable, SourceError, Transient, UnexpectedResponse
from ingest_assets.sources.client.retry import TRIES
from ingest_assets.sources.parts import LONGEST_PAUSE, MANY, Parts, UnreadablePart

NOW = datetime(2026, 11, 26, 14, 41, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FAULT = PartUnreadable("Slack refused conversations.history: fatal_error.", code="fatal_error")


class Login:
    """A login that answers what it is told to."""

    def __init__(self, error: SourceError | None = None) -> None:
        self.asked, self.error = 0, error

    async def __call__(self) -> None:
        self.asked += 1
        if self.error is not None:
            raise self.error


def failed(parts: Parts, part: str = "C1", error: SourceError = FAULT) -> UnreadablePart:
    return asyncio.run(parts.failed(part, f"#{part.lower()}", error))


def test_a_part_that_failed_is_asked_again_by_the_next_sync_and_then_ever_more_rarely() -> None:
    part, pauses, now = failed(Parts(now=NOW)), [], NOW
    for _ in range(12):
        now = part.due_at or now + 15 * MINUTE
        part = failed(Parts([part], now=now, ask_all=False))
        assert part.due_at is not None
        pauses.append(part.due_at - now)
    assert pauses[:4] == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE]
    assert pauses[-1] == LONGEST_PAUSE
    assert part.since == NOW


def test_a_part_is_not_due_before_its_pause_is_over_unless_a_person_asks() -> None:
    part = replace(failed(Parts(now=NOW)), due_at=NOW + 5 * MINUTE)
    assert not Parts([part], now=NOW, ask_all=False).due("C1")
    assert Parts([part], now=NOW, ask_all=False).waiting() == []
    assert Parts([part], now=NOW + 5 * MINUTE, ask_all=False).waiting("C") == ["C1"]
    assert Parts([part], now=NOW, ask_all=True).due("C1")


def test_a_part_that_failed_before_is_tried_once_and_the_others_as_often_as_ever() -> None:
    parts = Parts([failed(Parts(now=NOW))], now=NOW)
    assert (parts.tries("C1"), parts.tries("C2")) == (1, TRIES)


@pytest.mark.parametrize(
    "error",
    [CredentialRejected("refused"), Transient("long", retry_after=timedelta(minutes=50))],
    ids=["a refusal of the login", "a long pause"],
)
def test_what_speaks_of_the_login_asks_the_login_once(error: SourceError) -> None:
    parts = Parts(now=NOW)
    parts.login = login = Login()
    for part in ("C1", "C2", "C3", "C4"):
        assert failed(parts, part, error).part == part
    assert login.asked == 1


def test_what_the_login_answers_is_the_accounts_fault() -> None:
    parts = Parts(now=NOW)
    parts.login = Login(CredentialRejected("token_revoked"))
    with pytest.raises(CredentialRejected, match="token_revoked"):
        failed(parts, "C1", CredentialRejected("token_revoked"))


def test_one_sick_part_among_healthy_ones_never_asks_the_login() -> None:
    parts = Parts(now=NOW)
    parts.login = login = Login()
    for _ in range(10):
        failed(parts, "C1", UnexpectedResponse("odd"))
        parts.succeeded("C2")
    assert login.asked == 0


def test_many_parts_in_a_row_ask_the_login_and_are_then_tried_once_each() -> None:
    parts = Parts(now=NOW)
    parts.login = login = Login()
    for number in range(MANY):
        assert parts.tries("C9") == TRIES
        failed(parts, f"C{number}", Transient("HTTP 500"))
    assert login.asked == 1
    assert parts.tries("C9") == 1


def test_a_part_that_was_read_is_told_once() -> None:
    parts = Parts([failed(Parts(now=NOW))], now=NOW)
    assert (parts.succeeded("C1"), parts.succeeded("C1"), parts.succeeded("C2")) == (["C1"], [], [])


def test_a_part_that_left_is_told_since_when_and_not_asked_for() -> None:
    left = Parts(now=NOW).left("C1", "#deal-room", "Invite the bot.", NOW)
    later = Parts([left], now=NOW + 60 * MINUTE)
    assert str(later.left("C1", "#deal-room", "Invite the bot.", NOW + 60 * MINUTE)) == (
        "no longer in #deal-room since 2026-11-26 14:41 UTC"
    )
    assert later.waiting() == []
    assert later.succeeded("C1") == ["C1"]


def test_a_part_says_its_name_its_code_and_since_when() -> None:
    first = failed(Parts(now=NOW))
    assert str(first) == "#c1 (fatal_error)"
    again = failed(Parts([first], now=NOW + 15 * MINUTE))
    assert str(again) == "#c1 (fatal_error since 2026-11-26 14:41 UTC)"


def test_what_was_acknowledged_stays_so_while_it_fails() -> None:
    known = replace(failed(Parts(now=NOW)), acknowledged_at=NOW)
    assert failed(Parts([known], now=NOW)).acknowledged_at == NOW
