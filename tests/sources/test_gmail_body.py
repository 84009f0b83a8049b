"""What a mail says, whatever its parts are called and labelled, and what of it counts as left out."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from ingest_assets.sources.gmail.body import body_of, kept_apart
from ingest_assets.sources.gmail.charset import text_of_bytes
from ingest_assets.sources.gmail.invitation import text_of_calendar
from ingest_assets.sources.gmail.mime import MOST_PARTS, headers_of, stripped
from tests.sources.payloads import nested, part, several, typed

MOST_SECONDS = 6.0  # for a megabyte, on a machine that does other things as well
PDF = part("application/pdf", b"%PDF", filename="offer.pdf")
INVITATION = """BEGIN:VCALENDAR
METHOD:REQUEST
BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:STANDARD
DTSTART:19701025T030000
END:STANDARD
END:VTIMEZONE
BEGIN:VEVENT
UID:1@acme.example
SUMMARY:Renewal\\, second round
DTSTART;TZID=Europe/Berlin:20260302T100000
DTEND;TZID=Europe/Berlin:20260302T110000
LOCATION:Room 1\\; first floor
ORGANIZER;CN=Ann Lee:mailto:ann@acme.example
DESCRIPTION:We would like to talk about\\nthe price and ab
 out SSO.
BEGIN:VALARM
DESCRIPTION:This is an alarm
END:VALARM
END:VEVENT
END:VCALENDAR
"""
SAID_BY_INVITATION = """Renewal, second round
When: 2026-03-02 10:00 to 11:00 (Europe/Berlin)
Where: Room 1; first floor
Organizer: Ann Lee <ann@acme.example>

