"""What an answered heartbeat changes in what this process believes of a server. Plain: the keeper and the simulator
both do it here.

The order matters, since flows on other threads go on between any two of these steps (docs/protocol.md, R32):

- The clock is believed last to have been *set back*. Else: (1) its new offset is believed (2) a flow fetches an entry
  that was stored before, which looks younger by the step, and serves it (3) everything is forgotten, too late for that
  reader.
- That it was *set forward* is believed before what is held is dropped. (1) It is set forward by 2 s; another process
  knows, loads and stores. (2) This one, which does not, fetches that 3 s later, sees it as 1 s old, and L1 keeps it.
  Were that dropped first, the same could be fetched once more.
- The *new identity* is believed before what the old one vouched for is dropped. Else: (1) it is dropped (2) a flow
  fetches an entry, for which the old identity vouches still, and L1 keeps it (3) the new identity is believed: L1 goes
  on answering with what the server may have gone back to.
- All that, before the heartbeat counts: it lets L1 answer.

A server that went back to old data may also have lost that everything was forgotten when its clock was set back: then
it is forgotten once more.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from cacheaside.coherence.hearing import Hearing
from cacheaside.policy.timebase import Reading
from cacheaside.stores.redis.listen.servers import Servers, ServerState
from cacheaside.stores.redis.wire.generations import UNKNOWN_IDENTITY, Identity

__all__ = ["News", "believe"]


class News(NamedTuple):
    """What a heartbeat told that was not known. set_back_s: by how much the clock was, beyond what is covered."""

    is_up: bool
    has_another_history: bool
    set_back_s: float


def believe(
    state: ServerState,
    reading: Reading,
    identity: Identity | None,
    servers: Servers,
    hearing: Hearing,
    *,
    on_set_back: Callable[[float], None],
    on_new_identity: Callable[[], None],
) -> News:
    """Take in that `state` answered a heartbeat.

    identity: None when it does not tell. on_set_back, on_new_identity: have everything forgotten, where that is wanted.
    """
    identity = UNKNOWN_IDENTITY if identity is None else identity
    has_another_history = state.identity not in (UNKNOWN_IDENTITY, identity)
    servers.heartbeat.record(reading.received - reading.sent)
    taken = state.taken(reading)
    set_back_s = taken.set_back_s or (taken.base.set_back_s if has_another_history else 0.0)
    if set_back_s:
        on_set_back(set_back_s)
    state.base = taken.base
    state.identity = identity
    if has_another_history or taken.set_forward:
        hearing.heard(None)
    if has_another_history:
        on_new_identity()
    is_news = not state.is_up
    if is_news:
        servers.say(state, is_up=True)
    hearing.synced(state.name, reading.sent)
    return News(is_news, has_another_history, set_back_s)
