"""Benchmarks: ratios and bars, each measured within one run. ``python -m benchmarks`` runs them all."""
