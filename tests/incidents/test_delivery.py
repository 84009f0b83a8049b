"""Messages to their receivers: once each, signed, in bounded time, whatever the others do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email import message_from_string
from threading import Event
from typing import Any

import pytest
from sqlalchemy import Engine

from ingest_assets.incidents.deliver import FIRST_PAUSE, deliver
from ingest_assets.incidents.settings import AlertSettings
from tests.incidents.crowd import Crowd
from tests.incidents.receiver import Inbox, Mailbox, inbox, mailbox


@pytest.fixture
def crowd(engine: Engine) -> Crowd:
    """A database of two hours ago, so that time may go by before the real clock sends."""
    return Crowd(engine, now=datetime.now(UTC) - timedelta(hours=2))


@pytest.fixture
def hook() -> Iterator[Inbox]:
    with inbox() as made:
        yield made


@pytest.fixture
def post() -> Iterator[Mailbox]:
    with mailbox() as made:
        yield made


def settings(**given: Any) -> AlertSettings:
    return AlertSettings.model_validate({"timeout_seconds": 1, **given}, by_name=True)


def mail(post: Mailbox, **given: Any) -> dict[str, Any]:
    where = {"smtp_host": "127.0.0.1", "smtp_port": post.port, "smtp_security": "none"}
    return {**where, "mail_from": "ops@example.com", "mail_to": "a@example.com, b@example.com", **given}


def refuse(crowd: Crowd, count: int = 12, receivers: tuple[str, ...] = ("webhook",)) -> None:
    """Open an incident: some customers' logins are refused."""
    crowd.receivers = list(receivers)
    names = [f"w{number:02}" for number in range(count)]
    crowd.join(*names)
    crowd.fails(*names, kind="credential_rejected", state="needs_reconnect")
    crowd.look()


def due_now(crowd: Crowd) -> None:
    """Let all pauses and claims be over."""
    crowd.sql(
        "update ingest.incident_messages set next_try_at = created_at,"
        " claimed_until = least(claimed_until, created_at)"
    )


def state(crowd: Crowd) -> dict[str, tuple[int, str | None, bool]]:
    """What became of each receiver's opening: (tries, answer, sent)."""
    rows = crowd.rows(
        "select receiver, attempts, answer, sent_at from ingest.incident_messages where kind = 'opened'"
    )
    return {row.receiver: (row.attempts, row.answer, row.sent_at is not None) for row in rows}


class TestWhatIsTold:
    def test_who_since_when_which_command_and_words_for_the_customer(self, crowd: Crowd, hook: Inbox) -> None:
        refuse(crowd)
        assert deliver(crowd.engine, settings(webhook_url=hook.url)) == ["webhook: 1 sent"]
        [body] = hook.bodies
        data = body["data"]
        assert body["type"] == "incident.opened"
        assert data["title"] == "New: Slack refuses the login (12 workspaces)"
        assert data["who"] == "the customer's administrator"
        assert (data["workspaces"], data["workspaces_count"]) == ([f"w{n:02}" for n in range(10)], 12)
        assert data["command"] == "ingest-assets connect slack --workspace WORKSPACE"
        assert "grant it again" in data["forward"]
        assert datetime.fromisoformat(data["since"]) == crowd.now

    def test_slack_gets_text_and_mail_too(self, crowd: Crowd, hook: Inbox, post: Mailbox) -> None:
        refuse(crowd, 1, ("slack", "mail"))
        deliver(crowd.engine, settings(slack_url=hook.url, **mail(post)))
        [slack] = hook.bodies
        [raw] = post.mails
        arrived = message_from_string(raw)
        assert arrived["Subject"] == "New: Slack refuses the login (1 workspace)"
        assert arrived["Message-ID"] == "<incident-1-opened-1@example.com>"
        for text in (slack["text"], arrived.get_payload()):
            assert "ingest-assets connect slack --workspace w00" in text
            assert "Who has to act: the customer's administrator." in text

    def test_a_recovery_names_who_was_touched(self, crowd: Crowd, hook: Inbox) -> None:
        refuse(crowd, 2)
        deliver(crowd.engine, settings(webhook_url=hook.url))
        crowd.reads()
        crowd.passes(7)
        deliver(crowd.engine, settings(webhook_url=hook.url))
        opened, over = hook.bodies
        assert over["type"] == "incident.recovered"
        assert over["data"]["workspaces"] == opened["data"]["workspaces"] == ["w00", "w01"]
        assert hook.taken == ["incident-1-opened-1", "incident-1-recovered-1"]


