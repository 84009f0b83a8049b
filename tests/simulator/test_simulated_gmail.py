"""The simulated Gmail, as Google's own client and as raw requests see it."""

import json
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from typing import Any

import httplib2
import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth.exceptions import RefreshError
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials
from google_auth_httplib2 import AuthorizedHttp, Request
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest

from tests.simulator.conftest import Sim

ANN = "ann@vendor.example"
ROBOT = "robot@project.iam.gserviceaccount.example"
READONLY = "https://www.googleapis.com/auth/gmail.readonly"
METADATA = "https://www.googleapis.com/auth/gmail.metadata"
MOST_INNER = 100


class Google:
    """A simulated mailbox, and Google's client of it."""

    def __init__(self, sim: Sim) -> None:
        self.sim = sim
        self.http = httplib2.Http(timeout=10)
        self.made: dict[str, Any] = {}

    def mailbox(self, **fields: Any) -> "Google":
        self.made = self.order("mailbox", email=ANN, refresh_token="1//refresh", **fields)  # noqa: S106 - not one
        return self

    def order(self, verb: str, **fields: Any) -> Any:
        return self.sim.order(f"gmail/{verb}", **fields)

    def change(self, verb: str, **fields: Any) -> Any:
        return self.order(verb, mailbox=ANN, **fields)

    def login(self, **changes: Any) -> Credentials:
        given = {"refresh_token": "1//refresh", "client_id": "client", "client_secret": "secret"} | changes
        return Credentials(None, token_uri=f"{self.sim.url}/gmail/token", **given)  # type: ignore[no-untyped-call]  # Google's

    @property
    def users(self) -> Any:
        http = AuthorizedHttp(self.logged_in(), http=self.http)
        options = {"api_endpoint": f"{self.sim.url}/gmail/"}
        return build("gmail", "v1", http=http, client_options=options, static_discovery=True).users()

    def logged_in(self) -> Credentials:
        """A login with a token: the library would get a batch's over a connection that it does not close."""
        login = self.login()
        login.refresh(Request(self.http))  # type: ignore[no-untyped-call]  # Google's
        return login

    def token(self) -> str:
        return str(self.logged_in().token)

    def get(self, path: str, user: str = "me", **params: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token()}"}
        return self.sim.http.get(f"/gmail/gmail/v1/users/{user}/{path}", params=params, headers=headers)

    def listed(self, **params: Any) -> list[str]:
        answer = self.users.threads().list(userId="me", **params).execute()
        return [thread["id"] for thread in answer.get("threads", ())]

    def batch(self, ids: list[str]) -> dict[str, Any]:
        """What came back for each thread: a document or an HttpError."""
        found: dict[str, Any] = {}
        batch = BatchHttpRequest(
            callback=lambda name, answer, error: found.update({name: error or answer}),
            batch_uri=f"{self.sim.url}/gmail/batch",
        )
        threads = self.users.threads()
        for name in ids:
            batch.add(threads.get(userId="me", id=name), request_id=name)
        batch.execute()
        return found

    def inner_fault(self, **fields: Any) -> None:
        self.sim.order("fault", vendor="gmail", method="threads.get", team=ANN, **fields)


@pytest.fixture
def google(sim: Sim) -> Iterator[Google]:
    google = Google(sim)
    yield google
    google.http.close()


