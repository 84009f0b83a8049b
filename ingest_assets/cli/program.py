"""The program `ingest-assets`: all commands, and what becomes of an error."""

import sys
from importlib.metadata import EntryPoint, EntryPoints, entry_points

import click

from ingest_assets.app import App
from ingest_assets.cli import CANNOT
from ingest_assets.cli.accounts import accounts, acknowledge, disconnect, remove
from ingest_assets.cli.apply import apply
from ingest_assets.cli.backfill import backfill
from ingest_assets.cli.connect import connect
from ingest_assets.cli.coverage import coverage
from ingest_assets.cli.database import migrate, new_key, rotate_keys
from ingest_assets.cli.deletions import deletions
from ingest_assets.cli.doctor.command import doctor
from ingest_assets.cli.environment import read_environment
from ingest_assets.cli.features import extract, features
from ingest_assets.cli.find.command import find
from ingest_assets.cli.incidents import alert, incidents
from ingest_assets.cli.operations import operations
from ingest_assets.cli.pausing import pause, resume
from ingest_assets.cli.person import person
from ingest_assets.cli.plan import plan
from ingest_assets.cli.recording import recorded
from ingest_assets.cli.rejected import rejected
from ingest_assets.cli.services import dev, metrics
from ingest_assets.cli.signals import INTERRUPTED, end_by_exception
from ingest_assets.cli.status import status
from ingest_assets.cli.sync import sync
from ingest_assets.cli.verify import reread, verify
from ingest_assets.cli.workspace import workspace
from ingest_assets.errors import IngestError
from ingest_assets.storage.trouble import TROUBLES, trouble
from ingest_assets.terminal import echo, echo_usage, guard

READING = (accounts, status, doctor, find, features, coverage, verify, plan, incidents, operations)
CHANGING = (
    *(rotate_keys, apply, connect, pause, resume, disconnect, remove, acknowledge),
    *(backfill, reread, rejected, deletions, person, workspace),
)
"""Each call of these is noted in `ingest.operations`."""
RUNNING = (migrate, new_key, sync, extract, alert, dev, metrics)
COMMANDS = (*READING, *map(recorded, CHANGING), *RUNNING)

READ_THEMSELVES = (["doctor"],)
"""Commands that also work where a setting cannot be used: they say so beside everything else."""


def main() -> None:
    """Run a command; whatever the user can put right is one sentence and exit code 2."""
    app: App | None = None
    guard()
    end_by_exception()
    try:
        app = None if sys.argv[1:2] in READ_THEMSELVES else App.load()
        read_environment()
        app = App.load()
        code = cli.main(obj=app, standalone_mode=False)  # what ctx.exit() was given
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        echo_usage(error)
        sys.exit(CANNOT)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except IngestError as error:
        _fail(str(error))
    except TROUBLES as error:
        sentence = trouble(error, app.any_engine) if app else None
        if sentence is None:  # a bug of ours
            raise
        _fail(sentence)


def _fail(sentence: str) -> None:
    echo(sentence, err=True)
    sys.exit(CANNOT)


class Commands(click.Group):
    """Our commands, and those of other installed packages, which are looked for where none of ours is meant."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_others().names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (ours := super().get_command(ctx, cmd_name)) is not None:
            return ours
        others = _others()
        return _loaded(others[cmd_name]) if cmd_name in others.names else None


def _loaded(other: EntryPoint) -> click.Command:
    """Return another package's command, or one in its place that tells that it cannot be loaded."""
    try:
        command: click.Command = other.load()
    except (ImportError, AttributeError) as error:
        fault = f"The command {other.name} ({other.value}) cannot be loaded: {type(error).__name__}."

        def fail() -> None:
            raise IngestError(f"{fault} Reinstall its package, or remove it.")

        anything = {"ignore_unknown_options": True, "allow_extra_args": True}
        return click.Command(other.name, callback=fail, help=fault, context_settings=anything)
    return command


def _others() -> EntryPoints:
    return entry_points(group="ingest_assets.commands")


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="ingest-assets")
def cli() -> None:
    """Bring customers' conversations into PostgreSQL."""


for _command in COMMANDS:
    cli.add_command(_command)
