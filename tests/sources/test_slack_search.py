"""A user's search hints at late replies to old threads; whatever it answers, the audit finds them all the same."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ingest_assets.cli.connecting import connect_account
from ingest_assets.cli.reconnecting import reconnect_command
from ingest_assets.errors import CredentialRejected, IngestError
from ingest_assets.sources.authorizing import Consent
from ingest_assets.sources.slack import SLACK
from ingest_assets.sources.slack.authorize import exchange
from ingest_assets.sources.slack.connect import SlackSettings
from ingest_assets.sources.slack.hints import LIMITED_THREADS, THREADS
from ingest_assets.sources.slack.search import PAGES, SPREAD, ZONES, query_of
from ingest_assets.storage.coverage import find_coverage
from ingest_assets.storage.vault import new_key
from ingest_assets.sync.account import sync
from ingest_assets.sync.result import SyncResult
from tests.browser import SECRET, logging_in
from tests.test_cli import connect
from tests.workbench import Bench, Workspace

QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
TWO_YEARS = 24 * 730  # hours
NOW = datetime(2026, 6, 1, tzinfo=UTC)
TOKEN, OTHERS, LESS = "xoxp-acme-secret", "xoxp-globex-secret", "xoxp-acme-less"
SEARCH = "search.messages"
REPLIES = "conversations.replies"


def found(
    bench: Bench, *channels: Any, token: str | None = TOKEN, settings: Any = None, **search: Any
) -> Workspace:
    """Make a workspace with a channel that the bot is not in, and with a user who searches; connect it."""
    acme = bench.team("acme", "general", {"name": "lounge", "member": False}, *channels)
    acme.order("search", token=TOKEN, **search)
    bench.connect(acme, search_token=token, **(settings or {}))
    return acme


def old_thread(acme: Workspace, channel: str = "general", *, hours_ago: float = TWO_YEARS) -> str:
    ts = acme.say(channel, "long ago", hours_ago=hours_ago)
    acme.say(channel, "an answer", thread_ts=ts, hours_ago=hours_ago - 1)
    return ts


def scheduled(acme: Workspace) -> SyncResult:
    """Sync as a schedule would: pauses of parts count."""
    return sync(SLACK, acme.account, acme.bench.options, replace(acme.bench.worker(), reservation="a tick"))


def read_again(acme: Workspace, *, after: timedelta = HOUR) -> dict[str, int]:
    """Sync a while later and insist on success; return how often each method was called."""
    since = acme.bench.requests()
    acme.bench.clock.advance(after)
    result = scheduled(acme)
    assert result.status == "success", result.reason
    return acme.calls(since=since)


def audited_at(acme: Workspace) -> list[str]:
    """When the audit looked at what there is of the first channel."""
    audited = acme.cursors[acme.channels["general"]]["audited"]
    return [one["read_at"] for track in ("messages", "threads") for one in audited[track]]


class TestAReplyToAThreadOfTwoYearsAgo:
    def test_is_stored_by_the_next_sync_with_a_search_token(self, bench: Bench) -> None:
        bench.choose(history_days=800)
        acme = found(bench)
        thread = old_thread(acme)
        acme.reads()
        looked_at = audited_at(acme)
        late = acme.say("general", "late", thread_ts=thread)
        calls = read_again(acme)
        assert acme.rows[late].thread_ts == thread
        assert acme.held() == acme.shown()
        assert (calls[SEARCH], calls[REPLIES], "auth.test" in calls) == (1, 1, False)
        assert audited_at(acme) == looked_at
        assert acme.rows[thread].latest_reply == late

    def test_is_stored_by_the_audit_without_one_and_nothing_more_is_asked(self, bench: Bench) -> None:
        bench.choose(history_days=800)
        acme = found(bench, token=None)
        thread = old_thread(acme)
        acme.reads()
        late = acme.say("general", "late", thread_ts=thread)
        assert read_again(acme) == {"users.conversations": 1, "conversations.history": 1}
        assert late not in acme.rows
        for _ in range(16):
            assert SEARCH not in read_again(acme, after=DAY / 2)
        assert late in acme.rows

    def test_is_stored_where_the_thread_began_before_all_that_was_read(self, bench: Bench) -> None:
        acme = found(bench)
        thread = old_thread(acme)
        acme.reads()
        late = acme.say("general", "late", thread_ts=thread)
        read_again(acme)
        assert {thread, late} <= set(acme.rows)
        assert read_again(acme).get(REPLIES, 0) == 0

    def test_is_left_alone_there_where_the_account_wants_the_last_hours_only(self, bench: Bench) -> None:
        acme = found(bench, settings={"last_hours": 48})
        thread = old_thread(acme)
        acme.reads()
        acme.say("general", "late", thread_ts=thread)
        assert read_again(acme).get(REPLIES, 0) == 0
        assert thread not in acme.rows


class TestALook:
    def test_is_taken_once_an_hour_and_meets_what_is_found_late_or_was_kept(self, bench: Bench) -> None:
        bench.choose(history_days=800)
        night = bench.clock.now().replace(hour=1, minute=10) + DAY  # another day begins between two looks
        bench.clock.advance(night - bench.clock.now())
        acme = found(bench, delay_seconds=80 * 60, kept_seconds=5 * 3600)
        thread = old_thread(acme)
        acme.reads()
        late = acme.say("general", "late", thread_ts=thread)
        looks = [read_again(acme, after=QUARTER).get(SEARCH, 0) for _ in range(12)]
        assert looks == [0, 0, 0, 1] * 3
        assert late in acme.rows

    def test_asks_by_another_text_in_each_of_some_hours_and_always_far_enough_back(self) -> None:
        hours = [NOW + place * HOUR for place in range(24 * 14)]
        asked = [query_of(now - 3 * HOUR, now) for now in hours]
        assert all(len(set(asked[place:][:SPREAD])) == SPREAD for place in range(len(asked) - SPREAD))
        for now, query in zip(hours, asked, strict=True):
            day = datetime.strptime(query.rpartition(":")[2], "%Y-%m-%d").replace(tzinfo=UTC)
            assert ZONES <= now - 3 * HOUR - day < ZONES + (SPREAD + 1) * DAY

    def test_asks_far_enough_back_for_any_time_zone(self, bench: Bench) -> None:
        bench.choose(history_days=800)
        acme = found(bench)
        threads = [old_thread(acme, hours_ago=TWO_YEARS + place * 3) for place in range(10)]
        acme.reads()
        for place, thread in enumerate(threads):
            acme.order("search", zone=("Pacific/Kiritimati", "Etc/GMT+12")[place % 2])
            acme.say("general", "late", thread_ts=thread)
            read_again(acme, after=5 * HOUR)
            assert acme.held() == acme.shown()

    def test_ends_where_slack_begins_again_with_page_1_and_after_some_pages(self, bench: Bench) -> None:
        acme = found(bench, last_page=2)
        thread = acme.say("general", "today", hours_ago=2)
        items = [{"text": "again", "thread_ts": thread, "hours_ago": 1} for _ in range(100 * PAGES + 50)]
        acme.order("posts", channel="general", items=items)
        since = bench.requests()
        acme.reads()
        assert [one["params"]["page"] for one in acme.requests(SEARCH, since=since)] == ["1", "2", "3"]
        acme.order("search", last_page=100)
        assert read_again(acme)[SEARCH] == PAGES
        assert read_again(acme, after=DAY)[SEARCH] == 1  # what is older than the last look ends it

    def test_reads_no_thread_that_is_read_anyway_or_that_the_bot_does_not_see(self, bench: Bench) -> None:
        acme = found(bench, {"name": "secret", "private": True, "member": False})
        threads = {channel: old_thread(acme, channel) for channel in ("lounge", "secret")}
        young = acme.say("general", "yesterday", hours_ago=24)
        acme.reads()
        for channel, thread in [*threads.items(), ("general", young)]:
            acme.say(channel, "late", thread_ts=thread)
        calls = read_again(acme)
        assert (calls[SEARCH], calls[REPLIES]) == (1, 1)
        assert acme.held() == acme.shown()
        assert not acme.unreadable

    def test_names_more_threads_than_a_sync_reads_and_the_next_ones_go_on(self, bench: Bench) -> None:
        bench.choose(history_days=800)
        acme = found(bench)
        threads = [old_thread(acme, hours_ago=TWO_YEARS - 3 * place) for place in range(THREADS + 10)]
        acme.reads()
        for thread in threads:
            acme.say("general", "late", thread_ts=thread)
        first, second = read_again(acme), read_again(acme, after=QUARTER)
        assert (first[SEARCH], first[REPLIES]) == (1, THREADS)
        assert (second.get(SEARCH), second[REPLIES]) == (None, 10)
        assert acme.held() == acme.shown()

    def test_is_worth_few_minutes_of_an_app_that_is_held_to_one_request_in_each(self, bench: Bench) -> None:
        bench.choose(history_days=800)
        acme = bench.team("acme", "general", app_class="limited")
        acme.order("search", token=TOKEN)
        threads = [old_thread(acme, hours_ago=TWO_YEARS - 3 * place) for place in range(LIMITED_THREADS + 1)]
        bench.connect(acme, search_token=TOKEN, app_class="limited")
        acme.reads()
        for thread in threads:
            acme.say("general", "late", thread_ts=thread)
        read_again(acme)
        assert len(acme.shown() - acme.held()) == 1
        read_again(acme, after=QUARTER)
        assert acme.held() == acme.shown()


ANSWERS: dict[str, tuple[dict[str, Any], str, str]] = {
    "revoked": ({"kind": "error", "error": "token_revoked"}, "token_revoked", "Connect the account again"),
    "expired": ({"kind": "error", "error": "token_expired"}, "token_expired", "Connect the account again"),
    "a bot's": ({"kind": "error", "error": "not_allowed_token_type"}, "not_allowed_token_type", "Connect"),
    "no scope": ({"kind": "error", "error": "missing_scope"}, "missing_scope", "Add the scope"),
    "gone": ({"kind": "error", "error": "method_deprecated"}, "method_deprecated", "Connect"),
    "new": ({"kind": "error", "error": "never_heard_of"}, "never_heard_of", "asked again by itself"),
    "down": ({"kind": "status", "status": 503}, "HTTP 503", "asked again by itself"),
    "html": ({"kind": "html", "status": 200}, "no_json", "asked again by itself"),
    "no list": ({"kind": "garbage_page"}, "unexpected_response", "asked again by itself"),
    "a list": ({"kind": "json", "status": 200, "body": ["ok"]}, "no_json", "asked again by itself"),
    "slow down": ({"kind": "ratelimit", "retry_after": 3600}, "ratelimited", "asked again by itself"),
    "cut": ({"kind": "truncate"}, "ClientPayloadError", "asked again by itself"),
}


class TestWhateverSearchAnswers:
    def test_the_account_is_read_and_one_part_says_what_to_do(self, bench: Bench) -> None:
        bench.choose(history_days=800)
        acme = found(bench)
        thread = old_thread(acme)
        acme.reads()
        for answer, code, action in ANSWERS.values():
            acme.fault(method=SEARCH, times=-1, **answer)
            new, late = acme.say("general", "new"), acme.say("general", "late", thread_ts=thread)
            calls = read_again(acme, after=7 * HOUR)
            assert calls[SEARCH] <= 2
            assert "auth.test" not in calls
            assert (new in acme.rows, late in acme.rows) == (True, False)
            [part] = acme.unreadable.values()
            assert (part.part, part.code, action in part.action) == ("search", code, True), part
            assert "audit" in part.action
            acme.heal()
            read_again(acme, after=7 * HOUR)
            assert late in acme.rows
            assert not acme.unreadable

    def test_it_is_told_like_other_parts_acknowledged_and_asked_again_ever_more_rarely(self, bench: Bench) -> None:
        acme = found(bench)
        acme.reads()
        acme.order("token", token=TOKEN, revoked=True)
        asked = [read_again(acme, after=QUARTER).get(SEARCH, 0) for _ in range(24)]
        assert asked[:3] == [0, 0, 0]
        assert 4 <= sum(asked) <= 8
        with bench.engine.connect() as conn:
            [told] = [row for row in find_coverage(conn, "acme") if row.part == "search"]
        assert (told.state, "token_revoked" in told.reason) == ("unreadable", True)
        assert "not readable: search (token_revoked since" in bench.run("status").stdout
        assert bench.run("acknowledge", "slack", "search", "--workspace", "acme").returncode == 0
        assert bench.run("coverage", "--workspace", "acme").returncode == 0
        bench.connect(acme)  # without it
        assert SEARCH not in read_again(acme, after=DAY)
        assert not acme.unreadable

    def test_nonsense_among_the_hits_changes_deletes_and_tells_nothing(self, bench: Bench) -> None:
        bench.choose(history_days=800)
        acme = found(bench)
        thread, general = old_thread(acme), acme.channels["general"]
        [reply] = [message[1] for message in acme.shown() if message[2] == thread and message[1] != thread]
        plain = acme.say("general", "no thread", hours_ago=TWO_YEARS - 50)
        acme.reads()
        unseen = acme.say("general", "not read yet", thread_ts=thread, hours_ago=TWO_YEARS - 5)
        before = acme.content()
        now = f"{bench.clock.now().timestamp():.6f}"

        def hit(parent: str, channel: Any = general, **changed: Any) -> Any:
            link = f"https://acme.slack.com/archives/C/p1?thread_ts={parent}&cid=C"
            return {"channel": {"id": channel}, "ts": now, "permalink": link} | changed

        hits = [
            *(None, 7, "hit", [], {}),
            hit(reply),  # no parent, but a reply
            hit(unseen),  # the same
            hit(plain),
            hit("1600000000.000001"),  # nothing is there
            hit("1600000000.000002"),
            hit("1600000000.000003"),
            hit("1600000000.000004"),
            hit(thread, "C0NOBODY"),
            hit(thread, {"id": general}),
            hit(thread, ts=1.5),
            hit(thread, ts="soon"),
            hit(thread, permalink=7),
            hit(thread, permalink="https://[" + "x" * 100_000),
            hit("9999999999.999999"),
            hit("٣" * 10 + "." + "٣" * 6),
        ]
        paging = {"page": 1, "pages": "many"}
        body = {"ok": True, "messages": {"matches": hits, "paging": paging}}
        acme.fault("json", status=200, body=body, method=SEARCH, times=-1)
        asked = [read_again(acme) for _ in range(3)]
        assert [calls[SEARCH] for calls in asked] == [1, 1, 1]
        assert not [calls for calls in asked if "auth.test" in calls]
        assert asked[0][REPLIES] == 6
        assert acme.content() == before
        assert len(acme.living) == len(acme.rows)
        assert not acme.unreadable
        assert not acme.rejected


class TestConnecting:
    def test_takes_a_user_token_of_the_same_workspace_that_may_search(self, bench: Bench) -> None:
        acme, globex = bench.team("acme", "general"), bench.team("globex", "general")
        globex.order("search", token=OTHERS)
        acme.order("search", token=LESS, scopes=["channels:read"])
        acme.order("search", token=TOKEN)

        def sentence(token: str | None, part: str, **settings: Any) -> None:
            with pytest.raises(IngestError, match=part) as refusal:
                bench.connect(acme, search_token=token, **settings)
            assert str(token) not in str(refusal.value)

        sentence(OTHERS, "search token is of another workspace, Globex; pass one of Acme")
        sentence(LESS, "lacks the scope search:read; add it to the User Token Scopes")
        sentence(acme.token, "lacks the scope search:read")
        sentence("xoxp-nobody", r"refused the search token \(invalid_auth\)")
        sentence(None, "--search needs --search-token", search=True)
        done = connect(bench, "--token", "-", "--search-token", "-", stdin=f"{acme.token}\n{TOKEN}")
        assert done.returncode == 0, done.stderr
        assert set(acme.account.credential["search_token"]) == {"sealed"}
        assert reconnect_command(acme.account).endswith("--token - --search-token -")
        old, fresh = bench.environ["INGEST_ENCRYPTION_KEYS"], new_key()
        assert bench.run("rotate-keys", INGEST_ENCRYPTION_KEYS=f"{fresh},{old}").returncode == 0
        bench.configure(INGEST_ENCRYPTION_KEYS=fresh)
        since = bench.requests()
        acme.reads()
        assert acme.calls(since=since)[SEARCH] == 1

    def test_beside_tokens_that_rotate_leaves_them_to_the_bot(self, bench: Bench) -> None:
        app = {"client_id": "app", "client_secret": SECRET, "refresh_token": "xoxe-1-first"}
        acme = bench.team("acme", "general", expires_in=43_200, **app)  # type: ignore[arg-type]
        acme.order("search", token=TOKEN)
        thread = old_thread(acme)
        given = app | {"client_secret": "-", "refresh_token": "-", "search_token": "-"}
        secrets = app | {"search_token": TOKEN}
        connect_account(
            bench.app,
            SLACK,
            "acme",
            given=given,
            settings={},
            name=None,
            read_secret=secrets.__getitem__,
            clock=bench.source_clock,
        )
        acme.reads()
        for _ in range(3):
            late = acme.say("general", "late", thread_ts=thread)
            read_again(acme, after=13 * HOUR)
            assert late in acme.rows

    def test_by_browser_asks_the_user_who_logs_in(self, bench: Bench) -> None:
        acme = bench.team("acme", "general", client_id="app", client_secret=SECRET, rotates=False)
        app = ("--client-id", "app", "--client-secret", "env:APP_SECRET")
        with logging_in(bench, "slack", *app, "--search") as login:
            login.browse()
            code, out, err = login.end()
        assert (code, "Connected" in out, "xoxp-" in out + err) == (0, True, False), err
        assert login.asked["user_scope"] == "search:read"
        assert set(acme.account.credential) == {"token", "search_token"}
        since = bench.requests()
        acme.reads()
        assert acme.calls(since=since)[SEARCH] == 1

    def test_by_browser_says_why_there_is_no_such_token(self, bench: Bench) -> None:
        consent = Consent(
            client_id="app",
            client_secret=SECRET,
            redirect_url="https://localhost/",
            state="",
            verifier="",
            settings=SlackSettings(search=True),
            options=bench.options,
        )
        bot = {"ok": True, "access_token": "xoxb-new"}
        for answer, told in (
            (bot | {"refresh_token": "xoxe-1-new"}, "log in without --search"),
            (bot, "--manifest --search"),
            (bot | {"authed_user": {"id": "U1", "access_token": "xoxp-1", "scope": "chat:write"}}, "search:read"),
        ):
            bench.order("fault", kind="json", status=200, body=answer, vendor="slack", method="oauth.v2.access")
            with pytest.raises(CredentialRejected, match=told):
                asyncio.run(exchange(consent, "code"))
