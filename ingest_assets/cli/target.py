"""Where a vendor's answer to a login goes: a port of this machine, or an address that is pasted afterwards."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from ingest_assets.errors import IngestError
from ingest_assets.sources.authorizing import REGISTERED

ROOT = "/"
HTTP_PORT = 80
HERE = ("localhost", "127.0.0.1")


@dataclass(frozen=True, kw_only=True)
class Target:
    """A redirect URL, and what listens at it."""

    url: str = ""
    """Empty: of the port that is listened on."""
    path: str | None = None
    """What is listened for; None where the answer is pasted."""
    port: int = 0

    @classmethod
    def chosen(
        cls, *, redirect_url: str | None, port: int | None, registered: Sequence[str], https_only: bool
    ) -> Self:
        """Return the target that options name, or the app, or what the vendor allows.

        `https_only`: the vendor redirects to no plain http, so that nothing of ours can listen.
        """
        if redirect_url is not None and port is not None:
            raise IngestError("Pass --port or --redirect-url, not both; http://localhost:8765/ names a port, too.")
        if port is not None:
            return cls(path=ROOT, port=port)
        known = sorted(registered, key=lambda url: not _is_loopback(url))
        if url := redirect_url or next(iter(known), None):
            return cls._at(url)
        return cls(url=REGISTERED) if https_only else cls(path=ROOT)

    @classmethod
    def _at(cls, url: str) -> Self:
        """Return the target at an address. Raises IngestError for one that would let others read the answer."""
        if _is_loopback(url):
            parts = urlsplit(url)
            return cls(url=url, path=parts.path or ROOT, port=parts.port or HTTP_PORT)
        if not url.startswith("https://") or not _host(url):
            raise IngestError(
                "A redirect URL is an https address, or http at 127.0.0.1 or localhost, as https://example.com/done."
            )
        return cls(url=url)


def _is_loopback(url: str) -> bool:
    """Tell whether it is plain http on this machine: then we can listen there."""
    return url.startswith("http://") and _host(url) in HERE


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port  # is read only here, and may be out of range or no number
    except ValueError:
        return ""
    return parts.hostname or ""
