"""What is new in a mail: its text without quotations, their introductions and the signature.

`mail-parser-reply` knows how mail programs of fourteen languages introduce a quotation and sign for their user.
As a whole it takes the first part of a mail for the new one, loses answers between or below quotations and takes
lists for signatures, and its patterns need minutes for long lines. So they are asked about single short lines, and
the rest is decided line by line, in linear time.
"""

import re
from functools import cache

from mailparser_reply.constants import MAIL_LANGUAGES

LONGEST_LINE = 300  # characters; no introduction or signature is longer
LONGEST_SENT_FROM = 100  # characters
INTRODUCTION_LINES = 3  # over which mail programs break an introduction
BLOCK_LINES = 3  # header lines that make a block
SIGNATURE_LINES, SIGNATURE_LENGTH = 12, 800  # what is longer is no signature, whatever stands above it
WRAPPED = 60  # characters from which a quoted line may have been broken, so that its end lost its mark
LABEL_LENGTH = 20  # characters of a header's name
MOST_LINES = 20_000  # that are looked at; what follows counts as new
MOST_QUESTIONS = 200  # to the library about one mail: its patterns take up to 2 ms for a line

DELIMITERS = ("--", "__")
MARKS = "-_* "  # with which a line begins that separates
QUOTED, COLONS = ">", (":", "：")
SPACES = "".join(filter(str.isspace, map(chr, range(0x3001))))  # Unicode has none beyond
NOTABLE = frozenset(QUOTED + MARKS + SPACES)
"""With which a line begins that is looked at."""
FROM_LABELS = frozenset(
    (
        *(
            "from",
            "von",
            "de",
            "da",
            "van",
            "od",
            "fra",
            "från",
            "от",
            "lähettäjä",
            "feladó",
            "kimden",
            "gönderen",
        ),
        *("expéditeur", "mittente", "remitente", "afzender", "发件人", "寄件者", "差出人", "送信者", "보낸사람"),
    )
)
_BLANK_LINES = re.compile(r"\n{3,}")
_DATE = re.compile(r"(?<!\d)(?:(?:19|20)\d\d|\d{1,2}[.:]\d\d)(?!\d)|\d[./]\d{1,2}[./]\d\d")
_MAILBOX = re.compile(r"[^\s<>@]@[^\s<>@]")
_LABEL = re.compile(rf"[>*_ ]*([^\W\d_][^:：*]{{0,{LABEL_LENGTH}}}?)[ *]*[:：]")
_RULE = re.compile(r"[ *]*[_-]{10,}[ *]*|\* \* \*")
_MARKER = re.compile(r"[> ]*-{4,} ?([^-].{0,60}?) ?-{4,}")
_ORIGINAL = re.compile(
    "origin|ursprüng|oorspronk|oprindelig|pierwotn|původní|исходн|原始|原邮件|元のメッセージ|원본", re.IGNORECASE
)
_APPLE_FORWARD = re.compile(
    "(?:begin forwarded message|anfang der weitergeleiteten|début du message (?:réexpédié|transféré)|"
    "inicio del mensaje reenviado|inizio messaggio inoltrato|begin doorgestuurd bericht|início da mensagem "
    "(?:encaminhada|reencaminhada)|vidarebefordrat brev|下面是被转发的邮件|転送されたメッセージ)",
    re.IGNORECASE,
)
_FORWARDED_SUBJECT = re.compile(r"\s*(?:fwd?|wg|tr|rv|enc|i|vs|pd|doorst|转发|転送)\s*[:：]", re.IGNORECASE)
_SENT_FROM = re.compile(
    r"(?:sent (?:with|via)|von meinem .{1,30} gesendet|gesendet mit|envoyé de |enviado do |отправлено с|"
    r"iphone ?から送信|发自我的)",
    re.IGNORECASE,
)
"""What the library does not know."""


def new_text_of(text: str, subject: str | None = None) -> str:
    """Return the new part of a mail; all of it where nothing is new. What is handed on is new to its reader."""
    forwards = subject is not None and _FORWARDED_SUBJECT.match(subject[:LONGEST_LINE]) is not None
    lines = text.replace("\r\n", "\n").split("\n")
    new = "\n".join(_Mail(lines, forwards=forwards).new_lines()).strip()
    if "\n\n\n" in new:
        new = _BLANK_LINES.sub("\n\n", new)
    return new or text


