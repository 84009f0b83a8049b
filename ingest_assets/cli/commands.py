"""All commands, by what they are for; which of them are noted; and those of other packages."""

from collections.abc import Mapping, Sequence
from importlib.metadata import EntryPoint, EntryPoints, entry_points

import click

from ingest_assets.cli.accounts import accounts, acknowledge, disconnect, remove
from ingest_assets.cli.apply import apply
from ingest_assets.cli.backfill import backfill
from ingest_assets.cli.connect import connect
from ingest_assets.cli.coverage import coverage
from ingest_assets.cli.database import migrate, new_key, rotate_keys
from ingest_assets.cli.deletions import deletions
from ingest_assets.cli.doctor.command import doctor
from ingest_assets.cli.examples import explained
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
from ingest_assets.cli.status import status
from ingest_assets.cli.sync import sync
from ingest_assets.cli.verify import reread, verify
from ingest_assets.cli.workspace import workspace
from ingest_assets.errors import IngestError

GROUPS: Mapping[str, Sequence[click.Command]] = {
    "Set up": (migrate, new_key, rotate_keys, connect, apply, accounts),
    "Read": (sync, backfill, plan, extract, dev),
    "Look": (status, doctor, find, coverage, features, verify, incidents, operations, metrics),
    "Decide": (pause, resume, acknowledge, deletions, rejected, reread, alert),
    "Take away": (disconnect, remove, workspace, person),
}
NOTED = (
    *(rotate_keys, connect, apply, backfill, pause, resume, acknowledge, deletions, rejected, reread),
    *(disconnect, remove, workspace, person),
)
"""Each call of these is noted in `ingest.operations`."""
OTHERS = "Try out"
SHORT = 62  # characters that a line of the list holds beside a command's name


class Commands(click.Group):
    """Our commands, and those of other installed packages, which are looked for where none of ours is meant.

    Help lists them by what they are for.
    """

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        named = {command.name for group in GROUPS.values() for command in group}
        others = [
            command
            for name in self.list_commands(ctx)
            if name not in named and (command := self.get_command(ctx, name)) is not None
        ]
        for title, group in {**GROUPS, OTHERS: others}.items():
            if group:
                with formatter.section(title):
                    formatter.write_dl([(str(one.name), _short(one)) for one in group])

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *_others().names})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if (ours := super().get_command(ctx, cmd_name)) is not None:
            return ours
        others = _others()
        return _loaded(others[cmd_name]) if cmd_name in others.names else None


def _short(command: click.Command) -> str:
    """Return so much of a command's first sentence as a line holds, to the end of a clause."""
    sentence = command.get_short_help_str(limit=1_000).partition(". ")[0].rstrip(".")
    for end in (";", ":", ","):
        if len(sentence) > SHORT:
            sentence = sentence.partition(end)[0]
    return f"{sentence}."


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


for _group in GROUPS.values():
    for _command in _group:
        cli.add_command(explained(recorded(_command) if _command in NOTED else _command))
