"""Long transcripts in parts: cut between turns, each part repeating the end of the one before."""

from collections.abc import Sequence
from functools import cache
from typing import Any

OVERLAP = 1  # turns
COUNTED = (
    50_000  # characters at once: the library refuses more than 200,000 tokens, and a character has up to four
)


@cache
def _encoding() -> Any:
    import bpe_openai  # reads its tables when it is imported, which only an extraction needs

    return bpe_openai.get_encoding("o200k_base")  # bundled: no download


def tokens(text: str) -> int:
    """Count a text's tokens, as the models of today do."""
    clean = text.encode("utf-8", "replace").decode()
    pieces = (clean[start : start + COUNTED] for start in range(0, len(clean), COUNTED))
    return sum(len(_encoding().encode_ordinary(piece)) for piece in pieces)


def parts(lines: Sequence[str], most: int) -> list[list[str]]:
    """Cut lines into parts of at most `most` tokens; a line that is longer is a part by itself."""
    found: list[list[str]] = []
    sizes = [tokens(line) + 1 for line in lines]
    part: list[str] = []
    size = 0
    for place, line in enumerate(lines):
        if part and size + sizes[place] > most:
            found.append(part)
            carried = slice(max(0, place - OVERLAP), place)
            fits = sum(sizes[carried]) + sizes[place] <= most
            part, size = (list(lines[carried]), sum(sizes[carried])) if fits else ([], 0)
        part.append(line)
        size += sizes[place]
    return [*found, part] if part else found


def halves(lines: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Cut a part in two, a single line between two words under the same speaker; None if that is not possible."""
    if len(lines) > 1:
        middle = len(lines) // 2
        return list(lines[:middle]), list(lines[middle:])
    head, colon, said = lines[0].partition("): ")
    words = said.split(" ")
    if len(words) < 2:
        return None
    middle = len(words) // 2
    return [f"{head}{colon}{' '.join(words[:middle])}"], [f"{head}{colon}{' '.join(words[middle:])}"]
