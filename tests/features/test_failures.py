"""One conversation is not the endpoint: what one meets holds up no other, and what all meet is lost for none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from ingest_assets.features.http import LONGEST_ANSWER
from ingest_assets.features.refusals import Meaning, Refusal
from ingest_assets.features.request import Endpoint
from tests.features.test_extraction import KEY, LINES, Calls
from tests.workbench import Bench

TOO_LONG_AT_VLLM = {
    "object": "error",
    "message": "This model's maximum context length is 8192 tokens. However, you requested 12000 tokens",
    "code": 400,
}
POISON: list[dict[str, Any]] = [
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 502},
    {"kind": "html"},
    {"kind": "html", "status": 403},
    {"kind": "drop"},
    {"kind": "truncate"},
    {"kind": "json", "status": 200, "body": {"error": {"code": 502, "message": "Provider returned error"}}},
    {"kind": "json", "status": 200, "body": {"error": "overloaded"}},
    {"kind": "json", "status": 400, "body": {"error": {"message": "Bad Request"}}},
    {"kind": "json", "status": 422, "body": {"detail": "Unprocessable"}},
]

HUGE: list[dict[str, Any]] = [
    {"kind": "gzip", "body": LONGEST_ANSWER // 10**6 + 1},
    {"kind": "gzip", "body": LONGEST_ANSWER // 10**6 + 1, "status": 500},
    {"kind": "raw", "body": "A" * (LONGEST_ANSWER + 1)},
]


@pytest.fixture
def calls(bench: Bench) -> Calls:
    return Calls(bench)


def named(calls: Calls, title: str) -> Any:
    [row] = [row for row in calls.rows.values() if row.title == title]
    return row


class TestOneConversation:
    @pytest.mark.parametrize("fault", POISON, ids=lambda one: f"{one['kind']}-{one.get('status', '')}")
    def test_one_that_always_fails_holds_up_nobody(self, calls: Calls, fault: dict[str, Any]) -> None:
        calls.add(4, titles=["a", "b", "c", "poison"])
        calls.fault(part="poison", times=-1, **fault)
        report = calls.extract(parallel=1)
        assert (report.status, report.extracted, report.unanswered, report.remaining) == ("partial", 3, 1, 1)
        assert "asked again later" in str(report.reason)
        row = named(calls, "poison")
        assert (row.state, row.failures) == ("retry", 1)
        assert row.reason
        assert calls.due() == []
        assert calls.extract().requests == 0  # its pause is not over
        calls.bench.clock.advance(timedelta(minutes=6))
        assert calls.due() == ["acme"]
        calls.gong.calm()
        assert calls.extract().extracted == 1
        row = named(calls, "poison")
        assert (row.state, row.reason, row.failures, row.retry_at) == ("ready", None, 0, None)

    @pytest.mark.parametrize("fault", HUGE, ids=lambda one: f"{one['kind']}-{one.get('status', '')}")
    def test_one_with_a_huge_answer_is_not_read_to_its_end(self, calls: Calls, fault: dict[str, Any]) -> None:
        calls.add(2, titles=["good", "poison"])
        calls.fault(part="poison", times=-1, **fault)
        report = calls.extract(parallel=1)
        assert (report.extracted, report.unanswered) == (1, 1)
        assert "more bytes than any completion has" in named(calls, "poison").reason

    def test_three_poisoned_calls_among_thirty_leave_twenty_seven_read(self, calls: Calls) -> None:
        calls.add(30, titles=["poison" if place in {11, 28, 29} else f"call {place}" for place in range(30)])
        calls.fault("status", status=500, part="poison", times=-1)
        report = calls.extract(parallel=1)
        assert (report.extracted, report.unanswered, report.remaining) == (27, 3, 3)

    def test_a_time_out_is_the_conversations_and_counts_in_tokens(self, calls: Calls) -> None:
        calls.add(2, titles=["good", "poison"])
        calls.fault("slow", seconds=3, part="poison", times=-1)
        report = calls.extract(parallel=1, timeout_seconds=1)
        assert (report.extracted, report.unanswered) == (1, 1)
        lost = [row for row in calls.paid if row.outcome == "timeout"]
        assert len(lost) == 2
        assert all(row.input_tokens > 800 for row in lost)
        assert "OPENAI_TIMEOUT_SECONDS" in named(calls, "poison").reason

    def test_tries_that_fail_use_up_the_budget(self, calls: Calls) -> None:
        calls.add(3)
        calls.fault("status", status=500, times=-1)
        report = calls.extract(parallel=1, run_tokens=5_500)
        assert report.status == "partial"
        assert "OPENAI_RUN_TOKENS" in str(report.reason)
        assert report.usage.input == sum(row.input_tokens for row in calls.paid) > 3_000

    def test_its_pauses_grow_and_it_comes_last_until_it_changes(self, calls: Calls) -> None:
        [good, poison] = calls.add(2, titles=["good", "poison"])
        calls.fault("status", status=500, part="poison", times=-1)
        pauses = []
        for round_ in range(4):
            if round_:
                calls.bench.execute("delete from features.gong_call_features where title = 'good'")
                assert calls.waiting() == [good, poison]  # although poison is newer
            calls.extract(parallel=1)
            row = named(calls, "poison")
            pauses.append(row.retry_at - calls.bench.clock.now())
            calls.bench.clock.advance(pauses[-1] + timedelta(seconds=1))
        assert row.failures == 4
        assert [round(pause / timedelta(minutes=5)) for pause in pauses] == [1, 2, 4, 8]

    def test_a_failed_one_has_one_try_in_the_next_run(self, calls: Calls) -> None:
        calls.add(2, titles=["good", "poison"])
        calls.fault("status", status=500, part="poison", times=-1)
        assert calls.extract(parallel=1).requests == 1 + 4
        calls.bench.clock.advance(timedelta(minutes=6))
        assert calls.extract(parallel=1).requests == 1

    def test_a_moderated_prompt_is_its_calls_alone(self, calls: Calls) -> None:
        calls.add(3, titles=["a", "b", "poison"])
        body = {
            "error": {"code": 403, "message": "Your chosen model requires moderation and your input was flagged"}
        }
        calls.fault("json", status=403, body=body, part="poison", times=-1)
        report = calls.extract(parallel=1)
        assert (report.extracted, report.rejected) == (2, 1)
        assert named(calls, "poison").state == "rejected"


class TestTheEndpoint:
    @pytest.mark.parametrize("fault", POISON, ids=lambda one: f"{one['kind']}-{one.get('status', '')}")
    def test_what_several_in_a_row_meet_stops_the_run(self, calls: Calls, fault: dict[str, Any]) -> None:
        calls.add(12)
        calls.fault(times=-1, **fault)
        report = calls.extract(parallel=1)
        assert report.status in {"partial", "failed"}
        assert (report.remaining, report.extracted) == (12, 0)
        assert report.requests <= 4 + 4 + 6  # tries of the first, one of each other, guesses at the request's form
        assert calls.due() == []  # not every minute again
        calls.gong.calm()
        calls.bench.clock.advance(timedelta(minutes=16))
        assert calls.extract().extracted == 12  # and nothing has to wait for a pause of its own

    def test_a_run_in_which_nothing_was_answered_says_so(self, calls: Calls) -> None:
        calls.add(2)
        calls.fault("json", status=400, body={"error": {"message": "The moon is in the wrong house"}}, times=-1)
        report = calls.extract(parallel=1)
        assert (report.status, report.remaining) == ("failed", 2)
        assert "The moon is in the wrong house" in str(report.reason)

    @pytest.mark.parametrize(
        ("status", "body", "said"),
        [
            (402, {"error": {"message": "Insufficient Balance"}}, "quota"),
            (
                400,
                {"type": "error", "error": {"message": "Your credit balance is too low to access the API"}},
                "quota",
            ),
            (400, {"error": {"message": "Model Not Exist"}}, "OPENAI_MODEL"),
            (404, {"error": {"message": "model 'llama9' not found"}}, "OPENAI_MODEL"),
            (400, [{"error": {"message": "API key not valid. Please pass a valid API key."}}], "OPENAI_API_KEY"),
            (401, "Unauthorized", "OPENAI_API_KEY"),
        ],
    )
    def test_what_an_operator_must_put_right_stops_at_once_at_any_server(
        self, calls: Calls, status: int, body: Any, said: str
    ) -> None:
        calls.add(3)
        calls.fault("json", status=status, body=body, times=-1)
        report = calls.extract(parallel=1)
        assert (report.status, report.requests, report.remaining) == ("failed", 1, 3)
        assert said in str(report.reason)


class TestTooLong:
    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (400, TOO_LONG_AT_VLLM),
            (400, {"error": {"code": 400, "type": "exceed_context_size_error", "message": "no", "n_ctx": 2048}}),
            (500, {"error": {"code": 500, "message": "the request exceeds the available context size"}}),
            (400, {"type": "error", "error": {"message": "prompt is too long: 209303 tokens > 200000 maximum"}}),
            (
                400,
                [{"error": {"message": "The input token count (2000000) exceeds the maximum number of tokens"}}],
            ),
            (413, "Payload Too Large"),
            (
                413,
                {"error": {"message": "Request too large for model `m` on tokens per minute (TPM): Limit 6000"}},
            ),
            (429, {"error": {"message": "Request too large for gpt on tokens per min (TPM): Limit 30000"}}),
            (400, {"error": {"message": "max_tokens must be at least 1, got -186."}}),
            (400, {"error": {"message": "Bad Request"}}),  # nothing but that shorter ones are answered
            (422, ""),
        ],
    )
    def test_any_servers_words_for_it_halve_the_call_and_hold_up_nobody(
        self, calls: Calls, status: int, body: Any
    ) -> None:
        endpoint = Endpoint()
        calls.add(12)
        if status in {400, 422} and Refusal.of(status, body).meaning is not Meaning.TOO_LONG:
            calls.extract(endpoint, parallel=1)  # else there are no shorter ones that were answered
        [long] = calls.add(lines=LINES * 20, titles=["long"])
        calls.fault("json", status=status, body=body, part="long", times=2)
        report = calls.extract(endpoint, parallel=1)
        assert (report.status, report.remaining) == ("success", 0)
        assert len(calls.rows) == 13
        assert calls.rows[long].state == "ready"
        assert report.requests - report.extracted >= 3

    def test_an_answer_gets_the_room_that_the_server_tells(self, calls: Calls) -> None:
        calls.add(2)
        calls.key(dialect="vllm", context_tokens=4_000)
        report = calls.extract(parallel=1)
        assert (report.extracted, report.requests) == (2, 3)

    def test_a_turn_without_spaces_is_halved_between_graphemes(self, calls: Calls) -> None:
        calls.add(lines=["価格が高すぎるので予算を超えます" * 150])
        calls.key(context_tokens=2_000)
        report = calls.extract()
        assert (report.extracted, report.rejected) == (1, 0)


class TestItsOwnWords:
    def test_they_are_cut_and_cleaned(self) -> None:
        refusal = Refusal.of(400, {"error": {"message": "No\x1b[2J\u202e\nway. " + "x " * 400}})
        words = refusal.words()
        assert words.isprintable()
        assert words.startswith("No [2J way.")
        assert len(words) <= 300

    @pytest.mark.parametrize("line", ["Our budget is forty thousand euros.", "予算は四万ユーロですがもう少し"])
    def test_what_they_repeat_of_the_prompt_is_left_out(self, line: str) -> None:
        prompt = ["Report what matters.", f"[0:00:01] Bo (customer): {line}"]
        refusal = Refusal.of(422, {"error": {"message": f"Cannot read “{line}” at place 7"}})
        words = refusal.words(prompt)
        assert line[3:12] not in words
        assert words.startswith("Cannot read")
        assert words.endswith("at place 7")

    def test_a_key_in_them_is_hidden(self) -> None:
        words = Refusal.of(400, {"error": {"message": "No access with sk-proj-abcdef1234 here"}}).words()
        assert words == "No access with [key] here"

    def test_what_a_validator_repeats_of_the_input_is_never_read(self, calls: Calls) -> None:
        calls.add()
        body = {"detail": [{"loc": ["body", "messages"], "msg": "Value error", "input": "\n".join(LINES)}]}
        calls.fault("json", status=422, body=body, times=-1)
        told = str(calls.extract().reason) + str(calls.row.reason)
        assert "Value error" in told
        assert not [line for line in LINES if line[5:20] in told]
        assert KEY not in told


class TestDeletions:
    def test_features_of_a_deleted_call_are_forgotten_without_a_key(self, calls: Calls) -> None:
        first, second = calls.add(2)
        calls.extract()
        calls.bench.execute("update raw.gong_calls set deleted_at = now() where external_id = :id", id=first)
        report = calls.extract(api_key=None)
        assert (report.status, report.forgotten) == ("skipped", 1)
        assert set(calls.rows) == {second}

    def test_they_are_forgotten_while_another_run_reads(self, calls: Calls) -> None:
        calls.add(2)
        calls.extract()
        calls.bench.execute("update raw.gong_calls set deleted_at = now()")
        with calls.alone():
            assert calls.extract().forgotten == 2
        assert not calls.rows
