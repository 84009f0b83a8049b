"""`ingest-assets apply`: connect, change and disconnect accounts until they are as a file says."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from ingest_assets.app import App
from ingest_assets.cli import CANNOT
from ingest_assets.cli.asking import require_yes
from ingest_assets.cli.connecting import connect_account
from ingest_assets.cli.workspaces_file import Entry, read
from ingest_assets.errors import IngestError
from ingest_assets.sources.json_values import Json
from ingest_assets.storage.accounts import find_accounts, note_applied, set_state
from ingest_assets.storage.schema import DISCONNECTED, StoredRow
from ingest_assets.storage.workspaces import remove_workspace, workspace_ids
from ingest_assets.sync.oauth import forget_pairs
from ingest_assets.terminal import echo


@dataclass(frozen=True)
class Difference:
    """What is to be done so that the accounts are as the file says."""

    connect: Sequence[tuple[Entry, Json | None]]
    """With what was applied before; None: nothing, or it was connected by hand since."""
    unchanged: int
    disconnect: Sequence[StoredRow]
    remove: Sequence[str]
    """Workspaces that the file does not name."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="only show what would be done")
@click.option("--prune", is_flag=True, help="disconnect and remove what the file does not name")
@click.option("--yes", is_flag=True, help="do not ask before something is disconnected or removed")
@click.pass_context
def apply(ctx: click.Context, file: Path, *, dry_run: bool, prune: bool, yes: bool) -> None:
    """Make accounts as FILE says: workspaces, accounts, settings, and secrets by reference. What is so stays."""
    app: App = ctx.obj
    entries = read(file)
    if prune and not entries:
        raise IngestError(f"{file} names no account, so --prune would take away everything; check the file.")
    with app.engine.connect() as conn:
        found = _difference(entries, find_accounts(conn), workspace_ids(conn))
    for line in _lines(found, prune=prune):
        echo(line)
    echo(_summary(found, prune=prune))
    if dry_run:
        return
    if prune and (found.disconnect or found.remove):
        count = len(found.disconnect)
        require_yes(f"Disconnect {count} accounts and remove {len(found.remove)} workspaces?", yes=yes)
    failed = sum(not _connect(app, entry) for entry, _before in found.connect)
    if prune and not failed:
        _prune(app, entries, found)
    elif prune:
        echo("Nothing was disconnected or removed, since something could not be connected.", err=True)
    ctx.exit(CANNOT if failed else 0)


def _difference(entries: Sequence[Entry], rows: Sequence[StoredRow], known: Sequence[str]) -> Difference:
    of_place: defaultdict[tuple[str, str], list[StoredRow]] = defaultdict(list)
    for row in rows:
        of_place[row.workspace_id, row.source].append(row)
    connect: list[tuple[Entry, Json | None]] = []
    kept: set[int] = set()
    for entry in entries:
        here = of_place[entry.workspace_id, entry.source.name]
        same = [row for row in here if row.applied == entry.values]
        kept |= {row.account_id for row in same}
        if not same:
            before = [row for row in here if row.name == entry.name] if entry.name else here
            kept |= {row.account_id for row in before}
            connect.append((entry, before[0].applied if len(before) == 1 else None))
    named = {entry.workspace_id for entry in entries}
    return Difference(
        connect=connect,
        unchanged=len(entries) - len(connect),
        disconnect=[row for row in rows if row.account_id not in kept and row.workspace_id in named],
        remove=[workspace_id for workspace_id in known if workspace_id not in named],
    )


def _lines(found: Difference, *, prune: bool) -> Iterator[str]:
    for entry, before in found.connect:
        if before is None:
            yield f"+ {entry}"
            continue
        for field in sorted({*before, *entry.values}):
            if before.get(field) != entry.values.get(field):
                yield f"~ {entry}: {field}: {before.get(field)} -> {entry.values.get(field)}"
    mark = "-" if prune else "?"
    for row in found.disconnect:
        yield f"{mark} {row.workspace_id} {row.source} '{row.name}'"
    for workspace_id in found.remove:
        yield f"{mark} {workspace_id}"


def _summary(found: Difference, *, prune: bool) -> str:
    left = len(found.disconnect) + len(found.remove)
    more = "" if not left or prune else f"; {left} not in the file, which only --prune takes away"
    return f"{found.unchanged} as they are, {len(found.connect)} to connect or to change{more}."


def _connect(app: App, entry: Entry) -> bool:
    """Connect what an entry describes; tell why not, and return whether all of it is."""
    try:
        done = connect_account(
            app,
            entry.source,
            entry.workspace_id,
            given=entry.given,
            settings=entry.settings,
            name=entry.name,
            read_secret=_nobody,
        )
    except IngestError as error:
        echo(f"{entry}: {error}", err=True)
        return False
    for refusal in done.refused:
        echo(f"{entry}: {refusal}", err=True)
    names = [name for name, _probe, _is_new in done.accounts]
    with app.engine.begin() as conn:
        applied = None if done.refused else entry.values
        note_applied(conn, entry.workspace_id, entry.source.name, names, applied)
    for name, probe, is_new in done.accounts:
        for warning in probe.warnings:
            echo(f"{entry}: {warning}", err=True)
        echo(f"{'Connected' if is_new else 'Changed'} {entry.source.title} '{name}' of {entry.workspace_id}.")
    return not done.refused


def _nobody(field: str) -> str:
    raise IngestError(f"A file cannot ask for the {field}; name a variable that holds it, env:NAME.")


def _prune(app: App, entries: Sequence[Entry], found: Difference) -> None:
    """Take away what the file does not name, now that all that it names is connected."""
    wanted: defaultdict[tuple[str, str], list[Json]] = defaultdict(list)
    for entry in entries:
        wanted[entry.workspace_id, entry.source.name].append(entry.values)
    with app.engine.begin() as conn:
        rows = [
            row
            for row in find_accounts(conn)
            if row.workspace_id not in found.remove and row.applied not in wanted[row.workspace_id, row.source]
        ]
        set_state(conn, [row.account_id for row in rows], DISCONNECTED, "the file of `apply` does not name it")
        removed = find_accounts(conn, workspace_ids=found.remove)
        for workspace_id in found.remove:
            remove_workspace(conn, workspace_id)
        forget_pairs(conn, app.vault, [*rows, *removed])
    for row in rows:
        echo(f"Disconnected {row.source} '{row.name}' of {row.workspace_id}; its data stays.")
    for workspace_id in found.remove:
        echo(f"Removed workspace {workspace_id}; its data stays for its retention.")
