"""Look for incidents twice a minute, and tell whoever is to be told."""

from datetime import UTC, datetime

import dagster as dg

from ingest_assets.incidents.look import look

LOOK_SECONDS = 30


@dg.sensor(
    name="incidents",
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    required_resource_keys={"database", "limits", "alerts"},
    description="Open and close incidents over all workspaces, and send what was not told. It requests no run.",
)
def incidents_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Need no run."""
    # with the libraries of receivers, which a process that runs a step needs not load
    from ingest_assets.incidents.deliver import deliver
    from ingest_assets.incidents.receivers import receivers_of

    engine, alerts = context.resources.database.engine(), context.resources.alerts.options()
    receivers = receivers_of(alerts)
    names = [receiver.name for receiver in receivers]
    seen = look(engine, context.resources.limits.core(), alerts, datetime.now(UTC), names)
    said = deliver(engine, alerts, receivers)
    for sentence in said:
        context.log.info(sentence)
    told = "; ".join(said) or (
        "nothing to be told" if names else "no receiver is set: INGEST_ALERT_SLACK_URL, for one"
    )
    return dg.SkipReason(f"{seen.open} incidents are open, {seen.opened} new, {seen.closed} closed; {told}.")
