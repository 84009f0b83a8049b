"""Sync accounts: one (`account`), many at a time (`pool`), and what comes of it (`result`)."""