def reason(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, str(answer.json()["error"]["errors"][0]["reason"])


def refused(error: HttpError) -> tuple[int, str]:
    return error.status_code, str(error.error_details[0]["reason"])


def decoded(data: str) -> bytes:
    assert "=" not in data
    return urlsafe_b64decode(data + "=" * (-len(data) % 4))


class TestRefreshTokens:
    def test_are_reusable(self, google: Google) -> None:
        google.mailbox()
        assert google.token() != google.token()

    @pytest.mark.parametrize(
        ("changes", "code"),
        [
            ({"refresh_token": "1//other"}, "invalid_grant"),
            ({"client_id": "other"}, "invalid_client"),
            ({"client_secret": "other"}, "invalid_client"),
        ],
    )
    def test_must_be_right_in_every_part(self, google: Google, changes: dict[str, str], code: str) -> None:
        login = google.mailbox().login(**changes)
        with pytest.raises(RefreshError, match=code) as refusal:
            login.refresh(Request(google.http))  # type: ignore[no-untyped-call]  # Google's
        assert not refusal.value.retryable

    def test_a_revoked_one_takes_its_access_tokens_along(self, google: Google) -> None:
        headers = {"Authorization": f"Bearer {google.mailbox().token()}"}
        google.change("credential", revoked=True)
        answer = google.sim.http.get("/gmail/gmail/v1/users/me/profile", headers=headers)
        assert reason(answer) == (401, "authError")
        with pytest.raises(RefreshError, match="invalid_grant"):
            google.token()

    def test_access_tokens_outlive_a_test_that_moves_the_clock(self, google: Google) -> None:
        headers = {"Authorization": f"Bearer {google.mailbox().token()}"}
        google.sim.order("clock", advance_seconds=86_400)
        assert google.sim.http.get("/gmail/gmail/v1/users/me/profile", headers=headers).status_code == 200

    def test_no_secret_reaches_the_ledger(self, google: Google) -> None:
        google.mailbox().token()
        [entry] = google.sim.ask("ledger")["requests"]
        assert (entry["vendor"], entry["method"], entry["team"]) == ("gmail", "token", ANN)
        assert "1//refresh" not in json.dumps(entry)


@pytest.fixture(scope="module")
def key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65_537, key_size=2048)


class TestServiceAccounts:
    def access(self, google: Google, key: rsa.RSAPrivateKey, subject: str, scope: str = READONLY) -> Any:
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        info = {"client_email": ROBOT, "private_key": pem.decode(), "token_uri": f"{google.sim.url}/gmail/token"}
        login = service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]  # Google's
            info, scopes=[scope], subject=subject
        )
        login.refresh(Request(google.http))
        return login.token

    def allow(self, google: Google, key: rsa.RSAPrivateKey, **fields: Any) -> None:
        pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        google.order("service_account", client_email=ROBOT, public_key=pem.decode(), subjects=[ANN], **fields)

    def test_open_the_mailboxes_they_may(self, google: Google, key: rsa.RSAPrivateKey) -> None:
        self.allow(google.mailbox(), key)
        headers = {"Authorization": f"Bearer {self.access(google, key, ANN)}"}
        answer = google.sim.http.get("/gmail/gmail/v1/users/me/profile", headers=headers)
        assert answer.json()["emailAddress"] == ANN

    def test_an_unknown_subject_is_an_invalid_grant(self, google: Google, key: rsa.RSAPrivateKey) -> None:
        self.allow(google.mailbox(), key)
        with pytest.raises(RefreshError, match="invalid_grant"):
            self.access(google, key, "nobody@vendor.example")

    def test_an_unauthorized_subject_or_scope_is_told_so(self, google: Google, key: rsa.RSAPrivateKey) -> None:
        self.allow(google.mailbox(), key, unauthorized=["bob@vendor.example"])
        for subject, scope in (("bob@vendor.example", READONLY), (ANN, "https://mail.google.com/")):
            with pytest.raises(RefreshError, match="unauthorized_client"):
                self.access(google, key, subject, scope)

    def test_a_signature_of_another_key_is_refused(self, google: Google, key: rsa.RSAPrivateKey) -> None:
        self.allow(google.mailbox(), key)
        other = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
        with pytest.raises(RefreshError, match="invalid_grant"):
            self.access(google, other, ANN)


