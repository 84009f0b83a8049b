"""Benchmarks: what a sync costs, as ratios to a bare fetch and copy measured in the same run."""
