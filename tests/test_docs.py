"""The documents say what the program does, and lead where they say.

`mkdocs` checks the links of docs/, and of what `tests/site_links.py` adds; the others are checked here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ingest_assets.sources import SOURCES
from tests.generated_docs import DOCS, PAGES, page
from tests.workbench import plain_environ

ROOT = DOCS.parent
TEXTS = sorted([*ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
LONGEST_README = 120  # lines, and 750 words: a stranger reads it in five minutes
MKDOCS = Path(sys.executable).parent / "mkdocs"
LOADED = re.compile(
    r"""<(?:link|script|img|iframe)\b[^>]*(?:src|href)=["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//"""
)


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
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= LONGEST_README
    assert len(text.split()) < 750


def site(folder: Path, docs: Path) -> subprocess.CompletedProcess[str]:
    """Build the site of other documents than ours as `make check` builds ours."""
    config = folder / "mkdocs.yml"
    hook = ROOT / "tests" / "site_links.py"
    config.write_text(f"INHERIT: {ROOT / 'mkdocs.yml'}\ndocs_dir: {docs}\nhooks: [{hook}]\n")
    return subprocess.run(  # noqa: S603
        [MKDOCS, "build", "--strict", "-f", config, "-d", folder / "site"],
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_site_is_built_in_silence_and_asks_no_other_machine(tmp_path: Path) -> None:
    built = site(tmp_path, DOCS)
    assert (built.returncode, built.stdout + built.stderr) == (0, "")
    pages = [*(tmp_path / "site").rglob("*.html"), *(tmp_path / "site").rglob("*.css")]
    assert [path.name for path in pages if LOADED.search(path.read_text())] == []
    assert (tmp_path / "site" / "deploy" / "roles.sql").read_text() == (ROOT / "deploy" / "roles.sql").read_text()


def test_a_link_or_anchor_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    docs = shutil.copytree(DOCS, tmp_path / "docs")
    with (docs / "queries.md").open("a") as page:
        page.write("[a](settings.md#nothing) [b](nothing.md) [c](../deploy/nothing.sql)\n")
    broken = site(tmp_path, docs)
    assert broken.returncode == 1
    for words in ("'#nothing'", "'nothing.md'", "'deploy/nothing.sql'", "Aborted with 3 warnings"):
        assert words in broken.stdout + broken.stderr


def test_figures_of_capacity_are_measured_ones() -> None:
    capacity = (DOCS / "operating" / "backup.md").read_text().partition("## Capacity")[2]
    figures = re.findall(r"\d+\.\d+ [%A-Za-z]\S*", capacity)
    assert len(figures) == 5
    measured = (DOCS / "numbers.md").read_text()
    assert [figure for figure in figures if figure.rstrip(",") not in measured] == []


def test_the_line_that_the_page_of_commands_has_makes_bash_complete(tmp_path: Path) -> None:
    [line] = re.findall(r"^eval .+$", (DOCS / "commands.md").read_text(), re.MULTILINE)
    completed = '_ingest_assets_completion ingest-assets; echo "${COMPREPLY[@]}"'
    script = [line, "COMP_WORDS=(ingest-assets conn) COMP_CWORD=1", completed]
    script += ["COMPREPLY=() COMP_WORDS=(ingest-assets sync '') COMP_CWORD=2", completed]
    path = f"{MKDOCS.parent}:{os.environ['PATH']}"
    done = subprocess.run(  # noqa: S603
        ["/bin/bash", "-c", "\n".join(script)],
        cwd=tmp_path,
        env={**plain_environ(), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split("\n")[:2] == ["connect", " ".join(source.name for source in SOURCES)], done.stderr
