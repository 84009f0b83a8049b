"""`python -m tests.generated_docs`: fill settings.md, data.md and commands.md with what the program says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic_core import PydanticUndefined
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql

from benchmarks.numbers import filled
from ingest_assets.app import setting_groups
from ingest_assets.features.featured import FEATURED
from ingest_assets.sources import SOURCES
from ingest_assets.storage import deletion_tables, incident_tables, operations, process_reports
from ingest_assets.storage.schema import metadata
from tests.command_pages import commands

DOCS = Path(__file__).parent.parent / "docs"
DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy's
KNOWN = (
    SOURCES,
    FEATURED,
    deletion_tables,
    incident_tables,
    operations,
    process_reports,
)  # whose tables are known once they are imported


def settings() -> Iterator[str]:
    """Yield the lines of the table of settings."""
    yield from ("| variable | default | meaning |", "|---|---|---|")
    for group in setting_groups():
        for variable, name in group.variables().items():
            field = group.model_fields[name]
            default = "" if field.default in (None, "", PydanticUndefined) else f"`{field.default}`"
            yield f"| `{variable}` | {default} | {field.description} |"


def tables(schema: str) -> Iterator[str]:
    """Yield the lines that describe a schema's tables."""
    for table in sorted(metadata.tables.values(), key=lambda table: table.name):
        if table.schema == schema:
            yield from _table(table)


def _table(table: Table) -> Iterator[str]:
    yield from (f"### {table.fullname}", "", str(table.comment), "", "| column | type | holds |", "|---|---|---|")
    for column in table.columns:
        kind = column.type.compile(DIALECT).lower().replace("timestamp with time zone", "timestamptz")
        yield f"| `{column.name}` | {kind}{'' if column.nullable else ', not null'} | {column.comment} |"
    yield ""


def page(name: str) -> str:
    """Return a page as it should be."""
    text = (DOCS / name).read_text()
    if name == "commands.md":
        return filled(text, "commands", commands())
    if name == "settings.md":
        return filled(text, "settings", settings())
    for schema in ("raw", "features", "ingest"):
        text = filled(text, schema, tables(schema))
    return text


PAGES = ("settings.md", "data.md", "commands.md")

if __name__ == "__main__":
    for name in PAGES:
        (DOCS / name).write_text(page(name))
