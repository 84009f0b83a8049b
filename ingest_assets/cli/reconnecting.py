"""The command that gives a stored account a new login, with everything that was chosen for it."""

from shlex import join

from pydantic import BaseModel

from ingest_assets.sources import BY_NAME
from ingest_assets.storage.schema import StoredRow


def reconnect_command(row: StoredRow, **changed: object) -> str:
    """Return it. Secrets are asked for, or read from the variables that they are kept in.

    What is not given to `connect` is back at its default, so all that differs from that is given.
    `changed`: settings that are to be other than they are.
    """
    source = BY_NAME[row.source]
    words = ["ingest-assets", "connect", row.source, "--workspace", row.workspace_id, "--name", row.name]
    for field, stored in row.credential.items():
        if field in source.credential.internal:
            continue
        value = f"env:{stored['env']}" if "env" in stored else stored.get("plain", "-")
        if field == "subjects" and "subject" in row.credential:
            value = row.credential["subject"]["plain"]
        words += _option(field, value)
    settings: BaseModel = source.settings.model_validate(row.settings | changed)
    for field, value in settings.model_dump(exclude_defaults=True).items():
        words += _option(field, value)
    return join(words)


def _option(field: str, value: object) -> list[str]:
    flag = f"--{field.replace('_', '-')}"
    if value is True:
        return [flag]
    if isinstance(value, list | tuple):
        return [flag, ",".join(map(str, value))]
    return [flag, str(value)]
