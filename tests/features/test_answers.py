"""Answers as servers write them: whatever their form, what is in them is read, and what they cost is counted."""

from __future__ import annotations

import json
from time import perf_counter
from typing import Any

import pytest

from ingest_assets.features.answer import Asked, Rejected, Usage, read
from ingest_assets.features.findings import MOST_STARTS, parse
from ingest_assets.features.settings import ModelSettings
from ingest_assets.settings import SettingsError
from tests.features.test_extraction import KEY, LINES, PROVEN, Calls, answer
from tests.workbench import Bench

GOOD = answer(PROVEN)


@pytest.fixture
def calls(bench: Bench) -> Calls:
    return Calls(bench)


class TestTheText:
    @pytest.mark.parametrize(
        "content",
        [
            [{"type": "text", "text": GOOD}],
            [{"type": "text", "text": GOOD[:40]}, {"type": "text", "text": GOOD[40:]}],
            [{"type": "thinking", "thinking": [{"type": "text", "text": "{}"}]}, {"type": "text", "text": GOOD}],
            [GOOD],
            {"type": "text", "text": GOOD},
            f'<think>The schema is {{"items": [...]}}.</think>{GOOD}',
            f"<think>First I had {answer()}, but no.</think>\n{GOOD}",
            f"I think aloud: {answer()} is too little.</think>{GOOD}",  # vLLM leaves the first mark out
            f"Here is {{items, summary}}: {GOOD}",
            f"{GOOD} I left {{person}} empty.",
            f'For example {{"quote": "x"}}. Now: {GOOD}',
            f"{answer()}\n\nOn second thought:\n{GOOD}",
            f"{GOOD}\n\nHad there been nothing, I had said {answer()}.",
            f"{answer(*[PROVEN] * 300)} No, once is enough: {GOOD}",
            json.dumps({"findings": json.loads(GOOD)}),
            GOOD.replace("They talked.", "They\ntalked."),
            "\ufeff" + GOOD,
        ],
    )
    def test_it_is_found_in_every_form(self, calls: Calls, content: Any) -> None:
        calls.add()
        calls.say(content)
        report = calls.extract()
        assert (report.status, report.extracted, report.requests) == ("success", 1, 1)
        assert [item["quote"] for item in calls.row.items] == [PROVEN["quote"]]

    @pytest.mark.parametrize(
        "content", [[], [{"type": "image_url"}], {}, 7, [None], [{"type": []}], "<think>And so on"]
    )
    def test_what_holds_no_text_is_empty(self, calls: Calls, content: Any) -> None:
        calls.add()
        calls.say(content, times=2)
        assert calls.extract().rejected == 1
        assert calls.row.state == "retry"

    @pytest.mark.parametrize("place", ["reasoning_content", "reasoning"])
    def test_it_is_found_where_the_server_took_it_for_a_thought(self, calls: Calls, place: str) -> None:
        calls.add()
        calls.say(document={"choices": [{"message": {"content": "\n", place: f"\n{GOOD}\n"}}]})
        report = calls.extract()
        assert (report.status, report.extracted, report.requests) == ("success", 1, 1)
        assert [item["quote"] for item in calls.row.items] == [PROVEN["quote"]]

    def test_a_draft_among_thoughts_is_no_answer(self, calls: Calls) -> None:
        calls.add()
        message = {"content": "", "reasoning": f"Had there been nothing, I had said {answer()}"}
        calls.say(document={"choices": [{"message": message, "finish_reason": "stop"}]}, times=2)
        assert calls.extract().rejected == 1
        assert calls.row.state == "retry"

    @pytest.mark.parametrize(
        "finish_reason", ["eos", "end", "end_turn", "stop_sequence", "tool_calls", "", None, "length"]
    )
    def test_complete_json_is_complete_whatever_ended_it(self, calls: Calls, finish_reason: str | None) -> None:
        calls.add(3)
        calls.say(GOOD, finish_reason=finish_reason, times=3)
        report = calls.extract()
        assert (report.extracted, report.requests) == (3, 3)

    @pytest.mark.parametrize(
        ("finish_reason", "outcome"),
        [
            ("max_tokens", "length"),
            ("MAX_TOKENS", "length"),
            ("model_length", "length"),
            ("SAFETY", "content_filter"),
        ],
    )
    def test_other_servers_words_for_length_and_filter_are_known(self, finish_reason: str, outcome: str) -> None:
        choice = {"finish_reason": finish_reason, "message": {"content": GOOD[:50]}}
        with pytest.raises(Rejected) as caught:
            read({"choices": [choice]}, Asked(10, 5))
        assert caught.value.outcome == outcome

    @pytest.mark.parametrize(
        "document",
        [
            None,
            [],
            "ok",
            {},
            {"choices": None},
            {"choices": {}},
            {"choices": [None]},
            {"choices": [[]]},
            {"choices": [{}]},
            {"choices": [{"message": {"content": {"type": {}, "text": [[[[[]]]]]}}}], "error": [7]},
            {"error": "overloaded"},
            {"error": {"code": None, "message": None}},
            {"choices": [{"error": {"code": 502}, "message": {"content": ""}}]},
        ],
    )
    def test_a_document_that_is_no_completion_is_a_hiccup(self, calls: Calls, document: Any) -> None:
        calls.add()
        calls.fault("json", status=200, body=document)
        report = calls.extract()
        assert (report.status, report.extracted, report.requests) == ("success", 1, 2)

    def test_an_older_servers_completion_is_read(self, calls: Calls) -> None:
        calls.add()
        calls.say(document={"choices": [{"text": GOOD}]})
        assert calls.extract().extracted == 1


