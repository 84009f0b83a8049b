"""The file `.env` of the working folder: variables that the environment does not set itself."""

import os
from pathlib import Path

from ingest_assets.errors import ProcessFault

ENV = Path(".env")
PRIVATE = 0o600
KEYS = "INGEST_ENCRYPTION_KEYS"


def read_environment() -> None:
    """Set what `.env` holds, as Dagster does for what it starts. Raises ProcessFault where it cannot be read."""
    if not ENV.is_file():
        return
    from dotenv import dotenv_values

    try:
        values = dotenv_values(ENV)
    except (OSError, UnicodeDecodeError) as error:
        raise ProcessFault(f"{ENV} cannot be read ({type(error).__name__}); mend it, or move it away.") from None
    for name, value in values.items():
        if value is not None:
            os.environ.setdefault(name, value)


def save_key(key: str) -> str | None:
    """Put a key before those that `.env` holds, and let nobody else read it; return what it held."""
    from dotenv import dotenv_values, set_key

    if not ENV.exists():
        ENV.touch(mode=PRIVATE)
    ENV.chmod(PRIVATE)
    before = dotenv_values(ENV).get(KEYS)
    set_key(ENV, KEYS, ",".join(filter(None, [key, before])), quote_mode="never")
    ENV.chmod(PRIVATE)
    return before
