"""What was found in conversations, for the terminal."""

from collections.abc import Mapping
from typing import Any

from ingest_assets.app import App
from ingest_assets.cli.output import moment
from ingest_assets.features.featured import FEATURED
from ingest_assets.features.model import KINDS
from ingest_assets.features.prompt import clock
from ingest_assets.storage.features import newest_features
from ingest_assets.terminal import echo


def feature_entries(app: App, workspace_id: str) -> list[dict[str, Any]]:
    """Return what `features` shows, newest conversation first."""
    with app.engine.connect() as conn:
        rows = [(kind, row) for kind in FEATURED for row in newest_features(conn, kind.table, workspace_id)]
    rows.sort(key=lambda pair: pair[1].occurred_at, reverse=True)
    return [
        {
            "source": kind.source.name,
            "id": row.external_id,
            "occurred_at": moment(row.occurred_at),
            "title": row.title,
            "state": row.state,
            "reason": row.reason,
            "model": row.model,
            "extracted_at": moment(row.extracted_at),
            "summary": row.summary,
            "found": len(row.items),
            "dropped": row.dropped,
            "items": row.items,
        }
        for kind, row in rows
    ]


def print_features(entry: Mapping[str, Any]) -> None:
    """Print one conversation's features, kind by kind, every one with its quote, speaker and time."""
    echo(entry["title"] or entry["id"], bold=True)
    echo(f"{entry['source']} {entry['id']}, {entry['occurred_at']}, read by {entry['model']}")
    if entry["reason"]:
        echo(f"{entry['state']}: {entry['reason']}")
    echo()
    echo(entry["summary"] or "No summary.")
    for name in KINDS:
        items = [item for item in entry["items"] if item["kind"] == name]
        if items:
            echo()
            echo(name.replace("_", " "), bold=True)
        for item in items:
            facts = [item[field] for field in ("person", "due", "sentiment") if item[field]]
            echo(f"  {item['statement']}" + (f" ({', '.join(facts)})" if facts else ""))
            until = "" if item["end"] is None else f"-{clock(item['end'])}"
            echo(f"    {clock(item['start'])}{until} {item['speaker']} ({item['side']}): “{item['quote']}”")
