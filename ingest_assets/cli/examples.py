"""Examples at the end of each command's help; numbers, dates and names are called so there."""

from collections.abc import Mapping, Sequence

import click

from ingest_assets.cli.help import PROGRAM, Command

NUMBERS = (click.types.IntParamType, click.types.FloatParamType)
NAMES = {"workspace": "WORKSPACE", "workspaces": "WORKSPACE", "account": "ACCOUNT"}
"""What stands in help in place of TEXT, by parameter."""
EXAMPLES: Mapping[str, Sequence[str]] = {
    "accounts": ("accounts", "accounts --workspace acme --json"),
    "acknowledge": ("acknowledge slack --workspace acme", "acknowledge slack '#deal-room' --workspace acme"),
    "alert test": ("alert test",),
    "apply": ("apply workspaces.yaml --dry-run", "apply workspaces.yaml --prune"),
    "backfill": ("backfill --workspace acme --source gong --from 2025-01-01",),
    "coverage": ("coverage --workspace acme", "coverage --workspace acme --source slack --from 2026-01-01 --json"),
    "deletions accept": ("deletions accept --workspace acme --source gong --review 1a2b3c",),
    "deletions refuse": ("deletions refuse --workspace acme --source gong --review 1a2b3c",),
    "deletions review": ("deletions review --workspace acme",),
    "deletions undo": ("deletions undo --workspace acme --source gong --review 1a2b3c",),
    "dev": ("dev",),
    "disconnect": ("disconnect slack --workspace acme",),
    "doctor": ("doctor", "doctor --workspace acme", "doctor --offline --json"),
    "extract": ("extract gong --workspace acme",),
    "features": ("features --workspace acme", "features --workspace acme --all"),
    "find": (
        "find 7782342274025937895 --workspace acme",
        "find 'https://acme.slack.com/archives/C012AB3CD/p1700000000000000' --workspace acme",
        "find 'security questionnaire' --workspace acme --source gmail",
    ),
    "incidents": ("incidents", "incidents --all --json"),
    "metrics": ("metrics --port 9464",),
    "migrate": ("migrate",),
    "new-key": ("new-key", "new-key --save"),
    "operations": ("operations --workspace acme --last 50",),
    "pause": ("pause slack --workspace acme", "pause gong --all", "pause features --all"),
    "person erase": ("person erase ann@acme.com --dry-run", "person erase ann@acme.com --workspace acme"),
    "person find": ("person find ann@acme.com --name 'Ann Lee'",),
    "plan backfill": ("plan backfill --workspace acme --source gong --from 2025-01-01",),
    "plan extract": ("plan extract --workspace acme",),
    "plan sync": ("plan sync --workspace acme --source slack",),
    "rejected discard": ("rejected discard C012AB3CD:1700000000.000100 --workspace acme",),
    "rejected list": ("rejected list --workspace acme",),
    "rejected replay": ("rejected replay --all",),
    "rejected show": ("rejected show C012AB3CD:1700000000.000100 --workspace acme",),
    "remove": ("remove acme",),
    "reread": ("reread gong --workspace acme",),
    "resume": ("resume slack --workspace acme", "resume gong --all", "resume features --all"),
    "rotate-keys": ("rotate-keys",),
    "status": ("status", "status --problems", "status --workspace acme --watch"),
    "sync": ("sync slack --workspace acme", "sync gong --all --json"),
    "verify": ("verify --workspace acme --sample 50",),
    "workspace purge": ("workspace purge acme",),
}
"""By the command, as it is typed. `connect` has those of its sources."""


def explained(command: click.Command, path: str = "") -> click.Command:
    """Give a command, and those of a group, their examples, and call numbers so."""
    path = f"{path} {command.name}".strip()
    if isinstance(command, click.Group):
        for one in command.commands.values():
            explained(one, path)
        return command
    for parameter in command.params:
        if parameter.metavar is None:
            parameter.metavar = _metavar(parameter)
    if not isinstance(command, Command):
        lines = [f"  {PROGRAM} {example}" for example in EXAMPLES[path]]
        command.epilog = "\n".join(["\b", "Examples:", *lines])
    return command


def _metavar(parameter: click.Parameter) -> str | None:
    if isinstance(parameter.type, NUMBERS):
        return "NUMBER"
    if isinstance(parameter.type, click.DateTime):
        return "DATE"
    return NAMES.get(str(parameter.name)) if isinstance(parameter.type, click.types.StringParamType) else None
