"""What is written on servers and said to them. Pure: told everything, touching nothing.

`names` (keys on the server, and their slots), `generations` (and identities), `commands` (what is sent for each
operation), `replies` (what answers mean), `entry` (from bytes to a record, judged), `envelope` (an entry as bytes) with
`stamp`, `seal` (checksum or MAC), `deflate` and `rejected` (why it is none).
"""
