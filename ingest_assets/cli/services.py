"""Commands that run until Ctrl-C."""

import click

from ingest_assets.app import App


@click.command()
@click.option("--port", default=9464, show_default=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 serves other machines, too")
@click.pass_obj
def metrics(app: App, port: int, host: str) -> None:
    """Serve OpenMetrics at /metrics, until Ctrl-C."""
    from ingest_assets.cli.metrics import serve
    from ingest_assets.cli.processes import end_with_sigterm

    end_with_sigterm()
    serve(app, host, port)


@click.command()
@click.pass_obj
def dev(app: App) -> None:
    """Start Dagster against DATABASE_URL, with its web UI on loopback, until Ctrl-C."""
    from ingest_assets.cli.processes import dev as run

    run(app)
