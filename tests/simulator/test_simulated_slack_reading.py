"""How the simulated Slack answers conversations.history and conversations.replies."""

from base64 import b64decode
from itertools import chain
from typing import Any

import pytest

from tests.simulator.conftest import Sim

TEN = [f"{1_700_000_000 + place}.000100" for place in range(10)]


def texts(messages: list[dict[str, Any]]) -> list[str]:
    return [message["text"] for message in messages]


def flat(pages: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return list(chain.from_iterable(pages))


@pytest.fixture
def general(sim: Sim) -> str:
    """A channel whose ten messages are called 0 to 9, oldest first."""
    channel: str = sim.acme("general")["channels"]["general"]
    items = [{"text": str(place), "ts": ts} for place, ts in enumerate(TEN)]
    sim.order("slack/posts", team=sim.team, channel="general", items=items)
    return channel


class TestHistory:
    def test_is_newest_first_across_and_within_pages(self, sim: Sim, general: str) -> None:
        pages = sim.walk("conversations.history", channel=general, limit=4)
        assert [texts(page) for page in pages] == [list("9876"), list("5432"), list("10")]

    def test_the_cursor_is_a_place_in_time(self, sim: Sim, general: str) -> None:
        answer = sim.answer("conversations.history", channel=general, limit=4)
        assert answer["has_more"] is True
        cursor = b64decode(answer["response_metadata"]["next_cursor"]).decode()
        assert cursor == "next_ts:" + TEN[5].replace(".", "")

    def test_what_is_posted_meanwhile_does_not_shift_the_pages(self, sim: Sim, general: str) -> None:
        cursor = sim.answer("conversations.history", channel=general, limit=4)["response_metadata"]
        sim.say("general", "late")
        page = sim.answer("conversations.history", channel=general, limit=4, cursor=cursor["next_cursor"])
        assert texts(page["messages"]) == list("5432")

    def test_a_deletion_under_the_cursor_does_not_break_the_walk(self, sim: Sim, general: str) -> None:
        cursor = sim.answer("conversations.history", channel=general, limit=4)["response_metadata"]
        sim.change("delete", "general", TEN[5])
        page = sim.answer("conversations.history", channel=general, limit=4, cursor=cursor["next_cursor"])
        assert texts(page["messages"]) == list("4321")

    @pytest.mark.parametrize(
        ("bounds", "expected"),
        [
            ({"oldest": TEN[3]}, "987654"),
            ({"oldest": TEN[3], "inclusive": "1"}, "9876543"),
            ({"oldest": TEN[3], "inclusive": "true"}, "9876543"),
            ({"latest": TEN[3]}, "210"),
            ({"latest": TEN[3], "inclusive": 1}, "3210"),
            ({"oldest": TEN[2], "latest": TEN[5]}, "43"),
            ({"oldest": "0", "latest": TEN[1]}, "0"),
            ({"oldest": TEN[4], "latest": TEN[4]}, ""),
        ],
    )
    @pytest.mark.parametrize("limit", [1, 100])
    def test_bounds_are_exclusive_unless_asked_otherwise(
        self, sim: Sim, general: str, bounds: dict[str, str | int], expected: str, limit: int
    ) -> None:
        pages = sim.walk("conversations.history", channel=general, limit=limit, **bounds)
        assert "".join(texts(flat(pages))) == expected

    @pytest.mark.parametrize(
        ("params", "error"),
        [
            ({"limit": 0}, "invalid_limit"),
            ({"limit": 1000}, "invalid_limit"),
            ({"limit": "many"}, "invalid_limit"),
            ({"limit": "-1"}, "invalid_limit"),
            ({"oldest": "yesterday"}, "invalid_ts_oldest"),
            ({"latest": "1.2.3"}, "invalid_ts_latest"),
            ({"oldest": "1700000000.0001001"}, "invalid_ts_oldest"),
            ({"cursor": "nonsense"}, "invalid_cursor"),
            ({"cursor": "dGVhbTpDMDYxRkE1UEI="}, "invalid_cursor"),
            ({"channel": "C0NOWHERE"}, "channel_not_found"),
            ({"channel": ""}, "missing_argument"),
        ],
    )
    def test_bad_arguments_have_their_own_errors(
        self, sim: Sim, general: str, params: dict[str, Any], error: str
    ) -> None:
        assert sim.error("conversations.history", **({"channel": general} | params)) == error

    def test_hides_replies_and_marks_their_parent(self, sim: Sim, general: str) -> None:
        reply = sim.say("general", "yes", thread_ts=TEN[9])
        newest = sim.answer("conversations.history", channel=general, limit=1)["messages"][0]
        assert newest["thread_ts"] == newest["ts"] == TEN[9]
        assert (newest["reply_count"], newest["latest_reply"]) == (1, reply)
        assert newest["reply_users_count"] == len(newest["reply_users"]) == 1
        assert (newest["subscribed"], newest["is_locked"]) == (False, False)

    def test_shows_a_broadcast_reply_with_its_root(self, sim: Sim, general: str) -> None:
        ts = sim.say("general", "to all", thread_ts=TEN[0], broadcast=True)
        newest = sim.answer("conversations.history", channel=general, limit=1)["messages"][0]
        assert (newest["ts"], newest["subtype"]) == (ts, "thread_broadcast")
        assert (newest["thread_ts"], newest["root"]["ts"]) == (TEN[0], TEN[0])
        sim.change("edit", "general", TEN[0], text="better")
        newest = sim.answer("conversations.history", channel=general, limit=1)["messages"][0]
        assert newest["root"]["text"] == "better"
        assert newest["root"]["reply_count"] == 1

    def test_a_public_channel_is_closed_until_joined(self, sim: Sim) -> None:
        channels = sim.acme({"name": "open", "member": False})["channels"]
        assert sim.error("conversations.history", channel=channels["open"]) == "not_in_channel"
        assert sim.error("conversations.replies", channel=channels["open"], ts=TEN[0]) == "not_in_channel"
        assert sim.answer("conversations.join", channel=channels["open"])["ok"]
        (joined,) = sim.answer("conversations.history", channel=channels["open"])["messages"]
        assert joined["subtype"] == "channel_join"

    def test_a_private_channel_does_not_exist_for_outsiders(self, sim: Sim) -> None:
        channels = sim.acme({"name": "secret", "private": True})["channels"]
        assert sim.answer("conversations.history", channel=channels["secret"])["ok"]
        sim.order("slack/membership", team=sim.team, channel="secret", member=False)
        assert sim.error("conversations.history", channel=channels["secret"]) == "channel_not_found"

    def test_an_archived_channel_stays_readable(self, sim: Sim) -> None:
        channels = sim.acme({"name": "old", "archived": True})["channels"]
        assert sim.answer("conversations.history", channel=channels["old"])["ok"]

    def test_can_walk_from_the_oldest_end(self, sim: Sim) -> None:
        channel = sim.acme("general", order="oldest_first")["channels"]["general"]
        items = [{"text": str(place), "ts": ts} for place, ts in enumerate(TEN)]
        sim.order("slack/posts", team=sim.team, channel="general", items=items)
        pages = sim.walk("conversations.history", channel=channel, limit=4, oldest=TEN[0])
        assert [texts(page) for page in pages] == [list("4321"), list("8765"), list("9")]

    def test_can_cap_every_page(self, sim: Sim) -> None:
        channel = sim.acme("general", page_cap=2, world={"messages": 5})["channels"]["general"]
        pages = sim.walk("conversations.history", channel=channel, limit=100)
        assert [len(page) for page in pages] == [2, 2, 1]

    @pytest.mark.parametrize("order", ["newest_first", "oldest_first"])
    def test_can_leave_pages_empty_without_losing_anything(self, sim: Sim, order: str) -> None:
        world = {"messages": 10, "threads": 1, "replies": 6}
        made = sim.acme("general", empty_pages=True, order=order, world=world)
        channel = made["channels"]["general"]
        pages = sim.walk("conversations.history", channel=channel, limit=4)
        assert [len(page) for page in pages] == [0, 4, 0, 4, 0, 2]
        assert len({message["ts"] for message in flat(pages)}) == 10
        parent = next(message["ts"] for message in flat(pages) if "reply_count" in message)
        thread = sim.walk("conversations.replies", channel=channel, ts=parent, limit=4)
        assert len({message["ts"] for message in flat(thread)}) == 7
        assert len(flat(sim.walk("conversations.list", limit=1))) == 1


class TestReplies:
    @pytest.fixture
    def thread(self, sim: Sim, general: str) -> list[str]:  # noqa: ARG002 - the channel must exist first
        return [
            TEN[3],
            *(sim.say("general", f"r{n}", thread_ts=TEN[3], ts=f"{1_700_000_100 + n}.0") for n in range(5)),
        ]

    @pytest.mark.usefixtures("thread")
    def test_the_parent_repeats_and_replies_are_oldest_first(self, sim: Sim, general: str) -> None:
        pages = sim.walk("conversations.replies", channel=general, ts=TEN[3], limit=3)
        assert [texts(page) for page in pages] == [["3", "r0", "r1"], ["3", "r2", "r3"], ["3", "r4"]]

    def test_the_parent_may_come_only_once(self, sim: Sim) -> None:
        channel = sim.acme("general", repeat_parent=False)["channels"]["general"]
        parent = sim.say("general", "p", hours_ago=1)
        for place in range(4):
            sim.say("general", f"r{place}", thread_ts=parent)
        pages = sim.walk("conversations.replies", channel=channel, ts=parent, limit=2)
        assert [texts(page) for page in pages] == [["p", "r0"], ["r1", "r2"], ["r3"]]

    def test_any_message_of_the_thread_leads_to_all_of_it(self, sim: Sim, general: str, thread: list[str]) -> None:
        answer = sim.answer("conversations.replies", channel=general, ts=thread[2])
        assert [message["ts"] for message in answer["messages"]] == thread
        assert {message["thread_ts"] for message in answer["messages"]} == {TEN[3]}

    def test_only_the_parent_tells_what_was_read(self, sim: Sim, general: str, thread: list[str]) -> None:
        parent, *replies = sim.answer("conversations.replies", channel=general, ts=TEN[3])["messages"]
        assert (parent["subscribed"], parent["unread_count"], parent["last_read"]) == (True, 0, thread[-1])
        assert all(reply["parent_user_id"] == parent["user"] for reply in replies)
        assert not any("reply_count" in reply or "last_read" in reply for reply in replies)

    def test_oldest_leaves_out_replies_but_not_the_parent(self, sim: Sim, general: str, thread: list[str]) -> None:
        answer = sim.answer("conversations.replies", channel=general, ts=TEN[3], oldest=thread[4])
        assert texts(answer["messages"]) == ["3", "r4"]

    def test_a_message_without_replies_comes_alone(self, sim: Sim, general: str) -> None:
        (alone,) = sim.answer("conversations.replies", channel=general, ts=TEN[0])["messages"]
        assert alone["text"] == "0"
        assert "thread_ts" not in alone

    @pytest.mark.parametrize("ts", ["1600000000.000000", "soon"])
    def test_an_unknown_thread_is_not_found(self, sim: Sim, general: str, ts: str) -> None:
        assert sim.error("conversations.replies", channel=general, ts=ts) == "thread_not_found"
        assert sim.error("conversations.replies", channel=general) == "missing_argument"


class TestChanges:
    def test_an_edit_keeps_the_ts_and_leaves_a_mark(self, sim: Sim, general: str) -> None:
        sim.change("edit", "general", TEN[9], text="better <@U1>")
        newest = sim.answer("conversations.history", channel=general, limit=1)["messages"][0]
        assert (newest["ts"], newest["text"]) == (TEN[9], "better <@U1>")
        assert newest["edited"]["user"] == newest["user"]
        elements = newest["blocks"][0]["elements"][0]["elements"]
        assert elements == [{"type": "text", "text": "better "}, {"type": "user", "user_id": "U1"}]

    def test_a_deleted_message_is_gone(self, sim: Sim, general: str) -> None:
        sim.change("delete", "general", TEN[9])
        assert texts(sim.answer("conversations.history", channel=general)["messages"]) == list("876543210")
        assert sim.error("conversations.replies", channel=general, ts=TEN[9]) == "thread_not_found"

    def test_a_deleted_parent_leaves_a_tombstone_until_its_last_reply_goes(self, sim: Sim, general: str) -> None:
        reply = sim.say("general", "yes", thread_ts=TEN[9])
        sim.change("delete", "general", TEN[9])
        stone = sim.answer("conversations.history", channel=general, limit=1)["messages"][0]
        assert (stone["subtype"], stone["user"], stone["hidden"]) == ("tombstone", "USLACKBOT", True)
        assert stone["thread_ts"] == stone["ts"] == TEN[9]
        assert stone["reply_count"] == 1
        assert "blocks" not in stone
        thread = sim.answer("conversations.replies", channel=general, ts=TEN[9])["messages"]
        assert texts(thread) == ["This message was deleted.", "yes"]
        sim.change("delete", "general", reply)
        assert texts(sim.answer("conversations.history", channel=general)["messages"]) == list("876543210")

    def test_a_deleted_reply_lowers_the_count_and_the_last_one_ends_the_thread(
        self, sim: Sim, general: str
    ) -> None:
        first, second = (sim.say("general", text, thread_ts=TEN[9]) for text in ("a", "b"))
        sim.change("delete", "general", second)
        parent = sim.answer("conversations.history", channel=general, limit=1)["messages"][0]
        assert (parent["reply_count"], parent["latest_reply"]) == (1, first)
        sim.change("delete", "general", first)
        parent = sim.answer("conversations.history", channel=general, limit=1)["messages"][0]
        assert "thread_ts" not in parent
        assert "reply_count" not in parent

    def test_reactions_gather_under_their_name(self, sim: Sim, general: str) -> None:
        for user in ("U1", "U2", "U2"):
            sim.change("react", "general", TEN[9], name="eyes", user=user)
        newest = sim.answer("conversations.history", channel=general, limit=1)["messages"][0]
        assert newest["reactions"] == [{"name": "eyes", "users": ["U1", "U2"], "count": 2}]

    def test_odd_payloads_are_shown_as_they_are(self, sim: Sim, general: str) -> None:
        sim.say("general", "odd", extra={"user": None, "ts": 12})
        sim.order("slack/raw", team=sim.team, channel="general", payload={"type": "message"})
        sim.order("slack/raw", team=sim.team, channel="general", payload="oops")
        newest = sim.answer("conversations.history", channel=general, limit=3)["messages"]
        assert newest[:2] == ["oops", {"type": "message"}]
        assert (newest[2]["ts"], newest[2]["user"]) == (12, None)