class TestWhoMayRead:
    def test_numbers_of_64_bits_are_texts(self, google: Google) -> None:
        profile = google.mailbox(threads=2, messages=2).users.getProfile(userId="me").execute()
        assert profile == {
            "emailAddress": ANN,
            "messagesTotal": 4,
            "threadsTotal": 2,
            "historyId": google.made["history_id"],
        }

    def test_the_own_address_is_as_good_as_me(self, google: Google) -> None:
        assert google.mailbox().users.getProfile(userId=ANN).execute()["emailAddress"] == ANN

    def test_another_address_is_not_delegated(self, google: Google) -> None:
        answer = google.mailbox().get("profile", user="bob@vendor.example")
        assert answer.status_code == 403
        assert answer.json()["error"]["message"].startswith("Delegation denied")

    def test_a_mailbox_without_gmail_fails_a_precondition(self, google: Google) -> None:
        assert reason(google.mailbox(enabled=False).get("profile")) == (400, "failedPrecondition")

    def test_a_missing_scope_is_told(self, google: Google) -> None:
        scopes = ["https://www.googleapis.com/auth/gmail.send"]
        assert reason(google.mailbox(scopes=scopes).get("threads")) == (403, "insufficientPermissions")

    def test_the_metadata_scope_neither_searches_nor_shows_bodies(self, google: Google) -> None:
        google.mailbox(scopes=[METADATA], threads=1)
        path = f"threads/{google.made['threads'][0]}"
        assert google.get("threads", q="after:0").status_code == 403
        assert google.get(path).status_code == 403
        [message] = google.get(path, format="metadata").json()["messages"]
        assert message["payload"].keys() == {"headers"}

    def test_an_invalid_token_is_a_401(self, google: Google) -> None:
        answer = google.sim.http.get(
            "/gmail/gmail/v1/users/me/profile", headers={"Authorization": "Bearer ya29.x"}
        )
        assert reason(answer) == (401, "authError")


class TestListing:
    def test_is_newest_first_by_the_last_message(self, google: Google) -> None:
        oldest, *others = google.mailbox(threads=4).made["threads"]
        assert google.listed() == [*reversed(others), oldest]
        google.change("message", thread=oldest, text="One more thing")
        assert google.listed() == [oldest, *reversed(others)]

    def test_pages_hold_everything_once(self, google: Google) -> None:
        threads, found = google.mailbox(threads=7).users.threads(), []
        request = threads.list(userId="me", maxResults=3)
        sizes = []
        while request is not None:
            answer = request.execute()
            sizes.append(len(answer["threads"]))
            found += [thread["id"] for thread in answer["threads"]]
            request = threads.list_next(request, answer)
        assert sizes == [3, 3, 1]
        assert found == google.made["threads"][::-1]

    def test_an_empty_one_has_no_list(self, google: Google) -> None:
        assert google.mailbox().get("threads").json() == {"resultSizeEstimate": 0}
        assert google.get("messages").json() == {"resultSizeEstimate": 0}

    def test_a_page_token_belongs_to_its_query(self, google: Google) -> None:
        token = google.mailbox(threads=3).get("threads", maxResults=1).json()["nextPageToken"]
        assert google.get("threads", maxResults=1, pageToken=token).status_code == 200
        for params in ({"q": "after:0", "pageToken": token}, {"pageToken": "stale"}):
            assert reason(google.get("threads", maxResults=1, **params)) == (400, "invalidArgument")

    def test_searches_between_moments(self, google: Google) -> None:
        google.mailbox()
        made = [google.change("message", hours_ago=hours)["thread"] for hours in (30, 20, 10)]
        now = google.sim.ask("clock")["epoch"]
        after, before = int(now - 25 * 3600), int(now - 15 * 3600)
        assert google.listed(q=f"after:{after}") == [made[2], made[1]]
        assert google.listed(q=f"after:{after} before:{before}") == [made[1]]

    def test_all_labels_must_be_there(self, google: Google) -> None:
        customers = google.mailbox().made["labels"]["Customers"]
        both = google.change("message", labels=["INBOX", "Customers"])["thread"]
        google.change("message", labels=["INBOX"])
        assert google.listed(labelIds=["INBOX", customers]) == [both]
        assert google.listed(q="label:Customers") == [both]

    def test_spam_and_trash_are_shown_on_request_only(self, google: Google) -> None:
        google.mailbox()
        trashed, spam, kept = (
            google.change("message", labels=[label])["thread"] for label in ("INBOX", "SPAM", "INBOX")
        )
        google.change("trash", thread=trashed)
        assert google.listed() == [kept]
        assert set(google.listed(includeSpamTrash=True)) == {trashed, spam, kept}

    @pytest.mark.parametrize(("label", "place"), [("DRAFT", "drafts"), ("DRAFT", "draft"), ("CHAT", "chats")])
    def test_leaves_out_what_is_not_mail(self, google: Google, label: str, place: str) -> None:
        google.mailbox()
        kept = google.change("message")["thread"]
        google.change("message", labels=[label])
        assert google.listed(q=f"-in:{place} -in:spam -in:trash") == [kept]


