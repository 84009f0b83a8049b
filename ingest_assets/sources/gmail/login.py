"""Google's access tokens: for a user's refresh token, or for one mailbox of a service account."""

import asyncio
import re
from datetime import UTC
from http.client import HTTPException
from typing import Any

import google_auth_httplib2
import httplib2
import orjson
from google.auth.exceptions import GoogleAuthError, RefreshError
from google.oauth2 import service_account
from google.oauth2.credentials import Credentials

from ingest_assets.errors import CredentialRejected, SourceError, Transient
from ingest_assets.sources.gmail.errors import TOKEN_ERRORS
from ingest_assets.sources.login import Login, TokenPair

READONLY = "https://www.googleapis.com/auth/gmail.readonly"
TIMEOUT = 60  # seconds
NO_CONNECTION = (OSError, HTTPException, httplib2.HttpLib2Error)


async def exchange(login: Login, refresh_token: str) -> TokenPair:
    """Get an access token for a user's refresh token, or for a service account's mailbox."""
    google = _credentials(login.credential, login.options.token_url, refresh_token)
    http = httplib2.Http(timeout=TIMEOUT)
    login.calls["token"] += 1
    try:
        await asyncio.to_thread(google.refresh, google_auth_httplib2.Request(http))
    except RefreshError as error:
        raise _refused(error, login.credential.subject) from None
    except (GoogleAuthError, ValueError, *NO_CONNECTION) as error:
        raise Transient(f"Google's token endpoint did not answer ({type(error).__name__}).") from None
    finally:
        http.close()
    return TokenPair(
        access_token=google.token,
        refresh_token=getattr(google, "refresh_token", None) or "",
        # Google need not tell how long a token lasts; one that no longer does is refused, and replaced then
        expires_at=None if google.expiry is None else google.expiry.replace(tzinfo=UTC),
    )


def _credentials(credential: Any, token_url: str, refresh_token: str) -> Any:
    """Tell Google's library both addresses itself: what a key file or the library says would win otherwise."""
    if credential.service_account is None:
        return Credentials(  # type: ignore[no-untyped-call]  # Google's
            None,
            refresh_token=refresh_token or credential.refresh_token.get_secret_value(),
            client_id=credential.client_id,
            client_secret=credential.client_secret.get_secret_value(),
            token_uri=token_url,
        )
    info = orjson.loads(credential.service_account.get_secret_value())
    try:
        return service_account.Credentials.from_service_account_info(  # type: ignore[no-untyped-call]  # Google's
            info | {"token_uri": token_url}, scopes=[READONLY], subject=credential.subject
        )
    except ValueError:
        raise CredentialRejected(
            "The private_key in the service account's key cannot be read; download the JSON key again."
        ) from None


def _refused(error: RefreshError, subject: str | None) -> SourceError:
    details = error.args[1] if len(error.args) > 1 else None
    code = details.get("error") if isinstance(details, dict) else None
    if error.retryable:
        return Transient("Google's token endpoint asks us to try again.")
    if code in TOKEN_ERRORS:
        whose = f" for {subject}" if subject else ""
        return CredentialRejected(f"Google gave no token{whose} ({code}): {TOKEN_ERRORS[code]}")
    if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code):
        return CredentialRejected(f"Google gave no token ({code}). Connect the mailbox again.")
    return Transient("Google's token endpoint gave an answer that is not Google's; check GOOGLE_TOKEN_URL.")
