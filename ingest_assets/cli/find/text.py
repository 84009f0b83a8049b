"""What a person gave to `find`: what the sources' patterns make of it, or words."""

from collections.abc import Sequence
from dataclasses import dataclass

from ingest_assets.errors import IngestError
from ingest_assets.sources.locating import Sought
from ingest_assets.sources.source import Source

LONGEST = 1_000  # characters; addresses are shorter
WORDS = 8  # of a text, all of which must occur
SHORTEST = 2  # characters of a text


@dataclass(frozen=True)
class Wanted:
    """What is looked for."""

    sought: Sequence[tuple[Source, Sought]]
    """What the text names, if it is an id or an address."""
    words: Sequence[str]
    """What it says, where it may be something else."""


def wanted(text: str, sources: Sequence[Source], *, only_words: bool) -> Wanted:
    """Understand a text. Raises IngestError for one that cannot be looked for."""
    bare = _checked(text)
    named = [] if only_words else [(source, sought) for source in sources for sought in source.locate(bare)]
    if named and all(sought.sure for _source, sought in named):
        return Wanted(named, ())
    return Wanted(named, bare.split()[:WORDS])


def _checked(text: str) -> str:
    """Return a text without the marks that are copied with an address."""
    if len(text) > LONGEST:
        raise IngestError(f"What is looked for is longer than {LONGEST} characters; name a few of its words.")
    bare = text.strip()
    try:
        bare.encode()
    except UnicodeEncodeError:
        raise IngestError("What is looked for is not text in UTF-8; type it anew.") from None
    if "\0" in bare or len(bare) < SHORTEST:
        raise IngestError(f"Name an id, an address or a text of {SHORTEST} characters or more.")
    inside = bare.removeprefix("<").removesuffix(">")
    return inside.replace("&amp;", "&") if inside.startswith(("https://", "http://")) else bare
