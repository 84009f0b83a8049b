"""`ingest-assets` or `python -m ingest_assets`: where the command begins."""

import gc

gc.disable()  # what is imported stays: to walk it again and again takes a fifth of a short command
from ingest_assets.cli.program import main  # noqa: E402  (after the line above)

gc.freeze()
gc.enable()

if __name__ == "__main__":
    main()
