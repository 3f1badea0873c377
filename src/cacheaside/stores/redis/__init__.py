"""The shared tier, on a Redis-compatible server. Start at `shared`, which puts one together; `tier` is what flows ask.

*Put together.* `options` (what a cache is told, checked), `shared` (one cache's tier: all of the below), `counts`,
`complaints` (what the log is told of answers and invalidations that did not come about).

*What flows ask.* `tier` (`flow.ports.Tier` in either colour), `blocking_tier` (the same from threads), `aio_tier` (on
event loops: one MGET a turn), `plain` (hits without a flow, where nothing is kept in the process), `asking` (from a
question to its answer), `owed` (invalidations to try again), `ends` (marks of writers that have none), `refusals`
(counted, and logged), `at_once` (how much goes out together), `listen.heard` (`flow.ports.Heard`: waiting to be told).

Below, each a folder with a map of its own, each importing only from the later ones:

- `listen`: hearing what changes on the servers, showing that all was heard, and knowing who is up.
- `connect`: from a URL to replies, from event loops and from threads.
- `wire`: keys, commands, replies and entries, as bytes. Pure.

`access` is a program: it prints the access list of a user with least privileges. `hiredis` is imported when a transport
is made. docs/protocol.md says why it is right, R19 to R32 above all.
"""
