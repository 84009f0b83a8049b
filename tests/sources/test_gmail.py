"""Gmail's quirks: history, labels, trash, batches with inner refusals, quota."""

from __future__ import annotations

import json
import logging
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ingest_assets.errors import CredentialRejected, SourceError
from ingest_assets.sources.client.retry import PATIENCE
from ingest_assets.sources.gmail.batch import IN_FLIGHT
from ingest_assets.sources.gmail.extract import SETTLED
from ingest_assets.sources.gmail.records import GmailMessage
from ingest_assets.sync.result import BELIEVED
from tests.sources.tenants import GmailTenant
from tests.workbench import Bench

MESSAGES = GmailMessage.table
AT_ONCE = 1e-6  # minutes


@pytest.fixture
def acme(bench: Bench) -> GmailTenant:
    tenant = GmailTenant(bench, "acme")
    tenant.connect()
    return tenant


def robot(bench: Bench, place: Path, **allowed: list[str]) -> Path:
    """Make a service account that may read some mailboxes; return the file of its key."""
    pair = generate_private_key(65537, 2048)
    private = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    bench.order("gmail/service_account", client_email="robot@acme.iam.example", public_key=public, **allowed)
    key = place / "key.json"
    key.write_text(json.dumps({"client_email": "robot@acme.iam.example", "private_key": private}))
    return key


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


