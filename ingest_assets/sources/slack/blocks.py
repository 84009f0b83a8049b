"""Block Kit as Slack's markup: what a person reads of blocks, and nothing of buttons and menus.

Block types that are not known here are read by the fields that usually hold words. An odd element costs that
element alone.
(docs.slack.dev, Block Kit; `rich_text` is what people compose, the others are what apps compose)
"""

from collections.abc import Callable, Iterable
from typing import Any

from ingest_assets.sources.json_values import JsonView
from ingest_assets.sources.slack.markup import literal, moment

DEEPEST = 24  # levels; Slack nests a list in a cell in a table in a container: six
MOST_ELEMENTS = (
    20_000  # of one message; a table has up to 100 rows of 20 cells, and text of several styles in each
)

Part = JsonView


class Blocks:
    """Reads the blocks of one message, within bounds that all of them share."""

    def __init__(self) -> None:
        self.shortened = False
        self._left = MOST_ELEMENTS
        self._depth = 0

    def read(self, part: Any) -> str:
        """Return the markup of a block, an element or a list of them; "" where no words are."""
        if not part:
            return ""
        if self._left <= 0 or self._depth >= DEEPEST:
            self.shortened = True
            return ""
        self._left -= 1
        self._depth += 1
        try:
            match part:
                case str():
                    return literal(part)
                case dict():
                    kind = part.get("type")
                    reader = READERS.get(kind, _unknown) if isinstance(kind, str) else _unknown
                    return reader(self, part)
                case list():
                    return self.lines([one for one in part if not isinstance(one, str)])
            return ""
        finally:
            self._depth -= 1

    def lines(self, parts: object, separator: str = "\n") -> str:
        """Join what parts say, where they say anything."""
        return separator.join(filter(None, map(self.read, _listed(parts))))

    def inline(self, parts: object) -> str:
        """Join the elements of one paragraph."""
        said, elements = [], _listed(parts)
        self._left -= len(elements)
        for part in elements if self._left > 0 else ():
            kind = part.get("type") if isinstance(part, dict) else None
            reader = LEAVES.get(kind) if isinstance(kind, str) else None
            said.append(self.read(part) if reader is None else reader(self, part))  # without the rest of `read`
        self.shortened |= self._left <= 0
        return "".join(said)

    def body(self, blocks: object) -> tuple[str, str]:
        """Return what blocks say in words, and what their pictures are called."""
        composed = _only(blocks, "rich_text")
        if composed is not None and (paragraph := _only(composed.get("elements"), "rich_text_section")):
            return self.inline(paragraph.get("elements")), ""  # what most people write
        words: list[str] = []
        pictures: list[str] = []
        for block in _listed(blocks):
            if isinstance(block, dict):
                (pictures if block.get("type") in PICTURES else words).append(self.read(block))
        return _lines(words), _lines(pictures)


def _lines(texts: list[str]) -> str:
    return "\n".join(text for text in texts if text.strip())


def _only(parts: object, kind: str) -> Part | None:
    """Return the only one of some parts, if it is of a kind."""
    only = parts[0] if isinstance(parts, list) and len(parts) == 1 else None
    return only if isinstance(only, dict) and only.get("type") == kind else None


def _listed(parts: object) -> list[Any]:
    return parts if isinstance(parts, list) else []


def _fields(*names: str) -> Callable[[Blocks, Part], str]:
    """Return a reader of the named fields, a line each."""

    def read(blocks: Blocks, part: Part) -> str:
        return blocks.lines([part.get(name) for name in names])

    return read


def _silent(_blocks: Blocks, _part: Part) -> str:
    """Read nothing: what can be pressed or filled in is no word of the message."""
    return ""


def _text(_blocks: Blocks, part: Part) -> str:
    text = part.get("text")
    return literal(text) if isinstance(text, str) else ""


def _markup(_blocks: Blocks, part: Part) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else ""


def _number(_blocks: Blocks, part: Part) -> str:
    shown = part.get("text") or part.get("value")
    return literal(str(shown)) if isinstance(shown, str | int | float) else ""


def _named(form: str, field: str) -> Callable[[Blocks, Part], str]:
    """Return a reader of an element that names something."""

    def read(_blocks: Blocks, part: Part) -> str:
        target = part.get(field)
        return form.format(literal(target)) if isinstance(target, str) and target else ""

    return read


def _link(_blocks: Blocks, part: Part) -> str:
    target, label = part.get("url"), part.get("text")
    if not isinstance(target, str):
        return literal(label) if isinstance(label, str) else ""
    return f"<{target}|{literal(label)}>" if isinstance(label, str) and label else f"<{target}>"


def _date(_blocks: Blocks, part: Part) -> str:
    fallback = part.get("fallback")
    return literal(fallback) if isinstance(fallback, str) and fallback else moment(part.get("timestamp")) or ""


def _inline(blocks: Blocks, part: Part) -> str:
    return blocks.inline(part.get("elements"))


def _rich_text(blocks: Blocks, part: Part) -> str:
    said = (blocks.read(element).strip("\n") for element in _listed(part.get("elements")))
    return "\n".join(filter(None, said))


def _quote(blocks: Blocks, part: Part) -> str:
    return "\n".join(f"&gt; {line}" for line in _inline(blocks, part).split("\n"))


