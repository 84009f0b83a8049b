"""Dagster's way in: the database, the vault, the limits, and one Api per source."""
