"""Which values of an item are a person's: each class of records says so in a table.

owner       columns that say whose the whole item is; such an item keeps its place and loses its contents
entries     objects within an item that are a person's: a party of a call, a turn, a comment
everywhere  addresses, ids of `ids`' form and full names in any text
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from ingest_assets.sources.addresses import addresses_in, knows, name_before, name_key
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.people import cleaned, cleaner
from ingest_assets.storage.suppressed import People


@dataclass(frozen=True)
class Entries:
    """An object, or those of a list, that may be a person's."""

    path: str
    """Where they stand in `raw`, fields with dots between."""
    known_by: tuple[str, ...] = ()
    """Fields with an address or an id of the person."""
    called: tuple[str, ...] = ()
    """Fields by which other entries of the same item name the same person."""


@dataclass(frozen=True)
class Personal:
    """What of a record is a person's."""

    owner: tuple[str, ...] = ()
    keeps: frozenset[str] = frozenset()
    """Fields of `raw` that stay of an item which is a person's as a whole."""
    clears: tuple[str, ...] = ()
    """Columns that do not stay of it."""
    also_called: tuple[str, ...] = ()
    """Columns of it by which other items name the same person."""
    named_in: tuple[str, ...] = ()
    """Columns that hold names beside addresses."""
    entries: tuple[Entries, ...] = ()
    ids: re.Pattern[str] | None = None
    """What ids of people look like in texts; group 1 is the id."""

    def owned(self, record: object, people: People) -> bool:
        """Tell whether a record is an erased person's as a whole."""
        return any(knows(people, getattr(record, column)) for column in self.owner)

    def may_hold(self, json: str, people: People) -> bool:
        """Tell at little cost, by an item's JSON as one text, whether an erased person may be in it.

        True where entries are told by more than addresses and ids of a known form.
        """
        if self.entries and self.ids is None:
            return True
        if self.ids is not None and any(people.includes(found[1]) for found in self.ids.finditer(json)):
            return True
        plain = json.replace("\\n", " ").replace("\\r", " ").replace("\\t", " ") if "\\" in json else json
        return any(map(people.includes, addresses_in(plain)))

    def names(self, record: object, people: People) -> set[str]:
        """Return what the columns of addresses call the erased people in them."""
        values = [getattr(record, column) for column in self.named_in]
        texts = [text for value in values for text in (value if isinstance(value, list) else [value])]
        return {name for text in texts if isinstance(text, str) and (name := name_before(text, people))}

    def kept(self, raw: Json, people: People) -> Json:
        """Return what stays of an erased person's item."""
        made: Json = cleaned({key: raw[key] for key in raw if key in self.keeps}, cleaner(people, self.ids, ()))
        return made

    def taken_out(self, raw: Json, people: People, names: Collection[str]) -> Json:
        """Return an item without erased people; the same object where there are none in it."""
        called = self._called(raw, people) | set(names)
        made = raw
        for kind in self.entries:
            made = _filtered(made, kind.path.split("."), kind, people, called)
        result: Json = cleaned(made, cleaner(people, self.ids, called))
        return result

    def _called(self, raw: Json, people: People) -> set[str]:
        """Return what erased people are called in an item and nobody else in it is."""
        theirs: set[str] = set()
        others: set[str] = set()
        for kind in self.entries:
            for entry in _at(raw, kind.path.split(".")):
                given = _values(entry, kind.called)
                if _is_known(entry, kind, people):
                    theirs |= given
                elif _values(entry, kind.known_by):
                    others |= given
        return theirs - others


def _is_known(entry: Json, kind: Entries, people: People) -> bool:
    """Tell whether an entry is an erased person's, by itself; by a name only where it says nothing else."""
    given = _values(entry, kind.known_by)
    if given:
        return any(knows(people, value) for value in given)
    return any(people.includes(name_key(name)) for name in _values(entry, kind.called))


def _filtered(value: Any, path: list[str], kind: Entries, people: People, called: set[str]) -> Any:
    """Return an object without the entries at a path of it that are an erased person's."""
    name, *rest = path
    inner = value.get(name) if isinstance(value, dict) else None
    if inner is None:
        return value
    if rest:
        made = _filtered(inner, rest, kind, people, called)
        return value if made is inner else {**value, name: made}

    def gone(entry: object) -> bool:
        if not isinstance(entry, dict):
            return False
        by_name = not _values(entry, kind.known_by) and not called.isdisjoint(_values(entry, kind.called))
        return by_name or _is_known(entry, kind, people)

    if isinstance(inner, list):
        left = [entry for entry in inner if not gone(entry)]
        return value if len(left) == len(inner) else {**value, name: left}
    return {key: item for key, item in value.items() if key != name} if gone(inner) else value


def _at(value: Any, path: list[str]) -> Iterator[Json]:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    yield from (entry for entry in (value if isinstance(value, list) else [value]) if isinstance(entry, dict))


def _values(entry: Any, fields: Collection[str]) -> set[str]:
    """Return the texts at some fields."""
    found = set()
    for field in fields:
        value = entry
        for name in field.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, str) and value:
            found.add(value)
    return found
