"""Slack messages, threads and edits.

GET users.conversations     the channels that the bot is in                            50 requests a minute
GET conversations.history   newest first, up to 999; a page may be empty and go on     50 requests a minute
GET conversations.replies   parent first, then oldest to newest; parent may repeat     50 requests a minute
GET search.messages         a user's token; finds replies by when they were written        20 requests a minute
GET users.list, users.info  names; guests from other companies only by users.info  20 and 100 requests a minute
limits                      a minute, a method, a workspace, an app; commercial apps outside the Marketplace
                            get 1 request a minute and 15 objects for history and replies; a 429 holds the method
refusals                    of a channel, a thread or a profile concern that part; auth.test tells of the login
ts                          "seconds.micros", a string, unique within its channel
late data                   a reply, an edit or a deletion does not change the ts of anything: only reading a
                            stretch of time again shows them. Parents carry reply_count and latest_reply.
deletions                   absence; a deleted parent with replies becomes a tombstone
a channel that is left      is listed no more, and so are some archived ones: nothing else tells
text                        a notification's line where a message has blocks; see `text`
page cursors                die (invalid_cursor); has to be followed to its end within one fixed range

Read connect, client (errors), records (text, blocks, markup), plan, channel, directory, hints (search), extract.
"""

from ingest_assets.sources.slack.connect import SlackCredential, SlackOptions, SlackSettings
from ingest_assets.sources.slack.locate import link, locate
from ingest_assets.sources.slack.manifest import manifest
from ingest_assets.sources.slack.methods import SEARCH
from ingest_assets.sources.slack.records import SlackChannel, SlackMessage, SlackUser
from ingest_assets.sources.source import Connector, Source


def _connector() -> Connector[SlackCredential, SlackSettings, SlackOptions]:
    from ingest_assets.sources.slack.authorize import AUTHORIZE
    from ingest_assets.sources.slack.client import SlackClient, exchange
    from ingest_assets.sources.slack.extract import extract
    from ingest_assets.sources.slack.finding import covered, shows
    from ingest_assets.sources.slack.planning import plan
    from ingest_assets.sources.slack.probe import probe
    from ingest_assets.sources.slack.verify import reread, verify
    from ingest_assets.sources.slack.visible import cautions, visible

    return Connector(
        extract,
        probe,
        SlackClient.open,
        exchange,
        verify=verify,
        reread=reread,
        plan=plan,
        authorize=AUTHORIZE,
        visible=visible,
        cautions=cautions,
        covered=covered,
        shows=shows,
    )


SLACK = Source(
    name="slack",
    title="Slack",
    description="Messages, thread replies and broadcasts that the workspace's bot can see, kept in step with "
    "late replies, edits and deletions.",
    api="Slack Web API: conversations.history, conversations.replies, users.conversations, users.list",
    console="https://api.slack.com/apps",
    records=(SlackMessage, SlackUser, SlackChannel),
    credential=SlackCredential,
    settings=SlackSettings,
    options=SlackOptions,
    connector=_connector,
    manifest=manifest,
    hints=frozenset({SEARCH}),
    examples=(
        "--manifest --public-only  # an app to make at api.slack.com/apps",
        "--workspace acme --login --client-id 123.456 --client-secret -",
        "--workspace acme --token env:ACME_SLACK_TOKEN --channels general,support",
    ),
    locate=locate,
    link=link,
)
