"""`text` is what a person would have read in Slack, whichever representation carried it."""

from __future__ import annotations

from time import process_time
from typing import Any, ClassVar

import pytest

from ingest_assets.sources.login import Account
from ingest_assets.sources.slack.names import Names
from ingest_assets.sources.slack.records import SlackMessage

TS = "1785000000.000100"
ACCOUNT = Account(account_id=1, workspace_id="acme", name="Acme", external_id="T1", settings={})
NAMES = Names(users={"U1": "Ann", "USLACKBOT": "Slackbot"}, channels={"C1": "deals"})

PLACEHOLDER = "This content can't be displayed."
NO_PREVIEW = "[no preview available]"


def text_of(**message: Any) -> str | None:
    """The text of a stored message."""
    return SlackMessage.from_api(ACCOUNT, "C1", {"ts": TS} | message, NAMES, in_channel=True).text


def mrkdwn(text: str) -> dict[str, Any]:
    return {"type": "mrkdwn", "text": text}


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text}


def section(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "section", "text": mrkdwn(text), **more}


def rich(*elements: Any) -> list[dict[str, Any]]:
    """Blocks as a person composes them; a text stands for a section."""
    made = [
        {"type": "rich_text_section", "elements": [{"type": "text", "text": element}]}
        if isinstance(element, str)
        else element
        for element in elements
    ]
    return [{"type": "rich_text", "elements": made}]


def inline(*elements: Any) -> list[dict[str, Any]]:
    made = [{"type": "text", "text": element} if isinstance(element, str) else element for element in elements]
    return rich({"type": "rich_text_section", "elements": made})


TABLE = {
    "type": "table",
    "rows": [
        [{"type": "raw_text", "text": "Seats"}, {"type": "raw_number", "value": 80}],
        [{"type": "rich_text", "elements": rich("Sam\nSmith")[0]["elements"]}, {"type": "raw_text", "text": ""}],
    ],
}


class TestABody:
    def test_is_that_of_blocks_where_text_is_only_the_line_of_a_notification(self) -> None:
        assert text_of(text="New deal", blocks=[section("Globex: blocker is SSO")]) == "Globex: blocker is SSO"

    @pytest.mark.parametrize(
        "text",
        [PLACEHOLDER, "This content can\u2019t be displayed", "This message contains interactive elements.", ""],
    )
    def test_is_never_a_placeholder(self, text: str) -> None:
        assert text_of(text=text, blocks=[section("Globex: blocker is SSO")]) == "Globex: blocker is SSO"
        assert text_of(text=text, blocks=[{"type": "divider"}]) is None

    @pytest.mark.parametrize(
        "blocks",
        [
            [],
            "odd",
            [None, 7, "word", {"type": ["odd"]}],
            [{"type": "divider"}],
            [{"type": "actions", "elements": [{"type": "button", "text": plain("Approve")}]}],
            inline(""),
            [{"type": "section", "text": {"type": "mrkdwn", "text": 7}}],
        ],
        ids=str,
    )
    def test_is_the_text_where_blocks_say_nothing(self, blocks: Any) -> None:
        assert text_of(text="the words", blocks=blocks) == "the words"

    def test_is_the_text_where_blocks_are_pictures_and_tells_what_these_show(self) -> None:
        picture = {"type": "image", "alt_text": "churn by month", "title": plain("Churn")}
        assert text_of(text="look", blocks=[picture]) == "look\nChurn\nchurn by month"
        assert text_of(text=PLACEHOLDER, blocks=[picture]) == "Churn\nchurn by month"

    def test_of_an_odd_type_costs_nothing_else(self) -> None:
        assert text_of(text={"odd": 1}, attachments=[{"text": "load 93"}]) == "load 93"

    @pytest.mark.parametrize(
        ("text", "read"),
        [
            ("5 < 6 and 7 > 3", "5 < 6 and 7 > 3"),
            ("a<b> and <!-- c -->", "a<b> and <!-- c -->"),
            ("<!doctype html>", "<!doctype html>"),
            ("if x <y: z> then", "if x <y: z> then"),
            ("1 &lt; 2 &amp;amp; 3 &gt; 2", "1 < 2 &amp; 3 > 2"),
            ("<@> and <@|bob>", "<@> and <@|bob>"),
            ("<@U1> <@U2|bob> <@U3>", "@Ann @bob @U3"),
            ("<#C1> <#C1|> <#C2|other>", "#deals #deals #other"),
            ("<!here> <!subteam^S9> <!subteam^S9|@sales>", "@here @S9 @sales"),
            (
                "<!date^1735689600^{date_short} at {time}|1 Jan> <!date^1735689600^{date}>",
                "1 Jan 2025-01-01 00:00 UTC",
            ),
            ("<mailto:a@b.example|a@b.example> <tel:+491234|call>", "a@b.example call (+491234)"),
            ("<https://a.example|why> <https://b.example>", "why (https://a.example) https://b.example"),
        ],
    )
    def test_keeps_signs_that_are_no_markup(self, text: str, read: str) -> None:
        assert text_of(text=text) == read


