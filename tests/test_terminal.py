"""What strangers wrote, on an operator's terminal: readable, and obeyed by nothing."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import unicodedata

import pytest

from ingest_assets.assets.failures import as_failure
from ingest_assets.sources.login import Account
from ingest_assets.sources.slack import SLACK
from ingest_assets.sync.result import FAILED, SyncResult
from ingest_assets.terminal import markdown_cell, printable
from tests.commands import COMMAND
from tests.features.test_extraction import PROVEN, Calls, answer
from tests.workbench import Bench, Workspace

ESC = "\x1b"
HOSTILE = {
    "a title that OSC sets": f"{ESC}]0;owned\x07",
    "a clipboard that OSC 52 sets": f"{ESC}]52;c;cm0gLXJmIC8=\x07",
    "a link that shows another address": f"{ESC}]8;;https://evil.example\x07bank{ESC}]8;;\x07",
    "a clear screen": f"{ESC}[2J{ESC}[H",
    "the line above, overwritten": f"{ESC}[1A{ESC}[2K",
    "a colour": f"{ESC}[31m",
    "a control sequence in one character": "\x9b2J",
    "a reset": f"{ESC}c",
    "a carriage return": "harmless\rACME: success",
    "a forged line": "x\nglobex Globex: success, 9 new",
    "a forged line of Windows": "x\r\nglobex: success",
    "a next line": "x\x85globex: success",
    "a line separator": "x\u2028globex\u2029",
    "a backspace": "evil\b\b\b\bgood",
    "a form feed and a vertical tab": "x\x0c\x0bx",
    "a tab in a table": "x\tx",
    "a bell": "\a",
    "a delete": "x\x7f",
    "a text from right to left": "\u202eexe.fdp",
    "isolates": "\u2066x\u2067y\u2068z\u2069",
    "embeddings": "\u202ax\u202by\u202cz\u202d",
    "marks of direction": "x\u200e\u200f\u061c",
    "a zero width space in a name": "ac\u200bme",
    "a joiner in a Latin name": "ac\u200dme",
    "a non-joiner in a Latin name": "ac\u200cme",
    "a byte order mark in a name": "ac\ufeffme",
    "a word joiner": "ac\u2060me",
    "a soft hyphen": "ac\u00adme",
    "a name that is a Hangul filler": "\u3164",
    "a text hidden in tags": "hi\U000e0041\U000e0042",
    "a text hidden in variation selectors": "hi 😀\ufe00\ufe01\U000e0101",
    "a lone surrogate": "x\ud800",
    "a tower of marks": "x" + "\u0301" * 40,
    "an annotation": "\ufff9x\ufffay\ufffb",
}
READABLE = [
    "Grüße aus Köln, naïve façade",
    "Tiếng Việt, ấp ủ, e\u0323\u0302",
    "日本語 한국어 中文\u3000全角",
    "שלום עולם",
    "مرحبا بالعالم",
    "می‌خواهم",  # Persian, with a non-joiner
    "क्‍ष और र्‍य",  # Hindi, with joiners
    "അവന്‍ വന്നു",  # Malayalam: a chillu at a word's end
    "ශ්‍රී",  # Sinhala
    "👩‍💻 👨‍👩‍👧‍👦 🏳️‍🌈 ❤️‍🔥 👩🏽‍🚀 🧑‍⚕️",
    "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",  # the flag of England
    "1️⃣ ‼️ ©️ ℹ️ ⚠️ 🇩🇪",
    "10\u00a0000\u202f€ – “quoted” … ½",
    r"C:\new\x1b",
    "葛\U000e0100",  # a variant of a Chinese character
]
DANGEROUS = {"Cc", "Cs", "Zl", "Zp"}
DIRECTIONS = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
INVISIBLE = set("\u00ad\u034f\u115f\u1160\u200b\u2060\u3164\ufeff\uffa0\U000e0041")


def unsafe(shown: str) -> set[str]:
    """Return the characters of a text that a terminal obeys or hides."""
    return {
        character
        for character in shown
        if unicodedata.category(character) in DANGEROUS or character in DIRECTIONS | INVISIBLE
    }


class TestPrintable:
    @pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
    def test_escapes_what_a_terminal_would_obey_or_hide(self, text: str) -> None:
        shown = printable(text)
        assert shown != text
        assert not unsafe(shown)
        assert "\\" in shown

    @pytest.mark.parametrize("text", READABLE)
    def test_leaves_languages_and_emoji_as_they_are(self, text: str) -> None:
        assert printable(text) == text

    def test_names_what_it_escapes(self) -> None:
        assert printable("a\x1b\n\r\t\x9b\u202e\ud800\U000e0041é") == r"a\x1b\n\r\t\x9b\u202e\ud800\U000e0041é"

    def test_is_the_same_when_done_twice(self) -> None:
        for text in HOSTILE.values():
            assert printable(printable(text)) == printable(text)


def lines(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Insist on output that no stranger controls; give its lines."""
    said = done.stdout + done.stderr
    assert not unsafe(said.replace("\n", ""))
    assert "Traceback" not in said
    return said.splitlines()


