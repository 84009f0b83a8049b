"""Checks of the database: whether it can be used, in which form it is, and what stands before it."""

from collections.abc import Iterator
from datetime import UTC
from shlex import quote

from ingest_assets.cli.doctor.finding import Finding, cannot, fine, note, problem
from ingest_assets.cli.doctor.patient import Patient
from ingest_assets.storage.engine import CLOCKS_APART, ENCODING, connect, head_revision
from ingest_assets.storage.inspecting import find_pooler, looking, schema_version, table_facts
from ingest_assets.storage.trouble import TROUBLES, address

OLDEST = 140_000  # PostgreSQL 14, as server_version_num has it
MIGRATE = "ingest-assets migrate"


def server(patient: Patient) -> Iterator[Finding]:
    """Check whether PostgreSQL answers, and whether it is one that we may use."""
    facts, where = patient.server, address(patient.app.any_engine)
    if facts.number < OLDEST:
        yield cannot(
            f"PostgreSQL at {where} is version {facts.version}; 14 is the oldest that works.",
            action="Upgrade the server, or point DATABASE_URL at another one.",
        )
    elif facts.encoding != ENCODING:
        yield cannot(
            f"The database at {where} is encoded in {facts.encoding}, which cannot hold every text.",
            action=f"Create one with encoding '{ENCODING}' and template template0, and migrate it.",
        )
    elif facts.standby:
        yield cannot(
            f"PostgreSQL at {where} is a standby, which takes no writes.",
            action="Let DATABASE_URL name the primary, or add target_session_attrs=read-write to it.",
        )
    else:
        yield fine(f"PostgreSQL {facts.version} answers at {where}.")


def schema(patient: Patient) -> Iterator[Finding]:
    """Check whether our tables are there in this program's form, and whether we see their rows."""
    with looking(patient.app.any_engine) as conn:
        found, facts, role = schema_version(conn), table_facts(conn), patient.server.role
    expected = head_revision()
    if found is None:
        yield problem("The database has no tables of ours yet.", command=MIGRATE)
    elif found < expected:
        yield problem(f"The database is at migration {found}, and this program needs {expected}.", command=MIGRATE)
    elif found > expected:
        yield cannot(
            f"The database is at migration {found}, and this program only knows {expected}.",
            action="Update ingest_assets: another process with a newer version has migrated the database.",
        )
    else:
        yield fine(f"The database is at migration {found}, the newest.")
    if facts is not None and facts.blind:
        grant = quote(f'grant "{facts.owner}" to "{role}"')
        yield cannot(
            f"The role {role!r} does not own our tables, so row-level security hides every row from it.",
            command=f'psql "$DATABASE_URL" -U {quote(facts.owner)} -c {grant}',
        )
    elif facts is not None and not (facts.readable and facts.writable):
        yield cannot(
            f"The role {role!r} may not read and write our tables.",
            command='psql "$ADMIN_URL" -v ON_ERROR_STOP=1 -f deploy/roles.sql',
        )


def pooler(patient: Patient) -> Iterator[Finding]:
    """Check whether something like PgBouncer stands before the server, and whether it disturbs."""
    engine = patient.app.any_engine
    before = find_pooler(engine)
    if not before.present:
        yield fine("No pooler stands between this process and PostgreSQL.")
    elif before.by_transaction:
        yield note(
            f"A pooler in transaction mode stands before PostgreSQL at {address(engine)}, which is fine for "
            "ingest_assets, and not for Dagster's web server.",
            action="Give DAGSTER_POSTGRES_URL a direct address, or a pool in session mode.",
        )
    else:
        yield fine(f"A pooler stands before PostgreSQL at {address(engine)}; its mode did not show.")
    if url := patient.environ.get("DAGSTER_POSTGRES_URL"):
        yield from _of_dagster(url)


def _of_dagster(url: str) -> Iterator[Finding]:
    try:
        engine = connect(url, pool_size=2)
    except ValueError:  # the check of Dagster's daemon tells it, and also that it does not answer
        return
    try:
        if find_pooler(engine).by_transaction:
            yield problem(
                "DAGSTER_POSTGRES_URL leads to a pooler in transaction mode, where the web server's settings of "
                "its session end up in other sessions.",
                action="Give DAGSTER_POSTGRES_URL a direct address, or a pool in session mode.",
            )
    except TROUBLES:
        return
    finally:
        engine.dispose()


def clock(patient: Patient) -> Iterator[Finding]:
    """Compare this machine's clock with PostgreSQL's."""
    theirs = patient.server.now.astimezone(UTC)
    apart = patient.now - theirs
    if abs(apart) > CLOCKS_APART:
        yield cannot(
            f"The clock of this machine says {patient.now:%Y-%m-%d %H:%M:%S} UTC, and PostgreSQL's said "
            f"{theirs:%H:%M:%S} UTC on {theirs:%Y-%m-%d} at that moment.",
            action="Set the wrong one by NTP (`timedatectl set-ntp true`): syncs and logins need both.",
        )
    else:
        yield fine("This machine's clock and PostgreSQL's agree.")
