"""What a vendor's redirect says: a code, a refusal, or nothing of this login (RFC 6749, 4.1.2 and 10.12)."""

import re
from dataclasses import dataclass
from secrets import compare_digest
from urllib.parse import parse_qsl, urlsplit

from ingest_assets.errors import IngestError

LONGEST = 16_384  # characters of a redirect: vendors send a few hundred
MOST_FIELDS = 50
CODE = re.compile(r"[A-Za-z0-9_.-]{1,60}", re.ASCII)  # anything else is not repeated

NOT_COMPLETE = (
    "That is not the whole address: copy all of it from the browser's address bar, from https:// or http:// on, "
    "with what follows code= and state=."
)
FOREIGN = "An answer to another login came and was ignored: open the address above, not that of an earlier try."

_ERRORS = {
    "access_denied": "access was not granted: somebody cancelled, or an administrator has to allow the app.",
    "unauthorized_client": "the app may not log in here; check that it is allowed for this customer, and that the "
    "redirect URL is one of the app's.",
    "invalid_scope": "the app may not ask for these scopes; add them on the app's page.",
    "redirect_uri_mismatch": "the redirect URL is not one of the app's; register it on the app's page.",
    "server_error": "it has trouble of its own; try later.",
    "temporarily_unavailable": "it has trouble of its own; try later.",
}


class Refused(IngestError):
    """The vendor answered this very login, and does not grant it."""


class Ignored(ValueError):
    """Not the answer to this login; its text says why, and is empty where there is nothing to say."""


@dataclass(frozen=True)
class Expected:
    """The redirect that a login waits for."""

    vendor: str
    state: str

    def code_in(self, query: str) -> str:
        """Return the code in a redirect's query. Raises Refused, or Ignored for what is not ours."""
        try:
            fields = parse_qsl(query[:LONGEST], keep_blank_values=True, max_num_fields=MOST_FIELDS)
        except ValueError:
            raise Ignored(NOT_COMPLETE) from None
        found = dict(fields)
        if not found.keys() & {"code", "error", "state"}:
            raise Ignored("")
        if len(query) > LONGEST or any(sum(name == one for name, _ in fields) > 1 for one in ("code", "state")):
            raise Ignored(FOREIGN)
        if "state" not in found:
            raise Ignored(NOT_COMPLETE)
        if not compare_digest(found["state"].encode(), self.state.encode()):
            raise Ignored(FOREIGN)
        if "error" in found:
            raise Refused(self._refusal(found["error"]))
        if not found.get("code"):
            raise Ignored(NOT_COMPLETE)
        return found["code"]

    def code_in_address(self, pasted: str) -> str:
        """Return the code in what somebody pasted: an address, with or without quotes, or its query."""
        text = pasted.strip().strip("<>'\"` ")
        if not text:
            raise Ignored("")
        try:
            query = urlsplit(text).query or (text if "code=" in text and "state=" in text else "")
        except ValueError:
            query = ""
        if not query:
            raise Ignored(NOT_COMPLETE)
        try:
            return self.code_in(query)
        except Ignored as error:
            raise Ignored(str(error) or NOT_COMPLETE) from None

    def _refusal(self, code: str) -> str:
        if not CODE.fullmatch(code):
            return f"{self.vendor} did not grant the login. Run the command once more."
        told = _ERRORS.get(code, "see its documents about logins.")
        return f"{self.vendor} did not grant the login ({code}): {told}"
