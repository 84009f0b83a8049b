"""`python -m benchmarks.numbers`: fill docs/numbers.md with what the benches wrote last.

The table of a bench that was not run here stays as it is.
"""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.results import Result

BUILD, PAGE = Path("build"), Path("docs/numbers.md")


def filled(text: str, name: str, lines: Iterable[str]) -> str:
    """Return a text with other lines between its comments `<!-- name -->` and `<!-- end of name -->`."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    inner = "\n".join(lines).strip()
    return re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n\n{inner}\n\n{end}", text, flags=re.DOTALL)


def table(results: Iterable[Result]) -> Iterator[str]:
    """Yield the lines of a table of what has a target."""
    yield from ("| | measured | target |", "|---|---|---|")
    for result in results:
        if result.target:
            yield f"| {result.name} | {result.shown} {result.unit} | {result.target} |"


def main() -> None:
    page = PAGE.read_text()
    for written in (BUILD / "bench.json", BUILD / "bench-scale.json"):
        if written.exists():
            results = [Result(**one) for one in json.loads(written.read_text())]
            page = filled(page, written.stem, table(results))
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
