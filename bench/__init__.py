"""The benchmark: cacheaside beside other caches and beside the floors that no cache can beat.

`python3 dev.py bench` (or `python -m bench`) runs it; docs/benchmarks.md says how it measures and how to read it.
"""
