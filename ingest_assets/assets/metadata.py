"""What a materialized partition says of itself: counts, how far it was read, and where to look; never a text."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg
from pydantic import SecretStr
from sqlalchemy import URL, Engine, Table, make_url

from ingest_assets.assets import summaries
from ingest_assets.sources.source import Source
from ingest_assets.storage.overview import stored_of_workspace
from ingest_assets.storage.writes import Counts
from ingest_assets.sync.result import PARTIAL, SUCCESS, SyncResult, report
from ingest_assets.terminal import markdown_cell, printable

PREVIEW_LINES = 50


def materialized(
    source: Source, engine: Engine, workspace_id: str, results: Sequence[SyncResult]
) -> Callable[[Table], dict[str, Any]]:
    """Return what gives the metadata of each of the source's tables."""
    of_run = _of_run(source, results) | summaries.of_partition(engine, source.name, workspace_id)

    def of_table(table: Table) -> dict[str, Any]:
        with engine.connect() as conn:
            rows, newest = stored_of_workspace(conn, table, workspace_id)
        found: dict[str, Any] = {"dagster/partition_row_count": rows}
        if newest is not None:
            found["newest_item"] = dg.MetadataValue.timestamp(newest)
        return found | of_run

    return of_table


def table_uri(table: Table, database_url: SecretStr | None) -> dict[str, str]:
    """Return where a table is, without user, password and options; nothing where no database is configured."""
    if database_url is None:
        return {}
    url = make_url(database_url.get_secret_value())
    where = URL.create("postgresql", host=url.host, port=url.port, database=url.database)
    return {"dagster/uri": f"{where.render_as_string()}/{table.schema}/{table.name}"}


def _of_run(source: Source, results: Sequence[SyncResult]) -> dict[str, Any]:
    summary = report(results)
    calls: Counter[str] = Counter()
    for result in results:
        calls.update(result.calls)
    return {
        "accounts": accounts_read(results),
        "rows_new": summary["new"],
        "rows_changed": summary["changed"],
        "rows_deleted": summary["deleted"],
        "rows_rejected": summary["rejected"],
        "api_calls": summary["api_calls"],
        "api_calls_by_method": dg.MetadataValue.json(dict(sorted(calls.items()))),
        "seconds": round(sum(result.seconds for result in results), 3),
        "successful_accounts": summary["successful_accounts"],
        "failed_accounts": summary["failed_accounts"],
        "read_from": min((one["read_from"] for one in summary["accounts"] if one["read_from"]), default=None),
        "read_to": max((one["read_to"] for one in summary["accounts"] if one["read_to"]), default=None),
        "vendor": dg.MetadataValue.url(source.console),
        "report": dg.MetadataValue.json(summary),
        "preview": dg.MetadataValue.md(_preview(results)),
    }


def accounts_read(results: Sequence[SyncResult]) -> str:
    """Return how many accounts a run read, and of each other one the reason: "2 of 3; cleo: ..."."""
    others = [result for result in results if result.status not in {SUCCESS, PARTIAL}]
    told = [f"{one.account.name}: {printable(one.reason or one.status)}" for one in others]
    return "; ".join([f"{len(results) - len(others)} of {len(results)}", *told])


def _preview(results: Sequence[SyncResult]) -> str:
    """Count by channel; never a text."""
    totals: defaultdict[str, Counts] = defaultdict(Counts)
    for result in results:
        for label, counts in result.labels.items():
            totals[label] += counts
    lines = ["| | new | changed | deleted | rejected |", "|---|---|---|---|---|"]
    busiest = sorted(totals.items(), key=lambda item: (-item[1].seen, item[0]))
    lines += [
        f"| {markdown_cell(label)} | {c.new} | {c.changed} | {c.deleted} | {c.rejected} |"
        for label, c in busiest[:PREVIEW_LINES]
    ]
    return "\n".join(
        [*lines, f"| and {len(busiest) - PREVIEW_LINES} more | | | | |"] if len(busiest) > PREVIEW_LINES else lines
    )
