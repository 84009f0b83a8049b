"""Which parts of a mail are its body, and what they say.

alternative  the plain part, unless it is not what the HTML says: a stub that speaks of other programs, a beginning
file name    text that is shown in line is read whatever it is called; text of a named part if there is no other
calendar     an invitation is read where nothing else is
the rest     counts as attachments
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from ingest_assets.sources.gmail.charset import CHARSET, label_in_html, text_of_bytes
from ingest_assets.sources.gmail.html import text_of_html
from ingest_assets.sources.gmail.html_tokens import without_tags
from ingest_assets.sources.gmail.invitation import text_of_calendar
from ingest_assets.sources.gmail.mime import (
    MOST_PARTS,
    Part,
    attachment_id_of,
    contents_of,
    header_of,
    leaves_of,
    mime_type,
)
from ingest_assets.sources.values import LONGEST_TEXT

PLAIN, HTML, ALTERNATIVE = "text/plain", "text/html", "multipart/alternative"
READ_AS_PLAIN = frozenset({PLAIN, "text/markdown", "text/x-markdown", "text"})
CALENDARS = frozenset({"text/calendar", "application/ics"})

UNCOUNTED = READ_AS_PLAIN | {HTML, "text/calendar", "text/x-amp-html", "text/watch-html", "message/rfc822"}
"""Types that are no file without a name: what they hold is in the text, or the text says the same."""

DEEPEST_CHOICE = 15  # levels at which alternatives are chosen from: each is compared with all that is in it
BLANK = 200  # bytes of a text that may be white space
COMPARED = 5_000  # words of each alternative
SHORT = 60  # words; a longer plain part is only compared where the HTML is much longer
MUCH_MORE = 3  # times the words
_ADDRESS = re.compile(r"(?:https?://|mailto:)\S+|<[^<>\s]*>")
_WORD = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\\W_]+")
_ABOUT_PROGRAMS = re.compile(
    "html|browser|navigateur|navegador|браузер|przegl[ąa]dar|瀏覽器|浏览器|ブラウザ|브라우저", re.IGNORECASE
)


@dataclass(frozen=True)
class Body:
    """A mail's text, and what is not in it."""

    text: str
    shortened: bool
    attachment_count: int


def body_of(payload: Part, fetched: Mapping[str, str], *, omitted: bool = False) -> Body:
    """Read a mail; `fetched`: contents that Gmail keeps apart, by partId; `omitted`: its text is not wanted."""
    chosen = body_parts(payload)
    reader = _Reader({id(part) for part in chosen}, fetched)
    text = "" if omitted else reader.text_of(payload, DEEPEST_CHOICE).strip()
    if not text and not omitted and (text := _joined(map(reader.invitation, _invitations(payload)))):
        chosen += _invitations(payload)
    more = next(islice(leaves_of(payload), MOST_PARTS, None), None) is not None
    shortened = reader.shortened or more or len(text) > LONGEST_TEXT
    return Body(text[:LONGEST_TEXT], shortened, _attachments(payload, chosen))


def kept_apart(payload: Part) -> list[Part]:
    """Find the body's parts that Gmail keeps behind an attachmentId."""
    texts = body_parts(payload)
    if all(_size(part) <= BLANK for part in texts):
        texts += _invitations(payload)
    return [part for part in texts if attachment_id_of(part)]


def body_parts(payload: Part) -> list[Part]:
    """Find the parts that are read: text that is shown, else text in a named part."""
    texts = [part for part in islice(leaves_of(payload), MOST_PARTS) if _is_text(part)]
    shown = [part for part in texts if not part.get("filename") or _disposition(part) == "inline"]
    if any(map(_size, shown)):
        return shown
    return [part for part in texts if _disposition(part) != "attachment" or part is payload]


def _invitations(payload: Part) -> list[Part]:
    return [part for part in islice(leaves_of(payload), MOST_PARTS) if mime_type(part) in CALENDARS]


def _attachments(payload: Part, chosen: list[Part]) -> int:
    """Count what a reader does not see in the text: files, and whatever else is no text."""
    seen = {id(part) for part in chosen}
    return sum(
        bool(part.get("filename"))
        or not (mime_type(part) in UNCOUNTED or mime_type(part).startswith("multipart/"))
        for part in leaves_of(payload)
        if id(part) not in seen
    )


