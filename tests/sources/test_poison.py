"""One part that cannot be read, whatever its requests answer and for ever: nothing but that part suffers.

The matrix is derived from the clients' own tables: each method that asks for a part, and each answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from ingest_assets.sources.client.retry import TRIES
from ingest_assets.sources.parts import LONGEST_PAUSE
from ingest_assets.sources.slack.errors import KINDS, UNSEEN
from ingest_assets.storage.schema import unreadable_parts
from ingest_assets.sync.account import sync
from ingest_assets.sync.result import SyncResult
from tests.sources.poison import ANSWERS, CASES, HEALTHY, PARTS, Case
from tests.workbench import Bench

SYNCS = 3
LONG = "long rate limit"
RHYTHM = timedelta(minutes=15)
LOGIN_REQUESTS = 2  # that a sync may make beyond its usual ones: the login asked, a token refreshed
RESENT = 2  # the HTTP library sends once more what a connection that it kept open did not take
HALVINGS = 2 * (HEALTHY + 1).bit_length()  # requests to find one among the calls of a request
CONCERNS_ALL = ("rate limit", LONG, "no answer", "cut off")
SLACK_CODES = sorted(KINDS)
LATER = ("status 500", "error 200", "error 403", "rate limit")
"""Answers that are also tried on a part that was read before."""


def scheduled(case: Case) -> SyncResult:
    """Sync as a schedule would: pauses of parts count."""
    tenant = case.tenant
    options = tenant.bench.app.options_of(tenant.source)
    worker = replace(tenant.bench.worker(), reservation="a tick")
    return sync(tenant.source, tenant.account, options, worker)


def rounds(case: Case) -> SyncResult:
    """Sync a few times while the healthy parts live on."""
    for _ in range(SYNCS):
        case.bench.clock.advance(RHYTHM)
        case.grow()
        result = scheduled(case)
    return result


def poison(case: Case, answer: dict[str, Any]) -> None:
    named = {} if case.lists_names else {"part": case.part}
    if case.source == "gmail" and answer["kind"] == "drop":
        answer = {"kind": "missing"}  # of what is sent together nothing drops alone
    case.tenant.fault(method=case.method, times=-1, **named, **answer)


def recovers(case: Case) -> None:
    """Let the fault end; see that the account becomes complete without anybody."""
    case.tenant.calm()
    for _ in range(2):
        case.bench.clock.advance(LONGEST_PAUSE + RHYTHM)
        result = scheduled(case)
    assert (result.status, case.tenant.account.state) == ("success", "active"), result.reason
    assert case.whole()
    assert case.arrived(case.healthy)
    assert not case.tenant.stored(unreadable_parts)


def check(case: Case, answer: str) -> None:
    """Poison a part and see that nothing but that part suffers."""
    poison(case, ANSWERS[answer])
    since = case.bench.requests()
    result = rounds(case)
    calls = case.tenant.calls(since=since)
    if answer == LONG and case.counts_together:
        assert case.tenant.account.state == "active", result.reason
        recovers(case)
        return
    assert case.arrived(case.healthy), "a healthy part suffers"
    assert case.tenant.account.state == "active", result.reason
    if answer not in case.exempt:
        assert result.status == "partial", result.reason
        assert any(case.told in part.part for part in result.unreadable)
        assert all(part.code and part.name and part.action for part in result.unreadable)
        case.tenant.calm()
        usual = usual_calls(case)
        excess = sum(calls.values()) - usual
        assert excess <= bound(case, answer), f"{excess} requests more than without the fault"
        recovers(case)


def check_together(case: Case, answers: Sequence[str]) -> None:
    """Poison as many parts as there are answers, each with one of them."""
    told = [case.told]
    parts = [case.part]
    for _ in answers[1:]:
        case.part = case.fall_ill()
        parts.append(case.part)
        told.append(case.told)
    for case.part, answer in zip(parts, answers, strict=True):
        poison(case, ANSWERS[answer])
    since = case.bench.requests()
    result = rounds(case)
    calls = case.tenant.calls(since=since)
    assert case.arrived(case.healthy), "a healthy part suffers"
    assert (case.tenant.account.state, result.status) == ("active", "partial"), result.reason
    reasons = {part.part: part for part in result.unreadable}
    for part, answer in zip(told, answers, strict=True):
        assert any(part in key for key in reasons), answer
    assert all(part.code and part.name and part.action for part in reasons.values())
    case.tenant.calm()
    excess = sum(calls.values()) - usual_calls(case)
    assert excess <= sum(bound(case, answer) for answer in answers), f"{excess} requests more than without faults"
    recovers(case)


def bound(case: Case, answer: str) -> int:
    """Return how many requests a sick part may cost in all syncs: the first tries, one a sync, the login's."""
    tries = TRIES * (RESENT if answer == "no answer" else 1)
    return tries + SYNCS + LOGIN_REQUESTS + (HALVINGS * SYNCS if case.halved else 0)


