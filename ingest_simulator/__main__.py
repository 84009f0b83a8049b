"""Serve the simulated vendors: `python -m ingest_simulator --port 0`."""

import argparse
import sys

from ingest_simulator.app import LOOPBACK, HostError, serve


def _announce(url: str) -> None:
    sys.stdout.write(f"simulator listening on {url}\n")
    sys.stdout.flush()


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m ingest_simulator", description=__doc__)
    parser.add_argument("--host", default=LOOPBACK)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    given = parser.parse_args()
    try:
        serve(given.host, given.port, ready=_announce)
    except HostError as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
