"""What is fuzzed: how an input is made, and how the product parses it, guarded as it is there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

import orjson

from ingest_assets.errors import SourceError
from ingest_assets.features import evidence, prompt
from ingest_assets.features import parts as transcript_parts
from ingest_assets.sources.client import headers, paging
from ingest_assets.sources.client.http import parse_json
from ingest_assets.sources.fathom.records import FathomSession
from ingest_assets.sources.fathom.transcript import of_fathom
from ingest_assets.sources.gmail.history import Changes
from ingest_assets.sources.gmail.multipart import unpacked
from ingest_assets.sources.gmail.records import GmailMessage, GmailThread
from ingest_assets.sources.gong.records import GongCall, GongUser, GongWorkspace
from ingest_assets.sources.gong.transcript import of_gong
from ingest_assets.sources.login import Account
from ingest_assets.sources.record import Record
from ingest_assets.sources.rejected import UNPARSEABLE
from ingest_assets.sources.rows import Rows
from ingest_assets.sources.slack.names import Names
from ingest_assets.sources.slack.records import SlackChannel, SlackMessage, SlackUser
from ingest_assets.sources.transcript import Transcript
from ingest_assets.storage.record_tables import BOOKKEEPING
from tests.fuzz import corpus, mail, model_answers, refusals
from tests.fuzz.mutations import UNITS, deeply, mutated, odd, rewritten
from tests.fuzz.storable import Refused, check, check_rejected

ACCOUNT = Account(account_id=1, workspace_id="acme", name="Acme", external_id="T1", settings={})
NOW = datetime(2026, 11, 26, 15, tzinfo=UTC)
NAMES = Names({"U1": "Ann Lee", "U2": "Bob\u202e", "U3": "n" * 80}, {"C1": "sales", "C2": "c" * 80})
MAX_MESSAGE_BYTES = 10_000_000
PART_TOKENS = 2_000
LATE = timedelta(days=30)


@dataclass
class Outcome:
    """What became of an input."""

    size: int = 0
    """Bytes that would be stored, or characters of what was made."""
    rejected: bool = False


@dataclass(frozen=True)
class Parser:
    """One parser; `parse` raises whatever the product would not have expected."""

    make: Callable[[Random], Any]
    parse: Callable[[Any], Outcome]
    most_output: int = 16
    """How many times as large as the input its output may be, beyond `running.FREE_OUTPUT`."""


def stored(batch: Rows) -> Outcome:
    """Serialise rows as a sync does, and insist on what PostgreSQL takes."""
    outcome = Outcome(rejected=bool(batch.rejected))
    outcome.size = sum(map(check, batch.records)) + sum(map(check_rejected, batch.rejected))
    for record in batch.records:
        _derive_again(record)
    return outcome


def _derive_again(record: Record) -> None:
    """Insist that what maintenance derives from the stored row is what was stored."""
    if isinstance(record, GmailMessage | GmailThread):
        return  # bodies are not in `raw`
    columns = [column.name for column in record.table.columns if column.name not in BOOKKEEPING]
    row: Any = SimpleNamespace(**dict(zip(columns, record.row().values, strict=True)))
    row.raw = orjson.loads(row.raw)
    try:
        again = record.rederive(row, {ACCOUNT.account_id: NAMES})
        again.row()
    except UNPARSEABLE:
        raise Refused(f"{record.table.name}: what was stored cannot be derived again") from None
    if row.raw != record.raw:
        return  # what PostgreSQL cannot hold was taken out of it
    derived = [name for name in record.own_fields if name not in record.kept]
    for name in derived:
        if getattr(again, name) != getattr(record, name):
            raise Refused(f"{record.table.name}.{name}: derived again it is another one")


def _records(*kinds: tuple[Any, Callable[[Any], Any]]) -> Callable[[Any], Outcome]:
    """Make a parser of one item by one record class or by several."""

    def parse(item: Any) -> Outcome:
        batch = Rows()
        for kind, read in kinds:
            batch.parse(kind, item, read)
        return stored(batch)

    return parse


def _slack_message(item: Any) -> Any:
    return SlackMessage.from_api(ACCOUNT, "C1", item, NAMES, in_channel=True)


def _gong_call(item: Any) -> Any:
    call = dict(item)
    return GongCall.from_api(ACCOUNT, call, call.pop("transcript", None), was=None, age=LATE)


def _fathom_session(item: Any) -> Any:
    return FathomSession.from_api(ACCOUNT, item, was=None, age=LATE)


def _gmail_message(item: Any) -> Any:
    fetched = {"2": corpus.encoded(corpus.PLAIN), "": corpus.encoded(corpus.MARKUP)}
    return GmailMessage.from_api(ACCOUNT, item, fetched, max_bytes=MAX_MESSAGE_BYTES)


def _gmail_thread(item: Any) -> Outcome:
    batch = Rows()
    messages = item.get("messages") if isinstance(item, dict) else None
    for message in messages if isinstance(messages, list) else ():
        batch.parse(GmailMessage, message, _gmail_message)
    read = [record for record in batch.records if isinstance(record, GmailMessage)]
    if read:
        batch.parse(GmailThread, item, lambda thread: GmailThread.from_messages(ACCOUNT, thread, read))
    return stored(batch)


def _gmail_body(text: str) -> Outcome:
    payload = corpus.mail_part("text/html", headers=[], body={"data": corpus.encoded(text), "size": len(text)})
    batch = Rows()
    batch.parse(GmailMessage, corpus.mail_message(payload), _gmail_message)
    if batch.rejected:
        raise Refused(f"a body of HTML was rejected: {batch.rejected[0].error}")
    return stored(batch)


def _gmail_history(item: Any) -> Outcome:
    changes = Changes("1")
    changes.add(item)
    changes.relabelled()
    return stored(Rows(rejected=list(changes.rejected)))


def _multipart(rng: Random) -> Any:
    """Make what Gmail's batch endpoint answers, damaged."""
    boundary = rng.choice(("batch_x", "b", "", "--", "\0", "a" * 300, "batch_é"))
    with deeply():
        bodies = [json.dumps(mutated(rng, corpus.GMAIL_MESSAGES, times=1)) for _ in range(rng.choice((0, 1, 3)))]
    statuses, lines = (
        ("200 OK", "404 Not Found", "2000", "-1", "x"),
        ("Retry-After: 5", ": ", "x", "Vary: a\r\n b"),
    )
    pieces = [
        f"--{boundary}\r\nContent-Type: application/http\r\nContent-ID: <response-{place}>\r\n\r\n"
        f"HTTP/1.1 {rng.choice(statuses)}\r\nContent-Type: application/json\r\n"
        f"{rng.choice(lines)}\r\n\r\n{body}\r\n"
        for place, body in enumerate(bodies)
    ]
    text = "".join(pieces) + f"--{boundary}--\r\n"
    for _time in range(rng.choice((0, 1, 3))):
        text = rewritten(rng, text)
    content_type = f'multipart/mixed; boundary="{boundary}"'
    if rng.random() < 0.2:
        content_type = rng.choice((rewritten(rng, content_type), odd(rng)))
    return [[f"k{place}" for place in range(len(bodies))], str(content_type), text.encode("utf-8", "replace")]