class TestTheSignature:
    @pytest.mark.parametrize("secret", ["a plain secret", "whsec_" + base64.b64encode(b"raw bytes").decode()])
    def test_covers_id_time_and_body(self, secret: str, crowd: Crowd, hook: Inbox) -> None:
        refuse(crowd)
        deliver(crowd.engine, settings(webhook_url=hook.url, webhook_key=secret))
        [request] = hook.requests
        headers = request["headers"]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + request["body"]
        key = b"raw bytes" if secret.startswith("whsec_") else secret.encode()
        expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        assert abs(int(headers["webhook-timestamp"]) - time.time()) < 30


class TestAReceiverInTrouble:
    @pytest.mark.parametrize(
        ("status", "headers", "said"),
        [
            (500, {}, "HTTP 500"),
            (429, {"Retry-After": "120"}, "HTTP 429"),
            (429, {"Retry-After": "99999999999999999999"}, "HTTP 429"),
            (404, {}, "HTTP 404"),
            (302, {"Location": "/elsewhere"}, "HTTP 302: a redirect, which is not followed"),
        ],
    )
    def test_is_asked_again_later_and_shown(
        self, status: int, headers: dict[str, str], said: str, crowd: Crowd, hook: Inbox
    ) -> None:
        hook.status, hook.headers = status, headers
        refuse(crowd)
        assert deliver(crowd.engine, settings(webhook_url=hook.url)) == [f"webhook: {said}"]
        assert deliver(crowd.engine, settings(webhook_url=hook.url)) == []  # not before its pause is over
        assert state(crowd) == {"webhook": (1, said, False)}
        hook.status, hook.headers = 200, {}
        due_now(crowd)
        deliver(crowd.engine, settings(webhook_url=hook.url))
        assert [one["path"] for one in hook.requests] == ["/hook/s3cret"] * 2
        assert hook.taken == ["incident-1-opened-1"]
        assert hook.requests[0]["body"] == hook.requests[1]["body"]
        assert state(crowd) == {"webhook": (2, "HTTP 200", True)}

    def test_pauses_grow_and_a_named_one_is_kept(self, crowd: Crowd, hook: Inbox) -> None:
        hook.status = 503
        refuse(crowd)
        pauses = []
        for _ in range(9):
            deliver(crowd.engine, settings(webhook_url=hook.url))
            [row] = crowd.rows("select next_try_at from ingest.incident_messages")
            pauses.append(round((row.next_try_at - datetime.now(UTC)) / FIRST_PAUSE))
            due_now(crowd)
        assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
        hook.headers = {"Retry-After": "3600"}
        deliver(crowd.engine, settings(webhook_url=hook.url))
        [row] = crowd.rows("select next_try_at from ingest.incident_messages")
        assert row.next_try_at - datetime.now(UTC) > timedelta(minutes=59)

    def test_slacks_redirect_is_not_followed(self, crowd: Crowd, hook: Inbox) -> None:
        hook.status, hook.headers = 307, {"Location": "/elsewhere"}
        refuse(crowd, receivers=("slack",))
        assert deliver(crowd.engine, settings(slack_url=hook.url)) == ["slack: a redirect, which is not followed"]
        assert len(hook.requests) == 1

    @pytest.mark.parametrize("receiver", ["webhook", "slack", "mail"])
    @pytest.mark.parametrize("how", ["hangs", "drips", "is not there"])
    def test_holds_up_nobody_else(self, how: str, receiver: str, crowd: Crowd, hook: Inbox, post: Mailbox) -> None:
        with inbox() as bad, mailbox() as bad_post:
            bad.drips = bad_post.drips = how == "drips"
            bad.holds = Event() if how == "hangs" else None
            if how == "hangs":
                bad_post.answers["EHLO"] = "250-never ends"
            where = {"slack": {"slack_url": hook.url}, "webhook": {"webhook_url": hook.url}, "mail": mail(post)}
            where[receiver] = {"slack": {"slack_url": bad.url}, "webhook": {"webhook_url": bad.url}}.get(
                receiver, mail(bad_post)
            )
            if how == "is not there":
                gone: dict[str, dict[str, Any]] = {
                    "slack": {"slack_url": "http://127.0.0.1:9/"},
                    "webhook": {"webhook_url": "http://127.0.0.1:9/"},
                    "mail": mail(post, smtp_port=9),
                }
                where[receiver] = gone[receiver]
            given: dict[str, Any] = {}
            for part in where.values():
                given |= part
            refuse(crowd, receivers=("slack", "webhook", "mail"))
            began = time.monotonic()
            deliver(crowd.engine, settings(**given))
            assert time.monotonic() - began < 5
            if bad.holds is not None:
                bad.holds.set()
        sent = {name: sent for name, (_tries, _answer, sent) in state(crowd).items()}
        assert sent == {name: name != receiver for name in ("slack", "webhook", "mail")}

    @pytest.mark.parametrize(("status", "tried"), [(400, 2), (500, 1)])
    def test_a_message_that_is_refused_holds_up_no_other_and_a_receiver_that_fails_all(
        self, status: int, tried: int, crowd: Crowd, hook: Inbox
    ) -> None:
        refuse(crowd)
        crowd.sql(
            "insert into features.model_requests (workspace_id, source, owner, outcome, made_at, wait_until)"
            " values ('w00', 'gong', 'run', 'refused', :now, cast(:now as timestamptz) + interval '1 hour')"
        )
        crowd.look()
        hook.status = status
        for _ in range(3):
            deliver(crowd.engine, settings(webhook_url=hook.url))
        assert len(hook.requests) == tried

    def test_no_secret_is_stored_printed_or_logged(
        self, crowd: Crowd, hook: Inbox, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
    ) -> None:
        caplog.set_level(logging.DEBUG)
        hook.status = 500
        refuse(crowd, receivers=("slack", "webhook"))
        said = deliver(crowd.engine, settings(slack_url=hook.url, webhook_url=hook.url, webhook_key="k3y"))
        rows = crowd.rows("select incident_messages::text as line from ingest.incident_messages")
        shown = " ".join([*said, *(row.line for row in rows), caplog.text, *capfd.readouterr()])
        assert "s3cret" not in shown
        assert "k3y" not in shown


