"""The queries of docs/queries.md are run against rows of all four sources: new, changed, deleted, rejected."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from ingest_assets.sources import SOURCES
from tests.sources.tenants import TENANTS, Tenant
from tests.workbench import Bench

PAGE = Path(__file__).parent.parent / "docs" / "queries.md"
QUERIES = re.compile(r"^## (.+?)$.*?^```sql\n(.+?)^```$", re.MULTILINE | re.DOTALL)
ALL = {source.name for source in SOURCES}
KEY = "sk-queries"
LINES = [
    "Honestly, the export is what my team complains about every week.",
    "I see, tell me more about that please.",
]
RENEWAL = {"title": "Halden Freight: renewal"}


def read_all(bench: Bench) -> None:
    """Read a customer at four sources: what was said, changed, deleted, and what cannot be parsed."""
    bench.order("openai/key", key=KEY)
    bench.configure(OPENAI_API_KEY=KEY, OPENAI_BASE_URL=f"{bench.sim.base_url}/openai/v1", OPENAI_MODEL="gpt-test")
    tenants: dict[str, Tenant] = {name: kind(bench, "acme").connected() for name, kind in TENANTS.items()}
    tenants["slack"].order("post", channel="general", text="Does anybody know why?", hours_ago=30)
    tenants["gong"].order("call", lines=LINES, hours_ago=3, **RENEWAL)
    tenants["fathom"].order("meeting", segments=6, hours_ago=4, **RENEWAL)
    tenants["gmail"].order("message", text="Any news?", hours_ago=40, sender="ida@halden.example")
    added = {name: [tenant.add(), tenant.add(), tenant.add()] for name, tenant in tenants.items()}
    for tenant in tenants.values():
        tenant.reads()
    assert bench.run("extract", "gong", "--workspace", "acme").returncode == 0
    _age(bench)
    bench.clock.advance(timedelta(days=1))  # so that all sources look again at what they know
    for name, tenant in tenants.items():
        kept, deleted, _ = added[name]
        tenant.change(kept)
        tenant.delete(deleted)
        tenant.add_malformed()
        tenant.sync(rejected_share=1.0)
    tenants["slack"].revoke()
    tenants["slack"].sync()


def _age(bench: Bench) -> None:
    """Have everything stored two days ago."""
    for source in SOURCES:
        for record in source.records:
            bench.execute(
                "set local session_replication_role = replica;"  # else the trigger keeps a version
                f"update {record.table} set first_seen_at = first_seen_at - interval '2 days',"
                " updated_at = updated_at - interval '2 days'"
            )


def test_each_query_answers(bench: Bench) -> None:
    queries = dict(QUERIES.findall(PAGE.read_text()))
    assert len(queries) == 10
    read_all(bench)
    answers: dict[str, list[Mapping[str, Any]]] = {}
    for title, query in queries.items():
        with bench.engine.connect() as conn:
            answers[title] = [dict(row) for row in conn.exec_driver_sql(query.replace("%", "%%")).mappings()]
        assert answers[title], title

    def sources(title: str) -> set[str]:
        return {row["source"] for row in answers[title]}

    assert sources("Where is my call?") == {"gong", "fathom"}
    assert {row["about"] for row in answers["Which threads has nobody answered?"]} >= {"Does anybody know why?"}
    assert sources("Which threads has nobody answered?") == {"slack", "gmail"}
    assert LINES[0].rstrip(".") in {
        row["quote"] for row in answers["Which pains were told, by month, in which words?"]
    }
    assert {(row["source"], row["state"]) for row in answers["Who is not fresh?"]} == {
        ("slack", "needs_reconnect")
    }
    for title in (
        "What did a customer say this week, wherever it was said?",
        "What did we hold at a moment?",
        "How much is it, per workspace?",
        "What was deleted at the vendor?",
    ):
        assert sources(title) == ALL, title
    tables = {row["table_name"].partition("_")[0] for row in answers["What changed since yesterday?"]}
    assert tables == ALL
    rejected = {row["table_name"].partition("_")[0] for row in answers["What could not be parsed or stored?"]}
    assert rejected == ALL
