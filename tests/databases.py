"""Migrated databases, one per test: emptied and renamed after it, and dropped where more than rows has changed.

Copying a database creates some 600 files and costs 150 ms of CPU; emptying one costs 15 ms. A test cannot tell
a used database from a copy: the next one starts only where nobody is connected any more, the catalogs are
equal to the template's, no row is left, the sequences are reset, and no address of before leads to it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

import psycopg
from psycopg import sql
from psycopg.errors import ObjectInUse
from sqlalchemy import Engine

from ingest_assets.storage.engine import connect
from ingest_assets.storage.migrate import migrate
from ingest_simulator import embedded

VERSION = "ingest.alembic_version"  # the one table that is not empty after a migration
LARGE = 128 * 1024  # bytes of a table that is truncated; below, where nearly all are, to delete is quicker
PATIENCE = 1.0  # seconds until the server has noticed that its clients left
OURS = 16384  # the first object id that is not the server's own

CATALOGS = f"""
    select md5(concat_ws(E'\\n',
        (select version_num from {VERSION}),
        (select (datdba, datistemplate, datallowconn, datconnlimit, datacl)::text
            from pg_database where datname = current_database()),
        (select string_agg(c::text, ' ' order by c::text) from (
            select oid, relname, relnamespace, reltype, relowner, relam, relkind, relpersistence, reltablespace,
                relnatts, relchecks, relhasrules, relhastriggers, relrowsecurity, relforcerowsecurity,
                relispartition, relreplident, relacl, reloptions
            from pg_class where oid >= {OURS}) c),
        (select string_agg(n::text, ' ' order by oid) from pg_namespace n where nspname !~ '^pg_(toast_)?temp_'),
        (select string_agg(a::text, ' ' order by attrelid, attnum) from pg_attribute a where attrelid >= {OURS}),
        (select string_agg(d::text, ' ' order by oid) from pg_attrdef d),
        (select string_agg(i::text, ' ' order by indexrelid) from pg_index i where indexrelid >= {OURS}),
        (select string_agg(c::text, ' ' order by oid) from pg_constraint c where oid >= {OURS}),
        (select string_agg(t::text, ' ' order by oid) from pg_trigger t),
        (select string_agg(p::text, ' ' order by oid) from pg_policy p),
        (select string_agg(p::text, ' ' order by oid) from pg_proc p where oid >= {OURS}),
        (select string_agg(t::text, ' ' order by oid) from pg_type t where oid >= {OURS}),
        (select string_agg(r::text, ' ' order by oid) from pg_rewrite r where oid >= {OURS}),
        (select string_agg(s::text, ' ' order by seqrelid) from pg_sequence s),
        (select string_agg(e::text, ' ' order by oid) from pg_extension e),
        (select string_agg(e::text, ' ' order by oid) from pg_event_trigger e),
        (select string_agg(c::text, ' ' order by oid) from pg_cast c where oid >= {OURS}),
        (select string_agg(d::text, ' ' order by oid) from pg_default_acl d),
        (select string_agg(p::text, ' ' order by oid) from pg_publication p),
        (select string_agg(s::text, ' ' order by s::text) from pg_statistic_ext s),
        (select string_agg(l::text, ' ' order by oid) from pg_largeobject_metadata l),
        (select string_agg((setrole, setconfig)::text, ' ' order by setrole) from pg_db_role_setting
            where setdatabase = (select oid from pg_database where datname = current_database())),
        (select string_agg(gid, ' ') from pg_prepared_xacts where database = current_database())
    ))
"""
"""A digest of all that can be changed in a database besides rows; of no statistics and no places of files."""


class Databases:
    """The databases of one test worker."""

    def __init__(self, postgres: embedded.Server) -> None:
        self._postgres = postgres
        self._admin = psycopg.connect(postgres.url("postgres"), autocommit=True)
        self._idle: list[str] = []
        self.template = _name("template")
        engine = connect(postgres.create_database(self.template))
        migrate(engine)
        engine.dispose()
        with psycopg.connect(postgres.url(self.template)) as conn:
            [[self._catalogs]] = conn.execute(CATALOGS).fetchall()
            names = conn.execute(
                "select oid::regclass::text from pg_class"
                " where relkind = 'r' and oid >= %s and oid <> %s::regclass order by 1",
                [OURS, VERSION],
            ).fetchall()
            self._tables = [table for (table,) in names]
        filled = " union all ".join(
            f"select '{table}', pg_relation_size('{table}') where exists (select from {table})"
            for table in self._tables
        )
        self._filled = f"select * from ({filled}) as filled(name, bytes)"

    def close(self) -> None:
        self._admin.close()

    @contextmanager
    def one(self) -> Iterator[str]:
        """Yield the address of a migrated, empty database that lasts as long as the block."""
        name = _name("test")
        if self._idle:
            self._rename(self._idle.pop(), name)
        else:
            self._postgres.create_database(name, template=self.template)
        try:
            yield self._postgres.url(name)
        finally:
            if not self._kept(name):
                self._postgres.drop_database(name)

    def _kept(self, name: str) -> bool:
        """Empty a database and take its name away; False where it cannot be used again."""
        if not self._left(name):
            return False
        try:
            with psycopg.connect(self._postgres.url(name)) as conn:
                if not self._emptied(conn):
                    return False
        except psycopg.Error:  # closed to connections, read-only, or with settings that end statements
            return False
        idle = _name("idle")
        try:
            self._rename(name, idle)
        except ObjectInUse:
            return False
        self._idle.append(idle)
        return True

    def _left(self, name: str) -> bool:
        """Wait until nobody is connected to a database."""
        deadline = time.monotonic() + PATIENCE
        while self._admin.execute("select from pg_stat_activity where datname = %s", [name]).fetchone():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)  # between looks at another process
        return True

    def _emptied(self, conn: psycopg.Connection) -> bool:
        [[catalogs]] = conn.execute(CATALOGS).fetchall()
        if catalogs != self._catalogs:
            return False
        conn.execute("set local session_replication_role = replica")  # no foreign key asks for an order
        filled = conn.execute(self._filled).fetchall()
        for table in (table for table, size in filled if size <= LARGE):
            conn.execute(f"delete from {table}")
        if large := [table for table, size in filled if size > LARGE]:
            conn.execute(f"truncate {', '.join(large)} cascade")
        conn.execute(
            "select setval(seqrelid, seqstart, false) from pg_sequence"
            " where pg_sequence_last_value(seqrelid) is not null"
        )
        return True

    def _rename(self, name: str, new: str) -> None:
        """Raises ObjectInUse where somebody is connected."""
        statement = sql.SQL("alter database {} rename to {}").format(sql.Identifier(name), sql.Identifier(new))
        self._admin.execute(statement)


def _name(kind: str) -> str:
    return f"{kind}_{uuid4().hex[:12]}"


def advisory_locks(engine: Engine) -> int:
    """Count those that are held in a database; other tests have databases of their own on the same server."""
    held = """
        select count(*) from pg_locks join pg_database on pg_database.oid = pg_locks.database
        where locktype = 'advisory' and datname = current_database()
    """
    with engine.connect() as conn:
        found: int = conn.exec_driver_sql(held).scalar_one()
    return found
