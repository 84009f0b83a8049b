"""Why a request got no answer, in words that say where to look: the name, the port, the certificate, the proxy."""

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

LONGEST_CHAIN = 8  # causes of causes that are looked at

_TIMED_OUT = "{} did not answer in time (a firewall drops what it does not let through, too)"
_REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "the name {} is not known; check the address, and this machine's DNS"),
    (ConnectionRefusedError, "{} refused the connection; nothing listens there, or a firewall says so"),
    (ssl.SSLCertVerificationError, "the TLS certificate of {} is not trusted ({})"),
    (ssl.SSLError, "TLS with {} failed ({})"),
    (TimeoutError, _TIMED_OUT),
    (ConnectionResetError, "{} broke the connection off"),
    (OSError, "{} cannot be reached ({})"),
)
_BY_NAME = {
    "ConnectTimeout": _TIMED_OUT,
    "ReadTimeout": _TIMED_OUT,
    "ServerTimeoutError": _TIMED_OUT,
    "ServerDisconnectedError": "{} broke the connection off",
    "RemoteProtocolError": "{} broke the connection off, or speaks no HTTP",
    "ProxyError": "the proxy did not let the request to {} pass",
    "ClientHttpProxyError": "the proxy did not let the request to {} pass",
}


def unanswered(error: BaseException, address: str) -> str:
    """Return the reason as a clause; `address` is shown without anything but its host and port."""
    where, kind = _where(address), type(error).__name__
    for cause in _chain(error):
        if told := _BY_NAME.get(type(cause).__name__):
            return told.format(where)
        for reason, told in _REASONS:
            if isinstance(cause, reason) and (reason is not OSError or getattr(cause, "strerror", None)):
                return told.format(where, _detail(cause))
    return f"{where} did not answer ({kind})"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield what an error comes from, the first cause first."""
    found: list[BaseException] = []
    waiting = [error]
    while waiting and len(found) < LONGEST_CHAIN:
        cause = waiting.pop(0)
        found.append(cause)
        if isinstance(cause, BaseExceptionGroup):
            waiting += cause.exceptions
        next_one = getattr(cause, "os_error", None) or cause.__cause__ or cause.__context__
        waiting += [next_one] if isinstance(next_one, BaseException) else []
    return reversed(found)


def _detail(cause: BaseException) -> str:
    """Return what OpenSSL or the system calls it; neither repeats what was sent."""
    detail = getattr(cause, "verify_message", None) or getattr(cause, "reason", None)
    detail = detail or getattr(cause, "strerror", None) or type(cause).__name__
    return str(detail)


def _where(address: str) -> str:
    """Name whom the request went to: the host, or the proxy that stands before it."""
    parts = urlsplit(address)
    proxy = None if proxy_bypass(parts.hostname or "") else getproxies().get(parts.scheme)
    if proxy:
        return f"the proxy {_host(proxy if '://' in proxy else f'//{proxy}')} before {_host(address)}"
    return _host(address)


def _host(address: str) -> str:
    parts = urlsplit(address)
    try:
        port = parts.port
    except ValueError:
        port = None
    return f"{parts.hostname or 'the host'}{'' if port is None else f':{port}'}"