def apart(case: type[Case], answer: str) -> bool:
    """Return whether an answer needs an account of its own: it may concern all parts, or is no fault."""
    return answer in CONCERNS_ALL or answer in case.exempt or not case.many


_USUAL: Counter[tuple[str, str]] = Counter()


def usual_calls(case: Case) -> int:
    """Count the requests of the same syncs without a fault, once for each kind of case."""
    key = (case.source, case.method)
    if key not in _USUAL:
        control = type(case)(case.bench, "control")
        since = case.bench.requests()
        rounds(control)
        _USUAL[key] = sum(control.tenant.calls(since=since).values())
    return _USUAL[key]


def test_every_method_that_asks_for_a_part_has_its_row() -> None:
    assert set(CASES) == PARTS


@pytest.mark.parametrize(
    ("key", "answer"),
    [(key, answer) for key, case in CASES.items() for answer in ANSWERS if apart(case, answer)],
    ids=lambda value: value if isinstance(value, str) else ".".join(value),
)
def test_one_part_that_never_can_be_read_spoils_nothing_else(
    key: tuple[str, str], answer: str, bench: Bench
) -> None:
    check(CASES[key](bench), answer)


@pytest.mark.parametrize("key", [key for key, case in CASES.items() if case.many], ids=".".join)
def test_nor_do_several_each_with_an_answer_of_its_own(key: tuple[str, str], bench: Bench) -> None:
    check_together(CASES[key](bench), [answer for answer in ANSWERS if not apart(CASES[key], answer)])


@pytest.mark.parametrize("answer", LATER)
@pytest.mark.parametrize(
    "key", [key for key, case in CASES.items() if not (case.lists_names or case.once)], ids=".".join
)
def test_nor_does_one_that_could_be_read_before(key: tuple[str, str], answer: str, bench: Bench) -> None:
    case = CASES[key](bench)
    case.tenant.reads()
    case.grow()
    case.relapse()
    check(case, answer)


@pytest.mark.parametrize(
    "key", [key for key, case in CASES.items() if case.source == "slack" and case.many], ids=".".join
)
def test_each_code_that_a_vendor_documents_concerns_the_part_that_was_asked(
    key: tuple[str, str], bench: Bench
) -> None:
    case = CASES[key](bench)
    parts = [case.part, *(case.fall_ill() for _ in SLACK_CODES[1:])]
    for part, code in zip(parts, SLACK_CODES, strict=True):
        case.tenant.fault("error", method=case.method, part=part, error=code, times=-1)
    result = rounds(case)
    assert case.arrived(case.healthy)
    assert case.tenant.account.state == "active", result.reason
    assert result.status == "partial"
    assert {part.code for part in result.unreadable} >= set(SLACK_CODES) - UNSEEN
    assert len(result.unreadable) >= len(parts) - len(UNSEEN)
    recovers(case)
