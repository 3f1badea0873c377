"""A small flight service on real rows, under load, with the cache and without: `python -m cacheaside.demo`.

Reads: `views` (SQL to Structs), `catalog` (the cached functions: start here to see how the library is used).
Writes: `timeline` (what changed when, pure), `replay` (the writer). Judgement: `history` (pure).
Processes: `run` starts `service` and `load`, which talk to it over pipes (`children`) and to each other over
HTTP.
"""
