"""From bytes to text: a charset label is a hint, and often a wrong one.

Text that is UTF-8 by accident hardly exists, so strict UTF-8 comes first; then the label, with the meaning that
the WHATWG Encoding Standard gives it; then windows-1252.
"""

import codecs
import re

UTF_8, WINDOWS_1252 = "utf-8", "cp1252"
SNIFFED = 1024  # bytes at the beginning of HTML that may say its charset (HTML standard, 13.2.3.2)
GOOD_TO_BAD = 4  # characters of UTF-8 to broken bytes: so many say that it is UTF-8 that was damaged
READABLE = 20  # characters to broken ones, with which a label is still believed

CHARSET = re.compile(r"charset\s*=\s*[\"']?([^\s;\"']{1,40})", re.IGNORECASE)
_IN_HTML = re.compile(
    rb"<meta[^>]{1,200}charset\s*=\s*[\"']?([\w-]{1,40})|<\?xml[^>]{1,100}encoding\s*=\s*[\"']([\w-]{1,40})",
    re.IGNORECASE,
)

MEANING = {
    # by Python's name of a codec: what is sent under this label is a superset of it
    "ascii": WINDOWS_1252,
    "iso8859-1": WINDOWS_1252,
    "iso8859-9": "cp1254",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "euc_kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
    "utf-16": "utf-16-le",
    "utf-32": "utf-32-le",
}
OTHER_LABELS = {
    # of the standard or of old mail programs, unknown to Python
    "ansi_x3.110-1983": WINDOWS_1252,
    "cp-850": "cp850",
    "dos-874": "cp874",
    "iso-8859-8-i": "iso8859-8",
    "iso-8859-8-e": "iso8859-8",
    "ksc5601": "cp949",
    "ks_c_5601-1989": "cp949",
    "unicode-1-1-utf-8": UTF_8,
    "utf8mb4": UTF_8,
    "windows-949": "cp949",
    "x-euc-jp": "euc_jp",
    "x-gbk": "gb18030",
    "x-sjis": "cp932",
    "x-unknown": WINDOWS_1252,
    "x-windows-949": "cp949",
}
NO_CHARSETS = frozenset({"idna", "punycode", "unicode-escape", "raw-unicode-escape", "undefined", "mbcs", "oem"})
"""What Python decodes, and no mail is written in."""
MULTIBYTE = frozenset({"cp949", "johab", "gb18030", "cp932", "euc_jp", "big5hkscs", "cp950"})
_C1_AS_WINDOWS = {code: bytes([code]).decode(WINDOWS_1252, errors="ignore") or None for code in range(0x80, 0xA0)}
_C1 = re.compile("[\x80-\x9f]")


def text_of_bytes(content: bytes, label: str | None) -> str:
    """Decode text. It has no control characters of the C1 range: their bytes are windows-1252's punctuation."""
    text = _decoded(content, None if label is None else codec_of(label))
    if text.isascii():
        return text
    text = text.removeprefix("\ufeff")
    return text.translate(_C1_AS_WINDOWS) if _C1.search(text) else text


def label_in_html(content: bytes) -> str | None:
    """Find the charset that HTML names itself. Where its name can be read, it is not UTF-16."""
    found = _IN_HTML.search(content[:SNIFFED])
    if found is None:
        return None
    label = (found[1] or found[2]).decode()
    return UTF_8 if label.lower().startswith("utf-16") else label


def codec_of(label: str) -> str | None:
    """Return the name of Python's codec for a label, or None where it knows none."""
    label = label.strip().lower()
    if label in OTHER_LABELS:
        return OTHER_LABELS[label]
    try:
        found = codecs.lookup(label)
    except (LookupError, ValueError):  # ValueError: a label with a NUL
        return None
    if not found._is_text_encoding or found.name in NO_CHARSETS:
        return None
    return MEANING.get(found.name, found.name)


def _decoded(content: bytes, codec: str | None) -> str:
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content.decode("utf-16", errors="replace")
    if codec is not None and _hides_in_ascii(codec, content):
        return _strictly(content, codec) or content.decode(UTF_8, errors="replace")
    if (text := _strictly(content, UTF_8)) is not None:
        return text
    if codec in MULTIBYTE:
        assert codec is not None  # noqa: S101  (for mypy)
        text = content.decode(codec, errors="replace")
        if text.count("\ufffd") * READABLE <= len(text):
            return text
        return content.decode(WINDOWS_1252, errors="replace")
    damaged = content.decode(UTF_8, errors="replace")
    bad = damaged.count("\ufffd")
    foreign = len(damaged) - len(damaged.encode("ascii", errors="ignore"))
    if foreign - bad >= GOOD_TO_BAD * bad:
        return damaged
    return content.decode(WINDOWS_1252 if codec in (None, UTF_8) else codec, errors="replace")


def _hides_in_ascii(codec: str, content: bytes) -> bool:
    """Whether what is valid UTF-8 means something else in a charset: 7-bit ones with states, UTF-16 and 32."""
    return codec.startswith(("utf-16", "utf-32")) or (
        codec.startswith(("iso2022", "hz", "utf-7")) and content.isascii()
    )


def _strictly(content: bytes, codec: str) -> str | None:
    try:
        return content.decode(codec)
    except ValueError:
        return None
