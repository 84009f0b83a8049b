"""Mail that nobody's program should have made: HTML, plain text, calendars and MIME trees, by their grammars."""

from __future__ import annotations

from random import Random
from typing import Any

from tests.fuzz import corpus
from tests.fuzz.corpus import Json
from tests.fuzz.mutations import INSERTED, SELDOM, UNITS, mutated, rewritten

MOST_TAGS = 60
SMALLEST, LARGEST = 3, 6  # powers of ten: how many characters a text of one kind of excess has
MOST_LEVELS = 120  # of MIME, each two of JSON
TAGS = (
    *(
        "p",
        "div",
        "span",
        "b",
        "a",
        "ul",
        "ol",
        "li",
        "table",
        "tr",
        "td",
        "th",
        "tbody",
        "blockquote",
        "pre",
        "br",
    ),
    *(
        "hr",
        "img",
        "h1",
        "style",
        "script",
        "title",
        "head",
        "body",
        "html",
        "font",
        "center",
        "svg",
        "math",
        "template",
    ),
    *(
        "form",
        "select",
        "option",
        "textarea",
        "noscript",
        "iframe",
        "o:p",
        "x-y",
        "input",
        "base",
        "dl",
        "dt",
        "dd",
        "\0p",
    ),
)
ATTRIBUTES = (
    *("class=gmail_quote", 'style="display:none"', 'style="white-space:pre"', "colspan=3", "rowspan=2", "hidden"),
    *(
        "colspan=1000000",
        "rowspan=99999",
        "colspan=-1",
        "start=2147483648",
        'href="https://x.example"',
        "align=right",
    ),
    *(
        'style="margin-left:99999em"',
        'style="padding:1e9px"',
        'alt="picture"',
        "type=I",
        "data-x",
        "=",
        '"',
        "onclick='",
    ),
    *('style="display:table-cell;width:99999"', 'id="divRplyFwdMsg"', 'cite="x"', "dir=rtl", "x='&lt;'", "\0=\0"),
)
TEXTS = (
    *(
        "word ",
        "a b\n",
        "&nbsp;",
        "&amp;amp;",
        "&#0;",
        "&#x110000;",
        "&#xd800;",
        "&zwnj;",
        "&notanentity",
        "&#",
        "é",
        "日本",
    ),
    *(
        "<",
        ">",
        "</",
        "<!",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?php",
        "?>",
        "<!DOCTYPE html>",
        "<!--[if mso]>",
        "<![endif]-->",
    ),
    *(
        "\0",
        "\r",
        "\t",
        "\x1b",
        "\u200b",
        "\ufeff",
        "\x0c",
        "\x80",
        "http://x.example/",
        "On Thu, Ann wrote:",
        "> quoted",
    ),
)
CHARSETS = (
    *(
        "utf-8",
        "UTF8",
        "iso-8859-1",
        "windows-1252",
        "koi8-r",
        "gb2312",
        "shift_jis",
        "iso-2022-jp",
        "utf-16",
        "utf-32",
    ),
    *(
        "utf-7",
        "idna",
        "punycode",
        "base64",
        "hex",
        "zlib",
        "bz2",
        "rot13",
        "unicode_escape",
        "raw_unicode_escape",
        "mbcs",
    ),
    *(
        "undefined",
        "cp65001",
        "x-unknown",
        "'utf-8'",
        "utf-8\0",
        "",
        "ansi_x3.110-1983",
        "8bit",
        "utf_8_sig",
        "hz",
        "x" * 500,
    ),
)
TYPES = (
    *(
        "text/plain",
        "text/html",
        "text/calendar",
        "text/enriched",
        "multipart/mixed",
        "multipart/alternative",
        "TEXT/HTML",
    ),
    *(
        "multipart/related",
        "multipart/signed",
        "multipart/report",
        "message/rfc822",
        "message/delivery-status",
        "text/x-amp-html",
    ),
    *(
        "application/pdf",
        "image/png",
        "application/ms-tnef",
        "application/pkcs7-mime",
        "",
        "text",
        "text/plain; charset=x",
    ),
)