def _unpacked(item: Any) -> Outcome:
    keys, content_type, body = item
    found = unpacked({str(place): key for place, key in enumerate(keys)}, content_type, body)
    if not set(found) <= set(keys):
        raise Refused("an answer to what was not asked")
    return Outcome(sum(len(answer.content) for answer in found.values()), rejected=len(found) < len(keys))


def _header_values(rng: Random) -> Any:
    value = rng.choice(corpus.HEADER_VALUES)
    for _time in range(rng.choice((0, 1, 2))):
        value = rewritten(rng, value)
    if rng.random() < 0.2:
        value = rng.choice(
            (str(odd(rng)), rng.choice(UNITS) * rng.randrange(9_000), f"{rng.uniform(-1e20, 1e20)}")
        )
    return [rng.choice(HEADER_NAMES), value, rng.choice(("", "Thu, 26 Nov 2026 15:07:50 GMT", value))]


HEADER_NAMES = ("retry-after", "retry-after-ms", "ratelimit-limit", "ratelimit-remaining", "x-ratelimit-reset")


def _headers(item: Any) -> Outcome:
    name, value, date = item
    ignored: Counter[str] = Counter()
    given: Mapping[str, str] = {name: value, "date": date}
    pause = headers.pause_of(given, NOW, ignored)
    quota = headers.Quota.of(given, NOW, ignored)
    for found in (pause, quota.reset):
        if found is not None and not timedelta(0) <= found <= headers.LONGEST_PAUSE:
            raise Refused(f"{name}: a pause of {found}")
    for count in (quota.limit, quota.remaining):
        if count is not None and not 0 <= count < 2**63:
            raise Refused(f"{name}: a count of {count}")
    return Outcome(rejected=bool(ignored))


PATHS = (("cursor",), ("response_metadata", "next_cursor"), ("records", "cursor"), ("nextPageToken",))


def _answers(rng: Random) -> Any:
    return [list(rng.choice(PATHS)), [mutated(rng, corpus.PAGES) for _ in range(rng.choice((1, 2, 4)))]]