class TestMessages:
    def test_a_text_is_base64url_without_padding(self, google: Google) -> None:
        made = google.mailbox().change("message", text="Grüße", charset="iso-8859-1")
        thread = google.users.threads().get(userId="me", id=made["thread"]).execute()
        [message] = thread["messages"]
        assert decoded(message["payload"]["body"]["data"]) == "Grüße".encode("iso-8859-1")
        assert message["historyId"] == thread["historyId"]
        assert message["internalDate"].isdecimal()

    def test_alternatives_and_files_are_nested(self, google: Google) -> None:
        files = [{"filename": "quote.pdf", "mime_type": "application/pdf", "size": 9}]
        made = google.mailbox().change("message", text="Hi", html="<p>Hi</p>", attachments=files)
        payload = google.get(f"messages/{made['message']}").json()["payload"]
        alternatives, file = payload["parts"]
        assert payload["mimeType"] == "multipart/mixed"
        assert [part["partId"] for part in alternatives["parts"]] == ["0.0", "0.1"]
        assert [part["mimeType"] for part in alternatives["parts"]] == ["text/plain", "text/html"]
        assert (file["partId"], file["filename"], file["body"]["size"]) == ("1", "quote.pdf", 9)

    def test_attachment_ids_differ_from_read_to_read_and_all_work(self, google: Google) -> None:
        made = google.mailbox().change("message", text="Kept apart", body_as_attachment=True)
        path = f"messages/{made['message']}"
        ids = [google.get(path).json()["payload"]["body"]["attachmentId"] for _ in range(2)]
        assert ids[0] != ids[1]
        for one in ids:
            assert decoded(google.get(f"{path}/attachments/{one}").json()["data"]) == b"Kept apart"

    def test_minimal_is_without_payload(self, google: Google) -> None:
        path = f"messages/{google.mailbox().change('message')['message']}"
        assert "payload" not in google.get(path, format="minimal").json()
        assert reason(google.get(path, format="everything")) == (400, "invalidArgument")

    def test_what_is_deleted_is_not_found(self, google: Google) -> None:
        made = google.mailbox().change("message")
        google.change("delete", thread=made["thread"])
        for path in (f"threads/{made['thread']}", f"messages/{made['message']}"):
            assert reason(google.get(path)) == (404, "notFound")

    def test_a_thread_can_be_replaced_by_anything(self, google: Google) -> None:
        thread = google.mailbox(threads=1).made["threads"][0]
        google.change("raw", thread=thread, payload={"id": thread})
        assert google.get(f"threads/{thread}").json() == {"id": thread}
        google.change("raw", thread=thread, payload=None)
        assert google.get(f"threads/{thread}").json()["messages"]


