"""Hearing what changes on the servers, showing that all was heard, and knowing who is up.

`keeper` (the thread that finds the servers, listens and proves it; the breaker), `finding` (one attempt at it),
`servers` (what is known of each; read by everybody), `beliefs` (what a heartbeat changes in that, in which order),
`ear` (a connection that hears), `watch` (an event loop that reads it too), `waker` (what ends the thread's wait),
`heard` (what flows wait for). What is heard goes to `cacheaside.coherence.hearing`.
"""
