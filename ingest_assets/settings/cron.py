"""Cron expressions, checked when settings are read: Dagster checks them where a whole code location breaks.

Five fields (minute, hour, day of month, month, weekday) of lists, ranges, steps and English names, or a macro.
Everything that is accepted here Dagster accepts, too.
"""

import re

MACROS = frozenset({"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@annually", "@yearly"})
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
FIELDS: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, MONTHS),
    (0, 7, WEEKDAYS),  # 0 and 7 are Sunday
)
DAY, MONTH = 2, 3
LONGEST = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
"""Days of the months that have fewer than 31."""
ITEM = re.compile(r"(?:(?P<all>\*)|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>[0-9]{1,2}))?", re.ASCII)


def is_cron(expression: str) -> bool:
    """Tell whether an expression can be understood and has a day on which it is due."""
    if expression in MACROS:
        return True
    parts = expression.split()
    if len(parts) != len(FIELDS):
        return False
    found = [_values(part, *field) for part, field in zip(parts, FIELDS, strict=True)]
    return all(found) and any(min(found[DAY]) <= LONGEST.get(month, 31) for month in found[MONTH])


def _values(part: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    """Return the values that a field stands for; none when one of its items cannot be understood."""
    found: set[int] = set()
    for item in part.split(","):
        some = _item(item, low, high, names)
        if not some:
            return set()
        found |= some
    return found


def _item(item: str, low: int, high: int, names: tuple[str, ...]) -> set[int]:
    match = ITEM.fullmatch(item)
    if match is None:
        return set()
    step = int(match["step"] or 1)
    if match["all"]:
        first, last = low, high
    else:
        first = _number(match["first"], low, names)
        if match["step"] and not match["last"]:
            return set()  # 5/15 means one thing to some and another to others
        last = _number(match["last"], low, names) if match["last"] else first
    if not low <= first <= last <= high or not 1 <= step <= high:
        return set()
    return set(range(first, last + 1, step))


def _number(word: str, low: int, names: tuple[str, ...]) -> int:
    """Return the number of a word, or one that is out of every range."""
    if word.lower() in names:
        return names.index(word.lower()) + low
    return int(word) if re.fullmatch(r"[0-9]{1,2}", word) else -1
