"""What is new in a mail: the words of its writer, neither repeated nor lost."""

from __future__ import annotations

from time import process_time

import pytest
from mailparser_reply import EmailReplyParser
from mailparser_reply.constants import MAIL_LANGUAGES

from ingest_assets.sources.gmail.html import text_of_html
from ingest_assets.sources.gmail.new_text import new_text_of
from tests.sources.gmail_replies import replies, score

MEGABYTE = 1_000_000
MOST_SECONDS = 6.0  # for a megabyte, on a machine that does other things as well
LEAST_MAILS, LEAST_PRECISION, LEAST_RECALL = 60, 0.98, 0.99

GMAIL = """<div dir="ltr">Yes, we <b>agree</b>.</div><br><div class="gmail_quote"><div class="gmail_attr">On Mon,
2 Mar 2026 at 10:00, Ann &lt;<a href="mailto:ann@acme.example">ann@acme.example</a>&gt; wrote:<br></div><blockquote
class="gmail_quote" style="margin:0 0 0 .8ex;border-left:1px solid">Do you agree?</blockquote></div>"""
OUTLOOK = """<p class=MsoNormal>Yes, we agree.</p><div><div style='border:none;border-top:solid #E1E1E1 1.0pt'>
<p class=MsoNormal><b>From:</b> Ann Lee &lt;ann@acme.example&gt; <br><b>Sent:</b> Monday, March 2, 2026 10:00 AM
<br><b>To:</b> Bob Roe<br><b>Subject:</b> Offer</p></div></div><p class=MsoNormal>Do you agree?</p>"""
APPLE = """<div>Yes, we agree.</div><br><div>Sent from my iPhone</div><div><br><blockquote type="cite">On
2 Mar 2026, at 10:00, Ann wrote:<br><br></blockquote></div>
<blockquote type="cite"><div>Do you agree?</div></blockquote>"""

HOSTILE = (
    *("a", "On ", "On 10:00 a:\n", f"On 2026 {'x ' * 130}:\n", ">\n", "\n", "-- \n", "-" * 60 + "\n", "From: a\n"),
    *("From: a\nTo: b\nX: c\n", "x\n-- \n> a\n", "x\nSent from my x\n", "2026年3月2日(月) 10:00 a <a>:\n"),
    *("---- a\n", f"> {'a' * 70}\nb\n", "Den skrev " * 25 + "10:00:\n", " " * 299 + "\n", "a b c: d\n"),
)


def by_the_library_alone(text: str) -> str:
    found = EmailReplyParser(languages=list(MAIL_LANGUAGES)).read(text).replies
    return found[0].body if found else text


class TestWhatIsNewInAMail:
    @pytest.mark.parametrize("line_end", ["\n", "\r\n"])
    def test_is_told_from_what_is_quoted_in_many_languages(self, line_end: str) -> None:
        found = score(lambda text: new_text_of(text.replace("\n", line_end)))
        assert len(list(replies())) >= LEAST_MAILS
        assert found.precision >= LEAST_PRECISION, found.kept
        assert found.recall >= LEAST_RECALL, found.lost

    def test_is_told_better_than_by_the_library_alone(self) -> None:
        ours, alone = score(new_text_of), score(by_the_library_alone)
        assert ours.precision > alone.precision
        assert ours.recall > alone.recall

    @pytest.mark.parametrize("html", [GMAIL, OUTLOOK, APPLE], ids=["Gmail", "Outlook", "Apple Mail"])
    def test_is_told_in_html_of_mail_programs(self, html: str) -> None:
        assert new_text_of(text_of_html(html).text) == "Yes, we agree."

    @pytest.mark.parametrize(
        "text",
        [
            "> only\n> a quotation",
            "On Mon, 2 Mar 2026 at 10:00, Ann <ann@acme.example> wrote:\n> what",
            "-- \nBob",
            "",
        ],
    )
    def test_is_all_of_it_where_nothing_is(self, text: str) -> None:
        assert new_text_of(text) == text

    @pytest.mark.parametrize(
        "subject", ["Fwd: Renewal", "FW: Renewal", "WG: Kündigung", "TR : Contrat", "转发: 合同"]
    )
    def test_is_what_is_handed_on_without_a_marker(self, subject: str) -> None:
        text = "FYI\n\nFrom: Ann\nSent: Monday, March 2, 2026 10:00\nTo: Bob\nSubject: Renewal\n\nWe cancel."
        assert new_text_of(text, subject) == text
        assert new_text_of(text, f"Re: {subject}") == "FYI"

    @pytest.mark.parametrize("unit", HOSTILE)
    def test_is_told_in_bounded_time(self, unit: str) -> None:
        began = process_time()
        new_text_of(unit * (MEGABYTE // len(unit)))
        assert process_time() - began < MOST_SECONDS
