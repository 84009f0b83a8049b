"""Faults, clock, ledger and the seeded worlds, as orders to the control plane."""

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from itertools import chain
from typing import Any

import httpx
import pytest

from ingest_simulator.app import HostError, running, serve
from tests.simulator.conftest import Sim

GLOBEX = "xoxb-globex"
WORLD = {"channels": 2, "messages": 200, "threads": 5, "replies": 4, "broadcasts": 2, "span_hours": 48}


class TestFaults:
    def test_a_status_replaces_the_answer_once(self, sim: Sim) -> None:
        sim.acme()
        sim.fault("status", status=502)
        assert [sim.call("auth.test").status_code for _ in range(2)] == [502, 200]

    def test_an_error_keeps_status_200(self, sim: Sim) -> None:
        sim.acme()
        sim.fault("error", error="fatal_error", times=2)
        assert [sim.error("auth.test") for _ in range(2)] == ["fatal_error"] * 2
        assert sim.answer("auth.test")["ok"]

    def test_html_comes_instead_of_json(self, sim: Sim) -> None:
        sim.acme()
        sim.fault("html")
        answer = sim.call("auth.test")
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")

    def test_a_rate_limit_says_how_long(self, sim: Sim) -> None:
        sim.acme()
        sim.fault("ratelimit", retry_after=30)
        answer = sim.call("auth.test")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
        assert sim.ask("ledger/counts")["throttled"] == 1

    @pytest.mark.parametrize(
        ("kind", "complaint"),
        [("drop", httpx.TransportError), ("truncate", httpx.RemoteProtocolError)],
    )
    def test_the_connection_may_break(self, sim: Sim, kind: str, complaint: type[httpx.TransportError]) -> None:
        sim.acme()
        sim.fault(kind)
        with pytest.raises(complaint):
            sim.call("auth.test")
        assert sim.answer("auth.test")["ok"]
        first, second = sim.ask("ledger")["requests"]
        assert first["error"] == {"drop": "dropped", "truncate": "truncated"}[kind]
        assert second["error"] is None

    def test_a_slow_answer_is_still_the_answer(self, sim: Sim) -> None:
        sim.acme()
        sim.fault("slow", seconds=0.05)
        answer = sim.call("auth.test")
        assert answer.json()["ok"]
        assert answer.elapsed.total_seconds() >= 0.05

    def test_cursors_may_go_stale_or_in_circles(self, sim: Sim) -> None:
        channel = sim.acme("general", world={"messages": 9})["channels"]["general"]
        first = sim.answer("conversations.history", channel=channel, limit=3)
        cursor = first["response_metadata"]["next_cursor"]
        sim.fault("invalid_cursor", only_with_cursor=True)
        sim.fault("repeat_cursor")
        assert sim.answer("conversations.history", channel=channel, limit=3) == first
        assert sim.error("conversations.history", channel=channel, cursor=cursor) == "invalid_cursor"
        stuck = sim.answer("conversations.history", channel=channel, limit=3, cursor=cursor)
        assert stuck["response_metadata"]["next_cursor"] == cursor
        assert sim.answer("conversations.history", channel=channel, cursor=cursor)["has_more"] is False

    @pytest.mark.parametrize(
        ("method", "name"), [("conversations.history", "messages"), ("users.list", "members")]
    )
    def test_a_page_may_be_garbage(self, sim: Sim, method: str, name: str) -> None:
        sim.acme()
        sim.fault("garbage_page")
        assert sim.answer(method) == {"ok": True, name: "oops"}

    def test_wait_for_the_requests_they_match(self, sim: Sim) -> None:
        globex = sim.order("slack/team", token=GLOBEX, world={"channels": 1})["team_id"]
        channels = sim.acme("a", "b", world={"messages": 1})["channels"]
        sim.fault("error", error="one", method="conversations.history", channel="b", team=sim.team)
        sim.fault("error", error="two", team=globex)
        assert sim.answer("conversations.history", channel=channels["a"])["ok"]
        assert sim.error("conversations.history", channel=channels["b"]) == "one"
        assert sim.answer("conversations.history", channel=channels["b"])["ok"]
        assert sim.error("auth.test", token=GLOBEX) == "two"

    def test_skip_repeat_and_are_listed_until_cleared(self, sim: Sim) -> None:
        sim.acme()
        sim.fault("error", error="third", skip=1, every=2, times=-1)
        outcomes = [sim.answer("auth.test").get("error") for _ in range(7)]
        assert outcomes == [None, None, "third", None, "third", None, "third"]
        (fault,) = sim.ask("fault")["faults"]
        assert (fault["seen"], fault["hits"], fault["remaining"]) == (7, 3, -1)
        sim.http.delete("/_sim/fault")
        assert sim.ask("fault")["faults"] == []


