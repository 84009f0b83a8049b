"""Ask each vendor whether the stored logins work, what they may see, and what its clock says."""

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import httpx

from ingest_assets.cli.doctor.accounts import first, minute, resume, who
from ingest_assets.cli.doctor.finding import Finding, fine, note, problem
from ingest_assets.cli.doctor.patient import Patient
from ingest_assets.cli.reconnecting import reconnect_command
from ingest_assets.errors import CredentialRejected, IngestError, ProcessFault, SourceError, Transient
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.client.headers import date_of
from ingest_assets.sources.client.http import http_client
from ingest_assets.sources.login import Login, Probe
from ingest_assets.sources.source import Source
from ingest_assets.storage.engine import CLOCKS_APART
from ingest_assets.storage.schema import NEEDS_RECONNECT, PAUSED, StoredRow
from ingest_assets.sync.oauth import login_of

NAME = "logins at the vendors"
AT_ONCE = 8
SECONDS = 20.0  # of one login; then its request ends, and a token pair that it got is stored all the same
MOST_SECONDS = 600.0  # of all logins
LOOK_SECONDS = 0.2
Answer = tuple[Sequence[Probe | SourceError], tuple[str, bool] | None]


def logins(patient: Patient) -> Iterator[Finding]:
    """Try each login as `connect` does; an access token that still lasts is used as it is."""
    rows = [row for row in patient.accounts if row.state != PAUSED]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="login") as pool:
        for findings in pool.map(lambda row: _one(patient, row), rows):
            yield from findings


def _one(patient: Patient, row: StoredRow) -> list[Finding]:
    source = BY_NAME[row.source]
    if NAME in patient.given_up:
        return []
    try:
        login = login_of(
            source, row, patient.app.options_of(source), engine=patient.app.engine, vault=patient.app.vault
        )
        probes, sight = asyncio.run(_while_awaited(patient, _asked(source, login)))
    except asyncio.CancelledError:
        return []
    except ProcessFault:
        return []  # the checks of keys and variables tell it
    except TimeoutError:
        return [problem(f"{who(row)} did not answer within {SECONDS:.0f} seconds.", command=_again(row))]
    except IngestError as error:
        return [*_failed(row, error)]
    return [*_probed(row, probes), *_seen(row, sight)]


async def _while_awaited(patient: Patient, asking: Coroutine[object, object, Answer]) -> Answer:
    """Cancel a request once nobody waits for it any more; a token pair that it gets is stored all the same."""
    task = asyncio.ensure_future(asking)
    while not task.done():
        await asyncio.wait({task}, timeout=LOOK_SECONDS)
        if NAME in patient.given_up:
            task.cancel()
    return task.result()


async def _asked(source: Source, login: Login) -> Answer:
    connector = source.connector()
    async with asyncio.timeout(SECONDS):
        probes = await connector.probe(login)
        sight = None if connector.visible is None else await connector.visible(login)
    return probes, sight


def _failed(row: StoredRow, error: IngestError) -> Iterator[Finding]:
    said, lost = str(error), row.state == NEEDS_RECONNECT
    if not lost and row.reason and (row.reason in said or said in row.reason):
        return  # the check of states tells it
    if isinstance(error, Transient):
        yield problem(f"{who(row)} could not be asked: {first(said)}", command=_again(row))
        return
    since = f" since {minute(row.state_since)} UTC" if lost else ""
    by_login = isinstance(error, CredentialRejected) or not isinstance(error, SourceError)
    mend = reconnect_command(row) if by_login else _again(row)
    yield problem(f"{who(row)} cannot be used{since}: {first(said)}", command=mend)


def _probed(row: StoredRow, probes: Sequence[Probe | SourceError]) -> Iterator[Finding]:
    for probe in probes:
        if isinstance(probe, SourceError):
            yield from _failed(row, probe)
            continue
        if probe.external_id not in (None, row.external_id):
            yield problem(
                f"The login of {who(row)} is another one's now ({probe.external_id}).",
                command=reconnect_command(row),
            )
        elif row.state == NEEDS_RECONNECT:
            yield problem(f"The login of {who(row)} works again, and no sync has tried it.", command=resume(row))
        else:
            yield fine(f"The login of {who(row)} works.")
        for warning in probe.warnings:
            sentence, _, action = warning.partition(". " if ". " in warning else "; ")
            yield note(
                f"{who(row)}: {sentence.rstrip('.')}.", action=action[:1].upper() + action[1:] or "Grant it."
            )


def _seen(row: StoredRow, sight: tuple[str, bool] | None) -> Iterator[Finding]:
    if sight is None:
        return
    words, anything = sight
    if anything:
        yield fine(f"{who(row)}: {words}.")
    else:
        yield problem(f"{who(row)}: {words}.", action="Invite it to what is to be read.")


def _again(row: StoredRow) -> str:
    return f"ingest-assets doctor --workspace {row.workspace_id} --source {row.source}"


def clocks(patient: Patient) -> Iterator[Finding]:
    """Compare this machine's clock with the header `Date` of one answer from each vendor, without a login."""
    addresses = {_address(patient, row): BY_NAME[row.source].title for row in patient.accounts}
    for (address, title), moments in zip(addresses.items(), asyncio.run(_dates(list(addresses))), strict=True):
        if moments is None:
            yield note(
                f"What {title}'s clock says is not known: {httpx.URL(address).host} did not answer with a `Date`.",
                action="Check that this machine reaches it, through its proxy and firewall.",
            )
            continue
        theirs, ours = moments
        if abs(ours - theirs) > CLOCKS_APART:
            yield problem(
                f"This machine's clock says {ours:%Y-%m-%d %H:%M:%S} UTC, and {title}'s says "
                f"{theirs:%Y-%m-%d %H:%M:%S} UTC.",
                action="Set the wrong one by NTP (`timedatectl set-ntp true`).",
            )
        else:
            yield fine(f"This machine's clock and {title}'s agree.")


def _address(patient: Patient, row: StoredRow) -> str:
    own = row.settings.get("base_url")
    return str(own or patient.app.options_of(BY_NAME[row.source]).api_url)


async def _dates(addresses: Sequence[str]) -> list[tuple[datetime, datetime] | None]:
    async with http_client() as http:
        return await asyncio.gather(*(_date(http, address) for address in addresses))


async def _date(http: httpx.AsyncClient, address: str) -> tuple[datetime, datetime] | None:
    try:
        async with asyncio.timeout(SECONDS), http.stream("GET", address) as answer:
            theirs = date_of(answer.headers)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError):
        return None
    return None if theirs is None else (theirs, datetime.now(UTC))
