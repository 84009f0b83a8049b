"""What is understood of an answer's text: the JSON in it, and the findings in the JSON.

Models write around the object (a fence, prose, <think>), leave null keys out, add keys, and write names in other
letter case. All that is understood; what is missing is named, so that a correction can be asked for.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from ingest_assets.features.model import KINDS, Findings, Item
from ingest_assets.sources.json_values import Json, JsonView

MOST_STARTS = 200  # braces from which JSON is looked for; each costs up to the answer's length
_START = re.compile(r'\{(?=\s{0,200}["}])')
_THOUGHT_END = re.compile(r"</\s*(?:think|thinking|thought|reasoning)\s*>", re.IGNORECASE)
_THOUGHT = re.compile(r"\s*<\s*(?:think|thinking|thought|reasoning)\s*>", re.IGNORECASE)
_DECODER = json.JSONDecoder(strict=False)  # line breaks within texts are let through
NOTHING = {"", "-", "n/a", "na", "none", "null", "nil", "not applicable", "not specified", "not mentioned"}
CUSTOMER_SENTIMENT = "customer_sentiment"

NOT_JSON = "the answer is not a JSON object with a list of items"
NO_SUMMARY = "summary: Field required"


def parse(text: str) -> tuple[Findings | None, list[str]]:
    """Read an answer; give what is valid of it, and what is wrong, without any of its text."""
    document = complete(text)
    if document is None:
        return None, [NOT_JSON]
    items: list[Item] = []
    faults: list[str] = []
    for place, given in enumerate(document["items"]):
        try:
            items.append(Item.model_validate(_item(given)))
        except ValidationError as error:
            faults += [
                f"items.{place}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
                for fault in error.errors(include_url=False, include_input=False, include_context=False)
            ]
    summary = _summary(document.get("summary"))
    if summary is None:
        faults.append(NO_SUMMARY)
    return Findings(items=items, summary=summary or ""), faults


def complete(text: str) -> Json | None:
    """Return the last whole object with items; None if there is none, as in an answer that was cut off."""
    found = None
    for document in _objects(_said(text)):
        named = _with_items(document)
        if named is not None and (named["items"] or found is None):  # an empty one may be the example after all
            found = named
    return found


def _said(text: str) -> str:
    """Leave out what the model thought; all of it, where the thought does not end."""
    ends = list(_THOUGHT_END.finditer(text))
    if ends:
        return text[ends[-1].end() :]
    return "" if _THOUGHT.match(text) else text


def _objects(text: str) -> Iterator[Json]:
    """Parse from each brace that may begin an object, one that stands in another left out."""
    at = 0
    for _ in range(MOST_STARTS):
        start = _START.search(text, at)
        if start is None:
            return
        try:
            document, at = _DECODER.raw_decode(text, start.start())
        except (ValueError, RecursionError):
            at = start.start() + 1
            continue
        yield document


def _with_items(document: Json) -> Json | None:
    """Find the object that holds the items: this one, or one that it wraps."""
    for candidate in (document, *document.values()):
        if isinstance(candidate, dict):
            named = _lowered(candidate)
            items = named.get("items")
            if "items" in named and (items is None or isinstance(items, list)):
                return {**named, "items": items or []}
    return None


def _lowered(document: JsonView) -> Json:
    """Write keys as ours are written; of two that become the same, the first stays."""
    named: Json = {}
    for key, value in document.items():
        named.setdefault(_name(key), value)
    return named


def _name(text: str) -> str:
    return re.sub(r"[\s-]+", "_", text.strip().lower())


def _summary(value: object) -> str | None:
    if isinstance(value, list) and value and all(isinstance(one, str) for one in value):
        return " ".join(value)
    return value if isinstance(value, str) else None


def _item(given: object) -> Any:
    """Bring an item into our form, as far as its meaning is plain; pydantic names what is not."""
    if not isinstance(given, dict):
        return given
    named = _lowered(given)
    item = {name: named.get(name) for name in ("quote", "kind", "statement", "speaker")}
    item = {name: value for name, value in item.items() if value is not None}
    item.setdefault("speaker", "")
    item |= {name: _optional(named.get(name)) for name in ("person", "due", "sentiment")}
    kind, sentiment = item.get("kind"), item["sentiment"]
    if isinstance(kind, str):
        item["kind"] = kind = _kind(kind)
    if isinstance(sentiment, str):
        item["sentiment"] = _sentiment(sentiment, kind)
    return item


def _optional(value: object) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    return None if isinstance(value, str) and value.strip().lower() in NOTHING else value


def _kind(text: str) -> str:
    name = _name(text)
    return name if name in KINDS or name.removesuffix("s") not in KINDS else name.removesuffix("s")


def _sentiment(text: str, kind: object) -> str | None:
    """Return a mood; of other kinds of items, which have none, only one that is known."""
    name = _name(text)
    known = name in {"positive", "neutral", "negative", "mixed"}
    return name if known or kind == CUSTOMER_SENTIMENT else None
