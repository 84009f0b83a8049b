"""From HTML to the text that a reader sees, whoever wrote it.

Time, memory and output are bounded by a constant times the input. A converter that builds a tree cannot promise
that: parsers stop at 255 levels or copy open elements into each paragraph, tables and indentation are drawn with
spaces. Where a bound is hit, the text is kept without its layout, and `shortened` says so.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from ingest_assets.sources.gmail.html_tokens import attributes_of, tokens, unescaped, without_tags
from ingest_assets.sources.gmail.layout import BLANK_LINE, Layout

LONGEST = 20_000_000  # characters; with its pictures inside, a mail may have 10 million
MOST_TAGS = 100_000  # 0.2 s; the longest newsletters have 10,000
GROWTH, ALLOWANCE = 2, 1_000  # an output is at most twice as long as its input and 1,000 characters
LONGEST_ADDRESS = 250  # characters; longer ones serve to recognise a reader, and only their host is shown
LONGEST_LABEL = 10_000  # characters of a link's text that are searched for its address

VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr")
)
BLOCKS = frozenset(
    (
        *("address", "article", "aside", "body", "center", "dd", "details", "dir", "div"),
        *("dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "html"),
        *("legend", "main", "menu", "nav", "option", "section", "select", "summary", "table"),
        *("tbody", "caption", "tfoot", "thead"),
    )
)
PARAGRAPHS = frozenset(("h1", "h2", "h3", "h4", "h5", "h6", "p"))
_HIDING_STYLE = re.compile(r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*hidden)\b", re.IGNORECASE)
_NO_BORDER = re.compile(r"(?:^|[;\s])border\s*:\s*(?:none|0)\b", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:mailto:|tel:|https?://[^\s/?#]+)[^\s<>]*", re.IGNORECASE)
_HOST = re.compile(r"https?://[^/?#]+", re.IGNORECASE)
_BARE = re.compile(r"^(?:mailto:|tel:|https?://)?(?:www\.)?|/$", re.IGNORECASE)
RULE = "* * *"
WIDTHLESS = "\u034f\u00ad\u200b\u2060\ufeff"
"""Characters without width, with which newsletters fill up a preview; \\u200c means something alone."""
_FILLER = re.compile(f"(?:[{WIDTHLESS}\u200c] ?){{2,}}|[{WIDTHLESS}]")


class Converted(NamedTuple):
    """Text, and whether a bound took a part of it or its layout away."""

    text: str
    shortened: bool


def text_of_html(html: str) -> Converted:
    """Convert a document; see the module for what is promised."""
    shortened = len(html) > LONGEST
    html = html[:LONGEST].replace("\0", "")
    reader = _Reader()
    rest = reader.read(html)
    text = str(reader.layout)
    if len(text) > GROWTH * len(html) + ALLOWANCE:
        text, rest, shortened = "", html, True
    if rest:
        text = f"{text}\n{' '.join(without_tags(rest).split())}"
        shortened = True
    return Converted(_without_filler(text).strip(), shortened)


def _without_filler(text: str) -> str:
    if text.isascii() or not any(character in text for character in f"{WIDTHLESS}\u200c"):
        return text
    return _FILLER.sub("", text)


class _Reader:
    """Turns tags into layout."""

    def __init__(self) -> None:
        self.layout = Layout()
        self.quotations: list[bool] = []
        """Of each open blockquote, whether it quotes; others only indent."""
        self.address = ""
        self.label_begins = 0
        self.hidden_name = ""
        self.hidden_depth = 0
        self.hidden_from = self.layout.mark()

    def read(self, html: str) -> str:
        """Read a document as far as its number of tags allows; return the rest."""
        layout = self.layout
        for number, (text, name, is_end, attributes, end) in enumerate(tokens(html)):
            if text:
                (layout.lines if layout.preformatted else layout.words)(unescaped(text))
            if number == MOST_TAGS:
                return html[end:]
            if self.hidden_name:
                self._hide_on(name, is_end)
            elif attributes and not is_end and name not in VOID and _hides(attributes):
                self.hidden_name, self.hidden_depth, self.hidden_from = name, 1, layout.mark()
            if action := ACTIONS.get(name):
                action(self, is_end, attributes)
        self._end_link()
        return ""

    def _hide_on(self, name: str, is_end: bool) -> None:
        """Take a hidden element's text back at its end; one that never ends is shown."""
        if name == self.hidden_name:
            self.hidden_depth += -1 if is_end else 1
            if not self.hidden_depth:
                self.layout.back_to(self.hidden_from)
                self.hidden_name = ""

    def _line_break(self, _is_end: bool, _attributes: str) -> None:
        self.layout.line_break()

    def _block(self, _is_end: bool, _attributes: str) -> None:
        self.layout.block()

    def _paragraph(self, _is_end: bool, _attributes: str) -> None:
        self.layout.block(BLANK_LINE)

    def _rule(self, _is_end: bool, _attributes: str) -> None:
        self.layout.block()
        self.layout.words(RULE)
        self.layout.block()

    def _preformatted(self, is_end: bool, _attributes: str) -> None:
        self.layout.block(BLANK_LINE)
        self.layout.preformatted = max(0, self.layout.preformatted + (-1 if is_end else 1))

    def _quotation(self, is_end: bool, attributes: str) -> None:
        self.layout.block()
        if not is_end:
            self.quotations.append(not _NO_BORDER.search(attributes_of(attributes).get("style", "")))
            self.layout.quotes += self.quotations[-1]
        elif self.quotations:
            self.layout.quotes -= self.quotations.pop()

    def _bullets(self, is_end: bool, _attributes: str) -> None:
        self._list(is_end, -1)

    def _numbers(self, is_end: bool, _attributes: str) -> None:
        self._list(is_end, 0)

    def _list(self, is_end: bool, last_item: int) -> None:
        lists = self.layout.lists
        self.layout.block(1 if len(lists) > is_end else BLANK_LINE)
        if not is_end:
            lists.append(last_item)
        elif lists:
            lists.pop()

    def _item(self, is_end: bool, _attributes: str) -> None:
        if is_end:
            self.layout.block()
        else:
            self.layout.item()

    def _row(self, is_end: bool, _attributes: str) -> None:
        if is_end:
            self.layout.cell_end()
        self.layout.row()

    def _cell(self, is_end: bool, _attributes: str) -> None:
        if is_end:
            self.layout.cell_end()
        else:
            self.layout.cell()

    def _image(self, _is_end: bool, attributes: str) -> None:
        if "alt" in attributes.lower() and (said := attributes_of(attributes).get("alt")):
            self.layout.words(f" {said} ")

    def _link(self, is_end: bool, attributes: str) -> None:
        self._end_link()
        if not is_end and "href" in attributes.lower():
            self.address = attributes_of(attributes).get("href", "").strip()
            self.label_begins = len(self.layout.pieces)

    def _end_link(self) -> None:
        """Write a link's address, unless its text says it or it has none."""
        address, self.address = self.address, ""
        if not address or not _ADDRESS.fullmatch(address):
            return
        label = "".join(self.layout.pieces[self.label_begins :])[:LONGEST_LABEL].lower()
        if label.strip() and _BARE.sub("", _short(address)).lower() not in label:
            self.layout.pieces.append(f" <{_short(address)}>")


