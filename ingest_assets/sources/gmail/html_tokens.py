"""Split HTML into its tags and the text between them, in one pass and without a tree.

Anybody may send HTML, so the time is linear in its length whatever it holds: nothing is searched to the end twice,
and no pattern has two ways to match. Where HTML's standard would hide all the rest of a mail (after a comment, a
style or a quotation mark that never ends), the rest is kept.
"""

import re
from collections.abc import Iterator
from html import unescape
from itertools import islice
from typing import NamedTuple

MOST_ATTRIBUTES = 100  # a tag; nobody writes more, and what follows is not looked at
UNSEEN = frozenset({"script", "style", "title", "iframe", "noembed", "noframes"})
"""Elements whose contents are no markup and are never shown."""

_TAG = re.compile(r"""<(/?)([a-zA-Z][\w:.-]*)(?=[\s/>])((?:[^=>]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+)>""")
_NAME = re.compile(r"<(/?)([a-zA-Z][\w:.-]*)(?=[\s/>])")
_ATTRIBUTE = re.compile(r"""([^\s=/"'>][^\s=/>]*)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>][^\s>]*)))?""")
_COMMENT_END = re.compile(r"--!?>")
_UNSEEN_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in UNSEEN}
_LONG_NUMBER = re.compile(r"&#(?:[xX][0-9a-fA-F]{20,}|[0-9]{20,});?")
_LOOSE_TAG = re.compile(r"<[a-zA-Z/!?][^<>]*>")


class Token(NamedTuple):
    """A tag and the text before it; the last token has no name."""

    text: str
    name: str
    is_end: bool
    attributes: str
    end: int
    """Where the tag ends."""


def tokens(html: str) -> Iterator[Token]:
    """Yield all tags of a document, each with the text before it."""
    scanner = _Scanner(html)
    start = position = 0
    while (position := html.find("<", position, scanner.last)) != -1:
        after, name, is_end, attributes = scanner.markup(position)
        if after == position:  # a "<" that means itself
            position += 1
            continue
        yield Token(html[start:position], name, is_end, attributes, after)
        start = position = after
    yield Token(html[start:], "", False, "", len(html))


def attributes_of(text: str) -> dict[str, str]:
    """Parse a tag's attributes by lower-case name; of a repeated one the first."""
    found: dict[str, str] = {}
    for match in islice(_ATTRIBUTE.finditer(text), MOST_ATTRIBUTES):
        name, *values = match.groups()
        found.setdefault(name.lower(), unescaped(next((value for value in values if value is not None), "")))
    return found


def unescaped(text: str) -> str:
    """Replace character references. A number that no character has becomes U+FFFD; Python raises for long ones."""
    if "&" not in text:
        return text
    return unescape(_LONG_NUMBER.sub("\ufffd", text) if "&#" in text else text)


def without_tags(html: str) -> str:
    """Replace each tag by a space, without looking at what it means."""
    return unescaped(_LOOSE_TAG.sub(" ", html))


class _Scanner:
    """What is known about the rest of a document, so that it is not searched again."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.last = html.rfind(">") + 1
        self.quotes_end = True
        self.absent: set[str] = set()
        """What does not occur from here on."""

    def markup(self, position: int) -> tuple[int, str, bool, str]:
        """Read the markup at a "<": where it ends, its name or "", whether it is an end tag, its attributes.

        Where it is no markup, its end is its beginning.
        """
        following = self.html[position + 1 : position + 2]
        if following in ("!", "?"):
            return self._declaration(position), "", False, ""
        match = _TAG.match(self.html, position) if self.quotes_end else None
        if match is not None:
            end_mark, name, attributes = match.groups()
            end = match.end()
        elif (begin := _NAME.match(self.html, position)) is not None:
            # a quotation that ends nowhere: from here on a tag ends at the first ">"
            self.quotes_end = False
            end_mark, name = begin.groups()
            end = self.html.find(">", position) + 1
            attributes = self.html[begin.end() : end - 1]
        else:
            return position, "", False, ""
        name = name.lower()
        if not end_mark and name in UNSEEN and not attributes.endswith("/"):
            end = self._unseen(name, end)
        return end, name, bool(end_mark), attributes

    def _declaration(self, position: int) -> int:
        """Find the end of a comment, a CDATA section, a document type or a processing instruction."""
        html = self.html
        if html.startswith("<!--", position):
            if html.startswith((">", "->"), position + 4):  # an empty comment, the short way
                return html.index(">", position) + 1
            if "-->" not in self.absent:
                if match := _COMMENT_END.search(html, position + 4):
                    return match.end()
                self.absent.add("-->")
        elif html.startswith("<![CDATA[", position) and "]]>" not in self.absent:
            if (end := html.find("]]>", position)) != -1:
                return end + len("]]>")
            self.absent.add("]]>")
        return html.find(">", position) + 1

    def _unseen(self, name: str, position: int) -> int:
        """Find the end of what is never shown; where its end tag is missing, the next tag."""
        if name not in self.absent:
            if match := _UNSEEN_END[name].search(self.html, position):
                return match.start()
            self.absent.add(name)
        following = self.html.find("<", position)
        return len(self.html) if following == -1 else following
