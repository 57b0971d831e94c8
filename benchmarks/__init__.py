"""Benchmarks. Each prints a table of its figures, or JSON with `--json`."""
