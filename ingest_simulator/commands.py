"""Commands that `ingest-assets` has where this package is installed (entry points `ingest_assets.commands`)."""

import signal
import sys
from pathlib import Path

import click

from ingest_assets.cli.processes import LOOPBACK, require_free, stop_by_signal
from ingest_assets.cli.signals import INTERRUPTED
from ingest_assets.errors import IngestError
from ingest_assets.terminal import echo


@click.command()
@click.option("--port", default=8765, show_default=True, help="0 takes a free one")
@click.option(
    "--practice",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="with a customer and an empty PostgreSQL, which FOLDER/.env names",
)
def simulate(port: int, practice: Path | None) -> None:
    """Serve the simulated vendors on loopback."""
    from ingest_simulator.app import serve

    require_free(port, "--port")
    if practice is not None:
        sys.exit(_practise(practice, port))
    serve(LOOPBACK, port, ready=lambda url: echo(f"Simulated vendors at {url}, until Ctrl-C."))


def _practise(folder: Path, port: int) -> int:
    from ingest_simulator.practice import practising

    stop_by_signal()
    try:
        with practising(folder, port) as told:
            for line in told:
                echo(line)
            signal.pause()
    except KeyboardInterrupt:
        pass
    return INTERRUPTED


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
