"""Gmail's methods: whom a failure concerns, and what each costs in quota units."""

from ingest_assets.sources.client.method import Level, Method

BATCH = "batch"  # the batch endpoint itself; a call inside goes by its own name
TOKEN = "token"  # noqa: S105  (the name of a method)
PROFILE, LABELS = "profile", "labels.list"
THREADS, THREAD, HISTORY, ATTACHMENT = "threads.list", "threads.get", "history.list", "attachments.get"

METHODS: dict[str, Method] = {
    TOKEN: Method(level=Level.ACCOUNT, cost=0),
    BATCH: Method(level=Level.ACCOUNT, cost=0),  # the calls inside are what costs
    PROFILE: Method(level=Level.ACCOUNT, cost=1),
    LABELS: Method(level=Level.ACCOUNT, cost=1),
    HISTORY: Method(level=Level.ACCOUNT, cost=2),
    THREADS: Method(level=Level.ACCOUNT, cost=10),
    THREAD: Method(level=Level.PART, cost=40),
    ATTACHMENT: Method(level=Level.PART, cost=20),
}
"""Costs since 2026-05-01; for older projects threads.get costs 10 and attachments.get 5."""
COSTS = {name: method.cost for name, method in METHODS.items() if method.cost}
