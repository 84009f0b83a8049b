"""What `connect` is given: secrets are read from where they are named, and sealed or kept by name."""

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ingest_assets.app import App
from ingest_assets.cli.typed import read_secret
from ingest_assets.errors import IngestError
from ingest_assets.sources.source import Source

VARIABLE = re.compile(r"env:([A-Za-z_][A-Za-z0-9_]*)")


class Secrets:
    """Reads each secret once from the terminal or from standard input, and remembers it for as long as we run."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._known: dict[str, str] = {}

    def __call__(self, field: str) -> str:
        if field not in self._known:
            asked = self._source.credential.where.get(field, f"{self._source.title} {field}")
            self._known[field] = read_secret(asked)
        return self._known[field]

    def know(self, field: str, value: str) -> None:
        """Remember a secret that came by another way."""
        self._known[field] = value


def read_given(
    app: App, source: Source, given: Mapping[str, Any], read: Callable[[str], str]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the credential's fields as they are stored, and in the clear."""
    stored: dict[str, Any] = {}
    in_clear: dict[str, Any] = {}
    for field, value in given.items():
        if source.credential.is_secret(field):
            stored[field], in_clear[field] = opened(app, source, field, value, read)
        else:
            stored[field], in_clear[field] = {"plain": value}, value
    return stored, in_clear


def opened(
    app: App, source: Source, field: str, value: str, read: Callable[[str], str]
) -> tuple[dict[str, str], str]:
    """Return a secret as it is stored, and in the clear. Raises IngestError for one on the command line itself."""
    if match := VARIABLE.fullmatch(value):
        if secret := os.environ.get(match[1], ""):
            return {"env": match[1]}, secret
        raise IngestError(f"The variable {match[1]} is not set; export it, or pass - to type the {field}.")
    if value == "-" or field in source.credential.files:
        app.vault.require_key()
        secret = read(field) if value == "-" else content_of(value)
        return app.vault.seal(secret), secret
    raise IngestError(
        f"A {field} is never given on the command line, where others can see it; pass env:NAME for a "
        "variable that holds it, or - to read it from standard input."
    )


def content_of(path: str) -> str:
    """Return a file's text. Raises IngestError for one that cannot be read."""
    try:
        return Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise IngestError(f"The file {path} cannot be read ({type(error).__name__}); check its name.") from None
