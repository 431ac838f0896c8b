"""Benchmarks: check, then time. `python -m bench --help`; what is measured and how stands in README.md."""