class TestHistory:
    def entries(self, google: Google, **params: Any) -> list[dict[str, Any]]:
        answer = (
            google.users.history().list(userId="me", startHistoryId=google.made["history_id"], **params).execute()
        )
        return list(answer.get("history", ()))

    def test_nothing_new_is_only_the_id(self, google: Google) -> None:
        since = google.mailbox(threads=1).made["history_id"]
        assert google.get("history", startHistoryId=since).json() == {"historyId": since}

    def test_tells_what_happened_in_order_and_with_gaps(self, google: Google) -> None:
        thread = google.mailbox(threads=1).made["threads"][0]
        google.change("message", thread=thread)
        google.change("labels", thread=thread, add=["Customers"])
        google.change("delete", thread=thread)
        entries = self.entries(google)
        kinds = [key for entry in entries for key in entry if key not in ("id", "messages")]
        assert kinds == ["messagesAdded", "labelsAdded", "labelsAdded", "messagesDeleted", "messagesDeleted"]
        ids = [int(entry["id"]) for entry in entries]
        assert ids == sorted(set(ids))
        assert {message["threadId"] for entry in entries for message in entry["messages"]} == {thread}

    def test_trash_is_a_label_not_a_deletion(self, google: Google) -> None:
        thread = google.mailbox(threads=1).made["threads"][0]
        google.change("trash", thread=thread)
        added, removed = self.entries(google)
        assert (added["labelsAdded"][0]["labelIds"], removed["labelsRemoved"][0]["labelIds"]) == (
            ["TRASH"],
            ["INBOX"],
        )

    def test_only_some_types_are_shown_if_asked_for(self, google: Google) -> None:
        thread = google.mailbox(threads=1).made["threads"][0]
        google.change("labels", thread=thread, add=["STARRED"])
        google.change("message", thread=thread)
        [entry] = self.entries(google, historyTypes=["messageAdded", "messageDeleted"])
        assert "messagesAdded" in entry

    def test_comes_in_pages(self, google: Google) -> None:
        google.mailbox()
        for _ in range(3):
            google.change("message")
        params = {"startHistoryId": google.made["history_id"], "maxResults": 2}
        first = google.get("history", **params).json()
        second = google.get("history", pageToken=first["nextPageToken"], **params).json()
        assert [len(page["history"]) for page in (first, second)] == [2, 1]
        assert "nextPageToken" not in second

    def test_an_expired_or_invented_id_is_not_found(self, google: Google) -> None:
        since = google.mailbox(threads=1).made["history_id"]
        fresh = google.change("expire_history")["history_id"]
        assert reason(google.get("history", startHistoryId=since)) == (404, "notFound")
        assert google.get("history", startHistoryId=fresh).status_code == 200
        assert google.get("history", startHistoryId="99999999").status_code == 404

    def test_from_the_mailboxs_own_id_on_may_be_told_while_all_before_it_is_expired(self, google: Google) -> None:
        since = google.mailbox(threads=1).made["history_id"]
        google.change("message")
        newest = google.get("profile").json()["historyId"]
        google.change("expire_history", but_the_last=True)
        assert google.get("history", startHistoryId=since).status_code == 404
        assert google.get("history", startHistoryId=newest).status_code == 200

    def test_and_listings_may_be_behind_the_mailbox(self, google: Google) -> None:
        made = google.mailbox(threads=1).made
        google.change("settings", lists_late=True)
        late = google.change("message")["thread"]
        behind = google.get("history", startHistoryId=made["history_id"]).json()
        assert list(behind) == ["historyId"]
        assert behind["historyId"] == google.get("profile").json()["historyId"] != made["history_id"]
        assert [one["id"] for one in google.get("threads").json()["threads"]] == made["threads"]
        assert google.get(f"threads/{late}").status_code == 200
        google.change("settings", lists_late=False)
        assert len(google.get("history", startHistoryId=made["history_id"]).json()["history"]) == 1
        assert {one["id"] for one in google.get("threads").json()["threads"]} == {late, *made["threads"]}


