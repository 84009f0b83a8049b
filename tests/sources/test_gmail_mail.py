"""From Gmail's MIME trees to text: nested parts, charsets, bodies kept apart, what does not parse."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from random import Random
from typing import Any

import pytest

from tests.sources.tenants import GmailTenant
from tests.workbench import Bench


@pytest.fixture
def acme(bench: Bench) -> GmailTenant:
    tenant = GmailTenant(bench, "acme")
    tenant.connect()
    return tenant


def part(mime_type: str, text: str = "", **fields: Any) -> dict[str, Any]:
    """Give a part of a payload; fields go over it."""
    data = urlsafe_b64encode(text.encode()).rstrip(b"=").decode()
    bare = {"partId": "", "mimeType": mime_type, "filename": "", "headers": [], "body": {"size": len(text)}}
    return bare | ({"body": {"size": len(text), "data": data}} if text else {}) | fields


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

    def test_a_thread_is_readable_in_order(self, acme: GmailTenant) -> None:
        first = acme.message(text="Question?", sender="Ann <ann@acme.example>", hours_ago=3)
        acme.message(thread=first["thread"], text="Answer.", sender="bob@vendor.example", hours_ago=2)
        acme.reads()
        text = acme.rows[first["thread"]].text
        assert text.index("Ann <ann@acme.example>") < text.index("Question?") < text.index("Answer.")
