"""Ask Slack's search for replies by when they were written, with a user's token.

query    threads:replies; `after:` is a whole day in the searching user's time zone, that day excluded
page     numbered; beyond the last one that Slack serves it answers with page 1 again, and says so
answers  are kept for a while by the text of the query, and new messages are found late, with no bound published
hits     of whatever the user sees, so of channels that the bot is not in, too; not the API's messages, but the
         permalink of a reply names its parent: ?thread_ts=
limit    20 requests a minute, for commercial apps outside the Marketplace, too
"""

import re
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ingest_assets.sources.client.paging import listed
from ingest_assets.sources.json_values import mapping_of
from ingest_assets.sources.slack.client import SlackClient
from ingest_assets.sources.slack.connect import SlackCredential, SlackLogin
from ingest_assets.sources.slack.records import TS, ts_of

PAGES = 10  # of one look: half of what Slack grants in a minute
ZONES = timedelta(days=2)  # a day is excluded, begins up to 14 hours before UTC's, and ends up to 12 hours after
SPREAD = 12  # days: each of so many hours in a row asks from another day, so that no kept answer comes back
LONGEST_LINK = 2000  # characters
PARENT = re.compile(rf"[?&]thread_ts=({TS.pattern})(?![0-9])", re.ASCII)
WHAT = "Slack's answer to search.messages"


@dataclass(frozen=True)
class Hit:
    """A reply that search has found."""

    channel_id: str
    ts: str
    thread_ts: str


def searching(login: SlackLogin) -> AbstractAsyncContextManager[SlackClient]:
    """Connect with a login's search token, which is no part of its rotation."""
    alone = SlackCredential(token=login.credential.search_token)
    return SlackClient.open(replace(login, credential=alone, tokens=None), at_once=1, limited=False)


def query_of(since: datetime, now: datetime) -> str:
    """Return the search for the replies since a moment: of SPREAD hours in a row each one has another text."""
    hour, latest = int(now.timestamp()) // 3600, (since - ZONES).date()
    return f"threads:replies after:{latest - timedelta(days=(latest.toordinal() - hour) % SPREAD):%Y-%m-%d}"


async def find_replies(client: SlackClient, since: datetime, now: datetime, *, tries: int) -> list[Hit]:
    """Return the replies since a moment that search finds in at most PAGES requests, newest first.

    Raises SourceError.
    """
    query, oldest, hits = query_of(since, now), ts_of(since), list[Hit]()
    for page in range(1, PAGES + 1):
        messages = dict(mapping_of((await client.search(query, page, tries=tries)).get("messages")))
        matches, paging = listed(messages, "matches", WHAT), mapping_of(messages.get("paging"))
        if paging.get("page", page) != page:
            break
        found = [hit for match in matches if (hit := _hit(match))]
        hits += found
        last = paging.get("pages")
        if not isinstance(last, int) or page >= last or (found and max(hit.ts for hit in found) < oldest):
            break
    return [hit for hit in hits if hit.ts >= oldest]


def _hit(match: object) -> Hit | None:
    """Return a hit, None for what is no reply or does not tell whose."""
    shown = mapping_of(match)
    channel_id, ts, link = mapping_of(shown.get("channel")).get("id"), shown.get("ts"), shown.get("permalink")
    if not isinstance(channel_id, str) or not isinstance(ts, str) or not isinstance(link, str):
        return None
    parent = PARENT.search(link[:LONGEST_LINK])
    if parent is None or not TS.fullmatch(ts) or parent[1] >= ts:
        return None
    return Hit(channel_id, ts, parent[1])
