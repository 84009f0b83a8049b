"""Commands that `ingest-assets` has where this package is installed (entry points `ingest_assets.commands`)."""

import sys

import click

from ingest_assets.cli.processes import LOOPBACK, require_free
from ingest_assets.errors import IngestError
from ingest_assets.terminal import echo


@click.command()
@click.option("--port", default=8765, show_default=True, help="0 takes a free one")
def simulate(port: int) -> None:
    """Serve the simulated vendors on loopback."""
    from ingest_simulator.app import serve

    require_free(port, "--port")
    serve(LOOPBACK, port, ready=lambda url: echo(f"Simulated vendors at {url}, until Ctrl-C."))


@click.command()
def demo() -> None:
    """Show it all: an embedded PostgreSQL, simulated vendors, Dagster, three workspaces."""
    try:
        from ingest_simulator.demo import demo as run
    except ModuleNotFoundError as error:
        raise IngestError(
            f"The demo needs {str(error.name).partition('.')[0]}, which is not installed: "
            "pip install 'ingest-assets[demo]'."
        ) from error
    sys.exit(run())
