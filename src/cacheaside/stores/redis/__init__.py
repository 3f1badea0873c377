"""The shared tier on a Redis-compatible server: its parts, not yet put together behind `Cache`.

Pure, told everything and touching nothing: `envelope` (an entry as bytes), `names` (the keys on the server),
`generations`, and `commands` (what is sent, and what the replies mean). They import no socket, clock or driver.

At the edge: `transport_aio`, one pipelined connection per event loop with one deadline; `hiredis` is imported when a
connection is opened.
"""