We would like to talk about
the price and about SSO."""


def text_of(payload: dict[str, Any]) -> str:
    return body_of(payload, {}).text


def attachments(payload: dict[str, Any]) -> int:
    return body_of(payload, {}).attachment_count


class TestACharsetLabelIsAHint:
    @pytest.mark.parametrize(
        ("label", "content", "text"),
        [
            ("windows-1252", "price • 80 €".encode(), "price • 80 €"),
            ("us-ascii", "Grüße".encode(), "Grüße"),
            ("iso-8859-1", "“ok” 80 €".encode("cp1252"), "“ok” 80 €"),
            ("latin1", b"d\xe9j\xe0 \x96 vu", "déjà \u2013 vu"),
            (None, "Grüße".encode("cp1252"), "Grüße"),
            ("utf-8", "Grüße".encode("cp1252"), "Grüße"),
            ("ks_c_5601-1987", "뷁 똠방각하".encode("cp949"), "뷁 똠방각하"),
            ("euc-kr", "안녕하세요 펲시콜라".encode("cp949"), "안녕하세요 펲시콜라"),
            ("gb2312", "朱镕基 價格".encode("gb18030"), "朱镕基 價格"),
            ("gbk", "€ 価格".encode("gb18030"), "€ 価格"),
            ("shift_jis", "①髙橋".encode("cp932"), "①髙橋"),
            ("x-sjis", "見積もり".encode("cp932"), "見積もり"),
            ("big5", "報價單".encode("big5"), "報價單"),
            ("iso-2022-jp", "見積もり".encode("iso2022_jp"), "見積もり"),
            ("hz-gb-2312", "报价".encode("hz"), "报价"),
            ("utf-7", "Grüße".encode("utf-7"), "Grüße"),
            ("utf-7", b"1 + 1 = 2 \xe2\x82\xac", "1 + 1 = 2 €"),
            ("iso-2022-jp", "見積もり".encode(), "見積もり"),
            ("utf-16", "Grüße".encode("utf-16"), "Grüße"),
            ("utf-16le", "Grüße".encode("utf-16-le"), "Grüße"),
            ("koi8-r", "Привет".encode("koi8-r"), "Привет"),
            ("windows-1251", "Привет".encode("cp1251"), "Привет"),
            ("iso-8859-9", "şey • €".encode("cp1254"), "şey • €"),
            ("tis-620", "ราคา".encode("cp874"), "ราคา"),
            ("iso-8859-8-i", "שלום".encode("iso8859-8"), "שלום"),
            ("iso-8859-15", "80 €".encode("iso8859-15"), "80 €"),
            ("iso-8859-2", b"za\xbf\xf3\xb3\xe6 \x84tak\x94", "zażółć „tak”"),
            ("klingon", "Grüße".encode("cp1252"), "Grüße"),
            ("base64", b"Hi", "Hi"),
            ("unicode-escape", b"a\\x41", "a\\x41"),
            ("utf-8", b"\xef\xbb\xbfHi", "Hi"),
            ("utf-8", "Ein längerer Text über Größen, Straßen und Käse, ".encode() + b"\xe2\x82", None),
            ("big5", "Grüße aus Köln, schöne Tage für Sie und Ärger".encode("cp1252"), None),
        ],
    )
    def test_and_the_bytes_decide(self, label: str | None, content: bytes, text: str | None) -> None:
        decoded = text_of_bytes(content, label)
        assert not [character for character in decoded if "\x80" <= character <= "\x9f"]
        if text is None:  # damaged: most of it can be read
            assert decoded.count("\ufffd") < len(decoded) / 10
        else:
            assert decoded == text

    @pytest.mark.parametrize(
        "html",
        [
            "<meta charset='koi8-r'><p>Привет</p>",
            "<meta http-equiv='Content-Type' content='text/html; charset=koi8-r'><p>Привет</p>",
            "<?xml version='1.0' encoding='koi8-r'?><p>Привет</p>",
        ],
    )
    def test_and_html_says_its_own(self, html: str) -> None:
        assert text_of(part("text/html", html.encode("koi8-r"))) == "Привет"


class TestTheBody:
    def test_is_text_in_line_whatever_its_file_is_called(self) -> None:
        shown = ("Content-Disposition", "inline; filename=message.txt")
        named = typed("text/plain", "We need SSO.", shown, filename="message.txt")
        assert text_of(named) == "We need SSO."
        assert attachments(named) == 0
        assert text_of(several("multipart/mixed", part("text/plain", "Hi"), named)) == "Hi\n\nWe need SSO."

    @pytest.mark.parametrize("disposition", [(), (("Content-Disposition", "inline; filename=a.html"),)])
    def test_is_html_with_a_file_name_beside_a_file(self, disposition: tuple[tuple[str, str], ...]) -> None:
        html = typed("text/html", "<p>Please sign.</p>", *disposition, filename="a.html")
        mail = several("multipart/mixed", html, PDF)
        assert (text_of(mail), attachments(mail)) == ("Please sign.", 1)

    def test_is_text_with_a_file_name_beside_an_empty_part(self) -> None:
        mail = several("multipart/mixed", part("text/plain"), part("text/plain", "Please sign.", filename="a.txt"))
        assert (text_of(mail), attachments(mail)) == ("Please sign.", 0)

    def test_is_the_one_part_there_is_even_if_it_is_called_an_attachment(self) -> None:
        mail = typed("text/plain", "Please sign.", ("Content-Disposition", "attachment"), filename="a.txt")
        assert text_of(mail) == "Please sign."

    def test_is_no_attached_text_beside_another_one(self) -> None:
        attached = typed("text/plain", "log", ("Content-Disposition", "attachment"), filename="a.log")
        mail = several("multipart/mixed", part("text/plain", "See the log."), attached)
        assert (text_of(mail), attachments(mail)) == ("See the log.", 1)

    def test_is_everything_in_order_in_related_signed_and_forwarded_parts(self) -> None:
        forwarded = several("message/rfc822", part("text/plain", "Forwarded"), filename="noname.eml")
        related = several("multipart/related", part("text/html", "<p>Hi</p>"), part("image/png", b"x"))
        signed = several("multipart/signed", related, part("application/pgp-signature", b"x"))
        mail = several(
            "multipart/mixed", signed, forwarded, part("application/ms-tnef", b"x", filename="winmail.dat")
        )
        assert text_of(mail) == "Hi\n\nForwarded"
        assert attachments(mail) == 4

    def test_has_the_footer_of_a_mailing_list_beside_its_html(self) -> None:
        mail = several("multipart/mixed", part("text/html", "<p>Real words</p>"), part("text/plain", "The list"))
        assert text_of(mail) == "Real words\n\nThe list"

    def test_has_line_ends_as_any_other_text(self) -> None:
        assert text_of(part("text/plain", "one\r\ntwo\r\n")) == "one\ntwo"

    @pytest.mark.parametrize("size", [None, "9", -1, 0])
    def test_is_read_whatever_its_size_is_said_to_be(self, size: object) -> None:
        assert text_of({"mimeType": "text/plain", "body": {"size": size, "data": "SGk"}}) == "Hi"

    def test_without_a_type_is_plain_text(self) -> None:
        assert text_of({"body": {"data": "SGk"}}) == "Hi"
        assert text_of({"body": {"data": "4oKs+/8"}}) == text_of({"body": {"data": "4oKs-_8"}})
        assert text_of({"mimeType": "TEXT/HTML", "body": {"data": "PGI-SGk8L2I-"}}) == "Hi"

    def test_that_is_kept_apart_is_asked_for_whatever_it_is_called(self) -> None:
        body = {"size": 9, "attachmentId": "a1"}
        named = part("text/html", filename="a.html", body=body, partId="0")
        mail = several("multipart/mixed", named, part("text/plain", filename="b.txt", body={"size": 0}))
        assert [found["partId"] for found in kept_apart(mail)] == ["0"]
        assert body_of(mail, {"0": "PGI-SGk8L2I-"}).text == "Hi"


def alternative(plain: str, html: str) -> dict[str, Any]:
    return several("multipart/alternative", part("text/plain", plain), part("text/html", html))


class TestOfAlternatives:
    @pytest.mark.parametrize(
        "stub",
        [
            "This message requires an HTML-capable mail client.",
            "Your email client does not support HTML. Please open this message in a browser: https://a.example/v?i=1",
            "Diese E-Mail kann nur in einem HTML-fähigen Programm angezeigt werden.",
            "Pour lire ce message, utilisez un logiciel qui affiche le HTML ou votre navigateur.",
            "Para ver este mensaje, use un programa compatible con HTML.",
            "Aby zobaczyć tę wiadomość, otwórz ją w przeglądarce.",
            "Este e-mail está em formato HTML.",
            "お使いのメールソフトではHTMLメールを表示できません。",
            "您的邮件客户端不支持HTML格式。",
            "https://a.example/view-online",
            "View online",
            "[image: logo]",
            "  \n ",
        ],
    )
    def test_a_stub_is_not_the_one_to_read(self, stub: str) -> None:
        assert text_of(alternative(stub, "<p>We will not renew because of SSO.</p>")) == (
            "We will not renew because of SSO."
        )

    def test_a_plain_beginning_is_not_the_one_to_read(self) -> None:
        html = "".join(f"<p>Point {place}: we want feature{place} and price{place}.</p>" for place in range(200))
        plain = "Point 0: we want feature0 and price0.\n" + "Read on in our news. " * 20
        assert "feature199" in text_of(alternative(plain, html))

    @pytest.mark.parametrize(
        ("plain", "html"),
        [
            ("OK", "<div>OK</div>"),
            ("Yes, we agree.\n\n-- \nAnn", "<p>Yes, we <b>agree</b>.</p><p>-- <br>Ann</p>"),
            (
                "Hello! *Our* offer <https://a.example/1>",
                "<p>Hello! <b>Our</b> <a href='https://a.example/1'>offer</a></p>",
            ),
            ("We speak of HTML and browsers here.", "<p>We speak of HTML and browsers here.</p>"),
            ("The picture shows our plan for the year: growth.", "<img src='plan.png'>"),
            ("The picture shows our plan for the year: growth.", "<img src='plan.png' alt='plan'>"),
            ("お見積りをお送りします。", "<p>お見積りを<b>お送り</b>します。</p>"),
            ("word " * 500, "<p>" + "word " * 500 + "</p>"),
        ],
    )
    def test_the_plain_one_is_read_where_it_says_the_same(self, plain: str, html: str) -> None:
        assert text_of(alternative(plain, html)) == plain.strip()

    def test_html_with_files_around_it_is_read_whole(self) -> None:
        rich = several("multipart/mixed", part("text/html", "<p>one</p>"), PDF, part("text/html", "<p>two</p>"))
        mail = several("multipart/alternative", part("text/plain", " "), rich)
        assert (text_of(mail), attachments(mail)) == ("one\n\ntwo", 1)


class TestAnInvitation:
    @pytest.mark.parametrize("mime_type", ["text/calendar", "application/ics", "TEXT/CALENDAR"])
    def test_that_comes_alone_is_read(self, mime_type: str) -> None:
        assert text_of(part(mime_type, INVITATION)) == SAID_BY_INVITATION
        mail = several(
            "multipart/mixed", part("text/plain", " "), part(mime_type, INVITATION, filename="invite.ics")
        )
        assert (text_of(mail), attachments(mail)) == (SAID_BY_INVITATION, 0)

    def test_beside_text_counts_as_a_file(self) -> None:
        invite = part("application/ics", INVITATION, filename="invite.ics")
        mail = several("multipart/mixed", part("text/plain", "Please come."), invite)
        assert (text_of(mail), attachments(mail)) == ("Please come.", 1)

    @pytest.mark.parametrize(
        ("lines", "said"),
        [
            (
                "DTSTART:20260302T100000Z\nDTEND:20260303T110000Z",
                "When: 2026-03-02 10:00 to 2026-03-03 11:00 (UTC)",
            ),
            ("DTSTART;VALUE=DATE:20260302\nDTEND;VALUE=DATE:20260303", "When: 2026-03-02"),
            ("DTSTART;VALUE=DATE:20260302\nDTEND;VALUE=DATE:20260305", "When: 2026-03-02 to 2026-03-04"),
            ("DTSTART:20260302T100000\nDURATION:PT1H", "When: 2026-03-02 10:00 to PT1H"),
            ("DTSTART:20260302T100000\nRRULE:FREQ=WEEKLY", "When: 2026-03-02 10:00\nRepeats: FREQ=WEEKLY"),
            ("DTSTART:soon", "When: soon"),
            ("DTSTART:99999999T999999\nDTEND:00000000", "When: 9999-99-99 99:99 to 0000-00-00"),
            ("", ""),
        ],
    )
    def test_shows_its_time_as_it_was_written(self, lines: str, said: str) -> None:
        calendar = f"BEGIN:VEVENT\r\nSUMMARY:Call\r\n{lines}\r\nEND:VEVENT"
        assert text_of_calendar(calendar) == f"Call\n{said}".strip()

    def test_that_is_cancelled_says_so(self) -> None:
        assert text_of_calendar(INVITATION.replace("REQUEST", "CANCEL")).startswith("Cancelled: Renewal")

    @pytest.mark.parametrize("calendar", ["", "BEGIN:VCALENDAR", "SUMMARY:x", "END:VEVENT\nSUMMARY:x", "\0" * 9])
    def test_that_is_none_says_nothing(self, calendar: str) -> None:
        assert text_of_calendar(calendar) == ""

    def test_of_a_million_events_is_bounded(self) -> None:
        assert len(text_of_calendar("BEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT\n" * 100_000)) < 1_000


class TestATreeOfParts:
    @pytest.mark.parametrize("levels", [1, 60, 126, 5_000])
    def test_is_read_at_any_depth(self, levels: int) -> None:
        mail = nested(levels, several("multipart/mixed", part("text/plain", "Deep words"), PDF))
        assert (text_of(mail), attachments(mail)) == ("Deep words", 1)

    def test_is_kept_without_contents_as_deep_as_anybody_nests(self) -> None:
        kept = stripped(nested(126, part("text/plain", "x")))
        depth = 0
        while kept["parts"]:
            [kept] = kept["parts"]
            assert "data" not in kept["body"]
            depth += 1
        assert (depth, kept["partsLeftOut"]) == (50, 1)

    def test_of_nested_alternatives_is_read_in_bounded_time(self) -> None:
        mail = part("text/html", "<p>Deep words</p>" + "<b>x" * 200_000)
        for _ in range(100):
            mail = several("multipart/alternative", part("text/plain", "See the HTML"), mail)
        began = process_time()
        assert text_of(mail).startswith(("Deep words", "See the HTML"))
        assert process_time() - began < MOST_SECONDS

    def test_of_too_many_parts_is_shortened_and_says_so(self) -> None:
        mail = several(
            "multipart/mixed", *(part("text/plain", f"part {place}") for place in range(MOST_PARTS + 5))
        )
        body = body_of(mail, {})
        assert body.shortened
        assert body.text.endswith(f"part {MOST_PARTS - 1}")

    def test_may_have_headers_without_names_and_values(self) -> None:
        headers = [
            {"name": "To"},
            {"value": "x"},
            {},
            {"name": "To", "value": None},
            {"name": "TO", "value": "ann"},
        ]
        assert headers_of({"headers": headers}) == {"to": ["ann"]}
