"""What happens around every simulated request: the ledger, the latency, the scripted faults."""

import asyncio
import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

import orjson
from starlette.types import Receive, Scope, Send

from ingest_simulator.faults import Fault, Kind
from ingest_simulator.ledger import NO_ANSWER
from ingest_simulator.state import Simulator
from ingest_simulator.wire import HTML_TYPE, JSON_TYPE, Answer, hang_up

MEGABYTE = 1_000_000
MISSING_BYTES = 512  # how much longer a truncated answer claims to be
LOGIN_PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to go on</body></html>"

Outcome = tuple[int, str | None]  # the status and the error code for the ledger


@dataclass(slots=True, frozen=True)
class Asked:
    """A request as the ledger and the faults see it."""

    vendor: str
    method: str
    team: str | None
    params: dict[str, str]


@dataclass(slots=True, frozen=True)
class Wire:
    """The connection that the request came on."""

    scope: Scope
    receive: Receive
    send: Send


Run = Callable[[bool], Answer]
"""Carries the request out; true to repeat the page cursor it was sent."""
Instead = Callable[[Fault], Answer | None]
"""A vendor's own wording of a fault; None if the request is to run after all."""


async def attend(simulator: Simulator, wire: Wire, asked: Asked, run: Run, instead: Instead) -> None:
    """Answer one request, or spoil it as a fault says, and note how that looked from outside."""
    entry = simulator.ledger.opened(simulator.clock.now(), asked.vendor, asked.method, asked.team, asked.params)
    outcome: Outcome = NO_ANSWER, None
    try:
        if simulator.latency:
            await asyncio.sleep(simulator.latency)
        fault = simulator.faults.take(asked.vendor, asked.method, asked.team, asked.params)
        if fault is None:
            answer = run(False)
            outcome = answer.status, answer.error
            await answer.send(wire.send)
        else:
            outcome = await _spoil(fault, wire, run, instead)
    finally:
        simulator.ledger.closed(entry, *outcome)


async def _spoil(fault: Fault, wire: Wire, run: Run, instead: Instead) -> Outcome:
    if fault.kind is Kind.DROP:
        await hang_up(wire.scope, wire.receive, at_once=True)
        return NO_ANSWER, "dropped"
    if fault.kind is Kind.SLOW:
        await asyncio.sleep(fault.seconds)
    answer = _of_any_vendor(fault) or instead(fault) or run(fault.kind is Kind.REPEAT_CURSOR)
    if fault.kind is Kind.TRUNCATE:
        half = Answer(answer.body[: len(answer.body) // 2], answer.status, answer.headers)
        await half.send(wire.send, missing_bytes=MISSING_BYTES)
        await hang_up(wire.scope, wire.receive, at_once=False)
        return answer.status, "truncated"
    if fault.kind is Kind.COMPRESSED:
        encoding = (b"content-encoding", b"gzip")
        answer = Answer(gzip.compress(answer.body), answer.status, (*answer.headers, encoding), answer.error)
    await answer.send(wire.send)
    return answer.status, answer.error


def _of_any_vendor(fault: Fault) -> Answer | None:
    if fault.kind is Kind.STATUS:
        return Answer(b"upstream connect error", fault.status, ((b"content-type", b"text/plain"),))
    if fault.kind is Kind.HTML:
        return Answer(LOGIN_PAGE, fault.status, (HTML_TYPE,))
    if fault.kind is Kind.JSON:
        return Answer(orjson.dumps(fault.body), fault.status)
    if fault.kind is Kind.RAW:
        return Answer(str(fault.body).encode(), fault.status)
    if fault.kind is Kind.GZIP:
        return Answer(compressed(int(fault.body)), fault.status, (JSON_TYPE, (b"content-encoding", b"gzip")))
    if fault.kind is Kind.REDIRECT:
        return Answer(b"", fault.status, ((b"location", str(fault.body).encode()),))
    return None


@cache
def compressed(megabytes: int) -> bytes:
    """Return a JSON text of so many million letters, compressed as it is written."""
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16)  # 16: with gzip's header
    packed = [packer.compress(b'{"data":"')]
    packed += [packer.compress(b"A" * MEGABYTE) for _ in range(megabytes)]
    return b"".join([*packed, packer.compress(b'"}'), packer.flush()])


def flattened(document: Mapping[str, object]) -> dict[str, str]:
    """Write a document's scalars and lists of scalars as texts, for the ledger and the faults."""
    found: dict[str, str] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            found |= flattened(value)
        elif isinstance(value, list):
            found[name] = ",".join(map(str, value))
        elif value is not None:
            found[name] = str(value)
    return found
