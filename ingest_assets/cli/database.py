"""Commands for the database and the keys of what is encrypted in it."""

import click

from ingest_assets.app import App
from ingest_assets.storage import vault
from ingest_assets.terminal import echo


@click.command()
@click.pass_obj
def migrate(app: App) -> None:
    """Create or update the tables in DATABASE_URL."""
    from ingest_assets.storage.migrate import migrate as migrate_database  # with alembic: a tenth of a second

    migrate_database(app.any_engine)
    echo("The database is up to date.")


@click.command("new-key")
def new_key() -> None:
    """Print a key for INGEST_ENCRYPTION_KEYS."""
    echo(vault.new_key())


@click.command("rotate-keys")
@click.pass_obj
def rotate_keys(app: App) -> None:
    """Encrypt stored credentials anew with the first of INGEST_ENCRYPTION_KEYS."""
    with app.engine.begin() as conn:
        count = app.vault.rotate(conn)
    echo(f"{count} stored secrets are now encrypted with the first key; older keys may be removed.")
