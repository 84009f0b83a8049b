"""All reasons why what was looked for is not stored, of one workspace's accounts."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from ingest_assets.app import App
from ingest_assets.cli.find.asking import asked
from ingest_assets.cli.find.places import minute
from ingest_assets.cli.find.reasons import Case, Reason, gaps, known
from ingest_assets.cli.find.text import Wanted
from ingest_assets.cli.reconnecting import reconnect_command
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.locating import Shown, Sought
from ingest_assets.storage.schema import DISCONNECTED, PAUSED, StoredRow

SOURCE_NAMES = list(BY_NAME)
ACCOUNTS = 20  # that reasons are given for: a workspace may have hundreds of mailboxes


def reasons_of(
    app: App, workspace_id: str, wanted: Wanted, accounts: Sequence[StoredRow], *, ask: bool
) -> Iterator[Reason]:
    """Yield why nothing was found, account by account."""
    by_source: dict[str, Sought] = {}
    for source, sought in wanted.sought:
        by_source.setdefault(source.name, sought)
    concerned = [row for row in accounts if not by_source or row.source in by_source]
    if not concerned:
        yield from (_unconnected(workspace_id, name) for name in by_source or SOURCE_NAMES[:1])
    for row in concerned[:ACCOUNTS]:
        if row.state == DISCONNECTED:
            yield _disconnected(row)
        elif row.source in by_source:
            yield from _of_account(app, row, by_source[row.source], ask=ask)
        else:
            yield from gaps(app, row)
    if len(concerned) > ACCOUNTS:
        yield _note(workspace_id, f"{len(concerned) - ACCOUNTS} more accounts were not looked at; pass --source.")


def _of_account(app: App, row: StoredRow, sought: Sought, *, ask: bool) -> Iterator[Reason]:
    now, at = datetime.now(UTC), sought.at
    answer = asked(app, row, sought) if ask and row.state != PAUSED else None
    if isinstance(answer, Shown):
        at = at or answer.at
    shown = isinstance(answer, Shown) and answer.shown
    case = Case(app=app, row=row, sought=sought, now=now, at=at, shown=shown)
    if answer is not None:
        yield _told(case, answer)
    if isinstance(answer, Shown):
        yield from () if answer.left_out else known(case)
    else:
        yield from known(case) or gaps(app, row, by_id=True)


def _told(case: Case, answer: Shown | str) -> Reason:
    title = BY_NAME[case.row.source].title
    if isinstance(answer, str):
        return case.reason("not known", f"{title} {answer}.", action="Look at it in the vendor's own pages.")
    if not answer.shown:
        return case.reason(
            "not shown",
            f"{title} does not show this login such an item.",
            action="Check the id, and who may see it.",
        )
    when = f", of {minute(answer.at)} UTC" if answer.at else ""
    if answer.left_out is not None:
        sentence = f"{title} shows it{when}; it is {answer.left_out}."
        if not answer.chosen:
            return case.reason(
                "left out", sentence, action="Move it in the vendor's own pages, if it belongs here."
            )
        return case.reason("left out", sentence, command=reconnect_command(case.row, **answer.chosen))
    return case.reason("shown", f"{title} shows it{when}.", command=case.sync)


def _unconnected(workspace_id: str, source: str) -> Reason:
    sentence = f"Workspace {workspace_id} has no {BY_NAME[source].title} account, to which this id may belong."
    command = f"ingest-assets connect {source} --workspace {workspace_id} --help"
    return Reason(state="not connected", source=source, account="", sentence=sentence, command=command)


def _disconnected(row: StoredRow) -> Reason:
    title = BY_NAME[row.source].title
    sentence = f"{title} account {row.name!r} of workspace {row.workspace_id} is disconnected, and no longer read."
    command = f"ingest-assets connect {row.source} --workspace {row.workspace_id} --help"
    return Reason(state="disconnected", source=row.source, account=row.name, sentence=sentence, command=command)


def _note(workspace_id: str, sentence: str) -> Reason:
    command = f"ingest-assets accounts --workspace {workspace_id}"
    return Reason(state="not known", source="", account="", sentence=sentence, command=command)
