"""The one statement that opens, escalates and closes incidents, and writes the messages that are to be sent.

It is made of common table expressions, which all see the database as it was when it began:

    symptoms    what is the matter with whom: (cause, subject, workspace, since)
    changes     symptoms by cause and subject, beside the incident that is open for them
    opened, kept, closed, forgotten, dropped, told    what is written

An account has one symptom at most: a login that was refused is not stale besides.
"""

from collections.abc import Mapping

from sqlalchemy import Table, TextClause, text

SYMPTOMS = """
    causes as (
        select * from unnest(
            cast(:causes as text[]), cast(:severities as text[]), cast(:ages as interval[]), cast(:each as bool[])
        ) as given(cause, severity, least_age, is_each)
    ),
    kinds as (select * from unnest(cast(:kinds as text[]), cast(:kind_causes as text[])) as given(kind, cause)),
    outcomes as (
        select * from unnest(cast(:outcomes as text[]), cast(:outcome_causes as text[])) as given(outcome, cause)
    ),
    gap as (select looked_at from ingest.watch where name = :name and looked_at < :now - cast(:gap as interval)),
    read as materialized (
        select account_id, workspace_id, source, state, state_since, error_kind, error_since, due_at, lease_owner,
            lease_until, coalesce(last_success_at, created_at) as fresh_from, last_success_at
        from ingest.accounts where state not in ('paused', 'disconnected')
    ),
    asked as (
        select source, max(last_success_at) as newest, count(distinct workspace_id) as workspaces
        from read where state <> 'needs_reconnect' group by source
    ),
    down as (
        select source, min(error_since) as since
        from read join asked using (source)
        where state <> 'needs_reconnect' and error_kind = 'transient'
            and error_since >= coalesce(newest, '-infinity')
        group by source, workspaces
        having count(distinct workspace_id) >= least(:many, workspaces / 2 + 1)
    ),
    explained as (
        select subject, max(coalesce(closed_at, :now)) as until from ingest.incidents
        where cause = any(cast(:explaining as text[])) and opened_at is not null group by subject
        union all
        select 'gap', :now from gap
    ),
    ill as (
        select
            case
                when state = 'needs_reconnect' then 'login_refused'
                when down.source is not null
                    and (error_kind = 'transient' or (error_kind is null and due_at <= :now)) then 'vendor_down'
                when kinds.cause is not null and (error_kind = 'quota_spent' or state = 'failing') then kinds.cause
                when lease_owner is not null and lease_until < :now then 'dead_worker'
                when fresh_from < :now - cast(:objective as interval) then 'stale'
            end as cause,
            read.source as subject, workspace_id, state_since, error_since, lease_until, down.since as down_since,
            greatest(
                fresh_from + cast(:objective as interval), own.until, every.until, unwatched.until
            ) as stale_since
        from read
        left join down on down.source = read.source
        left join kinds on kinds.kind = error_kind
        left join explained own on own.subject = read.source
        left join explained every on every.subject = ''
        left join explained unwatched on unwatched.subject = 'gap'
    ),
    rejected as (
        select workspace_id, source, array_agg(account_id) as account_ids, sum(items) as items, min(since) as since
        from (
            select account_id, count(*) as items, min(first_seen_at) as since
            from ingest.rejected_records group by account_id
        ) as counted join read using (account_id)
        group by workspace_id, source
    ),
    stored as (
        select rejected.*, case source {stored} else 0 end as stored from rejected
    ),
    symptoms as (
        select cause, subject, workspace_id,
            case cause
                when 'login_refused' then state_since
                when 'vendor_down' then down_since
                when 'dead_worker' then lease_until
                when 'stale' then stale_since
                else coalesce(error_since, state_since)
            end as since
        from ill where cause is not null
        union all
        select 'part_lost', source, workspace_id, lost.since
        from (
            select account_id, min(coalesce(left_at, since)) as since from ingest.unreadable_parts
            where acknowledged_at is null and (left_at is not null or attempts > 1) group by account_id
        ) as lost join read using (account_id)
        where state <> 'needs_reconnect'
        union all
        select 'rejected_share', source, workspace_id, since from stored
        where items > :share * (items + stored)
        union all
        select outcomes.cause, :model, workspace_id, made_at
        from features.model_requests stop join outcomes using (outcome)
        join ingest.workspaces using (workspace_id)
        where wait_until > :now - cast(:settle as interval) and external_id is null and removed_at is null
            and not exists (
                select from features.model_requests later
                where later.workspace_id = stop.workspace_id and later.source = stop.source
                    and later.made_at > stop.made_at and later.outcome = 'answered'
            )
        union all
        select 'database', '', null, looked_at from gap
    )
"""

STORED = (
    "when '{source}' then (select count(*) from (select from {table} kept where kept.account_id = any(account_ids)"
    " limit :telling * items) as counted)"
)

