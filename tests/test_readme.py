"""The README says what the program does."""

from pathlib import Path

from tests.readme_settings import table


def test_the_readme_lists_every_setting_with_its_default_and_meaning() -> None:
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    assert table() in readme, "run `python -m tests.readme_settings` and paste its table into the README"
