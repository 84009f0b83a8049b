"""What Google refuses for a moment, what it refuses for good, and what was never Google's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ingest_assets.errors import (
    CredentialRejected,
    CursorExpired,
    DoubtfulRejection,
    PartUnreadable,
    SourceError,
    TokenRefused,
    Transient,
    UnexpectedResponse,
)
from ingest_assets.sources.client.http import Answer
from ingest_assets.sources.gmail.errors import call_error, limit_of, meaning, token_meaning
from ingest_assets.sources.gmail.methods import METHODS
from ingest_assets.sync.result import BELIEVED
from tests.sources.tenants import GmailTenant
from tests.sources.test_gmail_connecting import robot
from tests.workbench import Bench

NOW = datetime(2026, 11, 26, 14, 41, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ACCOUNT = sorted(name for name, method in METHODS.items() if method.level == "account" and method.cost)
REFUSALS: Mapping[str, tuple[int, str]] = {
    "failedPrecondition": (400, "failedPrecondition"),
    "domainPolicy": (403, "domainPolicy"),
    "forbidden": (403, "forbidden"),
    "accessNotConfigured": (403, "accessNotConfigured"),
    "somethingNew": (403, "somethingNew"),
}


def older(status: int, reason: str, text: str = "Said by Google") -> dict[str, Any]:
    return {"error": {"code": status, "message": text, "errors": [{"reason": reason, "domain": "global"}]}}


def newer(status: int, name: str, reason: str | None = None) -> dict[str, Any]:
    info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
    help_ = {"@type": "type.googleapis.com/google.rpc.Help", "links": []}
    details = [] if reason is None else [help_, info]
    return {"error": {"code": status, "message": "Said by Google", "status": name, "details": details}}


def both(status: int, reason: str, name: str, detail: str) -> dict[str, Any]:
    return {"error": newer(status, name, detail)["error"] | older(status, reason)["error"]}


@pytest.fixture
def acme(bench: Bench) -> GmailTenant:
    tenant = GmailTenant(bench, "acme")
    tenant.connect()
    return tenant


def refuse(tenant: GmailTenant, method: str, refusal: str, *, times: int) -> None:
    status, reason = REFUSALS[refusal]
    tenant.fault("error", method=method, status=status, error=reason, times=times)


class TestARefusal:
    @pytest.fixture
    def acme(self, acme: GmailTenant) -> GmailTenant:
        acme.connect(labels=("INBOX",))  # so that labels are asked for, too
        for place in range(3):
            acme.message(hours_ago=place + 1)
        return acme

    @pytest.mark.parametrize("method", ACCOUNT)
    @pytest.mark.parametrize("refusal", REFUSALS)
    def test_for_a_moment_is_waited_out(self, acme: GmailTenant, method: str, refusal: str) -> None:
        acme.reads()
        acme.message()
        if method != "history.list":
            acme.order("expire_history")
        refuse(acme, method, refusal, times=1)
        acme.reads()
        assert len(acme.living) == 4

    @pytest.mark.parametrize("method", ACCOUNT)
    @pytest.mark.parametrize("refusal", ["failedPrecondition", "forbidden"])
    def test_over_one_sync_needs_nobody(self, acme: GmailTenant, method: str, refusal: str) -> None:
        acme.reads()
        acme.message()
        if method != "history.list":
            acme.order("expire_history")
        for _ in range(BELIEVED - 1):
            refuse(acme, method, refusal, times=2)
            assert acme.sync().status == "failed"
            assert acme.account.state == "active"
            assert acme.account.due_at is not None
        acme.reads()
        assert len(acme.living) == 4

    @pytest.mark.parametrize("method", ACCOUNT)
    def test_that_lasts_is_believed(self, acme: GmailTenant, method: str) -> None:
        if method == "history.list":
            acme.reads()
        refuse(acme, method, "failedPrecondition", times=-1)
        for _ in range(BELIEVED):
            reason = str(acme.sync().reason)
        assert acme.account.state == "needs_reconnect"
        assert "no Gmail mailbox" in reason

    def test_of_a_thread_is_no_refusal_of_the_mailbox(self, acme: GmailTenant) -> None:
        refuse(acme, "threads.get", "failedPrecondition", times=1)
        acme.reads()
        assert len(acme.living) == 3


class TestAHistoryWhoseStartIsRefused:
    @pytest.mark.parametrize(
        ("status", "reason"), [(400, "invalidArgument"), (400, "invalid"), (404, "notFound"), (410, "deleted")]
    )
    def test_is_made_up_for_by_comparing_everything(self, acme: GmailTenant, status: int, reason: str) -> None:
        kept, gone, odd = acme.message(), acme.message(), acme.message()
        acme.reads()
        acme.order("delete", thread=gone["thread"])
        new = acme.message()
        acme.fault("error", method="history.list", status=status, error=reason, times=-1)
        for _ in range(3):
            since = acme.bench.requests()
            acme.reads()
            assert acme.living == {kept["thread"], odd["thread"], new["thread"]}
            assert acme.calls(since)["history.list"] == 1
        acme.calm()
        since = acme.bench.requests()
        acme.reads()
        assert acme.calls(since) == {"history.list": 1}

    def test_by_somebody_else_is_not(self, acme: GmailTenant) -> None:
        acme.message()
        acme.reads()
        acme.fault("html", method="history.list", status=404, times=-1)
        assert "Check GMAIL_API_URL" in str(acme.sync().reason)


class TestAPositionInTheHistory:
    @pytest.mark.parametrize("odd", [["1"], {"id": "1"}, "soon", "1\0", "9" * 400, True, 1.5, None])
    def test_that_is_none_never_becomes_a_cursor(self, acme: GmailTenant, odd: Any) -> None:
        acme.message()
        acme.fault("json", method="profile", status=200, body={"emailAddress": "x", "historyId": odd})
        assert "has no historyId" in str(acme.sync().reason)
        acme.reads()
        new = acme.message()
        acme.fault("json", method="history.list", status=200, body={"history": [], "historyId": odd})
        acme.reads()
        acme.reads()
        assert new["thread"] in acme.living

    @pytest.mark.parametrize("odd", ["soon", "1\0", "9" * 400])
    def test_of_an_entry_that_is_none_is_set_aside(self, acme: GmailTenant, odd: str) -> None:
        acme.reads()
        acme.order("history", entry={"id": odd, "messages": []})
        new = acme.message()
        assert acme.reads().counts.rejected == 1
        assert acme.reads().status == "success"
        assert new["thread"] in acme.living

    @pytest.mark.parametrize("odd", ["x" * 20_000, "", "a\0b", "a b", "\u202e"])
    def test_names_no_thread_that_cannot_be_asked_for(self, acme: GmailTenant, odd: str) -> None:
        acme.reads()
        acme.order("history", entry={"id": "900000", "messages": [{"id": "m1", "threadId": odd}]})
        new, listed = acme.message(), acme.message()
        acme.order("raw", thread=listed["thread"], payload={"id": odd, "historyId": "1"}, listed=True)
        assert acme.reads().counts.rejected == 1
        acme.forget_cursors()
        acme.reads()
        assert new["thread"] in acme.living


class TestAnAnswerThatIsNotGooglesShape:
    @pytest.mark.parametrize("method", ["threads.list", "history.list"])
    @pytest.mark.parametrize("token", [["a"], {"a": 1}, 17, 1.5, True, "x" * 20_000])
    def test_with_an_odd_page_token_is_told(self, acme: GmailTenant, method: str, token: Any) -> None:
        acme.message()
        if method == "history.list":
            acme.reads()
        body = {"threads": [], "history": [], "nextPageToken": token}
        acme.fault("json", method=method, status=200, body=body, times=-1)
        reason = str(acme.sync().reason)
        assert "bug of ours" not in reason
        assert "page" in reason
        acme.calm()
        acme.reads()
        assert len(acme.living) == 1

    @pytest.mark.parametrize("method", ["profile", "labels.list", "threads.list", "history.list"])
    @pytest.mark.parametrize("body", ["[" * 3000, "null", "[]", '"x"', "{", '{"error": "invalid_grant"}', "{}"])
    def test_is_no_bug_of_ours(self, acme: GmailTenant, method: str, body: str) -> None:
        acme.connect(labels=("INBOX",))
        acme.message()
        if method == "history.list":
            acme.reads()
        acme.fault("raw", method=method, body=body, times=-1)
        assert "bug of ours" not in str(acme.sync().reason)
        acme.calm()
        acme.forget_cursors()
        acme.reads()
        assert len(acme.living) == 1

    @pytest.mark.parametrize("method", ["profile", "threads.list", "history.list"])
    def test_and_becomes_very_long_is_not_read_to_its_end(self, acme: GmailTenant, method: str) -> None:
        acme.message()
        if method == "history.list":
            acme.reads()
        acme.fault("gzip", method=method, body=200, times=-1)
        result = acme.sync()
        assert result.error is not None
        assert result.error.kind == "answer_too_large"
        assert result.calls[method] == 1


class TestARedirect:
    @pytest.fixture
    def elsewhere(self, bench: Bench) -> str:
        return f"{bench.sim.base_url}/slack/api/auth.test"

    def strangers(self, bench: Bench) -> list[Any]:
        return [entry for entry in bench.ask("ledger")["requests"] if entry["vendor"] == "slack"]

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_of_the_token_endpoint_is_not_followed_with_a_secret(
        self, bench: Bench, elsewhere: str, status: int
    ) -> None:
        acme = GmailTenant(bench, "acme")
        acme.fault("redirect", method="token", status=status, body=elsewhere)
        with pytest.raises(UnexpectedResponse, match=f"HTTP {status}"):
            acme.connect()
        assert not self.strangers(bench)

    @pytest.mark.parametrize("method", ["profile", "threads.list", "history.list", "batch"])
    @pytest.mark.parametrize("status", [302, 308])
    def test_of_the_api_is_not_followed_with_a_token(
        self, acme: GmailTenant, elsewhere: str, method: str, status: int
    ) -> None:
        acme.message()
        if method == "history.list":
            acme.reads()
        acme.fault("redirect", method=method, status=status, body=elsewhere, times=-1)
        assert f"HTTP {status}" in str(acme.sync().reason)
        assert not self.strangers(acme.bench)


class TestTheTokenEndpoint:
    @pytest.mark.parametrize(
        "body",
        [
            {"access_token": ["a"]},
            {"access_token": "a\r\nb"},
            {"access_token": "\u2028"},
            {"access_token": ""},
            {"access_token": None},
            {"expires_in": 3600},
            {"error": "invalid_grant"},
            [],
            "token",
            None,
        ],
    )
    def test_that_gives_no_token_is_asked_again_later(self, bench: Bench, body: Any) -> None:
        acme = GmailTenant(bench, "acme")
        acme.fault("json", method="token", status=200, body=body, times=-1)
        with pytest.raises(Transient, match=r"^(Google|Gmail)"):
            acme.connect()

    @pytest.mark.parametrize("lifetime", ["soon", -1, 0, 1e300, 10**30, "9" * 5000, [], {}, True, None])
    def test_that_tells_no_lifetime_gives_a_token_all_the_same(self, acme: GmailTenant, lifetime: Any) -> None:
        made = acme.message()
        acme.bench.execute("delete from ingest.token_pairs")
        token = acme.bench.sim.post(
            "/gmail/token",
            data={"grant_type": "refresh_token", "client_id": "client", **acme.secrets},
        ).json()["access_token"]
        acme.fault(
            "json", method="token", status=200, body={"access_token": token, "expires_in": lifetime}, times=-1
        )
        acme.reads()
        assert acme.living == {made["thread"]}

    def test_that_becomes_very_long_is_not_read_to_its_end(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.fault("gzip", method="token", body=200)
        with pytest.raises(UnexpectedResponse, match="longer than"):
            acme.connect()

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (400, {"error": "invalid_grant"}, CredentialRejected),
            (401, {"error": "unauthorized_client", "error_description": "x"}, CredentialRejected),
            (400, {"error": "admin_policy_enforced"}, CredentialRejected),
            (400, {"error": "temporarily_unavailable"}, Transient),
            (403, {"error": "rate_limit_exceeded"}, Transient),
            (403, older(403, "rateLimitExceeded"), Transient),
            (408, None, Transient),
            (403, None, Transient),
            (404, {"message": "no such route"}, Transient),
            (400, {"error": "<script>"}, Transient),
            (400, {"error": ["invalid_grant"]}, Transient),
            (400, ["invalid_grant"], Transient),
        ],
    )
    def test_means(self, status: int, body: Any, kind: type[SourceError]) -> None:
        found = token_meaning(status, body)
        assert type(found) is kind
        assert "script" not in str(found)


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "body", "method", "kind"),
        [
            (401, older(401, "authError"), "profile", TokenRefused),
            (401, newer(401, "UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED"), "threads.get", TokenRefused),
            (401, None, "history.list", TokenRefused),
            (
                403,
                newer(403, "PERMISSION_DENIED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"),
                "profile",
                DoubtfulRejection,
            ),
            (403, newer(403, "PERMISSION_DENIED", "SERVICE_DISABLED"), "threads.list", DoubtfulRejection),
            (403, newer(403, "PERMISSION_DENIED"), "threads.get", PartUnreadable),
            (403, {"error": "access_denied"}, "profile", DoubtfulRejection),
            (403, None, "profile", DoubtfulRejection),
            (400, newer(400, "FAILED_PRECONDITION"), "profile", DoubtfulRejection),
            (400, newer(400, "FAILED_PRECONDITION"), "history.list", DoubtfulRejection),
            (400, newer(400, "INVALID_ARGUMENT"), "history.list", CursorExpired),
            (400, newer(400, "INVALID_ARGUMENT"), "threads.list", UnexpectedResponse),
            (400, newer(400, "INVALID_ARGUMENT"), "threads.get", PartUnreadable),
            (404, newer(404, "NOT_FOUND"), "history.list", CursorExpired),
            (404, None, "history.list", UnexpectedResponse),
            (404, None, "threads.get", PartUnreadable),
            (410, None, "attachments.get", PartUnreadable),
            (418, {"error": []}, "profile", UnexpectedResponse),
            (418, {"error": {"errors": "x", "details": 5, "status": {}}}, "profile", UnexpectedResponse),
            (400, {"error": {"errors": [None, [], {"reason": ["a"]}]}}, "profile", UnexpectedResponse),
        ],
    )
    def test_mean(self, status: int, body: Any, method: str, kind: type[SourceError]) -> None:
        assert type(meaning(method, status, body)) is kind

    @pytest.mark.parametrize(
        ("status", "body", "pause"),
        [
            (429, older(429, "rateLimitExceeded"), SECOND),
            (429, newer(429, "RESOURCE_EXHAUSTED", "RATE_LIMIT_EXCEEDED"), SECOND),
            (429, None, SECOND),
            (403, older(403, "userRateLimitExceeded"), SECOND),
            (403, newer(403, "RESOURCE_EXHAUSTED"), SECOND),
            (403, both(403, "forbidden", "PERMISSION_DENIED", "RATE_LIMIT_EXCEEDED"), SECOND),
            (403, older(403, "dailyLimitExceeded"), timedelta(hours=1)),
            (403, older(403, "rateLimitExceeded", "Retry after 2026-11-26T14:41:30.000Z"), 30 * SECOND),
            (429, older(429, "rateLimitExceeded", "Retry after 2026-11-26T14:00:00Z"), SECOND),
            (429, older(429, "rateLimitExceeded", "Retry after 9999-12-31T23:59:59Z"), timedelta(hours=1)),
            (429, older(429, "rateLimitExceeded", "Retry after 2026-99-99T99:99:99Z"), SECOND),
            (429, {"error": {"message": ["Retry after 2026-11-26T14:41:30Z"]}}, SECOND),
        ],
    )
    def test_about_the_quota_say_how_long_to_wait(self, status: int, body: Any, pause: timedelta) -> None:
        answer = Answer(status, {}, b"<html>" if body is None else json.dumps(body).encode())
        limit = limit_of(answer, NOW)
        assert limit is not None
        assert limit.pause == pause
        error = call_error("threads.get", answer, NOW)
        assert isinstance(error, Transient)
        assert error.retry_after == pause

    def test_about_the_quota_are_believed_by_their_header_first(self) -> None:
        body = older(429, "rateLimitExceeded", "Retry after 2026-11-26T14:41:30Z")
        limit = limit_of(Answer(429, {"retry-after": "7"}, json.dumps(body).encode()), NOW)
        assert limit is not None
        assert limit.pause == 7 * SECOND

    def test_repeat_nothing_that_a_stranger_wrote(self) -> None:
        body = older(400, "\x1b[2J Ann owes Bob", "Ann owes Bob")
        error = meaning("threads.get", 400, body)
        assert "Ann" not in f"{error} {error.code}"


def test_a_service_account_signs_in_without_following_anybody(bench: Bench, tmp_path: Path) -> None:
    key = robot(bench, tmp_path, subjects=["ann@acme.example"])
    bench.order("gmail/mailbox", email="ann@acme.example", threads=2)
    target = f"{bench.sim.base_url}/slack/api/auth.test"
    bench.order("fault", kind="redirect", vendor="gmail", method="token", body=target)
    arguments = ("--service-account", str(key), "--subjects", "ann@acme.example")
    done = bench.run("connect", "gmail", "--workspace", "acme", *arguments)
    assert "HTTP 308" in done.stderr
    assert not [entry for entry in bench.ask("ledger")["requests"] if entry["vendor"] == "slack"]
    assert bench.run("connect", "gmail", "--workspace", "acme", *arguments).returncode == 0