class TestBatch:
    def test_answers_every_call_by_its_own_id(self, google: Google) -> None:
        ids = google.mailbox(threads=20).made["threads"]
        found = google.batch([*ids, "0123456789abcdef"])
        assert {name: answer["id"] for name, answer in found.items() if name in ids} == {one: one for one in ids}
        assert refused(found["0123456789abcdef"]) == (404, "notFound")

    def test_is_one_request_in_the_ledger(self, google: Google) -> None:
        ids = google.mailbox(threads=3).made["threads"]
        google.batch(ids)
        [entry] = [one for one in google.sim.ask("ledger", team=ANN)["requests"] if one["method"] != "token"]
        params = {"calls": "3", "methods": "threads.get", "ids": ",".join(ids)}
        assert (entry["method"], entry["params"]) == ("batch", params)

    def test_parts_come_in_another_order_and_with_crlf(self, google: Google) -> None:
        ids = google.mailbox(threads=10).made["threads"]
        answer = self.raw(google, ids)
        shown = [json.loads(part.split(b"\r\n\r\n", 2)[2])["id"] for part in self.parts(answer)]
        assert shown != ids
        assert sorted(shown) == sorted(ids)

    def test_more_than_a_hundred_calls_are_refused(self, google: Google) -> None:
        thread = google.mailbox(threads=1).made["threads"][0]
        assert self.raw(google, [thread] * MOST_INNER).status_code == 200
        answer = self.raw(google, [thread] * (MOST_INNER + 1))
        assert answer.status_code == 400
        assert "Received: 101, Limit: 100" in answer.json()["error"]["message"]

    @pytest.mark.parametrize(
        ("fault", "expected"),
        [
            ({"kind": "ratelimit"}, (429, "rateLimitExceeded")),
            ({"kind": "status", "status": 403}, (403, "userRateLimitExceeded")),
            ({"kind": "status", "status": 404}, (404, "notFound")),
            ({"kind": "status", "status": 500}, (500, "backendError")),
        ],
    )
    def test_single_calls_fail_inside_of_it(
        self, google: Google, fault: dict[str, Any], expected: tuple[int, str]
    ) -> None:
        ids = google.mailbox(threads=3).made["threads"]
        google.inner_fault(skip=1, **fault)
        found = google.batch(ids)
        assert refused(found[ids[1]]) == expected
        assert [found[name]["id"] for name in (ids[0], ids[2])] == [ids[0], ids[2]]

    def raw(self, google: Google, ids: list[str]) -> httpx.Response:
        parts = [
            f"--b\r\nContent-Type: application/http\r\nContent-ID: <{place}>\r\n\r\n"
            f"GET /gmail/v1/users/me/threads/{name} HTTP/1.1\r\n\r\n\r\n"
            for place, name in enumerate(ids)
        ]
        headers = {"Authorization": f"Bearer {google.token()}", "Content-Type": 'multipart/mixed; boundary="b"'}
        return google.sim.http.post("/gmail/batch/gmail/v1", content=f"{''.join(parts)}--b--", headers=headers)

    def parts(self, answer: httpx.Response) -> list[bytes]:
        boundary = answer.headers["content-type"].partition("boundary=")[2].strip('"')
        return answer.content.split(f"--{boundary}".encode())[1:-1]


class TestQuota:
    def test_units_are_counted_for_every_inner_call(self, google: Google) -> None:
        ids = google.mailbox(threads=3).made["threads"]
        google.batch(ids)
        assert google.sim.ask("gmail/state", mailbox=ANN)["units"] == 3 * 40

    @pytest.mark.parametrize(("status", "told"), [(403, "userRateLimitExceeded"), (429, "rateLimitExceeded")])
    def test_what_exceeds_it_is_refused_until_a_minute_has_passed(
        self, google: Google, status: int, told: str
    ) -> None:
        ids = google.mailbox(threads=3, enforce_limits=True, units_per_minute=80, quota_status=status).made[
            "threads"
        ]
        found = google.batch(ids)
        assert [refused(one) for one in found.values() if isinstance(one, HttpError)] == [(status, told)]
        google.sim.order("clock", advance_seconds=61)
        assert google.get(f"threads/{ids[0]}").status_code == 200


class TestSeeds:
    def test_the_same_seed_brings_the_same_mail(self, google: Google) -> None:
        made = google.mailbox(seed=7, threads=20, messages=2).made["threads"]
        google.change("life", seed=1, steps=30)
        lived = google.sim.ask("gmail/state", mailbox=ANN)["threads"]
        google.sim.order("reset")
        assert google.mailbox(seed=7, threads=20, messages=2).made["threads"] == made
        google.change("life", seed=1, steps=30)
        assert google.sim.ask("gmail/state", mailbox=ANN)["threads"] == lived

    def test_seeded_mail_is_of_many_kinds(self, google: Google) -> None:
        ids = google.mailbox(threads=100).made["threads"]
        payloads = [answer["messages"][0]["payload"] for answer in google.batch(ids).values()]
        kinds = {payload["mimeType"] for payload in payloads}
        assert kinds == {"text/plain", "text/html", "multipart/alternative", "multipart/mixed"}
