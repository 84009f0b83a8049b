"""Typed resources: what the launchpad shows of a setting, and what a run then works with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Literal

import dagster as dg
import pytest
from pydantic import Field, SecretStr

from ingest_assets.app import App
from ingest_assets.definitions import build
from ingest_assets.errors import IngestError
from ingest_assets.resources.apis import SlackApi
from ingest_assets.resources.from_settings import FromSettings, with_settings
from ingest_assets.resources.ingestion import Credentials, Database, forget_engines
from ingest_assets.settings import SettingsError, SettingsGroup
from ingest_assets.sources import SOURCES
from tests.sources.tenants import TENANTS
from tests.workbench import Bench


class Odd(SettingsGroup):
    """Whatever a fifth source's options may be."""

    prefix: ClassVar[str] = "ODD"

    text: str = Field(default="a", description="A text.")
    named: str | None = Field(default=None, alias="OTHER_NAME", description="A text.")
    number: int = Field(default=3, ge=1, description="A number.")
    limit: int | None = Field(default=7, description="A number.")
    share: float = Field(default=0.5, le=1, description="A share.")
    flag: bool = Field(default=True, description="A flag.")
    mode: Literal["direct", "batch"] = Field(default="direct", description="A choice.")
    other_mode: Literal["direct", "batch"] | None = Field(default=None, description="A choice.")
    age: timedelta = Field(default=timedelta(days=1), description="A time.")
    names: list[str] = Field(default_factory=list, description="Names.")
    secret: SecretStr | None = Field(default=None, description="A secret.")


