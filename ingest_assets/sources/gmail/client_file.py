"""Google's file of an OAuth client, `client_secret_*.json`: of a desktop app or a web application."""

import orjson

from ingest_assets.errors import IngestError
from ingest_assets.sources.authorizing import Client
from ingest_assets.sources.json_values import list_of, mapping_of, text_of

WHERE = "download it at https://console.cloud.google.com/auth/clients (OAuth client of type Desktop app)"


def client_file(content: str) -> Client:
    """Read the client. Its addresses are left alone: the settings say where secrets are sent."""
    try:
        document = mapping_of(orjson.loads(content))
    except orjson.JSONDecodeError:
        document = {}
    if document.get("type") == "service_account":
        raise IngestError("This is the key of a service account; pass it by --service-account, with --subjects.")
    kind = next((kind for kind in ("installed", "web") if kind in document), "")
    client = mapping_of(document.get(kind))
    client_id, secret = text_of(client.get("client_id")), text_of(client.get("client_secret"))
    if not client_id or not secret:
        raise IngestError(
            f"The file holds no OAuth client of Google's with a client_id and a client_secret; {WHERE}."
        )
    urls = [url for url in map(text_of, list_of(client.get("redirect_uris"))) if url] if kind == "web" else []
    return Client(client_id=client_id, client_secret=secret, redirect_urls=urls)
