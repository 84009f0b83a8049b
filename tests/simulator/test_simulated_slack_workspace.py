"""Tokens, scopes, limits, users and channels of the simulated Slack."""

from itertools import chain
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from tests.simulator.conftest import Sim

ROTATION: dict[str, Any] = {
    "client_id": "1.2",
    "client_secret": "s3cret",
    "refresh_token": "xoxe-1-first",
    "expires_in": 43200,
}


class TestTokens:
    def test_without_one_or_with_a_wrong_one_nothing_is_told(self, sim: Sim) -> None:
        sim.acme()
        assert sim.error("auth.test", token=None) == "not_authed"
        assert sim.error("auth.test", "xoxb-wrong") == "invalid_auth"

    def test_a_revoked_one_is_refused(self, sim: Sim) -> None:
        sim.acme()
        sim.order("slack/token", team=sim.team, revoked=True)
        assert sim.error("auth.test") == "token_revoked"
        sim.order("slack/token", team=sim.team, revoked=False)
        assert sim.answer("auth.test")["team_id"] == sim.team

    def test_may_come_as_a_field_in_a_query_or_in_json(self, sim: Sim) -> None:
        sim.acme()
        url = "/slack/api/auth.test"
        bearer = {"Authorization": f"Bearer {sim.token}"}
        answers = [
            sim.http.post(url, data={"token": sim.token}),
            sim.http.get(url, headers=bearer),
            sim.http.get(url, params={"token": sim.token}),
            sim.http.post(url, json={"nothing": None}, headers=bearer),
        ]
        assert [answer.json()["ok"] for answer in answers] == [True] * 4

    @pytest.mark.parametrize(
        ("kind", "error"),
        [("application/json", "invalid_json"), ("text/csv", "invalid_post_type"), ("", "missing_post_type")],
    )
    def test_a_body_that_cannot_be_read_is_named(self, sim: Sim, kind: str, error: str) -> None:
        answer = sim.http.post("/slack/api/auth.test", content=b"{", headers={"Content-Type": kind})
        assert answer.json()["error"] == error

    def test_an_unknown_method_is_named(self, sim: Sim) -> None:
        sim.acme()
        assert sim.answer("chat.dance") == {
            "ok": False,
            "error": "unknown_method",
            "req_method": "chat.dance",
        }


class TestRotation:
    def refresh(self, sim: Sim, **fields: Any) -> Any:
        given = {"grant_type": "refresh_token"} | ROTATION | fields
        return sim.answer("oauth.v2.access", token=None, **given)

    def test_a_token_expires_by_the_simulated_clock(self, sim: Sim) -> None:
        sim.acme(**ROTATION)
        sim.order("clock", advance_seconds=43_100)
        assert sim.answer("auth.test")["ok"]
        sim.order("clock", advance_seconds=200)
        assert sim.error("auth.test") == "token_expired"

    def test_a_refresh_token_works_once(self, sim: Sim) -> None:
        sim.acme(**ROTATION)
        pair = self.refresh(sim)
        assert (pair["ok"], pair["expires_in"], pair["token_type"]) == (True, 43200, "bot")
        assert pair["team"]["id"] == sim.team
        assert sim.answer("auth.test", token=pair["access_token"])["ok"]
        assert self.refresh(sim)["error"] == "invalid_refresh_token"
        assert self.refresh(sim, refresh_token=pair["refresh_token"])["ok"]

    @pytest.mark.parametrize(
        ("fields", "error"),
        [
            ({"client_id": "9"}, "invalid_client_id"),
            ({"client_secret": "x"}, "bad_client_secret"),
            ({"grant_type": "magic"}, "invalid_grant_type"),
            ({"grant_type": "authorization_code", "code": "1"}, "invalid_code"),
        ],
    )
    def test_bad_credentials_are_named_and_cost_nothing(
        self, sim: Sim, fields: dict[str, Any], error: str
    ) -> None:
        sim.acme(**ROTATION)
        assert self.refresh(sim, **fields)["error"] == error
        assert self.refresh(sim)["ok"]

    def test_the_official_client_can_refresh(self, sim: Sim) -> None:
        sim.acme(**ROTATION)
        pair = sim.slack("").oauth_v2_access(
            client_id=ROTATION["client_id"],
            client_secret=ROTATION["client_secret"],
            grant_type="refresh_token",
            refresh_token=ROTATION["refresh_token"],
        )
        assert sim.slack(pair["access_token"]).auth_test()["team_id"] == sim.team

    def test_the_ledger_keeps_no_credentials(self, sim: Sim) -> None:
        sim.acme(**ROTATION)
        pair = self.refresh(sim)
        sim.answer("auth.test", token=pair["access_token"])
        ledger = sim.http.get("/_sim/ledger").text
        assert not any(secret in ledger for secret in ("s3cret", "xoxe", sim.token))
        assert sim.ask("ledger")["requests"][0]["team"] == sim.team


