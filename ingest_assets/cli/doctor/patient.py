"""What the checks look at: the environment, and what is read once of the database."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from ingest_assets.app import App, setting_groups
from ingest_assets.cli.processes import HOME
from ingest_assets.errors import IngestError
from ingest_assets.features.settings import ModelSettings
from ingest_assets.incidents.settings import AlertSettings
from ingest_assets.settings import CoreSettings, SettingsError, SettingsGroup, refuse_unknown
from ingest_assets.sources import SOURCES
from ingest_assets.storage.accounts import find_accounts
from ingest_assets.storage.dagster_state import has_dagster_tables
from ingest_assets.storage.engine import head_revision
from ingest_assets.storage.inspecting import looking, schema_version, server_facts
from ingest_assets.storage.schema import StoredRow
from ingest_assets.storage.trouble import TROUBLES


@dataclass(frozen=True)
class Patient:
    """One installation, as this process sees it."""

    environ: Mapping[str, str]
    app: App
    faults: Sequence[str] = ()
    """Settings that cannot be used, a sentence each; `app` is made of the others."""
    workspace: str | None = None
    source: str | None = None
    offline: bool = False
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    given_up: set[str] = field(default_factory=set)
    """Checks that nobody waits for any more."""

    @classmethod
    def of(
        cls, environ: Mapping[str, str], *, workspace: str | None, source: str | None, offline: bool
    ) -> "Patient":
        """Read the environment, without what cannot be used of it."""
        faults: list[str] = []
        usable = dict(_usable(environ, faults))
        core, model, alerts = (
            _loaded(kind, usable, faults) for kind in (CoreSettings, ModelSettings, AlertSettings)
        )
        app = App(core, {one.name: _loaded(one.options, usable, faults) for one in SOURCES}, model, alerts)
        return cls(environ, app, faults, workspace, source, offline)

    @cached_property
    def server(self) -> StoredRow:
        """The server's facts. Raises what connecting raises."""
        with looking(self.app.any_engine) as conn:
            return server_facts(conn)

    @cached_property
    def answers(self) -> bool:
        """Whether there is a database that answers."""
        try:
            return bool(self.server)
        except (*TROUBLES, IngestError):
            return False

    @cached_property
    def readable(self) -> bool:
        """Whether our tables are there, in this program's form. Raises what connecting raises."""
        if not self.answers:
            return False
        with looking(self.app.any_engine) as conn:
            return schema_version(conn) == head_revision()

    @cached_property
    def dagster(self) -> bool:
        """Whether Dagster has tables where its storage is. Raises what connecting raises."""
        with looking(self.app.dagster_engine) as conn:
            return has_dagster_tables(conn)

    @cached_property
    def accounts(self) -> Sequence[StoredRow]:
        """The accounts that are looked at."""
        chosen = None if self.workspace is None else [self.workspace]
        with looking(self.app.any_engine) as conn:
            return find_accounts(conn, source=self.source, workspace_ids=chosen)

    @cached_property
    def home(self) -> Path | None:
        """Dagster's folder: DAGSTER_HOME, or what `ingest-assets dev` makes here; None where there is none."""
        if named := self.environ.get("DAGSTER_HOME"):
            return Path(named)
        return HOME if HOME.exists() else None


def _usable(environ: Mapping[str, str], faults: list[str]) -> Iterator[tuple[str, str]]:
    """Yield the variables that can be used; put a sentence for each other one into `faults`."""
    groups = setting_groups()
    for name, value in environ.items():
        try:
            refuse_unknown({name: value}, groups)
            _load_alone(groups, name, value)
        except SettingsError as error:
            faults.append(str(error))
        else:
            yield name, value


def _load_alone(groups: Sequence[type[SettingsGroup]], name: str, value: str) -> None:
    for group in groups:
        if name in group.variables():
            group.load({name: value})


def _loaded(group: type[SettingsGroup], usable: Mapping[str, str], faults: list[str]) -> Any:
    """Load a group; by its defaults where variables, each of which can be used, do not go together."""
    try:
        return group.load(usable)
    except SettingsError as error:
        faults.append(str(error))
        return group.load({})


def here() -> Mapping[str, str]:
    """Return the environment of this process."""
    return os.environ
