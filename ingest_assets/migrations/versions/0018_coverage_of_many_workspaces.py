"""Coverage: what was looked at again and when, held deletions, what settings leave out; one workspace alone."""

from importlib import import_module

from alembic import op

revision = "0018"
down_revision = "0017"

# Slack's channels hold stretches of two kinds; of Gong and Fathom all is looked at in one go. What is a quarter of
# its days late is told as a gap. Accounts that want the newest or the last hours alone look at nothing again.
# `not materialized`: PostgreSQL would put together the parts of every workspace for a question about one
COVERAGE = """
create view ingest.coverage as
with account as not materialized (
    select account_id, workspace_id, source, name, settings, state, reason, attempts, last_success_at
    from ingest.accounts
    where state <> 'disconnected'
        and (workspace_id = current_setting('ingest.workspace_id', true)
            or not row_security_active('ingest.accounts'))
), position as not materialized (
    select a.*, c.cursor, c.updated_at, c.cursor ->> 'archived' = 'true' as closed,
        case when c.cursor ->> 'archived' = 'true' then greatest(c.updated_at, a.last_success_at) else c.updated_at
        end as read_at, coalesce('#' || channel.name, nullif(c.stream, ''), 'account') as part
    from ingest.sync_cursors as c
    join account as a on a.account_id = c.account_id
    left join raw.slack_channels as channel
        on a.source = 'slack' and channel.account_id = c.account_id and channel.external_id = c.stream
    where c.cursor ? 'covered_from'
), missing_transcript as (
    select account_id, occurred_at from raw.gong_calls
    where transcript_state in ('listed', 'pending') and deleted_at is null
    union all
    select account_id, occurred_at from raw.fathom_sessions
    where transcript_state in ('listed', 'pending') and deleted_at is null
)
select workspace_id, source, name as account, part, ingest.moment_of(cursor ->> 'covered_from') as range_from,
    case when closed then read_at else coalesce(ingest.moment_of(cursor ->> 'covered_to'), updated_at) end
        as range_to,
    read_at, 'covered' as state, null as reason
from position
union all
select workspace_id, source, name, part, ingest.moment_of(coalesce(unread ->> 'oldest', unread ->> 'since')),
    ingest.moment_of(coalesce(unread ->> 'latest', unread ->> 'until')), updated_at, 'unread',
    coalesce(
        substring(reason from 'waits until [-0-9]+ [0-9:]+ UTC for its share of requests'),
        case when state <> 'active' or attempts > 0 then reason end,
        'the next sync goes on'
    )
from position, jsonb_array_elements(cursor -> 'unread') as unread
union all
select a.workspace_id, a.source, a.name, p.name, null, null, p.last_tried_at,
    case when p.acknowledged_at is null then 'unreadable' else 'acknowledged' end,
    coalesce(p.action, p.code)
from ingest.unreadable_parts as p join account as a on a.account_id = p.account_id
union all
select a.workspace_id, a.source, a.name, r.table_name, null, null, max(r.last_seen_at),
    'rejected', case count(*) when 1 then '1 item' else count(*) || ' items' end
        || ' could not be parsed or stored; see `ingest-assets rejected list`'
from ingest.rejected_records as r join account as a on a.account_id = r.account_id
group by a.workspace_id, a.source, a.name, r.table_name
union all
select a.workspace_id, a.source, a.name, 'transcripts', min(m.occurred_at), max(m.occurred_at), null,
    'pending', case count(*) when 1 then '1 transcript is' else count(*) || ' transcripts are' end
        || ' not there yet, and looked for ever more rarely'
from missing_transcript as m join account as a on a.account_id = m.account_id
group by a.workspace_id, a.source, a.name
union all
select workspace_id, source, name, 'account', last_success_at, null, last_success_at,
    'not read', coalesce(reason, case when last_success_at is null then 'it was never read' else state end)
from account
where state <> 'active' or attempts > 0 or last_success_at is null
union all
select workspace_id, source, name, 'account', null, null, null, 'left out', what || ', by setting'
from account cross join lateral (values
    (source = 'gong' and coalesce(settings ->> 'include_private', '') <> 'true', 'private calls'),
    (settings ->> 'public_only' = 'true', 'private channels'),
    (settings #>> '{channels,0}' is not null, 'all but the chosen channels'),
    (settings #>> '{labels,0}' is not null, 'mail without one of the chosen labels'),
    (settings #>> '{exclude_labels,0}' is not null, 'mail with one of the excluded labels'),
    (coalesce(settings ->> 'newest_calls', settings ->> 'newest_sessions', settings ->> 'newest_threads')
        is not null, 'all but the newest of each look'),
    (settings ->> 'last_hours' is not null, 'what is older than the chosen hours')
) as choice (made, what)
where made
union all
select a.workspace_id, a.source, a.name, h.part, null, null, max(h.last_seen_at),
    case when h.decision is null then 'held' else 'kept' end,
    count(*) || ' rows that the vendor no longer shows ' || case
        when h.decision is null then 'wait for a decision; `ingest-assets deletions review` shows them'
        else 'are kept, as ' || to_char(max(h.decided_at) at time zone 'UTC', 'YYYY-MM-DD') || ' decided'
    end
from ingest.held_deletions as h join account as a on a.account_id = h.account_id
where h.decision is distinct from 'accepted'
group by a.workspace_id, a.source, a.name, h.part, h.decision
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
    from position as p
    where p.cursor ->> 'wide_at' > '0002' and p.settings ->> 'last_hours' is null
        and coalesce(p.settings ->> 'newest_calls', p.settings ->> 'newest_sessions') is null
) as audited
group by workspace_id, source, name, what
"""
COMMENT = "comment on view ingest.coverage is 'Which ranges of each part were read, and what is missing and why.'"


def upgrade() -> None:
    op.execute("drop view ingest.coverage")
    op.execute(COVERAGE)
    op.execute(COMMENT)


def downgrade() -> None:
    op.execute("drop view ingest.coverage")
    op.execute(import_module("ingest_assets.migrations.versions.0014_coverage").COVERAGE)
    op.execute(COMMENT)
