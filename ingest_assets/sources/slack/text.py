"""What a message says, in Slack's markup, whichever representation carries it.

blocks       what people see where a message has them; `text` is then the line of a notification, or a placeholder
text         what people see of a message without blocks
attachments  what a share or an app attached; also previews of links, which nobody wrote
files        mail that was sent to a channel, snippets and transcriptions carry their words with them
"""

import html
import re
from collections.abc import Iterator, Set
from typing import NamedTuple

from ingest_assets.sources.json_values import JsonView
from ingest_assets.sources.slack.blocks import Blocks
from ingest_assets.sources.slack.markup import literal, mentioned

LONGEST_TEXT = 100_000  # characters; Slack takes messages of 40,000, and mail is longer
MOST_PARTS = 100  # attachments, and the fields of each, that are read; Slack takes 100 attachments
MOST_TEXTS = 1_000  # texts of all attachments and files of one message
DEEPEST_SHARE = 3  # a message that shares one that shares one

PLACEHOLDERS = frozenset(
    {
        "this content can't be displayed",
        "this message can't be displayed",
        "this message contains interactive elements",
        "no preview available",
    }
)
"""What Slack writes where a client cannot show blocks (compared without brackets and full stop)."""
LONGEST_PLACEHOLDER = 80  # characters, white space around it included
PICTURE = re.compile(r"\d+x\d+px image")  # the fallback that Slack gives a picture

PREVIEW = ("from_url", "original_url", "service_name")
SHARE = ("is_share", "is_msg_unfurl", "is_reply_unfurl", "is_thread_root_unfurl", "message_blocks")
TITLED = frozenset({"email", "space", "post", "quip", "canvas", "list"})  # files whose title somebody wrote

LABEL = re.compile(r"(<[^<>|]*)\|[^<>]*>")
ENTITY = re.compile(r"&(?:lt|gt|amp);")
WORD = re.compile(r"\w+")
TAG = re.compile(r"<[^<>]*>")
TELLING = 3  # words; a shorter text is found in a longer one by chance


class Said(NamedTuple):
    """The markup of a message, whether a bound cut it, and the ids of the people that it mentions."""

    markup: str | None
    shortened: bool = False
    mentions: Set[str] = frozenset()


def said_by(message: JsonView) -> Said:
    """Return what a message says: its body, what is attached to it, and what its files hold, nothing twice."""
    blocks = Blocks()
    body = _body(message, blocks)
    if not message.get("attachments") and not message.get("files"):
        return _said(message, body, shortened=blocks.shortened)
    parts = _Parts()
    parts.add(body)
    _add_attached(message, blocks, parts, depth=0)
    if not parts.kept:
        for file in _mappings(message.get("files")):
            parts.add(literal(_first(file, "title", "name", "alt_txt")))
    return _said(message, "\n".join(parts.kept), shortened=blocks.shortened or parts.full)


def _said(message: JsonView, markup: str, *, shortened: bool) -> Said:
    if not markup:
        return Said(_room(message), shortened)
    kept = markup[:LONGEST_TEXT]
    return Said(kept, shortened or len(markup) > LONGEST_TEXT, mentioned(kept) if "<@" in kept else frozenset())


def _body(message: JsonView, blocks: Blocks) -> str:
    """Return the words of the blocks, else the text, then the names of the blocks' pictures."""
    given = message.get("blocks")
    if not given:
        return _text(message)
    words, pictures = blocks.body(given)
    words = words.strip() or _text(message)
    return f"{words}\n{pictures}" if words and pictures else words or pictures


def _text(message: JsonView) -> str:
    given = message.get("text")
    return given.strip() if isinstance(given, str) and not _is_placeholder(given) else ""


def _add_attached(message: JsonView, blocks: Blocks, parts: "_Parts", *, depth: int) -> None:
    for attachment in _mappings(message.get("attachments")):
        if any(attachment.get(name) for name in SHARE) or not any(attachment.get(name) for name in PREVIEW):
            _add_attachment(attachment, blocks, parts, depth=depth)
    for file in _mappings(message.get("files")):
        for words in _of_file(file):
            parts.add(words)


