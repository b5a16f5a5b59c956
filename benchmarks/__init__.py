"""Benchmarks: ratios to a baseline of the same run. `python -m benchmarks --help`; docs/benchmarks.md."""
