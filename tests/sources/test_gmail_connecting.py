"""Gmail's accounts: what is asked for, by whom, and what is said where something is missing."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ingest_assets.errors import CredentialRejected, SourceError
from tests.sources.tenants import GmailTenant
from tests.workbench import Bench


def robot(bench: Bench, place: Path, **allowed: list[str]) -> Path:
    """Make a service account that may read some mailboxes; return the file of its key."""
    pair = generate_private_key(65537, 2048)
    private = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    bench.order("gmail/service_account", client_email="robot@acme.iam.example", public_key=public, **allowed)
    key = place / "key.json"
    key.write_text(json.dumps({"client_email": "robot@acme.iam.example", "private_key": private}))
    return key


class TestConnecting:
    def test_names_a_label_that_does_not_exist(self, bench: Bench) -> None:
        with pytest.raises(CredentialRejected, match="no label 'Nope'"):
            GmailTenant(bench, "acme").connect(labels=("Nope",))

    def test_searches_from_a_moment_and_not_from_a_day_in_california(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.connect()
        requests = bench.ask("ledger", team=acme.vendor_id)["requests"]
        [asked] = [request["params"]["q"] for request in requests if request["method"] == "threads.list"]
        assert re.fullmatch(r"after:\d+", asked)

    def test_names_a_missing_scope(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.order("credential", scopes=["https://www.googleapis.com/auth/gmail.metadata"])
        with pytest.raises(CredentialRejected, match=r"gmail\.readonly"):
            acme.connect()

    def test_tells_of_a_mailbox_without_gmail(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.order("settings", enabled=False)
        with pytest.raises(SourceError, match="no Gmail mailbox"):
            acme.connect()

    def test_takes_a_token_that_does_not_tell_how_long_it_lasts(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.order("credential", tells_expiry=False)
        acme.connect()
        made = acme.message()
        acme.reads()
        assert acme.living == {made["thread"]}
        assert acme.calls()["token"] == 1

    def test_by_a_service_account_opens_what_it_may(self, bench: Bench, tmp_path: Path) -> None:
        for user in ("ann", "bob", "eve"):
            bench.order("gmail/mailbox", email=f"{user}@acme.example", threads=2)
        key = robot(
            bench,
            tmp_path,
            subjects=["ann@acme.example", "bob@acme.example"],
            unauthorized=["eve@acme.example"],
        )
        subjects = "ann@acme.example,bob@acme.example,eve@acme.example,nobody@acme.example"
        done = bench.run(
            "connect", "gmail", "--workspace", "acme", "--service-account", str(key), "--subjects", subjects
        )
        assert done.returncode == 2
        assert done.stdout.count("Connected Gmail") == 2
        refusals = done.stderr.strip().splitlines()
        assert len(refusals) == 2
        assert "eve@acme.example" in refusals[0]
        assert "domain-wide delegation" in refusals[0]
        assert "nobody@acme.example" in refusals[1]
        assert "PRIVATE" not in done.stdout + done.stderr
        synced = bench.run("sync", "gmail", "--workspace", "acme")
        assert synced.returncode == 0, synced.stderr
        assert synced.stdout.count(": success, 2 new") == 2

    def test_by_a_service_account_names_each_mailbox_without_the_label(self, bench: Bench, tmp_path: Path) -> None:
        subjects = [f"{user}@acme.example" for user in ("ann", "bob", "eve")]
        for subject, labels in zip(subjects, ([], ["Customers"], []), strict=True):
            bench.order("gmail/mailbox", email=subject, labels=labels)
        key = robot(bench, tmp_path, subjects=subjects)
        options = ("--service-account", str(key), "--subjects", ",".join(subjects), "--labels", "Customers")
        done = bench.run("connect", "gmail", "--workspace", "acme", *options)
        assert done.returncode == 2
        assert done.stdout.count("Connected Gmail") == 1
        assert "bob@acme.example" in done.stdout
        for subject, refusal in zip(("ann", "eve"), done.stderr.strip().splitlines(), strict=True):
            assert f"mailbox {subject}@acme.example has no label 'Customers'" in refusal

    def test_tells_of_a_key_file_that_is_none(self, bench: Bench, tmp_path: Path) -> None:
        key = tmp_path / "key.json"
        for content, said in (
            ("{}", "not the JSON key"),
            ('{"client_email": "a@b", "private_key": "nonsense"}', "private_key"),
        ):
            key.write_text(content)
            done = bench.run(
                "connect",
                "gmail",
                "--workspace",
                "acme",
                "--service-account",
                str(key),
                "--subjects",
                "a@x.example",
            )
            assert (done.returncode, done.stdout) == (2, "")
            assert said in done.stderr
            assert done.stderr.count("\n") == 1
            assert "nonsense" not in done.stderr

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ((), "--service-account and --subjects"),
            (("--client-id", "x"), "--client-id, --client-secret and --refresh-token"),
            (("--service-account", "/nowhere/key.json", "--subjects", "a@x"), "cannot be read"),
            (
                ("--client-id", "x", "--client-secret", "plain", "--refresh-token", "y"),
                "never given on the command",
            ),
        ],
    )
    def test_says_in_one_sentence_what_is_missing(
        self, bench: Bench, arguments: tuple[str, ...], said: str
    ) -> None:
        done = bench.run("connect", "gmail", "--workspace", "acme", *arguments)
        assert (done.returncode, done.stdout) == (2, "")
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
