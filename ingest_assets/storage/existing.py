"""What is stored already, for sources that compare before they ask the vendor."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Select,
    Table,
    and_,
    bindparam,
    exists,
    func,
    literal,
    select,
    union_all,
)

from ingest_assets.storage import sightings
from ingest_assets.storage.engine import reading
from ingest_assets.storage.schema import (
    DISCONNECTED,
    NEEDS_RECONNECT,
    ColumnsView,
    StoredRow,
    accounts,
    rejected_records,
)

Result = TypeVar("Result")

_ANY_REJECTED = (
    select(rejected_records.c.item_key).where(rejected_records.c.account_id == bindparam("account")).limit(1)
)


def living(table: Table, account_id: int, columns: Sequence[str], **equal: Any) -> Select[Any]:
    """Select columns of an account's rows that are not deleted, and whose other columns have these values."""
    return select(*(table.c[name] for name in columns)).where(*_living(table, account_id, equal))


def any_rejected(conn: Connection, account_id: int) -> bool:
    """Return whether the account has rejected items."""
    return conn.execute(_ANY_REJECTED, {"account": account_id}).first() is not None


@dataclass(frozen=True)
class Existing:
    """One account's rows of one table. Each method is one query, which holds up no request in flight."""

    engine: Engine
    table: Table
    workspace_id: str
    account_id: int

    async def by_id(self, external_ids: Sequence[str], columns: Sequence[str]) -> dict[str, StoredRow]:
        """Return columns of rows by external id, deleted ones too; rows that are not stored are absent."""
        table = self.table
        query = select(table.c.external_id, *(table.c[name] for name in columns)).where(
            table.c.account_id == self.account_id, table.c.external_id == func.any(list(external_ids))
        )
        return {row.external_id: row for row in await self._all(query)}

    async def by_id_of_all_accounts(
        self, external_ids: Sequence[str], columns: Sequence[str]
    ) -> dict[str, StoredRow]:
        """Return the same of rows that the accounts of a workspace share.

        `works`: whether the row's account can be read.
        """
        table = self.table
        wanted: list[ColumnElement[Any]] = [table.c[name] for name in ("external_id", *columns)]
        wanted.append(accounts.c.state.not_in([NEEDS_RECONNECT, DISCONNECTED]).label("works"))
        query = (
            select(*wanted)
            .join(accounts, accounts.c.account_id == table.c.account_id)
            .where(table.c.workspace_id == self.workspace_id, table.c.external_id == func.any(list(external_ids)))
        )
        return {row.external_id: row for row in await self._all(query)}

    async def seen_by_others(self, external_ids: Sequence[str]) -> list[str]:
        """Return those of some rows whose items another working login of the workspace sees, too."""
        query = sightings.seen_by_others(self.table, self.workspace_id, self.account_id, external_ids)
        return [row.external_id for row in await self._all(query)]

    async def handed_over(self, columns: Sequence[str]) -> Sequence[StoredRow]:
        """Return columns of living rows that another login gave to this one, and that it did not look at since."""
        noted = sightings.sightings
        mine = exists().where(
            noted.c.account_id == self.account_id,
            noted.c.table_name == self.table.name,
            noted.c.external_id == self.table.c.external_id,
        )
        return await self._all(living(self.table, self.account_id, columns).where(mine))

    async def where(self, columns: Sequence[str], **equal: object) -> Sequence[StoredRow]:
        """Return columns of living rows whose other columns have these values."""
        return await self._all(living(self.table, self.account_id, columns, **equal))

    async def where_any(
        self, column: str, values: Sequence[object], columns: Sequence[str]
    ) -> Sequence[StoredRow]:
        """Return columns of living rows whose `column` has one of some values."""
        if not values:
            return []
        query = living(self.table, self.account_id, columns)
        return await self._all(query.where(self.table.c[column] == func.any(list(values))))

    async def sample(
        self, columns: Sequence[str], most: int, *, having: str = "external_id", **equal: object
    ) -> Sequence[StoredRow]:
        """Return columns of some living rows at random, of those that have a value in `having`; it reads all."""
        query = living(self.table, self.account_id, columns, **equal).where(self.table.c[having].is_not(None))
        return await self._all(query.order_by(func.random()).limit(most))

    async def ids_between(self, column: str, since: object, until: object | None) -> set[str]:
        """Return the living rows whose `column` lies between two values, the second excluded; None is no end."""
        value = self.table.c[column]
        query = living(self.table, self.account_id, ["external_id"]).where(value >= since)
        if until is not None:
            query = query.where(value < until)
        return {row.external_id for row in await self._all(query)}

    async def values_between(
        self, sought: Sequence[tuple[ColumnsView, str]], *, after: str, before: str
    ) -> list[set[str]]:
        """For each (what has to match, column): the column's values in living rows, strictly between two."""
        table = self.table
        queries = [
            select(literal(place).label("place"), table.c[column].label("value"))
            .distinct()
            .where(*_living(table, self.account_id, equal), table.c[column] > after, table.c[column] < before)
            for place, (equal, column) in enumerate(sought)
        ]
        found: list[set[str]] = [set() for _ in sought]
        for row in await self._all(union_all(*queries)):
            found[row.place].add(row.value)
        return found

    async def count_after(self, column: str, value: str, **equal: object) -> int:
        """Count living rows whose `column` is greater than a value."""
        table = self.table
        query = select(func.count()).select_from(table)
        [row] = await self._all(query.where(*_living(table, self.account_id, equal), table.c[column] > value))
        return int(row[0])

    async def counts(self, by: str, **equal: object) -> dict[str, int]:
        """Count living rows by the values of a column."""
        column = self.table.c[by]
        query = select(column.label("value"), func.count().label("rows")).group_by(column)
        rows = await self._all(query.where(*_living(self.table, self.account_id, equal)))
        return {row.value: row.rows for row in rows}

    async def descending(
        self,
        column: str,
        until: str,
        columns: Sequence[str],
        *,
        skip: int = 0,
        limit: int,
        equal: ColumnsView,
        deleted_as: ColumnsView | None = None,
    ) -> Sequence[StoredRow]:
        """Return columns of rows from a value of `column` downwards.

        `deleted_as`: rows like this are wanted although they are deleted.
        """
        table = self.table
        wanted: ColumnElement[bool] = table.c.deleted_at.is_(None)
        if deleted_as is not None:
            wanted = wanted | and_(*(table.c[name] == value for name, value in deleted_as.items()))
        query = (
            select(*(table.c[name] for name in columns))
            .where(
                table.c.account_id == self.account_id,
                table.c[column] <= until,
                *(table.c[name] == value for name, value in equal.items()),
                wanted,
            )
            .order_by(table.c[column].desc())
            .offset(skip)
            .limit(limit)
        )
        return await self._all(query)

    async def greatest(self, column: str, **equal: object) -> str | None:
        """Return the greatest value of a column in living rows."""
        query = select(func.max(self.table.c[column]).label("greatest"))
        [row] = await self._all(query.where(*_living(self.table, self.account_id, equal)))
        found: str | None = row.greatest
        return found

    async def any_rejected(self) -> bool:
        """Return whether the account has rejected items of any table."""
        return await self._ask(lambda conn: any_rejected(conn, self.account_id))

    async def _all(self, query: Any) -> Sequence[StoredRow]:
        return await self._ask(lambda conn: conn.execute(query).all())

    async def _ask(self, ask: Callable[[Connection], Result]) -> Result:
        def asked() -> Result:
            with reading(self.engine) as conn:
                return ask(conn)

        return await asyncio.to_thread(asked)


def _living(table: Table, account_id: int, equal: ColumnsView) -> list[Any]:
    return [
        table.c.account_id == account_id,
        table.c.deleted_at.is_(None),
        *(table.c[name] == value for name, value in equal.items()),
    ]
