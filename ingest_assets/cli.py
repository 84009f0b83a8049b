"""`ingest-assets`: a thin skin over plain functions.

Exit codes: 0 done or nothing to be done, 1 a sync did not succeed, 2 the request or the environment cannot be used
(were it only for one of many accounts).
"""

import sys
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import EntryPoints, entry_points
from typing import Any, Literal, get_args, get_origin
from uuid import uuid4

import click
from pydantic.fields import FieldInfo
from sqlalchemy import Connection, Row

from ingest_assets.app import App
from ingest_assets.connecting import connect_account
from ingest_assets.errors import NO_WORKSPACE, IngestError
from ingest_assets.features.kinds import FEATURED
from ingest_assets.fleet import sync_workspaces
from ingest_assets.incident_commands import alert, incidents
from ingest_assets.sources import BY_NAME, SOURCES
from ingest_assets.sources.login import Credential
from ingest_assets.sources.source import Source
from ingest_assets.storage import accounts as storage
from ingest_assets.storage import vault
from ingest_assets.storage.schema import ACTIVE, DISCONNECTED, FAILING, NEEDS_RECONNECT, PAUSED
from ingest_assets.storage.trouble import TROUBLES, trouble
from ingest_assets.terminal import echo, echo_json, echo_usage, guard
from ingest_assets.tokens import forget_pairs
from ingest_assets.verdict import SKIPPED, SUCCESS, report

ACKNOWLEDGED = "from the next sync on the account is complete without it."
CANNOT = 2  # the request cannot be carried out as it stands


def main() -> None:
    """Run a command; whatever the user can put right is one sentence and exit code 2."""
    app: App | None = None
    guard()
    try:
        app = App.load()
        code = cli.main(obj=app, standalone_mode=False)  # what ctx.exit() was given
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        echo_usage(error)
        sys.exit(CANNOT)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    except IngestError as error:
        _fail(str(error))
    except TROUBLES as error:
        sentence = trouble(error, app.any_engine) if app else None
        if sentence is None:  # a bug of ours
            raise
        _fail(sentence)


def _fail(sentence: str) -> None:
    echo(sentence, err=True)
    sys.exit(CANNOT)


class Commands(click.Group):
    """Our commands, and those of other installed packages, which are looked for where none of ours is meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_others().names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (ours := super().get_command(ctx, cmd_name)) is not None:
            return ours
        others = _others()
        return others[cmd_name].load() if cmd_name in others.names else None


def _others() -> EntryPoints:
    return entry_points(group="ingest_assets.commands")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ingest-assets")
def cli() -> None:
    """Customers' conversations, in PostgreSQL."""


cli.add_command(incidents)
cli.add_command(alert)


@cli.command()
@click.pass_obj
def migrate(app: App) -> None:
    """Create or update the tables in DATABASE_URL."""
    from ingest_assets.storage.migrate import migrate as migrate_database  # with alembic: a tenth of a second

    migrate_database(app.any_engine)
    echo("The database is up to date.")


@cli.command("new-key")
def new_key() -> None:
    """Print a key for INGEST_ENCRYPTION_KEYS."""
    echo(vault.new_key())


@cli.command("rotate-keys")
@click.pass_obj
def rotate_keys(app: App) -> None:
    """Encrypt stored credentials anew with the first of INGEST_ENCRYPTION_KEYS."""
    with app.engine.begin() as conn:
        count = app.vault.rotate(conn)
    echo(f"{count} stored secrets are now encrypted with the first key; older keys may be removed.")


@cli.group()
def connect() -> None:
    """Connect an account of a workspace, or give one that needs it a new login."""


def _connect_command(source: Source) -> click.Command:
    """Derive `connect <source>` from the fields of its credential and settings."""

    fields = {
        field: info
        for field, info in source.credential.model_fields.items()
        if field not in source.credential.internal
    }

    @click.pass_obj
    def run(app: App, /, workspace: str, name: str | None, **values: Any) -> int:
        given = {field: values[field] for field in fields if values[field] is not None}
        settings = {field: values[field] for field in source.settings.model_fields if values[field] is not None}
        connected = connect_account(
            app, source, workspace, given=given, settings=settings, name=name, read_secret=_read_secret
        )
        for called, probe, is_new in connected.accounts:
            for warning in probe.warnings:
                echo(warning, err=True)
            who = f"{source.title} '{called}' ({probe.external_id or called})"
            echo(
                f"Connected {who} to workspace {workspace}."
                if is_new
                else f"Gave {who} of workspace {workspace} a new login and these settings."
            )
        for error in connected.refused:
            echo(f"Not connected: {error}", err=True)
        return CANNOT if connected.refused else 0

    command = click.Command(source.name, callback=run, help=f"Connect a {source.title} account.")
    command.params = [
        click.Option(["--workspace"], required=True, help="the workspace, a slug"),
        click.Option(["--name"], help="how to call the account; default: what the vendor calls it"),
        *(_option(field, info, source.credential) for field, info in fields.items()),
        *(_option(field, info) for field, info in source.settings.model_fields.items()),
    ]
    return command