class TestBlocks:
    def test_of_people_keep_lists_quotes_and_code(self) -> None:
        def item(text: str) -> dict[str, Any]:
            return {"type": "rich_text_section", "elements": [{"type": "text", "text": text}]}

        blocks = rich(
            "To do:\n",
            {"type": "rich_text_list", "style": "ordered", "offset": 2, "elements": [item("SSO"), item("SCIM")]},
            {"type": "rich_text_list", "style": "bullet", "indent": 1, "elements": [item("soon")]},
            {"type": "rich_text_quote", "elements": [{"type": "text", "text": "no <b>\nno deal"}]},
            {"type": "rich_text_preformatted", "elements": [{"type": "text", "text": "x = 1 < 2"}]},
        )
        assert text_of(text="", blocks=blocks) == (
            "To do:\n3. SSO\n4. SCIM\n  • soon\n> no <b>\n> no deal\nx = 1 < 2"
        )

    def test_of_people_name_people_groups_days_and_colours(self) -> None:
        blocks = inline(
            "hi ",
            {"type": "usergroup", "usergroup_id": "S9"},
            ", ",
            {"type": "user", "user_id": "U1"},
            {"type": "user", "user_id": ""},
            " in ",
            {"type": "channel", "channel_id": "C1"},
            " ",
            {"type": "broadcast", "range": "here"},
            " ",
            {"type": "date", "timestamp": 1735689600, "format": "{date}", "fallback": "New Year"},
            " ",
            {"type": "date", "timestamp": 1735689600, "format": "{date}"},
            " ",
            {"type": "color", "value": "#ff0000"},
            " ",
            {"type": "emoji", "name": "tada"},
            {"type": "link", "url": "https://a.example", "text": "why"},
            {"type": "brand_new", "text": " later"},
        )
        assert text_of(text="", blocks=blocks) == (
            "hi @S9, @Ann in #deals @here New Year 2025-01-01 00:00 UTC #ff0000 :tada:why (https://a.example)"
            " later"
        )

    def test_of_apps_keep_words_and_leave_out_what_can_be_pressed(self) -> None:
        button = {"type": "button", "text": plain("Approve")}
        blocks = [
            {"type": "header", "text": plain("Deal & risk")},
            section("*Globex*", fields=[mrkdwn("Seats: 80"), None, plain("Stage: trial")], accessory=button),
            section("Logo", accessory={"type": "image", "alt_text": "a globe"}),
            section("Menu", accessory={"type": "static_select", "options": [{"text": plain("one")}]}),
            section("Lunch?", accessory={"type": "radio_buttons", "options": [{"text": plain("Pizza")}]}),
            {
                "type": "context",
                "elements": [{"type": "image", "alt_text": "icon"}, mrkdwn("by Ann"), plain("today")],
            },
            {"type": "markdown", "text": "**bold** and 1 < 2"},
            {"type": "video", "title": plain("Demo"), "description": plain("of SSO"), "alt_text": "film"},
            {"type": "actions", "elements": [button]},
            {"type": "context_actions", "elements": [{"type": "feedback_buttons"}]},
            {"type": "divider"},
        ]
        assert text_of(text="x", blocks=blocks) == "\n".join(
            [
                *("Deal & risk", "*Globex*", "Seats: 80", "Stage: trial", "Logo", "a globe", "Menu", "Lunch?"),
                *("Pizza", "by Ann today", "**bold** and 1 < 2", "Demo", "of SSO"),
            ]
        )

    def test_of_newer_kinds_are_read_too(self) -> None:
        blocks = [
            TABLE,
            {"type": "alert", "text": plain("Limit reached")},
            {
                "type": "card",
                "title": mrkdwn("Globex"),
                "body": mrkdwn("at risk"),
                "actions": [{"type": "button"}],
            },
            {"type": "carousel", "elements": [{"type": "card", "title": plain("One")}]},
            {"type": "container", "title": plain("Box"), "child_blocks": [section("inside")]},
            {
                "type": "plan",
                "title": "Steps",
                "tasks": [{"type": "task_card", "title": "First", "output": rich("done")[0]}],
            },
            {"type": "of_tomorrow", "title": plain("Unknown"), "elements": [mrkdwn("but readable")], "url": "u"},
        ]
        assert text_of(text="x", blocks=blocks) == "\n".join(
            [
                *("Seats | 80", "Sam Smith | ", "Limit reached", "Globex", "at risk", "One", "Box", "inside"),
                *("Steps", "First", "done", "Unknown", "but readable"),
            ]
        )

    def test_of_a_call_are_named_beside_the_text(self) -> None:
        call = {"type": "call", "call": {"v1": {"name": "Weekly with Globex"}}}
        assert text_of(text="A call started", blocks=[call]) == "A call started\nWeekly with Globex"


