"""Slack's ids and addresses.

https://acme.slack.com/archives/C0123/p1700000000123456                    a message; p is its ts without the point
                             ...?thread_ts=1700000000.000001&cid=C0123     a reply, and its parent's ts
https://app.slack.com/client/T0123/C0123                                   a channel, as the browser shows it
hosts                        NAME.slack.com, NAME.enterprise.slack.com, app.slack.com; the same of slack-gov.com
"""

import re
from collections.abc import Iterator

from ingest_assets.sources.locating import Sought, locating
from ingest_assets.sources.slack.records import SlackChannel, SlackMessage, SlackUser, at
from ingest_assets.storage.schema import StoredRow

HOST = r"https?://(?:[a-z0-9-]{1,63}\.){1,2}slack(?:-gov)?\.com"
CHANNEL = r"(?P<channel>[CGD][A-Z0-9]{4,20})"
REST = r"/?(?:[?#][!-~]{0,500})?"
SECONDS, MICROS = r"(?P<seconds>\d{10})", r"(?P<micros>\d{6})"


def _message(match: re.Match[str]) -> Iterator[Sought]:
    ts, channel = f"{match['seconds']}.{match['micros']}", match.groupdict().get("channel")
    if channel is None:
        yield Sought(record=SlackMessage, value=ts, column="ts", at=at(ts))
    else:
        yield Sought(record=SlackMessage, value=SlackMessage.id_of(channel, ts), part=channel, at=at(ts))


def _channel(match: re.Match[str]) -> Iterator[Sought]:
    yield Sought(record=SlackChannel, value=match["channel"], part=match["channel"])


def _named(match: re.Match[str]) -> Iterator[Sought]:
    yield Sought(record=SlackChannel, value=match["name"], column="name")


def _user(match: re.Match[str]) -> Iterator[Sought]:
    yield Sought(record=SlackUser, value=match["user"])


locate = locating(
    (
        (rf"{HOST}/archives/{CHANNEL}/p{SECONDS}{MICROS}{REST}", _message),
        (
            rf"{HOST}/client/[TE][A-Z0-9]{{4,20}}/{CHANNEL}(?:/thread/[CGD][A-Z0-9]{{4,20}}-{SECONDS}\.{MICROS})",
            _message,
        ),
        (rf"{HOST}/(?:archives|client/[TE][A-Z0-9]{{4,20}})/{CHANNEL}{REST}", _channel),
        (rf"{CHANNEL}:{SECONDS}\.{MICROS}", _message),
        (rf"p?{SECONDS}\.?{MICROS}", _message),
        (CHANNEL, _channel),
        (r"#(?P<name>[^\s#]{1,80})", _named),
        (r"(?P<user>[UW][A-Z0-9]{6,20})", _user),
    )
)


def link(row: StoredRow, account: StoredRow) -> str | None:
    """Return where Slack shows a row's channel."""
    channel = getattr(row, "channel_id", None)
    return None if channel is None else f"https://app.slack.com/client/{account.external_id}/{channel}"
