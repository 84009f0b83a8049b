"""Logging in by browser, against the simulated vendors' authorize pages and a server that none of them is."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import select

from benchmarks.deployment import free_port
from ingest_assets.cli.login import Browser, log_in
from ingest_assets.cli.redirect import LONGEST, Expected, Ignored, Refused
from ingest_assets.cli.target import Target
from ingest_assets.errors import IngestError
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.authorizing import REGISTERED, Client, Granted
from ingest_assets.storage.schema import accounts
from ingest_simulator.consent import challenge_of
from tests.browser import SECRET, logging_in, visit
from tests.commands import COMMAND
from tests.foreign_oauth import foreign_server
from tests.test_cli import refused
from tests.workbench import Bench

APP = ("--client-id", "app", "--client-secret", "env:APP_SECRET")
READONLY = "https://www.googleapis.com/auth/gmail.readonly"
SOURCES = ("slack", "gong", "fathom", "gmail")


def register(bench: Bench, source: str, **fields: Any) -> dict[str, Any]:
    """Make a customer of a vendor's, and an app there."""
    app = {"client_id": "app", "client_secret": SECRET, "refresh_token": "never-used"}
    orders: dict[str, tuple[str, dict[str, Any]]] = {
        "slack": ("slack/team", {"token": "xoxb-first", "name": "Acme", "world": {"channels": 1}}),
        "gong": ("gong/company", {"name": "Acme"}),
        "fathom": ("fathom/org", {"name": "Acme", "meetings": 1}),
        "gmail": ("gmail/mailbox", {"email": "ann@acme.example"}),
    }
    path, own = orders[source]
    made: dict[str, Any] = bench.order(path, **own, **app, **fields)
    return made


def stored(bench: Bench) -> list[Any]:
    with bench.engine.connect() as conn:
        return list(conn.execute(select(accounts)).all())


class InProcess:
    """A login that runs in a thread of this process: what many tests need without a command each."""

    def __init__(self, bench: Bench, source: str, monkeypatch: pytest.MonkeyPatch, **environ: str) -> None:
        bench.configure(**environ)
        monkeypatch.setattr(sys, "stderr", told := StringIO())
        chosen, options = BY_NAME[source], bench.app.options_of(BY_NAME[source])
        browser = Browser(target=Target(path="/"), wait=timedelta(seconds=20), opened=False)
        client = Client(client_id="app", client_secret=SECRET)
        self._pool = ThreadPoolExecutor(1)
        authorize, title = chosen.connector().authorize, chosen.title
        assert authorize is not None
        going = log_in(title, authorize, options, chosen.settings(), client, browser)
        self._done = self._pool.submit(asyncio.run, going)
        while "Waiting" not in told.getvalue() and not self._done.done():
            time.sleep(0.01)
        [self.address] = [line for line in told.getvalue().splitlines() if line.startswith("http")]

    def granted(self) -> str:
        return str(visit(self.address).headers["location"])

    def result(self) -> Granted:
        self._pool.shutdown()
        return self._done.result()


@pytest.mark.parametrize("source", SOURCES)
def test_a_login_by_browser_connects_the_account_and_shows_no_secret(bench: Bench, source: str) -> None:
    register(bench, source)
    with logging_in(bench, source, *APP) as login:
        page = login.browse()
        code, out, err = login.end()
    assert (code, "Connected" in out) == (0, True), err
    assert (page.status_code, page.headers["cache-control"]) == (200, "no-store")
    [account] = stored(bench)
    assert account.credential["client_secret"] == {"env": "APP_SECRET"}
    assert set(account.credential["refresh_token"]) == {"sealed"}
    sealed = {"refresh_token": account.credential["refresh_token"]}
    secrets = {SECRET, *bench.app.vault.open(sealed, who="acme").values(), page.url.params["code"]}
    assert not [secret for secret in secrets if secret in out + err + page.text]
    assert bench.run("sync", source, "--workspace", "acme", APP_SECRET=SECRET).returncode == 0
    pkce = {"code_challenge_method": "S256", "access_type": "offline", "prompt": "consent", "scope": READONLY}
    assert (pkce.items() <= login.asked.items()) == (source == "gmail")
    assert len(login.asked["state"]) >= 43
    if source == "gong":
        assert account.settings["base_url"].endswith("/gong/us-1")


