"""Long transcripts in parts: cut between turns, each part repeating the end of the one before."""

from collections.abc import Sequence

import regex

from ingest_assets.features.tokens import tokens

OVERLAP = 1  # turns
LEAST_GRAPHEMES = 100  # of a turn without spaces; a shorter one is a word, or as good as one


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
    """Cut a part in two, a single line between two words under the same speaker; None if that is not possible.

    What is written without spaces is cut between two graphemes.
    """
    if len(lines) > 1:
        middle = len(lines) // 2
        return list(lines[:middle]), list(lines[middle:])
    head, colon, said = lines[0].partition("): ")
    for units, between in ((said.split(" "), " "), (regex.findall(r"\X", said), "")):
        if len(units) >= (2 if between else LEAST_GRAPHEMES):
            middle = len(units) // 2
            first, second = between.join(units[:middle]), between.join(units[middle:])
            return [f"{head}{colon}{first}"], [f"{head}{colon}{second}"]
    return None
