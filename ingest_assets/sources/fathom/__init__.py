"""Fathom sessions with their transcripts, summaries and action items (fathom.video, not usefathom.com).

GET /meetings                     newest first, it seems; a page is as long as Fathom likes (10)
GET /recordings/{id}/transcript   and /summary: the only way to both for an OAuth app
login       an API key belongs to a user and sees what that user may see; several keys make a whole company
includes    with a key the list brings transcripts and summaries inline; an OAuth app may not ask for them
limits      60 requests a minute, 30 of them heavy (with transcript or summary), which may drop to 5;
            RateLimit-Limit, -Remaining and -Reset tell
page cursor a page number: what comes or goes while we page shifts it, so the end of the range is pinned,
            recordings are told apart by recording_id, and each page but the last is looked at again
late data   transcript and summary come after the meeting; summaries are edited, action items completed:
            a range filters by created_at only, so only looking back shows any of this
refusals    403 for one recording: a limited share, which is listed and may not be read; whatever a recording
            answers concerns that recording
deletions   absence from a range and 404 for the recording: deleted, or no longer shared with this key
"""

from ingest_assets.sources.fathom.connect import FathomCredential, FathomOptions, FathomSettings
from ingest_assets.sources.fathom.locate import link, locate
from ingest_assets.sources.fathom.records import FathomSession
from ingest_assets.sources.fathom.transcript import of_fathom
from ingest_assets.sources.source import Connector, Source


def _connector() -> Connector[FathomCredential, FathomSettings, FathomOptions]:
    from ingest_assets.sources.fathom.authorize import AUTHORIZE
    from ingest_assets.sources.fathom.client import FathomClient, exchange
    from ingest_assets.sources.fathom.extract import extract
    from ingest_assets.sources.fathom.finding import covered, shows
    from ingest_assets.sources.fathom.planning import plan
    from ingest_assets.sources.fathom.probe import probe
    from ingest_assets.sources.fathom.verify import verify
    from ingest_assets.sources.time_window_plan import reread

    return Connector(
        extract,
        probe,
        FathomClient.open,
        exchange,
        verify=verify,
        reread=reread,
        plan=plan,
        authorize=AUTHORIZE,
        covered=covered,
        shows=shows,
    )


FATHOM = Source(
    name="fathom",
    title="Fathom",
    description="Recorded sessions with transcripts, summaries and action items, each once for all keys of a "
    "workspace.",
    api="Fathom API: /meetings, /recordings/{id}/transcript, /recordings/{id}/summary",
    console="https://fathom.video/customize#api-access-header",
    records=(FathomSession,),
    credential=FathomCredential,
    settings=FathomSettings,
    options=FathomOptions,
    connector=_connector,
    examples=(
        "--workspace acme --login --client-id abc --client-secret -",
        "--workspace acme --name eve --api-key env:EVES_FATHOM_KEY",
    ),
    transcript=of_fathom,
    locate=locate,
    link=link,
)
