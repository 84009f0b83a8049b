"""How many tokens a text has, estimated by its characters; what a server really counted corrects it.

Measured against OpenAI's o200k on what people say in twelve languages, it is 0.85 (Polish) to 1.14 (French) times
the count: Chinese 0.95, Arabic 0.96, Hindi and Japanese 1.00, English, Spanish and Thai 1.06, Russian 1.07, German
1.09, Korean 1.12, our instructions 1.14. The tokeniser itself is 78 MB, and 143 MB in memory.
"""

import re
from bisect import bisect_right
from collections import Counter
from functools import lru_cache

_UP_TO = (0x80, 0x250, 0x800, 0xE00, 0x1E00, 0x1F00, 0x2E80)
_PER_CHARACTER = (
    0.7,  # ASCII marks; letters and digits below
    1.15,  # Latin letters with marks: they break words into pieces
    0.28,  # Greek, Cyrillic, Hebrew, Arabic
    0.31,  # the scripts of India
    0.42,  # Thai and its neighbours
    1.15,  # Latin letters with marks, as Vietnamese has them
    0.42,
    0.7,  # Chinese, Japanese, Korean; emoji
)
_LETTER, _DIGIT = 0.2, 0.55  # ASCII; a space belongs to the word that follows
_RUN = re.compile(r"(.)\1{2,}", re.DOTALL)  # has a token or two, however long it is


def tokens(text: str) -> int:
    """Estimate a text's tokens."""
    return round(sum(count * _weight(one) for one, count in Counter(_RUN.sub(r"\1\1", text)).items()) + 0.5)


@lru_cache(maxsize=20_000)
def _weight(character: str) -> float:
    if character.isascii():
        if character.isalpha() or character == " ":
            return _LETTER
        return _DIGIT if character.isdigit() else _PER_CHARACTER[0]
    return _PER_CHARACTER[bisect_right(_UP_TO, ord(character))]
