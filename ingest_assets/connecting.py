"""Connect an account: read the secrets from where they are named, probe them, store them sealed or by name."""

import asyncio
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from ingest_assets.app import App
from ingest_assets.errors import IngestError
from ingest_assets.sources.base import Probe, Source
from ingest_assets.storage import accounts as storage

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")


def connect_account(
    app: App,
    source: Source,
    workspace_id: str,
    *,
    given: Mapping[str, str],
    settings: Mapping[str, Any],
    name: str | None,
    read_secret: Callable[[str], str],
) -> Probe:
    """Probe and store one login. `given`: credential fields, secret ones as `env:NAME` or `-`.

    Raises IngestError; then nothing is stored.
    """
    if not SLUG.fullmatch(workspace_id):
        raise IngestError(
            f"{workspace_id!r} cannot name a workspace: use lower-case letters, digits, - and _, 63 at most."
        )
    engine, stored, opened = app.engine, {}, {}
    for field, value in given.items():
        if not source.credential.is_secret(field):
            stored[field], opened[field] = {"plain": value}, value
        elif value == "-":
            app.vault.require_key()
            opened[field] = read_secret(field)
            stored[field] = app.vault.seal(opened[field])
        elif match := VARIABLE.fullmatch(value):
            opened[field] = os.environ.get(match[1], "")
            stored[field] = {"env": match[1]}
            if not opened[field]:
                raise IngestError(f"The variable {match[1]} is not set; export it, or pass - to type the {field}.")
        else:
            raise IngestError(
                f"A {field} is never given on the command line, where others can see it; pass env:NAME for a "
                "variable that holds it, or - to read it from standard input."
            )
    try:
        credential = source.credential.model_validate(opened)
        chosen = source.settings.model_validate(settings)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise IngestError(f"--{str(fault['loc'][0]).replace('_', '-')}: {fault['msg']}.") from None
    probe: Probe = asyncio.run(_probe(source, credential, chosen, app.options_of(source)))
    account = {
        "workspace_id": workspace_id,
        "source": source.name,
        "name": name or probe.name,
        "external_id": probe.external_id,
        "credential": stored,
        "settings": probe.settings,
    }
    try:
        with engine.begin() as conn:
            storage.register_workspace(conn, workspace_id)
            storage.save_account(conn, account)
    except IntegrityError:
        raise IngestError(
            f"Workspace {workspace_id} has another {source.title} account named {account['name']!r}; pass --name."
        ) from None
    return probe


async def _probe(source: Source, credential: Any, settings: Any, options: Any) -> Probe:
    return await source.probe(credential, settings, options)
