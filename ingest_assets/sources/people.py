"""How a text, and any JSON value, loses erased people."""

import re
from collections.abc import Callable, Collection
from typing import Any

from ingest_assets.sources.addresses import ANGLE, bare_addresses, readings
from ingest_assets.storage.suppressed import People

ERASED = "[erased]"
ERASED_ID = "UERASED"  # has the form of Slack's ids of users, so that markup around it stays markup
LONGEST_NAME = 100  # characters before an address in angle brackets
BEFORE_NAME = ",;:\n<>("


def cleaner(people: People, ids: re.Pattern[str] | None, names: Collection[str]) -> Callable[[str], str]:
    """Return what takes erased people's addresses, ids and names out of a text.

    Of names only those of several words: "Will" and "May" are words of any text.
    """
    whole = sorted((name for name in names if len(name.split()) > 1), key=len, reverse=True)
    words = [r"\s+".join(map(re.escape, name.split())) for name in whole]
    named = re.compile(rf"(?<!\w)(?:{'|'.join(words)})(?!\w)", re.IGNORECASE) if words else None

    def clean(text: str) -> str:
        if "@" in text or "%40" in text:
            text = _without_bare(_without_mailboxes(text, people), people)
        if ids is not None:
            text = ids.sub(lambda found: ERASED_ID if people.includes(found[1]) else found[0], text)
        return text if named is None else named.sub(ERASED, text)

    return clean


def _without_bare(text: str, people: People) -> str:
    kept, after = [], 0
    for start, end in bare_addresses(text):
        if any(map(people.includes, readings(text[start:end]))):
            kept += [text[after:start], ERASED]
            after = end
    return "".join([*kept, text[after:]]) if kept else text


def _without_mailboxes(text: str, people: People) -> str:
    """Replace `Ada Lovelace <ada@x.example>` with the name in it."""
    kept, end = [], 0
    for found in ANGLE.finditer(text):
        if people.includes(found[1]):
            before = text[max(end, found.start() - LONGEST_NAME) : found.start()]
            kept += [text[end : found.start() - len(before)], before[: _name_start(before)], ERASED]
            end = found.end()
    return "".join([*kept, text[end:]]) if kept else text


def _name_start(before: str) -> int:
    """Return where the name begins that ends a text."""
    name = before.rstrip()
    if name.endswith('"') and (start := name.rfind('"', 0, len(name) - 1)) >= 0:
        return start
    start = max(name.rfind(mark) for mark in BEFORE_NAME) + 1
    return start + len(name[start:]) - len(name[start:].lstrip())


def cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    """Return a JSON value with every text cleaned; the same object where nothing changes."""
    if isinstance(value, str):
        text = clean(value)
        return value if text == value else text
    if isinstance(value, dict):
        made: Any = {key: cleaned(item, clean) for key, item in value.items()}
        return value if all(made[key] is item for key, item in value.items()) else made
    if isinstance(value, list):
        made = [cleaned(item, clean) for item in value]
        return value if all(map(lambda one, other: one is other, made, value)) else made
    return value