class _Mail:
    """The lines of one mail, and how often the library was asked about them."""

    def __init__(self, lines: list[str], *, forwards: bool) -> None:
        self.lines, self.forwards = lines, forwards
        self.introducing: set[int] = set()
        """Lines that end as an introduction of a quotation does; most mails have few."""
        self.questions = 0
        self.without_signature = 0
        """So many new lines had their signature taken off."""

    def new_lines(self) -> list[str]:
        """Read from the top: quotations with marks are left out, one without marks is the rest."""
        lines, position = self.lines, 0
        new: list[str] = []
        for place in self._notable():
            if place < position:
                continue
            new += lines[position:place]
            position, line = place, lines[place]
            if line.startswith(QUOTED) or _is_end_of_quoted(lines, position):
                self._leave_out_signature(new)
                position += 1
                while position < len(lines) and lines[position].startswith(QUOTED):
                    position += 1
            elif line.isspace() or not line:
                new.append("")
                position += 1
            elif (rest := self._other_mail(position)) is not None:
                self._leave_out_signature(new)
                return new + rest
            elif length := self._introduction(position):
                self._leave_out_signature(new)
                position += length
                if not _next_is_quoted(lines, position):
                    return new
        new += lines[position:]
        self._leave_out_signature(new)
        return new

    def _notable(self) -> list[int]:
        """Find the lines that may be more than new text, in order; most lines are not, and cost one look here."""
        lines = self.lines
        found = {
            place
            for place, line in enumerate(lines[:MOST_LINES])
            if line[:1] in NOTABLE or ":" in line or (not line.isascii() and "：" in line)
        }
        self.introducing = {place for place in found if lines[place].rstrip().endswith(COLONS)}
        for place in self.introducing:
            found.update(range(max(0, place - INTRODUCTION_LINES + 1), place))
        found |= {place + 1 for place in found if lines[place].startswith(QUOTED)}
        found.discard(len(lines))
        return sorted(found)

    def _other_mail(self, position: int) -> list[str] | None:
        """Return the lines of a mail that is forwarded here, none of one that is answered; None elsewhere."""
        line = self.lines[position]
        if not (line[0] in MARKS or ":" in line or "：" in line) or len(line) > LONGEST_LINE:
            return None
        begins_block = _begins_block(self.lines, position)
        if _begins_forward(line) or (begins_block and self.forwards):
            return self.lines[position:]
        return [] if begins_block else None

    def _introduction(self, position: int) -> int:
        """Return how many lines introduce a quotation here: a date, a person, and a colon at the end."""
        if self.introducing.isdisjoint(range(position, position + INTRODUCTION_LINES)):
            return 0
        lines = self.lines[position : position + INTRODUCTION_LINES]
        for length, line in enumerate(lines, start=1):
            if not line.strip() or line.startswith(QUOTED) or len(line) > LONGEST_LINE:
                return 0
            if line.rstrip().endswith(COLONS):
                joined = " ".join(part.strip() for part in lines[:length])
                quoted = _next_is_quoted(self.lines, position + length)
                return length if len(joined) <= LONGEST_LINE and self._introduces(joined, quoted=quoted) else 0
        return 0

    def _introduces(self, line: str, *, quoted: bool) -> bool:
        from_mailbox = _MAILBOX.search(line) is not None
        if _DATE.search(line) is None:
            return quoted and from_mailbox
        return quoted or from_mailbox or self._is_known("wrote_header", line)

    def _leave_out_signature(self, new: list[str]) -> None:
        """Take a signature off the end: what follows the usual delimiter, and what telephones write."""
        if len(new) == self.without_signature:
            return
        length = said = 0
        for position in range(len(new) - 1, max(-1, len(new) - 1 - 2 * SIGNATURE_LINES), -1):
            line = new[position]
            if line[:2] in DELIMITERS and not line[2:].strip():
                del new[position:]
                break
            said += bool(line)
            length += len(line)
            if said > SIGNATURE_LINES or length > SIGNATURE_LENGTH:
                break
        while new and self._is_no_word(new[-1]):
            del new[-1]
        if new:
            new.append("")
        self.without_signature = len(new)

    def _is_no_word(self, line: str) -> bool:
        if len(line) > LONGEST_SENT_FROM:
            return False
        line = line.strip()
        return bool(
            not line or _RULE.fullmatch(line) or _SENT_FROM.match(line) or self._is_known("sent_from", line)
        )

    def _is_known(self, kind: str, line: str) -> bool:
        self.questions += 1
        return self.questions <= MOST_QUESTIONS and _known(kind).match(line) is not None


def _begins_forward(line: str) -> bool:
    """Whether a line says that another mail is handed on."""
    if marker := _MARKER.fullmatch(line):
        return _ORIGINAL.search(marker[1]) is None
    return _APPLE_FORWARD.match(line) is not None and line.rstrip().endswith(COLONS)


def _begins_block(lines: list[str], position: int) -> bool:
    """Whether a header block of Outlook's kind begins here, or the line above one."""
    if not (_MARKER.fullmatch(lines[position]) or _RULE.fullmatch(lines[position])):
        return _is_header_block(lines, position)
    below = range(position + 1, min(position + 1 + INTRODUCTION_LINES, len(lines)))
    following = next((at for at in below if lines[at].strip()), None)
    return following is not None and _is_header_block(lines, following)


def _is_header_block(lines: list[str], position: int) -> bool:
    if _label(lines[position]) not in FROM_LABELS:
        return False
    block: list[str] = []
    for line in lines[position : position + 2 * BLOCK_LINES]:
        if not _label(line):
            break
        block.append(line[:LONGEST_LINE])
    return len(block) >= BLOCK_LINES and any(map(_DATE.search, block))


def _label(line: str) -> str:
    found = _LABEL.match(line[:LONGEST_LINE])
    return "" if found is None else found[1].replace(" ", "").lower()


def _next_is_quoted(lines: list[str], position: int) -> bool:
    following = lines[position : position + INTRODUCTION_LINES]
    return next((line.startswith(QUOTED) for line in following if line.strip()), False)


def _is_end_of_quoted(lines: list[str], position: int) -> bool:
    """Whether a line is the end of a quoted one that a mail program broke."""
    if not position or not lines[position][:1].islower():
        return False
    above = lines[position - 1].rstrip()
    is_broken = above.startswith(QUOTED) and len(above) >= WRAPPED
    return is_broken and (above[-1].isalnum() or above[-1] in ",-")


@cache
def _known(kind: str) -> re.Pattern[str]:
    patterns = [language[kind] for language in MAIL_LANGUAGES.values() if language.get(kind)]
    return re.compile("|".join(patterns), re.MULTILINE | re.IGNORECASE)
