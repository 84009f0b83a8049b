"""Dagster's way in: the database, the vault, the limits, and a typed API for each source and for the model."""