def html(rng: Random) -> str:
    """Make a document of a few tags, of one kind of excess, or a real one that was damaged."""
    if rng.random() < SELDOM:
        return rng.choice(EXCESSES)(rng, _length(rng))
    if rng.random() < 0.3:
        text = corpus.MARKUP
        for _time in range(rng.randrange(1, 5)):
            text = rewritten(rng, text)
        return text
    pieces: list[str] = []
    opened: list[str] = []
    for _place in range(rng.randrange(1, MOST_TAGS)):
        match rng.randrange(6):
            case 0 | 1:
                opened.append(rng.choice(TAGS))
                pieces.append(_opening(rng, opened[-1]))
            case 2 if opened:  # in order or not
                pieces.append(f"</{opened.pop(rng.randrange(len(opened)) if rng.random() < 0.2 else -1)}>")
            case 3:
                pieces.append(f"</{rng.choice(TAGS)}>")
            case _:
                pieces.append(rng.choice(TEXTS) * rng.choice((1, 1, 1, 5)))
    return "".join(pieces)


def _length(rng: Random) -> int:
    return int(10 ** rng.uniform(SMALLEST, LARGEST))


def _opening(rng: Random, tag: str) -> str:
    attributes = " ".join(rng.choice(ATTRIBUTES) for _ in range(rng.choice((0, 0, 1, 2))))
    return f"<{tag} {attributes}{rng.choice(('>', '>', '>', '/>', ''))}"


def _deep(rng: Random, length: int) -> str:
    tag = rng.choice(
        ("div", "b", "ul><li", "blockquote", "table><tr><td", "span", "font", "dl><dd", "svg", "p", "a")
    )
    count = length // (len(tag) + 2)
    return f"<{tag}>" * count + "x" + (f"</{tag.partition('>')[0]}>" * count if rng.random() < 0.5 else "")