class TestQuietHours:
    QUIET = settings(quiet_hours="22:00-07:00", time_zone="Europe/Berlin")

    @pytest.mark.parametrize(
        ("at", "quiet"),
        [
            ("2026-07-01T19:59", False),  # 21:59 in summer
            ("2026-07-01T20:00", True),
            ("2026-07-02T04:59", True),
            ("2026-07-02T05:00", False),
            ("2026-01-01T20:30", False),  # 21:30 in winter
            ("2026-01-01T21:00", True),
            ("2026-10-25T00:30", True),  # 02:30, the first time
            ("2026-10-25T01:30", True),  # 02:30, the second time
            ("2026-10-25T05:59", True),  # 06:59 after the clocks went back
            ("2026-10-25T06:00", False),
            ("2026-03-29T05:00", False),  # 07:00 after they went forward
            ("2026-03-29T04:59", True),
        ],
    )
    def test_follow_the_clock_on_the_wall(self, at: str, quiet: bool) -> None:
        assert self.QUIET.quiet(datetime.fromisoformat(at).replace(tzinfo=UTC)) is quiet

    def test_that_begin_in_an_hour_which_is_left_out(self) -> None:
        skipped = settings(quiet_hours="02:15-02:45", time_zone="Europe/Berlin")
        moments = [datetime(2026, 3, 29, 0, tzinfo=UTC) + timedelta(minutes=one) for one in range(180)]
        assert not any(skipped.quiet(moment) for moment in moments)

    def test_of_the_day(self) -> None:
        lunch = settings(quiet_hours="12:00-13:00")
        assert lunch.quiet(datetime(2026, 7, 1, 12, tzinfo=UTC))
        assert not lunch.quiet(datetime(2026, 7, 1, 13, tzinfo=UTC))

    def now(self) -> AlertSettings:
        """Quiet hours that it is in now."""
        now = datetime.now(UTC)
        begin, end = now - timedelta(hours=1), now + timedelta(hours=1)
        return settings(quiet_hours=f"{begin:%H:%M}-{end:%H:%M}")

    def test_hold_an_opening_back_and_forget_what_ended_meanwhile(self, crowd: Crowd, hook: Inbox) -> None:
        quiet = self.now().model_copy(update={"webhook_url": settings(webhook_url=hook.url).webhook_url})
        refuse(crowd)
        assert deliver(crowd.engine, quiet) == []
        crowd.reads()
        crowd.passes(7)
        deliver(crowd.engine, settings(webhook_url=hook.url))  # the morning after
        assert hook.requests == []

    def test_hold_a_recovery_back_and_do_not_swallow_it(self, crowd: Crowd, hook: Inbox) -> None:
        loud = settings(webhook_url=hook.url)
        quiet = self.now().model_copy(update={"webhook_url": loud.webhook_url})
        refuse(crowd)
        deliver(crowd.engine, loud)
        crowd.reads()
        crowd.passes(7)
        deliver(crowd.engine, quiet)
        assert hook.taken == ["incident-1-opened-1"]
        deliver(crowd.engine, loud)
        assert hook.taken == ["incident-1-opened-1", "incident-1-recovered-1"]

    def test_do_not_hold_back_what_is_critical(self, crowd: Crowd, hook: Inbox) -> None:
        quiet = self.now().model_copy(update={"webhook_url": settings(webhook_url=hook.url).webhook_url})
        crowd.join("acme")
        crowd.look()
        crowd.passes(60, watched=False)
        crowd.look()
        deliver(crowd.engine, quiet)
        assert [body["data"]["cause"] for body in hook.bodies] == ["database"]

    def test_tell_in_the_morning_what_is_so_then(self, crowd: Crowd, hook: Inbox) -> None:
        quiet = self.now().model_copy(update={"webhook_url": settings(webhook_url=hook.url).webhook_url})
        refuse(crowd, 2)
        deliver(crowd.engine, quiet)
        more = [f"x{number:02}" for number in range(28)]
        crowd.join(*more)
        crowd.fails(*more, kind="credential_rejected", state="needs_reconnect")
        crowd.passes(3)
        deliver(crowd.engine, settings(webhook_url=hook.url))
        assert [body["data"]["workspaces_count"] for body in hook.bodies] == [30]


