"""The code location: everything derives from `SOURCES` and the environment."""

import os

import dagster as dg

from ingest_assets.app import App
from ingest_assets.assets.checks import source_checks
from ingest_assets.assets.feature_checks import feature_checks
from ingest_assets.assets.features import features_asset, features_key
from ingest_assets.assets.health import sync_health_asset
from ingest_assets.assets.lineage import api_spec, directory_specs
from ingest_assets.assets.records import asset_key, records_asset
from ingest_assets.features.featured import FEATURED
from ingest_assets.resources.alerts import Alerts
from ingest_assets.resources.apis import APIS
from ingest_assets.resources.from_settings import configured
from ingest_assets.resources.ingestion import Credentials, Database, Limits
from ingest_assets.resources.language_model import LanguageModelApi
from ingest_assets.schedules.due import due_sensor, sync_job, sync_schedule
from ingest_assets.schedules.incidents import incidents_sensor
from ingest_assets.schedules.lineage import lineage
from ingest_assets.schedules.maintenance import maintenance, nightly_maintenance
from ingest_assets.schedules.tenants import workspace_keys
from ingest_assets.schedules.unread import features_job, features_sensor
from ingest_assets.schedules.watch import abandoned_runs, sync_health
from ingest_assets.sources import SOURCES


def build(app: App) -> dg.Definitions:
    """Assemble the definitions for a set of settings."""
    jobs = {source.name: sync_job(source) for source in SOURCES}
    reading = {kind.source.name: features_job(kind) for kind in FEATURED}
    url = dg.EnvVar("DATABASE_URL") if app.core.database_url else ""
    keys = dg.EnvVar("INGEST_ENCRYPTION_KEYS") if app.core.encryption_keys else ""
    return dg.Definitions(
        assets=[
            *(api_spec(source) for source in SOURCES),
            *(spec for source in SOURCES for spec in directory_specs(source)),
            *(records_asset(source, app.core) for source in SOURCES),
            *(features_asset(kind, app.model) for kind in FEATURED),
            sync_health_asset,
        ],
        asset_checks=[
            *(check for source in SOURCES for check in source_checks(source, asset_key(source))),
            *(check for kind in FEATURED for check in feature_checks(kind, features_key(kind))),
        ],
        jobs=[*jobs.values(), *reading.values(), maintenance],
        schedules=[
            *(sync_schedule(source, jobs[source.name], app.options_of(source).sync_cron) for source in SOURCES),
            nightly_maintenance,
        ],
        sensors=[
            *(due_sensor(source, jobs[source.name]) for source in SOURCES),
            *(features_sensor(kind, reading[kind.source.name]) for kind in FEATURED),
            workspace_keys,
            sync_health,
            lineage,
            abandoned_runs,
            incidents_sensor,
        ],
        resources={
            "database": configured(Database, url=url, connections=app.core.connections),
            "credentials": configured(Credentials, encryption_keys=keys),
            "limits": Limits.of(app.core),
            "alerts": Alerts.of(app.alerts),
            "language_model": LanguageModelApi.of(app.model),
            **{source.name: APIS[source.name].of(app.options_of(source)) for source in SOURCES},
        },
        executor=dg.in_process_executor,
    )


defs = build(App.load(os.environ))