NAME = "".join(HOSTILE.values()).replace("\ud800", "")
FORGED = "globex Globex: success, 9 new"


@pytest.fixture
def acme(bench: Bench) -> Workspace:
    made = bench.team("acme", "general", {"name": f"deals{NAME}"})
    bench.order("slack/post", team=made.team, channel="general", text="hello")
    return made


def connect(bench: Bench, workspace: Workspace, *more: str) -> subprocess.CompletedProcess[str]:
    return bench.run("connect", "slack", "--workspace", "acme", "--token", "-", *more, stdin=workspace.token)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("#deal-room", "#deal-room"),
        ("![](https://evil.example/seen.png)", r"!\[\](https://evil.example/seen.png)"),
        ("[bank](https://evil.example)", r"\[bank\](https://evil.example)"),
        (r"\[bank\](https://evil.example)", r"\\\[bank\\\](https://evil.example)"),
        ("<img src=//evil.example>", r"\<img src=//evil.example>"),
        ("a | b", r"a \| b"),
        ("a\nb", r"a\\nb"),
    ],
)
def test_a_cell_of_a_table_shows_a_name_and_fetches_nothing(name: str, shown: str) -> None:
    assert markdown_cell(name) == shown


STYLE = re.compile(r"\x1b\[[0-9;]*m")  # colours and weights of our own


class TestNoCommandPrintsRaw:
    def test_the_names_of_teams(self, bench: Bench) -> None:
        names = {f"acme-{place}": f"Acme {name}" for place, name in enumerate(HOSTILE.values())}
        names = {key: name.replace("\ud800", "\ufeff") for key, name in names.items()}  # no JSON carries the first
        world = {"channels": [{"name": "general"}]}
        for key, name in names.items():
            bench.order("slack/team", token=f"xoxb-{key}", name=name, world=world)
        first, *others = names
        done = bench.run("connect", "slack", "--workspace", first, "--token", "-", stdin=f"xoxb-{first}")
        [connected] = lines(done)
        assert f"'{printable(names[first])}'" in connected
        for key in others:
            bench.connect(Workspace(bench, key, "", f"xoxb-{key}", [], {}))
        for command in (["accounts"], ["status"], ["sync", "slack", "--all"]):
            shown = lines(bench.run(*command))
            for key, name in names.items():
                assert any(line.startswith(key) and printable(name) in line for line in shown)
            assert not any(line.startswith("globex") for line in shown)
        entries = json.loads(bench.run("accounts", "--json").stdout)
        assert {entry["workspace"]: entry["account"] for entry in entries} == names

    def test_the_names_of_an_account_and_of_a_channel_that_cannot_be_read(
        self, bench: Bench, acme: Workspace
    ) -> None:
        lines(connect(bench, acme, "--name", f"ours{NAME}"))
        acme.fault("error", method="conversations.history", error="not_in_channel", times=-1)
        shown = lines(bench.run("sync", "slack", "--workspace", "acme"))
        assert any(f"deals{printable(NAME[:100])}" in line for line in shown)  # a name is cut off at some length
        assert FORGED not in shown
        lines(bench.run("status"))
        lines(bench.run("pause", "slack", "--workspace", "acme"))

    def test_what_was_set_aside_and_what_is_covered(self, bench: Bench, acme: Workspace) -> None:
        connect(bench, acme, "--name", f"ours{NAME}")
        acme.say("general", f"odd{NAME}", extra={"edited": NAME})
        acme.sync()
        bench.execute("update ingest.rejected_records set item_key = :name, error = :name", name=NAME)
        bench.execute("update raw.slack_channels set name = :name", name=NAME)
        for command in (
            ["rejected", "list"],
            ["rejected", "replay", "--all"],
            ["coverage", "--workspace", "acme"],
        ):
            assert FORGED not in lines(bench.run(*command)), command
        shown = bench.run("rejected", "show", NAME, "--workspace", "acme").stdout
        assert shown.isascii()
        assert shown.isprintable() or shown.rstrip("\n").isprintable()

    @pytest.mark.parametrize(
        "arguments",
        [
            ["sync", f"slack{NAME}", "--all"],
            ["sync", "slack", "--workspace", NAME],
            ["sync", "slack", "--all", f"--{NAME}"],
            ["sync", "slack", "--all", NAME],
            ["metrics", "--port", NAME],
            [NAME],
            ["remove", NAME],
            ["pause", "slack", "--workspace", "acme", "--name", NAME],
            ["features", "--workspace", "acme", "--call", NAME],
            ["coverage", "--workspace", NAME],
            ["rejected", "show", NAME, "--workspace", "acme"],
            ["connect", "slack", "--workspace", NAME, "--token", "-"],
            ["connect", "slack", "--workspace", "acme", "--token", "-", "--channels", NAME],
            ["connect", "gmail", "--workspace", "acme", "--key", NAME],
        ],
        ids=lambda arguments: " ".join(arguments).encode("ascii", "replace").decode()[:30],
    )
    def test_what_the_command_line_itself_holds(self, bench: Bench, arguments: list[str]) -> None:
        done = bench.run(*[argument.replace("\0", "") for argument in arguments], stdin="xoxb-1")
        assert done.returncode == 2
        assert lines(done)

    def test_an_environment(self, bench: Bench) -> None:
        done = bench.run("accounts", INGEST_LEASE_SECONDS=NAME)
        assert (done.returncode, len(lines(done))) == (2, 1)

    def test_titles_quotes_speakers_and_what_the_model_says(self, bench: Bench) -> None:
        calls = Calls(bench)
        quote = f"We lose {NAME} two hours a day to the export."
        [call] = calls.add(lines=[quote])
        calls.gong.order("edit", call=call, fields={"title": f"Deal{NAME}"})
        calls.gong.reads()
        found = PROVEN | {"quote": quote, "statement": f"slow{NAME}", "person": NAME, "due": NAME}
        calls.say(answer(found))
        calls.say(json.dumps({"items": [found], "summary": f"They{NAME}"}))
        lines(bench.run("extract", "gong", "--workspace", "acme"))
        shown = lines(bench.run("features", "--workspace", "acme"))
        assert any(line.startswith("Deal") for line in shown)
        assert any(f"slow{printable(NAME)}" in line for line in shown)
        assert FORGED not in shown
        assert any("Deal" in line for line in lines(bench.run("features", "--workspace", "acme", "--all")))
        as_json = json.loads(bench.run("features", "--workspace", "acme", "--json").stdout)
        assert as_json["title"] == f"Deal{NAME}"

    def test_nor_on_a_terminal(self, bench: Bench, acme: Workspace) -> None:
        lines(connect(bench, acme, "--name", f"ours{NAME}"))
        for command in (["accounts"], ["sync", "slack", "--workspace", "acme"], ["sync", f"x{NAME}"]):
            shown = on_terminal(bench, *command)
            assert shown
            assert not unsafe(STYLE.sub("", shown).replace("\r\n", "")), command

    def test_a_terminal_without_unicode_shows_escapes(self, bench: Bench, acme: Workspace) -> None:
        lines(connect(bench, acme, "--name", "Köln 😀"))
        shown = on_terminal(bench, "accounts", encoding="latin-1")
        assert "Köln \\U0001f600" in shown