class TestScopes:
    @pytest.mark.parametrize(
        ("method", "params", "needed"),
        [
            ("users.list", {}, "users:read"),
            ("users.info", {"user": "U1"}, "users:read"),
            ("team.info", {}, "team:read"),
            ("conversations.list", {}, "channels:read"),
            ("conversations.list", {"types": "private_channel"}, "groups:read"),
            ("users.conversations", {"types": "im"}, "im:read"),
            ("conversations.history", {"channel": "open"}, "channels:history"),
            ("conversations.replies", {"channel": "closed", "ts": "1.0"}, "groups:history"),
            ("conversations.members", {"channel": "closed"}, "groups:read"),
            ("conversations.join", {"channel": "open"}, "channels:join"),
        ],
    )
    def test_a_missing_one_is_named(self, sim: Sim, method: str, params: dict[str, Any], needed: str) -> None:
        ids = sim.acme("open", {"name": "closed", "private": True}, scopes=["chat:write"])["channels"]
        if "channel" in params:
            params = params | {"channel": ids[params["channel"]]}
        answer = sim.call(method, **params)
        assert answer.json() == {
            "ok": False,
            "error": "missing_scope",
            "needed": needed,
            "provided": "chat:write",
        }
        assert answer.headers["x-oauth-scopes"] == "chat:write"

    def test_can_be_taken_away_later(self, sim: Sim) -> None:
        sim.acme()
        sim.order("slack/token", team=sim.team, scopes=["users:read"])
        assert sim.error("conversations.list") == "missing_scope"
        assert "email" not in sim.answer("users.list")["members"][-1]["profile"]


class TestLimits:
    def test_do_not_bother_anyone_unless_asked_for(self, sim: Sim) -> None:
        sim.acme()
        assert all(sim.answer("users.list")["ok"] for _ in range(30))

    @pytest.mark.parametrize(("method", "allowed"), [("users.list", 20), ("team.info", 50)])
    def test_hold_per_method_over_a_sliding_minute_of_the_simulated_clock(
        self, sim: Sim, method: str, allowed: int
    ) -> None:
        sim.order("clock", now="2026-05-05T12:00:00Z", frozen=True)
        sim.acme(enforce_limits=True)
        assert all(sim.answer(method)["ok"] for _ in range(allowed))
        sim.order("clock", advance_seconds=20)
        refused = sim.call(method)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "40")
        assert refused.json() == {"ok": False, "error": "ratelimited"}
        assert sim.answer("auth.test")["ok"]
        sim.order("clock", advance_seconds=40)
        assert sim.answer(method)["ok"]

    def test_a_limited_app_reads_fifteen_objects_a_minute(self, sim: Sim) -> None:
        made = sim.acme("general", app_class="limited", world={"messages": 40})
        channel = made["channels"]["general"]
        page = sim.answer("conversations.history", channel=channel, limit=200)
        assert len(page["messages"]) == 15
        refused = sim.call("conversations.history", channel=channel)
        assert refused.status_code == 429
        assert 55 <= int(refused.headers["retry-after"]) <= 60
        assert sim.answer("conversations.replies", channel=channel, ts=page["messages"][0]["ts"])["ok"]
        assert sim.answer("users.list")["ok"]
        sim.order("clock", advance_seconds=60)
        assert sim.answer("conversations.history", channel=channel)["ok"]


