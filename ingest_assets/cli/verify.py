"""`ingest-assets verify`, which compares what is stored with what vendors show, and `reread`, which mends it."""

from dataclasses import asdict
from uuid import uuid4

import click

from ingest_assets.app import App
from ingest_assets.cli.accounts import require_accounts
from ingest_assets.cli.asking import require_yes
from ingest_assets.cli.help import Choice
from ingest_assets.cli.progress import progress
from ingest_assets.cli.signals import interruptible
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.storage.workspaces import unknown_workspaces
from ingest_assets.sync.findings import Finding, Verified
from ingest_assets.sync.rereading import reread as move_back
from ingest_assets.sync.verify import Verifier
from ingest_assets.terminal import echo, echo_json


@click.command()
@click.option("--workspace", required=True)
@click.option("--source", type=Choice(list(BY_NAME)))
@click.option("--sample", type=click.IntRange(1, 100_000), default=200, show_default=True, help="items an account")
@click.option("--yes", is_flag=True, help="do not ask before the requests are made")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_context
def verify(
    ctx: click.Context, workspace: str, source: str | None, sample: int, *, yes: bool, as_json: bool
) -> None:
    """Compare a random sample of what is stored with the vendors; 1 if something differs. It writes nothing."""
    app: App = ctx.obj
    with app.engine.connect() as conn:
        if unknown_workspaces(conn, [workspace]):
            raise unknown_workspace(conn, workspace, source)
        rows = find_accounts(conn, source=source, workspace_ids=[workspace])
    worker = app.worker(f"command-{uuid4()}")
    sources = [BY_NAME[row.source] for row in rows]
    verifiers = [Verifier(of, row, app.options_of(of), worker) for of, row in zip(sources, rows, strict=True)]
    cost = sum(verifier.cost(sample) for verifier in verifiers)
    echo(f"At most {cost:,} requests to the vendors, of {len(verifiers)} accounts.", err=True)
    require_yes("Make them?", yes=yes)
    results: list[Verified] = []
    with interruptible(), progress(lambda: f"Comparing: {len(results)} of {len(verifiers)} accounts are done"):
        results.extend(verifier.verify(sample) for verifier in verifiers)
    right = bool(results) and not any(one.findings or one.unverified for one in results)
    if as_json:
        echo_json({"workspace": workspace, "verified": right, "accounts": [asdict(one) for one in results]})
    else:
        for one in results:
            _print(one)
    ctx.exit(0 if right else 1)


def _print(one: Verified) -> None:
    who = f"{one.source} account '{one.account}' of workspace {one.workspace}"
    for found in one.findings:
        fields = f" {', '.join(found.fields)}" if found.fields else ""
        echo(
            f"{who}: {found.table} {found.id} ({found.look}): {found.how}{fields}; `{_mend(one, found)}` mends it."
        )
    if one.unverified:
        echo(f"{who}: not verified: {one.unverified}")
    seen = ((one.changed, "changed since"), (one.gone, "no longer shown"), (one.kept, "kept though not shown"))
    more = "".join(f", {count} {words}" for count, words in seen if count)
    verdict = f"{len(one.findings)} differ" if one.findings else "no difference"
    echo(f"{who}: {verdict} in {one.compared} items{more}; {one.calls} requests.")


def _mend(one: Verified, found: Finding) -> str:
    return f"ingest-assets reread {one.source} --workspace {one.workspace} --id {found.conversation}"


@click.command()
@click.argument("source", type=Choice(list(BY_NAME)))
@click.option("--workspace", required=True)
@click.option("--name", "account", help="one account, by its name; default: all")
@click.option("--id", "ids", multiple=True, help="a thread, call or session to write anew; may be repeated")
@click.pass_context
def reread(ctx: click.Context, source: str, workspace: str, account: str | None, ids: tuple[str, ...]) -> None:
    """Have the next sync read again all that was ever read, and store what is missing or was changed here."""
    app: App = ctx.obj
    with app.engine.connect() as conn:
        rows = require_accounts(conn, source, workspace, account)
    length, left = app.worker("").lease_length, False
    for row in rows:
        done = move_back(app.engine, row, ids, owner=f"command {uuid4().hex}", length=length)
        left |= done is None
        what = "another run reads this account, or it is paused"
        if done is not None:
            what = f"{done[0]} ranges are read again by the next sync, {done[1]} rows written anew"
        echo(f"{source} account '{row.name}' of workspace {workspace}: {what}.")
    ctx.exit(1 if left else 0)
