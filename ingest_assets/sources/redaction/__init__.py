"""Replace card numbers, keys and IBANs before they are stored, where INGEST_REDACT says so.

`redacting` holds for the block and for the tasks and threads that it starts. The door of each record (`columns`)
then takes the record's texts and its raw item through the redactor, and so does what is set aside.

Each pattern is found by a scan that is linear in the text, whoever wrote it. Not looked at: ids and moments by the
names of their fields, numbers that JSON holds as numbers, and, for digits, addresses as a whole.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ingest_assets.sources.json_values import Json
from ingest_assets.sources.redaction import cards, iban, keys
from ingest_assets.sources.values import CUT_OFF, DEEPEST

Replace = Callable[[str], str]
"""Returns a text with each find replaced, and the same text where there is none."""

KINDS: Mapping[str, Replace] = {"keys": keys.replaced, "iban": iban.replaced, "cards": cards.replaced}
"""In the order in which they are looked for: an IBAN may hold the digits of a card."""
SHORTEST = 13  # characters: no find is shorter, and most texts in an item are
IN_ADDRESSES = frozenset({"keys"})
IDS, ID_ENDS = frozenset({"id", "ids", "ts"}), ("_id", "_ids", "_ts", "Id", "Ids", "ID")
BODY, ELSEWHERE = "data", "attachmentId"
"""A mail's body as Gmail encodes it, and the field that says that Gmail keeps one apart."""


class Redactor:
    """What is replaced in one run, and in how many items."""

    def __init__(self, kinds: Collection[str]) -> None:
        self._replace = {kind: replace for kind, replace in KINDS.items() if kind in kinds}
        self.counts: Counter[str] = Counter()
        """Items in which something was replaced, by kind, each time that they were read."""

    def record(self, values: Json, texts: Collection[str]) -> None:
        """Replace what is found in the texts and in the raw item of a record."""
        found: set[str] = set()
        for name in ("raw", *texts):
            if (value := values.get(name)) and not names_an_id(name):
                values[name] = self._of(value, found)
        self.counts.update(found)

    def payload(self, payload: object) -> Any:
        """Return an item that is set aside. Bodies of mail are left out: what they encode cannot be looked at."""
        found: set[str] = set()
        cleaned = self._of(payload, found, bodies=False)
        self.counts.update(found)
        return cleaned

    def _of(self, value: Any, found: set[str], levels: int = DEEPEST, *, bodies: bool = True) -> Any:
        """Return the value itself where nothing is found in it."""
        if isinstance(value, str):
            return self._text(value, found)
        if not isinstance(value, dict | list):
            return value
        if levels == 0:
            return CUT_OFF
        changed: dict[Any, Any] = {}
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if isinstance(key, str) and names_an_id(key):
                continue
            if key == BODY and not bodies and isinstance(item, str):
                changed |= {BODY: "", ELSEWHERE: "not kept"}
                continue
            after = self._of(item, found, levels - 1, bodies=bodies)
            if after is not item:
                changed[key] = after
        if not changed:
            return value
        return value | changed if isinstance(value, dict) else [changed.get(n, one) for n, one in enumerate(value)]

    def _text(self, text: str, found: set[str]) -> str:
        if len(text) < SHORTEST:
            return text
        address = text.startswith(("https://", "http://")) and len(text.split(None, 1)) == 1
        for kind, replace in self._replace.items():
            if address and kind not in IN_ADDRESSES:
                continue
            after = replace(text)
            if after is not text:
                found.add(kind)
                text = after
        return text


def names_an_id(field: str) -> bool:
    """Tell whether a field holds an id or a moment, by its name: one that was replaced would join nothing."""
    return field in IDS or field.endswith(ID_ENDS)


current: ContextVar[Redactor | None] = ContextVar("redactor", default=None)


@contextmanager
def redacting(kinds: Collection[str]) -> Iterator[Redactor]:
    """Replace in all records that are made within the block; nothing without kinds."""
    redactor = Redactor(kinds)
    token = current.set(redactor if kinds else None)
    try:
        yield redactor
    finally:
        current.reset(token)
