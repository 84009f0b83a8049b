"""Items that were not parsed: nobody can tell what of one is whose, so one that holds a person is withheld."""

import binascii
from collections.abc import Iterator

from pybase64 import urlsafe_b64decode

from ingest_assets.sources.addresses import addresses_in
from ingest_assets.sources.record import Record
from ingest_assets.storage.suppressed import People

WITHHELD = {"withheld": "an erased person is in this item"}
SHORTEST_CONTENT = 16  # characters of what may be encoded


def holds(record: type[Record], payload: object, people: People, *, encoded: bool = True) -> bool:
    """Tell whether an erased person is anywhere in an item that was not parsed, in `encoded` contents, too."""
    ids = record.personal.ids
    return any(
        people.includes(text)
        or any(map(people.includes, addresses_in(text)))
        or (ids is not None and any(people.includes(found[1]) for found in ids.finditer(text)))
        for text in _texts(payload, encoded=encoded)
    )


def _texts(value: object, *, encoded: bool) -> Iterator[str]:
    waiting = [value]
    while waiting:
        match waiting.pop():
            case dict() as mapping:
                waiting += mapping.values()
            case list() as items:
                waiting += items
            case str() as text:
                yield text
                if (
                    encoded
                    and len(text) >= SHORTEST_CONTENT
                    and not any(map(str.isspace, text[:SHORTEST_CONTENT]))
                ):
                    yield from _decoded(text)


def _decoded(text: str) -> Iterator[str]:
    plain = text.replace("+", "-").replace("/", "_").rstrip("=")
    try:
        yield urlsafe_b64decode(plain + "=" * (-len(plain) % 4)).decode(errors="replace")
    except (binascii.Error, ValueError):
        return
