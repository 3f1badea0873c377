"""The shared tier on a Redis-compatible server: its parts, not yet put together behind `Cache`.

Pure, told everything and touching nothing: `envelope` (an entry as bytes), `names` (the keys on the server),
`generations`, and `commands` (what is sent, and what the replies mean). They import no socket, clock or driver.

At the edge: `fleet` says what a fleet of servers, a topology and a transport are. `topology` finds out who the
primaries are. `routing_aio` sends from event loops, by `transport_aio`, one pipelined connection per loop with one
deadline; `transport_blocking` sends from threads, over a `pool` per server. `standing` decides for both when a server
that failed is asked again, and `login` what is said first. `hiredis` is imported when a transport is made.
"""
