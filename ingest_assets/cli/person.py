"""`ingest-assets person`: where a person is in what is stored, and how they are taken out of it for good."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import click

from ingest_assets.app import App
from ingest_assets.cli.asking import require_yes
from ingest_assets.cli.progress import elapsed, progress
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.features.featured import FEATURE_TABLES
from ingest_assets.sources import SOURCES
from ingest_assets.sources.people import ERASED
from ingest_assets.storage.dagster_forget import forget_words
from ingest_assets.storage.suppressed import EVERYWHERE, listed_since, load_people
from ingest_assets.storage.workspaces import is_known
from ingest_assets.sync.erase import Erased, erase
from ingest_assets.sync.person import Person
from ingest_assets.terminal import echo, echo_json

LIMITS = (
    "Not found: words that somebody else repeats without the address, what is said under a name alone "
    "(--name finds it in calls and sessions), pictures and attachments, and copies outside this database "
    "(backups, logs, a batch that the language model's vendor still has)."
)
COLUMNS = ("workspace", "table", "rows")


@click.group()
def person() -> None:
    """Find a person, or erase them for good."""


def _options(command: Callable[..., None]) -> Callable[..., None]:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="print JSON"),
        click.option(
            "--name", "names", multiple=True, help="a full name that transcripts know without an address"
        ),
        click.option("--workspace", help="one workspace; default: all, and all to come"),
        click.argument("email"),
    ):
        command = option(command)
    return command


@person.command()
@_options
@click.pass_obj
def find(app: App, email: str, workspace: str | None, names: tuple[str, ...], *, as_json: bool) -> None:
    """Count the rows in which EMAIL is, by workspace and table. Nothing is changed."""
    who = _person(app, email, names, workspace)
    found = _erase(app, who, workspace, write=False)
    _print(app, who, workspace, found, as_json=as_json)


@person.command("erase")
@_options
@click.option("--dry-run", is_flag=True, help="only count, as `find` does")
@click.option("--yes", is_flag=True, help="do not ask")
@click.pass_context
def erase_person(
    ctx: click.Context,
    email: str,
    workspace: str | None,
    names: tuple[str, ...],
    *,
    as_json: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Take EMAIL out of all that is stored, and let no sync bring them back; 1 if something is left to do."""
    app: App = ctx.obj
    who = _person(app, email, names, workspace)
    if not yes or dry_run:
        found = _erase(app, who, workspace, write=False)
        if dry_run or not as_json:
            _print(app, who, workspace, found, as_json=as_json)
        if dry_run:
            return
        where = f"workspace {workspace}" if workspace else "all workspaces, and all to come"
        require_yes(f"Erase this person from {where}? This cannot be undone.", yes=yes)
    app.vault.require_key()
    done = _erase(app, who, workspace, write=True)
    if any(one.own for one in done):
        events = dict(forget_words(app.dagster_engine, who.exact_pattern, ERASED))
        done.append(Erased(workspace or "", Counter(events)))
    _print(app, who, workspace, done, as_json=as_json)
    ctx.exit(1 if any(one.logins for one in done) else 0)


def _person(app: App, email: str, names: Sequence[str], workspace: str | None) -> Person:
    who = Person.named(email, names)
    if workspace is not None:
        with app.engine.connect() as conn:
            if not is_known(conn, workspace):
                raise unknown_workspace(conn, workspace)
    return who


def _erase(app: App, who: Person, workspace: str | None, *, write: bool) -> list[Erased]:
    with progress(elapsed("Erasing" if write else "Looking through what is stored")):
        return list(
            erase(app.engine, app.vault, SOURCES, FEATURE_TABLES, who, workspace_id=workspace, write=write)
        )


def _print(app: App, who: Person, workspace: str | None, found: Sequence[Erased], *, as_json: bool) -> None:
    from ingest_assets.cli.output import print_table

    with app.engine.connect() as conn:
        people = load_people(conn, app.vault, workspace or EVERYWHERE)
        since = listed_since(conn, people, [EVERYWHERE, workspace or EVERYWHERE], who.email) if people else None
    entries: list[dict[str, Any]] = [
        {"workspace": one.workspace_id, "table": table, "rows": rows}
        for one in found
        for table, rows in sorted(one.counts.items())
    ]
    logins = [{"workspace": one.workspace_id, "account": login} for one in found for login in one.logins]
    if as_json:
        listed = None if since is None else since.isoformat(timespec="seconds")
        echo_json({"rows": entries, "on_list_since": listed, "own_logins": logins, "limits": LIMITS})
        return
    if entries:
        print_table(COLUMNS, entries)
    else:
        echo("Nothing of this person is stored.")
    if since is not None:
        echo(f"On the list since {since:%Y-%m-%d %H:%M} UTC: no sync stores them.")
    for login in logins:
        echo(
            f"The {login['account']} of workspace {login['workspace']} is the person's own: its name stays while "
            "it is connected. Disconnect it, and erase again."
        )
    echo(LIMITS)
