"""What an order of the control plane may come to."""


class OrderError(Exception):
    """The world cannot be changed in the way that was asked."""