class TestSeededWorlds:
    def test_hold_exactly_what_was_ordered(self, sim: Sim) -> None:
        made = sim.order("slack/team", token=sim.token, world=WORLD)
        for channel in made["channels"].values():
            (page,) = sim.walk("conversations.history", channel=channel, limit=999)
            kinds = Counter(message.get("subtype", "plain") for message in page)
            assert len(page) == 202
            assert kinds["thread_broadcast"] == 2
            assert {"channel_join", "bot_message", "me_message", "plain"} <= kinds.keys()
            assert any("files" in message for message in page)
            assert any("edited" in message for message in page)
            parents = [message for message in page if "reply_count" in message]
            assert sum(parent["reply_count"] for parent in parents) == 5 * 4 + 2
            seconds = [float(message["ts"]) for message in page]
            assert max(seconds) - min(seconds) <= 48 * 3600

    def test_are_the_same_for_the_same_seed_and_time(self, sim: Sim) -> None:
        states = []
        for seed in (1, 1, 2):
            sim.order("reset")
            sim.order("clock", now="2026-05-05T12:00:00Z", frozen=True)
            team = sim.order("slack/team", token=sim.token, seed=seed, world=WORLD)["team_id"]
            lived = sim.order("slack/life", team=team, seed=seed, steps=50)
            assert sum(lived.values()) == 50
            states.append(sim.ask("slack/state", team=team))
        assert states[0] == states[1]
        assert states[0] != states[2]

    def test_the_state_is_what_a_full_walk_reads(self, sim: Sim) -> None:
        team = sim.order("slack/team", token=sim.token, world=WORLD)["team_id"]
        sim.order("slack/life", team=team, steps=120)
        for channel in sim.ask("slack/state", team=team)["channels"]:
            read: dict[str, str] = {}
            for message in chain(*sim.walk("conversations.history", channel=channel["id"], limit=50)):
                read[message["ts"]] = message["text"]
                if message.get("reply_count") or message.get("subtype") == "thread_broadcast":
                    thread = sim.walk("conversations.replies", channel=channel["id"], ts=message["thread_ts"])
                    read |= {reply["ts"]: reply["text"] for page in thread for reply in page}
            assert read == {message["ts"]: message["text"] for message in channel["messages"]}


class TestOrders:
    @pytest.mark.parametrize(
        ("path", "fields", "complaint"),
        [
            ("slack/team", {}, "token: Field required"),
            ("slack/team", {"token": "t", "tier": 1}, "tier: Extra inputs are not permitted"),
            ("slack/team", {"token": "xoxb-acme"}, "in use already"),
            ("slack/team", {"token": "t", "client_id": "1"}, "token rotation needs"),
            ("slack/post", {"team": "T9", "channel": "c", "text": "x"}, "there is no Slack workspace T9"),
            ("fault", {"vendor": "slack", "kind": "gremlin"}, "kind: Input should be"),
            ("fault", {"vendor": "zoom", "kind": "drop"}, "there is no vendor zoom"),
            ("clock", {"now": "2026-05-05T12:00:00"}, "now: Input should have timezone"),
        ],
    )
    def test_that_make_no_sense_are_refused_in_a_sentence(
        self, sim: Sim, path: str, fields: dict[str, Any], complaint: str
    ) -> None:
        sim.acme()
        answer = sim.http.post(f"/_sim/{path}", json=fields)
        assert answer.status_code == 400
        assert complaint in answer.json()["error"]

    def test_that_are_not_json_are_refused(self, sim: Sim) -> None:
        assert sim.http.post("/_sim/latency", content=b"{").status_code == 400
        assert sim.http.post("/_sim/latency", content=b"[]").status_code == 400

    def test_a_reset_leaves_nothing(self, sim: Sim) -> None:
        sim.acme("general")
        sim.fault("drop")
        sim.order("clock", advance_seconds=-3600)
        sim.order("reset")
        assert sim.error("auth.test") == "invalid_auth"
        assert sim.ask("fault")["faults"] == []
        assert sim.ask("ledger")["total"] == 1


