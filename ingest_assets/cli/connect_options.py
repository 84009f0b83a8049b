"""The options of `connect SOURCE`, made of the fields of a source's credential and settings."""

from collections.abc import Iterator
from typing import Literal, get_args, get_origin

import click
from pydantic.fields import FieldInfo

from ingest_assets.cli.help import Option
from ingest_assets.sources.login import Credential
from ingest_assets.sources.source import Source

ACCOUNT, LOGIN, BROWSER, READ, APP = "Account", "Login", "Login by browser", "What is read", "Making the app"
LONGEST_WAIT = 60 * 24  # minutes


def options_of(source: Source) -> Iterator[Option]:
    """Yield all options of `connect` for a source, group by group."""
    yield Option(["--workspace"], group=ACCOUNT, help="the workspace, a slug")
    yield Option(["--name"], group=ACCOUNT, help="how to call the account; default: what the vendor calls it")
    yield from _browser(source)
    for field in credential_fields(source):
        yield _option(field, source.credential.model_fields[field], LOGIN, source.credential)
    for field, info in source.settings.model_fields.items():
        yield _option(field, info, READ)
    if source.manifest is not None:
        told = "print the manifest of an app that may do what the options need, and end"
        yield Option(["--manifest"], group=APP, is_flag=True, help=told)
        yield Option(["--rotation"], group=APP, is_flag=True, help="the app's tokens expire and are refreshed")


def credential_fields(source: Source) -> list[str]:
    """Return the fields of the credential that a user gives."""
    return [field for field in source.credential.model_fields if field not in source.credential.internal]


def _browser(source: Source) -> Iterator[Option]:
    yield Option(["--login"], group=BROWSER, is_flag=True, help="log in by browser; takes the app's id and secret")
    if source.client_file is not None:
        yield Option(
            ["--client-file"], group=BROWSER, metavar="FILE", help="the app's id and secret, as downloaded"
        )
    told = "the port of this machine to redirect to, where one is registered; default: a free one"
    yield Option(["--port"], group=BROWSER, type=click.IntRange(1, 65_535), metavar="NUMBER", help=told)
    told = "the registered redirect URL, https; what it ends at is pasted"
    yield Option(["--redirect-url"], group=BROWSER, metavar="URL", help=told)
    told = "how many minutes to wait for the browser"
    minutes = click.FloatRange(0, LONGEST_WAIT, min_open=True)
    yield Option(
        ["--wait"], group=BROWSER, type=minutes, metavar="NUMBER", default=10, show_default=True, help=told
    )
    yield Option(["--no-browser"], group=BROWSER, is_flag=True, help="open none, only print the address")


def _option(field: str, info: FieldInfo, group: str, credential: type[Credential] | None = None) -> Option:
    flag = "--" + field.replace("_", "-")
    text = info.description or ""
    if credential is not None and credential.is_secret(field):
        file = "FILE|" if field in credential.files else ""
        help_text = f"{text}: {'a file, ' if file else ''}a variable, or - for standard input"
        return Option([flag], group=group, metavar=f"{file}env:NAME|-", help=help_text)
    if info.annotation is bool:
        return Option([flag], group=group, is_flag=True, default=None, help=text)
    if get_origin(info.annotation) is Literal:
        return Option([flag], group=group, type=click.Choice(get_args(info.annotation)), help=text)
    if get_origin(info.annotation) is tuple:
        return Option([flag], group=group, metavar="A,B", callback=_listed, help=text)
    number = {int, float} & {info.annotation, *get_args(info.annotation)}
    return Option([flag], group=group, metavar="NUMBER" if number else "TEXT", help=text)


def _listed(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(part.strip() for part in value.split(",") if part.strip())