class TestTheItems:
    @pytest.mark.parametrize(
        "changed",
        [
            {key: value for key, value in PROVEN.items() if value is not None},
            {key.title(): value for key, value in PROVEN.items()},
            {key.upper(): value for key, value in PROVEN.items()},
            {**PROVEN, "confidence": 0.9, "id": 7},
            {**PROVEN, "kind": "Pain"},
            {**PROVEN, "kind": " pains "},
            {**PROVEN, "sentiment": "n/a", "person": "N/A", "due": ""},
            {**PROVEN, "sentiment": "frustrated"},  # of a kind that has none
            {key: value for key, value in PROVEN.items() if key != "speaker"},
        ],
    )
    def test_what_is_plain_is_understood_without_asking_again(self, calls: Calls, changed: dict[str, Any]) -> None:
        calls.add()
        calls.say(answer(changed))
        report = calls.extract()
        assert (report.requests, report.malformed) == (1, 0)
        [item] = calls.row.items
        assert (item["kind"], item["person"], item["due"], item["sentiment"]) == ("pain", None, None, None)

    @pytest.mark.parametrize(
        ("given", "kept"),
        [
            ({"kind": "Feature Request"}, ("kind", "feature_request")),
            ({"kind": "next-step"}, ("kind", "next_step")),
            ({"kind": "customer_sentiment", "sentiment": "Negative"}, ("sentiment", "negative")),
            ({"kind": "commitment", "due": 2027}, ("due", "2027")),
        ],
    )
    def test_names_and_numbers_are_written_as_ours(self, given: dict[str, Any], kept: tuple[str, str]) -> None:
        findings, faults = parse(answer({**PROVEN, **given}))
        assert not faults
        assert findings is not None
        assert getattr(findings.items[0], kept[0]) == kept[1]

    def test_without_a_summary_one_is_asked_for_and_the_items_stay(self, calls: Calls) -> None:
        calls.add()
        calls.say(json.dumps({"items": [PROVEN]}), times=2)
        report = calls.extract()
        assert (report.extracted, report.requests) == (1, 2)
        assert (len(calls.row.items), calls.row.summary, calls.row.state) == (1, "", "ready")

    @pytest.mark.parametrize("second", ["I cannot.", "", None])
    def test_a_correction_that_is_worse_takes_nothing_away(self, calls: Calls, second: str | None) -> None:
        calls.add()
        calls.say(answer({**PROVEN, "kind": "grief"}, PROVEN))
        calls.say(second)
        report = calls.extract()
        assert (report.extracted, report.malformed) == (1, 1)
        assert [item["kind"] for item in calls.row.items] == ["pain"]

    @pytest.mark.parametrize(
        "text", ['{"a":' * 100_000, '{"a": "' * 20_000, "{" + " " * 500_000, '{ "' * (MOST_STARTS * 9)]
    )
    def test_hostile_text_takes_no_time(self, text: str) -> None:
        began = perf_counter()
        assert parse(text)[0] is None
        assert perf_counter() - began < 5  # a tenth of a second where nothing else runs