def test_a_slack_app_without_rotation_is_known_by_its_bot_token_alone(bench: Bench) -> None:
    register(bench, "slack", rotates=False)
    with logging_in(bench, "slack", *APP, "--public-only") as login:
        assert "groups:read" not in login.asked["scope"]
        login.browse()
        code, _, err = login.end()
    assert code == 0, err
    [account] = stored(bench)
    assert set(account.credential) == {"token"}
    assert bench.run("sync", "slack", "--workspace", "acme").returncode == 0


class TestTheLoopback:
    def test_ignores_what_is_foreign_and_ends_with_the_right_request_only(self, bench: Bench) -> None:
        register(bench, "fathom")
        with logging_in(bench, "fathom", *APP) as login:
            right = login.granted()
            at = right.partition("?")[0]
            port = urlsplit(at).port
            silent = socket.create_connection(("127.0.0.1", port))  # as browsers do, to be faster later
            assert visit(f"{at}favicon.ico").status_code == 404
            assert visit(at).status_code == 404
            assert visit(f"{at}other{urlsplit(right).query}").status_code == 404
            assert visit(f"{at}?code=stolen&state=guessed").status_code == 400
            assert visit(f"{at}?error=access_denied&state=guessed").status_code == 400
            assert visit(f"{at}?error=access_denied").status_code == 400
            assert visit(f"{right}&state=again").status_code == 400
            assert visit(right, cookie="x" * 40_000).status_code == 431
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.2", port))
            with socket.create_connection(("127.0.0.1", port)) as posting:
                posting.sendall(f"POST /?{urlsplit(right).query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
                assert posting.recv(100).startswith(b"HTTP/1.1 405")
            page = visit(right)
            code, out, err = login.end()
            silent.close()
        assert (code, "Connected" in out) == (0, True), err
        assert "stolen" not in page.text + err
        assert "An answer to another login came" in err
        assert err.count("another login") <= 5

    def test_waits_only_so_long_and_says_so(self, bench: Bench) -> None:
        register(bench, "fathom")
        with logging_in(bench, "fathom", *APP, "--wait", "0.01") as login:
            code, _, err = login.end()
        assert (code, "Nobody logged in in time" in err) == (2, True), err
        assert stored(bench) == []

    def test_is_at_the_port_that_was_registered(self, bench: Bench) -> None:
        register(bench, "fathom")
        port = free_port()
        with logging_in(bench, "fathom", *APP, "--redirect-url", f"http://localhost:{port}/done") as login:
            assert login.asked["redirect_uri"] == f"http://localhost:{port}/done"
            busy = bench.run(
                "connect", "fathom", "--workspace", "a", "--login", *APP, "--port", str(port), APP_SECRET=SECRET
            )
            refused(busy, f"Port {port}", "pass another --port")
            login.browse()
            assert login.end()[0] == 0


class TestPasting:
    def test_the_address_may_be_pasted_while_the_loopback_waits(self, bench: Bench) -> None:
        register(bench, "gmail")
        with logging_in(bench, "gmail", *APP) as login:
            granted = login.granted()
            login.paste("")
            login.paste(parse_qs(urlsplit(granted).query)["code"][0])
            login.until("not the whole address")
            login.paste(f' "{granted}" ')
            code, out, err = login.end()
        assert (code, "Connected" in out) == (0, True), err

    def test_a_vendor_that_takes_https_only_is_answered_by_pasting(self, bench: Bench) -> None:
        register(bench, "slack")
        secret = ("--client-id", "app", "--client-secret", "-", "--redirect-url", REGISTERED)
        with logging_in(bench, "slack", *secret, typed=SECRET) as login:
            login.paste(login.granted())
            code, out, err = login.end()
        assert (code, "Connected" in out) == (0, True), err
        assert SECRET not in err
        [account] = stored(bench)
        assert set(account.credential["client_secret"]) == {"sealed"}

    def test_the_end_of_standard_input_ends_what_only_it_could_bring(self, bench: Bench) -> None:
        given = ("connect", "slack", "--workspace", "acme", "--login", *APP, "--redirect-url", REGISTERED)
        done = bench.run(*given, APP_SECRET=SECRET)
        assert (done.returncode, "Standard input ended" in done.stderr) == (2, True), done.stderr

    def test_the_registered_address_is_the_default_where_the_vendor_is_a_real_one(self) -> None:
        none: dict[str, Any] = {"redirect_url": None, "port": None, "registered": ()}
        assert Target.chosen(**none, https_only=True) == Target(url=REGISTERED)
        assert Target.chosen(**none, https_only=False) == Target(path="/")
        assert Target.chosen(**none | {"port": 80}, https_only=True) == Target(path="/", port=80)
        web = none | {"registered": ["https://x.example/", "http://localhost:9/a"]}
        assert Target.chosen(**web, https_only=False) == Target(url="http://localhost:9/a", path="/a", port=9)
        for url in ("http://10.0.0.1/", "http://localhost.evil.example/", "https://", "ftp://x", "http://[::1"):
            with pytest.raises(IngestError, match="A redirect URL is"):
                Target.chosen(**none | {"redirect_url": url}, https_only=True)


class Terminal:
    """A command on a pseudo-terminal that it controls."""

    def __init__(self, bench: Bench, *arguments: str, **environ: str) -> None:
        self.pid, self.master = pty.fork()
        if not self.pid:
            os.execve(COMMAND, [str(COMMAND), *arguments], bench.shell(TERM="dumb", **environ))  # noqa: S606
        self.shown = ""

    def until(self, part: str) -> str:
        while part not in self.shown:
            try:
                self.shown += os.read(self.master, 4096).decode()
            except OSError:  # it has ended
                raise AssertionError(self.shown) from None
        return self.shown

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def end(self) -> int:
        while True:
            try:
                self.shown += os.read(self.master, 4096).decode()
            except OSError:
                break
        _, status = os.waitpid(self.pid, 0)
        os.close(self.master)
        return os.waitstatus_to_exitcode(status)


class TestOnATerminal:
    def test_a_secret_is_asked_for_by_its_name_and_place_and_is_not_shown(self, bench: Bench) -> None:
        acme = bench.team("acme", "general")
        terminal = Terminal(bench, "connect", "slack", "--workspace", "acme", "--token", "-")
        terminal.until(
            "Slack bot token (xoxb-..., under OAuth & Permissions of your app at https://api.slack.com/apps): "
        )
        terminal.type(f"{acme.token}\n")
        assert terminal.end() == 0, terminal.shown
        assert acme.token not in terminal.shown

    def test_the_redirect_is_pasted_and_the_secret_typed_before_it(self, bench: Bench) -> None:
        register(bench, "slack", rotates=False)
        given = ("--login", "--client-id", "app", "--redirect-url", REGISTERED, "--no-browser")
        terminal = Terminal(bench, "connect", "slack", "--workspace", "acme", *given)
        terminal.until("Slack client secret (under Basic Information")
        terminal.type(f"{SECRET}\n")
        shown = terminal.until("Waiting for the browser")
        address = next(line.strip() for line in shown.splitlines() if line.startswith("http"))
        terminal.type(str(visit(address).headers["location"]) + "\n")
        assert terminal.end() == 0, terminal.shown
        assert SECRET not in terminal.shown

    def test_ctrl_c_ends_the_waiting_at_once(self, bench: Bench) -> None:
        register(bench, "gmail")
        terminal = Terminal(
            bench, "connect", "gmail", "--workspace", "acme", "--login", "--no-browser", *APP, APP_SECRET=SECRET
        )
        terminal.until("Waiting for the browser")
        began = time.monotonic()
        terminal.type("\x03")
        assert terminal.end() == 130, terminal.shown
        assert time.monotonic() - began < 2
        assert "Traceback" not in terminal.shown

    def test_sigterm_does_so_too(self, bench: Bench) -> None:
        register(bench, "gmail")
        with logging_in(bench, "gmail", *APP) as login:
            login.process.send_signal(signal.SIGTERM)
            assert login.end()[0] == 130


WORDS: dict[str, tuple[str, dict[str, Any], str]] = {
    "somebody cancelled": (
        "fathom",
        {"error": "access_denied"},
        "Fathom did not grant the login (access_denied): access",
    ),
    "the app may not": ("gong", {"error": "unauthorized_client"}, "redirect URL is one of the app's"),
    "an unknown code": ("slack", {"error": "odd.code"}, "Slack did not grant the login (odd.code)"),
    "no code at all": ("slack", {"error": "<script>\x1b[2J"}, "Slack did not grant the login. Run"),
    "a code that is too old, at Google": ("gmail", {"expired": True}, "the code was used already, is too old"),
    "a code that is too old, at Gong": (
        "gong",
        {"expired": True},
        "gave no token for the login (invalid_grant)",
    ),
    "a code that is too old, at Fathom": ("fathom", {"expired": True}, "Fathom gave no token for the login"),
    "a code that is too old, at Slack": (
        "slack",
        {"expired": True},
        "gave no token (invalid_code): the code was used",
    ),
    "no refresh token of Google's": ("gmail", {"refresh_token": False}, "myaccount.google.com/connections"),
    "no refresh token of Gong's": ("gong", {"refresh_token": False}, "Gong gave no refresh token, without which"),
    "a scope that was unticked": ("gmail", {"scopes": ["openid"]}, f"The scope {READONLY} was not granted"),
}


@pytest.mark.parametrize("case", WORDS)
def test_each_way_not_to_get_a_login_has_its_sentence(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, case: str
) -> None:
    source, manner, sentence = WORDS[case]
    register(bench, source)
    bench.order("consent", vendor=source, **manner)
    login = InProcess(bench, source, monkeypatch)
    page = visit(login.granted())
    with pytest.raises(IngestError) as error:
        login.result()
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)
    assert SECRET not in str(error.value)
    assert ("was not granted" in page.text) == ("error" in manner)


