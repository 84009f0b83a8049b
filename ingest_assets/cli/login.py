"""`connect SOURCE --login`: the browser goes to the vendor, and its answer comes to this machine or is pasted."""

import asyncio
import os
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from secrets import token_urlsafe
from threading import Thread

from ingest_assets.cli.loopback import ADDRESS, Page, loopback
from ingest_assets.cli.redirect import Expected, Ignored, Refused
from ingest_assets.cli.target import Target
from ingest_assets.cli.typed import lines
from ingest_assets.errors import IngestError
from ingest_assets.settings import SourceOptions
from ingest_assets.sources.authorizing import Authorize, Client, Consent, Granted
from ingest_assets.sources.login import AccountSettings
from ingest_assets.terminal import echo

EVERY = 15.0  # seconds between two lines about waiting; on a terminal a line would run into what is pasted
MOST_TOLD = 5  # requests that are not ours: anybody on this machine may send as many as they like
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")


@dataclass(frozen=True, kw_only=True)
class Browser:
    """How the vendor's answer comes back, how long it is waited for, and whether a browser is opened here."""

    target: Target
    wait: timedelta
    opened: bool


async def log_in(
    vendor: str,
    authorize: Authorize,
    options: SourceOptions,
    settings: AccountSettings,
    client: Client,
    browser: Browser,
) -> Granted:
    """Send a browser to the vendor and trade its answer. Raises IngestError for what does not end in a login."""
    waiting = _Waiting(Expected(vendor, token_urlsafe(32)), pasted_only=browser.target.path is None)
    async with AsyncExitStack() as stack:
        url, path = browser.target.url, browser.target.path
        if path is not None:
            serving = loopback(browser.target.port, path, waiting.judge, waiting.answered)
            port = await stack.enter_async_context(serving)
            url = url or f"http://{ADDRESS}:{port}{path}"
        consent = Consent(
            client_id=client.client_id,
            client_secret=client.client_secret,
            redirect_url=url,
            state=waiting.expected.state,
            verifier=token_urlsafe(64),
            settings=settings,
            options=options,
        )
        stack.enter_context(_announced(vendor, authorize.address(consent), browser, url))
        stack.enter_context(lines(waiting.pasted, waiting.ended))
        code = await waiting.code(browser.wait)
    return await authorize.exchange(consent, code)


@contextmanager
def _announced(vendor: str, address: str, browser: Browser, url: str) -> Iterator[None]:
    """Tell where to log in and how the answer comes back, and again while it is waited for."""
    until = f"{datetime.now().astimezone() + browser.wait:%H:%M}"
    echo(f"Log in to {vendor} in a browser, at this address:", err=True)
    echo(err=True)
    echo(address, err=True)
    echo(err=True)
    if browser.target.path is None:
        echo(
            f"{vendor} then redirects to {url}, where the browser may show an error. Copy the whole address from "
            "its address bar and paste it here.",
            err=True,
        )
    else:
        echo("If that browser runs on another machine, paste the address here that it ends at.", err=True)
    told = f"Waiting for the browser until {until} ... (Ctrl-C ends it)"
    echo(told, err=True)
    if browser.opened:
        _open(address)
    repeated = None if sys.stderr.isatty() else asyncio.create_task(_repeat(told))
    try:
        yield
    finally:
        if repeated is not None:
            repeated.cancel()


async def _repeat(line: str) -> None:
    while True:
        await asyncio.sleep(EVERY)
        echo(line, err=True)


def _open(address: str) -> None:
    """Open a browser where there is a screen for it; without one Python might start one in this terminal."""
    if sys.platform == "darwin" or any(map(os.environ.get, DISPLAYS)):
        Thread(target=_open_quietly, args=(address,), daemon=True).start()


def _open_quietly(address: str) -> None:
    with suppress(webbrowser.Error, OSError):
        webbrowser.open(address)


class _Waiting:
    """The answer that is waited for, from the browser or pasted; the first one counts."""

    def __init__(self, expected: Expected, *, pasted_only: bool) -> None:
        self.expected = expected
        self._pasted_only = pasted_only
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._judged: str | IngestError | None = None
        self._told = 0

    async def code(self, wait: timedelta) -> str:
        try:
            async with asyncio.timeout(wait.total_seconds()):
                return await self._answer
        except TimeoutError:
            raise IngestError(
                "Nobody logged in in time. Run the command once more; --wait tells how many minutes it waits."
            ) from None

    def judge(self, query: str) -> Page:
        """Take in a request to the loopback; `answered` ends the waiting once the browser has its page."""
        try:
            self._judged = self._judged or self.expected.code_in(query)
        except Refused as refused:
            self._judged = refused
        except Ignored as ignored:
            self._tell(ignored)
            return Page.FOREIGN if str(ignored) else Page.NOTHING
        return Page.REFUSED if isinstance(self._judged, Refused) else Page.DONE

    def answered(self) -> None:
        if self._judged is not None:
            self._end(self._judged)

    def pasted(self, line: str) -> None:
        """Take in a line of standard input."""
        try:
            self._end(self.expected.code_in_address(line))
        except Refused as refused:
            self._end(refused)
        except Ignored as ignored:
            self._tell(ignored)

    def ended(self) -> None:
        """Give up where only standard input could bring the answer, and has ended."""
        if self._pasted_only:
            self._end(IngestError("Standard input ended before an address was pasted that holds the answer."))

    def _end(self, answer: str | IngestError) -> None:
        if self._answer.done():
            return
        if isinstance(answer, str):
            self._answer.set_result(answer)
        else:
            self._answer.set_exception(answer)

    def _tell(self, ignored: Ignored) -> None:
        self._told += 1
        if str(ignored) and self._told <= MOST_TOLD:
            echo(ignored, err=True)
