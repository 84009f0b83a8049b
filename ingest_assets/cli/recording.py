"""Note each command that changes something in `ingest.operations`: who, what, when, and how it ended."""

import getpass
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import update_wrapper
from typing import Any

import click
from click.core import ParameterSource
from sqlalchemy.exc import SQLAlchemyError

from ingest_assets.app import App
from ingest_assets.cli import CANNOT
from ingest_assets.cli.signals import INTERRUPTED
from ingest_assets.sources.values import storable
from ingest_assets.storage.operations import begin, end

READ_ONLY = frozenset({"find", "list", "review", "show"})
"""Subcommands that change nothing, of groups that do."""
SOURCE = ("source", "what")
"""Parameters that name a source; the second one may be `features`."""
NOTED = (bool, int, float, datetime)
"""Values that are kept: what else is typed may be anything, a person's address for one."""


def recorded(command: click.Command) -> click.Command:
    """Have a command, or those of a group that change something, noted."""
    if isinstance(command, click.Group):
        for name, one in command.commands.items():
            if name not in READ_ONLY:
                recorded(one)
    elif command.callback is not None:
        command.callback = _noting(command.callback)
    return command


def _noting(run: Callable[..., Any]) -> Callable[..., Any]:
    def noting(*arguments: Any, **values: Any) -> Any:
        ctx = click.get_current_context()
        app: App = ctx.obj
        if values.get("dry_run") or values.get("manifest"):
            return run(*arguments, **values)
        with _noted(app, _operation(ctx)) as ended:
            code = run(*arguments, **values)
            ended(code if isinstance(code, int) else 0)
            return code

    return update_wrapper(noting, run)


@contextmanager
def _noted(app: App, values: Mapping[str, Any]) -> Iterator[Callable[[int], None]]:
    code = CANNOT

    def ended(exit_code: int) -> None:
        nonlocal code
        code = exit_code

    with app.engine.begin() as conn:
        made = begin(conn, {**values, "who": who(app)})
    try:
        yield ended
    except click.exceptions.Exit as exit_:
        code = exit_.exit_code
        raise
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
        raise
    finally:
        _end(app, made, code, values)


def _end(app: App, operation_id: int, code: int, values: Mapping[str, Any]) -> None:
    try:
        with app.engine.begin() as conn:
            if not end(conn, operation_id, code):  # purged with its workspace, which stays unnamed
                again = begin(conn, {**values, "workspace_id": None, "who": who(app)})
                end(conn, again, code)
    except SQLAlchemyError:  # what the command itself met is told; this stays as under way
        return


def who(app: App) -> str:
    """Return who types: the setting, or the user and the machine."""
    return app.core.operator or f"{_user()}@{socket.gethostname()}"


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user may have no entry in passwd
        return f"uid {os.getuid()}"


def _path(ctx: click.Context) -> str:
    """Return the command as it is typed, whatever the program is called."""
    names: list[str] = []
    while ctx.parent is not None:
        names.insert(0, str(ctx.info_name))
        ctx = ctx.parent
    return " ".join(names)


def _operation(ctx: click.Context) -> dict[str, Any]:
    command, typed = _path(ctx), ctx.params
    workspace = typed.get("workspace") or (typed.get("name") if command == "workspace purge" else None)
    several: list[str] = list(typed.get("workspaces") or ())
    choices = {
        parameter.name
        for parameter in ctx.command.params
        if isinstance(parameter.type, click.Choice) and parameter.name not in SOURCE
    }
    options = {
        name: str(value) if isinstance(value, datetime) else value
        for name, value in typed.items()
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE
        and (isinstance(value, NOTED) or name in choices)
    }
    source = next((typed[name] for name in SOURCE if name in typed), None)
    if command.startswith("connect "):
        source = command.partition(" ")[2]
    made: dict[str, Any] = storable(
        {
            "workspace_id": workspace or (several[0] if len(several) == 1 else None),
            "source": source,
            "command": command,
            "options": options,
        }
    )
    return made
