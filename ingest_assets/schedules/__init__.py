"""Which workspaces are due, and in which runs."""
