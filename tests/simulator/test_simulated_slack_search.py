"""The simulated Slack's search: for users alone, by days in their time zone, in numbered pages, late and kept."""

from __future__ import annotations

from typing import Any

from tests.simulator.conftest import Sim

USER = "xoxp-ann"


def matches(sim: Sim, query: str, **asked: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = sim.answer("search.messages", USER, query=query, **asked)["messages"]["matches"]
    return found


def test_search_is_for_users_who_may_and_shows_replies_with_their_parents(sim: Sim) -> None:
    sim.acme({"name": "general", "member": False}, {"name": "hidden", "private": True, "member": False})
    parent = sim.order("slack/post", team=sim.team, channel="general", text="a question", hours_ago=50)["ts"]
    late = sim.order("slack/post", team=sim.team, channel="general", text="an answer", thread_ts=parent)["ts"]
    sim.order("slack/search", team=sim.team, token=USER)
    sim.order("slack/search", team=sim.team, token="xoxp-less", scopes=[])  # noqa: S106  (not a secret)
    assert sim.error("search.messages", query="answer") == "not_allowed_token_type"
    assert sim.error("search.messages", "xoxp-less", query="answer") == "missing_scope"
    assert sim.error("search.messages", USER) == "no_query"
    assert "bot_id" not in sim.answer("auth.test", USER)
    [match] = matches(sim, "threads:replies")
    assert (match["ts"], match["channel"]["name"], "thread_ts" in match) == (late, "general", False)
    assert f"thread_ts={parent}&" in match["permalink"]
    assert len(matches(sim, "a")) == 2


def test_search_is_late_keeps_its_answers_and_begins_again_after_its_last_page(sim: Sim) -> None:
    sim.acme("general")
    parent = sim.order("slack/post", team=sim.team, channel="general", text="a question", hours_ago=50)["ts"]
    items = [{"text": "again", "thread_ts": parent} for _ in range(5)]
    sim.order("slack/posts", team=sim.team, channel="general", items=items)
    sim.order("slack/search", team=sim.team, token=USER, delay_seconds=60, kept_seconds=600, last_page=2)
    assert matches(sim, "threads:replies") == []
    sim.http.post("/_sim/clock", json={"advance_seconds": 120})
    assert matches(sim, "threads:replies") == []
    assert len(matches(sim, "threads:replies again")) == 5
    pages = [
        sim.answer("search.messages", USER, query="threads:replies again", count=2, page=page)["messages"]
        for page in (1, 2, 3)
    ]
    assert [page["paging"]["page"] for page in pages] == [1, 2, 1]
    assert [len(page["matches"]) for page in pages] == [2, 2, 2]
    assert pages[0]["matches"] == pages[2]["matches"] != pages[1]["matches"]
    newest = [match["ts"] for page in pages[:2] for match in page["matches"]]
    assert newest == sorted(newest, reverse=True)


def test_search_counts_days_as_its_user_does(sim: Sim) -> None:
    sim.acme("general")
    for ts in ("1751328000.000001", "1751371200.000001"):  # 2025-07-01, at 00:00 and 12:00 UTC
        sim.order("slack/post", team=sim.team, channel="general", text="hello", ts=ts)
    for zone, later in (("UTC", 0), ("Pacific/Kiritimati", 1), ("Etc/GMT+12", 0)):
        sim.order("slack/search", team=sim.team, zone=zone, **({"token": USER} if zone == "UTC" else {}))
        assert len(matches(sim, "after:2025-07-01")) == later
    assert len(matches(sim, "after:2025-06-30")) == 1
