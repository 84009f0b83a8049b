"""What stands beside the partitioned assets in the lineage: the vendors' APIs, and the tables of names.

No run materialises them. The sensor `lineage` observes the APIs, and reports a table of names that syncs have
changed: a few events now and then, however many workspaces there are.
"""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
from sqlalchemy import Table

from ingest_assets.assets.records import OWNERS, api_key, asset_key, column_schema, described
from ingest_assets.sources.record import Record
from ingest_assets.sources.source import Source
from ingest_assets.storage.lineage import ApiUse, TableState


def api_spec(source: Source) -> dg.AssetSpec:
    return dg.AssetSpec(
        api_key(source),
        description=f"{source.api}. Observed every five minutes while it is asked: requests, last answer.",
        group_name=source.name,
        kinds={source.name, "api"},
        owners=OWNERS,
    )


def directory_specs(source: Source) -> list[dg.AssetSpec]:
    return [_directory_spec(source, record) for record in source.directories]


def directory_key(table: Table) -> dg.AssetKey:
    return dg.AssetKey([str(table.schema), table.name])


def _directory_spec(source: Source, record: type[Record]) -> dg.AssetSpec:
    return dg.AssetSpec(
        directory_key(record.table),
        deps=[api_key(source)],
        description=f"{described(record)} Read by the syncs of `{asset_key(source).to_user_string()}`.",
        group_name=source.name,
        kinds={source.name, "postgres"},
        owners=OWNERS,
        tags={"source": source.name},
        metadata={
            "dagster/table_name": record.table.fullname,
            "dagster/column_schema": column_schema(record.table),
        },
    )


def observation(source: Source, use: ApiUse) -> dg.AssetObservation:
    """Sum up what the syncs of the last hour asked, all workspaces together."""
    metadata: dict[str, Any] = {
        "accounts": use.accounts,
        "requests_1h": use.requests,
        "syncs_1h": use.syncs,
        "failed_syncs_1h": use.failed,
    }
    return dg.AssetObservation(api_key(source), metadata=metadata | _moment("last_answer", use.last_answer))


def names_changed(table: Table, state: TableState) -> dg.AssetMaterialization:
    metadata: dict[str, Any] = {"dagster/row_count": state.rows, "workspaces": state.workspaces}
    return dg.AssetMaterialization(
        directory_key(table), metadata=metadata | _moment("last_change", state.changed_at)
    )


def _moment(name: str, moment: datetime | None) -> dict[str, Any]:
    return {} if moment is None else {name: dg.MetadataValue.timestamp(moment.astimezone(UTC))}
