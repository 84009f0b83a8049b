"""The view of coverage tells since when what is old was looked at again."""

from importlib import import_module

from alembic import op

revision = "0015"
down_revision = "0014"

COVERAGE = import_module("ingest_assets.migrations.versions.0014_coverage").COVERAGE

# Slack's channels hold stretches of two kinds; of Gong and Fathom all is looked at in one go. What is a quarter of
# its days late is told as a gap. Accounts that want the newest or the last hours alone look at nothing again.
AUDITED = """
union all
select workspace_id, source, name, what, nullif(min(oldest), to_timestamp(0)), max(latest), min(read_at),
    case when min(read_at + days * interval '30 hours') < now() then 'audit due' else 'audited' end,
    'looked at again every ' || round(max(days)::numeric, 1)::real || ' days'
        || coalesce('; longest ago: ' || (array_agg(place order by read_at))[1], '')
from (
    select p.workspace_id, p.source, p.name, kind.what, p.part as place,
        ingest.moment_of(stretch ->> 'oldest') as oldest, ingest.moment_of(stretch ->> 'latest') as latest,
        (stretch ->> 'read_at')::timestamptz as read_at,
        (p.cursor -> 'audited' ->> (kind.track || '_days'))::double precision as days
    from position as p
    cross join (values ('messages', 'older messages'), ('threads', 'threads')) as kind (track, what)
    cross join lateral jsonb_array_elements(p.cursor -> 'audited' -> kind.track) as stretch
    union all
    select p.workspace_id, p.source, p.name, p.part as what, null, ingest.moment_of(p.cursor ->> 'covered_from'),
        ingest.moment_of(p.cursor ->> 'covered_to'), (p.cursor ->> 'wide_at')::timestamptz, 7
    from position as p join ingest.accounts as a on a.account_id = p.account_id
    where p.cursor ->> 'wide_at' > '0002' and a.settings ->> 'last_hours' is null
        and coalesce(a.settings ->> 'newest_calls', a.settings ->> 'newest_sessions') is null
) as audited
group by workspace_id, source, name, what
"""


def upgrade() -> None:
    op.execute(COVERAGE.replace("create view", "create or replace view") + AUDITED)


def downgrade() -> None:
    op.execute("drop view ingest.coverage")
    op.execute(COVERAGE)
    op.execute(
        "comment on view ingest.coverage is 'Which ranges of each part were read, and what is missing and why.'"
    )