class TestClockAndLedger:
    def test_the_clock_can_be_set_moved_and_returned(self, sim: Sim) -> None:
        assert sim.order("clock", now="2026-05-05T12:00:00Z")["now"].startswith("2026-05-05T12:00:0")
        assert sim.order("clock", advance_seconds=3600)["now"].startswith("2026-05-05T13:00:0")
        sim.acme("general")
        assert sim.say("general", "hi").startswith("177798")
        assert not sim.order("clock")["now"].startswith("2026-05-05")

    def test_the_ledger_counts_by_method_status_and_team(self, sim: Sim) -> None:
        sim.order("slack/team", token=GLOBEX)
        sim.acme()
        sim.answer("auth.test", token=GLOBEX)
        seen = sim.ask("ledger")["total"]
        sim.answer("auth.test")
        sim.error("users.info", user="U9")
        counts = sim.ask("ledger/counts", since=seen, team=sim.team)
        assert counts["by_method"] == {"auth.test": 1, "users.info": 1}
        assert counts["by_status"] == {"200": 2}
        assert counts["by_error"] == {"user_not_found": 1}
        assert sim.ask("ledger/counts")["total"] == 3
        (request,) = sim.ask("ledger", since=2)["requests"]
        assert (request["method"], request["params"]) == ("users.info", {"user": "U9"})
        sim.http.delete("/_sim/ledger")
        assert sim.ask("ledger") == {"total": 3, "requests": []}

    def test_latency_lets_requests_overlap_and_the_ledger_sees_it(self, sim: Sim) -> None:
        sim.acme()
        sim.order("latency", seconds=0.2)
        threads = [threading.Thread(target=sim.call, args=("auth.test",)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sim.ask("ledger/counts")["max_in_flight"] == 4


class TestServer:
    def test_the_command_announces_itself_and_stops_when_told(self) -> None:
        command = [sys.executable, "-m", "ingest_simulator", "--port", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
            assert process.stdout is not None
            words = process.stdout.readline().split()
            assert words[:3] == ["simulator", "listening", "on"]
            assert httpx.get(f"{words[3]}/_sim/health").json()["ok"] is True
            process.send_signal(signal.SIGTERM)
            assert process.wait(10) in (0, -signal.SIGTERM)

    def test_several_run_side_by_side(self, sim: Sim) -> None:
        sim.acme()
        with running() as other:
            assert other != sim.url
            assert httpx.get(f"{other}/_sim/health").json()["teams"] == 0

    @pytest.mark.parametrize("host", ["0.0.0.0", "example.com", "::"])  # noqa: S104 - must be refused
    def test_other_addresses_than_loopback_are_refused(self, host: str) -> None:
        with pytest.raises(HostError):
            serve(host)

    def test_shares_no_code_with_the_rest_of_the_project(self) -> None:
        script = (
            "import sys, ingest_simulator.app\n"
            "print([m for m in sys.modules if m.startswith('ingest_assets.')"
            " and not m.startswith('ingest_simulator')])"
        )
        found = subprocess.run(  # noqa: S603
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=dict(os.environ)
        )
        assert found.stdout.strip() == "[]"