def on_terminal(
    bench: Bench, *arguments: str, encoding: str = "utf-8", typed: str = "", **environment: str
) -> str:
    """Return what a command writes to a pseudo-terminal, on which something is typed."""
    environ = bench.shell(TERM="xterm", PYTHONIOENCODING=encoding, **environment)
    ours, theirs = pty.openpty()
    with subprocess.Popen(  # noqa: S603  (our own command)
        [COMMAND, *arguments], env=environ, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        os.write(ours, typed.encode())
        said = b""
        try:
            while chunk := os.read(ours, 65536):
                said += chunk
        except OSError:  # how Linux says that nobody writes any more
            pass
        process.wait(timeout=60)
    os.close(ours)
    return said.decode(encoding)


def test_a_bug_shows_its_traceback_escaped() -> None:
    program = (
        "import logging, warnings; from ingest_assets.terminal import guard; guard();"
        "logging.getLogger('some.library').warning('log \\x1b]0;owned\\x07');"
        "warnings.warn('warned \\x9b2J'); raise ValueError('bug \\x1b[2J\\r')"
    )
    done = subprocess.run(  # noqa: S603  (ours)
        [COMMAND.parent / "python", "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert not unsafe(done.stderr.replace("\n", ""))
    for said in (r"log \x1b]0;owned\x07", r"warned \x9b2J", r"bug \x1b[2J\r", "Traceback"):
        assert said in done.stderr


def test_a_run_of_dagsters_tells_a_reason_escaped(caplog: pytest.LogCaptureFixture) -> None:
    account = Account(account_id=1, workspace_id="acme", name=NAME, external_id="T1", settings={})
    result = SyncResult(account=account, status=FAILED, reason=f"Slack refused {NAME}")
    log = logging.getLogger("dagster")
    with caplog.at_level(logging.ERROR, log.name):
        as_failure(log, SLACK, {"acme": [result]})
    assert "Slack refused" in caplog.messages[0]
    assert not unsafe(caplog.messages[0])
