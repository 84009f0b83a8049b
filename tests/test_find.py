"""`find` says where an item is, or why it is not here; what a person gives it is text, whatever it holds."""

from __future__ import annotations

import json
import shlex
import time
from base64 import b64encode
from typing import Any

import pytest
from click.testing import CliRunner

from ingest_assets.cli.find.command import find
from ingest_assets.cli.find.text import wanted
from ingest_assets.errors import IngestError
from ingest_assets.sources import BY_NAME, SOURCES
from ingest_assets.sources.gmail.locate import CONSONANTS, DIGITS, decoded
from tests.sources.tenants import TENANTS, FathomTenant, GmailTenant, GongTenant, SlackTenant, Tenant
from tests.workbench import Bench

Told = dict[str, Any]


def found(bench: Bench, text: str, *options: str, code: int = 0) -> Told:
    """Run the command in this process: most of a short command is its imports."""
    done = CliRunner().invoke(find, [text, "--workspace", "acme", "--json", *options], obj=bench.app)
    assert done.exit_code == code, done.output
    told: Told = json.loads(done.stdout)
    assert told["found"] == (code == 0)
    return told


def item(bench: Bench, text: str, *options: str) -> Told:
    [one] = found(bench, text, *options)["items"]
    made: Told = one
    return made


def reason(bench: Bench, text: str, *options: str) -> Told:
    """Return the only reason why it is not here."""
    [one] = found(bench, text, *options, code=1)["reasons"]
    made: Told = one
    return made


def permalink(message: str, thread: str | None = None) -> str:
    channel, ts = message.split(":")
    reply = f"?thread_ts={thread}&cid={channel}" if thread else ""
    return f"https://acme.slack.com/archives/{channel}/p{ts.replace('.', '')}{reply}"


class TestIdsAndAddresses:
    """What the sources' patterns make of texts; no request, no database."""

    @pytest.mark.parametrize(
        ("source", "text", "value"),
        [
            ("slack", "https://acme.slack.com/archives/C123AB/p1700000000123456", "C123AB:1700000000.123456"),
            (
                "slack",
                "https://a.enterprise.slack.com/archives/G123AB/p1700000000123456?thread_ts=1700000000.000001&cid=G1",
                "G123AB:1700000000.123456",
            ),
            (
                "slack",
                "https://app.slack.com/client/T123AB/C123AB/thread/C123AB-1700000000.123456",
                "C123AB:1700000000.123456",
            ),
            ("slack", "https://app.slack.com/client/T123AB/C123AB", "C123AB"),
            ("slack", "p1700000000123456", "1700000000.123456"),
            ("slack", "1700000000.123456", "1700000000.123456"),
            ("slack", "#deal-room", "deal-room"),
            ("gong", "https://us-12345.app.gong.io/call?id=7782342274025937895", "7782342274025937895"),
            ("gong", "https://app.gong.io/call?tab=x&id=7782342274025937895&y=1#t", "7782342274025937895"),
            ("fathom", "https://fathom.video/calls/123456?tab=summary", "https://fathom.video/calls/123456"),
            ("fathom", "https://fathom.video/share/x_Y-9", "https://fathom.video/share/x_Y-9"),
            ("gmail", "https://mail.google.com/mail/u/0/#inbox/18c0ffee00112233", "18c0ffee00112233"),
            (
                "gmail",
                "https://mail.google.com/mail/u/1/?view=pt&permthid=thread-f:1784000000000000000",
                "18c2048fb3238000",
            ),
            ("gmail", "rfc822msgid:a.b=c@mail.example", "<a.b=c@mail.example>"),
            ("gmail", "<a.b=c@mail.example>", "<a.b=c@mail.example>"),
        ],
    )
    def test_are_understood(self, source: str, text: str, value: str) -> None:
        if "permthid" in text:
            value = f"{1784000000000000000:x}"
        assert BY_NAME[source].locate(text)[0].value == value

    def test_of_gmails_web_ui_are_decoded(self) -> None:
        encoded = b64encode(b"f:1750000000000000000").decode().rstrip("=")
        number = 0
        for letter in encoded:
            number = number * len(DIGITS) + DIGITS.index(letter)
        token = ""
        while number:
            number, place = divmod(number, len(CONSONANTS))
            token = CONSONANTS[place] + token
        assert token.startswith("FMfcgz")  # as in every address of that kind
        assert decoded(token) == b"f:1750000000000000000"
        [thread, message] = BY_NAME["gmail"].locate(f"https://mail.google.com/mail/u/0/#inbox/{token}")
        assert thread.value == message.value == f"{1750000000000000000:x}"
        began_here = "KtbxLthRWGjbMzvtTBSnrpNBgmgzXBkJBV"
        with pytest.raises(IngestError, match="Gmail's API does not tell"):
            BY_NAME["gmail"].locate(began_here)

    @pytest.mark.parametrize(
        "text",
        [
            "https://evil.example/archives/C123AB/p1700000000123456",
            "https://acme.slack.com.evil.example/archives/C123AB/p1700000000123456",
            "https://acme.slack.com@evil.example/archives/C123AB/p1700000000123456",
            "https://acme.slack.com/archives/U123AB/p1700000000123456",
            "https://acme.slack.com/archives/C123AB/p17000000001234567",
            "https://acme.slack.com/archives/C123AB/p1700000000123456/../x\x1b[2J",
            "https://gong.io.evil.example/call?id=7782342274025937895",
            "https://app.gong.io/call?id=77823422740259378957782342274025937895",
            "https://mail.google.com.evil.example/mail/u/0/#inbox/18c0ffee00112233",
            "\N{ARABIC-INDIC DIGIT ONE}" * 18,
            "javascript:alert(1)",
        ],
    )
    def test_that_are_not_a_vendors_are_none(self, text: str) -> None:
        assert [one for source in SOURCES for one in source.locate(text)] == []

    def test_of_any_length_are_refused_or_understood_at_once(self) -> None:
        hostile = ["a" * 999, "https://acme.slack.com/archives/" + "C" * 900, "&id=" * 240, "1" * 990, "@" * 900]
        hostile += [f"https://app.gong.io/call?{'a=b&' * 230}", f"https://mail.google.com/mail/{'#/' * 480}"]
        began = time.perf_counter()
        for text in hostile:
            for source in SOURCES:
                source.locate(text)
        assert time.perf_counter() - began < 1


