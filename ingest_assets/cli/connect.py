"""`connect SOURCE`: an account of a workspace, by what is given or by a login in the browser."""

import json
from collections.abc import Mapping
from typing import Any

import click

from ingest_assets.cli import CANNOT
from ingest_assets.cli.connect_options import credential_fields, options_of
from ingest_assets.cli.connecting import Connected, chosen_settings, connect_account
from ingest_assets.cli.given import Secrets
from ingest_assets.cli.help import Command
from ingest_assets.errors import IngestError
from ingest_assets.sources import SOURCES
from ingest_assets.sources.authorizing import REGISTERED
from ingest_assets.sources.source import Source
from ingest_assets.terminal import echo


@click.group()
def connect() -> None:
    """Connect an account of a workspace, or give one that needs it a new login."""


def _connect_command(source: Source) -> click.Command:
    """Derive `connect <source>` from the fields of its credential and settings."""

    @click.pass_context
    def run(ctx: click.Context, /, workspace: str | None, name: str | None, **values: Any) -> int:
        settings = {field: values[field] for field in source.settings.model_fields if values[field] is not None}
        if source.manifest is not None and values["manifest"]:
            _print_manifest(source, settings, values)
            return 0
        if workspace is None:
            raise click.MissingParameter(
                ctx=ctx, param=next(one for one in ctx.command.params if one.name == "workspace")
            )
        given = {field: values[field] for field in credential_fields(source) if values[field] is not None}
        secrets = Secrets(source)
        if values["login"]:
            from ingest_assets.cli.login_given import logged_in

            given, settings = logged_in(ctx.obj, source, workspace, given, settings, values, secrets)
        connected = connect_account(
            ctx.obj, source, workspace, given=given, settings=settings, name=name, read_secret=secrets
        )
        return _tell(source, workspace, connected)

    return Command(
        source.name,
        callback=run,
        params=list(options_of(source)),
        help=f"Connect a {source.title} account.",
        examples=[f"connect {source.name} {example}" for example in source.examples],
    )


def _tell(source: Source, workspace: str, connected: Connected) -> int:
    for called, probe, is_new in connected.accounts:
        for warning in probe.warnings:
            echo(warning, err=True)
        who = f"{source.title} '{called}' ({probe.external_id or called})"
        echo(
            f"Connected {who} to workspace {workspace}."
            if is_new
            else f"Gave {who} of workspace {workspace} a new login and these settings."
        )
    for error in connected.refused:
        echo(f"Not connected: {error}", err=True)
    return CANNOT if connected.refused else 0


def _print_manifest(source: Source, settings: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    if source.manifest is None:
        raise IngestError(f"{source.title} makes no apps from manifests.")
    redirect_url = values["redirect_url"] or REGISTERED
    made = source.manifest(
        chosen_settings(source, settings), redirect_url=redirect_url, rotation=values["rotation"]
    )
    for line in json.dumps(made, indent=2).splitlines():
        echo(line)


for _source in SOURCES:
    connect.add_command(_connect_command(_source))
