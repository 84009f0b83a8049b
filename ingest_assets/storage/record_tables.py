"""The tables of schema `raw`: how a record class becomes its table, and a record a row of it."""

from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    Identity,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

from ingest_assets.storage.schema import metadata, timestamp

BOOKKEEPING = ("first_seen_at", "updated_at", "deleted_at")
"""Columns that PostgreSQL fills in."""


versions = Table(
    "versions",
    metadata,
    Column("version_id", BigInteger, Identity(always=True), primary_key=True, comment="ours"),
    Column("table_name", Text, nullable=False, comment="of schema raw"),
    Column("workspace_id", Text, nullable=False, comment="the customer"),
    Column("account_id", BigInteger, nullable=False, comment="of ingest.accounts: whose login read the item"),
    Column("external_id", Text, nullable=False, comment="the item's id at the vendor"),
    Column("valid_from", timestamp, nullable=False, comment="when the row became as it is here"),
    Column("valid_to", timestamp, nullable=False, comment="when it changed"),
    Column("deleted_at", timestamp, comment="as the row's: not null where the item was deleted all the while"),
    Column("text", Text, comment="as the row's, where its table has one"),
    Column("raw", JSONB, nullable=False, comment="as the row's"),
    Index(None, "workspace_id", "table_name", "external_id"),
    Index(None, "valid_to"),
    schema="raw",
    comment="What rows of the other tables of this schema held before they changed or were deleted.",
)
"""A trigger of each record's table writes it (migration 0013), whoever changes the row."""


class RecordRow(NamedTuple):
    """A record, ready to be stored."""

    workspace_id: str
    account_id: int
    external_id: str
    own: tuple[Any, ...]
    """The columns that the class adds, in their order."""
    parser_version: int
    raw: str
    """JSON"""
    content_hash: bytes
    deleted: bool

    @property
    def values(self) -> tuple[Any, ...]:
        """The values of the table's columns but for the bookkeeping, in their order."""
        return (
            self.workspace_id,
            self.account_id,
            self.external_id,
            *self.own,
            self.parser_version,
            self.raw,
            self.content_hash,
        )


def record_table(
    name: str,
    own: list[Column[Any]],
    indexes: tuple[tuple[str, ...], ...],
    *,
    comment: str | None,
    shared: bool = False,
) -> Table:
    """Define `raw.<name>`: the shared envelope, the source's own columns, and the bookkeeping.

    An item that several accounts of a workspace see is `shared`: one row, of the account that last wrote it.
    Raises TypeError for a column of the source's own that the others already have.
    """
    if taken := {column.name for column in own} & {*BOOKKEEPING, *RecordRow._fields}:
        raise TypeError(f"raw.{name}: every table has a column {min(taken)}; call yours otherwise.")
    return Table(
        name,
        metadata,
        Column("workspace_id", Text, nullable=False, comment="the customer"),
        Column("account_id", BigInteger, nullable=False, comment="of ingest.accounts: whose login read the item"),
        Column("external_id", Text, nullable=False, comment="the item's id at the vendor"),
        *own,
        Column(
            "parser_version",
            Integer,
            nullable=False,
            server_default="0",
            comment="of the program that derived the columns from raw",
        ),
        Column("raw", JSONB, nullable=False, comment="the item as the vendor sent it"),
        Column("content_hash", BYTEA, nullable=False, comment="of raw without its volatile fields"),
        Column("first_seen_at", timestamp, nullable=False, server_default=func.now(), comment="when it came"),
        Column("updated_at", timestamp, nullable=False, server_default=func.now(), comment="when the row changed"),
        Column("deleted_at", timestamp, comment="when we saw that the vendor shows the item no more"),
        PrimaryKeyConstraint("workspace_id" if shared else "account_id", "external_id"),
        *(Index(None, *columns) for columns in indexes),
        schema="raw",
        comment=comment,
    )
