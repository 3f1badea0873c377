"""The shared tier on a Redis-compatible server.

Pure, told everything and touching nothing: `envelope` (an entry as bytes), `names` (the keys on the server),
`generations`, and `commands` (what is sent, and what the replies mean). They import no socket, clock or driver.
"""
