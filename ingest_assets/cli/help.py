"""Help of a command, with options in groups and examples at its end; answers to names that are nearly right."""

from collections.abc import Sequence
from typing import Any

import click

from ingest_assets.errors import did_you_mean

OTHERS = "Options"
PROGRAM = "ingest-assets"


class Option(click.Option):
    """An option that stands in a group of its command's help."""

    def __init__(self, *args: Any, group: str = OTHERS, **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.group = group


class Command(click.Command):
    """A command whose help shows its options by group, in their order, and then examples."""

    def __init__(self, *args: Any, examples: Sequence[str] = (), **attrs: Any) -> None:
        """`examples`: command lines without the program's name; `  # ...` may tell what one does."""
        super().__init__(*args, **attrs)
        self.examples = examples

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for param in self.get_params(ctx):
            if (record := param.get_help_record(ctx)) is not None:
                groups.setdefault(getattr(param, "group", OTHERS), []).append(record)
        for group, records in sorted(groups.items(), key=lambda entry: entry[0] == OTHERS):
            with formatter.section(group):
                formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_epilog(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"{'':{formatter.current_indent}}{PROGRAM} {example}\n")


class Choice(click.Choice[str]):
    """One of some names; a name that is nearly one of them is answered with that one."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        return super().get_invalid_choice_message(value, ctx) + did_you_mean(str(value), map(str, self.choices))
