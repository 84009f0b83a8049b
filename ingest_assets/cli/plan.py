"""`ingest-assets plan`: how many requests, minutes, megabytes and tokens something will take."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import click

from ingest_assets.app import App
from ingest_assets.cli.backfill import accounts_of, wanted_range
from ingest_assets.cli.coverage import DAY
from ingest_assets.cli.help import Choice
from ingest_assets.cli.plan_output import Account, entry_of, print_account, tokens_line, tokens_of
from ingest_assets.cli.progress import progress
from ingest_assets.cli.signals import interruptible
from ingest_assets.cli.unknown import unknown_workspace
from ingest_assets.errors import SourceError
from ingest_assets.features.budget import LIKELY_ANSWER
from ingest_assets.features.featured import FEATURED
from ingest_assets.features.ledger import Ledger
from ingest_assets.features.planning import Reading, of_payloads, pending
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.login import Clock
from ingest_assets.sources.source import Source
from ingest_assets.storage.model_requests import typical_answer
from ingest_assets.storage.workspaces import unknown_workspaces
from ingest_assets.sync.planning import Plan, plan_reading
from ingest_assets.terminal import echo, echo_json


@click.group()
def plan() -> None:
    """Tell what a sync, a backfill or an extraction will take. A few requests are made, and nothing is stored."""


@plan.command("sync")
@click.option("--workspace", required=True)
@click.option("--source", required=True, type=Choice(list(BY_NAME)))
@click.option("--name", help="one account; default: all of the workspace at this source")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_context
def plan_sync(ctx: click.Context, workspace: str, source: str, name: str | None, *, as_json: bool) -> None:
    """Plan the next syncs, until all of the account's history is read: above all before the first one."""
    _plan(ctx, workspace, source, name, None, as_json=as_json)


@plan.command("backfill")
@click.option("--workspace", required=True)
@click.option("--source", required=True, type=Choice(list(BY_NAME)))
@click.option("--from", "since", required=True, type=DAY, help="from when on all is to be read (UTC)")
@click.option("--name", help="one account; default: all of the workspace at this source")
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_context
def plan_backfill(
    ctx: click.Context, workspace: str, source: str, since: datetime, name: str | None, *, as_json: bool
) -> None:
    """Plan what `ingest-assets backfill` does."""
    begin, _end = wanted_range(since, None, datetime.now(UTC))
    _plan(ctx, workspace, source, name, begin, as_json=as_json)


@plan.command("extract")
@click.option("--workspace", required=True)
@click.option("--source", type=click.Choice([kind.source.name for kind in FEATURED]))
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_obj
def plan_extract(app: App, workspace: str, source: str | None, *, as_json: bool) -> None:
    """Plan what the language model is asked of the transcripts that are stored; OPENAI_MODEL names which model."""
    with app.engine.connect() as conn:
        if unknown_workspaces(conn, [workspace]):
            raise unknown_workspace(conn, workspace, source)
    found: list[tuple[str, Reading]] = []
    for kind in FEATURED:
        if source in (None, kind.source.name):
            ledger = Ledger(
                engine=app.engine,
                kind=kind,
                workspace_id=workspace,
                settings=app.model,
                owner="plan",
                clock=Clock(),
            )
            found.append((kind.source.name, pending(ledger, _answer(app))))
    if as_json:
        echo_json([{"workspace": workspace, "source": name} | tokens_of(read, app.model) for name, read in found])
    for name, read in () if as_json else found:
        echo(f"{workspace} {name}: {tokens_line(read, app.model)}")


def _plan(
    ctx: click.Context,
    workspace: str,
    source: str,
    name: str | None,
    since: datetime | None,
    *,
    as_json: bool,
) -> None:
    app: App = ctx.obj
    of, found, calls = BY_NAME[source], list[Account](), Counter[str]()
    worker = app.worker(f"command-{uuid4()}")
    for row in accounts_of(app, workspace, source, name):
        account = Account(workspace, source, row.name)
        counting = progress(lambda: f"Counting at {of.title}: {calls.total()} requests so far")
        try:
            with interruptible(), counting:
                plan = plan_reading(of, row, app.options_of(of), worker, since, calls)
        except SourceError as error:
            account = replace(account, reason=str(error))
        else:
            account = replace(account, plan=plan, reading=_reading(app, of, plan))
        found.append(account)
        if not as_json:
            print_account(account, app.model)
    if as_json:
        echo_json([entry_of(account, app.model) for account in found])
    ctx.exit(0 if all(account.plan for account in found) else 1)


def _reading(app: App, source: Source, plan: Plan) -> Reading | None:
    """Return what the language model will be asked of what is read, where one is configured."""
    estimate = plan.estimate
    if source.transcript is None or app.model.api_key is None or not estimate.samples:
        return None
    return of_payloads(source.transcript, estimate.samples, estimate.items.likely, app.model, _answer(app))


def _answer(app: App) -> int:
    """Return how long an answer of the language model is, by those that there were."""
    with app.engine.connect() as conn:
        return typical_answer(conn) or LIKELY_ANSWER
