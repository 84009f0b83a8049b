"""What a mailbox's history says: it expires, it lists late, it is malformed, it names much."""

from __future__ import annotations

from typing import Any

import pytest

from ingest_assets.sources.gmail.batch import IN_FLIGHT
from ingest_assets.sources.gmail.extract import SETTLED
from ingest_assets.sources.gmail.records import GmailMessage
from tests.sources.tenants import GmailTenant
from tests.workbench import Bench

MESSAGES = GmailMessage.table
AT_ONCE = 1e-6  # minutes


@pytest.fixture
def acme(bench: Bench) -> GmailTenant:
    tenant = GmailTenant(bench, "acme")
    tenant.connect()
    return tenant


class TestTheHistory:
    def test_that_expired_is_made_up_for(self, acme: GmailTenant) -> None:
        kept, trashed, deleted, answered = (acme.message() for _ in range(4))
        acme.reads()
        acme.order("trash", thread=trashed["thread"])
        acme.order("delete", thread=deleted["thread"])
        acme.order("message", thread=answered["thread"], text="An answer meanwhile")
        new = acme.message(hours_ago=0.1)
        acme.order("expire_history")
        result = acme.reads()
        assert acme.living == {kept["thread"], answered["thread"], new["thread"]}
        assert "An answer meanwhile" in acme.rows[answered["thread"]].text
        assert result.counts.deleted == 2
        since = acme.bench.requests()
        acme.reads()
        assert acme.calls(since) == {"history.list": 1}

    def test_that_expired_hides_no_message_deleted_in_a_living_thread(self, acme: GmailTenant) -> None:
        first = acme.message(text="The first")
        second = acme.message(thread=first["thread"], text="The second")
        acme.reads()
        acme.order("delete", message=second["message"])
        acme.order("expire_history")
        acme.reads()
        assert acme.stored_message(second).deleted_at is not None
        assert "The second" not in acme.rows[first["thread"]].text

    def test_that_expires_again_and_again_does_not_make_us_loop(self, acme: GmailTenant) -> None:
        acme.message()
        acme.reads()
        for _ in range(3):
            acme.order("expire_history")
            since = acme.bench.requests()
            acme.reads()
            assert acme.calls(since)["history.list"] == 1

    def test_tells_of_trash_and_of_what_comes_back(self, acme: GmailTenant) -> None:
        made = acme.message()
        acme.reads()
        acme.order("trash", thread=made["thread"])
        acme.reads()
        assert acme.living == set()
        assert acme.stored_message(made).deleted_at is not None
        acme.order("labels", thread=made["thread"], add=["INBOX"], remove=["TRASH"])
        acme.reads()
        assert acme.living == {made["thread"]}
        assert acme.stored_message(made).deleted_at is None

    def test_tells_of_one_message_that_was_deleted(self, acme: GmailTenant) -> None:
        first = acme.message(text="The first")
        second = acme.message(thread=first["thread"], text="The second")
        acme.reads()
        acme.order("delete", message=second["message"])
        acme.reads()
        assert acme.stored_message(second).deleted_at is not None
        assert acme.stored_message(first).deleted_at is None
        assert "The second" not in acme.rows[first["thread"]].text

    def test_tells_of_labels(self, acme: GmailTenant) -> None:
        made = acme.message()
        acme.reads()
        acme.order("labels", message=made["message"], add=["STARRED"])
        assert acme.reads().counts.changed == 1
        assert acme.stored_message(made).label_ids == ["INBOX", "STARRED"]

    def test_of_many_threads_that_were_archived_is_believed(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.connect(labels=("INBOX",))
        made = [acme.message()["thread"] for _ in range(60)]
        acme.reads()
        for thread in made[:40]:
            acme.order("labels", thread=thread, remove=["INBOX"])
        assert acme.reads().counts.deleted == 40
        assert acme.living == set(made[40:])

    def test_reads_no_old_mail_for_a_label_that_decides_nothing(self, acme: GmailTenant) -> None:
        old = acme.message(hours_ago=24 * 400, labels=["INBOX", "UNREAD"])
        acme.reads()
        since = acme.bench.requests()
        acme.order("labels", thread=old["thread"], remove=["UNREAD"])
        acme.reads()
        assert (acme.calls(since), acme.rows) == ({"history.list": 1}, {})
        acme.order("labels", thread=old["thread"], add=["TRASH"], remove=["INBOX"])
        acme.order("labels", thread=old["thread"], add=["INBOX"], remove=["TRASH"])
        acme.reads()
        assert acme.living == {old["thread"]}

    def test_is_one_request_when_nothing_happened(self, acme: GmailTenant) -> None:
        acme.message()
        acme.reads()
        since = acme.bench.requests()
        acme.reads()
        assert acme.calls(since) == {"history.list": 1}

    def test_an_interrupted_first_sync_does_not_fetch_again(self, acme: GmailTenant) -> None:
        acme.bench.configure(GMAIL_BATCH_SIZE="2")
        for place in range(8):
            acme.message(hours_ago=place + 1)
        # so many are under way at once, in any order; the one after them fails
        acme.fault("status", method="batch", status=500, skip=IN_FLIGHT, times=-1)
        acme.sync()
        acme.calm()
        held = len(acme.living)
        assert 0 < held < 8
        since = acme.bench.requests()
        acme.reads()
        assert len(acme.living) == 8
        assert acme.calls(since)["batch"] == (8 - held + 1) // 2

    def test_a_thread_of_two_windows_is_fetched_once(self, bench: Bench) -> None:
        bench.configure(GMAIL_HISTORY_DAYS="70", GMAIL_BATCH_SIZE="1")
        acme = GmailTenant(bench, "acme")
        acme.connect()
        long, old = acme.message(hours_ago=24 * 40), acme.message(hours_ago=24 * 50)
        acme.message(thread=long["thread"])
        since = bench.requests()
        acme.reads()
        assert acme.living == {long["thread"], old["thread"]}
        assert acme.calls(since)["batch"] == 2

    def test_that_lists_a_message_late_tells_of_it_then(self, acme: GmailTenant) -> None:
        made = acme.message()
        acme.reads()
        acme.order("settings", lists_late=True)
        late = acme.message(hours_ago=0)
        acme.reads()
        assert acme.living == {made["thread"]}
        acme.order("settings", lists_late=False)
        acme.reads()
        assert acme.living == {made["thread"], late["thread"]}

    def test_begins_where_a_message_was_not_yet_listed_and_it_is_read_once_it_is(self, acme: GmailTenant) -> None:
        made = acme.message()
        acme.order("settings", lists_late=True)
        late = acme.message(hours_ago=0)
        acme.reads()
        assert acme.living == {made["thread"]}
        acme.order("settings", lists_late=False)
        acme.bench.clock.advance(SETTLED)
        acme.reads()
        assert acme.living == {made["thread"], late["thread"]}
        since = acme.bench.requests()
        acme.reads()
        assert acme.calls(since) == {"history.list": 1}

    @pytest.mark.parametrize("odd", ["", None, 5, "\uff19", "9" * 400, []])
    def test_begins_with_a_listing_of_odd_ids_that_hides_no_thread(self, acme: GmailTenant, odd: Any) -> None:
        made, other = acme.message(), acme.message()
        acme.order("raw", thread=made["thread"], listed=True, payload={"id": made["thread"], "historyId": odd})
        acme.reads()
        assert acme.living == {made["thread"], other["thread"]}

    def test_of_a_mailbox_where_nothing_happens_moves_on(self, acme: GmailTenant) -> None:
        acme.message()
        acme.reads()
        acme.order("settings", lists_late=True)  # what happens is none of what is listed
        for _ in range(3):
            acme.bench.clock.advance(SETTLED)
            acme.message(labels=["SPAM"])
            acme.reads()
        acme.bench.clock.advance(SETTLED)
        acme.reads()
        acme.order("expire_history", but_the_last=True)
        since = acme.bench.requests()
        acme.reads()
        assert acme.calls(since) == {"history.list": 1}

    def test_that_names_much_is_followed_batch_by_batch(self, acme: GmailTenant) -> None:
        acme.bench.configure(GMAIL_BATCH_SIZE="2")
        made = [acme.message(hours_ago=place + 1) for place in range(8)]
        acme.reads()
        for one in made:
            acme.order("labels", message=one["message"], add=["STARRED"])
        for _ in range(4):  # each out of time after its first batch
            acme.sync(sync_minutes=AT_ONCE)
        assert all("STARRED" in row.label_ids for row in acme.stored(MESSAGES))

    @pytest.mark.parametrize(
        "odd",
        [
            "oops",
            {"id": "900000", "messages": "oops"},
            {"id": "900000", "messages": [{"id": "m1"}]},
            {"id": "900000", "messagesAdded": [{}]},
            {"id": "900000", "messagesDeleted": [{"message": {"id": "m1", "threadId": 5}}]},
            {"id": "900000", "labelsRemoved": {"labelIds": ["INBOX"]}},
            {"messagesAdded": []},
        ],
        ids=["entry", "messages", "thread", "message", "type", "changes", "id"],
    )
    def test_with_a_malformed_entry_sets_it_aside(self, acme: GmailTenant, odd: Any) -> None:
        acme.message()
        acme.reads()
        acme.order("history", entry=odd)
        fine = acme.message()
        assert acme.reads().counts.rejected == 1
        assert fine["thread"] in acme.living
        assert [row.payload for row in acme.rejected] == [odd]
        since = acme.bench.requests()
        acme.reads()
        assert acme.calls(since) == {"history.list": 1}

    def test_that_is_no_history_is_told(self, acme: GmailTenant) -> None:
        acme.message()
        acme.reads()
        new = acme.message()
        acme.fault("garbage_page", method="history.list")
        assert "no list of history" in str(acme.sync().reason)
        acme.reads()
        assert new["thread"] in acme.living

    def test_whose_page_token_died_is_made_up_for(self, acme: GmailTenant) -> None:
        kept = acme.message()
        acme.reads()
        new = [acme.message(hours_ago=0)["thread"] for _ in range(7)]
        acme.fault("invalid_cursor", method="history.list", only_with_cursor=True)
        acme.reads()
        assert acme.living == {kept["thread"], *new}

    def test_that_repeats_a_page_token_ends_the_sync(self, acme: GmailTenant) -> None:
        acme.message()
        acme.reads()
        for _ in range(7):
            acme.message(hours_ago=0)
        acme.fault("repeat_cursor", method="history.list", times=-1)
        assert "repeats" in str(acme.sync().reason)
        acme.calm()
        acme.reads()
        assert len(acme.living) == 8

    def test_a_first_sync_that_is_late_goes_on_where_it_stopped(self, acme: GmailTenant) -> None:
        acme.bench.configure(GMAIL_BATCH_SIZE="2")
        for place in range(8):
            acme.message(hours_ago=place + 1)
        assert acme.sync(sync_minutes=AT_ONCE).status == "partial"
        assert 0 < len(acme.living) < 8
        since = acme.bench.requests()
        held = len(acme.living)
        acme.reads()
        assert len(acme.living) == 8
        assert acme.calls(since)["batch"] == (8 - held + 1) // 2

    def test_of_two_hundred_threads_takes_seven_requests(self, acme: GmailTenant) -> None:
        acme.order("settings", page_cap=500)
        for place in range(200):
            acme.message(hours_ago=1 + place / 100)
        since = acme.bench.requests()
        acme.reads()
        assert len(acme.living) == 200
        assert sum(acme.calls(since).values()) <= 7