def _short(address: str) -> str:
    """Return an address as people write it: of a mail's only the mailbox, of a very long one the host."""
    if address[:7].lower() == "mailto:":
        address = address[7:].partition("?")[0]
    if len(address) <= LONGEST_ADDRESS:
        return address
    host = _HOST.match(address)
    return f"{host[0]}/..." if host and len(host[0]) <= LONGEST_ADDRESS else "..."


def _hides(attributes: str) -> bool:
    lower = attributes.lower()
    if "none" not in lower and "hidden" not in lower:
        return False
    found = attributes_of(lower)
    return "hidden" in found or _HIDING_STYLE.search(found.get("style", "")) is not None


Action = Callable[[_Reader, bool, str], None]
ACTIONS: dict[str, Action] = (
    dict.fromkeys(BLOCKS, _Reader._block)
    | dict.fromkeys(PARAGRAPHS, _Reader._paragraph)
    | {
        "a": _Reader._link,
        "blockquote": _Reader._quotation,
        "br": _Reader._line_break,
        "hr": _Reader._rule,
        "img": _Reader._image,
        "li": _Reader._item,
        "ol": _Reader._numbers,
        "pre": _Reader._preformatted,
        "td": _Reader._cell,
        "th": _Reader._cell,
        "tr": _Reader._row,
        "ul": _Reader._bullets,
    }
)
