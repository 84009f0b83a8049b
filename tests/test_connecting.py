"""How `connect` speaks: what an app needs, which name was meant, why a host is silent, what help shows."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import product
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from benchmarks.deployment import free_port
from ingest_assets.cli.connecting import connect_account
from ingest_assets.errors import IngestError, did_you_mean
from ingest_assets.sources import BY_NAME
from ingest_assets.sources.authorizing import REGISTERED
from ingest_assets.sources.slack.connect import SlackSettings
from ingest_assets.sources.slack.scopes import needed
from tests.test_cli import connect, refused
from tests.workbench import Bench


class TestTheManifest:
    def test_names_exactly_what_the_probe_demands(self, bench: Bench) -> None:
        flags = ("public_only", "join", "emails")
        for place, chosen in enumerate(product((False, True), repeat=len(flags))):
            options = [f"--{flag.replace('_', '-')}" for flag, on in zip(flags, chosen, strict=True) if on]
            made = json.loads(bench.run("connect", "slack", "--manifest", *options).stdout)
            scopes = made["oauth_config"]["scopes"]["bot"]
            assert set(scopes) == needed(SlackSettings(**dict(zip(flags, chosen, strict=True))))
            if place not in (0, 7):
                continue
            full = bench.team(f"full{place}", "general", scopes=scopes)
            assert connect(bench, "--token", "-", *options, stdin=full.token).returncode == 0
            for scope in scopes:
                rest = [one for one in scopes if one != scope]
                less = bench.team(f"{place}{scope}", "general", scopes=rest)
                sentence = refused(connect(bench, "--token", "-", *options, stdin=less.token), f" {scope};")
                assert "again" not in sentence

    def test_has_the_redirect_url_of_a_login_and_rotation_if_asked(self, bench: Bench) -> None:
        made = json.loads(bench.run("connect", "slack", "--manifest").stdout)
        assert made["oauth_config"]["redirect_urls"] == [REGISTERED]
        assert "user" not in made["oauth_config"]["scopes"]
        assert made["settings"]["token_rotation_enabled"] is False
        assert len(made["display_information"]["name"]) <= 35
        url = "https://acme.example/done"
        given = ("--manifest", "--rotation", "--search", "--redirect-url", url)
        made = json.loads(bench.run("connect", "slack", *given).stdout)
        assert made["oauth_config"]["redirect_urls"] == [url]
        assert made["oauth_config"]["scopes"]["user"] == ["search:read"]
        assert made["settings"]["token_rotation_enabled"] is True
        refused(bench.run("connect", "slack", "--manifest", "--last-hours", "no"), "--last-hours")

    def test_is_slacks_alone_and_only_it_needs_no_workspace(self, bench: Bench) -> None:
        assert "No such option" in bench.run("connect", "gong", "--manifest").stderr
        assert "Missing option '--workspace'" in bench.run("connect", "slack", "--token", "-").stderr


def test_a_name_that_is_nearly_right_is_answered_with_the_right_one(bench: Bench) -> None:
    acme = bench.workspace("acme", "general", "support")
    ann = {"client_id": "app", "client_secret": "s", "refresh_token": "r", "labels": ["Customers"]}
    bench.order("gmail/mailbox", email="ann@acme.example", **ann)
    asked = [
        (["sync", "slack", "--workspace", "amce"], "Did you mean 'acme'?"),
        (["pause", "slack", "--workspace", "acme", "--name", "Akme"], "Did you mean 'Acme'?"),
        (["pause", "slack", "--workspace", "acmee"], "Did you mean 'acme'?"),
        (["remove", "acm"], "Did you mean 'acme'?"),
        (["coverage", "--workspace", "acmes"], "Did you mean 'acme'?"),
        (["workspace", "purge", "acmea"], "Did you mean 'acme'?"),
        (["rejected", "list", "--workspace", "aacme"], "Did you mean 'acme'?"),
        (["sync", "slakc", "--all"], "Did you mean 'slack'?"),
        (["connect", "gnog"], "'gong'?"),
        (["staus"], "'status'"),
    ]
    for arguments, hint in asked:
        done = bench.run(*arguments)
        assert (done.returncode, hint in done.stderr) == (2, True), (arguments, done.stderr)
    assert "mean" not in bench.run("sync", "slack", "--workspace", "zzzzz").stderr
    nearly = connect(bench, "--token", "-", "--channels", "#suport", stdin=acme.token)
    refused(nearly, "no channel '#suport'", "Did you mean 'support'?")
    mailbox = ("--client-id", "app", "--client-secret", "env:S", "--refresh-token", "env:R")
    labels = ("--labels", "customers")
    refused(bench.run("connect", "gmail", "--workspace", "acme", *mailbox, *labels, S="s", R="r"), "'Customers'?")
    assert did_you_mean("x", [None, ""]) == ""


@contextmanager
def untrusted(folder: Path) -> Iterator[int]:
    """Serve HTTPS with a certificate that nobody signed, and give the port."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    signed = made.sign(key, SHA256())
    file = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    file.write_bytes(private + signed.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]  # the client leaves, as it should
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("source", ["slack", "fathom"])  # one speaks by aiohttp, the others by httpx
def test_a_host_that_does_not_answer_is_named_with_the_reason(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    port = free_port()
    field = {"slack": "token", "fathom": "api_key"}[source]

    def sentence(address: str) -> str:
        bench.configure(**{f"{source.upper()}_API_URL": address})
        with pytest.raises(IngestError) as error:
            connect_account(
                bench.app,
                BY_NAME[source],
                "acme",
                given={field: "-"},
                settings={},
                name=None,
                read_secret=lambda _field: "a-secret",
                clock=bench.source_clock,
            )
        return str(error.value)

    assert f"127.0.0.1:{port} refused the connection" in sentence(f"http://127.0.0.1:{port}/")
    assert "the name nowhere.invalid is not known" in sentence("http://nowhere.invalid/")
    with untrusted(tmp_path) as tls:
        told = sentence(f"https://127.0.0.1:{tls}/")
    assert f"the TLS certificate of 127.0.0.1:{tls} is not trusted (self" in told
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:word@127.0.0.1:{port}")
    proxied = sentence("https://127.0.0.1/")
    assert f"the proxy 127.0.0.1:{port} before 127.0.0.1 refused" in proxied
    assert "word" not in proxied


def test_help_shows_options_in_groups_and_examples_at_the_end(bench: Bench) -> None:
    for source in ("slack", "gong", "fathom", "gmail"):
        shown = bench.run("connect", source, "--help").stdout
        places = [shown.index(f"{group}:\n") for group in ("Account", "Login by browser", "Login", "What is read")]
        assert places == sorted(places)
        assert f"  ingest-assets connect {source} --workspace acme --login" in shown[shown.index("Examples:") :]
        assert "--last-hours NUMBER" in shown
    assert "--client-file FILE" in shown