class TestWhatIsStored:
    @pytest.mark.parametrize("kind", list(TENANTS.values()))
    def test_is_found_by_id_and_by_words_and_told_when_deleted(self, kind: type[Tenant], bench: Bench) -> None:
        acme = kind(bench, "acme").connected()
        here = acme.add(hours_ago=2)
        acme.reads()
        one = item(bench, here)
        assert (one["state"], one["id"], one["table"]) == ("stored", here, acme.table.fullname)
        assert one["link"].startswith("https://")
        word = acme.rows[here].text.split()[0].strip(",.:")
        assert here in {place["id"] for place in found(bench, word.upper(), "--source", acme.source.name)["items"]}
        bench.execute(f"update {acme.table.fullname} set deleted_at = now()")
        gone = item(bench, here)
        assert (gone["state"], bool(gone["deleted_at"])) == ("deleted", True)

    def test_has_its_address_features_and_a_transcript_that_is_late(self, bench: Bench) -> None:
        slack = SlackTenant(bench, "acme").connected()
        message = slack.add()
        slack.reads()
        assert item(bench, f"<{permalink(message, '1700000000.000001')}>")["id"] == message
        assert item(bench, message.partition(":")[2])["id"] == message
        assert item(bench, "#general")["table"] == "raw.slack_channels"
        gong = GongTenant(bench, "acme").connected()
        call = gong.add()
        gong.reads()
        bench.execute("update raw.gong_calls set transcript_state = 'pending'")
        one = item(bench, f"https://us-12345.app.gong.io/call?id={call}")
        assert one["transcript"].startswith("pending; it is asked for until 2")
        assert one["features"] == "not read by the language model"
        fathom = FathomTenant(bench, "acme").connected()
        session = fathom.add()
        fathom.reads()
        row = fathom.rows[session]
        assert item(bench, f"{row.raw['share_url']}?timestamp=9")["id"] == session
        assert item(bench, row.url)["id"] == session
        gmail = GmailTenant(bench, "acme").connected()
        thread = gmail.add()
        gmail.reads()
        assert item(bench, f"https://mail.google.com/mail/u/0/#inbox/{thread}")["id"] == thread
        with bench.engine.connect() as conn:
            query = "select external_id, rfc822_message_id from raw.gmail_messages"
            [(message, rfc822)] = conn.exec_driver_sql(query).all()
        assert item(bench, rfc822)["id"] == message
        assert item(bench, rfc822.strip("<>"), "--source", "gmail")["id"] == message

    def test_is_printed_without_power_over_the_terminal(self, bench: Bench) -> None:
        acme = SlackTenant(bench, "acme").connected()
        acme.order("post", channel="general", text="clear \x1b[2J\u202ethis", hours_ago=0.5)
        acme.reads()
        done = bench.run("find", "clear", "--workspace", "acme")
        assert done.returncode == 0
        assert "says: clear \\x1b[2J\\u202ethis" in done.stdout
        assert done.stderr == ""

    def test_holds_words_as_they_are(self, bench: Bench) -> None:
        acme = SlackTenant(bench, "acme").connected()
        for said in (
            "100% sure",
            "1000 sure",
            "under_score",
            "underXscore",
            "back\\slash",
            "it's; drop table x --",
        ):
            acme.order("post", channel="general", text=said, hours_ago=0.5)
        acme.reads()
        for text, count in (("100%", 1), ("under_score", 1), ("k\\s", 1), ("it's; drop", 1), ("SURE 1", 2)):
            assert len(found(bench, text)["items"]) == count, text
        found(bench, "%%", code=1)
        found(bench, "__", code=1)
        long = "x" * 60 + " needle " + "y" * 4_000
        acme.order("post", channel="general", text=long, hours_ago=0.2)
        acme.reads()
        says = item(bench, "needle")["says"]
        assert ("needle" in says, len(says)) == (True, 160)


