"""The table of checks, in the order in which they are made."""

from ingest_assets.cli.doctor import accounts, daemon, database, logins, machine, secrets
from ingest_assets.cli.doctor.running import DATABASE, TABLES, Check

CHECKS: tuple[Check, ...] = (
    Check("the settings", machine.settings),
    Check("the database", database.server),
    Check("the tables", database.schema, DATABASE),
    Check("poolers", database.pooler, DATABASE),
    Check("PostgreSQL's clock", database.clock, DATABASE),
    Check("the keys of stored logins", secrets.keys, TABLES),
    Check("the variables of stored logins", secrets.variables, TABLES),
    Check("logins in other processes", secrets.elsewhere, TABLES),
    Check("Dagster's folder", daemon.home),
    Check("Dagster's daemon", daemon.alive, DATABASE),
    Check("schedules and sensors", daemon.schedules, TABLES),
    Check("the code location", daemon.location, limit=daemon.LOADING_SECONDS + 10),
    Check("disks", machine.disk),
    Check("the list of accounts", accounts.known, TABLES),
    Check("the states of accounts", accounts.states, TABLES),
    Check("lost and unreadable parts", accounts.parts, TABLES),
    Check("what waits for a decision", accounts.waiting, TABLES),
    Check("limits of vendors", accounts.limits, TABLES),
    Check(logins.NAME, logins.logins, TABLES, limit=logins.MOST_SECONDS, asks_vendors=True),
    Check("the vendors' clocks", logins.clocks, TABLES, asks_vendors=True),
)
