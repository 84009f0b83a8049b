"""HTML becomes the text that a reader sees, whoever wrote it and whatever for."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from time import monotonic

import pytest

from ingest_assets.sources.gmail.html import ALLOWANCE, GROWTH, text_of_html
from tests.sources.hostile_html import HOSTILE, KIND_REGARDS

LONGEST_GAP = 0.5  # seconds in which an event loop may do nothing: a lease is renewed every few seconds
MOST_SECONDS = 6.0  # for a megabyte, on a machine that does other things as well; a lease lasts 15 or more
MOST_MEGABYTES = 300

MEASURE = """
import json, time
from ingest_assets.sources.gmail.html import text_of_html
from tests.memory import peak_megabytes
from tests.sources.hostile_html import HOSTILE
for name, make in HOSTILE.items():
    html = make()
    began = time.process_time()
    text, shortened = text_of_html(html)
    seconds = time.process_time() - began
    megabytes = peak_megabytes()
    print(json.dumps([name, seconds, megabytes, len(html), len(text), text[-40:]]))
"""


class TestLayout:
    @pytest.mark.parametrize(
        ("html", "text"),
        [
            ("<p>Dear <b>team</b>,</p><p>hello</p>", "Dear team,\n\nhello"),
            ("<div>one</div><div>two</div><div><br></div><div>three</div>", "one\ntwo\n\nthree"),
            ("one<br>two<br/><br />three<BR>", "one\ntwo\n\nthree"),
            ("a\n  b\t\tc&nbsp;&nbsp;d", "a b c d"),
            (
                "<ul><li>one<li>two<ol><li>first</li><li>second</li></ol></ul>",
                "* one\n* two\n  1. first\n  2. second",
            ),
            (
                "<table><tr><th>Seats<th>Price</tr><tr><td><p>20</p></td><td><p>80 €</p></td></tr></table>",
                "Seats\tPrice\n20\t80 €",
            ),
            ("<table><tr><td><p>a</p><p>b</p></td><td>c</td></tr></table>", "a\n\nb\n\nc"),
            (
                "<p>Yes.</p><blockquote>May we?<br>Ann<blockquote>Hm</blockquote></blockquote>",
                "Yes.\n\n> May we?\n> Ann\n>> Hm",
            ),
            ("<blockquote style='border: none; margin-left: 40px'>moved in</blockquote>", "moved in"),
            ("<h1>Offer</h1>below<hr>more", "Offer\n\nbelow\n* * *\nmore"),
            ("<pre>def f():\n    return 1\n\nend</pre>", "def f():\n    return 1\n\nend"),
            ("<img alt='Our logo' src=x><p>Hi</p>", "Our logo\n\nHi"),
            ("&lt;b&gt; &amp; &euro; &#8364; &#x20AC; &#149; &nosuch; AT&T", "<b> & € € € • &nosuch; AT&T"),
            ("3 < 4 and 5 > 4, I <3 you", "3 < 4 and 5 > 4, I <3 you"),
            ("write to <ann@acme.example> today", "write to <ann@acme.example> today"),
        ],
    )
    def test_is_kept_as_far_as_lines_can(self, html: str, text: str) -> None:
        assert text_of_html(html) == (text, False)

    @pytest.mark.parametrize(
        ("html", "text"),
        [
            ("<a href='https://acme.example/offer'>the offer</a>", "the offer <https://acme.example/offer>"),
            ("<a href='https://acme.example/'>www.acme.example</a>", "www.acme.example"),
            ("<a href='https://acme.example/a?b=1&amp;c=2'>here</a>", "here <https://acme.example/a?b=1&c=2>"),
            ("<a href='mailto:ann@acme.example?subject=Hi'>Ann</a>", "Ann <ann@acme.example>"),
            ("<a href='mailto:ann@acme.example'>ann@acme.example</a>", "ann@acme.example"),
            ("<a href='#top'>up</a> <a href='javascript:x()'>run</a> <a>bare</a>", "up run bare"),
            ("<a href='https://t.example/" + "x" * 500 + "'>Join</a>", "Join <https://t.example/...>"),
            ("<a href='https://acme.example'><img src=logo></a>Hi", "Hi"),
            ("<base href='https://a.example/'><a href='b'>here</a>", "here"),
        ],
    )
    def test_of_a_link_shows_the_address_that_its_text_does_not_say(self, html: str, text: str) -> None:
        assert text_of_html(html).text == text


class TestWhatNobodySees:
    @pytest.mark.parametrize(
        "unseen",
        [
            "<!-- x -->",
            "<!--[if mso]><p>x</p><![endif]-->",
            "<![CDATA[ x > x ]]>",
            "<!DOCTYPE html PUBLIC 'x'>",
            "<?xml version='1.0' encoding='utf-8'?>",
            "<script>if (a < b) x('<p>x</p>')</script>",
            "<style type='text/css'>p > b {x: y}</style>",
            "<title>x</title>",
            "<title/>",
            "<div style='color: red; DISPLAY : none !important'>x<div>x</div>x</div>",
            "<span style='visibility:hidden'>x</span>",
            "<p hidden>x</p>",
            "<!--><!--->",
            "<iframe src=x>x</iframe>",
        ],
    )
    def test_is_left_out(self, unseen: str) -> None:
        assert text_of_html(f"<p>before</p>{unseen}<p>after</p>").text == "before\n\nafter"

    @pytest.mark.parametrize(
        "html",
        [
            "<p>before</p><!-- a comment without an end <p>after</p>",
            "<p>before</p><style>p {} <p>after</p>",
            "<p>before</p><div style='display:none'><p>after</p>",
            '<p>before</p><a href="x>link</a><p>after</p>',
            "<p>before</p><![CDATA[ <p>after</p>",
        ],
    )
    def test_does_not_hide_the_rest_when_it_never_ends(self, html: str) -> None:
        text = text_of_html(html).text
        assert text.startswith("before")
        assert text.endswith("after")

    @pytest.mark.parametrize(
        "html",
        [
            "<div style='overflow: hidden'>seen</div>",
            "<div class='hidden none'>seen</div>",
            "<div style='border: none'>seen</div>",
            "<![if !mso]>seen<![endif]>",
            "<!--[if !mso]><!-->seen<!--<![endif]-->",
            "<p it's>seen</p>",
            "<p\0>se\0en</p\0>",
            '<?xml\nversion="1.0" encoding="utf-8"?><html><body>seen</body></html>',
            "<div" + " a=b" * 1000 + ">seen</div>",
        ],
    )
    def test_is_not_what_only_looks_like_it(self, html: str) -> None:
        assert text_of_html(html).text == "seen"

    def test_leaves_no_gap(self) -> None:
        preview = "Our offer" + "&zwnj;&nbsp;&#847;&shy;" * 50
        assert text_of_html(f"<div>{preview}</div><p>Dear Ann</p>").text == "Our offer\n\nDear Ann"


@pytest.fixture(scope="module")
def measured() -> dict[str, tuple[float, float, int, int, str]]:
    """Convert all in one process that does nothing else."""
    command = [sys.executable, "-c", MEASURE]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  (our own)
    return {name: tuple(figures) for name, *figures in map(json.loads, done.stdout.splitlines())}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_html_is_read_in_bounded_time_memory_and_output(
    name: str, measured: dict[str, tuple[float, float, int, int, str]]
) -> None:
    seconds, megabytes, given, made, end = measured[name]
    assert seconds < MOST_SECONDS
    assert megabytes < MOST_MEGABYTES
    assert made <= GROWTH * given + ALLOWANCE
    assert end.endswith(KIND_REGARDS)


class TestAHostileMail:
    @pytest.mark.parametrize("name", ["attributes", "deep", "rows", "preformatted"])
    def test_lets_an_event_loop_go_on(self, name: str) -> None:
        html = HOSTILE[name]()

        async def longest_gap() -> float:
            converting = asyncio.create_task(asyncio.to_thread(text_of_html, html))
            longest, last = 0.0, monotonic()
            while not converting.done():
                await asyncio.sleep(0.001)
                longest, last = max(longest, monotonic() - last), monotonic()
            return longest

        assert asyncio.run(longest_gap()) < LONGEST_GAP

    def test_of_260_levels_loses_no_word(self) -> None:
        deep = "<div>" * 260 + "<p>Our condition is SSO by May.</p>" + "</div>" * 260
        text = text_of_html(f"<p>Fine for us.</p>{deep}<p>Kind regards</p>").text
        assert text == "Fine for us.\n\nOur condition is SSO by May.\n\nKind regards"

    def test_of_200000_tags_keeps_its_words_and_says_that_their_layout_is_lost(self) -> None:
        text, shortened = text_of_html("<p>word</p>" * 100_000)
        assert shortened
        assert text.split() == ["word"] * 100_000