def _wide(rng: Random, length: int) -> str:
    piece = rng.choice(
        (*(f"<{tag}>" for tag in TAGS), *(f"</{tag}>" for tag in TAGS), *TEXTS, "<p>x</p>", "<td>x", "<br>")
    )
    return piece * (length // len(piece))


def _attributes(rng: Random, length: int) -> str:
    value = rng.choice((*UNITS, "x: y; ", "display:none;", "&amp;", "'"))
    value *= length // len(value)
    named = rng.choice(("style", "class", "href", "alt", "x", "src"))
    many = " ".join(f"a{place}=1" for place in range(length // 8))
    return rng.choice(
        (f'<p {named}="{value}">x</p>', f"<p {named}='{value}", f"<p {value}>x</p>", f"<p {many}>x", f"<{value}>")
    )


def _table(rng: Random, length: int) -> str:
    """Make a table, ragged or not, of cells of very different widths; some with a table in each."""
    columns = rng.choice((1, 5, 100, 3_000))
    cell = rng.choice(
        ("<td>x</td>", "<td>x", "<td>x\n\n\ny</td>", "<td colspan=9>x</td>", "<td><table><tr><td>x</table>")
    )
    row = "<tr>" + cell * columns
    rows = max(1, length // len(row))
    ragged = "".join("<tr>" + cell * rng.randrange(1, columns + 1) for _ in range(min(rows, 300)))
    wide = f"<tr><td>{'w' * rng.choice((1, 1_000, length))}</td>"
    return f"<table>{rng.choice((row * rows, ragged))}{wide}{'<tr><td>x' * rng.choice((0, 1_000))}</table>"


def _text(rng: Random, length: int) -> str:
    unit = rng.choice((*UNITS, *TEXTS))
    return rng.choice(("", "<pre>", "<p>", "<textarea>", "<!--", "<style>", "<script>", "<title>")) + unit * (
        length // len(unit)
    )


EXCESSES = (_deep, _wide, _attributes, _table, _text)


def plain(rng: Random) -> str:
    """Make a plain text with quotes and signatures, of one kind of excess now and then."""
    if rng.random() < SELDOM:
        unit = rng.choice(
            (*UNITS, "> On Thu wrote:\n", "-- \n", "_____\n", "From: a\n", ">" * 300 + "\n", "a@b.example ")
        )
        return unit * (_length(rng) // len(unit))
    text = corpus.PLAIN
    for _time in range(rng.randrange(4)):
        text = rewritten(rng, text)
    return text


def calendar(rng: Random) -> str:
    """Make an invitation with lines doubled, cut or odd."""
    lines = corpus.CALENDAR.splitlines()
    for _time in range(rng.randrange(6)):
        place = rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                lines[place] = rewritten(rng, lines[place])
            case 1:
                lines[place : place + 1] = [lines[place]] * rng.choice((0, 2, 2, 3_000))
            case 2:
                lines.insert(
                    place,
                    rng.choice(("BEGIN:VEVENT", "END:VEVENT", "BEGIN:VALARM", "DTSTART:0", "SUMMARY:", " ", ":")),
                )
            case 3:
                lines[place] = (
                    rng.choice(("SUMMARY;", "DTSTART;TZID=", "RRULE:", "DESCRIPTION:")) + rng.choice(UNITS) * 500
                )
            case _:
                lines[place] += rng.choice(INSERTED)
    return rng.choice(("\r\n", "\n", "\r", "\r\n ")).join(lines)


def part(rng: Random, levels: int) -> Json:
    """Make a part and what is in it, at most so many levels deep."""
    mime_type = rng.choice(TYPES)
    made: Json = {
        "partId": rng.choice(("", "0", "0.1", "1", None)),
        "mimeType": mime_type,
        "filename": rng.choice(("", "", "", "x.pdf", "noname.eml", "\0", "invite.ics")),
        "headers": [
            {"name": rng.choice(("Content-Type", "content-type")), "value": f"{mime_type}{_parameters(rng)}"}
        ],
        "body": _body(rng),
    }
    if levels > 0 and (mime_type.startswith(("multipart", "message")) or rng.random() < 0.1):
        made["parts"] = [part(rng, levels - 1) for _ in range(rng.choice((0, 1, 2, 3)))]
    return made


def _parameters(rng: Random) -> str:
    charset = rng.choice(CHARSETS)
    return rng.choice(
        (
            "",
            f"; charset={charset}",
            f'; charset="{charset}"',
            f"; charset*=utf-8''{charset}",
            "; charset",
            f";CHARSET = '{charset}",
        )
    )


def _body(rng: Random) -> Any:
    content = rng.choice((html, html, plain, calendar))(rng)
    charset = rng.choice(("utf-8", "utf-16", "latin-1", "iso-2022-jp", "gb18030"))
    match rng.randrange(12):
        case 0:
            return rng.choice(({}, None, {"size": 0}, {"size": -1, "data": ""}, {"attachmentId": "a1", "size": 1}))
        case 1:
            return {"size": 1, "data": rewritten(rng, corpus.encoded(content, charset))}
        case 2:
            return {"size": 1, "data": corpus.encoded(content, charset).replace("-", "+").replace("_", "/") + "=="}
        case 3:
            return {"size": 1, "data": rng.choice(("*", "é", "A", "====", "\0", " \n", "AAA=AAA", 5, ["QQ"]))}
        case _:
            return {"size": len(content), "data": corpus.encoded(content, charset)}


def message(rng: Random) -> Json:
    """Make a message: a tree by the grammar, one nested for its own sake, or a real one that was damaged."""
    if rng.random() < 0.3:
        return mutated(rng, corpus.GMAIL_MESSAGES)  # type: ignore[no-any-return]
    payload = part(rng, rng.choice((0, 1, 2, 4)))
    if rng.random() < SELDOM:
        for _level in range(rng.randrange(1, MOST_LEVELS)):
            payload = corpus.mail_part(
                rng.choice(("multipart/mixed", "multipart/alternative", "message/rfc822")), parts=[payload]
            )
    made = corpus.mail_message(payload)
    return mutated(rng, [made], times=rng.choice((0, 0, 1)))  # type: ignore[no-any-return]


def thread(rng: Random) -> Json:
    """Make a thread of threads.get."""
    messages = [message(rng) for _ in range(rng.choice((1, 1, 2)))]
    for place, one in enumerate(messages):
        if isinstance(one, dict) and one.get("id") == "18c1":
            one["id"] = f"18c{place}"
    made = {"id": "18c0", "historyId": "125", "messages": messages}
    return mutated(rng, [made], times=1) if rng.random() < 0.1 else made
