"""A stateful double of the Gong API."""
