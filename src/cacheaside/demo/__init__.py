"""A small flight service on real rows, under load, with the cache and without: `python -m cacheaside.demo`.

Start with `catalog`: the cached reads, and how the library is used. Beside it:
reads: `views` (SQL to Structs), `database` (pool and query count), `service` (HTTP).
writes: `timeline` (what changed when, pure), `replay` (the writer), `records` (what it wrote down).
judgement: `history` (was a response too old? pure), `report`, `table`, `screen`.
processes: `run` (command line), `turns` and `side` (who works when), `load`, `children` and `pipes`.
"""
