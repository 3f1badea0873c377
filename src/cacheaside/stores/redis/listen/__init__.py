"""Hearing what changes on the servers, showing that all was heard, and knowing who is up.

`keeper` (finds the servers, listens and proves it; the breaker), `turns` (its thread, which no error ends), `finding`
(one attempt to find and to listen), `saying` (what the log is told of all that), `servers` (what is known of each; read
by everybody), `beliefs` (what a heartbeat changes in that, in which order), `ear` (a connection that hears), `watch`
(an event loop that reads it too), `waker` (what ends the thread's wait), `heard` (what flows wait for). What is heard
goes to `cacheaside.coherence.hearing`.
"""
