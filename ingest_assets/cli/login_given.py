"""What options, files and a login by browser give for `connect`: the credential's fields and the settings."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from ingest_assets.app import App
from ingest_assets.cli.connecting import chosen_settings, require_slug
from ingest_assets.cli.given import Secrets, content_of, opened
from ingest_assets.cli.login import Browser, log_in
from ingest_assets.cli.target import Target
from ingest_assets.errors import IngestError
from ingest_assets.sources.authorizing import Client
from ingest_assets.sources.source import Source

CLIENT = ("client_id", "client_secret")


def logged_in(
    app: App,
    source: Source,
    workspace: str,
    given: Mapping[str, Any],
    settings: Mapping[str, Any],
    values: Mapping[str, Any],
    secrets: Secrets,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Log in by browser; return what `connect_account` is given, with the secrets remembered in `secrets`.

    Whatever can be found wrong beforehand is: nobody is sent to the vendor for nothing.
    """
    if more := [field for field in given if field not in CLIENT]:
        raise IngestError(f"--login gets what --{more[0].replace('_', '-')} would give; leave one of them out.")
    require_slug(workspace)
    app.vault.require_key()
    app.engine.connect().close()
    chosen, options = chosen_settings(source, settings), app.options_of(source)
    if (authorize := source.connector().authorize) is None:
        raise IngestError(f"{source.title} has no login by browser.")
    client, secret = _client(app, source, given, values, secrets)
    target = Target.chosen(
        redirect_url=values["redirect_url"],
        port=values["port"],
        registered=client.redirect_urls,
        https_only=not authorize.loopback and options.authorize_url.startswith("https://"),
    )
    browser = Browser(target=target, wait=timedelta(minutes=values["wait"]), opened=not values["no_browser"])
    granted = asyncio.run(log_in(source.title, authorize, options, chosen, client, browser))
    for field, value in granted.secrets.items():
        secrets.know(field, value)
    app_given = {"client_id": client.client_id, "client_secret": secret} if granted.with_app else {}
    return {**app_given, **dict.fromkeys(granted.secrets, "-")}, {**settings, **granted.settings}


def _client(
    app: App, source: Source, given: Mapping[str, Any], values: Mapping[str, Any], secrets: Secrets
) -> tuple[Client, str]:
    """Return the app, and where its secret is kept: `env:NAME`, or `-` for one that `secrets` knows now."""
    if file := values.get("client_file"):
        if given or source.client_file is None:
            raise IngestError("--client-file holds the client id and secret; leave out those options.")
        client = source.client_file(content_of(file))
        secrets.know("client_secret", client.client_secret)
        return client, "-"
    if "client_id" not in given:
        or_file = " or --client-file" if source.client_file is not None else ""
        raise IngestError(
            f"--login needs the app's --client-id{or_file}; docs/connecting/{source.name}.md has more."
        )
    kept = given.get("client_secret", "-")
    _stored, secret = opened(app, source, "client_secret", kept, secrets)
    return Client(client_id=given["client_id"], client_secret=secret), kept
