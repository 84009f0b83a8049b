"""Gong calls and their transcripts.

POST /v2/calls/extensive    calls of a range with parties, content and interaction, 100 a page
POST /v2/calls/transcript   transcripts, by ids, 100 a request
GET  /v2/calls/{id}         whether a call still exists
GET  /v2/users, /v2/workspaces   names
host        one for each customer: the same key is refused at every other
limits      3 requests a second and 10,000 a day for a company, all its keys together
empty       a range without calls is HTTP 404 with a text about it; any other 404 is an error
page cursor at the top level of the body; dies an hour after the first request of its sequence
order       none promised
late data   a call is listed once Gong has processed it, its details and its transcript later, edits any time;
            a range filters by when a call was to start, so only looking back shows any of this
one of many 404 or 400 for a whole request by ids because of one of them: it is halved down to that one
deletions   absence from a range, and 404 for the id
"""

from ingest_assets.sources.gong.connect import GongCredential, GongOptions, GongSettings
from ingest_assets.sources.gong.locate import link, locate
from ingest_assets.sources.gong.records import GongCall, GongUser, GongWorkspace
from ingest_assets.sources.gong.transcript import of_gong
from ingest_assets.sources.source import Connector, Source


def _connector() -> Connector[GongCredential, GongSettings, GongOptions]:
    from ingest_assets.sources.gong.authorize import AUTHORIZE
    from ingest_assets.sources.gong.client import GongClient, exchange
    from ingest_assets.sources.gong.extract import extract
    from ingest_assets.sources.gong.finding import covered, shows
    from ingest_assets.sources.gong.planning import plan
    from ingest_assets.sources.gong.probe import probe
    from ingest_assets.sources.gong.verify import verify
    from ingest_assets.sources.time_window_plan import reread

    return Connector(
        extract,
        probe,
        GongClient.open,
        exchange,
        verify=verify,
        reread=reread,
        plan=plan,
        authorize=AUTHORIZE,
        covered=covered,
        shows=shows,
    )


GONG = Source(
    name="gong",
    title="Gong",
    description="Recorded calls with parties, content and transcripts, looked at again until these are there.",
    api="Gong API: /v2/calls/extensive, /v2/calls/transcript, /v2/calls/{id}, /v2/users, /v2/workspaces",
    console="https://app.gong.io/company/api",
    records=(GongCall, GongUser, GongWorkspace),
    credential=GongCredential,
    settings=GongSettings,
    options=GongOptions,
    connector=_connector,
    examples=(
        "--workspace acme --login --client-id abc --client-secret -",
        "--workspace acme --base-url https://us-1.api.gong.io --access-key env:KEY --access-key-secret env:SECRET",
    ),
    transcript=of_gong,
    daily_calls=lambda options: int(options.calls_per_day),
    locate=locate,
    link=link,
)