class TestWhatIsAttached:
    @pytest.mark.parametrize(
        ("message", "read"),
        [
            (
                {
                    "text": "please look",
                    "attachments": [{"is_share": True, "text": "The export is broken since Monday"}],
                },
                "please look\nThe export is broken since Monday",
            ),
            (
                {"text": "our prices:", "attachments": [{"fallback": NO_PREVIEW, "blocks": [TABLE]}]},
                "our prices:\nSeats | 80\nSam Smith | ",
            ),
            ({"text": "", "attachments": [{"fallback": "CPU", "text": "load 93 on db-1"}]}, "load 93 on db-1"),
            (
                {
                    "text": "",
                    "attachments": [
                        {
                            "pretext": "Alert!",
                            "title": "CPU",
                            "text": "load 93",
                            "fields": [{"title": "Host", "value": "db-1"}, {"title": "", "value": "red"}, 7],
                            "actions": [{"type": "button", "text": "Silence"}],
                        }
                    ],
                },
                "Alert!\nCPU\nload 93\nHost: db-1\nred",
            ),
            (
                {"text": "x", "attachments": [{"fallback": NO_PREVIEW}, {"fallback": "[640x480px image]"}, None]},
                "x",
            ),
            ({"text": "", "attachments": [{"fallback": "only this"}]}, "only this"),
            ({"text": "", "attachments": 7}, None),
        ],
        ids=str,
    )
    def test_is_read_after_the_body(self, message: dict[str, Any], read: str | None) -> None:
        assert text_of(**message) == read

    def test_by_a_share_is_the_message_with_its_blocks_files_and_shares(self) -> None:
        inner = {"blocks": rich("See *this*"), "attachments": [{"is_share": True, "text": "The root"}]}
        share = {
            "is_share": True,
            "is_msg_unfurl": True,
            "from_url": "https://acme.slack.com/archives/C1/p1",
            "fallback": "[November 3rd] ann: See this",
            "text": "See this",
            "message_blocks": [{"team": "T1", "channel": "C1", "message": inner}],
            "files": [{"mode": "email", "title": "Re: Renewal", "plain_text": "We will not renew"}],
        }
        assert text_of(text="fyi", attachments=[share]) == (
            "fyi\nSee *this*\nThe root\nRe: Renewal\nWe will not renew"
        )

    def test_by_a_share_is_read_so_deep_and_no_deeper(self) -> None:
        share: dict[str, Any] = {"is_share": True, "text": "level 0 of it"}
        for level in range(1, 500):
            share = {
                "is_share": True,
                "message_blocks": [{"message": {"text": f"level {level} of it", "attachments": [share]}}],
            }
        text = text_of(text="fyi", attachments=[share])
        assert text is not None
        assert text.startswith("fyi\nlevel 499 of it\nlevel 498 of it")
        assert len(text) < 200

    @pytest.mark.parametrize("mark", ["from_url", "original_url", "service_name"])
    def test_by_slack_to_a_link_is_no_word_of_the_author(self, mark: str) -> None:
        preview = {
            mark: "https://news.example",
            "title": "Globex in trouble",
            "text": "The firm",
            "fallback": "News",
        }
        assert text_of(text="<https://news.example>", attachments=[preview]) == "https://news.example"
        assert text_of(text="", attachments=[preview]) is None

    def test_to_a_link_to_a_message_is_read(self) -> None:
        linked = {
            "is_msg_unfurl": True,
            "from_url": "https://acme.slack.com/archives/C1/p1",
            "text": "I will churn",
        }
        assert text_of(text="see", attachments=[linked]) == "see\nI will churn"

    @pytest.mark.parametrize(
        ("body", "attached", "read"),
        [
            ("load 93 on db-1", "load 93 on db-1", "load 93 on db-1"),
            ("*load 93* on `db-1`!", "load 93 on db-1", "*load 93* on `db-1`!"),
            ("Alert: load 93 on db-1, now", "load 93 on <https://h.example|db-1>", None),
            ("see <https://h.example|db-1>", "see <https://h.example|the host>", "see db-1 (https://h.example)"),
            ("load 93 on db-1", "load 93 on db-1 since noon", "load 93 on db-1 since noon"),
            ("No way", "No", "No way\nNo"),
            (":tada:", ":tada:", ":tada:"),
            ("👍", "👍", "👍"),
        ],
    )
    def test_is_not_said_twice(self, body: str, attached: str, read: str | None) -> None:
        told = text_of(text=body, attachments=[{"text": attached}])
        assert told == (read or "Alert: load 93 on db-1, now\nload 93 on db-1 (https://h.example)")

    def test_may_repeat_itself_within_the_body(self) -> None:
        assert text_of(text="", blocks=[section("no"), section("no")]) == "no\nno"


