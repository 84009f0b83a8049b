"""`ingest-assets incidents`, `ingest-assets alert test`, and the settings."""

from __future__ import annotations

import json

import pytest

from tests.incidents.crowd import Crowd
from tests.incidents.receiver import inbox, mailbox
from tests.workbench import Bench

SETTINGS = "INGEST_ALERT_SLACK_URL, INGEST_ALERT_WEBHOOK_URL or INGEST_ALERT_SMTP_HOST"
NOBODY = f"Nobody is told of incidents: set {SETTINGS}.\n"


def test_an_alert_test_says_what_each_receiver_answered(bench: Bench) -> None:
    with inbox() as good, inbox() as bad, mailbox() as post:
        bad.status = 503
        bench.configure(
            INGEST_ALERT_SLACK_URL=bad.url,
            INGEST_ALERT_WEBHOOK_URL=good.url,
            INGEST_ALERT_WEBHOOK_KEY="k3y",
            INGEST_ALERT_SMTP_HOST="127.0.0.1",
            INGEST_ALERT_SMTP_PORT=str(post.port),
            INGEST_ALERT_SMTP_SECURITY="none",
            INGEST_ALERT_MAIL_FROM="ops@example.com",
            INGEST_ALERT_MAIL_TO="a@example.com",
        )
        done = bench.run("alert", "test")
        assert (done.returncode, done.stderr) == (1, "")
        assert done.stdout.splitlines() == [
            "slack: not accepted (HTTP 503)",
            "webhook: accepted (HTTP 200)",
            "mail: accepted (accepted)",
        ]
        assert "s3cret" not in done.stdout
        assert good.bodies[0]["type"] == "test"
        assert "Nothing is the matter" in post.mails[0]
        bad.status = 200
        assert bench.run("alert", "test").returncode == 0


def test_without_a_receiver_both_commands_say_how_to_set_one(bench: Bench) -> None:
    done = bench.run("alert", "test")
    assert (done.returncode, done.stderr) == (2, NOBODY)
    listed = bench.run("incidents")
    assert (listed.returncode, listed.stdout) == (
        0,
        f"No incident is open.\n\nThe sensor `incidents` looked never. {NOBODY}",
    )


def test_the_list_says_who_has_to_act_and_how(bench: Bench) -> None:
    crowd = Crowd(bench.engine)
    crowd.join(*[f"w{number:02}" for number in range(12)])
    crowd.look()
    crowd.fails("w03", kind="credential_rejected", state="needs_reconnect")
    crowd.passes(1)
    crowd.reads()
    crowd.passes(7)
    crowd.fails(*[f"w{number:02}" for number in range(12)], kind="credential_rejected", state="needs_reconnect")
    crowd.passes(1)
    said = bench.run("incidents").stdout
    assert "Slack refuses the login" in said
    assert "the customer's administrator" in said
    assert "ingest-assets connect slack --workspace WORKSPACE" in said
    assert "w09 and 2 more" in said
    [open_one] = json.loads(bench.run("incidents", "--json").stdout)
    assert open_one["workspaces_count"] == len(open_one["workspaces"]) == 12
    assert open_one["messages"][0]["kind"] == "opened"
    newest, oldest = json.loads(bench.run("incidents", "--all", "--json").stdout)
    assert (newest["until"], oldest["workspaces"]) == (None, ["w03"])
    assert oldest["until"] is not None


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("INGEST_ALERT_SLACK_URL", "hooks.slack.com/s3cret"),
        ("INGEST_ALERT_SLACK_URL", "ftp://host/s3cret"),
        ("INGEST_ALERT_WEBHOOK_URL", "http://[s3cret"),
        ("INGEST_ALERT_WEBHOOK_KEY", "whsec_s3cret!"),
        ("INGEST_ALERT_MAIL_TO", "a@example.com\nBcc: b@example.com"),
        ("INGEST_ALERT_QUIET_HOURS", "22-7"),
        ("INGEST_ALERT_QUIET_HOURS", "07:00-07:00"),
        ("INGEST_ALERT_QUIET_HOURS", "24:00-07:00"),
        ("INGEST_ALERT_TIME_ZONE", "Europe/Atlantis"),
        ("INGEST_ALERT_TIME_ZONE", "../../etc/passwd"),
        ("INGEST_ALERT_SMTP_HOST", "mail.example.com"),
    ],
)
def test_a_setting_that_cannot_be_used_is_refused_by_name_and_without_a_secret(
    variable: str, value: str, bench: Bench
) -> None:
    done = bench.run("incidents", **{variable: value})
    assert done.returncode == 2
    assert done.stderr.startswith(variable)
    assert "s3cret" not in done.stderr