def _add_attachment(attachment: JsonView, blocks: Blocks, parts: "_Parts", *, depth: int) -> None:
    before = parts.offered
    for name in ("pretext", "title"):
        parts.add(_first(attachment, name))
    words, pictures = blocks.body(attachment.get("blocks"))
    shared = _shared(attachment)
    if shared and depth < DEEPEST_SHARE:
        for message in shared:
            parts.add(_body(message, blocks) or _first(attachment, "text"))
            _add_attached(message, blocks, parts, depth=depth + 1)
    else:
        parts.add(_first(attachment, "text"))
    for field in _mappings(attachment.get("fields")):
        name, value = _first(field, "title"), _first(field, "value")
        parts.add(f"{name.rstrip(': ')}: {value}" if name and value else name or value)
    parts.add(words)
    if parts.offered == before:
        parts.add(pictures or _first(attachment, "fallback"))
    _add_attached({"files": attachment.get("files")}, blocks, parts, depth=depth)


def _shared(attachment: JsonView) -> list[JsonView]:
    """Return the messages that an attachment shares, where it holds them whole."""
    held = _mappings(attachment.get("message_blocks"))
    return [message for one in held if isinstance(message := one.get("message"), dict)]


def _of_file(file: JsonView) -> Iterator[str]:
    """Yield the words that a file brings along; a name of a file is no word of the message."""
    if isinstance(comment := file.get("initial_comment"), dict):
        yield _first(comment, "comment")
    if file.get("mode") in TITLED or file.get("filetype") in TITLED:
        yield literal(_first(file, "title", "subject"))
    words = _first(file, "plain_text", "preview_plain_text")
    if not words and file.get("mode") == "email":
        words = html.unescape(TAG.sub(" ", _first(file, "preview")[:LONGEST_TEXT])).strip()
    yield literal(words or _first(file, "preview"))
    transcription = file.get("transcription")
    if isinstance(transcription, dict) and isinstance(preview := transcription.get("preview"), dict):
        yield literal(_first(preview, "content"))


def _room(message: JsonView) -> str | None:
    """Return the name of a huddle, where its message says nothing."""
    room = message.get("room")
    return (literal(_first(room, "name")) or None) if isinstance(room, dict) else None


def _mappings(listed: object) -> list[JsonView]:
    return [one for one in listed[:MOST_PARTS] if isinstance(one, dict)] if isinstance(listed, list) else []


def _first(part: JsonView, *names: str) -> str:
    """Return the first of some fields that holds text."""
    found = (value.strip() for name in names if isinstance(value := part.get(name), str))
    return next(filter(None, found), "")


def _is_placeholder(text: str) -> bool:
    if len(text) > LONGEST_PLACEHOLDER:
        return False
    plain = text.strip(" []().\n").replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").lower()
    return plain in PLACEHOLDERS or PICTURE.fullmatch(plain) is not None


class _Parts:
    """Collects texts in their order, each once: by their words, whatever styles and labels stand around these."""

    def __init__(self) -> None:
        self.kept: list[str] = []
        self.offered = 0
        """How many parts had words, repeated ones included."""
        self.full = False
        self._words: list[str] = []
        self._all = ""
        """The same in one text, to be searched at once: a message may have very many parts."""
        self._room = LONGEST_TEXT

    def add(self, markup: str) -> None:
        if not markup.strip() or _is_placeholder(markup):
            return
        self.offered += 1
        if self.offered > MOST_TEXTS or len(markup) > self._room:
            self.full, markup = True, markup[: self._room if self.offered <= MOST_TEXTS else 0]
        words = _words_of(markup)
        if not words or words in self._words or self._holds(words):
            return
        if self._words and _begins(words, self._words[-1]):
            del self.kept[-1], self._words[-1]
        self.kept.append(markup)
        self._words.append(words)
        self._all += f"\n {words} "
        self._room -= len(markup)

    def _holds(self, words: str) -> bool:
        """Tell whether a text stands in another, whole words and enough of them to be no chance."""
        return words.count(" ") + 1 >= TELLING and f" {words} " in self._all


def _words_of(markup: str) -> str:
    plain = ENTITY.sub(" ", LABEL.sub(r"\1>", markup)) if "<" in markup or "&" in markup else markup
    return " ".join(WORD.findall(plain.casefold())) or plain.strip()


def _begins(words: str, held: str) -> bool:
    """Tell whether a text begins with the one before it, as a full text does with its headline."""
    return held.count(" ") + 1 >= TELLING and words.startswith(f"{held} ")
