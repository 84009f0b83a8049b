"""Which addresses may be sent a Gong credential."""

from fnmatch import fnmatchcase
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from ingest_assets.errors import CredentialRejected

GONGS_OWN = ("https://*.api.gong.io", "https://api.gong.io")


def checked(base_url: str, more: tuple[str, ...]) -> str:
    """Give an address without its trailing slash. Raises CredentialRejected for one that is not allowed."""
    url = urlsplit(base_url)
    if url.username or url.password or not url.hostname or not _allowed(url, (*GONGS_OWN, *more)):
        raise CredentialRejected(
            f"{url.hostname or base_url!r} is not a host of Gong's ({', '.join(GONGS_OWN)}); a technical "
            "administrator reads the right address at app.gong.io/company/api. Other hosts go into "
            "GONG_ALLOWED_HOSTS."
        )
    return base_url.rstrip("/")


def _allowed(url: SplitResult, patterns: tuple[str, ...]) -> bool:
    return any(_matches(url, pattern) for pattern in patterns)


def _matches(url: SplitResult, pattern: str) -> bool:
    """A pattern without a scheme means https, or http too on this machine; one without a port means any."""
    wanted = urlsplit(pattern if "://" in pattern else f"//{pattern}")
    host = url.hostname or ""
    schemes = {wanted.scheme} if wanted.scheme else {"https", "http"} if _loopback(host) else {"https"}
    return url.scheme in schemes and fnmatchcase(host, wanted.hostname or "") and wanted.port in (None, url.port)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
