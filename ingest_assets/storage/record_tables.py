"""The tables of schema `raw`: how a record class becomes its table."""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects.postgresql import BYTEA, JSONB

from ingest_assets.storage.schema import metadata, timestamp


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
    """
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
