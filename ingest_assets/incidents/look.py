"""Look for incidents: one statement over the health of all workspaces."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from math import ceil

from sqlalchemy import Engine

from ingest_assets.health import LEAST_SHARE
from ingest_assets.incidents.causes import CAUSES, KINDS, MANY, MODEL, OUTCOMES
from ingest_assets.incidents.settings import AlertSettings
from ingest_assets.settings import CoreSettings
from ingest_assets.sources import SOURCES
from ingest_assets.storage import incidents
from ingest_assets.storage.schema import StoredRow

GAP = timedelta(minutes=10)  # between two looks, of which there are two a minute: then nobody watched
SETTLE = timedelta(minutes=5)  # without a symptom, before an incident closes: one that flaps stays open
PAUSE = timedelta(hours=1)  # between messages about further workspaces of one incident
GROWTH = 10  # times the workspaces that were told make it worse, whatever the cause
GIVE_UP = timedelta(days=2)  # a message that no receiver took for so long says nothing any more


def look(
    engine: Engine, core: CoreSettings, alerts: AlertSettings, now: datetime, receivers: Sequence[str]
) -> StoredRow:
    """Open, escalate and close; the messages for the receivers are written in the same transaction."""
    age = timedelta(minutes=alerts.minutes)
    given = {
        "now": now,
        "objective": timedelta(minutes=core.freshness_minutes),
        "share": core.rejected_share,
        "telling": ceil(1 / max(core.rejected_share, LEAST_SHARE)),
        "many": MANY,
        "model": MODEL,
        "causes": list(CAUSES),
        "severities": [cause.severity for cause in CAUSES.values()],
        "ages": [age if cause.passing else timedelta() for cause in CAUSES.values()],
        "each": [cause.each for cause in CAUSES.values()],
        "explaining": [name for name, cause in CAUSES.items() if cause.explains_stale],
        "kinds": list(KINDS),
        "kind_causes": list(KINDS.values()),
        "outcomes": list(OUTCOMES),
        "outcome_causes": list(OUTCOMES.values()),
        "gap": GAP,
        "settle": SETTLE,
        "pause": PAUSE,
        "growth": GROWTH,
        "give_up": GIVE_UP,
        "escalate": timedelta(hours=alerts.escalate_hours),
        "receivers": list(receivers),
    }
    with engine.begin() as conn:
        return incidents.look(conn, {source.name: source.main.table for source in SOURCES}, given)
