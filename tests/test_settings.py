"""Settings come from the environment, typed; what is wrong with them is one sentence that names the variable."""

from __future__ import annotations

import pytest
from dagster._utils.schedules import is_valid_cron_schedule

from ingest_assets.app import App
from ingest_assets.settings import SettingsError, sqlalchemy_url
from ingest_assets.sources.slack import SLACK

URL = "postgresql://someone:PASSWORD@db.example:5433/stuff"


class TestSettings:
    def test_have_defaults_for_everything_but_the_database(self) -> None:
        app = App.load({})
        assert (app.core.lease_seconds, app.core.sync_minutes, app.core.parallel_accounts) == (120, 10.0, 4)
        assert app.options_of(SLACK).history_days == 30
        with pytest.raises(SettingsError, match="DATABASE_URL is not set"):
            _ = app.database_url

    def test_are_typed(self) -> None:
        app = App.load({"INGEST_LEASE_SECONDS": "7", "SLACK_HISTORY_DAYS": "1.5", "SLACK_PACING": "false"})
        options = app.options_of(SLACK)
        assert (app.core.lease_seconds, options.history_days, options.pacing) == (7, 1.5, False)

    def test_that_are_empty_count_as_not_set(self) -> None:
        assert App.load({"INGEST_LEASE_SECONDS": "", "DATABASE_URL": ""}).core.lease_seconds == 120

    def test_leave_foreign_variables_alone(self) -> None:
        App.load(
            {"PATH": "/bin", "SLACK_BOT_TOKEN": "xoxb-1", "SLACK_ACME": "xoxb-2", "DAGSTER_HOME": "/srv/dagster"}
        )

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("INGEST_LEASE_SECONDS", "0"),
            ("INGEST_LEASE_SECONDS", "soon"),
            ("INGEST_REJECTED_SHARE", "1.5"),
            ("INGEST_DELETED_SHARE", "-1"),
            ("INGEST_PARALLEL_ACCOUNTS", "0"),
            ("SLACK_HISTORY_DAYS", "0"),
            ("SLACK_PACING", "perhaps"),
            ("SLACK_API_URL", "slack.com"),
            ("SLACK_CONCURRENCY", "1000"),
            ("GONG_SYNC_CRON", "every hour"),
            ("FATHOM_SYNC_CRON", "5 nonsense"),
            ("DATABASE_URL", "mysql://localhost/x"),
            ("DATABASE_URL", "CANARY"),
        ],
    )
    def test_that_cannot_be_used_are_named_without_their_value(self, name: str, value: str) -> None:
        with pytest.raises(SettingsError, match=f"^{name} is not usable: .*[^.]\\.$") as caught:
            App.load({name: value})
        if len(value) > 4:
            assert value not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("INGEST_LEASE_SECOND", "INGEST_LEASE_SECONDS"),
            ("INGEST_ENCRYPTION_KEY", "INGEST_ENCRYPTION_KEYS"),
            ("SLACK_HISTORY_DAY", "SLACK_HISTORY_DAYS"),
            ("SLACK_APIURL", "SLACK_API_URL"),
        ],
    )
    def test_that_are_misspelt_are_refused_with_a_guess(self, name: str, meant: str) -> None:
        with pytest.raises(SettingsError, match=f"^{name} is not a setting: did you mean {meant}\\?"):
            App.load({name: "1"})

    def test_under_our_own_prefix_are_known_or_refused(self) -> None:
        with pytest.raises(SettingsError, match=r"^INGEST_BANANA is not a setting"):
            App.load({"INGEST_BANANA": "1"})

    def test_do_not_show_secrets_when_printed(self) -> None:
        shown = repr(App.load({"DATABASE_URL": URL, "INGEST_ENCRYPTION_KEYS": "KEYKEY"}))
        assert "PASSWORD" not in shown
        assert "KEYKEY" not in shown


class TestACronSetting:
    ACCEPTED = (
        "5 * * * *",
        "*/15 8-18 * * mon-fri",
        "0,30 */2 1-31/2 jan,JUL 0",
        "  0  3 * *  7 ",
        "0 0 29 2 *",
        "@hourly",
    )
    REFUSED = (
        "every hour",
        "hourly",
        "@every 5m",
        "@reboot",
        "5 * * * * *",
        "60 * * * *",
        "0 24 * * *",
        "0 0 0 * *",
        "0 0 31 2,4 *",
        "0 0 * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "1,,2 * * * *",
        "H * * * *",
        "-1 * * * *",
        "1.5 * * * *",
        "\u0665 * * * *",
        "jan * * * *",
    )

    @pytest.mark.parametrize("value", ACCEPTED)
    def test_that_is_accepted_dagster_accepts_too(self, value: str) -> None:
        assert App.load({"GONG_SYNC_CRON": value}).options["gong"].sync_cron == value
        assert is_valid_cron_schedule(value)

    @pytest.mark.parametrize("value", REFUSED)
    def test_that_means_nothing_or_two_things_is_refused_by_name(self, value: str) -> None:
        with pytest.raises(SettingsError, match=r"^GONG_SYNC_CRON is not usable: is not a cron expression"):
            App.load({"GONG_SYNC_CRON": value})


class TestADatabaseAddress:
    @pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg2"])
    def test_may_be_written_in_any_usual_way(self, scheme: str) -> None:
        address = URL.replace("postgresql", scheme)
        assert sqlalchemy_url(address) == URL.replace("postgresql", "postgresql+psycopg")

    def test_keeps_its_odd_characters(self) -> None:
        assert sqlalchemy_url("postgresql://a:p%40ss@h/d?host=/tmp") == (
            "postgresql+psycopg://a:p%40ss@h/d?host=%2Ftmp"
        ) or sqlalchemy_url("postgresql://a:p%40ss@h/d?host=/tmp").endswith("host=/tmp")