class TestChannels:
    CHANNELS = (
        "general",
        {"name": "foreign", "member": False},
        {"name": "secret", "private": True},
        {"name": "hidden", "private": True, "member": False},
        {"name": "old", "archived": True},
    )

    def names(self, sim: Sim, method: str, **params: Any) -> set[str]:
        return {channel["name"] for channel in chain(*sim.walk(method, **params))}

    @pytest.mark.parametrize(
        ("method", "params", "expected"),
        [
            ("conversations.list", {}, {"general", "foreign", "old"}),
            ("conversations.list", {"exclude_archived": "true"}, {"general", "foreign"}),
            ("conversations.list", {"types": "private_channel"}, {"secret"}),
            ("users.conversations", {}, {"general", "old"}),
            (
                "users.conversations",
                {"types": "public_channel,private_channel"},
                {"general", "old", "secret"},
            ),
        ],
    )
    def test_are_listed_by_type_and_membership(
        self, sim: Sim, method: str, params: dict[str, Any], expected: set[str]
    ) -> None:
        sim.acme(*self.CHANNELS)
        assert self.names(sim, method, **params) == expected
        assert self.names(sim, method, **params, limit=1) == expected

    def test_only_the_full_list_says_who_is_a_member(self, sim: Sim) -> None:
        sim.acme(*self.CHANNELS)
        listed = {c["name"]: c["is_member"] for c in sim.answer("conversations.list")["channels"]}
        assert listed == {"general": True, "foreign": False, "old": True}
        assert all("is_member" not in c for c in sim.answer("users.conversations")["channels"])

    def test_bad_listings_are_refused(self, sim: Sim) -> None:
        sim.acme("general")
        assert sim.error("conversations.list", types="public_channel,rooms") == "invalid_types"
        assert sim.error("conversations.list", limit=1000) == "invalid_limit"
        assert sim.error("conversations.list", cursor="x") == "invalid_cursor"

    def test_joining_knows_its_obstacles(self, sim: Sim) -> None:
        ids = sim.acme(*self.CHANNELS)["channels"]
        assert sim.answer("conversations.join", channel=ids["general"])["warning"] == "already_in_channel"
        assert sim.error("conversations.join", channel=ids["old"]) == "is_archived"
        assert sim.error("conversations.join", channel=ids["hidden"]) == "channel_not_found"
        private = sim.error("conversations.join", channel=ids["secret"])
        assert private == "method_not_supported_for_channel_type"
        assert sim.answer("conversations.join", channel=ids["foreign"])["channel"]["is_member"] is True
        assert "foreign" in self.names(sim, "users.conversations")

    def test_can_be_looked_up_with_their_members(self, sim: Sim) -> None:
        made = sim.acme("general", users=3)
        channel = made["channels"]["general"]
        shown = sim.answer("conversations.info", channel=channel, include_num_members=1)["channel"]
        assert (shown["is_member"], shown["num_members"]) == (True, 4)
        members = set(chain(*sim.walk("conversations.members", channel=channel, limit=2)))
        assert members == {*made["users"], made["bot_user_id"]}


class TestUsers:
    def test_are_listed_with_the_bot_slackbot_and_who_left(self, sim: Sim) -> None:
        made = sim.acme(users=5)
        members = list(chain(*sim.walk("users.list", limit=2)))
        ids = {member["id"] for member in members}
        assert ids == {*made["users"], made["bot_user_id"], "USLACKBOT"}
        assert [member["deleted"] for member in members].count(True) == 1
        assert sim.answer("users.list")["members"] == members

    def test_an_unlisted_one_is_known_to_users_info_only(self, sim: Sim) -> None:
        sim.acme()
        sim.order("slack/user", team=sim.team, id="U0FOREIGN", name="zoe", real_name="Zoe Q", listed=False)
        assert sim.answer("users.info", user="U0FOREIGN")["user"]["real_name"] == "Zoe Q"
        assert "U0FOREIGN" not in {member["id"] for member in sim.answer("users.list")["members"]}
        assert sim.error("users.info", user="U0NOBODY") == "user_not_found"
        assert sim.error("users.info") == "missing_argument"


class TestOfficialClient:
    def test_pages_by_itself(self, sim: Sim) -> None:
        made = sim.acme("general", world={"messages": 25, "threads": 2, "replies": 7})
        pages = sim.slack().conversations_history(channel=made["channels"]["general"], limit=10)
        messages = [message for page in pages for message in page["messages"]]
        assert len({message["ts"] for message in messages}) == 25
        parent = next(message["ts"] for message in messages if message.get("reply_count"))
        thread = sim.slack().conversations_replies(
            channel=made["channels"]["general"], ts=parent, limit=3, inclusive=True
        )
        assert len({message["ts"] for page in thread for message in page["messages"]}) == 8

    def test_sees_errors_as_it_does_from_slack(self, sim: Sim) -> None:
        sim.acme()
        with pytest.raises(SlackApiError) as caught:
            sim.slack().conversations_history(channel="C0NOWHERE")
        assert caught.value.response["error"] == "channel_not_found"
        sim.fault("ratelimit", retry_after=7)
        with pytest.raises(SlackApiError) as caught:
            sim.slack().users_list()
        assert caught.value.response.status_code == 429
        assert caught.value.response.headers["Retry-After"] == "7"
        assert sim.slack().team_info()["team"]["id"] == sim.team
