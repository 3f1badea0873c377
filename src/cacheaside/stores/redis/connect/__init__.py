"""From a URL to replies.

*Where to.* `url` and `url_text` (what a URL names), `tls`, `server` (address, login, limits), `login` (what is said
first), `fleet` (the primaries; what a topology and a transport are), `topology` (who the primaries are: one server,
Sentinels, a cluster), `parts` (which command goes where), `away` (why there is no answer).

*From event loops.* `routing_aio` (to a fleet), `transport_aio` (to one server), `link` (one loop's connection to it,
made again when due), `handshake`, `connection` (pipelined, one deadline).

*From threads.* `transport_blocking` (to a fleet), `pool` (connections that take turns), `connection_blocking`,
`deadline`.

*For both.* `standing` (is a server that failed asked again yet?), `forked` (what a child must let go of), `chance`.
"""
