"""Settings, read from the environment once, typed, and documented by their own descriptions.

A group of settings is a pydantic model whose field `history_days` under the prefix `SLACK` is the variable
`SLACK_HISTORY_DAYS`. Core settings live here; each source brings its own group (`Source.options`).
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, ValidationInfo, field_validator
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ingest_assets.errors import ProcessFault
from ingest_assets.settings.cron import is_cron

RESERVED_PREFIX = "INGEST_"  # every variable that starts with it must be a setting of ours
PATTERNS = frozenset({"cards", "iban", "keys"})  # see sources.redaction
WHOLE = re.compile(r"\s*[+-]?\d+\s*", re.ASCII)
NO_DATABASE = (
    "DATABASE_URL is not set; export it as postgresql://user:password@host:5432/database "
    "(`make demo` needs none: it brings a PostgreSQL of its own)."
)


class SettingsError(ProcessFault):
    """A setting cannot be used: one of the environment, or one that a run was launched with."""


class SettingsGroup(BaseModel):
    """Settings that share a prefix. Values are parsed leniently because the environment holds only text."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
    prefix: ClassVar[str] = ""

    @field_validator("*", mode="before")
    @classmethod
    def _whole_number(cls, value: object, info: ValidationInfo) -> Any:
        """Refuse "7.0" for an integer: pydantic reads it as 7, and Dagster, which may read it too, not at all."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, str) and int in (annotation, *get_args(annotation)) and not WHOLE.fullmatch(value):
            raise ValueError("is not a whole number")
        return value

    @field_validator("sync_cron", check_fields=False)  # of the sources' options
    @classmethod
    def _a_schedule(cls, value: str) -> str:
        if not is_cron(value):
            raise ValueError(
                "is not a cron expression of five fields (minute, hour, day of month, month, weekday), "
                "like `5 * * * *` or `*/15 8-18 * * mon-fri`"
            )
        return value

    @classmethod
    def variables(cls) -> dict[str, str]:
        """Map environment variable to field name."""
        return {
            (f"{cls.prefix}_{name}".upper() if field.alias is None else field.alias): name
            for name, field in cls.model_fields.items()
        }

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Self:
        """Build the group; an empty variable counts as not set. Raises SettingsError."""
        return cls.checked({field: environ[name] for name, field in cls.variables().items() if environ.get(name)})

    @classmethod
    def checked(cls, values: Mapping[str, Any]) -> Self:
        """Build the group of values by field. Raises SettingsError, which names the variable and not the value."""
        try:
            return cls.model_validate(values, by_name=True)
        except ValidationError as error:
            raise SettingsError(_sentence(cls, error)) from None


class SourceOptions(SettingsGroup):
    """What every source has a setting for."""

    history_days: float = Field(default=30, gt=0, description="How far back the first sync of an account reads.")
    keep_days: float | None = Field(
        default=None,
        gt=0,
        description="How long it is kept what was said, by its own time; empty keeps it for ever.",
    )


class CoreSettings(SettingsGroup):
    """What the project needs whatever the source."""

    prefix: ClassVar[str] = "INGEST"

    database_url: SecretStr | None = Field(
        default=None,
        alias="DATABASE_URL",
        description="PostgreSQL address, `postgresql://user:password@host/database`.",
    )
    encryption_keys: SecretStr | None = Field(
        default=None,
        description="Fernet keys for stored credentials, newest first, separated by commas; "
        "`ingest-assets new-key` makes one.",
    )
    lease_seconds: int = Field(
        default=120,
        ge=1,
        le=3600,
        description="How long a worker that died keeps its accounts. A living one renews.",
    )
    sync_minutes: float = Field(
        default=10.0,
        gt=0,
        description="A sync that takes longer stops at a safe place and goes on in the next run.",
    )
    parallel_accounts: int = Field(
        default=4, ge=1, le=64, description="Accounts that one run syncs at the same time."
    )
    rejected_share: float = Field(
        default=0.05, ge=0, le=1, description="A sync that rejects a larger share of its items fails."
    )
    deleted_share: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Where a sync misses a larger share of an account's rows, an operator decides on them.",
    )
    operator: str | None = Field(
        default=None,
        max_length=200,
        description="Who is noted in `ingest.operations`; the system's user and machine if empty.",
    )
    web_port: int = Field(
        default=3000, ge=1, le=65535, description="Where `make dev` and `make demo` serve the web UI."
    )
    freshness_minutes: int = Field(
        default=150, ge=1, description="A workspace without a successful sync for longer is not fresh."
    )

    batch_workspaces: int = Field(default=500, ge=1, le=5000, description="Workspaces that one run syncs at most.")
    parallel_batches: int = Field(
        default=1,
        ge=1,
        le=100,
        description="Such runs of one source at a time; raise it with the number of machines.",
    )
    docs_url: str | None = Field(
        default=None,
        pattern=r"^https?://\S+$",
        description="Where the built site of `docs` is served; a failed check in Dagster links to what mends it.",
    )
    keep_history_days: int = Field(
        default=14, ge=1, description="How long run logs, sync history and model requests are kept."
    )
    keep_versions_days: int = Field(
        default=90, ge=0, description="How long it is kept what rows held before they changed or were deleted."
    )
    redact: str = Field(
        default="",
        description="What is replaced before a text is stored: `cards`, `keys`, `iban`, separated by commas.",
    )
    keep_removed_days: int | None = Field(
        default=None, ge=0, description="How long the data of a removed workspace is kept; empty keeps it."
    )

    @property
    def connections(self) -> int:
        """How many connections to the database one process keeps; as many again may be open for a while."""
        return 2 * self.parallel_accounts

    @property
    def redactions(self) -> tuple[str, ...]:
        """What is replaced before it is stored."""
        return tuple(filter(None, map(str.strip, self.redact.split(","))))

    @field_validator("redact")
    @classmethod
    def _known_patterns(cls, value: str) -> str:
        if not set(filter(None, map(str.strip, value.split(",")))) <= PATTERNS:
            raise ValueError(f"is not a list of {', '.join(sorted(PATTERNS))}, separated by commas")
        return value

    @field_validator("database_url")
    @classmethod
    def _postgresql_only(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            sqlalchemy_url(value.get_secret_value())
        return value


def sqlalchemy_url(url: str, driver: str = "psycopg") -> str:
    """Name the driver in a PostgreSQL address.

    Dagster needs `psycopg2`: with SQLAlchemy 2.1 a plain `postgresql://` means psycopg 3, on which
    dagster-postgres 0.29.27 fails at its first event (`NOTIFY run_events, $1`).
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = None
    if parsed is None or parsed.drivername.partition("+")[0] not in {"postgresql", "postgres"}:
        raise ValueError("is not a PostgreSQL address like postgresql://user:password@host:5432/database")
    return parsed.set(drivername=f"postgresql+{driver}").render_as_string(hide_password=False)


def refuse_unknown(environ: Mapping[str, str], groups: Iterable[type[SettingsGroup]]) -> None:
    """Raise SettingsError for a variable that was meant as a setting and is none.

    `INGEST_` is ours alone. Under a vendor's prefix the user's own variables live too (a token, say), so
    there only a near miss of a setting's name is an error.
    """
    groups = list(groups)
    known = [name for group in groups for name in group.variables()]
    vendors = tuple(f"{group.prefix}_".upper() for group in groups if group.prefix != CoreSettings.prefix)
    for name in sorted(set(environ) - set(known)):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.85)
        if name.startswith(RESERVED_PREFIX) or (near and name.startswith(vendors)):
            hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists all of them; unset this one."
            raise SettingsError(f"{name} is not a setting: {hint}")


def _sentence(group: type[SettingsGroup], error: ValidationError) -> str:
    names = {field: variable for variable, field in group.variables().items()}
    names |= {variable: variable for variable in group.variables()}
    faults: list[Any] = error.errors(include_url=False, include_input=False, include_context=False)
    return " ".join(
        f"{names[str(fault['loc'][0])]} is not usable: {fault['msg'].removeprefix('Value error, ')}."
        for fault in faults
    )
