"""Benchmarks: every figure is a ratio to a peer or a floor measured in the same run, or has a stated goal."""
