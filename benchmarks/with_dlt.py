"""dlt over the same pages: its REST client and cursor paginator, its transformers, its PostgreSQL.

Configured for what the others do: nested values stay JSON, a repeated load duplicates nothing (`merge` on a
primary key), 32 workers fetch. The rest is dlt's default. Before the measuring begins: imports.
"""

import os
import tempfile
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from benchmarks.measure import told
from benchmarks.yardstick import CONNECTIONS, PAGE

DATASET = "slack"
SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "EXTRACT__WORKERS": str(CONNECTIONS),
    "EXTRACT__MAX_PARALLEL_ITEMS": str(CONNECTIONS),
}

Item = dict[str, Any]


def resources(dlt: Any, base_url: str, token: str) -> list[Any]:
    """Channels, the messages of each channel, the replies to each parent."""
    rest = import_module("dlt.sources.helpers.rest_client")
    client = rest.RESTClient(
        base_url,
        auth=import_module("dlt.sources.helpers.rest_client.auth").BearerTokenAuth(token),
        paginator=import_module("dlt.sources.helpers.rest_client.paginators").JSONResponseCursorPaginator(
            cursor_path="response_metadata.next_cursor", cursor_param="cursor"
        ),
    )

    def pages(method: str, key: str, **params: Any) -> Iterator[list[Item]]:
        yield from client.paginate(method, params={"limit": PAGE} | params, data_selector=key)

    def channels() -> Iterator[Item]:
        for page in pages("users.conversations", "channels"):
            yield from page

    def messages(channel: Item) -> Iterator[list[Item]]:
        for page in pages("conversations.history", "messages", channel=channel["id"]):
            yield [message | {"channel_id": channel["id"]} for message in page]

    def thread(parent: Item) -> list[Item]:
        channel, ts = parent["channel_id"], parent["ts"]
        found = pages("conversations.replies", "messages", channel=channel, ts=ts)
        return [reply | {"channel_id": channel} for page in found for reply in page if reply["ts"] != ts]

    deferred = dlt.defer(thread)

    def replies(page: list[Item]) -> Iterator[Any]:
        for message in page:
            if message.get("reply_count"):
                yield deferred(message)

    shape: Mapping[str, Any] = {"write_disposition": "merge", "max_table_nesting": 0}
    key = ("channel_id", "ts")
    listed = dlt.resource(channels, primary_key="id", **shape)
    said = dlt.transformer(messages, data_from=listed, primary_key=key, parallelized=True, **shape)
    answered = dlt.transformer(replies, data_from=said, table_name="messages", primary_key=key, **shape)
    return [listed, said, answered]


def main() -> None:
    os.environ |= SETTINGS
    dlt = import_module("dlt")
    import_module("dlt.destinations.impl.postgres.postgres")
    # dlt insists on a host and a password; to libpq the parameter `host`, a socket's place, comes first
    credentials = os.environ["DATABASE_URL"].replace("postgres@/", "postgres:none@localhost/")
    base_url, token = os.environ["SLACK_API_URL"], os.environ["BENCH_SLACK_TOKEN"]
    with tempfile.TemporaryDirectory() as directory:
        found = resources(dlt, base_url, token)
        with told():
            dlt.pipeline(
                "benchmark",
                pipelines_dir=directory,
                destination=dlt.destinations.postgres(credentials),
                dataset_name=DATASET,
            ).run(found)


if __name__ == "__main__":
    main()
