"""The file that `apply` reads: workspaces, their accounts, settings, and secrets by reference.

    workspaces:
      acme:
        slack:
          token: env:ACME_SLACK_TOKEN
          channels: [general, sales]
        gong:
          - name: EU
            access_key: env:ACME_GONG_KEY
            access_key_secret: env:ACME_GONG_SECRET

What stands under a source is what `connect` takes, with _ for -, once or as a list.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from ingest_assets.cli.connecting import SLUG
from ingest_assets.cli.given import VARIABLE
from ingest_assets.errors import IngestError
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.json_values import Json
from ingest_assets.sources.source import Source

LARGEST = 1_000_000  # bytes: some ten thousand workspaces
TOP = "workspaces"


@dataclass(frozen=True)
class Entry:
    """One account, or several that one login opens, as the file has it."""

    workspace_id: str
    source: Source
    values: Json

    @property
    def name(self) -> str | None:
        name = self.values.get("name")
        return None if name is None else str(name)

    @property
    def given(self) -> Json:
        """What a credential is made of."""
        return self._of(self.source.credential.model_fields)

    @property
    def settings(self) -> Json:
        return self._of(self.source.settings.model_fields)

    def _of(self, fields: Mapping[str, object]) -> Json:
        return {name: value for name, value in self.values.items() if name in fields}

    def __str__(self) -> str:
        return f"{self.workspace_id} {self.source.name}" + (f" '{self.name}'" if self.name else "")


class _Loader(yaml.SafeLoader):
    """Refuses what YAML lets pass: the second of two equal keys would win in silence."""


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict[object, object]:
    seen: set[object] = set()
    for key_node, _value in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.MarkedYAMLError(problem=f"the key {key!r} stands twice", problem_mark=key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read(path: Path) -> list[Entry]:
    """Read and check the whole file. Raises IngestError, which names the place and no value."""
    try:
        size = path.stat().st_size
        if size > LARGEST:
            raise IngestError(f"{path} has {size:,} bytes; {LARGEST:,} are allowed.")
        content = yaml.load(path.read_text(), _Loader)  # noqa: S506  (a SafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        raise IngestError(f"The file {path} cannot be read ({type(error).__name__}); check its name.") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f", line {mark.line + 1}" if mark else ""
        raise IngestError(f"{path}{place}: {error.problem or 'is not YAML'}.") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise IngestError(f"{path} is not YAML.") from None
    if not isinstance(content, dict) or set(content) != {TOP} or not isinstance(content[TOP], dict | None):
        raise IngestError(f"{path} has to hold `{TOP}:`, and below it each workspace by its name.")
    return list(_entries(path, content[TOP] or {}))


def _entries(path: Path, content: Mapping[Any, Any]) -> Iterator[Entry]:
    for workspace_id, sources in content.items():
        if not isinstance(workspace_id, str) or not SLUG.fullmatch(workspace_id):
            raise IngestError(
                f"{path}: {workspace_id!r} cannot name a workspace: use lower-case letters, digits, - and _, "
                "63 at most, and quotation marks around a number."
            )
        if not isinstance(sources, dict):
            raise IngestError(f"{path}: workspace {workspace_id} has to hold its sources: {', '.join(BY_NAME)}.")
        for name, accounts in sources.items():
            place = f"{path}: {workspace_id}"
            source = BY_NAME[_known(place, "source", name, BY_NAME)]
            several = accounts if isinstance(accounts, list) else [accounts]
            for values in several:
                yield _entry(f"{place} {source.name}", workspace_id, source, values)


def _entry(place: str, workspace_id: str, source: Source, values: object) -> Entry:
    if not isinstance(values, dict):
        raise IngestError(f"{place}: has to hold what `ingest-assets connect {source.name} --help` names.")
    secrets = {name for name in source.credential.model_fields if source.credential.is_secret(name)}
    fields = {name for name in source.credential.model_fields if name not in source.credential.internal}
    known = {"name", *fields, *source.settings.model_fields}
    for field, value in values.items():
        _known(place, "field", field, known)
        if not _plain(value):
            raise IngestError(f"{place}: {field} has to be a value, or a list of values.")
        if field in secrets and not _reference(source, field, value):
            files = ", or a file" if field in source.credential.files else ""
            raise IngestError(f"{place}: {field} has to be a reference, env:NAME{files}; no secret stands here.")
    return Entry(workspace_id, source, values)


def _reference(source: Source, field: str, value: object) -> bool:
    if not isinstance(value, str):
        return False
    return VARIABLE.fullmatch(value) is not None or (field in source.credential.files and Path(value).exists())


def _plain(value: object) -> bool:
    several = value if isinstance(value, list) else [value]
    return all(isinstance(one, str | int | float | bool) for one in several)


def _known(place: str, kind: str, name: object, known: Mapping[str, object] | set[str]) -> str:
    if isinstance(name, str) and name in known:
        return name
    near = get_close_matches(str(name), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}."
    raise IngestError(f"{place}: {name!r} is no {kind}: {hint}")
