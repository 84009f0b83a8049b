"""SourceError -> Dagster: what turns a partition red, and whether the step tries again."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg

from ingest_assets.errors import ProcessFault
from ingest_assets.resources.ingestion import Database
from ingest_assets.sources.source import Source
from ingest_assets.storage.trouble import TROUBLES, trouble
from ingest_assets.sync.result import FAILED, SyncResult, report
from ingest_assets.terminal import printable

STEP_RETRIES = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""For a hiccup of the process, a database that restarts for one. A vendor's troubles wait in `ingest.accounts`."""


def as_failure(
    log: Any, source: Source, failed: Mapping[str, Sequence[SyncResult]], unknown: Sequence[str] = ()
) -> dg.Failure:
    """Log which workspaces failed and why, and return the failure; a step retry would change nothing about that.

    `unknown`: a sentence per workspace that there is none of. The sentences stand in a line of their own, since
    what Dagster shows of an exception is mostly a stack.
    """
    results = [result for found in failed.values() for result in found]
    sentences = [f"{one.account.workspace_id}: {printable(one.reason)}" for one in results if one.status == FAILED]
    log.error("%s", " ".join([*unknown, *sentences]))
    names = [f"{source.title} could not be read for {', '.join(failed)}."] if failed else []
    return dg.Failure(
        description=" ".join(["A workspace of this run does not exist."] * bool(unknown) + names),
        metadata={"report": dg.MetadataValue.json(report(results))},
        allow_retries=False,
    )


@contextmanager
def red_run(database: Database, log: Any) -> Iterator[None]:
    """Turn a fault of the process, and trouble of the database, into a failed run; an error line says why.

    A step retry would meet the same process, and may find the database mended.
    """
    try:
        yield
    except ProcessFault as fault:
        log.error("%s", printable(fault))
        raise dg.Failure("This process cannot do it, as it was started.", allow_retries=False) from None
    except TROUBLES as error:
        sentence = trouble(error, database.engine())
        if sentence is None:  # a bug of ours
            raise
        log.error("%s", printable(sentence))
        raise dg.Failure("The database has a problem.") from error
