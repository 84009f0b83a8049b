"""The documents say what the program does, and lead where they say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.generated_docs import DOCS, PAGES, page

ROOT = DOCS.parent
TEXTS = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
LONGEST_README = 120  # lines: a stranger reads it in five minutes


@pytest.mark.parametrize("name", PAGES)
def test_a_page_that_is_made_of_the_program_is_of_today(name: str) -> None:
    assert (DOCS / name).read_text() == page(name), "run `python -m tests.generated_docs`"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(text: Path) -> None:
    for link in LINK.findall(text.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (text.parent / path).resolve() if path else text
        assert target.exists(), f"{text.name} links to {path}"
        if anchor:
            assert anchor in anchors(target), f"{text.name} links to {link}"


def anchors(text: Path) -> set[str]:
    """Return the names that GitHub gives to the headings of a text."""
    headings = re.findall(r"^#+ (.+)$", text.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= LONGEST_README