class TestTheUsage:
    @pytest.mark.parametrize(
        "usage",
        [
            None,
            {},
            [],
            "many",
            {"prompt_tokens": 10_000, "completion_tokens": None},
            {"prompt_tokens": None, "completion_tokens": 50},
            {"prompt_tokens": "10", "completion_tokens": -1},
            {"prompt_tokens": 0, "completion_tokens": 0},
            {"prompt_tokens": 2**70, "completion_tokens": 2**70},
            {"prompt_tokens": True, "completion_tokens": [1]},
        ],
    )
    def test_what_a_server_does_not_count_is_estimated(self, calls: Calls, usage: Any) -> None:
        calls.add(2)
        calls.say(GOOD, usage=usage, times=2)
        report = calls.extract()
        assert (report.status, report.extracted) == ("success", 2)
        assert report.usage.input >= 2 * 800
        assert all(0 < row.input_tokens <= 10_000 for row in calls.paid)

    def test_budgets_hold_at_a_server_that_counts_nothing(self, calls: Calls) -> None:
        calls.add(6)
        calls.say(GOOD, usage=None, times=6)
        report = calls.extract(parallel=1, run_tokens=5_000)
        assert report.status == "partial"
        assert 0 < report.extracted < 6
        assert "OPENAI_RUN_TOKENS" in str(report.reason)

    def test_a_prompt_that_the_server_cut_is_rejected_and_halved(self, calls: Calls) -> None:
        calls.add(lines=LINES * 60)
        calls.say(GOOD, usage={"prompt_tokens": 2051, "completion_tokens": 50})
        report = calls.extract()
        assert (report.extracted, report.requests) == (1, 3)
        assert [row.outcome for row in calls.paid] == ["prompt_cut", "answered", "answered"]

    def test_a_server_that_cuts_every_prompt_says_so_in_the_calls_reason(self, calls: Calls) -> None:
        calls.add()
        calls.say(GOOD, usage={"prompt_tokens": 7, "completion_tokens": 50}, times=100)
        assert calls.extract().rejected == 1
        assert "only a part of the prompt" in calls.row.reason

    def test_a_cached_beginning_that_is_not_counted_is_no_cut(self) -> None:
        document = {"choices": [{"message": {"content": GOOD}}], "usage": {"prompt_tokens": 260}}
        assert read(document, Asked(1_000, 250))[1].input == 260

    def test_what_a_batch_costs_is_marked(self) -> None:
        assert read({"choices": [{"message": {"content": "x"}}]}, Asked(9, 5), batched=True)[1] == Usage(
            9, 1, batched=True
        )


class TestTheKey:
    @pytest.mark.parametrize("key", [f"{KEY}\n", f" {KEY}\r\n", f'"{KEY}"', f"'{KEY}' ", f"\ufeff{KEY}"])
    def test_what_a_file_or_a_shell_leaves_around_it_is_stripped(self, calls: Calls, key: str) -> None:
        calls.bench.configure(OPENAI_API_KEY=key)
        calls.add()
        assert calls.extract().extracted == 1

    @pytest.mark.parametrize("key", ["sk-abc def", "sk-abc\nsk-def", "sk-“abc”", "sk-abc\u200bdef"])
    def test_what_no_header_carries_is_refused_in_one_sentence(self, key: str) -> None:
        with pytest.raises(SettingsError, match="OPENAI_API_KEY") as caught:
            ModelSettings.load({"OPENAI_API_KEY": key})
        assert "copy the key again" in str(caught.value)
        assert "abc" not in str(caught.value)

    @pytest.mark.parametrize("key", ["", " ", "\n", '""'])
    def test_nothing_is_no_key(self, key: str) -> None:
        assert ModelSettings.load({"OPENAI_API_KEY": key}).api_key is None

    def test_an_address_with_the_method_in_it_is_understood(self) -> None:
        given = {"OPENAI_BASE_URL": "http://localhost:8080/v1/chat/completions/ "}
        assert ModelSettings.load(given).base_url == "http://localhost:8080/v1"