def test_a_wrong_secret_and_an_answer_that_is_none_have_their_sentences(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[tuple[str, dict[str, Any], str]] = [
        (
            "gmail",
            {"kind": "json", "status": 401, "body": {"error": "invalid_client"}},
            "not know this client id",
        ),
        ("gong", {"kind": "status", "status": 404}, "check GONG_TOKEN_URL"),
        ("slack", {"kind": "status", "status": 404}, "HTTP 404; check SLACK_API_URL"),
        ("fathom", {"kind": "status", "status": 500}, "Fathom answered oauth.token with HTTP 500"),
        ("slack", {"kind": "error", "error": "bad_client_secret"}, "Slack gave no token (bad_client_secret)"),
        (
            "slack",
            {"kind": "json", "status": 200, "body": {"ok": True, "authed_user": {"id": "U1"}}},
            "no bot scopes",
        ),
        (
            "slack",
            {"kind": "json", "status": 200, "body": {"ok": True, "is_enterprise_install": True}},
            "Enterprise",
        ),
        ("gmail", {"kind": "json", "status": 200, "body": {"scope": READONLY}}, "holds no tokens"),
        ("gmail", {"kind": "redirect", "body": "https://evil.example/"}, "HTTP 308"),
        (
            "gong",
            {
                "kind": "json",
                "status": 200,
                "body": {
                    "access_token": "a",
                    "refresh_token": "r",
                    "api_base_url_for_customer": "https://evil.example",
                },
            },
            "evil.example is not a host of Gong's",
        ),
    ]
    for source in SOURCES:
        register(bench, source)
    methods = {"slack": "oauth.v2.access", "gmail": "token"}
    for source, fault, sentence in answers:
        bench.order("fault", vendor=source, method=methods.get(source, "oauth.token"), **fault)
        login = InProcess(bench, source, monkeypatch)
        visit(login.granted())
        with pytest.raises(IngestError) as error:
            login.result()
        assert sentence in str(error.value), error.value


def test_a_foreign_server_with_other_habits_is_understood(bench: Bench) -> None:
    with foreign_server() as server:
        environ: dict[str, Any] = {
            "FATHOM_AUTHORIZE_URL": f"{server.url}/login?tenant=1",
            "FATHOM_TOKEN_URL": f"{server.url}/token",
            "FATHOM_API_URL": server.url,
        }
        with logging_in(bench, "fathom", *APP, **environ) as login:
            assert login.asked["tenant"] == "1"
            assert visit(visit(login.address).headers["location"]).status_code == 200
            code, out, err = login.end()
        assert (code, "Connected" in out) == (0, True), err
        assert server.asked == ["authorization_code", "refresh_token"]
        assert "sees_none" in bench.run("sync", "fathom", "--all", APP_SECRET=SECRET, **environ).stdout
        assert server.asked[2:] == ["refresh_token"]


def test_the_simulated_pages_insist_on_the_redirect_url_and_on_pkce(bench: Bench) -> None:
    register(bench, "gmail")
    url, token = (bench.environ[name] for name in ("GOOGLE_AUTHORIZE_URL", "GOOGLE_TOKEN_URL"))
    asked = {"client_id": "app", "redirect_uri": "http://localhost/", "state": "s", "scope": READONLY}
    asked |= {"code_challenge": challenge_of("v" * 43), "code_challenge_method": "S256", "access_type": "offline"}

    def code() -> str:
        answer = bench.sim.get(url, params=asked, follow_redirects=False)
        return parse_qs(urlsplit(answer.headers["location"]).query)["code"][0]

    right = {"client_id": "app", "client_secret": SECRET, "redirect_uri": "http://localhost/"}
    right |= {"grant_type": "authorization_code", "code_verifier": "v" * 43}
    used = code()
    assert "refresh_token" in bench.sim.post(token, data=right | {"code": used}).json()
    for wrong in (
        {"code": used},
        {"code": code(), "code_verifier": "w" * 43},
        {"code": code(), "redirect_uri": "http://x/"},
    ):
        assert bench.sim.post(token, data=right | wrong).status_code == 400
    bench.order("consent", vendor="gmail", asks=True, redirect_urls=["http://localhost/"])
    assert "Allow" in bench.sim.get(url, params=asked).text
    denied = bench.sim.get(url, params=asked | {"decision": "deny"}, follow_redirects=False)
    assert "error=access_denied" in denied.headers["location"]
    assert bench.sim.get(url, params=asked | {"redirect_uri": "http://other/"}).status_code == 400
    assert bench.sim.get(url, params=asked | {"client_id": "nobody"}).status_code == 400


def test_a_browser_is_opened_where_there_is_one(bench: Bench, tmp_path: Path) -> None:
    register(bench, "gmail")
    script = tmp_path / "browser"
    script.write_text(
        f"#!{sys.executable}\nimport httpx, sys\nhttpx.get(sys.argv[1], follow_redirects=True, trust_env=False)\n"
    )
    script.chmod(0o700)
    for browser in (tmp_path / "none", script):
        with logging_in(bench, "gmail", *APP, opens=True, BROWSER=str(browser)) as login:
            if browser is not script:
                login.browse()
            code, out, err = login.end()
        assert (code, "acme" in out) == (0, True), err


class TestWhatIsGiven:
    def test_is_found_wrong_before_anybody_is_sent_to_the_vendor(self, bench: Bench, tmp_path: Path) -> None:
        def sentence(source: str, *arguments: str, workspace: str = "acme", without: str = "NOTHING") -> str:
            given = ("connect", source, "--workspace", workspace, "--login", *arguments)
            changes: dict[str, Any] = {"APP_SECRET": SECRET, without: None}
            return refused(bench.run(*given, **changes))

        assert "--client-id or --client-file" in sentence("gmail")
        assert "docs/connecting/slack.md" in sentence("slack")
        assert "leave one of them out" in sentence("slack", *APP, "--token", "env:APP_SECRET")
        assert "never given on the command line" in sentence(
            "slack", "--client-id", "app", "--client-secret", SECRET
        )
        assert "held no Gong client secret" in sentence("gong", "--client-id", "app")
        assert "not both" in sentence("gong", *APP, "--port", "1234", "--redirect-url", REGISTERED)
        assert "cannot name a workspace" in sentence("gong", *APP, workspace="A B")
        assert "INGEST_ENCRYPTION_KEYS is not set" in sentence("gong", *APP, without="INGEST_ENCRYPTION_KEYS")
        assert "--last-hours" in sentence("gong", *APP, "--last-hours", "never")
        assert "DATABASE_URL" in sentence("gong", *APP, without="DATABASE_URL")
        file = tmp_path / "client.json"
        for content, part in (
            ("{", "no OAuth client of Google's"),
            ("[]", "no OAuth client of Google's"),
            (json.dumps({"installed": {"client_id": "app"}}), "no OAuth client of Google's"),
            (json.dumps({"type": "service_account"}), "--service-account"),
        ):
            file.write_text(content)
            assert part in sentence("gmail", "--client-file", str(file))
        assert "cannot be read" in sentence("gmail", "--client-file", str(tmp_path / "none"))
        assert "leave out" in sentence("gmail", "--client-file", str(file), *APP)
        assert bench.ask("ledger/counts")["total"] == 0

    @pytest.mark.parametrize("kind", ["installed", "web"])
    def test_may_be_the_file_that_google_hands_out(self, bench: Bench, tmp_path: Path, kind: str) -> None:
        register(bench, "gmail")
        port = free_port()
        client = {
            "client_id": "app",
            "client_secret": SECRET,
            "auth_uri": "https://evil.example/",
            "token_uri": "https://evil.example/",
            "redirect_uris": ["https://acme.example/", f"http://localhost:{port}/cb"],
        }
        file = tmp_path / "client_secret_1.json"
        file.write_text(json.dumps({kind: client}))
        with logging_in(bench, "gmail", "--client-file", str(file)) as login:
            assert (login.asked["redirect_uri"] == f"http://localhost:{port}/cb") == (kind == "web")
            login.browse()
            code, _, err = login.end()
        assert code == 0, err
        assert SECRET not in err
        [account] = stored(bench)
        assert set(account.credential["client_secret"]) == {"sealed"}


class TestARedirect:
    EXPECTED = Expected("Slack", "s" * 43)
    STATE = f"state={'s' * 43}"

    @pytest.mark.parametrize(
        "query",
        [
            "",
            "code=1",
            "code=1&state=",
            f"code=1&state={'s' * 42}",
            f"code=1&state={'s' * 44}",
            "code=1&state=%FF",
            f"state={'s' * 43}",
            f"code=&{STATE}",
            f"code=1&code=2&{STATE}",
            f"code=1&{STATE}&{STATE}",
            f"code=1&{STATE}&x={'x' * LONGEST}",
            "&".join(["a=1"] * 60) + f"&code=1&{STATE}",
        ],
    )
    def test_that_is_not_ours_is_ignored(self, query: str) -> None:
        with pytest.raises(Ignored):
            self.EXPECTED.code_in(query)
        with pytest.raises(Ignored):
            self.EXPECTED.code_in_address(f"https://localhost/x?{query}")

    @pytest.mark.parametrize("pasted", ["", "hello", "https://[", "code=1", "https://localhost/x", "\x1b[31m\0"])
    def test_that_is_pasted_in_part_is_told_and_waited_for(self, pasted: str) -> None:
        with pytest.raises(Ignored):
            self.EXPECTED.code_in_address(pasted)

    def test_is_read_with_whatever_else_it_says(self) -> None:
        query = f"iss=https%3A%2F%2Fa.example&scope=a+b&code=4%2F0A%2Bx&{self.STATE}"
        for pasted in (
            query,
            f"?{query}",
            f"  <https://localhost/ingest-assets?{query}> ",
            f"'http://127.0.0.1:9/?{query}#'",
        ):
            assert self.EXPECTED.code_in_address(pasted) == "4/0A+x"
        with pytest.raises(Refused):
            self.EXPECTED.code_in(f"error=access_denied&code=1&{self.STATE}")
