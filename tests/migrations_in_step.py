"""`python -m tests.migrations_in_step`: the migrations, run on an empty database, make exactly our tables."""

import tempfile
from pathlib import Path

from alembic import command
from alembic.script import ScriptDirectory

from ingest_assets.storage import migrate
from ingest_assets.storage.engine import connect, head_revision
from ingest_simulator import embedded


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ingest-assets-") as folder:
        server = embedded.start(Path(folder) / "postgres", durable=False)
        engine = connect(server.create_database("migrations"))
        migrate.migrate(engine)
        config = migrate.config()
        with engine.begin() as conn:
            config.attributes["connection"] = conn
            command.check(config)
        newest = ScriptDirectory.from_config(config).get_current_head()
        if head_revision() != newest:
            raise SystemExit(f"The newest migration is {newest}; name its file so that it sorts last.")
        engine.dispose()
        server.stop()


if __name__ == "__main__":
    main()
