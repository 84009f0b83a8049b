"""All that is needed to ask an account's vendor without reading it: no lease is taken, and nothing is stored."""

from collections.abc import Mapping
from dataclasses import replace

from ingest_assets.settings import SourceOptions
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.parts import Parts
from ingest_assets.sources.source import DAY, Extraction, Source
from ingest_assets.storage import writes
from ingest_assets.storage.engine import reading
from ingest_assets.storage.history import calls_by_sync
from ingest_assets.storage.parts import load_parts
from ingest_assets.storage.schema import StoredRow
from ingest_assets.sync.oauth import tokens_of
from ingest_assets.sync.worker import Worker, account_of, part_of, who


def looking(source: Source, row: StoredRow, options: SourceOptions, worker: Worker) -> Extraction:
    """Return what an extraction would be given now. Raises IngestError where the login cannot be opened."""
    account, started = account_of(row), worker.clock.now()
    opened = worker.vault.open(row.credential, who=who(source, account))
    with reading(worker.engine) as conn:
        cursors: Mapping[str, Json] = writes.load_cursors(conn, row.account_id)
        parts = Parts([part_of(one) for one in load_parts(conn, row.account_id)], now=started)
        calls = calls_by_sync(conn, source.name, row.external_id, started - DAY)
    run: Extraction = Extraction(
        account=account,
        credential=source.credential.model_validate(opened),
        settings=source.settings.model_validate(row.settings),
        options=options,
        cursors=cursors,
        started_at=started,
        engine=worker.engine,
        clock=worker.clock,
        calls_today=calls,
        parts=parts,
    )
    return replace(run, tokens=tokens_of(source, run, engine=worker.engine, vault=worker.vault))
