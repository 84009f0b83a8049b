"""Header fields as people read them: encoded words decoded, lists of addresses split."""

import re
from collections.abc import Iterable
from email.errors import HeaderParseError
from email.header import decode_header

from ingest_assets.sources.gmail.charset import text_of_bytes

LONGEST = 200_000  # characters of one header: 1,000 addresses with their names
MOST_ADDRESSES = 1_000  # of one mail; the rest stands in `raw`
_ENCODED = re.compile(r"=\?[^?\s]{1,60}\?[bqBQ]\?[^?\s]{0,1000}\?=(?:\s+(?==\?))?")
_DELIMITER = re.compile(r"[\"\\()<>,;]")


def decoded_header(value: str) -> str:
    """Decode encoded words (RFC 2047); Gmail does it, but for those that are malformed."""
    return _ENCODED.sub(lambda found: _decoded_word(found[0].strip()), value) if "=?" in value else value


def addresses_of(headers: Iterable[str]) -> list[str]:
    """Split headers such as To into addresses as they were written, names included."""
    found: list[str] = []
    for header in headers:
        found += (decoded_header(address) for address in _split(header[:LONGEST]))
    return found[:MOST_ADDRESSES]


def _decoded_word(word: str) -> str:
    try:
        return "".join(
            part if isinstance(part, str) else text_of_bytes(part, charset)
            for part, charset in decode_header(word)
        )
    except (HeaderParseError, ValueError):
        return word


def _split(header: str) -> list[str]:
    """Split at commas and semicolons that stand in no quotation, comment or angle brackets.

    `email.utils.getaddresses` would take names apart from addresses, and give nothing for a list with one fault.
    """
    addresses: list[str] = []
    start = skip_to = comments = 0
    quoted = angle = False
    for found in _DELIMITER.finditer(header):
        position, mark = found.start(), found[0]
        if position < skip_to:
            continue
        if mark == "\\":
            skip_to = position + 2
        elif mark == '"':
            quoted = not quoted
        elif quoted:
            continue
        elif mark in "()":
            comments = max(0, comments + (1 if mark == "(" else -1))
        elif mark in "<>":
            angle = mark == "<"
        elif not comments and not angle:
            addresses.append(header[start:position])
            start = position + 1
    addresses.append(header[start:])
    return [stripped for address in addresses if (stripped := address.strip())]
