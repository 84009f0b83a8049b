"""What customers say, in PostgreSQL: workspace-partitioned Dagster assets for Slack and its siblings."""
