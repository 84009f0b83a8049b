"""Gmail threads and their messages.

GET  users.getProfile     the mailbox's address and its current historyId
GET  users.labels.list    labels by id and name
GET  users.threads.list   up to 500 a page; `q` with epoch seconds, since dates mean midnight in California
GET  users.threads.get    messages with headers and bodies; sent through the batch endpoint, 50 a request
GET  users.history.list   what changed since a historyId: messages added and deleted, labels added and removed
GET  users.messages.attachments.get   bodies that Gmail keeps apart
login       a user's refresh token, or a service account with domain-wide delegation for each mailbox
limits      quota units a minute and mailbox, a cost for each method, inner requests of a batch included;
            403 rateLimitExceeded and userRateLimitExceeded are quota, any other 403 is not
history     ids are valid for a week or so; 404 means that everything has to be compared again
labels      are asked for by id, which a renaming leaves; deleting one takes it off all messages, and to list its
            threads is 400 invalidArgument from then on
trash       and archive are changes of labels; a permanent deletion is an event of the history
messages    never change but for their labels

A payload becomes text in mime (the tree of parts), body (which of them are read), charset, html (with html_tokens
and layout) and invitation; new_text leaves out what is quoted.
"""

from ingest_assets.sources.gmail.client_file import client_file
from ingest_assets.sources.gmail.connect import GmailCredential, GmailOptions, GmailSettings
from ingest_assets.sources.gmail.locate import link, locate
from ingest_assets.sources.gmail.records import GmailMessage, GmailThread
from ingest_assets.sources.source import Connector, Source


def _connector() -> Connector[GmailCredential, GmailSettings, GmailOptions]:
    from ingest_assets.sources.gmail.authorize import AUTHORIZE
    from ingest_assets.sources.gmail.client import GmailClient
    from ingest_assets.sources.gmail.extract import extract
    from ingest_assets.sources.gmail.finding import covered, shows
    from ingest_assets.sources.gmail.login import exchange
    from ingest_assets.sources.gmail.planning import plan
    from ingest_assets.sources.gmail.probe import probe
    from ingest_assets.sources.gmail.verify import reread, verify

    return Connector(
        extract,
        probe,
        GmailClient.open,
        exchange,
        verify=verify,
        reread=reread,
        plan=plan,
        authorize=AUTHORIZE,
        covered=covered,
        shows=shows,
    )


GMAIL = Source(
    name="gmail",
    title="Gmail",
    description="Threads of the selected labels with all their messages as text, kept in step with label changes, "
    "trash and deletions.",
    api="Gmail API: users.threads, users.history, users.labels",
    console="https://admin.google.com/ac/owl/domainwidedelegation",
    records=(GmailThread, GmailMessage),
    credential=GmailCredential,
    settings=GmailSettings,
    options=GmailOptions,
    connector=_connector,
    client_file=client_file,
    examples=(
        "--workspace acme --login --client-file client_secret_123.json",
        "--workspace acme --service-account key.json --subjects ann@acme.com,bob@acme.com",
    ),
    locate=locate,
    link=link,
)
