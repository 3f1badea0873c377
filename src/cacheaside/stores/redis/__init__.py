"""Redis and Valkey: connections of our own, pipelined, with a deadline. `hiredis` is imported when one is opened."""