class TestSelection:
    def test_leaves_out_spam_trash_and_drafts(self, acme: GmailTenant) -> None:
        mail = acme.message()
        acme.message(labels=["SPAM"])
        acme.message(labels=["TRASH"])
        acme.order("draft")
        acme.reads()
        assert acme.living == {mail["thread"]}

    def test_leaves_out_an_answer_that_was_not_sent(self, acme: GmailTenant) -> None:
        made = acme.message(text="A question")
        acme.reads()
        acme.message(thread=made["thread"], labels=["DRAFT"], text="Half an answer")
        acme.reads()
        row = acme.rows[made["thread"]]
        assert row.message_count == 1
        assert "Half an answer" not in row.text

    def test_by_labels(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.connect(labels=("Customers", "STARRED"), exclude_labels=("SENT",))
        wanted = acme.message(labels=["INBOX", "Customers"])
        both = acme.message(labels=["Customers", "STARRED"])
        acme.message(labels=["INBOX"])
        acme.message(labels=["Customers", "SENT"])
        acme.reads()
        assert acme.living == {wanted["thread"], both["thread"]}
        acme.order("labels", thread=wanted["thread"], remove=["Customers"])
        acme.reads()
        assert acme.living == {both["thread"]}

    def test_reads_no_thread_of_an_excluded_label(self, bench: Bench) -> None:
        bench.configure(GMAIL_BATCH_SIZE="1")
        acme = GmailTenant(bench, "acme")
        private = 'Q&A "internal" (old)/a-b'
        acme.order("label", name=private)
        acme.connect(exclude_labels=(private, "STARRED"))
        kept, half = acme.message(), acme.message()
        acme.message(thread=half["thread"], labels=["SENT", private])
        for place in range(7):
            acme.message(labels=["INBOX", "STARRED" if place % 2 else private])
        since = bench.requests()
        acme.reads()
        assert acme.living == {kept["thread"]}
        assert acme.calls(since)["batch"] == 1

    def test_leaves_out_a_thread_for_a_label_from_before_the_time_that_is_read(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.connect(exclude_labels=("Customers",))
        old = acme.message(labels=["Customers"], hours_ago=24 * 40)
        acme.message(thread=old["thread"])
        acme.reads()
        assert acme.living == set()

    @pytest.mark.parametrize("label", ["INBOX", "SPAM"])
    def test_mail_that_was_never_selected_is_no_deletion(self, bench: Bench, label: str) -> None:
        acme = GmailTenant(bench, "acme")
        acme.connect(labels=("Customers",))
        wanted = acme.message(labels=["Customers"])
        acme.reads()
        for _ in range(60):
            acme.message(labels=[label], hours_ago=0)
        assert acme.reads().counts.deleted == 0
        assert acme.living == {wanted["thread"]}

    def test_that_changed_is_read_anew(self, acme: GmailTenant) -> None:
        acme.message(labels=["INBOX"])
        wanted = acme.message(labels=["Customers"])
        acme.reads()
        acme.connect(labels=("Customers",))
        acme.reads()
        assert acme.living == {wanted["thread"]}

    def test_may_be_limited_to_the_newest(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.connect(newest_threads=2)
        made = [acme.message(hours_ago=hours)["thread"] for hours in (8, 6, 4, 2)]
        told = acme.reads().left_out
        assert acme.living == set(made[-2:])
        assert told == {"older than the newest 2": 1}  # on the page of three that was listed

    def test_of_the_newest_counts_none_that_is_excluded(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.connect(newest_threads=2, exclude_labels=("Customers",))
        made = [acme.message(hours_ago=hours)["thread"] for hours in (8, 7, 6)]
        for hours in (4, 3, 2, 1):
            acme.message(labels=["Customers"], hours_ago=hours)
        told = acme.reads().left_out
        assert acme.living == set(made[-2:])
        assert told["excluded label"] == 4

    def test_of_the_newest_counts_no_draft(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.connect(newest_threads=1)
        sent = acme.message(labels=["SENT"])
        acme.message(thread=sent["thread"], labels=["DRAFT"])
        acme.order("draft")
        acme.reads()
        assert acme.living == {sent["thread"]}
        assert acme.rows[sent["thread"]].message_count == 1

    def test_of_the_newest_sees_what_was_deleted_while_the_history_was_lost(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.connect(newest_threads=5)
        kept, deleted = acme.message(), acme.message()
        acme.reads()
        acme.order("delete", thread=deleted["thread"])
        acme.order("expire_history")
        acme.reads()
        assert acme.living == {kept["thread"]}


class TestALabelThatWasDeleted:
    @pytest.fixture
    def picky(self, bench: Bench) -> GmailTenant:
        """Connect a mailbox that selects by labels."""
        tenant = GmailTenant(bench, "acme")
        tenant.order("label", name="Private")
        tenant.connect(labels=("Customers", "STARRED"), exclude_labels=("Private",))
        for _ in range(3):
            tenant.message(labels=["Customers"])
        return tenant

    @pytest.mark.parametrize(("label", "option"), [("Customers", "--labels"), ("Private", "--exclude-labels")])
    def test_is_named_before_anything_is_taken_for_deleted(
        self, picky: GmailTenant, label: str, option: str
    ) -> None:
        private = picky.message(labels=["Customers", "Private"])
        picky.reads()
        held = picky.living
        assert len(held) == 3
        picky.order("delete_label", label=label)
        reason = str(picky.sync().reason)
        assert f"'{label}', which was deleted in Gmail" in reason
        assert f"with {option} that" in reason
        assert picky.account.state == "needs_reconnect"
        assert picky.living == held
        assert private["thread"] not in held

    def test_is_named_where_everything_is_compared_anew(self, picky: GmailTenant) -> None:
        picky.reads()
        picky.order("delete_label", label="Customers")
        picky.order("expire_history")
        assert "'Customers', which was deleted" in str(picky.sync().reason)

    def test_is_named_by_its_id_where_it_was_never_read(self, picky: GmailTenant) -> None:
        picky.order("delete_label", label="Customers")
        assert "'Label_1', which was deleted" in str(picky.sync().reason)
        assert picky.account.state == "needs_reconnect"

    def test_is_named_when_it_goes_as_we_search(self, picky: GmailTenant) -> None:
        picky.fault("slow", method="profile", seconds=1)
        since = picky.bench.requests()
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(picky.sync)
            while "profile" not in picky.calls(since):
                pass
            picky.order("delete_label", label="Customers")
            assert "'Label_1', which was deleted" in str(running.result().reason)

    def test_is_read_again_once_another_is_chosen(self, picky: GmailTenant) -> None:
        picky.reads()
        picky.order("delete_label", label="Customers")
        picky.sync()
        picky.connect(labels=("STARRED",))
        picky.reads()
        assert picky.living == set()

    def test_costs_a_look_only_when_labels_are_taken_off(self, picky: GmailTenant) -> None:
        picky.reads()
        made = picky.message(labels=["Customers", "IMPORTANT"])
        for remove, calls in (("IMPORTANT", 0), ("Customers", 1)):
            picky.order("labels", thread=made["thread"], remove=[remove])
            since = picky.bench.requests()
            picky.reads()
            assert picky.calls(since).get("labels.list", 0) == calls
        since = picky.bench.requests()
        picky.reads()
        assert picky.calls(since) == {"history.list": 1}


class TestThreads:
    @pytest.mark.parametrize("odd", ["oops", {"snippet": "Hello"}, {"id": 5}], ids=["thread", "id", "type"])
    def test_that_are_listed_without_an_id_are_set_aside(self, acme: GmailTenant, odd: Any) -> None:
        nameless, fine = acme.message(), acme.message()
        acme.order("raw", thread=nameless["thread"], payload=odd, listed=True)
        assert acme.reads().counts.rejected == 1
        assert acme.living == {fine["thread"]}
        assert [row.payload for row in acme.rejected] == [odd]

    def test_that_are_listed_without_an_id_are_not_taken_for_deleted(self, acme: GmailTenant) -> None:
        held = acme.message()
        acme.reads()
        acme.order("raw", thread=held["thread"], payload={}, listed=True)
        acme.forget_cursors()
        assert acme.reads().counts.deleted == 0
        assert acme.living == {held["thread"]}

    def test_without_messages_are_gone(self, acme: GmailTenant) -> None:
        held, fine = acme.message(), acme.message()
        acme.reads()
        acme.order("raw", thread=held["thread"], payload={"id": held["thread"], "historyId": "999999"})
        assert acme.reads().counts.deleted == 1
        assert acme.living == {fine["thread"]}
        assert acme.stored_message(held).deleted_at is not None
        assert not acme.rejected

    @pytest.mark.parametrize("odd", ["oops", ["oops"], {}, {"messages": []}], ids=["text", "list", "empty", "id"])
    def test_that_are_no_threads_are_no_knowledge(self, acme: GmailTenant, odd: Any) -> None:
        held, fine = acme.message(), acme.message()
        acme.reads()
        acme.order("raw", thread=held["thread"], payload=odd)
        result = acme.sync()
        assert (result.status, result.counts.deleted, result.counts.rejected) == ("partial", 0, 0)
        assert acme.living == {held["thread"], fine["thread"]}
        assert result.reason == f"not readable: thread {held['thread']} (wrong answer)"


class TestBatches:
    @pytest.mark.parametrize("status", [429, 403, 503])
    def test_ask_again_for_what_was_put_off(self, acme: GmailTenant, status: int) -> None:
        for place in range(10):
            acme.message(hours_ago=place + 1)
        acme.fault("status", method="threads.get", status=status, skip=2, times=4)
        acme.reads()
        assert len(acme.living) == 10
        assert acme.bench.clock.pauses

    @pytest.mark.parametrize("kind", ["truncate", "drop", "html"])
    def test_that_come_back_broken_are_asked_again(self, acme: GmailTenant, kind: str) -> None:
        for place in range(10):
            acme.message(hours_ago=place + 1)
        acme.fault(kind, method="batch", status=200)
        acme.reads()
        assert len(acme.living) == 10

    def test_that_go_to_a_wrong_address_name_its_setting(self, acme: GmailTenant) -> None:
        acme.message()
        acme.bench.configure(GMAIL_BATCH_URL=f"{acme.bench.sim.base_url}/gmail/nowhere")
        assert "Check GMAIL_BATCH_URL" in str(acme.sync().reason)
        acme.bench.configure(GMAIL_BATCH_URL="")
        acme.reads()

    @pytest.mark.parametrize("status", [400, 404, 405])
    def test_that_are_refused_as_a_whole_name_the_address_too(self, acme: GmailTenant, status: int) -> None:
        acme.message()
        acme.fault("status", method="batch", status=status, times=-1)
        assert "Check GMAIL_BATCH_URL" in str(acme.sync().reason)

    def test_that_hold_a_refusal_for_the_day_are_not_waited_for(self, acme: GmailTenant) -> None:
        acme.message()
        for method in ("threads.get", "profile"):
            acme.fault(
                "error", method=method, status=403, error="dailyLimitExceeded", times=-1, skip=method == "profile"
            )
        assert acme.sync().status == "failed"
        assert sum(acme.bench.clock.pauses) <= PATIENCE.total_seconds()
        assert acme.account.due_at is not None
        assert acme.account.error_kind == "quota_spent"

    def test_ask_with_another_token_where_one_call_was_refused(self, acme: GmailTenant) -> None:
        made = acme.message()
        acme.fault("error", method="threads.get", status=401, error="authError")
        acme.reads()
        assert acme.living == {made["thread"]}

    def test_a_thread_that_went_is_gone(self, acme: GmailTenant) -> None:
        made = acme.message()
        acme.reads()
        acme.order("labels", thread=made["thread"], add=["STARRED"])
        acme.order("delete", thread=made["thread"])
        acme.reads()
        assert acme.living == set()

    def test_a_quota_is_not_a_refusal(self, acme: GmailTenant) -> None:
        acme.message()
        acme.fault("error", method="threads.list", status=403, error="rateLimitExceeded")
        acme.reads()
        acme.fault("error", method="history.list", status=403, error="domainPolicy", times=-1)
        results = [acme.sync() for _ in range(BELIEVED)]
        assert acme.account.state == "needs_reconnect"
        assert "administrator" in str(results[-1].reason)
        assert acme.calls()["token"] == 1  # another token would not help

    def test_stay_under_the_quota(self, bench: Bench) -> None:
        bench.configure(GMAIL_PACING="true")
        acme = GmailTenant(bench, "acme")
        acme.connect()
        acme.order("settings", enforce_limits=True)
        for place in range(400):
            acme.message(hours_ago=1 + place / 10)
        since = bench.requests()
        acme.reads()
        counts = bench.ask("ledger/counts", since=since)
        assert counts["throttled"] == 0
        assert not counts["by_error"]
        assert len(acme.living) == 400
        assert sum(bench.clock.pauses) >= 60


class TestSecrets:
    def test_and_what_mail_says_are_not_logged(self, acme: GmailTenant, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        acme.message(text="Between us", subject="Confidential")
        acme.fault("status", method="threads.list", status=500)
        acme.reads()
        acme.fault("error", method="history.list", status=400, error="invalidArgument")
        said = f"{acme.sync().reason} {caplog.text}"
        assert not [
            word for word in ("Between us", "Confidential", "google-secret", "1//", "ya29.") if word in said
        ]


class TestConnecting:
    def test_names_a_label_that_does_not_exist(self, bench: Bench) -> None:
        with pytest.raises(CredentialRejected, match="no label 'Nope'"):
            GmailTenant(bench, "acme").connect(labels=("Nope",))

    def test_searches_from_a_moment_and_not_from_a_day_in_california(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.connect()
        requests = bench.ask("ledger", team=acme.vendor_id)["requests"]
        [asked] = [request["params"]["q"] for request in requests if request["method"] == "threads.list"]
        assert re.fullmatch(r"after:\d+", asked)

    def test_names_a_missing_scope(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.order("credential", scopes=["https://www.googleapis.com/auth/gmail.metadata"])
        with pytest.raises(CredentialRejected, match=r"gmail\.readonly"):
            acme.connect()

    def test_tells_of_a_mailbox_without_gmail(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.order("settings", enabled=False)
        with pytest.raises(SourceError, match="no Gmail mailbox"):
            acme.connect()

    def test_takes_a_token_that_does_not_tell_how_long_it_lasts(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.order("credential", tells_expiry=False)
        acme.connect()
        made = acme.message()
        acme.reads()
        assert acme.living == {made["thread"]}
        assert acme.calls()["token"] == 1

    def test_by_a_service_account_opens_what_it_may(self, bench: Bench, tmp_path: Path) -> None:
        for user in ("ann", "bob", "eve"):
            bench.order("gmail/mailbox", email=f"{user}@acme.example", threads=2)
        key = robot(
            bench,
            tmp_path,
            subjects=["ann@acme.example", "bob@acme.example"],
            unauthorized=["eve@acme.example"],
        )
        subjects = "ann@acme.example,bob@acme.example,eve@acme.example,nobody@acme.example"
        done = bench.run(
            "connect", "gmail", "--workspace", "acme", "--service-account", str(key), "--subjects", subjects
        )
        assert done.returncode == 2
        assert done.stdout.count("Connected Gmail") == 2
        refusals = done.stderr.strip().splitlines()
        assert len(refusals) == 2
        assert "eve@acme.example" in refusals[0]
        assert "domain-wide delegation" in refusals[0]
        assert "nobody@acme.example" in refusals[1]
        assert "PRIVATE" not in done.stdout + done.stderr
        synced = bench.run("sync", "gmail", "--workspace", "acme")
        assert synced.returncode == 0, synced.stderr
        assert synced.stdout.count(": success, 2 new") == 2

    def test_by_a_service_account_names_each_mailbox_without_the_label(self, bench: Bench, tmp_path: Path) -> None:
        subjects = [f"{user}@acme.example" for user in ("ann", "bob", "eve")]
        for subject, labels in zip(subjects, ([], ["Customers"], []), strict=True):
            bench.order("gmail/mailbox", email=subject, labels=labels)
        key = robot(bench, tmp_path, subjects=subjects)
        options = ("--service-account", str(key), "--subjects", ",".join(subjects), "--labels", "Customers")
        done = bench.run("connect", "gmail", "--workspace", "acme", *options)
        assert done.returncode == 2
        assert done.stdout.count("Connected Gmail") == 1
        assert "bob@acme.example" in done.stdout
        for subject, refusal in zip(("ann", "eve"), done.stderr.strip().splitlines(), strict=True):
            assert f"mailbox {subject}@acme.example has no label 'Customers'" in refusal

    def test_tells_of_a_key_file_that_is_none(self, bench: Bench, tmp_path: Path) -> None:
        key = tmp_path / "key.json"
        for content, said in (
            ("{}", "not the JSON key"),
            ('{"client_email": "a@b", "private_key": "nonsense"}', "private_key"),
        ):
            key.write_text(content)
            done = bench.run(
                "connect",
                "gmail",
                "--workspace",
                "acme",
                "--service-account",
                str(key),
                "--subjects",
                "a@x.example",
            )
            assert (done.returncode, done.stdout) == (2, "")
            assert said in done.stderr
            assert done.stderr.count("\n") == 1
            assert "nonsense" not in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ((), "--service-account and --subjects"),
            (("--client-id", "x"), "--client-id, --client-secret and --refresh-token"),
            (("--service-account", "/nowhere/key.json", "--subjects", "a@x"), "cannot be read"),
            (
                ("--client-id", "x", "--client-secret", "plain", "--refresh-token", "y"),
                "never given on the command",
            ),
        ],
    )
    def test_says_in_one_sentence_what_is_missing(
        self, bench: Bench, arguments: tuple[str, ...], said: str
    ) -> None:
        done = bench.run("connect", "gmail", "--workspace", "acme", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