class TestFiles:
    @pytest.mark.parametrize(
        ("file", "read"),
        [
            (
                {"mode": "email", "title": "Re: Renewal", "plain_text": "We will <not> renew"},
                "Re: Renewal\nWe will <not> renew",
            ),
            ({"mode": "email", "subject": "Re: Renewal", "preview_plain_text": "No"}, "Re: Renewal\nNo"),
            ({"mode": "email", "title": "Hi", "preview": "<p>We&nbsp;will</p><p>not</p>"}, "Hi\nWe\xa0will  not"),
            ({"mode": "snippet", "title": "Untitled", "preview": "x = 1 &amp; 2"}, "x = 1 &amp; 2"),
            ({"mode": "snippet", "title": "a.txt", "preview": "cut", "plain_text": "whole"}, "whole"),
            (
                {
                    "mode": "hosted",
                    "title": "clip.mp4",
                    "transcription": {"preview": {"content": "we will leave"}},
                },
                "we will leave",
            ),
            ({"mode": "hosted", "title": "clip.mp4", "transcription": {"status": "failed"}}, "clip.mp4"),
            ({"mode": "quip", "filetype": "quip", "title": "Account plan Globex"}, "Account plan Globex"),
            (
                {"mode": "hosted", "title": "prices.pdf", "initial_comment": {"comment": "our prices"}},
                "our prices",
            ),
            ({"mode": "tombstone"}, None),
        ],
        ids=str,
    )
    def test_are_read_where_they_bring_words(self, file: dict[str, Any], read: str | None) -> None:
        assert text_of(text="", files=[file]) == read

    def test_do_not_add_their_names_to_what_was_said(self) -> None:
        assert text_of(text="see", files=[{"mode": "hosted", "title": "prices.pdf"}, 7]) == "see"

    def test_do_not_repeat_what_the_message_quotes(self) -> None:
        file = {"mode": "email", "title": "Re: Renewal", "plain_text": "We will not renew"}
        assert text_of(text="We will not renew", files=[file]) == "We will not renew\nRe: Renewal"

    def test_of_a_huddle_leave_what_it_says_of_itself(self) -> None:
        assert (
            text_of(subtype="huddle_thread", text="A huddle started", room={"name": "Deal room"})
            == "A huddle started"
        )
        assert text_of(subtype="huddle_thread", text="", room={"name": "Deal room"}) == "Deal room"


