"""`ingest-assets incidents` and `ingest-assets alert test`."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import click

from ingest_assets.app import App
from ingest_assets.errors import IngestError
from ingest_assets.incidents.causes import CAUSES, vendor
from ingest_assets.storage.incidents import last_look, list_incidents
from ingest_assets.storage.schema import StoredRow
from ingest_assets.terminal import echo, echo_json

NO_RECEIVER = (
    "Nobody is told of incidents: set INGEST_ALERT_SLACK_URL, INGEST_ALERT_WEBHOOK_URL or INGEST_ALERT_SMTP_HOST."
)
NAMED = 10


@click.command()
@click.option("--all", "everything", is_flag=True, help="those that are over, too")
@click.option("--json", "as_json", is_flag=True, help="print JSON, with every workspace and message")
@click.pass_obj
def incidents(app: App, everything: bool, as_json: bool) -> None:
    """List what is the matter: one line a cause, who has to act, and the command that mends it."""
    from ingest_assets.cli.output import print_table

    with app.engine.connect() as conn:
        rows = list_incidents(conn, closed=everything)
        watched = last_look(conn)
    entries = [entry(row) for row in rows]
    if as_json:
        echo_json(entries)
        return
    if entries:
        print_table(
            ["incident", "title", "severity", "since", "until", "workspaces", "who", "told"],
            [{**one, "workspaces": one["workspaces_count"], "told": _told(one["messages"])} for one in entries],
        )
        for one in entries:
            if one["until"] is None:
                names = ", ".join(one["workspaces"][:NAMED])
                more = one["workspaces_count"] - NAMED
                echo()
                echo(f"{one['incident']}: {one['what']}")
                echo(f"   {one['command']}")
                if names:
                    echo(f"   {names}{f' and {more} more' if more > 0 else ''}")
    else:
        echo("No incident is open." if not everything else "There was no incident.")
    echo()
    when = "never" if watched is None else f"at {watched.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    echo(f"The sensor `incidents` looked {when}." + ("" if app.alerts.any else f" {NO_RECEIVER}"))


def entry(row: StoredRow) -> dict[str, Any]:
    """Return an incident as programs read it."""
    cause = CAUSES[row.cause]
    names = list(row.workspaces if row.closed_at is None else row.told)
    words = {
        "vendor": vendor(row.subject),
        "source": row.subject,
        "workspace": names[0] if len(names) == 1 else "WORKSPACE",
    }
    title = cause.title.format(**words)
    return {
        "incident": row.incident_id,
        "cause": row.cause,
        "subject": row.subject,
        "title": title[:1].upper() + title[1:],
        "severity": row.severity,
        "level": row.level,
        "since": _time(row.since),
        "opened_at": _time(row.opened_at),
        "until": _time(row.closed_at),
        "workspaces_count": len(names),
        "workspaces": names,
        "who": cause.who,
        "what": cause.what.format(**words),
        "command": cause.command.format(**words),
        "forward": cause.forward.format(**words),
        "messages": row.messages or [],
    }


def _told(messages: list[dict[str, Any]]) -> str:
    """Return what became of the newest message to each receiver."""
    newest = {
        one["receiver"]: one for one in sorted(messages, key=lambda one: (one["kind"] != "opened", one["level"]))
    }
    return ", ".join(f"{name}: {_state(one)}" for name, one in sorted(newest.items()))


def _state(message: dict[str, Any]) -> str:
    if message["sent_at"] is not None:
        return str(message["kind"])
    if message["dropped_at"] is not None:
        return "given up" if message["attempts"] else "not told"
    return (
        f"{message['answer'] or 'is sent'}, tried {message['attempts']} times" if message["attempts"] else "waits"
    )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


@click.group()
def alert() -> None:
    """Who is told of incidents."""


@alert.command()
@click.option("--json", "as_json", is_flag=True, help="print JSON")
@click.pass_context
def test(ctx: click.Context, as_json: bool) -> None:
    """Send a test message to every receiver, and say what each answered."""
    from ingest_assets.incidents.deliver import send_to_all
    from ingest_assets.incidents.message import test_message

    app: App = ctx.obj
    if not app.alerts.any:
        raise IngestError(NO_RECEIVER)
    answers = send_to_all(app.alerts, test_message(f"test-{uuid4()}", datetime.now(UTC)))
    if as_json:
        echo_json([{"receiver": name, "accepted": one.accepted, "answer": one.said} for name, one in answers])
    else:
        for name, one in answers:
            echo(f"{name}: {'accepted' if one.accepted else 'not accepted'} ({one.said})")
    ctx.exit(0 if all(one.accepted for _, one in answers) else 1)
