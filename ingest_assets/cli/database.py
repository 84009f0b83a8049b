"""Commands for the database and the keys of what is encrypted in it."""

import os

import click

from ingest_assets.app import App
from ingest_assets.cli.progress import elapsed, progress
from ingest_assets.storage import vault
from ingest_assets.terminal import echo


@click.command()
@click.pass_obj
def migrate(app: App) -> None:
    """Create or update the tables in DATABASE_URL."""
    from ingest_assets.storage.migrate import migrate as migrate_database  # with alembic: a tenth of a second

    with progress(elapsed("Updating the tables")):
        migrate_database(app.any_engine)
    echo("The database is up to date.")


@click.command("new-key")
@click.option("--save", is_flag=True, help="put it into the file .env, which only you may read, and print nothing")
def new_key(*, save: bool) -> None:
    """Print a key for INGEST_ENCRYPTION_KEYS."""
    key = vault.new_key()
    if not save:
        echo(key)
        return
    from ingest_assets.cli.environment import ENV, KEYS, save_key

    before = save_key(key)
    echo(f"{ENV} holds the key as the first of {KEYS}. Keep a copy: it opens stored credentials.")
    if before:
        echo("`ingest-assets rotate-keys` encrypts with it what is stored; the older keys may go afterwards.")
    if os.environ.get(KEYS, before) != before:
        echo(f"{KEYS} is set in the environment, too, and that one counts; unset it.", err=True)


@click.command("rotate-keys")
@click.pass_obj
def rotate_keys(app: App) -> None:
    """Re-encrypt stored credentials with the newest key.

    That is the first of INGEST_ENCRYPTION_KEYS; older ones may go afterwards.
    """
    with app.engine.begin() as conn, progress(elapsed("Encrypting")):
        count = app.vault.rotate(conn)
    echo(f"{count} stored secrets are now encrypted with the first key; older keys may be removed.")
