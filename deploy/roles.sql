-- Three roles that have no more than they need. Run it as a superuser in the database of DATABASE_URL, before or
-- after `ingest-assets migrate`, as often as you like:
--
--     psql "$ADMIN_URL" -v ON_ERROR_STOP=1 -f deploy/roles.sql
--
-- ingest_owner   owns the tables: for `ingest-assets migrate` alone
-- ingest_writer  what everything else runs as: writes rows of all workspaces, changes no table
-- ingest_reader  reads raw.* and features.* of the workspace that its session names, and no login:
--                set ingest.workspace_id = 'acme'
--
-- Give them passwords (`\password ingest_writer`), or let pg_hba.conf say how they log in.

do $$
begin
    if not exists (select from pg_roles where rolname = 'ingest_owner') then
        create role ingest_owner login;
    end if;
    if not exists (select from pg_roles where rolname = 'ingest_writer') then
        create role ingest_writer login bypassrls;
    end if;
    if not exists (select from pg_roles where rolname = 'ingest_reader') then
        create role ingest_reader login;
    end if;
    execute format('grant connect, create on database %I to ingest_owner', current_database());
    execute format('grant connect, temporary on database %I to ingest_writer', current_database());
    execute format('grant connect on database %I to ingest_reader', current_database());
end $$;

create schema if not exists raw;
create schema if not exists ingest;
create schema if not exists features;

-- what another role made before
do $$
declare
    made record;
begin
    for made in select oid::regnamespace as name from pg_namespace where nspname in ('raw', 'ingest', 'features') loop
        execute format('alter schema %s owner to ingest_owner', made.name);
    end loop;
    -- tables and views; sequences and indexes follow them
    for made in
        select oid::regclass as name from pg_class
        where relkind in ('r', 'p', 'v', 'm') and relnamespace::regnamespace::text in ('raw', 'ingest', 'features')
    loop
        execute format('alter table %s owner to ingest_owner', made.name);
    end loop;
    for made in
        select oid::regprocedure as name from pg_proc
        where pronamespace::regnamespace::text in ('raw', 'ingest', 'features')
    loop
        execute format('alter routine %s owner to ingest_owner', made.name);
    end loop;
end $$;

grant usage on schema raw, ingest, features to ingest_writer;
grant select, insert, update, delete on all tables in schema raw, ingest, features to ingest_writer;
alter default privileges for role ingest_owner in schema raw, ingest, features
    grant select, insert, update, delete on tables to ingest_writer;

grant usage on schema raw, features to ingest_reader;
grant select on all tables in schema raw, features to ingest_reader;
alter default privileges for role ingest_owner in schema raw, features grant select on tables to ingest_reader;

-- Dagster makes its own tables there. Those that another role made before: reassign owned by THAT_ROLE to ingest_writer
grant usage, create on schema public to ingest_writer;
