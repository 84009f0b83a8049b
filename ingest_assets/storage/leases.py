"""Leases by name: the right to do something alone, kept by a living process and ended by the clock for a dead one.

A lease is a row. A session's advisory lock stays behind in a pooler that gives every transaction another session,
and after kill -9 until PostgreSQL notices that the session is gone.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Event, Thread
from uuid import UUID, uuid4

from sqlalchemy import Connection, Engine, Interval, and_, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.storage.schema import leases

RENEWALS = 3  # in the length of a lease: two may fail
_FROM_NOW = func.clock_timestamp() + bindparam("length", type_=Interval)
_INSERT = insert(leases).values(
    name=bindparam("name"), owner=bindparam("owner"), token=bindparam("token"), until=_FROM_NOW
)
_TAKE = _INSERT.on_conflict_do_update(
    index_elements=["name"],
    set_={column: _INSERT.excluded[column] for column in ("owner", "token", "until")},
    where=or_(leases.c.until <= func.clock_timestamp(), leases.c.owner == _INSERT.excluded.owner),
).returning(leases.c.until)
_MINE = and_(leases.c.name == bindparam("held"), leases.c.token == bindparam("by"))
_RENEW = update(leases).where(_MINE).values(until=_FROM_NOW)
_RELEASE = update(leases).where(_MINE).values(until=func.clock_timestamp())


@dataclass
class NamedLease:
    """A lease that was asked for: whether it was free, and whether it still is ours."""

    taken: bool
    until: datetime
    """When it ends unless its owner renews it, ours or another."""
    _lost: Event = field(default_factory=Event)

    @property
    def lost(self) -> bool:
        """Whether another owner took it over, after this process gave no sign for the lease's length."""
        return self._lost.is_set()


@contextmanager
def lease(engine: Engine, name: str, *, owner: str, length: timedelta) -> Iterator[NamedLease]:
    """Take a lease, renew it by a thread, and let it go at the end. The same owner may take it again."""
    token = uuid4()
    with engine.begin() as conn:
        asked = _take(conn, name, owner, token, length)
    if not asked.taken:
        yield asked
        return
    done, mine = Event(), {"held": name, "by": token}

    def keep() -> None:
        while not done.wait(length.total_seconds() / RENEWALS):
            with suppress(SQLAlchemyError), engine.begin() as conn:  # the owner meets the same database and tells
                if not conn.execute(_RENEW, {**mine, "length": length}).rowcount:
                    asked._lost.set()
                    return

    thread = Thread(target=keep, name=f"lease {name}", daemon=True)
    thread.start()
    try:
        yield asked
    finally:
        done.set()
        thread.join()
        with suppress(SQLAlchemyError), engine.begin() as conn:  # else it expires; report the first error
            conn.execute(_RELEASE, mine)


def _take(conn: Connection, name: str, owner: str, token: UUID, length: timedelta) -> NamedLease:
    given = {"name": name, "owner": owner, "token": token, "length": length}
    until = conn.execute(_TAKE, given).scalar()
    if until is not None:
        return NamedLease(True, until)
    return NamedLease(False, conn.execute(select(leases.c.until).where(leases.c.name == name)).scalar_one())
