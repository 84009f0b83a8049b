"""What is wrong, as sentences: one for what many accounts share, and for each the command that comes next."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest_assets.cli.output import ago, minute
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.schema import FAILING, NEEDS_RECONNECT, PAUSED

MANY = 3  # accounts of one source with one reason are told in one line
NAMED = 3  # workspaces in it
SINCE = " (since "  # how a stored reason goes on; it is told in other words here
WORST = (NEEDS_RECONNECT, FAILING, "retrying", "stale")
Entry = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """Something that somebody should know of."""

    who: str
    sentence: str


def problems(entries: Sequence[Entry], now: datetime) -> list[Problem]:
    """Return what is wrong with accounts, the worst first; nothing is wrong with one that is paused."""
    running = [entry for entry in entries if entry["state"] != PAUSED]
    return [*_states(running, now), *unreadable(running), *_rejected(running), *_held(running)]


def _states(entries: Sequence[Entry], now: datetime) -> Iterator[Problem]:
    alike: defaultdict[tuple[int, str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        state = "stale" if entry["state"] == "active" and entry["overdue"] else entry["state"]
        if state in WORST and not (state == "stale" and entry["under_way"]):
            alike[WORST.index(state), entry["source"], _shared(entry)].append(entry)
    for (place, source, reason), found in sorted(alike.items()):
        if len(found) >= MANY:
            yield Problem(_many(source, found), _state(WORST[place], reason, found, now))
            continue
        for entry in found:
            own = (entry["reason"] or "").partition(SINCE)[0]
            yield Problem(_who(entry), _state(WORST[place], own, [entry], now))


def _shared(entry: Entry) -> str:
    """Return an account's reason without what is its own."""
    reason = (entry["reason"] or "").partition(" (next try at ")[0].partition(SINCE)[0]
    return reason.replace(repr(entry["account"]), "...").replace(entry["workspace"], "...")


def _state(state: str, reason: str, entries: Sequence[Entry], now: datetime) -> str:
    if state == "stale":
        last = min(entry["last_success"] or "" for entry in entries)
        read = f"last read completely {ago(last, now)}" if last else "never read completely"
        return f"{read}{': ' + reason if reason else '; `ingest-assets doctor` looks for the reason.'}"
    since = min(entry["since"] for entry in entries)
    return f"{state} since {minute(since)} ({ago(since, now)}): {reason}"


def unreadable(entries: Sequence[Entry]) -> Iterator[Problem]:
    """Yield what cannot be read of each account."""
    alike: defaultdict[tuple[str, str], list[Entry]] = defaultdict(list)
    for entry in entries:
        if entry["unreadable"]["count"]:
            what = ", ".join(f"{part['name']} ({part['code']})" for part in entry["unreadable"]["first"])
            alike[entry["source"], what].append(entry)
    for (source, what), found in alike.items():
        if len(found) >= MANY:
            lists = f"`ingest-assets acknowledge {source} --workspace ...` lists them."
            yield Problem(_many(source, found), f"not readable: {what}; {lists}")
        else:
            yield from map(_unreadable, found)


def _unreadable(entry: Entry) -> Problem:
    count, first = entry["unreadable"]["count"], entry["unreadable"]["first"]
    more = f" and {count - len(first)} others" if count > len(first) else ""
    lists = f"`ingest-assets acknowledge {entry['source']} --workspace {entry['workspace']}` lists them."
    return Problem(_who(entry), f"not readable: {', '.join(map(_named, first))}{more}; {lists}")


def _named(part: Entry) -> str:
    if part["left"]:
        return f"{part['name']} (no longer listed since {minute(part['since'])})"
    return f"{part['name']} ({part['code']} since {minute(part['since'])})"


def _rejected(entries: Sequence[Entry]) -> Iterator[Problem]:
    for entry in entries:
        if count := entry["rejected"]:
            what = "1 item was" if count == 1 else f"{count:,} items were"
            yield Problem(
                _who(entry),
                f"{what} rejected; `ingest-assets rejected list --workspace {entry['workspace']} --source "
                f"{entry['source']}` lists them.",
            )


def _held(entries: Sequence[Entry]) -> Iterator[Problem]:
    for entry in entries:
        held, which = entry["not_shown"], f"--workspace {entry['workspace']} --source {entry['source']}"
        if held["waiting"]:
            yield Problem(
                _who(entry),
                f"{held['waiting']:,} rows that the vendor no longer shows wait for a decision; `ingest-assets "
                f"deletions review {which}` shows them.",
            )


def _who(entry: Entry) -> str:
    return f"{entry['workspace']} {entry['source']} {entry['account']}"


def _many(source: str, entries: Sequence[Entry]) -> str:
    names = sorted({entry["workspace"] for entry in entries})
    others = f" and {len(names) - NAMED} others" if len(names) > NAMED else ""
    named = f"{', '.join(names[:NAMED])}{others}"
    return f"{BY_NAME[source].title}, {len(entries)} accounts of {len(names)} workspaces ({named})"
