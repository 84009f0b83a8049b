"""Card numbers: a network's prefix at a length that it issues, and the check digit.

A number stands in one group of digits, or in groups with a space or dash between them, beside which further digits
may stand (an expiry date, a security code). So each sequence of groups is tried, and all of them together.
"""

import re
from collections.abc import Iterator
from functools import cache

CARD = "[card number]"
SHORTEST, LONGEST = 13, 19  # digits
SHORTEST_GROUP = 3  # digits; a number that is spelled in smaller ones has to stand alone
GAP = "[ \u00a0\u202f\u2010\u2011\u00ad\u200b\u200c\u200d\u2060\ufeff-]"
"""Spaces, dashes, and what is not seen at all."""
_RUN = re.compile(f"[0-9]+(?:{GAP}[0-9]+)*", re.ASCII)
_GROUP = re.compile("[0-9]+", re.ASCII)
_DOUBLED = str.maketrans("0123456789", "0246813579")
"""Twice a digit, and of that the sum of its digits."""
NETWORKS: tuple[tuple[int, int, frozenset[int]], ...] = (
    # first and last prefix of a range, of the same length; the lengths that are issued
    (4, 4, frozenset({13, 16, 19})),  # Visa
    (51, 55, frozenset({16})),  # Mastercard
    (2221, 2720, frozenset({16})),
    (34, 34, frozenset({15})),  # American Express
    (37, 37, frozenset({15})),
    (6011, 6011, frozenset(range(16, 20))),  # Discover
    (644, 649, frozenset(range(16, 20))),
    (65, 65, frozenset(range(16, 20))),
    (62, 62, frozenset(range(16, 20))),  # UnionPay
    (3528, 3589, frozenset(range(16, 20))),  # JCB
    (300, 305, frozenset(range(14, 20))),  # Diners Club
    (36, 36, frozenset(range(14, 20))),
    (38, 39, frozenset(range(14, 20))),
)

Span = tuple[int, int]


def replaced(text: str) -> str:
    """Return a text without card numbers; the same text where there is none."""
    pieces, end = [], 0
    for run in _RUN.finditer(text):
        if run.end() - run.start() < SHORTEST:
            continue
        for start, stop in _cards(text, run.start(), run.end()):
            pieces += [text[end:start], CARD]
            end = stop
    return "".join([*pieces, text[end:]]) if pieces else text


def is_card(digits: str) -> bool:
    """Tell whether digits are a card's number."""
    return len(digits) in issued(digits[:4]) and _checks(digits)


@cache
def issued(prefix: str) -> frozenset[int]:
    """Return the lengths of the cards whose numbers begin with four digits."""
    found = [lengths for first, last, lengths in NETWORKS if first <= int(prefix[: len(str(first))]) <= last]
    return frozenset().union(*found)


def _checks(digits: str) -> bool:
    total = sum(map(int, digits[-1::-2])) + sum(map(int, digits[-2::-2].translate(_DOUBLED)))
    return total % 10 == 0


def _cards(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield where cards stand in a run of groups, none overlapping another."""
    groups = [match.span() for match in _GROUP.finditer(text, start, end)]
    if not _is_edge(text, start - 1, -1):
        groups = groups[1:]
    if groups and not _is_edge(text, end, 1):
        groups = groups[:-1]
    if not groups:
        return
    place, found = 0, False
    while place < len(groups):
        if (last := _card_from(text, groups, place)) is None:
            place += 1
            continue
        yield groups[place][0], groups[last][1]
        place, found = last + 1, True
    if not found and end - start < 2 * LONGEST and is_card("".join(text[a:b] for a, b in groups)):
        yield groups[0][0], groups[-1][1]


def _card_from(text: str, groups: list[Span], first: int) -> int | None:
    """Return the group with which a card ends that begins with a group."""
    digits = ""
    for place in range(first, len(groups)):
        start, end = groups[place]
        if not SHORTEST_GROUP <= end - start <= LONGEST - len(digits):
            return None
        digits += text[start:end]
        if len(digits) >= 4 and not issued(digits[:4]):
            return None
        if len(digits) >= SHORTEST and is_card(digits):
            return place
    return None


def _is_edge(text: str, place: int, step: int) -> bool:
    """Tell whether a run may begin or end beside a character: no word, phone number or fraction goes on there."""
    if not 0 <= place < len(text):
        return True
    beside = text[place]
    if beside == ".":
        return not (0 <= place + step < len(text) and text[place + step].isdigit())
    return not beside.isalnum() and beside not in "_+@"
