"""Three checks of a source's asset, of which pages show what is true.

`fresh` judges all workspaces at once: "47 of 50 workspaces are fresh", with a table of the others.
`healthy` and `complete` judge each workspace, which is a partition. Dagster shows a partition's report while it
is about the partition's newest materialization; for the check as a whole it shows, in the asset's header, whatever
was reported last, of any partition. So whoever materializes a partition reports it anew, and a failed report comes
last.

Declared apart from the asset and reported by its step, and by a sensor: a batch has no partitions for which
Dagster could plan a check, and a check step that follows our assets' step would be skipped, since it reports
workspace by workspace and makes no output.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from sqlalchemy import Connection, Engine

from ingest_assets.assets import summaries
from ingest_assets.assets.partitions import workspaces
from ingest_assets.assets.reporting import Shown, hidden, report_check, target, targets
from ingest_assets.health import Health, find
from ingest_assets.settings import CoreSettings
from ingest_assets.sources.source import Source
from ingest_assets.storage import reports
from ingest_assets.storage.coverage import completeness

FRESH, HEALTHY, COMPLETE = "fresh", "healthy", "complete"
OF_WORKSPACES = (HEALTHY, COMPLETE)
DESCRIPTIONS = {
    FRESH: "Every account of every workspace had a complete sync within INGEST_FRESHNESS_MINUTES.",
    HEALTHY: "The workspace is fresh, each of its accounts can be read, and the share of its items that could not "
    "be parsed is under INGEST_REJECTED_SHARE.",
    COMPLETE: "All that the workspace's accounts show us was read to its end: `ingest-assets coverage` has no "
    "gap. It fails as a warning: a transcript that the vendor does not have yet is a gap, and nobody has to act.",
}
SEVERITIES = {COMPLETE: dg.AssetCheckSeverity.WARN}
NOTHING_TO_READ = True, "there is no account to be read, or it is paused"


def judge(one: Health, core: CoreSettings) -> tuple[bool, str]:
    """Return whether a workspace is healthy, and the reason in words."""
    crowded = one.rejected_share > core.rejected_share
    of_all = f"{one.read} of {one.accounts} accounts can be read, " if one.accounts > 1 else ""
    share = f"; {one.rejected_share:.0%} of its items could not be parsed, at most {core.rejected_share:.0%} may"
    calm = one.state in {"fresh", "stale"}
    return one.fresh and calm and not crowded, of_all + one.reason + (share if crowded else "")


@dataclass(frozen=True, kw_only=True)
class Checks:
    """The checks of a source, and where their reports go."""

    instance: dg.DagsterInstance
    source: Source
    engine: Engine
    core: CoreSettings

    @property
    def asset(self) -> dg.AssetKey:
        table = self.source.main.table
        return dg.AssetKey([str(table.schema), table.name])

    def of_workspaces(
        self, now: datetime, *, keys: Sequence[str] | None = None, always: Collection[str] = (), limit: int = 10**9
    ) -> Iterator[dg.AssetCheckEvaluation]:
        """Yield the checks that changed since they were last reported, by workspace, and always those of some.

        What was yielded counts as reported. `keys`: the workspaces to judge, all by default.
        """
        with self.engine.begin() as conn:
            known = reports.reported(conn, self.source.name, keys)
            judged = self._judged(conn, now, keys)
            subjects = [*known, *((key, name) for key in always for name in OF_WORKSPACES)]
            results = {subject: NOTHING_TO_READ for subject in subjects if subject[1] in OF_WORKSPACES} | judged
            news = [
                (key, name, *result)
                for (key, name), result in results.items()
                if key in always or known.get((key, name)) != result
            ][:limit]
            yield from self._evaluations(news)
            reports.save_reported(conn, self.source.name, news)
        for name in OF_WORKSPACES:
            check = dg.AssetCheckKey(self.asset, name)
            passed = {key: result for key, of, result, _ in news if of == name}
            again = set(hidden(self.instance, check, passed)) if passed else set()
            for evaluation in self._evaluations([one for one in news if one[1] == name and one[0] in again]):
                report_check(self.instance, evaluation, run_id=None)

    def _judged(
        self, conn: Connection, now: datetime, keys: Sequence[str] | None
    ) -> dict[tuple[str, str], tuple[bool, str]]:
        """Return the results by (workspace, check), with one statement for each check."""
        healths = find(conn, self.core, now, source=self.source.name, workspace_ids=keys)
        read = completeness(conn, self.source.name, keys)
        healthy = {(one.workspace_id, HEALTHY): judge(one, self.core) for one in healths}
        return healthy | {(key, COMPLETE): (one.complete, one.words) for key, one in read.items()}

    def _evaluations(self, news: Sequence[tuple[str, str, bool, str]]) -> Iterator[dg.AssetCheckEvaluation]:
        about = targets(self.instance, self.asset, [key for key, *_ in news])
        for key, name, passed, reason in news:
            metadata = {"reason": reason} if passed else {"reason": reason, **self._help()}
            yield self._evaluation(name, passed, metadata, about.get(key), partition=key)

    def _help(self) -> dict[str, dg.UrlMetadataValue]:
        """Return links to where a login is granted, and to how it is connected."""
        links = {"vendor": dg.MetadataValue.url(self.source.console)}
        if self.core.docs_url:
            path = f"{self.core.docs_url.rstrip('/')}/connecting/{self.source.name}.html"
            links["how_to_connect"] = dg.MetadataValue.url(path)
        return links

    def of_all(self, now: datetime, name: str = FRESH) -> dg.AssetCheckEvaluation:
        """Judge all workspaces at once."""
        with self.engine.connect() as conn:
            if name == COMPLETE:
                result = summaries.of_completeness(name, completeness(conn, self.source.name).values())
            else:
                healths = find(conn, self.core, now, source=self.source.name)
                bad = [one for one in healths if not (one.fresh if name == FRESH else judge(one, self.core)[0])]
                result = summaries.of_healths(name, healths, bad)
        about = target(self.instance, self.asset)
        return self._evaluation(name, result.passed, result.metadata, about, description=result.description)

    def settle_workspaces(self) -> None:
        """Let pages show a check as failed where one workspace fails it, and as passed otherwise."""
        for name in OF_WORKSPACES:
            shown = Shown(self.instance, dg.AssetCheckKey(self.asset, name)).evaluation
            with self.engine.connect() as conn:
                wanted = reports.any_reported(conn, self.source.name, name)
                if wanted is None or (
                    shown is not None and shown.passed == wanted[1] and self._holds(conn, name, shown)
                ):
                    continue
            [evaluation] = self._evaluations([(wanted[0], name, *wanted[1:])])
            report_check(self.instance, evaluation, run_id=None)

    def _holds(self, conn: Connection, name: str, shown: dg.AssetCheckEvaluation) -> bool:
        if shown.partition is None:
            return True
        known = reports.reported(conn, self.source.name, [shown.partition]).get((shown.partition, name))
        return known is None or known[0] == shown.passed

    def _evaluation(
        self, name: str, passed: bool, metadata: Any, about: Any, **more: Any
    ) -> dg.AssetCheckEvaluation:
        return dg.AssetCheckEvaluation(
            asset_key=self.asset,
            check_name=name,
            passed=passed,
            metadata=metadata,
            severity=SEVERITIES.get(name, dg.AssetCheckSeverity.ERROR),
            target_materialization_data=about,
            **more,
        )


def source_checks(source: Source, asset: dg.AssetKey) -> list[dg.AssetChecksDefinition]:
    """Declare the checks of a source's asset; run by themselves they judge the chosen workspaces, or all."""
    return [_declare(source, asset, name) for name in DESCRIPTIONS]


def _declare(source: Source, asset: dg.AssetKey, name: str) -> dg.AssetChecksDefinition:
    partitions = workspaces if name in OF_WORKSPACES else None
    spec = dg.AssetCheckSpec(name, asset=asset, description=DESCRIPTIONS[name], partitions_def=partitions)
    identifier = spec.get_python_identifier()

    # not an `@asset_check`: with partitions it cannot be run without one, for which Dagster looks when it is done
    @dg.multi_asset_check(name=identifier, specs=[spec], required_resource_keys={"database", "limits"})
    def check(context: dg.AssetCheckExecutionContext) -> Iterator[dg.Output[None] | dg.AssetCheckEvaluation]:
        engine, core = context.resources.database.engine(), context.resources.limits.core()
        checks = Checks(instance=context.instance, source=source, engine=engine, core=core)
        yield dg.Output(None, identifier)
        if partitions is not None and (context.has_partition_key or context.has_partition_key_range):
            keys = list(context.partition_keys)
            yield from checks.of_workspaces(datetime.now(UTC), keys=keys, always=keys)
            checks.settle_workspaces()
        else:
            yield checks.of_all(datetime.now(UTC), name)

    return check
