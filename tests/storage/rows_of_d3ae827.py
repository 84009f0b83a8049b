"""Write `rows_of_d3ae827.sql`: what the program of commit d3ae827 stored of a few items of each source.

    git worktree add /tmp/old d3ae827 && cd /tmp/old
    PYTHONPATH=/tmp/old python <this file> > rows_of_d3ae827.sql

It runs with the code of that commit: its parsers, its simulator and its schema (revision 0005). Simulated times
and ids differ from run to run, so the file changes as a whole when it is made again.
"""

import json
import sys
import tempfile
from pathlib import Path

import httpx
from sqlalchemy import text

from ingest_assets.sources import SOURCES
from ingest_assets.storage.engine import connect
from ingest_assets.storage.migrate import migrate
from ingest_simulator import embedded
from ingest_simulator.app import running
from tests.sources.tenants import FathomTenant, GmailTenant, GongTenant, SlackTenant
from tests.workbench import Bench, VirtualClock

APP_MESSAGE = {
    "text": "New deal",
    "user": None,
    "bot_id": "B0000000001",
    "username": "Deal Desk",
    "subtype": "bot_message",
    "attachments": [
        {
            "fallback": "New deal",
            "title": "Initech renewal",
            "fields": [{"title": "Amount", "value": "$48,000"}, {"title": "Close date", "value": "30 June"}],
        }
    ],
    "blocks": [
        {"type": "header", "text": {"type": "plain_text", "text": "New deal"}},
        {
            "type": "section",
            "fields": [{"type": "mrkdwn", "text": "*Owner*"}, {"type": "mrkdwn", "text": "Ann Lee"}],
        },
    ],
}
REPLY = (
    "Thursday works for us.\n\nOn Mon, 1 Jun 2026 at 10:00, Bob <bob@vendor.example> wrote:\n"
    "> Shall we meet on Thursday?\n> Bob\n\n-- \nAnn Lee\nHead of Purchasing"
)


def slack(bench: Bench) -> None:
    acme = SlackTenant(bench, "acme")
    acme.order("post", channel="general", text="Ask <@U0000000001> in <#C0000000001|sales>", hours_ago=3)
    acme.order("post", channel="general", text="New deal", hours_ago=2, extra=APP_MESSAGE)
    parent = acme.order("post", channel="general", text="Who was it?", hours_ago=2)
    acme.order("post", channel="general", text="Me &amp; Ann", thread_ts=parent["ts"], hours_ago=1)
    acme.connected().reads()


def gong(bench: Bench) -> None:
    acme = GongTenant(bench, "acme")
    acme.add()
    call = acme.add()
    parties = [
        {"id": "1", "speakerId": "s1", "name": None, "emailAddress": None, "affiliation": "Internal"},
        {"id": "2", "speakerId": "s2", "name": None, "emailAddress": None, "affiliation": "External"},
    ]
    monologues = [
        {"speakerId": speaker, "topic": None, "sentences": [{"start": start, "end": start + 900, "text": said}]}
        for speaker, start, said in (("s1", 0, "Shall we sign?"), ("s2", 1000, "Not yet."), ("s1", 2000, "When?"))
    ]
    acme.order("transcript", call=call, monologues=monologues)
    acme.connected()
    acme.reads()
    [listed] = [row.raw for row in acme.stored(acme.table) if row.external_id == call]
    nameless = {key: value for key, value in listed.items() if key != "transcript"} | {"parties": parties}
    acme.order("raw", call=call, payload=nameless)
    for _ in range(2):
        acme.reads()


def fathom(bench: Bench) -> None:
    acme = FathomTenant(bench, "acme")
    acme.add()
    acme.order("meeting", hours_ago=1, lines=["Hello.", "Hello to you.", "Shall we begin?"])
    acme.connected().reads()


def gmail(bench: Bench) -> None:
    acme = GmailTenant(bench, "acme")
    copies = {"Cc": '"Lee, Ann" <ann@acme.example>, bob@acme.example', "Bcc": "carol@acme.example"}
    first = acme.message(
        text="Shall we meet on Thursday?", headers=copies, labels=["INBOX", "STARRED"], hours_ago=3
    )
    acme.message(thread=first["thread"], text=REPLY, hours_ago=2)
    acme.message(html="<p>Only <b>HTML</b></p>", to='"Doe, Jane" <jane@vendor.example>, joe@vendor.example')
    acme.message(labels=[], text="No label at all")
    acme.connected().reads()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, running() as url, httpx.Client(base_url=url) as sim:
        server = embedded.start(Path(folder) / "postgres", durable=False)
        database = server.create_database("old")
        engine = connect(database)
        migrate(engine)
        bench = Bench(sim, database, VirtualClock(sim))
        for make in (slack, gong, fathom, gmail):
            make(bench)
        with engine.connect() as conn:
            for record in (record for source in SOURCES for record in source.records):
                table = record.table
                rows = conn.execute(text(f"select row_to_json(t) from {table} t order by external_id")).scalars()
                for row in rows:
                    row |= {"first_seen_at": "2026-06-01T00:00:00Z", "updated_at": "2026-06-01T00:00:00Z"}
                    quoted = json.dumps(row).replace("'", "''")
                    sys.stdout.write(  # noqa: TID251  (a file of SQL)
                        f"insert into {table} select * from json_populate_record(null::{table}, '{quoted}');\n"
                    )
        bench.close()
        engine.dispose()
        server.stop()


if __name__ == "__main__":
    main()
