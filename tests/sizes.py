"""`python -m tests.sizes`: how long functions and modules may be, and how often `Any` may stand.

No function has over 40 lines, but for those below, and no module of the product over 300; half of its modules have
under 95. `Any` stands on at most 12 of 1,000 lines outside tests.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
PACKAGES = ("ingest_assets", "ingest_simulator")
FUNCTION, MODULE, MEDIAN = 40, 300, 95  # lines
ANYS = 12  # of 1,000 lines
TOP = 19  # entries of the product
LONGER_FUNCTIONS = {
    "ingest_assets/storage/overview.py:health": "one statement",
    "ingest_assets/storage/incidents.py:claim": "one statement",
    "ingest_assets/sync/pool.py:sync_workspaces": "a generator around a pool, which its closures share",
    "ingest_assets/incidents/message.py:message_of": "one message, line by line",
    "ingest_assets/cli/connecting.py:connect_account": "one transaction around what a probe found",
    "ingest_assets/sources/client/paging.py:numbered_pages": "two requests in flight that correct each other",
    "ingest_assets/sources/slack/records.py:from_api": "one field a line",
    "ingest_assets/sources/gmail/threads.py:_page": "one page: what is stored, gone, left and unreadable",
    "ingest_assets/definitions.py:build": "one list of definitions",
    "ingest_simulator/fathom/seeding.py:add_meeting": "one field a line",
    "ingest_simulator/gmail/writing.py:_payload": "one field a line",
    "ingest_simulator/gong/seeding.py:add_call": "one field a line",
    "ingest_simulator/gong/control.py:_add_company": "one field a line",
}
PRODUCT = "ingest_assets/"
MIGRATIONS = "ingest_assets/migrations/"  # as they were when they were written


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield name and length of each function of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            yield node.name, node.end_lineno - node.lineno + 1


def whole() -> list[str]:
    """Return what is too much of the packages as a whole."""
    packages = (*PACKAGES, "benchmarks")
    paths = [path.relative_to(ROOT) for package in packages for path in (ROOT / package).rglob("*.py")]
    texts = {str(path): (ROOT / path).read_text() for path in paths}
    lines = sum(len(text.splitlines()) for text in texts.values())
    anys = sum(len(re.findall(r"^.*\bAny\b.*$", text, re.MULTILINE)) for text in texts.values())
    middle = median(len(text.splitlines()) for path, text in texts.items() if path.startswith(PRODUCT))
    top = [path for path in (ROOT / PRODUCT).iterdir() if path.name != "__pycache__"]
    found = []
    if 1000 * anys > ANYS * lines:
        found.append(f"Any stands on {anys} of {lines} lines, {ANYS} of 1,000 are allowed")
    if middle >= MEDIAN:
        found.append(f"half of the modules have {middle} lines or more, {MEDIAN} is too many")
    if len(top) > TOP:
        found.append(f"{PRODUCT} has {len(top)} entries, {TOP} are allowed")
    return found


def main() -> None:
    found: list[str] = []
    used: set[str] = set()
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        name = str(path.relative_to(ROOT))
        if name.startswith(MIGRATIONS):
            continue
        sizes = [(name, len(path.read_text().splitlines()), MODULE)] if PRODUCT in name else []
        sizes += [(f"{name}:{one}", lines, FUNCTION) for one, lines in functions(path)]
        for what, lines, most in sizes:
            if lines > most and what in LONGER_FUNCTIONS:
                used.add(what)
            elif lines > most:
                found.append(f"{what} has {lines} lines, {most} are allowed")
    found += [f"{what} is no longer an exception" for what in LONGER_FUNCTIONS.keys() - used]
    found += whole()
    if found:
        raise SystemExit("\n".join(found))


if __name__ == "__main__":
    main()
