"""`connect SOURCE`, made of the fields of a source's credential and settings."""

import sys
from typing import Any, Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from ingest_assets.app import App
from ingest_assets.cli import CANNOT
from ingest_assets.cli.connecting import connect_account
from ingest_assets.errors import IngestError
from ingest_assets.sources import SOURCES
from ingest_assets.sources.login import Credential
from ingest_assets.sources.source import Source
from ingest_assets.terminal import echo


@click.group()
def connect() -> None:
    """Connect an account of a workspace, or give one that needs it a new login."""


def _connect_command(source: Source) -> click.Command:
    """Derive `connect <source>` from the fields of its credential and settings."""
    fields = {
        field: info
        for field, info in source.credential.model_fields.items()
        if field not in source.credential.internal
    }

    @click.pass_obj
    def run(app: App, /, workspace: str, name: str | None, **values: Any) -> int:
        given = {field: values[field] for field in fields if values[field] is not None}
        settings = {field: values[field] for field in source.settings.model_fields if values[field] is not None}
        connected = connect_account(
            app, source, workspace, given=given, settings=settings, name=name, read_secret=_read_secret
        )
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

    command = click.Command(source.name, callback=run, help=f"Connect a {source.title} account.")
    command.params = [
        click.Option(["--workspace"], required=True, help="the workspace, a slug"),
        click.Option(["--name"], help="how to call the account; default: what the vendor calls it"),
        *(_option(field, info, source.credential) for field, info in fields.items()),
        *(_option(field, info) for field, info in source.settings.model_fields.items()),
    ]
    return command


def _option(field: str, info: FieldInfo, credential: type[Credential] | None = None) -> click.Option:
    flag = "--" + field.replace("_", "-")
    text = info.description or ""
    required = info.is_required()
    if credential is not None and credential.is_secret(field):
        file = "FILE|" if field in credential.files else ""
        help_text = f"{text}: {'a file, ' if file else ''}a variable, or - for standard input"
        return click.Option([flag], required=required, metavar=f"{file}env:NAME|-", help=help_text)
    if info.annotation is bool:
        return click.Option([flag], is_flag=True, default=None, help=text)
    if get_origin(info.annotation) is Literal:
        return click.Option([flag], type=click.Choice(get_args(info.annotation)), help=text)
    if get_origin(info.annotation) is tuple:
        return click.Option([flag], metavar="A,B", callback=_listed, help=text)
    return click.Option([flag], required=required, help=text)


def _listed(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(part.strip() for part in value.split(",") if part.strip())


def _read_secret(field: str) -> str:
    value: str = click.prompt(field, hide_input=True) if sys.stdin.isatty() else sys.stdin.readline().strip()
    if not value:
        raise IngestError(f"Standard input held no {field}.")
    return value


for _source in SOURCES:
    connect.add_command(_connect_command(_source))
