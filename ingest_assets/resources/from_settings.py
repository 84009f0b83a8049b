"""Resource classes made of groups of settings: each setting is a field that the launchpad shows and takes.

What was set in the environment is an `EnvVar`, so the launchpad shows the variable's name, and a secret's value is
nowhere; what was not set keeps its default, as Dagster refuses a run that reads a variable without a value.
Dagster 1.13.27 reads texts and integers from variables as settings do. It takes the flag "off" for true, and reads
neither floats nor a Literal: of these the launchpad shows the value, and the description names the variable.
"""

from collections.abc import Callable, Collection
from copy import copy
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Self, TypeVar, Union, get_args, get_origin

import dagster as dg
from pydantic import Field, SecretStr, create_model
from pydantic.fields import FieldInfo

from ingest_assets.settings import SettingsGroup

SCALARS = (str, int, float, bool)
Resource = TypeVar("Resource", bound=dg.ConfigurableResource[Any])


def configured(cls: type[Resource], **values: object) -> Resource:
    """Return a resource with these values, each of which a run may replace and leave the others.

    Of an instance's own values Dagster takes all or none: a run that is launched with one field would get the
    class's defaults for all the others. So the values are the defaults of a subclass.
    """
    fields: Any = {}
    for name, value in values.items():
        info = copy(cls.model_fields[name])
        info.default = {"env": value.env_var_name} if isinstance(value, dg.EnvVar) else value
        fields[name] = (info.annotation, info)
    return create_model(cls.__name__, __base__=cls, __doc__=cls.__doc__, __module__=cls.__module__, **fields)()


class FromSettings(dg.ConfigurableResource[Any]):
    """Settings as fields."""

    group: ClassVar[type[SettingsGroup]]
    as_text: ClassVar[Collection[str]]
    """Fields in which None says nothing."""

    def settings(self) -> Any:
        """Return the settings with this resource's values. Raises SettingsError for one that cannot be used."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return self.group.checked(
            {name: value for name, value in values.items() if value is not None or name not in self.as_text}
        )

    @classmethod
    def of(cls, settings: SettingsGroup) -> Self:
        """Return the resource of settings that were read from the environment."""
        given = sorted(settings.model_fields_set & cls.model_fields.keys())
        return configured(cls, **{name: cls._reference(name, getattr(settings, name)) for name in given})

    @classmethod
    def _reference(cls, name: str, value: object) -> Any:
        plain, _ = _without_none(cls.model_fields[name].annotation)
        return dg.EnvVar(_variable(cls.group, name)) if plain in (str, int) else value


Base = TypeVar("Base", bound=FromSettings)


def with_settings(
    group: type[SettingsGroup], *, without: Collection[str] = (), name: str | None = None, doc: str | None = None
) -> Callable[[type[Base]], type[Base]]:
    """Decorate a resource class: it gets a field for each setting of a group.

    `without`: settings that mean nothing to a run. `name`, `doc`: of the class, if not its own.
    """
    fields: Any = {
        field: _field(group, field, info) for field, info in group.model_fields.items() if field not in without
    }

    def extend(cls: type[Base]) -> type[Base]:
        made = create_model(
            name or cls.__name__, __base__=cls, __doc__=doc or cls.__doc__, __module__=cls.__module__, **fields
        )
        made.group = group
        made.as_text = frozenset(name for name, info in group.model_fields.items() if _kind(info) is None)
        return made

    return extend


def _field(group: type[SettingsGroup], name: str, info: FieldInfo) -> tuple[Any, Any]:
    """Return type and field of a setting; what Dagster's config cannot say is the text that a variable holds."""
    description = f"{info.description} Variable {_variable(group, name)}."
    if kind := _kind(info):
        return kind, Field(default=info.get_default(call_default_factory=True), description=description)
    # without Dagster's `is_secret`: the launchpad would show asterisks for the variable's name, and launch them
    secret = SecretStr in (info.annotation, *get_args(info.annotation))
    text = description if secret else f"{description} As text, as the variable holds it."
    return str | None, Field(default=None, description=text)


def _kind(info: FieldInfo) -> Any:
    """Return a setting's type as Dagster's config knows it, None where it knows none."""
    plain, optional = _without_none(info.annotation)
    if plain in SCALARS:
        return plain | None if optional else plain
    is_choice = get_origin(plain) is Literal and all(isinstance(choice, str) for choice in get_args(plain))
    return plain if is_choice and not optional else None


def _without_none(annotation: object) -> tuple[Any, bool]:
    if get_origin(annotation) not in (Union, UnionType):
        return annotation, False
    kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
    return kinds[0] if len(kinds) == 1 else annotation, NoneType in get_args(annotation)


def _variable(group: type[SettingsGroup], name: str) -> str:
    return next(variable for variable, field in group.variables().items() if field == name)