class TestWhatIsNotStored:
    def test_of_slack_is_explained_by_what_was_read(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", "deal-room", {"name": "secret", "member": False})
        acme.say("general", "here")
        acme.reads()
        general, secret = acme.channels["general"], acme.channels["secret"]
        old = reason(bench, permalink(f"{general}:1600000000.000100"))
        assert old["state"] == "outside history"
        assert old["command"] == "ingest-assets backfill --workspace acme --source slack --from 2020-09-13"
        new = reason(bench, permalink(f"{general}:{int(time.time()) + 3600}.000100"))
        assert (new["state"], new["command"]) == ("not read", "ingest-assets sync slack --workspace acme")
        never = reason(bench, permalink(f"{general}:{int(time.time()) - 3600}.000100"))
        assert never["state"] == "not shown"
        outside = reason(bench, permalink(f"{secret}:{int(time.time()) - 3600}.000100"))
        assert (outside["state"], "Invite the bot" in outside["action"]) == ("not visible", True)
        acme.order("membership", channel="deal-room", member=False)
        acme.sync()
        lost = found(bench, permalink(f"{acme.channels['deal-room']}:1600000000.000100"), code=1)["reasons"][0]
        assert (lost["state"], "#deal-room" in lost["sentence"]) == ("unreadable", True)
        bench.configure(SLACK_KEEP_DAYS="10")
        assert reason(bench, permalink(f"{general}:1600000000.000100"))["state"] == "outside retention"

    def test_of_a_channel_that_was_not_chosen_is_read_after_the_command(self, bench: Bench) -> None:
        acme = bench.workspace("acme", "general", "deal-room", settings={"channels": ("general",)})
        ts = acme.say("deal-room", "there")
        acme.reads()
        address = permalink(f"{acme.channels['deal-room']}:{ts}")
        left_out = reason(bench, address)
        assert left_out["state"] == "left out"
        program, *arguments = shlex.split(left_out["command"])
        assert (program, bench.run(*arguments, stdin=f"{acme.token}\n").returncode) == ("ingest-assets", 0)
        acme.reads()
        assert item(bench, address)["says"] == "there"

    @pytest.mark.parametrize("kind", list(TENANTS.values()))
    def test_is_replayed_by_the_command_or_asked_of_the_vendor(self, kind: type[Tenant], bench: Bench) -> None:
        acme = kind(bench, "acme").connected()
        acme.add()
        odd = acme.add_malformed()
        acme.sync()
        if acme.rejected:
            key = acme.rejected[0].item_key
            aside = found(bench, key, code=1)["reasons"][0]
            assert aside["state"] == "rejected"
            assert bench.run(*shlex.split(aside["command"])[1:]).returncode == 1
        acme.heal(odd)
        acme.reads()
        late = acme.add(hours_ago=0.1)
        before = bench.requests()
        assert found(bench, late, code=1)["reasons"]
        assert bench.requests() == before
        told = found(bench, late, "--ask", code=1)["reasons"][0]
        assert (told["state"], told["command"]) == (
            "shown",
            f"ingest-assets sync {acme.source.name} --workspace acme",
        )
        assert bench.run(*shlex.split(told["command"])[1:]).returncode == 0
        assert item(bench, late)["id"] == late
        unknown = {"slack": "C99999:1700000000.000001", "gmail": "18c0ffee00112233"}.get(
            acme.source.name, "123456789012"
        )
        assert (
            found(bench, unknown, "--ask", "--source", acme.source.name, code=1)["reasons"][0]["state"]
            == "not shown"
        )
        acme.revoke()
        assert (
            found(bench, unknown, "--ask", "--source", acme.source.name, code=1)["reasons"][0]["state"]
            == "not known"
        )
        acme.sync()
        states = {one["state"] for one in found(bench, unknown, "--source", acme.source.name, code=1)["reasons"]}
        assert "reconnect" in states

    def test_is_private_of_a_person_who_was_erased_or_of_no_account(self, bench: Bench) -> None:
        bench.workspace("acme", "general")
        unconnected = reason(bench, "https://fathom.video/share/none")
        assert unconnected["state"] == "not connected"
        gong = GongTenant(bench, "acme").connected()
        gong.add()
        call = str(gong.order("call", hours_ago=3, sentences=6, private=True)["call"])
        gong.reads()
        [private] = found(bench, call, "--ask", "--source", "gong", code=1)["reasons"]
        assert (private["state"], "; it is private, and" in private["sentence"]) == ("left out", True)
        assert (
            bench.run(*shlex.split(private["command"])[1:], stdin="\n".join(gong.secrets.values())).returncode == 0
        )
        assert gong.account.settings["include_private"] is True
        gong.connect()
        assert any(one["state"] == "left out" for one in found(bench, call, "--source", "gong", code=1)["reasons"])
        gmail = GmailTenant(bench, "acme").connected()
        gmail.order("message", hours_ago=1, text="Mine", sender="Ada <ada@x.example>")
        gmail.reads()
        with bench.engine.connect() as conn:
            [(mail,)] = conn.exec_driver_sql("select rfc822_message_id from raw.gmail_messages").all()
        erased = bench.run("person", "erase", "ada@x.example", "--workspace", "acme", "--yes")
        assert erased.returncode == 0, erased.stderr
        bench.execute("delete from raw.gmail_messages")
        assert found(bench, mail, code=1)["reasons"][0]["state"] == "erased"
        bench.run("disconnect", "gong", "--workspace", "acme", "--yes")
        assert reason(bench, "nothing says so", "--source", "gong")["state"] == "disconnected"

    def test_of_a_mailbox_is_under_other_labels_or_thrown_away(self, bench: Bench) -> None:
        acme = GmailTenant(bench, "acme")
        acme.connect(labels=("Customers", "STARRED"), exclude_labels=("SENT",))
        threads = [
            acme.order("message", hours_ago=1, labels=labels)["thread"]
            for labels in (["INBOX"], ["Customers", "SENT"], ["TRASH"])
        ]
        acme.reads()
        told = [found(bench, thread, "--ask", code=1)["reasons"][0] for thread in threads]
        assert [one["state"] for one in told] == ["left out"] * 3
        assert [one["sentence"].rpartition("it is ")[2].split(" ")[:2] for one in told] == [
            ["under", "none"],
            ["under", "a"],
            ["in", "spam"],
        ]
        assert told[0]["command"].endswith(",STARRED,INBOX --exclude-labels SENT")
        assert "--exclude-labels" not in told[1]["command"]
        assert any(one["state"] == "left out" for one in found(bench, threads[0], code=1)["reasons"])

    def test_that_waits_for_a_decision_is_told(self, bench: Bench) -> None:
        acme = SlackTenant(bench, "acme").connected()
        message = acme.add()
        acme.reads()
        bench.execute(
            "insert into ingest.held_deletions (account_id, workspace_id, part, table_name, external_id, flagged) "
            "select account_id, workspace_id, '#general', 'slack_messages', external_id, false "
            "from raw.slack_messages"
        )
        one = item(bench, message)
        review = "ingest-assets deletions review --workspace acme --source slack"
        assert (one["state"], one["command"]) == ("held", review)

    def test_takes_too_long_to_look_for(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        bench.workspace("acme", "general")
        monkeypatch.setattr("ingest_assets.storage.inspecting.STATEMENT_MS", 100)
        with bench.engine.begin() as conn:
            conn.exec_driver_sql("lock table raw.slack_messages")
            done = CliRunner().invoke(find, ["some words", "--workspace", "acme"], obj=bench.app)
        assert "Looking through raw.slack_messages takes too long; name an id" in str(done.exception)

    def test_and_cannot_be_looked_for_ends_with_one_sentence(self, bench: Bench) -> None:
        bench.workspace("acme", "general")
        with pytest.raises(IngestError, match="longer than"):
            wanted("x" * 2_000_000, SOURCES, only_words=False)
        for text, words in (
            ("x" * 2_000, "is longer than 1000 characters"),
            ("", "Name an id, an address or a text"),
            ("a", "Name an id, an address or a text"),
            ("KtbxLthRWGjbMzvtTBSnrpNBgmgzXBkJBV", "Gmail's API does not tell"),
        ):
            done = bench.run("find", text, "--workspace", "acme")
            assert (done.returncode, done.stdout) == (2, "")
            assert words in done.stderr
            assert len(done.stderr.splitlines()) == 1
        done = bench.run("find", "x y", "--workspace", "no\x1bone")
        assert (done.returncode, "\x1b" in done.stderr) == (2, False)
        odd = bench.run("find", "\x1b[2J\r\n'; select 1 --", "--workspace", "acme")
        assert (odd.returncode, "\x1b" in odd.stdout + odd.stderr) == (1, False)
