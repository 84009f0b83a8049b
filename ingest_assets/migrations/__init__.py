"""Schema migrations; a new source adds one."""
