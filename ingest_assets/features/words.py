"""The words of a text as a reader compares them, and where each stands in the text.

normalisation   NFKC and case folding, grapheme by grapheme, so that each place in the result is one in the text
ignored         Default_Ignorable_Code_Point (soft hyphen, zero-width space and joiners, direction marks, variation
                selectors) and Arabic's tatweel: nobody sees them, or they only stretch a letter
word            letters and digits with their marks (UAX #29); an apostrophe within it does not end it and does not
                count; a grapheme of a script that is written without spaces is a word of its own
HTML            an entity is the character that it stands for; some vendors escape what was said, some do it twice
"""

from collections.abc import Iterator
from functools import lru_cache
from html import unescape
from typing import NamedTuple
from unicodedata import normalize

import regex

APOSTROPHES = frozenset(
    "'`"
    "\u00b4\u02b9\u02bb\u02bc\u02bd\u02c8\u02ca\u02cb\u2018\u2019\u201a\u201b\u2032\u2035\u05f3\ua78c\uff07\uff40"
)
APOSTROPHE = "'"
_CHUNK = regex.compile(r"[^\s\p{M}]\S*")  # a mark after white space belongs to no letter
_UNIT = regex.compile(r"&(?:amp;)*(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-zA-Z][a-zA-Z0-9]{1,31});|\X")
_UNSPACED = r"\p{Ideographic}\p{Hiragana}\p{Katakana}\p{Line_Break=SA}"
_RUN = rf"[\p{{L}}\p{{N}}--[{_UNSPACED}]][\p{{L}}\p{{N}}\p{{M}}--[{_UNSPACED}]]*"
_WORD = regex.compile(rf"(?=[\p{{L}}\p{{N}}])[{_UNSPACED}]\p{{M}}*|{_RUN}(?:'{_RUN})*", regex.VERSION1)
_IGNORED = regex.compile(r"[\p{Default_Ignorable_Code_Point}\u0640]+")
_ASCII_WORD = regex.compile(r"[a-z0-9]+(?:['`][a-z0-9]+)*", regex.ASCII)
_WITHOUT_APOSTROPHES = str.maketrans("", "", "'`")
FRACTION_SLASH = "\u2044"
MOST_ESCAPES = 3  # "&amp;amp;quot;": more than that nobody has seen
LONGEST_GRAPHEME = 30  # characters normalised together: Unicode's Stream-Safe Text Format; the sort is quadratic
LONGEST_CACHED, CACHED = 40, 20_000  # characters; the words of conversations are few and repeat


class Word(NamedTuple):
    """A word as it is compared, and its place: whole graphemes of the text."""

    folded: str
    start: int
    end: int


def words(text: str) -> Iterator[Word]:
    """Cut a text into words, in time that grows with its length alone."""
    for match in _CHUNK.finditer(text):
        start, chunk = match.start(), match.group()
        if len(chunk) > LONGEST_CACHED:
            yield from _cut(chunk, start)
            continue
        for word in _cached_cut(chunk):
            yield Word(word.folded, start + word.start, start + word.end)


def folded(text: str) -> str:
    """Return the words of a text as they are compared, each with a space before it."""
    return "".join(
        _cached_join(chunk) if len(chunk) <= LONGEST_CACHED else _join(chunk) for chunk in _CHUNK.findall(text)
    )


def _join(chunk: str) -> str:
    if _is_plain(chunk):
        return "".join([f" {word}" for word in _ASCII_WORD.findall(chunk.lower())]).translate(_WITHOUT_APOSTROPHES)
    return "".join([f" {match.group()}" for match in _WORD.finditer(_normal(chunk)[0])]).replace(APOSTROPHE, "")


def _cut(chunk: str, start: int = 0) -> Iterator[Word]:
    """Cut what stands between two white spaces; `start`: its place in the text."""
    if _is_plain(chunk):
        for match in _ASCII_WORD.finditer(chunk.lower()):
            first, last = match.span()
            yield Word(match.group().translate(_WITHOUT_APOSTROPHES), start + first, start + last)
        return
    normal, places = _normal(chunk)
    for match in _WORD.finditer(normal):
        head, tail = places[match.start()], places[match.end() - 1]
        yield Word(match.group().replace(APOSTROPHE, ""), start + head[0], start + tail[1])


def _is_plain(chunk: str) -> bool:
    return chunk.isascii() and "&" not in chunk


@lru_cache(maxsize=CACHED)
def _cached_cut(chunk: str) -> tuple[Word, ...]:
    return tuple(_cut(chunk))


_cached_join = lru_cache(maxsize=CACHED)(_join)


def _normal(chunk: str) -> tuple[str, list[tuple[int, int]]]:
    """Normalise, and give for each character the place of the grapheme that it comes from."""
    pieces: list[str] = []
    places: list[tuple[int, int]] = []
    for match in _UNIT.finditer(chunk):
        unit = match.group()
        piece = _cached_fold(unit) if len(unit) <= LONGEST_GRAPHEME else _fold(unit)
        pieces.append(piece)
        places += [match.span()] * len(piece)
    return "".join(pieces), places


def _fold(unit: str) -> str:
    if len(unit) > 1 and unit[0] == "&":
        unit = _unescaped(unit)
    if unit in APOSTROPHES:
        return APOSTROPHE
    return "".join(
        _compared(unit[start : start + LONGEST_GRAPHEME]) for start in range(0, len(unit), LONGEST_GRAPHEME)
    )


_cached_fold = lru_cache(maxsize=CACHED)(_fold)


def _compared(unit: str) -> str:
    visible = _IGNORED.sub("", unit)
    folded = normalize("NFKC", normalize("NFKD", visible).casefold())
    return f" {folded}" if FRACTION_SLASH in folded else folded  # 1½ is not 11/2


def _unescaped(entity: str) -> str:
    for _ in range(MOST_ESCAPES):
        plain = unescape(entity)
        if plain == entity:
            break
        entity = plain
    return entity
