"""The shared tier measured: caches whose entries are on a server, in one process and in several.

Each section is a module with two sides: `rows()` runs in the benchmark's own process, `Work` in the processes that
are measured (`worker.py`), one for each cache. The caches are in `peers.py`, cacheaside in `ours.py`.
"""
