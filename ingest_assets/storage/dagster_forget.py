"""Take a workspace, or an address, out of Dagster's own tables, as far as these tell whose a row is."""

from collections.abc import Iterator

from sqlalchemy import Engine, text

CHUNK = 5_000  # rows a transaction
WINDOW = 20_000  # ids a statement looks through
_RUNS_OF = "select run_id from run_tags where key = 'dagster/partition' and value = :workspace"
_OF_WORKSPACE = {
    "event_logs": f"""
        delete from event_logs where id in (
            select id from event_logs where partition = :workspace or run_id in ({_RUNS_OF}) limit :chunk)
    """,
    "asset_check_executions": f"""
        delete from asset_check_executions where id in (
            select id from asset_check_executions
            where partition = :workspace or run_id in ({_RUNS_OF}) limit :chunk)
    """,
    "runs": f"delete from runs where run_id in ({_RUNS_OF} limit :chunk)",  # with their tags, which tell whose
    "dynamic_partitions": """
        delete from dynamic_partitions where id in (
            select id from dynamic_partitions
            where partitions_def_name = 'workspaces' and partition = :workspace limit :chunk)
    """,
}
_WORDS = {"event_logs": "event", "asset_check_executions": "evaluation_event"}


def forget_workspace(engine: Engine, workspace_id: str) -> Iterator[tuple[str, int]]:
    """Delete a workspace's runs, events and partition key, where Dagster has tables; yield (table, rows).

    What runs for several workspaces logged stays until `dagster_log.prune` deletes it.
    """
    if not _has_tables(engine):
        return
    for table, statement in _OF_WORKSPACE.items():
        total, deleted = 0, CHUNK
        while deleted == CHUNK:
            with engine.begin() as conn:
                deleted = conn.execute(text(statement), {"workspace": workspace_id, "chunk": CHUNK}).rowcount
            total += deleted
        if total:
            yield f"Dagster's {table}", total


def forget_words(engine: Engine, pattern: str, put: str) -> Iterator[tuple[str, int]]:
    """Replace what matches in events and results of checks; yield (table, rows)."""
    if not _has_tables(engine):
        return
    for table, column in _WORDS.items():
        with engine.connect() as conn:
            last = conn.execute(text(f"select coalesce(max(id), 0) from {table}")).scalar_one()
        statement = text(
            f"update {table} set {column} = regexp_replace({column}::text, :pattern, :put, 'gi') "
            f"where id > :after and id <= :until and {column}::text ~* :pattern"
        )
        total = 0
        for after in range(0, last, WINDOW):
            span = {"after": after, "until": after + WINDOW, "pattern": pattern, "put": put}
            with engine.begin() as conn:
                total += conn.execute(statement, span).rowcount
        if total:
            yield f"Dagster's {table}", total


def _has_tables(engine: Engine) -> bool:
    with engine.connect() as conn:
        return conn.execute(text("select to_regclass('event_logs')")).scalar() is not None
