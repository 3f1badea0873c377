"""A drill in virtual time: the shipped cache, its flows and its limit, with modelled callers and a modelled source.

`loop`: an event loop whose clock goes on only when everybody waits. `model`: the metastable case on it. The same seed
gives the same run, to the last answer, and a minute of load takes seconds.
"""