def author_of(**message: Any) -> str | None:
    return SlackMessage.from_api(ACCOUNT, "C1", {"ts": TS} | message, NAMES, in_channel=True).author_name


class TestAnAuthor:
    @pytest.mark.parametrize(
        ("message", "name"),
        [
            ({"user": "U1"}, "Ann"),
            ({"user": "U1", "user_profile": {"display_name": "ann as she was"}}, "Ann"),
            ({"user": "U9", "user_profile": {"display_name": "Gus", "real_name": "Gus Guest"}}, "Gus"),
            ({"user": "U9", "user_profile": {"display_name": "", "real_name": "Gus Guest"}}, "Gus Guest"),
            ({"subtype": "bot_message", "username": "Lead intake", "bot_id": "B0WORKFLOW"}, "Lead intake"),
            ({"user": "U1", "bot_id": "B1", "username": "Deploys"}, "Deploys"),
            ({"user": "U9", "bot_id": "B1", "bot_profile": {"name": "Zapier"}}, "Zapier"),
            ({"bot_id": "B1", "username": "", "bot_profile": {"name": "Zapier"}}, "Zapier"),
            ({"username": "legacy"}, "legacy"),
            ({"user": "U9", "user_profile": "odd", "bot_profile": ["odd"]}, None),
            ({"user": "U9", "user_profile": {"display_name": 7, "real_name": " "}}, None),
        ],
    )
    def test_is_named_as_people_were_shown_them(self, message: dict[str, Any], name: str | None) -> None:
        assert author_of(**message) == name


class TestBounds:
    HOSTILE: ClassVar[dict[str, dict[str, Any]]] = {
        "opening signs": {"text": "<" * 1_000_000},
        "an open link": {"text": "<https://a.example|" + "a" * 1_000_000},
        "many links": {"text": "<@U1|" * 200_000},
        "many attachments": {
            "attachments": [{"text": f"alert {n}", "fields": [{"value": "v" * 50}] * 300} for n in range(300)]
        },
        "many fields": {
            "attachments": [
                {"fields": [{"title": f"f {n}", "value": f"{m}"} for n in range(100)]} for m in range(100)
            ]
        },
        "one long word": {"attachments": [{"text": "a" * 900_000}, {"text": "a" * 900_001}]},
        "a long mail": {"files": [{"mode": "email", "preview": "<" * 900_000 + ">"}]},
        "a wide table": {
            "blocks": [{"type": "table", "rows": [[{"type": "raw_text", "text": "x"}] * 3000] * 300}]
        },
    }

    @pytest.mark.parametrize("name", HOSTILE)
    def test_hold_time_and_length(self, name: str) -> None:
        begun = process_time()
        text = text_of(**self.HOSTILE[name])
        assert process_time() - begun < 1
        assert text is None or len(text) <= 200_000

    @pytest.mark.parametrize(
        ("message", "shortened"),
        [
            ({"text": "short"}, False),
            ({"text": "long " * 100_000}, True),
            ({"attachments": [{"text": "long " * 100_000}]}, True),
            ({"files": [{"mode": "email", "title": "Re: it", "plain_text": "long " * 100_000}]}, True),
            ({"attachments": [{"fields": [{"value": f"{m} {n}"} for n in range(100)]} for m in range(100)]}, True),
            ({"blocks": [{"type": "table", "rows": [[plain("x")] * 3000] * 300}]}, True),
        ],
    )
    def test_tell_what_they_cut(self, message: dict[str, Any], shortened: bool) -> None:
        stored = SlackMessage.from_api(ACCOUNT, "C1", {"ts": TS} | message, NAMES, in_channel=True)
        assert stored.text_shortened == shortened

    def test_hold_depth(self) -> None:
        blocks: dict[str, Any] = section("deep")
        for _ in range(2000):
            blocks = {"type": "container", "title": plain("a title"), "child_blocks": [blocks]}
        text = text_of(text="", blocks=[blocks])
        assert text is not None
        assert 5 < text.count("a title") < 30
