"""A stateful double of the Fathom API."""
