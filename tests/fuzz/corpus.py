"""Payloads as the vendors send them; what the mutations start from."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

Json = dict[str, Any]


def encoded(text: str, charset: str = "utf-8") -> str:
    """Encode a body as Gmail does."""
    return urlsafe_b64encode(text.encode(charset, "replace")).rstrip(b"=").decode()


SLACK_MESSAGES: list[Json] = [
    {
        "type": "message",
        "user": "U1",
        "text": "Hi <@U2>, see <https://x.example/a?b=1&amp;c=2|the offer> in <#C1|sales> :tada: &lt;3",
        "ts": "1795703716.000100",
        "client_msg_id": "5d6d8f1a-0000-4000-8000-000000000001",
        "team": "T1",
        "thread_ts": "1795703716.000100",
        "reply_count": 2,
        "reply_users_count": 1,
        "latest_reply": "1795703999.000200",
        "reply_users": ["U2"],
        "edited": {"user": "U1", "ts": "1795703800.000000"},
        "reactions": [{"name": "+1", "users": ["U2", "U3"], "count": 2}],
        "user_profile": {"real_name": "Ann", "display_name": "ann", "team": "T1"},
        "blocks": [
            {
                "type": "rich_text",
                "block_id": "b1",
                "elements": [
                    {
                        "type": "rich_text_section",
                        "elements": [
                            {"type": "text", "text": "Hi ", "style": {"bold": True}},
                            {"type": "user", "user_id": "U2"},
                            {"type": "link", "url": "https://x.example/a", "text": "the offer"},
                            {"type": "emoji", "name": "tada", "unicode": "1f389"},
                            {"type": "usergroup", "usergroup_id": "S1"},
                            {"type": "date", "timestamp": 1795703716, "format": "{date}", "fallback": "today"},
                            {"type": "color", "value": "#ff0000"},
                            {"type": "broadcast", "range": "here"},
                        ],
                    },
                    {
                        "type": "rich_text_list",
                        "style": "ordered",
                        "indent": 1,
                        "offset": 3,
                        "elements": [
                            {"type": "rich_text_section", "elements": [{"type": "text", "text": "one"}]},
                            {"type": "rich_text_section", "elements": [{"type": "text", "text": "two"}]},
                        ],
                    },
                    {"type": "rich_text_quote", "elements": [{"type": "text", "text": "said"}]},
                    {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x = 1\n"}]},
                ],
            }
        ],
    },
    {
        "type": "message",
        "subtype": "bot_message",
        "username": "Deals",
        "bot_id": "B1",
        "bot_profile": {"id": "B1", "name": "deals", "app_id": "A1", "icons": {}, "deleted": False},
        "text": "New deal",
        "ts": "1795703717.000100",
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "New deal", "emoji": True}},
            {
                "type": "section",
                "text": {"type": "mrkdwn", "text": "*Acme* <https://crm.example/1|open>"},
                "fields": [{"type": "mrkdwn", "text": "*Amount*\n40,000"}, {"type": "plain_text", "text": "Q4"}],
                "accessory": {
                    "type": "button",
                    "text": {"type": "plain_text", "text": "Open"},
                    "url": "https://x",
                },
            },
            {
                "type": "context",
                "elements": [{"type": "mrkdwn", "text": "by ann"}, {"type": "image", "alt_text": "x"}],
            },
            {"type": "divider"},
            {"type": "image", "title": {"type": "plain_text", "text": "Chart"}, "alt_text": "a chart"},
            {"type": "table", "rows": [[{"type": "raw_text", "text": "a"}, {"type": "raw_text", "text": "b"}]]},
            {"type": "video", "title": {"type": "plain_text", "text": "Demo"}, "description": {"text": "d"}},
            {"type": "markdown", "text": "**bold** [x](https://x)"},
        ],
        "attachments": [
            {
                "id": 1,
                "fallback": "Deal of Acme",
                "pretext": "pre",
                "author_name": "CRM",
                "title": "Acme",
                "title_link": "https://crm.example/1",
                "text": "A *big* one",
                "fields": [{"title": "Stage", "value": "Won", "short": True}],
                "footer": "crm",
                "mrkdwn_in": ["text"],
                "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "inner"}}],
                "message_blocks": [{"team": "T1", "message": {"blocks": [{"type": "rich_text", "elements": []}]}}],
            }
        ],
        "metadata": {"event_type": "deal", "event_payload": {"id": 1}},
    },
    {
        "type": "message",
        "user": "U1",
        "text": "",
        "ts": "1795703718.000100",
        "upload": True,
        "files": [
            {
                "id": "F1",
                "name": "feedback.csv",
                "title": "feedback",
                "mimetype": "text/csv",
                "size": 4096,
                "mode": "snippet",
                "preview": "a,b\n1,2",
                "plain_text": "what it holds",
                "initial_comment": {"comment": "look"},
                "transcription": {"status": "complete", "preview": {"content": "hello", "has_more": True}},
                "channels": ["C1"],
            },
            {"id": "F2", "mode": "tombstone"},
        ],
    },
    {
        "type": "message",
        "subtype": "channel_join",
        "user": "U1",
        "text": "<@U1> has joined",
        "ts": "1795703719.000100",
    },
    {"type": "message", "subtype": "tombstone", "user": "USLACKBOT", "text": "deleted", "ts": "1795703720.000100"},
    {
        "type": "message",
        "subtype": "huddle_thread",
        "ts": "1795703721.000100",
        "user": "USLACKBOT",
        "room": {"id": "R1", "participant_history": ["U1", "U2"], "date_start": 1795703721, "date_end": 0},
    },
]

SLACK_USERS: list[Json] = [
    {
        "id": "U1",
        "team_id": "T1",
        "name": "ann",
        "deleted": False,
        "real_name": "Ann Lee",
        "is_bot": False,
        "updated": 1795703716,
        "profile": {
            "display_name": "ann",
            "real_name": "Ann Lee",
            "email": "ann@acme.example",
            "fields": {"X1": {"value": "v", "alt": ""}},
            "status_emoji": ":tada:",
        },
    },
    {"id": "U2", "error": "user_not_found"},
]

SLACK_CHANNELS: list[Json] = [
    {
        "id": "C1",
        "name": "sales",
        "is_channel": True,
        "is_private": False,
        "is_archived": False,
        "is_member": True,
        "num_members": 12,
        "updated": 1795703716000,
        "created": 1795000000,
        "previous_names": ["deals"],
        "topic": {"value": "t", "creator": "U1", "last_set": 0},
        "purpose": {"value": "p"},
    },
]

GONG_TRANSCRIPT: list[Json] = [
    {
        "speakerId": "s1",
        "topic": "Pricing",
        "sentences": [
            {"start": 0, "end": 1500, "text": "We lose two hours a day to the export."},
            {"start": 1600, "end": 2500, "text": "It is the worst part of my week."},
        ],
    },
    {"speakerId": "s2", "topic": None, "sentences": [{"start": 3000, "end": 4000, "text": "I see, thank you."}]},
]

GONG_CALLS: list[Json] = [
    {
        "metaData": {
            "id": "7782342274025937895",
            "url": "https://app.gong.io/call?id=7782342274025937895",
            "title": "Acme weekly",
            "scheduled": "2026-11-26T15:00:00Z",
            "started": "2026-11-26T15:00:12.123+01:00",
            "duration": 460,
            "primaryUserId": "234599484848423",
            "direction": "Inbound",
            "system": "Outreach",
            "scope": "Internal",
            "media": "Video",
            "language": "eng",
            "workspaceId": "623457276584334",
            "isPrivate": False,
            "calendarEventId": "abcde",
        },
        "parties": [
            {
                "id": "p1",
                "emailAddress": "ann@acme.example",
                "name": "Ann",
                "userId": "1",
                "speakerId": "s1",
                "affiliation": "Internal",
                "context": [{"system": "Salesforce", "objects": [{"objectType": "Contact", "fields": []}]}],
            },
            {
                "id": "p2",
                "name": None,
                "emailAddress": "bob@x.example",
                "speakerId": "s2",
                "affiliation": "External",
            },
        ],
        "content": {"topics": [{"name": "Pricing", "duration": 20}], "trackers": [], "brief": "b"},
        "media": {"audioUrl": "https://signed.example/a", "videoUrl": "https://signed.example/v"},
        "transcript": GONG_TRANSCRIPT,
    },
    {"metaData": {"id": "778", "scheduled": "2026-11-26T15:00:00Z", "title": None, "duration": None}},
]

GONG_USERS: list[Json] = [
    {
        "id": "234599484848423",
        "emailAddress": "ann@acme.example",
        "created": "2018-02-17T02:30:00-08:00",
        "active": True,
        "firstName": "Ann",
        "lastName": "Lee",
        "settings": {"webConferencesRecorded": True},
        "spokenLanguages": [{"language": "es-ES", "primary": True}],
    },
    {"id": "1", "name": "Sales", "description": "d"},
]

FATHOM_SESSIONS: list[Json] = [
    {
        "title": "Quarterly review",
        "meeting_title": "QBR",
        "recording_id": 123456789,
        "url": "https://fathom.video/calls/123",
        "share_url": "https://fathom.video/share/x",
        "created_at": "2026-11-26T17:01:30Z",
        "scheduled_start_time": "2026-11-26T16:00:00Z",
        "scheduled_end_time": "2026-11-26T17:00:00Z",
        "recording_start_time": "2026-11-26T16:01:12Z",
        "recording_end_time": "2026-11-26T17:00:55Z",
        "calendar_invitees_domains_type": "one_or_more_external",
        "meeting_type": "external",
        "transcript_language": "en",
        "transcript": [
            {
                "speaker": {"display_name": "Ann", "matched_calendar_invitee_email": "ann@acme.example"},
                "text": "Let's revisit the budget allocations.",
                "timestamp": "00:05:32",
            },
            {"speaker": {"display_name": "Bob"}, "text": "It is forty thousand.", "timestamp": "01:05:32"},
        ],
        "default_summary": {"template_name": "general", "markdown_formatted": "## Summary\nWe talked.\n"},
        "action_items": [{"description": "Send the offer", "completed": False, "assignee": {"name": "Ann"}}],
        "calendar_invitees": [
            {
                "name": "Ann",
                "matched_speaker_display_name": "Ann",
                "email": "ann@acme.example",
                "email_domain": "acme.example",
                "is_external": False,
            },
            {"name": "Bob", "email": "bob@x.example", "is_external": True},
        ],
        "recorded_by": {"name": "Ann", "email": "ann@acme.example", "team": "Sales"},
        "crm_matches": {"contacts": [{"name": "Bob", "email": "bob@x.example"}]},
    },
]

PLAIN = (
    "Hello Ann,\r\n\r\nthe offer is below.\r\n\r\n-- \r\nBob Smith\r\nNorthwind\r\n\r\n"
    "On Thu, Nov 26, 2026 at 3:07 PM Ann Lee <ann@acme.example> wrote:\r\n> Could you send it?\r\n>> yes\r\n"
)
MARKUP = (
    "<html><head><style>p{color:red}</style></head><body><p>Hello <b>Ann</b>,</p><ul><li>one<li>two</ul>"
    "<table><tr><td>a</td><td>b</td></tr></table><a href='https://x.example'>here</a>"
    "<div class='gmail_quote'><div class='gmail_attr'>On Thu, Ann wrote:</div><blockquote>old</blockquote></div>"
    "</body></html>"
)
CALENDAR = (
    "BEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:Kick-off\\, Acme\r\n"
    "DTSTART;TZID=Europe/Berlin:20261126T150000\r\nDTEND:20261126T160000Z\r\nLOCATION:Room\r\n"
    "DESCRIPTION:Agenda\\n1. Hello\r\n  folded\r\nORGANIZER;CN=Ann:mailto:ann@acme.example\r\n"
    "RRULE:FREQ=WEEKLY\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
)


def mail_part(mime_type: str, text: str = "", **fields: Any) -> Json:
    """Make a part of a message as Gmail shows it."""
    part: Json = {
        "partId": "0",
        "mimeType": mime_type,
        "filename": "",
        "headers": [{"name": "Content-Type", "value": f'{mime_type}; charset="UTF-8"'}],
        "body": {"size": len(text), "data": encoded(text)} if text else {"size": 0},
    }
    return part | fields


HEADERS: list[Json] = [
    {"name": "From", "value": "Bob Smith <bob@x.example>"},
    {"name": "To", "value": '"Lee, Ann" <ann@acme.example>, team: a@b.example, c@d.example;'},
    {"name": "Cc", "value": "=?utf-8?Q?J=C3=B6rg?= <joerg@x.example>"},
    {"name": "Subject", "value": "Re: =?utf-8?B?QW5nZWJvdA==?="},
    {"name": "Message-ID", "value": "<1@x.example>"},
    {"name": "Date", "value": "Thu, 26 Nov 2026 15:07:50 +0100"},
    {"name": "In-Reply-To", "value": "<0@x.example>"},
]


def mail_message(payload: Json, **fields: Any) -> Json:
    """Make a message of threads.get."""
    return {
        "id": "18c1",
        "threadId": "18c0",
        "labelIds": ["INBOX", "Label_1"],
        "snippet": "Hello",
        "historyId": "123",
        "internalDate": "1795703716000",
        "sizeEstimate": 4096,
        "payload": {**payload, "headers": [*HEADERS, *payload.get("headers", ())]},
        **fields,
    }


ALTERNATIVES = mail_part(
    "multipart/alternative",
    parts=[
        mail_part("text/plain", PLAIN, partId="0.0"),
        mail_part("text/html", MARKUP, partId="0.1"),
        mail_part("text/calendar", CALENDAR, partId="0.2"),
    ],
)
GMAIL_MESSAGES: list[Json] = [
    mail_message(ALTERNATIVES),
    mail_message(mail_part("text/plain", PLAIN)),
    mail_message(mail_part("text/html", MARKUP)),
    mail_message(
        mail_part(
            "multipart/mixed",
            parts=[
                ALTERNATIVES,
                mail_part("application/pdf", filename="offer.pdf", body={"attachmentId": "a1", "size": 9000}),
                mail_part("text/plain", partId="2", body={"attachmentId": "a2", "size": 90_000}),
                mail_part("message/rfc822", filename="noname.eml", parts=[ALTERNATIVES]),
            ],
        )
    ),
]

GMAIL_HISTORY: list[Json] = [
    {
        "id": "124",
        "messages": [{"id": "18c1", "threadId": "18c0"}],
        "messagesAdded": [{"message": {"id": "18c1", "threadId": "18c0", "labelIds": ["INBOX"]}}],
        "messagesDeleted": [{"message": {"id": "18c2", "threadId": "18c0"}}],
        "labelsAdded": [{"message": {"id": "18c1", "threadId": "18c0"}, "labelIds": ["Label_1"]}],
        "labelsRemoved": [{"message": {"id": "18c1", "threadId": "18c0"}, "labelIds": ["INBOX"]}],
    }
]

PAGES: list[Json] = [
    {"items": [{"id": 1}], "cursor": "a"},
    {"ok": True, "channels": [], "response_metadata": {"next_cursor": "b"}},
    {"records": {"totalRecords": 3, "cursor": "c"}, "calls": []},
    {"items": [], "cursor": ""},
]

PRIVATE = "what only the customer may know"
ANSWERS: list[Json] = [
    {"ok": False, "error": "not_in_channel", "needed": "x", "provided": "y"},
    {"error": "invalid_grant", "error_description": PRIVATE},
    {"error": {"code": 403, "status": "PERMISSION_DENIED", "details": [{"reason": "SERVICE_DISABLED"}]}},
    {"error": {"code": 429, "message": f"{PRIVATE}. Retry after 2026-11-26T15:07:50.123Z", "errors": []}},
    {"requestId": PRIVATE, "errors": [f"No calls were found for {PRIVATE} in the period", PRIVATE]},
    {"error": {"code": 403, "message": "m", "errors": [{"domain": "usageLimits", "reason": "rateLimitExceeded"}]}},
    {"requestId": "1", "errors": ["no calls found"]},
    {"message": "Not found"},
]

FINDINGS: list[Json] = [
    {
        "items": [
            {
                "quote": "lose two hours a day to the export",
                "speaker": "Ann",
                "kind": "pain",
                "statement": "The export is slow.",
                "person": None,
                "due": "Friday",
                "sentiment": "negative",
            }
        ],
        "summary": "They talked.",
    }
]
MODEL_ERRORS: list[Json] = [
    {
        "error": {
            "message": "maximum context length is 8192 tokens",
            "code": "context_length_exceeded",
            "param": None,
        }
    },
    {"error": {"code": 502, "message": "Provider returned error", "metadata": {"raw": '{"error": "x"}'}}},
    {"detail": [{"loc": ["body", "messages"], "msg": "field required", "type": "value_error"}]},
    {"object": "error", "message": "too many tokens", "type": "BadRequestError", "code": 40303},
]


def completion(text: str) -> Json:
    """Make a chat completion that says a text."""
    message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1795703716,
        "model": "gpt-test",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {"prompt_tokens": 900, "completion_tokens": 90, "total_tokens": 990},
    }


HEADER_VALUES = [
    "30",
    "1.5",
    "0",
    "-5",
    "Thu, 26 Nov 2026 15:07:50 GMT",
    "Thu, 26 Nov 2026 15:07:50 +0100",
    "2026-11-26T15:07:50Z",
    "1795703716",
    "1795703716000",
    "6m0s",
    "1h2m3.5s",
    "250ms",
    "100, 100;w=60",
    '"default";r=50;t=30',
    "",
]
