"""The shared tier, on a Redis-compatible server. Start at `shared`, which puts one together; `tier` is what flows ask.

*Put together.* `options` (what a cache is told, checked), `shared` (one cache's tier: all of the below), `counts`.

*What flows ask.* `tier` (`flow.ports.Tier` in either colour), `aio_tier` (the same on event loops: one MGET a turn, and
plain hits in few steps), `heard` (`flow.ports.Heard`: waiting to be told), `owed` (invalidations to try again).

*What is believed.* `keeper` (the thread that finds the servers, listens and proves it; the breaker), `servers` (what is
known of each; read by everybody), `beliefs` (what a heartbeat changes in that, in which order), `ear` (a connection
that hears), `watch` (an event loop that reads it too), `waker` (what ends the thread's wait). What is heard goes to
`cacheaside.coherence.hearing`.

*What is said.* Pure: told everything, touching nothing. `names` (keys on the server, and their slots), `generations`
(and identities), `commands` (what is sent for each operation), `replies` (what answers mean), `entry` (from bytes to a
record, judged), `envelope` (an entry as bytes) with `stamp`, `seal` (checksum or MAC), `deflate` and `rejected` (why it
is none).

*Where to.* `url` and `url_text` (what a URL names), `tls`, `access` (the access list of a user), `server` (address,
login, limits), `login` (what is said first), `fleet` (the primaries; what a topology and a transport are), `topology`
(who the primaries are: one server, Sentinels, a cluster), `parts` (which command goes where), `away` (why there is no
answer).

*On the wire, from event loops.* `routing_aio` (to a fleet), `transport_aio` (to one server), `link` (one loop's
connection to it, made again when due), `handshake`, `connection` (pipelined, one deadline).

*On the wire, from threads.* `transport_blocking` (to a fleet), `pool` (connections that take turns),
`connection_blocking`, `deadline`.

*For both.* `standing` (is a server that failed asked again yet?), `forked` (what a child must let go of).

`hiredis` is imported when a transport is made. docs/protocol.md says why it is right, R19 to R32 above all.
"""