def _list(blocks: Blocks, part: Part) -> str:
    indent, offset = _small(part.get("indent")), _small(part.get("offset"))
    ordered = part.get("style") == "ordered"
    lines = []
    for place, element in enumerate(_listed(part.get("elements")), start=1 + offset):
        if said := blocks.read(element):
            lines.append("  " * indent + (f"{place}. " if ordered else "• ") + said)
    return "\n".join(lines)


def _small(value: object) -> int:
    """Return a level or a number that a client may have set, within what is sensible."""
    return min(max(value, 0), DEEPEST) if isinstance(value, int) else 0


def _section(blocks: Blocks, part: Part) -> str:
    return blocks.lines([part.get("text"), part.get("fields"), part.get("accessory")])


def _context(blocks: Blocks, part: Part) -> str:
    """Read a context's texts; its pictures are small icons, which count only where there is nothing else."""
    words: list[str] = []
    pictures: list[str] = []
    for element in _listed(part.get("elements")):
        picture = isinstance(element, dict) and element.get("type") in PICTURES
        (pictures if picture else words).append(blocks.read(element))
    return " ".join(filter(None, words)) or " ".join(filter(None, pictures))


def _image(blocks: Blocks, part: Part) -> str:
    title, alternative = blocks.read(part.get("title")), part.get("alt_text")
    told = literal(alternative) if isinstance(alternative, str) else ""
    return "\n".join(dict.fromkeys(filter(None, (title, told))))


def _video(blocks: Blocks, part: Part) -> str:
    return _fields("title", "description")(blocks, part) or blocks.read(part.get("alt_text"))


def _choice(blocks: Blocks, part: Part) -> str:
    """Read a poll's options: they are shown, unlike those of a menu."""
    options = [option for option in _listed(part.get("options")) if isinstance(option, dict)]
    return blocks.lines([item for option in options for item in (option.get("text"), option.get("description"))])


def _table(blocks: Blocks, part: Part) -> str:
    rows = (_row(blocks, row) for row in _listed(part.get("rows")))
    return "\n".join(filter(None, [blocks.read(part.get("caption")), *rows]))


def _row(blocks: Blocks, row: object) -> str:
    """Read one row; a list in a cell stands on one line."""
    cells = row.get("cells") or row.get("elements") if isinstance(row, dict) else row
    said: Iterable[str] = (" ".join(blocks.read(cell).split()) for cell in _listed(cells))
    joined = " | ".join(said)
    return joined if joined.strip(" |") else ""


def _container(blocks: Blocks, part: Part) -> str:
    title = blocks.read(part.get("rich_text_title")) or blocks.read(part.get("title"))
    inner = _fields("subtitle", "child_blocks")(blocks, part)
    return "\n".join(filter(None, (title, inner)))


def _call(blocks: Blocks, part: Part) -> str:
    call = part.get("call")
    shown = call.get("v1") if isinstance(call, dict) else None
    return blocks.read(shown.get("name")) if isinstance(shown, dict) else ""


def _file(blocks: Blocks, part: Part) -> str:
    file = part.get("file")
    return blocks.read(file.get("title")) if isinstance(file, dict) else ""


_unknown = _fields(
    *("rich_text_title", "title", "subtitle", "label", "text", "description", "body", "fields", "rows"),
    *("elements", "child_blocks", "blocks", "items", "children", "tasks", "fallback"),
)

PICTURES = ("image", "file", "call")  # blocks whose words only name something
PRESSED = (
    *("actions", "context_actions", "button", "workflow_button", "feedback_buttons", "icon_button", "overflow"),
    *("static_select", "external_select", "users_select", "conversations_select", "channels_select"),
    *("multi_static_select", "multi_external_select", "multi_users_select", "multi_conversations_select"),
    *("multi_channels_select", "datepicker", "timepicker", "datetimepicker", "plain_text_input"),
    *("rich_text_input", "email_text_input", "url_text_input", "number_input", "file_input", "divider"),
    *("auth_provider",),
)
LEAVES: dict[str, Callable[[Blocks, Part], str]] = {
    "text": _text,
    "link": _link,
    "user": _named("<@{}>", "user_id"),
    "channel": _named("<#{}>", "channel_id"),
    "usergroup": _named("<!subteam^{}>", "usergroup_id"),
    "broadcast": _named("<!{}>", "range"),
    "emoji": _named(":{}:", "name"),
    "color": _named("{}", "value"),
    "team": _named("@{}", "team_id"),
    "date": _date,
}
"""Elements of a paragraph, which hold no others."""
READERS: dict[str, Callable[[Blocks, Part], str]] = {
    **dict.fromkeys(PRESSED, _silent),
    **dict.fromkeys(("plain_text", "raw_text"), _text),
    **dict.fromkeys(("mrkdwn", "markdown"), _markup),
    **dict.fromkeys(("rich_text_section", "rich_text_preformatted"), _inline),
    "rich_text": _rich_text,
    "carousel": _fields("elements"),
    **dict.fromkeys(("table", "data_table"), _table),
    **dict.fromkeys(("checkboxes", "radio_buttons"), _choice),
    "raw_number": _number,
    **LEAVES,
    "rich_text_quote": _quote,
    "rich_text_list": _list,
    "section": _section,
    "header": _fields("text"),
    "alert": _fields("text"),
    "input": _fields("label", "element"),
    "context": _context,
    "image": _image,
    "video": _video,
    "card": _fields("title", "subtitle", "body"),
    "container": _container,
    "plan": _fields("title", "tasks"),
    "task_card": _fields("title", "details", "output"),
    "call": _call,
    "file": _file,
}
