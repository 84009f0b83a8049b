"""Which addresses may be sent a Gong credential."""

from fnmatch import fnmatchcase
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from ingest_assets.errors import CredentialRejected

GONGS_OWN = ("https://*.api.gong.io", "https://api.gong.io")


def checked(base_url: str, more: tuple[str, ...]) -> str:
    """Return an address without its trailing slash. Raises CredentialRejected for one that is not allowed."""
    url = _split(base_url)
    if url is None or not url.hostname:
        raise CredentialRejected(  # without the address, which may hold a password
            "The base URL is no address such as https://us-12345.api.gong.io; a technical administrator reads the "
            "right one at app.gong.io/company/api."
        )
    if url.username or url.password or not _allowed(url, (*GONGS_OWN, *more)):
        raise CredentialRejected(
            f"{url.hostname} is not a host of Gong's ({', '.join(GONGS_OWN)}); a technical "
            "administrator reads the right address at app.gong.io/company/api. Other hosts go into "
            "GONG_ALLOWED_HOSTS."
        )
    return base_url.rstrip("/")


def pattern_of(text: str) -> SplitResult:
    """Read an entry of GONG_ALLOWED_HOSTS. Raises ValueError for one that is no address."""
    if (pattern := _split(text if "://" in text else f"//{text}")) is None:
        raise ValueError("one of the hosts is no address")
    return pattern


def _split(address: str) -> SplitResult | None:
    try:
        url = urlsplit(address)
        _ = url.port  # is read only here, and may be out of range or no number
    except ValueError:
        return None
    return url


def _allowed(url: SplitResult, patterns: tuple[str, ...]) -> bool:
    return any(_matches(url, pattern) for pattern in patterns)


def _matches(url: SplitResult, pattern: str) -> bool:
    """Tell whether an address is allowed.

    A pattern without a scheme means https, or http too on this machine; one without a port means any.
    """
    wanted = pattern_of(pattern)
    host = url.hostname or ""
    schemes = {wanted.scheme} if wanted.scheme else {"https", "http"} if _loopback(host) else {"https"}
    return url.scheme in schemes and fnmatchcase(host, wanted.hostname or "") and wanted.port in (None, url.port)


def _loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
