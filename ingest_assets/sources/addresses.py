"""Mail addresses in any text, and whether they are an erased person's.

An address counts however it is written (letter case, `mailto:`, `%40`), and exactly: ada+news@x.example is another
one. Every look around an @ is bounded: anybody may write the text that is searched.
"""

import re
from collections.abc import Iterator

from ingest_assets.storage.suppressed import People

LONGEST_LOCAL = 64  # characters before the @ (RFC 5321)
DOMAIN = re.compile(
    r"(?:@|%40)[a-z0-9\u0080-\uffff-]{1,63}+(?:\.[a-z0-9\u0080-\uffff-]{1,63}+){1,20}", re.IGNORECASE
)
ANGLE = re.compile(r"<([^<>\s@]+@[^<>\s@]+)>")
AROUND = "_'.&~+-"  # what may stand before an address and looks like a part of it


def addresses_in(text: str) -> Iterator[str]:
    """Yield what may be an address in a text, message ids of mail included."""
    if "@" not in text and "%40" not in text:
        return
    yield from (found[1] for found in ANGLE.finditer(text))
    for start, end in bare_addresses(text):
        yield from readings(text[start:end])


def bare_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Yield where what may be an address stands by itself, with what may stand before it."""
    for found in DOMAIN.finditer(text):
        start = end = found.start()
        while start > max(0, end - LONGEST_LOCAL) and (text[start - 1].isalnum() or text[start - 1] in AROUND):
            start -= 1
        if start < end:
            yield start, found.end()


def readings(found: str) -> Iterator[str]:
    """Yield the addresses that it may be."""
    address = found.replace("%40", "@")
    yield address
    if address[0] in AROUND:
        yield address.lstrip(AROUND)


def knows(people: People, value: object) -> bool:
    """Tell whether a value is an erased person's id, or holds an address of theirs."""
    if isinstance(value, list):
        return any(knows(people, one) for one in value)
    if not isinstance(value, str):
        return False
    if "@" in value or "%40" in value:
        return any(map(people.includes, addresses_in(value)))
    return people.includes(value)


def name_key(name: str) -> str:
    """Return what stands on the list for a name; no id and no address looks so."""
    return f"name {' '.join(name.split()).casefold()}"


def name_before(text: str, people: People) -> str | None:
    """Return the name in `Ada Lovelace <ada@x.example>` where the address is an erased person's."""
    found = ANGLE.search(text)
    if found is None or not people.includes(found[1]):
        return None
    return text[: found.start()].strip().strip('"').strip() or None
