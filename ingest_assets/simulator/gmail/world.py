"""All simulated mailboxes, and who may read them."""

import time
from dataclasses import dataclass, field
from uuid import uuid4

from ingest_assets.simulator.errors import OrderError
from ingest_assets.simulator.gmail.mailbox import Mailbox, Settings

READONLY = "https://www.googleapis.com/auth/gmail.readonly"
METADATA_ONLY = "https://www.googleapis.com/auth/gmail.metadata"
LABELS_ONLY = "https://www.googleapis.com/auth/gmail.labels"
READING = frozenset({READONLY, "https://www.googleapis.com/auth/gmail.modify", "https://mail.google.com/"})


@dataclass(slots=True, eq=False)
class Login:
    """A user's refresh token."""

    email: str
    client_id: str
    client_secret: str
    scopes: tuple[str, ...]
    revoked: bool = False


@dataclass(slots=True, eq=False)
class ServiceAccount:
    """A service account and what the domain's administrator allows it."""

    client_email: str
    public_key: str
    scopes: frozenset[str]
    subjects: frozenset[str]
    unauthorized: frozenset[str]


@dataclass(slots=True, eq=False)
class Access:
    """An access token."""

    email: str
    scopes: tuple[str, ...]
    issuer: Login | ServiceAccount
    expires_at: float
    real_time: bool

    def valid(self, now: float) -> bool:
        revoked = isinstance(self.issuer, Login) and self.issuer.revoked
        return not revoked and (time.time() if self.real_time else now) < self.expires_at


@dataclass(slots=True, eq=False)
class GmailWorld:
    """All mailboxes and tokens."""

    mailboxes: dict[str, Mailbox] = field(default_factory=dict)
    logins: dict[str, Login] = field(default_factory=dict)
    service_accounts: dict[str, ServiceAccount] = field(default_factory=dict)
    tokens: dict[str, Access] = field(default_factory=dict)

    def mailbox(self, email: str) -> Mailbox:
        try:
            return self.mailboxes[email]
        except KeyError:
            raise OrderError(f"there is no mailbox {email}") from None

    def issue(
        self, email: str, scopes: tuple[str, ...], issuer: Login | ServiceAccount, now: float
    ) -> tuple[str, int]:
        """A new access token and how many seconds it lives."""
        settings = self.mailboxes[email].settings if email in self.mailboxes else Settings()
        began = time.time() if settings.real_token_time else now
        token = f"ya29.{uuid4().hex}"
        self.tokens[token] = Access(email, scopes, issuer, began + settings.expires_in, settings.real_token_time)
        return token, settings.expires_in

    def withdraw(self, email: str) -> None:
        """Let every access token to a mailbox expire."""
        self.tokens = {token: access for token, access in self.tokens.items() if access.email != email}
