"""Connect an account: probe a login, store its accounts with the secrets sealed or by name."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError
from sqlalchemy.exc import IntegrityError

from ingest_assets.app import App
from ingest_assets.cli.given import read_given
from ingest_assets.cli.progress import elapsed, progress
from ingest_assets.errors import IngestError, SourceError
from ingest_assets.sources.login import AccountSettings, Clock, Login, Probe
from ingest_assets.sources.source import Source
from ingest_assets.storage.accounts import find_accounts, save_account
from ingest_assets.storage.workspaces import register_workspace
from ingest_assets.sync.oauth import forget_pairs, tokens_of

SLUG = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Connected:
    """What `connect` did: the accounts that it stored, and why others could not be."""

    accounts: list[tuple[str, Probe, bool]]
    """(the account's name, what was found, whether the account is new)"""
    refused: list[SourceError]


def connect_account(
    app: App,
    source: Source,
    workspace_id: str,
    *,
    given: Mapping[str, Any],
    settings: Mapping[str, Any],
    name: str | None,
    read_secret: Callable[[str], str],
    clock: Clock | None = None,
) -> Connected:
    """Probe one login and store its accounts. `given`: credential fields, secret ones as `env:NAME` or `-`.

    `clock`: what a probe that is tried again waits by; None is the real time.

    Raises IngestError when no account can be connected; then nothing is stored.
    """
    require_slug(workspace_id)
    engine = app.engine
    stored, in_clear = read_given(app, source, given, read_secret)
    try:
        credential = source.credential.model_validate(in_clear)
    except ValidationError as error:
        raise IngestError(_fault(error)) from None
    chosen = chosen_settings(source, settings)
    login = Login(credential=credential, settings=chosen, options=app.options_of(source), clock=clock or Clock())
    login = replace(login, tokens=tokens_of(source, login, engine=engine, vault=app.vault, probing=True))
    with progress(elapsed(f"Asking {source.title}")):
        found = asyncio.run(_probe(source, login))
    probes = [entry for entry in found if isinstance(entry, Probe)]
    refused = [entry for entry in found if isinstance(entry, SourceError)]
    if not probes:
        raise IngestError(" ".join(map(str, refused)))
    if name is not None and len(found) > 1:
        raise IngestError("--name names one account, and this login opens several; leave it out.")
    done = []
    try:
        with engine.begin() as conn:
            register_workspace(conn, workspace_id)
            before = find_accounts(conn, source=source.name, workspace_ids=[workspace_id])
            for probe in probes:
                called = name or probe.name
                is_new = save_account(conn, _account(source, workspace_id, called, probe, stored))
                done.append((called, probe, is_new))
            forget_pairs(conn, app.vault, before)
    except IntegrityError:
        names = ", ".join(repr(name or probe.name) for probe in probes)
        raise IngestError(
            f"Workspace {workspace_id} has another {source.title} account named {names}; pass --name."
        ) from None
    return Connected(done, refused)


def _account(
    source: Source, workspace_id: str, name: str, probe: Probe, stored: Mapping[str, Any]
) -> dict[str, Any]:
    own = {field: {"plain": value} for field, value in probe.credential.items()}
    return {
        "workspace_id": workspace_id,
        "source": source.name,
        "name": name,
        "external_id": probe.external_id or name,
        "credential": {**stored, **own},
        "settings": probe.settings,
    }


def require_slug(workspace_id: str) -> None:
    """Raise IngestError for what cannot name a workspace."""
    if not SLUG.fullmatch(workspace_id):
        raise IngestError(
            f"{workspace_id!r} cannot name a workspace: use lower-case letters, digits, - and _, 63 at most."
        )


def chosen_settings(source: Source, settings: Mapping[str, Any]) -> AccountSettings:
    """Return an account's settings. Raises IngestError, by the option that is wrong."""
    try:
        chosen: AccountSettings = source.settings.model_validate(settings)
    except ValidationError as error:
        raise IngestError(_fault(error)) from None
    return chosen


def _fault(error: ValidationError) -> str:
    fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
    what = fault["msg"].removeprefix("Value error, ").rstrip(".")
    return f"--{str(fault['loc'][0]).replace('_', '-')}: {what}." if fault["loc"] else f"{what}."


async def _probe(source: Source, login: Login) -> Sequence[Probe | SourceError]:
    return await source.connector().probe(login)
