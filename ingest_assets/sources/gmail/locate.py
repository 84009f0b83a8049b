"""Gmail's ids and addresses.

https://mail.google.com/mail/u/0/
    #inbox/18c0ffee00112233     a thread, by the API's id, in older addresses
    #inbox/FMfcgz...            the same since 2018: "f:" and the id as a decimal number, in base 64, as a number
                                again with 40 consonants as its digits
    #inbox/KtbxL..., QgrcJ...   "a:r" and a number: a thread that began in this mailbox; the API has another id
    ?permthid=thread-f:17...    the same in addresses of "Show original" and of print
<...@mail.example>              a mail's own Message-ID (RFC 5322)
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Iterator

from ingest_assets.errors import IngestError
from ingest_assets.sources.gmail.records import GmailMessage, GmailThread
from ingest_assets.sources.locating import Sought, locating
from ingest_assets.storage.schema import StoredRow

MAIL = r"https?://mail\.google\.com/mail/[!-~]{0,300}"
ID = r"(?P<id>[0-9a-f]{14,16})"
CONSONANTS = "BCDFGHJKLMNPQRSTVWXZbcdfghjklmnpqrstvwxz"
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
DECIMAL = re.compile(rb"(?:thread-|msg-)?f:(\d{1,20})")
LOCAL = re.compile(rb"(?:thread-|msg-)?a:")
NOT_TOLD = (
    "This address names a thread by a number that Gmail's API does not tell; name it by words of its subject, or "
    'by its Message-ID, which "Show original" shows.'
)


def _id(match: re.Match[str]) -> Iterator[Sought]:
    yield from _of(match["id"])


def _of(api_id: str) -> Iterator[Sought]:
    yield Sought(record=GmailThread, value=api_id)
    yield Sought(record=GmailMessage, value=api_id)


def _decimal(match: re.Match[str]) -> Iterator[Sought]:
    yield from _of(f"{int(match['number']):x}")


def _token(match: re.Match[str]) -> Iterator[Sought]:
    meant = decoded(match["token"])
    if LOCAL.match(meant):
        raise IngestError(NOT_TOLD)
    found = DECIMAL.fullmatch(meant)
    if found is not None:
        yield from _of(f"{int(found[1]):x}")


def _mail(match: re.Match[str]) -> Iterator[Sought]:
    sure = match[0] != match["mail"]  # without a mark it may be the address of a person as well
    for value in (f"<{match['mail']}>", match["mail"]):
        yield Sought(record=GmailMessage, value=value, column="rfc822_message_id", sure=sure)


def decoded(token: str) -> bytes:
    """Return what an address of the web UI encodes; nothing for a token that is none."""
    number, digits = 0, ""
    for letter in token:
        number = number * len(CONSONANTS) + CONSONANTS.index(letter)
    while number:
        number, place = divmod(number, len(DIGITS))
        digits = DIGITS[place] + digits
    try:
        return b64decode(digits + "=" * (-len(digits) % 4))
    except Error:
        return b""


locate = locating(
    (
        (rf"{MAIL}[/#=]{ID}", _id),
        (rf"{MAIL}[#/](?P<token>[{CONSONANTS}]{{20,100}})", _token),
        (
            rf"{MAIL}perm(?:th|msg)id(?:=|%3D)(?:thread|msg)-f(?::|%3A)(?P<number>\d{{1,20}})(?:[&#][!-~]{{0,300}})?",
            _decimal,
        ),
        (ID, _id),
        (rf"(?P<token>[FKQ][{CONSONANTS}]{{28,60}})", _token),
        (r"(?!https?:)(?:rfc822msgid:)?<?(?P<mail>[!-;=?A-~]{1,200}@[!-;=?A-~]{1,200}[0-9A-Za-z\]])>?", _mail),
    )
)


def link(row: StoredRow, account: StoredRow) -> str | None:
    """Return where Gmail shows a row's thread, to whoever may open the mailbox."""
    return f"https://mail.google.com/mail/?authuser={account.external_id}#all/{row.conversation_id}"
