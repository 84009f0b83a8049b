"""One call of a Web API method: who calls, with which arguments, and how a page is answered.

A cursor is the base64 of "<kind>:<where the next page starts>", as Slack's are; "~" at its end marks that the
next page is to be an empty one.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from ingest_simulator.slack.channel import Channel
from ingest_simulator.slack.timestamps import parse_ts
from ingest_simulator.slack.world import Grant, Team

EMPTY_NEXT = "~"
MAX_LIMIT = 999


class SlackError(Exception):
    """The method answers ok:false with this code."""

    def __init__(self, code: str, **extra: Any) -> None:
        super().__init__(code)
        self.code = code
        self.extra = extra

    def body(self) -> bytes:
        """Return the answer's JSON."""
        return orjson.dumps({"ok": False, "error": self.code} | self.extra)


@dataclass(slots=True, frozen=True)
class Cursor:
    """A decoded cursor."""

    position: str
    empty: bool = False

    def encoded(self, kind: str) -> str:
        """Return the opaque text of it."""
        return b64encode(f"{kind}:{self.position}{EMPTY_NEXT if self.empty else ''}".encode()).decode()


def ok(**fields: Any) -> bytes:
    """Return a successful answer's JSON."""
    return orjson.dumps({"ok": True} | fields)


@dataclass(slots=True)
class Call:
    """A method call by a known workspace."""

    grant: Grant
    params: dict[str, str]
    now: float
    repeat_cursor: bool = False

    @property
    def team(self) -> Team:
        """The calling workspace."""
        return self.grant.team

    def require(self, scope: str) -> None:
        """Insist on a scope."""
        if scope not in self.grant.scopes:
            raise SlackError("missing_scope", needed=scope, provided=self.grant.provided)

    def text(self, name: str) -> str:
        """Return a required argument."""
        value = self.params.get(name)
        if not value:
            raise SlackError("missing_argument")
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean argument, false if absent."""
        return self.params.get(name, "").lower() in ("1", "true")

    def limit(self, default: int, *, most: int = MAX_LIMIT, zero: bool = False) -> int:
        """How many items a page may have; where `zero` is allowed it means the default."""
        given = self.params.get("limit")
        if not given or (zero and given == "0"):
            return self._capped(default)
        if not given.isascii() or not given.isdigit() or not 1 <= int(given) <= most:
            raise SlackError("invalid_limit")
        return self._capped(int(given))

    def _capped(self, limit: int) -> int:
        cap = self.team.settings.page_cap
        return limit if cap is None else min(limit, cap)

    def cursor(self, kind: str) -> Cursor | None:
        """Return the decoded cursor, None on the first page."""
        given = self.params.get("cursor")
        if not given:
            return None
        try:
            found, _, position = b64decode(given, validate=True).decode().partition(":")
        except (Base64Error, UnicodeDecodeError) as error:
            raise SlackError("invalid_cursor") from error
        plain = position.removesuffix(EMPTY_NEXT)
        if found != kind or not plain:
            raise SlackError("invalid_cursor")
        return Cursor(plain, plain != position)

    def bounds(self) -> tuple[int | None, int | None]:
        """Return the first and last timestamp wanted, both included."""
        step = 0 if self.flag("inclusive") else 1
        oldest, latest = self._bound("oldest"), self._bound("latest")
        first = None if oldest is None else oldest + step
        last = None if latest is None else latest - step
        return first, last

    def _bound(self, name: str) -> int | None:
        given = self.params.get(name)
        if not given:
            return None
        key = parse_ts(given)
        if key is None:
            raise SlackError(f"invalid_ts_{name}")
        return key

    def seen_channel(self, scope: str) -> Channel:
        """Return the channel asked for, if the caller may know of it; `scope` is read, history and so on."""
        channel = self.team.channels.get(self.text("channel"))
        if channel is None:
            raise SlackError("channel_not_found")
        self.require(f"groups:{scope}" if channel.is_private else f"channels:{scope}")
        if channel.is_private and not self.team.is_member(channel):
            raise SlackError("channel_not_found")
        return channel

    def page(self, name: str, items: Sequence[bytes], following: str, tail: bytes = b"") -> bytes:
        """Return a page of already serialised items; `tail` is what stands before response_metadata."""
        if self.repeat_cursor:
            following = self.params.get("cursor", "")
        body = (b'{"ok":true,"', name.encode(), b'":[', b",".join(items), b"],", tail)
        return b"".join(body) + b'"response_metadata":{"next_cursor":"%s"}}' % following.encode()

    def next_cursor(self, kind: str, position: str | None) -> str:
        """Return the cursor to the page that starts at a position; empty after the last page."""
        if position is None:
            return ""
        return Cursor(position, self.team.settings.empty_pages).encoded(kind)