def _is_text(part: Part) -> bool:
    return not part.get("parts") and (mime_type(part) in READ_AS_PLAIN or mime_type(part) == HTML)


def _size(part: Part) -> int:
    """Return about how many bytes a part holds; one that is kept apart holds some."""
    body = part.get("body") or {}
    size = body.get("size")
    return size if isinstance(size, int) and size > 0 else len(body.get("data") or body.get("attachmentId") or "")


def _disposition(part: Part) -> str:
    return header_of(part, "content-disposition").partition(";")[0].strip().lower()


class _Reader:
    """Reads the chosen parts of one mail."""

    def __init__(self, chosen: set[int], fetched: Mapping[str, str]) -> None:
        self.chosen, self.fetched = chosen, fetched
        self.shortened = False

    def text_of(self, part: Part, levels: int) -> str:
        """Read a part and what is in it. Deeper than so many levels everything is read in order."""
        inner = part.get("parts") or ()
        if not inner:
            return self._read(part) if id(part) in self.chosen else ""
        if not levels:
            return _joined(self._read(leaf) for leaf in leaves_of(part) if id(leaf) in self.chosen)
        if mime_type(part) == ALTERNATIVE:
            return self._chosen_of(inner, levels)
        return _joined(self.text_of(one, levels - 1) for one in inner)

    def _chosen_of(self, alternatives: Sequence[Part], levels: int) -> str:
        """Of alternatives take the plain one, unless the richest says something else."""
        plain = next(
            (text for one in alternatives if mime_type(one) == PLAIN and (text := self.text_of(one, 0)).strip()),
            "",
        )
        for rich in reversed([one for one in alternatives if mime_type(one) != PLAIN]):
            if plain and not self._may_say_more(plain, rich):
                return plain
            if (text := self.text_of(rich, levels - 1)).strip():
                return text if not plain or _is_stub(plain, text) else plain
        return plain

    def _may_say_more(self, plain: str, rich: Part) -> bool:
        """Tell without turning HTML into text, which is slow, whether a plain part may be a stub.

        Without its tags HTML holds all words of its text, and more.
        """
        leaves = [leaf for leaf in leaves_of(rich) if id(leaf) in self.chosen]
        if sum(map(_size, leaves)) < MUCH_MORE * len(plain) and len(plain.split(maxsplit=SHORT)) >= SHORT:
            return False
        return _is_stub(plain, without_tags("".join(map(self._source, leaves))))

    def invitation(self, part: Part) -> str:
        return text_of_calendar(self._source(part))

    def _read(self, part: Part) -> str:
        if mime_type(part) != HTML:
            return self._source(part).replace("\r\n", "\n")
        converted = text_of_html(self._source(part))
        self.shortened |= converted.shortened
        return converted.text

    def _source(self, part: Part) -> str:
        content = contents_of(part, self.fetched)
        if not content:
            return ""
        label = CHARSET.search(header_of(part, "content-type"))
        if label is None and mime_type(part) == HTML:
            return text_of_bytes(content, label_in_html(content))
        return text_of_bytes(content, label[1] if label else None)


def _joined(texts: Iterable[str]) -> str:
    return "\n\n".join(stripped for text in texts if (stripped := text.strip()))


def _is_stub(plain: str, html: str) -> bool:
    """Whether a plain part is not what the HTML says.

    It says the same where most of its words are in the HTML, and the HTML does not say much more. Where it says
    something else, the one that says more is meant, unless the plain one speaks of programs that show HTML.
    """
    by_plain, by_html = _words(plain), _words(html)
    common = len(by_plain & by_html)
    if 2 * common >= len(by_plain):
        return len(by_html) > MUCH_MORE * common
    return len(by_html) >= len(by_plain) or _ABOUT_PROGRAMS.search(plain) is not None


def _words(text: str) -> set[str]:
    """Return the words of a text, of Chinese, Japanese and Korean the characters, without addresses."""
    found = _WORD.finditer(_ADDRESS.sub(" ", text))
    return {match[0].lower() for match in islice(found, COMPARED)}
