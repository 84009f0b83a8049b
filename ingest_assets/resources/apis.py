"""`SlackApi`, `GongApi` ...: a vendor's API as a typed resource, made of the options of its source.

@dg.asset
async def slack_team(slack: SlackApi, database: Database, credentials: Credentials) -> None:
    async with slack.client(slack.login(database, credentials, "acme")) as client:
        identity = await client.identity()
"""

import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import Any, ClassVar

from ingest_assets.errors import NO_WORKSPACE, IngestError
from ingest_assets.resources.from_settings import FromSettings, with_settings
from ingest_assets.resources.ingestion import Credentials, Database
from ingest_assets.sources import SOURCES
from ingest_assets.sources.login import Login
from ingest_assets.sources.source import Source
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.sync.oauth import login_of

SCHEDULED = frozenset({"sync_cron"})  # read when the code location is loaded, and by no run


class Api(FromSettings):
    """A vendor's API: addresses, windows and pacing, the same for all workspaces."""

    source: ClassVar[Source]

    def options(self) -> Any:
        """Return the source's options. Raises SettingsError for one that cannot be used."""
        return self.settings()

    def client(self, login: Login) -> AbstractAsyncContextManager[Any]:
        """Open the source's client, the one that syncs read with."""
        return self.source.connector().client(login)

    def login(
        self, database: Database, credentials: Credentials, workspace: str, name: str | None = None
    ) -> Login:
        """Return the login of a workspace's account; `name` chooses among several. Raises IngestError."""
        engine = database.engine()
        with engine.connect() as conn:
            rows = find_accounts(conn, source=self.source.name, workspace_ids=[workspace], name=name)
        if not rows:
            raise IngestError(NO_WORKSPACE.format(workspace, self.source.name))
        if len(rows) > 1:
            names = ", ".join(repr(row.name) for row in rows)
            raise IngestError(
                f"Workspace {workspace} has several {self.source.title} accounts: {names}; name one."
            )
        return login_of(self.source, rows[0], self.options(), engine=engine, vault=credentials.vault())


def _made(source: Source) -> type[Api]:
    doc = f"{source.api}. The same for all workspaces."
    made = with_settings(source.options, without=SCHEDULED, name=f"{source.title}Api", doc=doc)(Api)
    made.source = source
    return made


APIS: dict[str, type[Api]] = {source.name: _made(source) for source in SOURCES}
"""By the name of the source, which is the resource's key."""


def __getattr__(name: str) -> Any:
    """Let `SlackApi` and the others be imported by name."""
    for api in APIS.values():
        if api.__name__ == name:
            return api
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def takes_api(source: Source) -> Callable[[Callable[..., Iterator[Any]]], Callable[..., Iterator[Any]]]:
    """Decorate an asset's function so that its parameter `api` is, for Dagster, `slack: SlackApi`."""

    def rename(function: Callable[..., Iterator[Any]]) -> Callable[..., Iterator[Any]]:
        @wraps(function)
        def renamed(*args: Any, **kwargs: Any) -> Iterator[Any]:
            yield from function(*args, api=kwargs.pop(source.name), **kwargs)

        signature = inspect.signature(function)
        parameters = [
            parameter.replace(name=source.name, annotation=APIS[source.name]) if name == "api" else parameter
            for name, parameter in signature.parameters.items()
        ]
        renamed.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # PEP 362
        return renamed

    return rename
