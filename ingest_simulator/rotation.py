"""Refresh tokens that work once, as an OAuth app of a simulated vendor gets them."""

from dataclasses import dataclass
from hashlib import sha256


@dataclass(slots=True)
class Rotation:
    """An app and its newest refresh token; each one works once."""

    vendor: str
    client_id: str
    client_secret: str
    refresh_token: str
    expires_in: int
    issued: int = 0

    def next_pair(self) -> str:
        """Return a new access token; the refresh token is replaced."""
        self.issued += 1
        digest = sha256(f"{self.refresh_token}/{self.issued}".encode()).hexdigest()
        self.refresh_token = f"{self.vendor}-refresh-{digest[:32]}"
        return f"{self.vendor}-access-{digest[32:]}"

    def first_token(self) -> str:
        """Return the access token that was handed out before anybody refreshed."""
        return f"{self.vendor}-access-{sha256(self.refresh_token.encode()).hexdigest()[:24]}"


def rotation(
    vendor: str, client_id: str | None, client_secret: str | None, refresh_token: str | None, expires_in: int
) -> Rotation | None:
    """Return an app, if all of it is given."""
    if not (client_id and client_secret and refresh_token):
        return None
    return Rotation(vendor, client_id, client_secret, refresh_token, expires_in)
