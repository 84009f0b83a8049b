"""Coverage: which ranges of each part were read, and what is missing and why."""

from alembic import op

revision = "0014"
down_revision = "0013"

# Slack's cursors hold its own "seconds.micros", the others ISO times
MOMENT_OF = """
create function ingest.moment_of(value text) returns timestamptz language sql stable as $$
    select case
        when value ~ '^[0-9]+[.][0-9]+$' then to_timestamp(value::double precision) else value::timestamptz
    end
$$
"""
# An archived channel was read to its end: nothing is written to its cursor any more, and nothing is said in it.
# a view is run with its owner's rights, whom row-level security does not hold back: so it looks at its user itself
COVERAGE = """
create view ingest.coverage as
with account as (
    select account_id, workspace_id, source, name, state, reason, attempts, due_at, last_success_at, state_since
    from ingest.accounts
    where state <> 'disconnected'
        and (workspace_id = current_setting('ingest.workspace_id', true)
            or not row_security_active('ingest.accounts'))
), position as (
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
    ingest.moment_of(coalesce(unread ->> 'latest', unread ->> 'until')), updated_at,
    'unread', coalesce(reason, 'the next sync goes on')
from position, jsonb_array_elements(cursor -> 'unread') as unread
union all
select a.workspace_id, a.source, a.name, p.name, null, null, p.last_tried_at,
    case when p.acknowledged_at is null then 'unreadable' else 'acknowledged' end,
    coalesce(p.action, p.code)
from ingest.unreadable_parts as p join account as a on a.account_id = p.account_id
union all
select a.workspace_id, a.source, a.name, r.table_name, null, null, max(r.last_seen_at),
    'rejected', count(*) || ' items could not be parsed or stored; `ingest-assets rejected list` names them'
from ingest.rejected_records as r join account as a on a.account_id = r.account_id
group by a.workspace_id, a.source, a.name, r.table_name
union all
select a.workspace_id, a.source, a.name, 'transcripts', min(m.occurred_at), max(m.occurred_at), null,
    'pending', count(*) || ' transcripts are not there yet; they are looked for ever more rarely'
from missing_transcript as m join account as a on a.account_id = m.account_id
group by a.workspace_id, a.source, a.name
union all
select workspace_id, source, name, 'account', last_success_at, null, last_success_at,
    'not read', coalesce(reason, case when last_success_at is null then 'it was never read' else state end)
from account
where state <> 'active' or attempts > 0 or last_success_at is null
"""


def upgrade() -> None:
    op.execute(MOMENT_OF)
    op.execute(COVERAGE)
    op.execute(
        "comment on view ingest.coverage is 'Which ranges of each part were read, and what is missing and why.'"
    )


def downgrade() -> None:
    op.execute("drop view ingest.coverage")
    op.execute("drop function ingest.moment_of(text)")
