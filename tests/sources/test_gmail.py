"""Gmail's quirks: labels, trash, threads, batches with inner refusals, secrets."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from ingest_assets.sources.client.retry import PATIENCE
from ingest_assets.sync.result import BELIEVED
from tests.sources.tenants import GmailTenant
from tests.workbench import Bench


@pytest.fixture
def acme(bench: Bench) -> GmailTenant:
    tenant = GmailTenant(bench, "acme")
    tenant.connect()
    return tenant


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
