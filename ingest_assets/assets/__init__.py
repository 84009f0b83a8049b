"""Assets are wiring: resolve, call one plain function, report."""