SENDER = """
import sys
from ingest_assets.incidents.deliver import deliver
from ingest_assets.incidents.settings import AlertSettings
from ingest_assets.storage.engine import connect
deliver(connect(sys.argv[1]), AlertSettings.model_validate({"webhook_url": sys.argv[2]}, by_name=True))
"""


class TestASenderThatIsKilled:
    def start(self, url: str, hook: Inbox) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", SENDER, url, hook.url], env=os.environ.copy())  # noqa: S603

    def test_while_the_receiver_has_not_answered(self, crowd: Crowd, hook: Inbox, database_url: str) -> None:
        refuse(crowd)
        hook.holds = Event()
        sender = self.start(database_url, hook)
        assert hook.arrived.wait(30)
        sender.send_signal(signal.SIGKILL)
        sender.wait()
        hook.holds.set()
        assert state(crowd) == {"webhook": (1, None, False)}
        assert deliver(crowd.engine, settings(webhook_url=hook.url)) == []  # it may be sending yet
        crowd.reads("w00", "w01")  # what is told stays as it was told
        crowd.passes(1)
        due_now(crowd)
        deliver(crowd.engine, settings(webhook_url=hook.url))
        assert hook.taken == ["incident-1-opened-1"]
        assert hook.requests[0]["body"] == hook.requests[1]["body"]
        assert state(crowd) == {"webhook": (2, "HTTP 200", True)}
        due_now(crowd)
        assert deliver(crowd.engine, settings(webhook_url=hook.url)) == []

    def test_and_slack_says_that_it_may_be_a_repetition(self, crowd: Crowd, hook: Inbox) -> None:
        refuse(crowd, receivers=("slack",))
        hook.holds = Event()
        deliver(crowd.engine, settings(slack_url=hook.url))
        hook.holds.set()
        due_now(crowd)
        deliver(crowd.engine, settings(slack_url=hook.url))
        first, second = (body["text"] for body in hook.bodies)
        assert second == f"Perhaps sent before, without an answer.\n{first}"

    def test_senders_at_the_same_time_send_once(self, crowd: Crowd, hook: Inbox, database_url: str) -> None:
        refuse(crowd)
        senders = [self.start(database_url, hook) for _ in range(4)]
        assert [sender.wait(60) for sender in senders] == [0] * 4
        assert len(hook.requests) == 1


def test_json_is_of_standard_webhooks(crowd: Crowd, hook: Inbox) -> None:
    refuse(crowd)
    deliver(crowd.engine, settings(webhook_url=hook.url))
    assert set(json.loads(hook.requests[0]["body"])) == {"type", "timestamp", "data"}
