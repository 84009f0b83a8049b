"""Ask before something that cannot be taken back, or that costs."""

import sys

import click

from ingest_assets.errors import IngestError


def require_yes(sentence: str, *, yes: bool) -> None:
    """Ask for a confirmation. Raises click.Abort for a no, and IngestError where the input ends."""
    if yes:
        return
    try:
        agreed = click.confirm(sentence, err=True)
    except click.Abort:
        if sys.stdin.isatty():
            raise
        raise IngestError("Nobody answers here; pass --yes.") from None
    if not agreed:
        raise click.Abort
