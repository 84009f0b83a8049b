r"""What a terminal shows: every text that is printed for people passes here, escaped.

Team names, titles, quotes and error codes are written by strangers. A terminal obeys control characters in them
(OSC 52 sets the clipboard, CSI moves the cursor over what was printed before), a line break forges a line, and
bidirectional or invisible characters show another text than the one that is there (CVE-2003-0069, CVE-2021-42574,
CVE-2023-30844). They are written as `\x1b`, `\n`, `\u202e`. What languages and emoji need stays: letters of any
direction, combining marks, and joiners and variation selectors where they belong. JSON is exact and ASCII.
"""

import json
import logging
import os
import re
import sys
import threading
import traceback
from datetime import timedelta
from io import TextIOWrapper
from types import TracebackType

import click

_MARKS = r"\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f"
_PICTURES = r"\u2190-\u2bff\u3030-\u303d\u3297-\u3299\ufe0f\u20e3\U0001f000-\U0001fbff"
_INDIC = r"\u0900-\u0dff"
_JOINING = r"\u0600-\u08ff\u0f00-\u109f\u1780-\u18af\u1900-\u1cff\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc" + _INDIC
_SELECTORS = r"\ufe00-\ufe0f\U000e0100-\U000e01ef"
MOST_MARKS = 4  # on one letter: Vietnamese needs two; a tower of them covers the lines above and below

_KEPT = (
    "\U0001f3f4[\U000e0061-\U000e007a\U000e0030-\U000e0039]{2,6}\U000e007f",  # the flag of England, say
    rf"(?<=[{_PICTURES}])\u200d(?=[{_PICTURES}])",
    rf"(?<=[{_JOINING}])[\u200c\u200d](?=[{_JOINING}])",
    rf"(?<=[{_INDIC}])[\u200c\u200d]",  # a half form or a chillu may end a word
    rf"(?<=[^\sA-Za-z\u200b-\u200f{_SELECTORS}])[{_SELECTORS}]",
    r"(?<=[\u1800-\u18af])[\u180b-\u180d\u180f]",
)
_ESCAPED = (
    r"[\x00-\x1f\x7f-\x9f]",  # C0, DEL, C1
    r"[\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f]",  # direction
    r"[\u2028\u2029]",  # line and paragraph separators
    r"[\ud800-\udfff]",  # lone surrogates
    # drawn as nothing: soft hyphen, zero widths, Hangul fillers, tags, what is reserved for more of the kind
    r"[\u00ad\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200d\u2060-\u2065\u3164\ufeff\uffa0]",
    rf"[{_SELECTORS}\ufff0-\ufffb\ufffe\uffff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]",
    rf"(?<=[{_MARKS}]{{{MOST_MARKS}}})[{_MARKS}]",
)
_UNSAFE = re.compile(f"(?P<kept>{'|'.join(_KEPT)})|{'|'.join(_ESCAPED)}")

USUAL_COLUMNS = 80  # of a terminal that does not know its width
CLEAR = "\x1b[2K"  # erases the line that the cursor is on
_MARKUP = re.compile(r"[\\\[\]<|]")


def printable(value: object) -> str:
    """Return a value's text on one line, with whatever a terminal would obey or hide written as an escape."""
    text = str(value)
    if text.isascii() and text.isprintable():
        return text
    return _UNSAFE.sub(_escaped, text)


def markdown_cell(value: object) -> str:
    """Return a value's text for a cell of a table in Markdown, without the power to show a picture, link or HTML.

    A picture in a name that a stranger chose would be fetched by the browser of whoever opens the page.
    """
    return _MARKUP.sub(r"\\\g<0>", printable(value))


def _escaped(match: re.Match[str]) -> str:
    return match[0] if match.lastgroup == "kept" else match[0].encode("unicode_escape").decode()


def duration(length: timedelta) -> str:
    """Return a length of time as people say it: 40 s, 3 min, 2 h 10 min, 5 days."""
    seconds = max(0, round(length.total_seconds()))
    minutes, hours = seconds // 60, seconds // 3600
    if minutes < 1:
        return f"{seconds} s"
    if hours < 1:
        return f"{minutes} min"
    if hours < 48:
        return f"{hours} h" + (f" {minutes % 60} min" if minutes % 60 and hours < 10 else "")
    return f"{hours // 24} days"


def echo(line: object = "", *, err: bool = False, bold: bool = False) -> None:
    """Print one line for people."""
    shown = printable(line)
    with _LAST_LINE:
        click.echo(click.style(shown, bold=True) if bold else shown, err=err)


class _LastLine:
    """The last line of the terminal: it is rewritten, and what is printed meanwhile comes above it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a signal's handler prints, too
        self._shown = ""

    def show(self, text: str) -> None:
        with self._lock:
            self._write(text)
            self._shown = text

    def __enter__(self) -> None:
        self._lock.acquire()
        if self._shown:
            self._write("")

    def __exit__(self, *_error: object) -> None:
        if self._shown:
            self._write(self._shown)
        self._lock.release()

    @staticmethod
    def _write(text: str) -> None:
        from rich.cells import set_cell_size

        columns = os.get_terminal_size(sys.stderr.fileno()).columns or USUAL_COLUMNS
        cut = set_cell_size(text, columns - 1).rstrip()
        click.echo(f"\r{CLEAR}{cut}", err=True, nl=False, color=True)


_LAST_LINE = _LastLine()


def rewrite(line: str) -> None:
    """Put a line at the bottom of stderr, which is a terminal, in place of the one before; "" removes it."""
    _LAST_LINE.show(printable(line))


def echo_json(value: object) -> None:
    """Print a value for programs: exact, in ASCII."""
    click.echo(json.dumps(value))


def echo_usage(error: click.ClickException) -> None:
    """Print why a command line cannot be used, which quotes it."""
    context = error.ctx if isinstance(error, click.UsageError) else None
    if context is not None:
        for line in context.get_usage().splitlines():
            echo(line, err=True)
        echo(f"Try '{context.command_path} --help' for help.", err=True)
        echo(err=True)
    message = error.format_message()
    # the choices of an argument that is missing stand on lines of their own; nothing of these is the user's
    lines = message.expandtabs(2).splitlines() if isinstance(error, click.MissingParameter) else [message]
    for place, line in enumerate(lines):
        echo(line if place else f"Error: {line}", err=True)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return "\n".join(map(printable, super().format(record).split("\n")))


def guard() -> None:
    """Escape what Python itself prints: tracebacks, warnings and what libraries log.

    Characters that the terminal's encoding lacks are escaped, too.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.captureWarnings(True)
    sys.excepthook = _show_traceback


def _show_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    for line in "".join(traceback.format_exception(kind, error, trace)).rstrip("\n").split("\n"):
        echo(line, err=True)
