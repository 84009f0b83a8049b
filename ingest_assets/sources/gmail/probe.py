"""Log in and see what a Gmail login may read, before it is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from ingest_assets.errors import CredentialRejected, SourceError, UnexpectedResponse, did_you_mean
from ingest_assets.sources.gmail.client import GmailClient
from ingest_assets.sources.gmail.connect import GmailCredential, GmailLogin, GmailSettings
from ingest_assets.sources.login import Probe


async def probe(login: GmailLogin) -> Sequence[Probe | SourceError]:
    """Log in to each mailbox, a stored account's to its own; look for the chosen labels and try to search."""
    credential: GmailCredential = login.credential
    if credential.service_account is None:
        return [await _mailbox(login, None)]
    found: list[Probe | SourceError] = []
    for subject in (credential.subject,) if credential.subject else credential.subjects:
        own = replace(login, credential=credential.model_copy(update={"subject": subject}), tokens=None)
        try:
            found.append(await _mailbox(own, subject))
        except SourceError as error:
            found.append(UnexpectedResponse(f"{subject}: {error}") if subject not in str(error) else error)
    return found


async def _mailbox(login: GmailLogin, subject: str | None) -> Probe:
    settings: GmailSettings = login.settings
    async with GmailClient.open(login) as client:
        address = (await client.profile()).get("emailAddress") or subject
        known = await client.labels() if settings.labels or settings.exclude_labels else {}
        yesterday = login.clock.now() - timedelta(days=1)
        async for _threads in client.threads_list(f"after:{int(yesterday.timestamp())}", None, page=1):
            break  # a login that may only see metadata may not search
    if not address or not isinstance(address, str):
        raise UnexpectedResponse("Gmail's profile names no address.")
    chosen = {
        "labels": [_label(known, wanted, address) for wanted in settings.labels],
        "exclude_labels": [_label(known, wanted, address) for wanted in settings.exclude_labels],
    }
    return Probe(
        external_id=address,
        name=address,
        settings=settings.model_dump(mode="json") | chosen,
        credential={} if subject is None else {"subject": subject},
    )


def _label(known: Mapping[str, str], wanted: str, address: str) -> str:
    for label_id, name in known.items():
        if wanted in (label_id, name):
            return label_id
    raise CredentialRejected(
        f"The mailbox {address} has no label {wanted!r}; check its name in Gmail (nested ones are Parent/Child)."
        + did_you_mean(wanted, known.values())
    )