def _option(field: str, info: FieldInfo, credential: type[Credential] | None = None) -> click.Option:
    flag = "--" + field.replace("_", "-")
    text = info.description or ""
    required = info.is_required()
    if credential is not None and credential.is_secret(field):
        file = "FILE|" if field in credential.files else ""
        help_text = f"{text}: {'a file, ' if file else ''}a variable, or - for standard input"
        return click.Option([flag], required=required, metavar=f"{file}env:NAME|-", help=help_text)
    if info.annotation is bool:
        return click.Option([flag], is_flag=True, default=None, help=text)
    if get_origin(info.annotation) is Literal:
        return click.Option([flag], type=click.Choice(get_args(info.annotation)), help=text)
    if get_origin(info.annotation) is tuple:
        return click.Option([flag], metavar="A,B", callback=_listed, help=text)
    return click.Option([flag], required=required, help=text)


def _listed(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(part.strip() for part in value.split(",") if part.strip())


def _read_secret(field: str) -> str:
    value: str = click.prompt(field, hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not value:
        raise IngestError(f"Standard input held no {field}.")
    return value


for _source in SOURCES:
    connect.add_command(_connect_command(_source))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def accounts(app: App, as_json: bool) -> None:
    """List the connected accounts."""
    from ingest_assets.tables import NOTHING_UNREADABLE, print_table, print_unreadable, unreadable_entries

    with app.engine.connect() as conn:
        rows = storage.find_accounts(conn)
        unreadable = unreadable_entries(conn)
    entries = [
        {
            "workspace": row.workspace_id,
            "source": row.source,
            "account": row.name,
            "id": row.external_id,
            "state": row.state,
            "settings": {key: value for key, value in row.settings.items() if value},
            "unreadable": unreadable.get(row.account_id, NOTHING_UNREADABLE),
        }
        for row in rows
    ]
    if as_json:
        echo_json(entries)
    else:
        print_table(["workspace", "source", "account", "id", "state", "settings"], entries)
        print_unreadable(entries)


def _set_state(
    conn: Connection, source: str, workspace: str, name: str | None, state: str, reason: str | None
) -> Sequence[Row[Any]]:
    """Set the state of a workspace's accounts at a source; return them as they were."""
    rows = storage.find_accounts(conn, source=source, workspace_ids=[workspace], name=name)
    if not rows:
        raise IngestError(_no_account(source, workspace, name))
    storage.set_state(conn, [row.account_id for row in rows], state, reason)
    for row in rows:
        echo(f"{source} account '{row.name}' of workspace {workspace} is now {state}.")
    return rows


def _state_command(name: str, state: str, reason: str | None, help_text: str) -> None:
    @cli.command(name, help=help_text)
    @click.argument("source", type=click.Choice(list(BY_NAME)))
    @click.option("--workspace", required=True)
    @click.option("--name", help="one account; default: all of the workspace at this source")
    @click.pass_obj
    def run(app: App, source: str, workspace: str, name: str | None) -> None:
        with app.engine.begin() as conn:
            rows = _set_state(conn, source, workspace, name, state, reason)
            if state == DISCONNECTED:
                forget_pairs(conn, app.vault, rows)


_state_command("pause", PAUSED, "paused by an operator", "Stop syncing until resumed.")
_state_command("disconnect", DISCONNECTED, "disconnected by an operator", "Forget the login; the data stays.")


@cli.command()
@click.argument("source", type=click.Choice(list(BY_NAME)))
@click.argument("parts", metavar="[PART]...", nargs=-1)
@click.option("--workspace", required=True)
@click.option("--account", help="one account; default: all of the workspace at this source")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def acknowledge(
    app: App, source: str, parts: tuple[str, ...], workspace: str, account: str | None, as_json: bool
) -> None:
    """Accept that a PART, by its name or id, is lost or cannot be read; without one, list these parts."""
    from ingest_assets.acknowledging import accept, parts_of
    from ingest_assets.tables import print_table

    with app.engine.connect() as conn:
        if not storage.find_accounts(conn, source=source, workspace_ids=[workspace], name=account):
            raise IngestError(_no_account(source, workspace, account))
    if parts:
        found = accept(app, source, workspace, account, parts, datetime.now(UTC))
    else:
        found = [part for part in parts_of(app, source, workspace, account) if not part.acknowledged]
    if as_json:
        echo_json([asdict(part) for part in found])
    elif parts:
        for part in found:
            again = "was acknowledged already" if part.acknowledged else "is acknowledged"
            echo(f"{part.name} of {source} account '{part.account}' {again}: {ACKNOWLEDGED}")
    elif found:
        print_table(["account", "name", "code", "since", "part", "action"], [asdict(part) for part in found])
    else:
        echo(f"No part of workspace {workspace} at {source} waits to be acknowledged.")


@cli.command(help="Sync again, from where it stopped, and ask the vendor again where a new login was needed.")
@click.argument("source", type=click.Choice(list(BY_NAME)))
@click.option("--workspace")
@click.option("--name", help="one account; default: all of the workspace at this source")
@click.option(
    "--all", "everything", is_flag=True, help="all accounts that fail or need a new login; not the paused"
)
@click.pass_obj
def resume(app: App, source: str, workspace: str | None, name: str | None, everything: bool) -> None:
    if everything == (workspace is not None) or (everything and name):
        raise IngestError("Name the workspace with --workspace, or pass --all.")
    with app.engine.begin() as conn:
        if workspace is not None:
            _set_state(conn, source, workspace, name, ACTIVE, None)
            return
        rows = storage.find_accounts(conn, source=source)
        again = [row for row in rows if row.state in {FAILING, NEEDS_RECONNECT}]
        storage.set_state(conn, [row.account_id for row in again], ACTIVE)
    paused = sum(row.state == PAUSED for row in rows)
    echo(
        f"{len(again)} of {len(rows)} {source} accounts are asked again."
        + (
            f" {paused} stay paused; `ingest-assets resume {source} --workspace ...` resumes them."
            if paused
            else ""
        )
    )


def _no_account(source: str, workspace: str, name: str | None) -> str:
    which = f"account {name!r}" if name else "account"
    return (
        f"Workspace {workspace!r} has no {source} {which}; `ingest-assets accounts` lists them, "
        f"`ingest-assets connect {source}` makes one."
    )


@cli.command()
@click.argument("workspace")
@click.pass_obj
def remove(app: App, workspace: str) -> None:
    """Stop everything of a WORKSPACE at once and forget its logins; the data stays for its retention."""
    with app.engine.begin() as conn:
        before = storage.find_accounts(conn, workspace_ids=[workspace])
        known = storage.remove_workspace(conn, workspace)
        forget_pairs(conn, app.vault, before)
    if not known:
        raise IngestError(f"There is no workspace {workspace!r}; `ingest-assets accounts` lists them.")
    days = app.core.keep_removed_days
    kept = "until somebody deletes it" if days is None else f"for {days} days"
    echo(f"Workspace {workspace} was removed. Its data stays {kept}; connecting an account takes it back.")


@cli.command()
@click.option("--port", default=9464, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 serves other machines, too")
@click.pass_obj
def metrics(app: App, port: int, host: str) -> None:
    """Serve OpenMetrics at /metrics, until Ctrl-C."""
    from ingest_assets.metrics import serve
    from ingest_assets.running import end_with_sigterm

    end_with_sigterm()
    serve(app, host, port)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def status(app: App, as_json: bool) -> None:
    """Show each account: state, rows, API calls of the last 24 hours, last success, and why not."""
    from ingest_assets.tables import print_status, status_entries

    entries = status_entries(app)
    if as_json:
        echo_json(entries)
    else:
        print_status(app, entries)


@cli.command()
@click.argument("source", type=click.Choice(list(BY_NAME)))
@click.option("--workspace", "workspaces", multiple=True, help="a workspace; may be repeated")
@click.option("--all", "everything", is_flag=True, help="all workspaces")
@click.option("--json", "as_json", is_flag=True, help="print the report as JSON")
@click.pass_context
def sync(ctx: click.Context, source: str, workspaces: tuple[str, ...], everything: bool, as_json: bool) -> None:
    """Sync once, without Dagster."""
    app: App = ctx.obj
    if everything == bool(workspaces):
        raise IngestError("Name the workspaces with --workspace, or pass --all.")
    with app.engine.connect() as conn:
        known = {row.workspace_id for row in storage.find_accounts(conn, source=source)}
    for workspace in workspaces:
        if workspace not in known:
            raise IngestError(_no_account(source, workspace, None))
    verdicts = []
    worker = app.worker(f"command-{uuid4()}")
    for workspace_id, found in sync_workspaces(
        BY_NAME[source], sorted(known) if everything else workspaces, app.options_of(BY_NAME[source]), worker
    ):
        verdicts += found
        if not as_json:
            for one in found:
                counts = one.counts
                echo(
                    f"{workspace_id} {one.account.name}: {one.status}, {counts.new} new, {counts.changed} changed,"
                    f" {counts.deleted} deleted, {counts.rejected} rejected, {sum(one.calls.values())} API calls, "
                    f"{one.seconds:.1f} s" + (f": {one.reason}" if one.reason else "")
                )
    summary = report(verdicts)
    if as_json:
        echo_json(summary)
    else:
        echo(summary["status"])
    if any(verdict.by_process for verdict in verdicts):
        ctx.exit(CANNOT)
    ctx.exit(0 if summary["status"] in {SUCCESS, SKIPPED} else 1)


@cli.command()
@click.argument("source", type=click.Choice([kind.source.name for kind in FEATURED]))
@click.option("--workspace", "workspaces", multiple=True, required=True, help="a workspace; may be repeated")
@click.option("--json", "as_json", is_flag=True, help="print the reports as JSON")
@click.pass_context
def extract(ctx: click.Context, source: str, workspaces: tuple[str, ...], as_json: bool) -> None:
    """Have the language model read what is new, without Dagster."""
    app: App = ctx.obj
    [kind] = [kind for kind in FEATURED if kind.source.name == source]
    with app.engine.connect() as conn:
        if unknown := storage.unknown_workspaces(conn, workspaces):
            raise IngestError(NO_WORKSPACE.format(unknown[0], source))
    reports = []
    for workspace_id in workspaces:
        report = app.extractor(f"command-{uuid4()}").run(kind, workspace_id)
        reports.append(report)
        if not as_json:
            echo(
                f"{workspace_id}: {report.status}, {report.extracted} {kind.noun}s read, "
                f"{report.rejected} rejected, {report.remaining} remain, {report.kinds.total()} items, "
                f"{report.dropped} dropped, "
                f"{report.requests} requests, {report.usage.total} tokens"
                + (f": {report.reason}" if report.reason else "")
            )
    if as_json:
        echo_json([report.as_json() for report in reports])
    ctx.exit(0 if all(report.status in {SUCCESS, SKIPPED} for report in reports) else 1)


@cli.command()
@click.option("--workspace", required=True)
@click.option("--call", help="the id of one call or session; default: the newest that was read")
@click.option("--all", "every", is_flag=True, help="list all conversations instead")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def features(app: App, workspace: str, call: str | None, every: bool, as_json: bool) -> None:
    """Show what was found in a conversation, with quotes and times."""
    from ingest_assets.tables import feature_entries, print_features, print_table

    entries = feature_entries(app, workspace)
    if every:
        columns = ["source", "id", "occurred_at", "title", "state", "found", "dropped", "reason"]
        listed = [{column: entry[column] for column in columns} for entry in entries]
        if as_json:
            echo_json(listed)
        else:
            print_table(columns, listed)
        return
    chosen = [entry for entry in entries if entry["id"] == call or (call is None and entry["summary"] is not None)]
    if not chosen:
        what = f"conversation {call!r}" if call else "conversation that was read"
        raise IngestError(
            f"Workspace {workspace!r} has no {what}; `ingest-assets features --workspace {workspace} --all` lists "
            "all, `ingest-assets extract` reads what is new."
        )
    if as_json:
        echo_json(chosen[0])
    else:
        print_features(chosen[0])


@cli.command()
@click.pass_obj
def dev(app: App) -> None:
    """Start Dagster against DATABASE_URL, with its web UI on loopback, until Ctrl-C."""
    from ingest_assets.running import dev as run

    run(app)