OddApi = with_settings(Odd, name="OddApi")(FromSettings)
EVERYTHING = {
    "ODD_TEXT": "b",
    "OTHER_NAME": "c",
    "ODD_NUMBER": " 7 ",
    "ODD_LIMIT": "+8",
    "ODD_SHARE": "1",
    "ODD_FLAG": "off",
    "ODD_MODE": "batch",
    "ODD_OTHER_MODE": "batch",
    "ODD_AGE": "P3D",
    "ODD_SECRET": "CANARY",
}


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Materialise an asset with the resource of an environment; return the settings that it saw."""

    def start(environ: Mapping[str, str], **launched: Any) -> Any:
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        seen: list[Any] = []

        def look(context: dg.AssetExecutionContext, odd: Any) -> None:
            context.log.info("looking")
            seen.append(odd.settings())

        look.__annotations__ |= {"context": dg.AssetExecutionContext, "odd": OddApi, "return": None}
        dg.materialize(
            [dg.asset(look)],
            resources={"odd": OddApi.of(Odd.load(environ))},
            run_config={"resources": {"odd": {"config": launched}}},
        )
        return seen[0]

    yield start
    forget_engines()


class TestASetting:
    @pytest.mark.parametrize(
        "environ", [{}, EVERYTHING, {"ODD_TEXT": ""}, {"ODD_NUMBER": "9"}, {"ODD_FLAG": "no"}]
    )
    def test_reaches_a_run_as_the_environment_says_it(
        self, run: Callable[..., Any], environ: dict[str, str]
    ) -> None:
        assert run(environ) == Odd.load(environ)

    def test_of_an_integer_is_refused_at_the_start_where_dagster_would_not_read_it(self) -> None:
        with pytest.raises(SettingsError, match=r"^ODD_NUMBER is not usable: is not a whole number\.$"):
            Odd.load({"ODD_NUMBER": "7.0"})

    def test_shows_its_variable_and_no_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in EVERYTHING.items():
            monkeypatch.setenv(name, value)
        shown = OddApi.of(Odd.load(EVERYTHING)).get_resource_definition().config_schema.as_field().default_value
        assert shown["secret"] == {"env": "ODD_SECRET"}
        assert shown["number"] == {"env": "ODD_NUMBER"}
        assert shown["named"] == {"env": "OTHER_NAME"}
        assert shown["share"] == 1.0
        assert shown["flag"] is False
        assert "CANARY" not in str(shown)

    def test_can_be_chosen_for_one_run_even_back_to_its_default(self, run: Callable[..., Any]) -> None:
        seen = run(EVERYTHING, number=3, flag=True, share=0.25, mode="direct", limit=None, age="PT1H")
        assert (seen.number, seen.flag, seen.share, seen.mode, seen.limit) == (3, True, 0.25, "direct", None)
        assert seen.age == timedelta(hours=1)
        assert seen.text == "b"

    def test_that_a_run_was_launched_with_is_checked_as_one_of_the_environment(
        self, run: Callable[..., Any]
    ) -> None:
        with pytest.raises(SettingsError, match=r"^ODD_NUMBER is not usable: .* greater than or equal to 1\.$"):
            run({}, number=0)


class TestTheDefinitions:
    @pytest.mark.parametrize("environ", [{}, {"SLACK_HISTORY_DAYS": "3", "OPENAI_MODEL": "x"}])
    def test_show_every_option_as_a_described_field_with_its_default(self, environ: dict[str, str]) -> None:
        app = App.load(environ)
        resources: Any = build(app).resources
        for source in SOURCES:
            resource = resources[source.name]
            assert type(resource).__name__ == f"{source.title}Api"
            shape: Any = resource.get_resource_definition().config_schema.config_type
            assert shape.fields.keys() == source.options.model_fields.keys() - {"sync_cron"}
            variables = {field: variable for variable, field in source.options.variables().items()}
            for name, field in shape.fields.items():
                assert field.description.endswith(f"Variable {variables[name]}.")
                assert field.default_provided
        for key in ("limits", "language_model", "database", "credentials"):
            shape = resources[key].get_resource_definition().config_schema.config_type
            assert all(field.description for field in shape.fields.values())
            # what is_secret hides in the launchpad is launched as "********"
            assert not any(field.is_secret for field in shape.fields.values())

    def test_tell_in_one_sentence_what_a_run_was_launched_with_and_cannot_use(self, bench: Bench) -> None:
        defined = build(App.load({}))
        job: Any = defined.resolve_job_def("slack_sync")
        url = {"database": {"config": {"url": bench.database_url}}}
        for launched, sentence in (
            ({}, "DATABASE_URL is not set"),
            (url | {"limits": {"config": {"lease_seconds": 0}}}, "INGEST_LEASE_SECONDS is not usable: "),
            (url | {"slack": {"config": {"concurrency": 0}}}, "SLACK_CONCURRENCY is not usable: "),
        ):
            with dg.instance_for_test() as instance:
                instance.add_dynamic_partitions("workspaces", ["acme"])
                result = job.execute_in_process(
                    instance=instance,
                    partition_key="acme",
                    run_config={"resources": launched},
                    raise_on_error=False,
                )
                own = [entry for entry in instance.all_logs(result.run_id) if entry.dagster_event is None]
            assert not result.success
            [line] = [entry.user_message for entry in own if entry.level == logging.ERROR]
            assert line.startswith(sentence)
        forget_engines()

    def test_name_each_resource_as_a_parameter(self) -> None:
        graph = build(App.load({})).get_repository_def().assets_defs_by_key
        messages = graph[dg.AssetKey(["raw", "slack_messages"])]
        assert messages.required_resource_keys >= {"slack", "database", "credentials", "limits"}
        assert not messages.required_resource_keys & {"gong", "fathom", "gmail", "language_model"}

    def test_take_the_shown_configuration_back(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        """The launchpad of a job is filled with it, and launches what stands there."""
        acme = bench.workspace("acme", "general")
        for name, value in bench.environ.items():
            monkeypatch.setenv(name, value)
        defined = build(bench.app)
        job: Any = defined.resolve_job_def("slack_sync")
        shown = {
            key: {"config": job.resource_defs[key].config_schema.as_field().default_value}
            for key in ("slack", "database", "credentials", "limits")
        }
        assert shown["credentials"] == {"config": {"encryption_keys": {"env": "INGEST_ENCRYPTION_KEYS"}}}
        with dg.instance_for_test() as instance:
            instance.add_dynamic_partitions("workspaces", ["acme"])
            result = job.execute_in_process(
                instance=instance, partition_key="acme", run_config={"resources": shown}
            )
        forget_engines()
        assert result.success
        assert [one.status for one in acme.history] == ["success"]


async def _people(client: Any) -> None:
    async with aclosing(client.users(tries=1)) as pages:
        await anext(pages)


ASKS: dict[str, Callable[[Any], Awaitable[Any]]] = {
    "slack": lambda client: client.identity(),
    "gong": _people,
    "fathom": lambda client: client.sees_any(datetime.now(UTC) - timedelta(days=1), datetime.now(UTC)),
    "gmail": lambda client: client.profile(),
}
"""One request of each source's client."""


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
class TestAnApi:
    def test_opens_the_client_of_its_source_for_an_account(
        self, source: Any, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tenant = TENANTS[source.name](bench, "acme").connected()
        for name, value in bench.environ.items():
            monkeypatch.setenv(name, value)
        defined = build(bench.app).resources or {}
        with dg.build_resources({key: defined[key] for key in (source.name, "database", "credentials")}) as made:
            api = getattr(made, source.name)
            login = api.login(made.database, made.credentials, "acme")

            async def ask() -> None:
                async with api.client(login) as client:
                    await ASKS[source.name](client)

            asyncio.run(ask())
            assert login.calls.total() >= 1
            assert api.options() == bench.app.options_of(source)
            with pytest.raises(IngestError, match="There is no workspace 'nobody'"):
                api.login(made.database, made.credentials, "nobody")
        assert tenant.account
        forget_engines()


def test_an_asset_of_ones_own_gets_the_client_as_the_documentation_shows(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.workspace("acme", "general")
    for name, value in bench.environ.items():
        monkeypatch.setenv(name, value)
    identities = []

    async def slack_team(slack: SlackApi, database: Database, credentials: Credentials) -> None:
        async with slack.client(slack.login(database, credentials, "acme")) as client:
            identities.append(await client.identity())

    defined = build(bench.app).resources or {}
    result = dg.materialize(
        [dg.asset(slack_team)], resources={key: defined[key] for key in ("slack", "database", "credentials")}
    )
    forget_engines()
    assert result.success
    assert identities[0]["team"] == "Acme"
