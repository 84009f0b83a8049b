"""Lines of text as a reader sees them: paragraphs, list items, table cells and quotations, without a tree.

All state is a handful of counters, so that neither depth nor size costs more than the text itself.
"""

from typing import NamedTuple

DEEPEST_LIST, DEEPEST_QUOTE = 4, 4  # levels shown, so that depth does not multiply the text
BLANK_LINE = 2  # line breaks


class Mark(NamedTuple):
    """A place to go back to, when what was written since turns out to be hidden."""

    pieces: int
    breaks: int
    space: bool
    line_open: bool
    lines: int
    row_line: int | None


class Layout:
    """What was written so far, and what stands between it and the next word."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.lists: list[int] = []
        """Of each list the number of its last item, or -1 for bullets."""
        self.quotes = 0
        self.preformatted = 0
        self._breaks = 0
        self._space = False
        self._tab = False
        self._line_open = False
        self._bullet = self._last_quote = ""
        self._lines = 0
        self._row_line: int | None = None
        self._cell_is_fresh = False

    def __str__(self) -> str:
        return "".join(self.pieces)

    def words(self, text: str) -> None:
        """Write text whose white space means no more than a space."""
        words = " ".join(text.split())
        if not words:
            self._space = self._space or bool(text)
            return
        self._space = self._space or text[0].isspace()
        self._begin()
        self.pieces.append(words)
        self._space = text[-1].isspace()

    def lines(self, text: str) -> None:
        """Write preformatted text."""
        first, *others = text.split("\n")
        self._line(first)
        for line in others:
            self._cell_is_fresh = False
            self.line_break()
            self._line(line)

    def line_break(self) -> None:
        self._breaks = min(self._breaks + 1, BLANK_LINE)

    def block(self, breaks: int = 1) -> None:
        """Begin or end a block: so many line breaks at least, but none where a cell begins."""
        if not self._cell_is_fresh:
            self._breaks = max(self._breaks, breaks)

    def item(self) -> None:
        """Begin a list item."""
        self.block()
        if not self.lists or self.lists[-1] < 0:
            self._bullet = "* "
        else:
            self.lists[-1] += 1
            self._bullet = f"{self.lists[-1]}. "

    def row(self) -> None:
        """Begin or end a row of a table."""
        self.block()
        self._row_line = None

    def cell(self) -> None:
        """Begin a cell: beside the last one, if the row is still one line."""
        if self._row_line is not None:
            if self._row_line == self._lines:
                self._tab, self._breaks = True, 0
            else:
                self.block()
        self._cell_is_fresh = True

    def cell_end(self) -> None:
        self._cell_is_fresh = False

    def mark(self) -> Mark:
        return Mark(len(self.pieces), self._breaks, self._space, self._line_open, self._lines, self._row_line)

    def back_to(self, mark: Mark) -> None:
        """Take back what was written since."""
        del self.pieces[mark.pieces :]
        _, self._breaks, self._space, self._line_open, self._lines, self._row_line = mark
        self._tab, self._bullet = False, ""

    def _line(self, line: str) -> None:
        if line.strip():
            self._begin()
            self.pieces.append(line.rstrip())
            self._space = False

    def _begin(self) -> None:
        """Write what stands before the next word."""
        quote = ">" * min(self.quotes, DEEPEST_QUOTE)
        if self._breaks and self.pieces:
            self.pieces.append(f"\n{min(quote, self._last_quote)}\n" if self._breaks == BLANK_LINE else "\n")
            self._lines += self._breaks
            self._line_open = False
        if not self._line_open:
            level = min(len(self.lists), DEEPEST_LIST)
            indent = "  " * (level - bool(self._bullet)) if level else ""
            self.pieces.append(f"{quote} {indent}{self._bullet}" if quote else f"{indent}{self._bullet}")
        elif self._tab:
            self.pieces.append("\t")
        elif self._space:
            self.pieces.append(" ")
        if self._row_line is None:
            self._row_line = self._lines
        self._last_quote = quote
        self._line_open, self._breaks, self._tab, self._bullet = True, 0, False, ""
        self._space = self._cell_is_fresh = False
