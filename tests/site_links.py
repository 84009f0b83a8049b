"""Hooks of mkdocs: what docs/ links to outside of it becomes part of the site, and a build prints faults only."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from posixpath import relpath

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
OUTSIDE = re.compile(r"\]\((?:\.\./)+((?:deploy/|CONTRIBUTING|CHANGELOG)[^)#\s]*)\)")


def on_startup(*, command: str, dirty: bool) -> None:  # noqa: ARG001  (mkdocs passes it)
    """Print of a build only what is wrong: with `--quiet`, mkdocs 1.6 does not fail on warnings either."""
    if command == "build":
        logging.getLogger("mkdocs").setLevel(logging.WARNING)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages at the top of the repository, and the files under deploy/."""
    for name, page in PAGES.items():
        text = (ROOT / name).read_text().replace("](docs/", "](")
        files.append(File.generated(config, page, content=text))
    for path in sorted((ROOT / "deploy").rglob("*")):
        if path.is_file() and path.suffix != ".md":
            name = str(path.relative_to(ROOT))
            files.append(File.generated(config, name, abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Turn links out of docs/ into links to these; what is not among them is found missing afterwards."""
    folder = str(Path(page.file.src_uri).parent)
    return OUTSIDE.sub(lambda link: f"]({relpath(PAGES.get(link[1], link[1]), folder)})", markdown)