def _paging(item: Any) -> Outcome:
    path, answers = item
    asked: list[str | None] = []

    async def ask(cursor: str | None) -> Any:
        asked.append(cursor)
        return answers[min(len(asked), len(answers)) - 1]

    async def read() -> None:
        async for answer in paging.pages(ask, path, "Acme's list"):
            paging.listed(answer, "items", "Acme's list")

    return Outcome(rejected=_refused(read()))


def _refused(coroutine: Coroutine[Any, Any, None]) -> bool:
    """Run what never waits; tell whether it raised one of the errors that a client may raise."""
    try:
        coroutine.send(None)
    except StopIteration:
        return False
    except SourceError:
        return True
    raise AssertionError("it waits")


def _json_bytes(rng: Random) -> bytes:
    kinds = (corpus.SLACK_MESSAGES, corpus.GMAIL_MESSAGES, corpus.FATHOM_SESSIONS, corpus.ANSWERS)
    with deeply():
        text = json.dumps(mutated(rng, rng.choice(kinds)), ensure_ascii=rng.random() < 0.5)
    for _time in range(rng.choice((0, 1, 2))):
        text = rewritten(rng, text)
    if rng.random() < 0.02:
        text = rng.choice(("[", '{"a":', "[[", "1", "9" * 10, '"', "\\ud800", "-")) * rng.randrange(5_000)
    return text.encode(
        rng.choice(("utf-8", "utf-8", "utf-16", "utf-8-sig")), rng.choice(("replace", "surrogatepass"))
    )


def _json(content: bytes) -> Outcome:
    try:
        parse_json(content)
    except ValueError:
        return Outcome(rejected=True)
    return Outcome()


def _transcript(read: Callable[[Mapping[str, Any]], Transcript], raw: Any) -> Outcome:
    try:
        transcript = read(raw)
    except UNPARSEABLE:
        return Outcome(rejected=True)
    lines = prompt.written(transcript)
    asked = [prompt.messages(transcript.title, part) for part in transcript_parts.parts(lines, PART_TOKENS)]
    found = evidence.Evidence(transcript)
    for quote in (
        "We lose two hours a day to the export",
        "a a a a",
        *(segment.text for segment in transcript.segments[:2]),
    ):
        found.find(quote, "Ann")
    return Outcome(sum(len(str(messages)) for messages in asked))


def _silent(parse: Callable[[Any], None]) -> Callable[[Any], Outcome]:
    """Make a parser of what stores nothing."""

    def parsed(item: Any) -> Outcome:
        parse(item)
        return Outcome()

    return parsed


def _mutated(payloads: Sequence[Any]) -> Callable[[Random], Any]:
    return lambda rng: mutated(rng, payloads)


PARSERS: dict[str, Parser] = {
    "slack_messages": Parser(_mutated(corpus.SLACK_MESSAGES), _records((SlackMessage, _slack_message))),
    "slack_users": Parser(
        _mutated(corpus.SLACK_USERS), _records((SlackUser, partial(SlackUser.from_api, ACCOUNT)))
    ),
    "slack_channels": Parser(
        _mutated(corpus.SLACK_CHANNELS), _records((SlackChannel, partial(SlackChannel.from_api, ACCOUNT)))
    ),
    "gong_calls": Parser(_mutated(corpus.GONG_CALLS), _records((GongCall, _gong_call))),
    "gong_users": Parser(
        _mutated(corpus.GONG_USERS),
        _records(
            (GongUser, partial(GongUser.from_api, ACCOUNT)),
            (GongWorkspace, partial(GongWorkspace.from_api, ACCOUNT)),
        ),
    ),
    "fathom_sessions": Parser(_mutated(corpus.FATHOM_SESSIONS), _records((FathomSession, _fathom_session))),
    "gmail_messages": Parser(mail.message, _records((GmailMessage, _gmail_message))),
    "gmail_threads": Parser(mail.thread, _gmail_thread),
    "gmail_html": Parser(mail.html, _gmail_body),
    "gmail_history": Parser(_mutated(corpus.GMAIL_HISTORY), _gmail_history),
    "gmail_batch": Parser(_multipart, _unpacked),
    "gmail_refusals": Parser(refusals.gmail_bodies, _silent(refusals.gmail_error)),
    "gong_refusals": Parser(refusals.gong_bodies, _silent(refusals.gong_error)),
    "headers": Parser(_header_values, _headers),
    "paging": Parser(_answers, _paging),
    "json": Parser(_json_bytes, _json),
    "model_answers": Parser(model_answers.make, lambda item: Outcome(rejected=not model_answers.understand(item))),
    "gong_transcripts": Parser(_mutated(corpus.GONG_CALLS), partial(_transcript, of_gong)),
    "fathom_transcripts": Parser(_mutated(corpus.FATHOM_SESSIONS), partial(_transcript, of_fathom)),
}
