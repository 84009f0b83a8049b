"""From Gmail's MIME trees to text: nested parts, charsets, bodies kept apart, what does not parse."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from random import Random
from threading import Thread
from typing import Any

import pytest

from ingest_assets.sources.gmail import GMAIL
from ingest_assets.sync.deriving import derive_anew
from tests.sources.hostile_html import HOSTILE, KIND_REGARDS
from tests.sources.payloads import nested, part, several, typed
from tests.sources.tenants import GmailTenant
from tests.workbench import Bench


@pytest.fixture
def acme(bench: Bench) -> GmailTenant:
    tenant = GmailTenant(bench, "acme")
    tenant.connect()
    return tenant


def random_text(length: int) -> str:
    """Give what PostgreSQL cannot compress."""
    return Random(length).randbytes(length // 2).hex()  # noqa: S311  (not a secret)


class TestMail:
    def test_is_read_from_nested_parts(self, acme: GmailTenant) -> None:
        files = [{"filename": "offer.pdf", "mime_type": "application/pdf", "size": 5000}]
        made = acme.message(text="The plain one", html="<p>The rich one</p>", attachments=files)
        acme.reads()
        row = acme.stored_message(made)
        assert (row.text, row.attachment_count) == ("The plain one", 1)
        assert "offer.pdf" in json.dumps(row.raw)
        assert "attachmentId" not in json.dumps(row.raw)

    def test_that_was_forwarded_whole_is_read_too_but_no_calendar(self, acme: GmailTenant) -> None:
        forwarded = [part("text/plain", "Forwarded")]
        parts = [
            part("text/plain", "See below"),
            part("message/rfc822", parts=forwarded, filename="noname.eml"),
            part("text/calendar", "BEGIN:VCALENDAR"),
        ]
        made = acme.message(payload=part("multipart/mixed", parts=parts))
        acme.reads()
        assert acme.stored_message(made).text == "See below\n\nForwarded"

    def test_with_nul_bytes_is_stored_without_them(self, acme: GmailTenant) -> None:
        made = acme.message(text="a\0b", subject="s\0t")
        acme.reads()
        row = acme.stored_message(made)
        assert (row.text, row.subject) == ("ab", "st")

    def test_of_html_becomes_text(self, acme: GmailTenant) -> None:
        html = "<style>p {color: red}</style><p>Dear <b>team</b>,</p><ul><li>one</li></ul><script>x()</script>"
        made = acme.message(html=html)
        acme.reads()
        text = acme.stored_message(made).text
        assert "Dear team," in text
        assert "one" in text
        assert not [word for word in ("color", "x()", "<") if word in text]

    def test_with_an_empty_plain_part_is_read_from_html(self, acme: GmailTenant) -> None:
        made = acme.message(text="  \n", html="<p>Only here</p>")
        acme.reads()
        assert acme.stored_message(made).text == "Only here"

    @pytest.mark.parametrize("charset", ["iso-8859-1", "utf-8", "windows-1252", "koi8-r"])
    def test_is_decoded_by_its_charset(self, acme: GmailTenant, charset: str) -> None:
        said = "Привет" if charset == "koi8-r" else "Grüße"
        made = acme.message(text=said, charset=charset)
        acme.reads()
        assert acme.stored_message(made).text == said

    @pytest.mark.parametrize("charset", ["klingon", "base64", "quoted-printable", "idna"])
    def test_in_an_unknown_charset_is_read_as_far_as_possible(self, acme: GmailTenant, charset: str) -> None:
        headers = [{"name": "Content-Type", "value": f"text/plain; charset={charset}"}]
        body = {"size": 2, "data": "SGk"}  # without padding
        payload = {"partId": "", "mimeType": "text/plain", "filename": "", "headers": headers, "body": body}
        made = acme.message(payload=payload)
        acme.reads()
        assert acme.stored_message(made).text == "Hi"

    def test_whose_body_is_kept_apart_is_fetched(self, acme: GmailTenant) -> None:
        made = acme.message(text="Behind an attachment", body_as_attachment=True)
        acme.reads()
        assert acme.stored_message(made).text == "Behind an attachment"
        before = acme.content()
        acme.forget_cursors()
        acme.reads()
        assert acme.content() == before

    def test_that_is_too_large_is_stored_without_its_body_and_says_so(self, acme: GmailTenant) -> None:
        acme.bench.configure(GMAIL_MAX_MESSAGE_BYTES="100000")
        made = acme.message(text="Much", size_bytes=100_001)
        acme.reads()
        row = acme.stored_message(made)
        assert (row.text, row.body_omitted) == (None, True)

    @pytest.mark.parametrize("name", ["Message-ID", "MESSAGE-ID", "Message-Id"])
    def test_keeps_the_id_that_it_has_everywhere(self, acme: GmailTenant, name: str) -> None:
        headers = [{"name": name, "value": "<same@everywhere>"}]
        made = acme.message(payload=part("text/plain", "Hi", headers=headers))
        acme.reads()
        assert acme.stored_message(made).rfc822_message_id == "<same@everywhere>"

    def test_with_an_id_longer_than_a_line_may_be_is_stored_without_it(self, acme: GmailTenant) -> None:
        headers = [{"name": "Message-ID", "value": f"<{random_text(5_000)}@everywhere>"}]
        made = acme.message(payload=part("text/plain", "Hi", headers=headers))
        acme.reads()
        row = acme.stored_message(made)
        assert (row.text, row.rfc822_message_id) == ("Hi", None)

    def test_without_a_time_is_set_aside(self, acme: GmailTenant) -> None:
        odd = acme.message(raw={"internalDate": None})
        fine = acme.message()
        acme.reads()
        assert acme.living == {fine["thread"]}
        assert [row.item_key for row in acme.rejected] == [odd["message"]]

    def test_whose_body_is_kept_apart_is_fetched_beside_a_malformed_one(self, acme: GmailTenant) -> None:
        made = acme.message(text="Behind an attachment", body_as_attachment=True)
        acme.message(thread=made["thread"], raw={"sizeEstimate": "big"})
        acme.reads()
        assert acme.stored_message(made).text == "Behind an attachment"

    @pytest.mark.parametrize(
        "odd",
        [
            {"id": random_text(5_000)},
            {"internalDate": "soon"},
            {"internalDate": "9" * 20},
            {"sizeEstimate": "big"},
            {"labelIds": [1]},
            {"threadId": None},
            {"payload": "oops"},
            {"payload": {"mimeType": "text/plain", "headers": "oops"}},
            {"payload": {"mimeType": "text/plain", "body": {"data": "a"}}},
            {"payload": {"mimeType": "multipart/mixed", "parts": ["oops"]}},
        ],
        ids=["id", "date", "year", "size", "labels", "thread", "payload", "headers", "base64", "parts"],
    )
    def test_that_is_malformed_is_set_aside_and_the_rest_arrives(
        self, acme: GmailTenant, odd: dict[str, Any]
    ) -> None:
        acme.message(raw=odd)
        fine = acme.message()
        acme.reads()
        assert acme.living == {fine["thread"]}
        assert len(acme.rejected) == 1

    def test_keeps_the_addresses_of_all_its_headers(self, acme: GmailTenant) -> None:
        headers = (
            ("From", "=?utf-8?q?J=C3=B6rg?= <joerg@acme.example>"),
            ("To", 'Ann Lee <ann@acme.example>, "Roe, Bob" <bob@acme.example>'),
            ("To", "eve@acme.example; =?iso-8859-1?B?R3L832U=?= <g@acme.example>"),
            ("Cc", "sales@vendor.example"),
            ("Cc", "support@vendor.example"),
            ("Bcc", "<audit@vendor.example>"),
        )
        made = acme.message(payload=typed("text/plain", "Hi", *headers))
        acme.reads()
        row = acme.stored_message(made)
        assert row.sender == "Jörg <joerg@acme.example>"
        assert row.recipients == [
            "Ann Lee <ann@acme.example>",
            '"Roe, Bob" <bob@acme.example>',
            "eve@acme.example",
            "Grüße <g@acme.example>",
        ]
        assert row.cc == ["sales@vendor.example", "support@vendor.example"]
        assert row.bcc == ["<audit@vendor.example>"]

    def test_without_labels_has_none(self, acme: GmailTenant) -> None:
        made = acme.message(raw={"labelIds": []})
        acme.reads()
        assert acme.stored_message(made).label_ids == []
        assert acme.rows[made["thread"]].raw["messages"] == [{"id": made["message"], "labelIds": []}]

    def test_with_headers_that_lack_a_name_or_a_value_is_stored_without_those(self, acme: GmailTenant) -> None:
        headers = [{"name": "Subject"}, {"value": "x"}, {}, {"name": "Subject", "value": "Offer"}]
        made = acme.message(payload=part("text/plain", "Hi", headers=headers))
        acme.reads()
        assert (acme.stored_message(made).text, acme.stored_message(made).subject) == ("Hi", "Offer")

    @pytest.mark.parametrize("levels", [60, 126])
    def test_of_many_nested_levels_is_read(self, acme: GmailTenant, levels: int) -> None:
        made = acme.message(payload=nested(levels, part("text/plain", "Deep words")))
        acme.reads()
        assert acme.stored_message(made).text == "Deep words"
        assert acme.rejected == []

    def test_is_read_whatever_its_charset_parts_and_markup_are_called(self, acme: GmailTenant) -> None:
        western = ("Content-Type", "text/plain; charset=windows-1252")
        korean = ("Content-Type", "text/html; charset=ks_c_5601-1987")
        inline = ("Content-Disposition", "inline; filename=message.txt")
        stub = part("text/plain", "This message requires an HTML-capable mail client.")
        no_deal = part("text/html", "<p>No SSO, no deal.</p>")
        pdf = part("application/pdf", b"%PDF", filename="offer.pdf")
        deep = "<div>" * 260 + "<p>Our condition is SSO by May.</p>" + "</div>" * 260
        xml = '<?xml\nversion="1.0" encoding="utf-8"?><html><p>Hi</p></html>'
        call = "BEGIN:VEVENT\nSUMMARY:Call\nDTSTART:20260302T100000Z\nEND:VEVENT"
        payloads = [
            (typed("text/plain", "80 €".encode(), western), "80 €", 0),
            (typed("text/html", "<p>뷁</p>".encode("cp949"), korean), "뷁", 0),
            (typed("text/plain", "We need SSO.", inline, filename="message.txt"), "We need SSO.", 0),
            (several("multipart/mixed", part("text/html", "<p>Sign.</p>", filename="a.html"), pdf), "Sign.", 1),
            (several("multipart/alternative", stub, no_deal), "No SSO, no deal.", 0),
            (part("text/html", f"<p>Fine.</p>{deep}"), "Fine.\n\nOur condition is SSO by May.", 0),
            (part("text/html", xml), "Hi", 0),
            (part("text/calendar", call), "Call\nWhen: 2026-03-02 10:00 (UTC)", 0),
        ]
        made = [acme.message(payload=payload) for payload, _, _ in payloads]
        acme.reads()
        rows = [acme.stored_message(one) for one in made]
        assert [(row.text, row.attachment_count) for row in rows] == [tuple(told) for _, *told in payloads]
        assert acme.rejected == []

    def test_that_repeats_what_was_said_makes_no_thread_that_does(self, acme: GmailTenant) -> None:
        quoted, thread = "", ""
        for turn in range(6):
            said = f"This is answer {turn}."
            made = acme.message(text=f"{said}\n\n{quoted}", **({"thread": thread} if thread else {}))
            thread = made["thread"]
            lines = "\n".join(f"> {line}" for line in f"{said}\n\n{quoted}".split("\n"))
            quoted = f"On Mon, 2 Mar 2026 at 10:0{turn}, Ann <ann@acme.example> wrote:\n{lines}"
        acme.reads()
        last = acme.stored_message(made)
        assert (last.new_text, last.text.count("This is answer 0.")) == ("This is answer 5.", 1)
        text = acme.rows[thread].text
        assert [text.count(f"This is answer {turn}.") for turn in range(6)] == [1] * 6
        assert text.index("answer 0") < text.index("answer 5")

    def test_that_an_older_version_stored_gets_its_addresses_and_what_is_new_in_it(
        self, acme: GmailTenant
    ) -> None:
        said = "Yes.\r\n\r\nOn Mon, 2 Mar 2026 at 10:00, Ann <ann@acme.example> wrote:\r\n> May we?"
        headers = (("To", "Ann <ann@acme.example>, bob@acme.example"), ("Cc", "eve@acme.example"))
        made = acme.message(payload=typed("text/plain", said, *headers))
        acme.reads()
        now = acme.stored_message(made)
        acme.bench.execute(
            "update raw.gmail_messages set parser_version = 0, new_text = null, cc = '{}', "
            "recipients = array['Ann <ann@acme.example>, bob@acme.example']"
        )
        acme.bench.execute("update raw.gmail_threads set parser_version = 0, text = 'with quotations'")
        assert [derived.failed for derived in derive_anew(acme.bench.engine, (GMAIL,), lambda: True)] == [0, 0]
        row = acme.stored_message(made)
        assert (row.new_text, row.text, row.content_hash) == ("Yes.", now.text, now.content_hash)
        assert (row.recipients, row.cc) == (["Ann <ann@acme.example>", "bob@acme.example"], ["eve@acme.example"])
        assert acme.rows[made["thread"]].text.endswith("UTC:\nYes.")

    def test_a_thread_is_readable_in_order(self, acme: GmailTenant) -> None:
        first = acme.message(text="Question?", sender="Ann <ann@acme.example>", hours_ago=3)
        acme.message(thread=first["thread"], text="Answer.", sender="bob@vendor.example", hours_ago=2)
        acme.reads()
        text = acme.rows[first["thread"]].text
        assert text.index("Ann <ann@acme.example>") < text.index("Question?") < text.index("Answer.")


class TestHostileMail:
    SLOW = ("attributes", "ragged", "rows", "padding", "preformatted", "open elements", "unended tags", "deep")

    def test_stops_no_mailbox_and_its_sync_keeps_the_lease(self, acme: GmailTenant) -> None:
        made = [acme.message(html=HOSTILE[name]()) for name in self.SLOW]
        fine = acme.message(text="A good one")
        results: list[Any] = []
        syncing = Thread(target=lambda: results.append(acme.sync(lease_seconds=15)))
        syncing.start()
        least = 15.0
        while syncing.is_alive():
            if until := acme.account.lease_until:
                least = min(least, (until - datetime.now(UTC)).total_seconds())
            syncing.join(0.05)
        assert [result.status for result in results] == ["success"]
        assert least > 7  # it is renewed every five seconds
        assert acme.stored_message(fine).text == "A good one"
        assert all(acme.stored_message(one).text.endswith(KIND_REGARDS) for one in made)

    def test_whose_layout_was_too_much_says_so_and_its_thread_as_well(self, acme: GmailTenant) -> None:
        made = acme.message(html="<p>word</p>" * 100_000)
        fine = acme.message(html="<p>word</p>")
        acme.reads()
        for one, shortened in ((made, True), (fine, False)):
            assert acme.stored_message(one).text_shortened is shortened
            assert acme.rows[one["thread"]].text_shortened is shortened

    def test_in_compressed_answers_is_read_like_any(self, acme: GmailTenant) -> None:
        made = acme.message(text="a" * 1_500_000)
        acme.reads()
        assert len(acme.stored_message(made).text) == 1_500_000
