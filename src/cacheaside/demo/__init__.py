"""A small flight service on real rows, under load: `python -m cacheaside.demo`.

Without the cache and with it; then while the server that its processes share over is killed, comes back, is frozen, and
goes on. Start with `catalog`: the cached reads, and how the library is used. Beside it:
the service: `views` (SQL to Structs), `database` (pool, query count), `routes` (HTTP), `writes`, `service` (a process).
the load: `demand`, `replay` and `timeline` (what changed when, pure), `outcomes`, `load` (a process).
judgement, all pure: `history`, `promises` (may this answer miss that change?), `judgement`, `recovery`, `verdict`; and
what they are fed: `ledger` (when a change was done, and told to all), `records`, `gathered`.
a run: `options`, `run`, `stages` (what happens when), `turns`, `side`, `embedded` (the server), `children` and `pipes`.
what is shown: `figures`, `report`, `table`, `stage_table`, `closing`, `drawing`, `screen`.
"""