CHANGES = """
    seen as (
        select cause, subject, min(since) as since,
            array_remove(array_agg(distinct workspace_id order by workspace_id), null) as workspaces
        from symptoms group by cause, subject
    ),
    compared as (
        select seen.cause, seen.subject, causes.severity, causes.is_each, seen.workspaces,
            least(seen.since, old.since) as since, old.incident_id, old.opened_at, old.level, old.level_at,
            old.told, old.workspaces as before,
            least(seen.since, old.since) <= :now - causes.least_age as is_old
        from seen join causes using (cause)
        left join ingest.incidents old
            on old.cause = seen.cause and old.subject = seen.subject and old.closed_at is null
    ),
    changes as (
        select compared.*,
            coalesce(opened_at <= :now and (
                (level_at <= opened_at and opened_at <= :now - cast(:escalate as interval))
                or cardinality(workspaces) >= :growth * greatest(cardinality(told), 1)
                or (is_each and level_at <= :now - cast(:pause as interval) and exists (
                    select unnest(workspaces) except select unnest(told)
                ))
            ), false) as is_worse
        from compared
    )
"""

WRITES = """
    opened as (
        insert into ingest.incidents
            (cause, subject, severity, since, seen_at, opened_at, level_at, workspaces, told)
        select cause, subject, severity, since, :now, case when is_old then cast(:now as timestamptz) end, :now,
            workspaces, workspaces
        from changes where incident_id is null
        returning *
    ),
    kept as (
        update ingest.incidents i set
            since = changes.since, seen_at = :now, severity = changes.severity,
            workspaces = case when i.workspaces = changes.workspaces then i.workspaces else changes.workspaces end,
            opened_at = case when changes.is_old then coalesce(i.opened_at, :now) else i.opened_at end,
            level = i.level + is_worse::int,
            level_at = case when is_worse or i.opened_at is null then :now else i.level_at end,
            told = case when is_worse or i.opened_at is null then changes.workspaces else i.told end
        from changes where i.incident_id = changes.incident_id
        returning i.*, is_worse
    ),
    closed as (
        update ingest.incidents i set closed_at = :now
        where closed_at is null and opened_at is not null and seen_at <= :now - cast(:settle as interval)
            and not exists (select from seen where seen.cause = i.cause and seen.subject = i.subject)
        returning *
    ),
    forgotten as (
        delete from ingest.incidents i
        where closed_at is null and opened_at is null and seen_at <= :now - cast(:settle as interval)
            and not exists (select from seen where seen.cause = i.cause and seen.subject = i.subject)
        returning incident_id
    ),
    dropped as (
        update ingest.incident_messages m set dropped_at = :now
        where sent_at is null and dropped_at is null and (
            (attempts = 0 and m.incident_id in (select incident_id from closed))
            or (attempts = 0 and kind = 'escalated'
                and m.incident_id in (select incident_id from kept where is_worse))
            or created_at < :now - cast(:give_up as interval)
        )
        returning message_id
    ),
    events as (
        select incident_id, 'opened' as kind, 1 as level, receiver
        from (
            select incident_id, opened_at from opened union all select incident_id, opened_at from kept
        ) as present
        cross join unnest(cast(:receivers as text[])) as receiver
        where opened_at is not null
        union all
        select kept.incident_id, 'escalated', kept.level, m.receiver
        from kept join ingest.incident_messages m on m.incident_id = kept.incident_id and m.kind = 'opened'
        where is_worse and m.attempts > 0 and m.receiver = any(cast(:receivers as text[]))
        union all
        select closed.incident_id, 'recovered', closed.level, m.receiver
        from closed join ingest.incident_messages m on m.incident_id = closed.incident_id and m.kind = 'opened'
        where m.attempts > 0 and m.receiver = any(cast(:receivers as text[]))
    ),
    told as (
        insert into ingest.incident_messages (incident_id, kind, level, receiver, created_at, next_try_at)
        select incident_id, kind, level, receiver, :now, :now from events
        where not exists (
            select from ingest.incident_messages m
            where m.incident_id = events.incident_id and m.kind = events.kind and m.level = events.level
                and m.receiver = events.receiver
        )
        returning message_id
    ),
    stamped as (
        insert into ingest.watch (name, looked_at) values (:name, :now)
        on conflict (name) do update set looked_at = greatest(watch.looked_at, excluded.looked_at)
        returning name
    )
    select
        (select count(*) from opened where opened_at is not null)
            + (select count(*) from kept where opened_at = :now) as opened,
        (select count(*) from kept where is_worse) as escalated,
        (select count(*) from closed) as closed,
        (select count(*) from kept where opened_at is not null)
            + (select count(*) from opened where opened_at is not null) as open,
        (select count(*) from told) as messages,
        (select count(*) from stamped) as stamps
"""


def statement(tables: Mapping[str, Table]) -> TextClause:
    """Return the statement for the sources' main tables."""
    stored = " ".join(STORED.format(source=name, table=table.fullname) for name, table in tables.items())
    symptoms = SYMPTOMS.replace("{stored}", stored)
    return text(f"with {symptoms}, {CHANGES}, {WRITES}")
