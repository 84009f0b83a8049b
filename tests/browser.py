"""`connect SOURCE --login` and the browser that it waits for, as a user has them: one process, one HTTP client."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Any
from urllib.parse import parse_qs, urlsplit

import httpx

from tests.commands import COMMAND
from tests.workbench import Bench

SECRET = "app-secret"  # noqa: S105  (of simulated apps)


@dataclass
class Login:
    """A command that waits for its browser."""

    process: subprocess.Popen[str]
    address: str
    told: list[str] = field(default_factory=list)
    """What it has written to standard error so far."""

    @property
    def asked(self) -> dict[str, str]:
        """The parameters of the address that the browser is sent to."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.address).query).items()}

    def granted(self) -> str:
        """Return where the vendor's page redirects to, as if the user had pressed Allow."""
        with httpx.Client(trust_env=False) as browser:
            answer = browser.get(self.address)
        assert answer.status_code == 302, answer.text
        return str(answer.headers["location"])

    def browse(self) -> httpx.Response:
        """Grant access and follow the redirect."""
        return visit(self.granted())

    def paste(self, text: str) -> None:
        stdin = self.process.stdin
        assert stdin is not None
        stdin.write(f"{text}\n")
        stdin.flush()

    def until(self, part: str) -> str:
        """Read what is told until a line holds a text."""
        for line in written(self.process.stderr):
            self.told.append(line)
            if part in line:
                return line
        raise AssertionError(f"{part!r} was never told: {self.told}")

    def end(self) -> tuple[int, str, str]:
        """Return exit code, standard output, and all of standard error."""
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, "\n".join([*self.told, err])


def visit(address: str, **more: str) -> httpx.Response:
    with httpx.Client(trust_env=False) as browser:
        return browser.get(address, headers=more)


def written(stream: IO[str] | None) -> Iterator[str]:
    assert stream is not None
    while line := stream.readline():
        yield line.rstrip("\n")


@contextmanager
def logging_in(
    bench: Bench, source: str, *arguments: str, typed: str = "", opens: bool = False, **environ: Any
) -> Iterator[Login]:
    """Start `connect SOURCE --login` and read the address that it prints; `typed`: what it reads before that."""
    how = [] if opens else ["--no-browser"]
    process = subprocess.Popen(  # noqa: S603  (our own command)
        [COMMAND, "connect", source, "--workspace", "acme", "--login", *how, *arguments],
        env=bench.shell(APP_SECRET=SECRET, **environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    login = Login(process, "")
    try:
        if typed:
            login.paste(typed)
        for line in written(process.stderr):
            login.told.append(line)
            login.address = login.address or (line if line.startswith("http") else "")
            if line.startswith("Waiting"):
                break
        yield login
    finally:
        process.kill()
        process.communicate()
