"""Ours: the language model reads what is new of the database's only workspace, the way that every run does.

Before the measuring begins: imports, settings, the first connection to the database.
"""

from benchmarks.measure import told
from ingest_assets.app import App
from ingest_assets.features.featured import FEATURED
from ingest_assets.features.report import SUCCESS
from ingest_assets.storage.accounts import find_accounts


def main() -> None:
    app = App.load()
    extractor = app.extractor("benchmark")
    with app.engine.connect() as conn:
        [row] = find_accounts(conn)
    [kind] = [kind for kind in FEATURED if kind.source.name == row.source]
    with told():
        report = extractor.run(kind, row.workspace_id)
        assert report.status == SUCCESS, report.reason


if __name__ == "__main__":
    main()
