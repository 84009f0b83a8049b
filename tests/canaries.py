"""Somebody who is to be erased, at each source: words, a name and an address that nobody else has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.sources.tenants import FathomTenant, GmailTenant, GongTenant, SlackTenant

EMAIL = "ada.canary@example.com"
NAME = "Ada Canaria"
WORD = "zanzibarwort"  # what only this person says
LINES = ["Hello.", "We need single sign-on.", "I will send the offer by Friday."]


def in_slack(slack: SlackTenant) -> list[str]:
    """Let Ada, who has two users, talk in Slack, and others talk to her; return her ids."""
    ids = [slack.order("user", name=name, real_name=NAME)["user"] for name in ("ada.canary", "Ada.Canary")]
    for user in ids:
        parent = slack.order("post", channel="general", text=f"I say {WORD}", user=user, hours_ago=3)
        slack.order(
            "post", channel="general", text=f"{WORD} again", user=user, thread_ts=parent["ts"], broadcast=True
        )
    slack.order("post", channel="general", text=f"ask <@{ids[0]}> or <mailto:{EMAIL}|{EMAIL}>", hours_ago=2)
    shared = {"author_id": ids[0], "author_name": NAME, "text": f"shared {WORD}", "is_share": True}
    slack.order("post", channel="general", text="look at this", hours_ago=2, extra={"attachments": [shared]})
    slack.order("post", channel="general", text="nobody in particular", hours_ago=1)
    return ids


def in_gong(gong: GongTenant) -> str:
    """Let Ada speak in a call, with a namesake who has another address."""
    call = str(gong.order("call", hours_ago=2)["call"])
    parties = [
        {"emailAddress": EMAIL.upper(), "name": NAME, "speakerId": "1", "affiliation": "External"},
        {
            "emailAddress": "namesake@other.example",
            "name": "Bob Other",
            "speakerId": "2",
            "affiliation": "Internal",
        },
    ]
    facts = {"id": call, "started": "2026-11-20T10:00:00Z", "title": f"{NAME} meets us"}
    payload = {"metaData": facts, "parties": parties, "content": {"brief": f"They met {NAME}."}}
    gong.order("raw", call=call, payload=payload)
    turns = [(("1", "2")[place % 2], line) for place, line in enumerate((f"I say {WORD}.", *LINES))]
    monologues = [
        {"speakerId": speaker, "sentences": [{"start": 0, "end": 1, "text": line}]} for speaker, line in turns
    ]
    gong.order("transcript", call=call, monologues=monologues)
    return call


def in_fathom(fathom: FathomTenant) -> None:
    """Let Ada speak in one session by address and by name, and only by name in another."""
    for lines, mail in (([f"I say {WORD}.", "Hello."], EMAIL), (["Only my name tells.", "Hello."], None)):
        recording = int(fathom.order("meeting", hours_ago=2)["recording"])
        invitee = {"name": NAME, "email": mail, "matched_speaker_display_name": NAME, "is_external": True}
        fields = {"calendar_invitees": [invitee] if mail else []}
        fathom.order("edit", recording=recording, fields=fields)
        speakers = [(NAME, None), ("Host", "host@vendor.example"), (NAME, mail)]
        utterances = [
            {
                "speaker": {"display_name": name, "matched_calendar_invitee_email": address},
                "text": line,
                "timestamp": "00:00:01",
            }
            for (name, address), line in zip(speakers, [*lines, lines[0]], strict=True)
        ]
        fathom.order("transcript", recording=recording, utterances=utterances)


def in_gmail(gmail: GmailTenant) -> None:
    """Let Ada write, be written to, and be quoted with and without her address."""
    first = gmail.message(sender=f"{NAME} <{EMAIL}>", text=f"Dear all, {WORD}.", subject="Offer")
    thread, answered = first["thread"], f"<{first['message']}@mail.example>"
    quote = f"On Mon, 23 Nov 2026 at 10:00, Ada wrote:\n> Dear all, {WORD}."
    gmail.message(thread=thread, sender="bob@x.example", to=f'"{NAME}" <{EMAIL}>', text=f"To Ada: yes.\n\n{quote}")
    gmail.message(
        thread=thread,
        sender="carol@x.example",
        text=f"To you: yes.\n\n{quote}",
        headers={"In-Reply-To": answered, "References": answered},
    )
    gmail.message(sender="dan@x.example", to=f"team@vendor.example, {EMAIL}", text="A text to many.")
    gmail.message(sender="ada.canary+tag@example.com", text="Another address.")


TALKS: Mapping[str, Callable[[Any], object]] = {
    "slack": in_slack,
    "gong": in_gong,
    "fathom": in_fathom,
    "gmail": in_gmail,
}
"""Lets her talk at a source."""
