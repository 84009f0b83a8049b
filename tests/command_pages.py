"""The commands of `ingest-assets` as docs/commands.md lists them: what `--help` says, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator

import click

from ingest_assets.cli.commands import cli
from ingest_assets.cli.help import OTHERS, PROGRAM


def commands() -> Iterator[str]:
    """Yield the lines about all commands, a heading for each that does something."""
    for ctx in leaves(click.Context(cli, info_name=PROGRAM)):
        yield from _command(ctx)


def leaves(ctx: click.Context) -> Iterator[click.Context]:
    """Yield a context for each command below a group, in alphabetical order."""
    if not isinstance(ctx.command, click.Group):
        yield ctx
        return
    for name in ctx.command.list_commands(ctx):
        command = ctx.command.get_command(ctx, name)
        if command is not None and not command.hidden:
            yield from leaves(click.Context(command, info_name=name, parent=ctx))


def _command(ctx: click.Context) -> Iterator[str]:
    command, path = ctx.command, ctx.command_path.removeprefix(f"{PROGRAM} ")
    yield from (f"### {path}", "")
    for paragraph in (command.help or "").split("\n\n"):
        yield from (" ".join(paragraph.replace("\b", "").split()), "")
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    examples = [f"{PROGRAM} {example}" for example in getattr(command, "examples", ())]
    yield from ("```", usage, *([""] if examples else []), *examples, "```", "")
    yield from _options(ctx)


def _options(ctx: click.Context) -> Iterator[str]:
    """Yield a list for each group of options, those that every command has left out."""
    groups: dict[str, list[str]] = {}
    for param in ctx.command.get_params(ctx):
        record = param.get_help_record(ctx)
        if record is not None and not param.is_eager:
            names, meaning = record
            if not meaning and isinstance(param, click.Argument):
                continue  # the usage names it
            groups.setdefault(getattr(param, "group", OTHERS), []).append(f"- `{names}`: {meaning}".strip(": "))
    for group, lines in sorted(groups.items(), key=lambda entry: entry[0] == OTHERS):
        if len(groups) > 1:
            yield from (f"{group}:", "")
        yield from (*lines, "")
