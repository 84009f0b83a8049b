"""The customers that `make demo` simulates: three workspaces at four vendors, some of it broken."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from ingest_assets.app import App
from ingest_assets.cli.connecting import connect_account
from ingest_assets.sources import BY_NAME
from ingest_assets.storage.coverage import NO_GAPS, find_coverage
from ingest_assets.sync.pool import sync_workspaces
from ingest_assets.terminal import echo

WORKSPACES = {"acme": 1, "globex": 2, "initech": 3}  # name and seed
SLACK_WORLD = {"channels": 3, "messages": 120, "threads": 10, "replies": 4, "span_hours": 240}
REVOKED_SLACK = "initech"
MAILBOXES = {"acme": ("ann", "bob", "cleo"), "globex": ("gus",), "initech": ("ida",)}
LOST_MAILBOX = "cleo@acme.example"
EXPECTED_FAILURES = {"slack": 1, "gong": 0, "fathom": 0, "gmail": 0}
"""Partitions that are to be red, by source."""
LOST_CHANNEL, PENDING_CALL, MALFORMED_SESSION = "globex", "acme", "globex"
"""The workspaces of which a channel is lost, a transcript is late, and an item cannot be parsed."""
EXPECTED_GAPS = {
    ("acme", "gmail", "not read"),
    ("acme", "gong", "pending"),
    ("globex", "fathom", "rejected"),
    ("globex", "slack", "unreadable"),
    ("initech", "slack", "not read"),
}
"""What `ingest-assets coverage` is to miss: (workspace, source, state)."""
LOST_CHANNEL_NAME = "customer-2"
HOURS_LATE = 36
SERVICE_ACCOUNT = "ingest@demo.iam.example"
MODEL, MODEL_KEY = "simulated-model", "sk-demo"
EXPONENT, KEY_BITS = 65537, 2048


def addresses(vendors: str) -> dict[str, str]:
    """Point every source at the simulated vendors."""
    return {
        "SLACK_API_URL": f"{vendors}/slack/api/",
        "SLACK_AUTHORIZE_URL": f"{vendors}/slack/oauth/v2/authorize",
        "GONG_ALLOWED_HOSTS": "127.0.0.1",
        "GONG_AUTHORIZE_URL": f"{vendors}/gong/oauth2/authorize",
        "GONG_TOKEN_URL": f"{vendors}/gong/oauth2/generate-customer-token",
        "FATHOM_API_URL": f"{vendors}/fathom/external/v1",
        "FATHOM_AUTHORIZE_URL": f"{vendors}/fathom/external/v1/oauth2/authorize",
        "FATHOM_TOKEN_URL": f"{vendors}/fathom/external/v1/oauth2/token",
        "GMAIL_API_URL": f"{vendors}/gmail/",
        "GOOGLE_AUTHORIZE_URL": f"{vendors}/gmail/o/oauth2/v2/auth",
        "GOOGLE_TOKEN_URL": f"{vendors}/gmail/token",
    }


def environ(vendors: str) -> dict[str, str]:
    """Point everything at the simulated vendors, and let all schedules tick every minute."""
    return {
        **addresses(vendors),
        "OPENAI_BASE_URL": f"{vendors}/openai/v1",
        "OPENAI_MODEL": MODEL,
        "OPENAI_API_KEY": MODEL_KEY,
        **{f"{name.upper()}_SYNC_CRON": "* * * * *" for name in BY_NAME},
    }


@dataclass(frozen=True)
class Customer:
    """What `connect` is given for one source of a workspace."""

    source: str
    credential: Mapping[str, Any]
    secrets: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def connect_everything(app: App, vendors: str, folder: Path) -> None:
    """Make the customers at the vendors, connect them, then break two logins and take a channel away."""

    def order(path: str, **fields: Any) -> Any:
        answer = httpx.post(f"{vendors}/_sim/{path}", json=fields, timeout=30, trust_env=False)
        answer.raise_for_status()
        return answer.json()

    order("openai/key", key=MODEL_KEY, model=MODEL)
    key = _service_account(folder, order)
    for name, seed in WORKSPACES.items():
        for customer in _customers(name, seed, vendors, order, key):
            connected = connect_account(
                app,
                BY_NAME[customer.source],
                name,
                given=customer.credential,
                settings=customer.settings,
                name=None,
                read_secret=customer.secrets.__getitem__,
            )
            accounts = ", ".join(account for account, _, _ in connected.accounts)
            echo(f"Connected {BY_NAME[customer.source].title} ({accounts}) to workspace {name}.")
    _lose_a_channel(app, order)
    order("slack/token", team=f"T0{REVOKED_SLACK.upper()}", revoked=True)
    order("gmail/settings", mailbox=LOST_MAILBOX, enabled=False)
    echo(
        f"... and then somebody revoked the Slack token of {REVOKED_SLACK} and switched {LOST_MAILBOX} off: one "
        "partition will fail, and one will show what was read of two mailboxes of three. The bot was removed from "
        f"a channel of {LOST_CHANNEL}, a transcript of {PENDING_CALL} is late, and a session of "
        f"{MALFORMED_SESSION} makes no sense: `ingest-assets coverage` will name them."
    )


def missing(app: App) -> list[dict[str, str]]:
    """Return what `ingest-assets coverage` names as missing."""
    with app.engine.connect() as conn:
        return [
            {"workspace": name, "source": row.source, "part": row.part, "state": row.state, "reason": row.reason}
            for name in WORKSPACES
            for row in find_coverage(conn, name)
            if row.state not in NO_GAPS
        ]


def _lose_a_channel(app: App, order: Callable[..., Any]) -> None:
    """Read a workspace once, then remove the bot from a channel: one that was never read is not missed."""
    slack = BY_NAME["slack"]
    list(sync_workspaces(slack, [LOST_CHANNEL], app.options_of(slack), app.worker("demo")))
    order("slack/membership", team=f"T0{LOST_CHANNEL.upper()}", channel=LOST_CHANNEL_NAME, member=False)


def _customers(name: str, seed: int, vendors: str, order: Callable[..., Any], key: Path) -> Iterator[Customer]:
    title = name.title()
    token = f"xoxb-demo-{name}"
    order("slack/team", id=f"T0{name.upper()}", token=token, name=title, seed=seed, world=SLACK_WORLD)
    yield Customer("slack", {"token": "-"}, {"token": token})

    secrets = {"access_key": f"demo-{name}", "access_key_secret": "demo"}
    company = order("gong/company", name=title, seed=seed, calls=40, sentences=60, private=2, **secrets)
    if name == PENDING_CALL:
        late = {"hours_ago": 2, "transcript_after_seconds": HOURS_LATE * 3600}
        order("gong/call", company=company["company"], **late)
    base_url = f"{vendors}{company['base_path']}"
    yield Customer("gong", dict.fromkeys(secrets, "-"), secrets, {"base_url": base_url})

    api_key = f"demo-fathom-{name}"
    org = order("fathom/org", name=title, seed=seed, api_key=api_key, meetings=30, segments=40)
    if name == MALFORMED_SESSION:
        recording = org["recordings"][-1]
        odd = {"recording_id": recording, "created_at": "soon"}
        order("fathom/raw", org=org["org"], recording=recording, payload=odd)
    yield Customer("fathom", {"api_key": "-"}, {"api_key": api_key})

    mailboxes = tuple(f"{user}@{name}.example" for user in MAILBOXES[name])
    for mailbox in mailboxes:
        order("gmail/mailbox", email=mailbox, seed=seed, threads=25, messages=3)
    yield Customer("gmail", {"service_account": str(key), "subjects": mailboxes})


def _service_account(folder: Path, order: Callable[..., Any]) -> Path:
    """Make a service account that may read all mailboxes; return the file with its key."""
    pair = generate_private_key(EXPONENT, KEY_BITS)
    private = pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    mailboxes = [f"{user}@{name}.example" for name, users in MAILBOXES.items() for user in users]
    order("gmail/service_account", client_email=SERVICE_ACCOUNT, public_key=public, subjects=mailboxes)
    path = folder / "service-account.json"
    path.touch(mode=0o600)
    path.write_text(
        json.dumps({"type": "service_account", "client_email": SERVICE_ACCOUNT, "private_key": private})
    )
    return path
