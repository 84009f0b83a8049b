"""The program `ingest-assets`: what runs a command, and what becomes of an error."""

import sys
from typing import NoReturn

import click

from ingest_assets.app import App
from ingest_assets.cli import CANNOT
from ingest_assets.cli.commands import cli
from ingest_assets.cli.environment import read_environment
from ingest_assets.cli.signals import INTERRUPTED, end_by_exception
from ingest_assets.errors import IngestError
from ingest_assets.storage.trouble import TROUBLES, trouble
from ingest_assets.terminal import echo, echo_json, echo_usage, guard, printable

READ_THEMSELVES = (["doctor"],)
"""Commands that also work where a setting cannot be used: they say so beside everything else."""


def main() -> None:
    """Run a command; whatever the user can put right is one sentence and exit code 2."""
    app: App | None = None
    guard()
    end_by_exception()
    try:
        read_environment()
        app = None if sys.argv[1:2] in READ_THEMSELVES else App.load()
        code = cli.main(obj=app, standalone_mode=False)  # what ctx.exit() was given
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        echo_usage(error)
        _end(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except IngestError as error:
        _fail(str(error))
    except TROUBLES as error:
        sentence = trouble(error, app.any_engine) if app else None
        if sentence is None:  # a bug of ours
            raise
        _fail(sentence)


def _fail(sentence: str) -> NoReturn:
    echo(sentence, err=True)
    _end(sentence)


def _end(sentence: str) -> NoReturn:
    """End with a failure, which a program that asked for JSON is told as JSON."""
    if "--json" in sys.argv:
        echo_json({"error": printable(sentence)})
    sys.exit(CANNOT)
