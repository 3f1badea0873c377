"""What this process has heard of changes, and until when L1 may answer because of it (docs/protocol.md, R20 to R24).

The listener tells it what happens on its connections, from any thread; flows ask it. Nothing here waits, and nothing
here knows a socket: the simulator tells it the same things.

A *node* is one server to be listened to, by a name of the listener's. Its messages are ordered: the answer to a
heartbeat sent at T shows that every change acknowledged before T has been heard from that node.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from cacheaside.coherence.log import ChangeLog
from cacheaside.flow.call import Call
from cacheaside.flow.flights import Flights
from cacheaside.flow.ports import Clock, Position
from cacheaside.histogram import Histogram
from cacheaside.types import Generation, TagId

__all__ = ["Hearing", "HeldHere"]

WAITERS_MAX: Final = 10_000
Wake = Callable[[], None]


class HeldHere(Protocol):
    """L1, as far as hearing changes it."""

    @property
    def lock(self) -> AbstractContextManager[Any]: ...
    @property
    def log(self) -> ChangeLog: ...

    def changed(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None: ...

    def changed_all(self) -> None: ...

    def clear(self) -> None: ...


class Hearing:
    """Implements the plain half of `flow.ports.Heard`. Thread-safe, by the lock of L1.

    open_until: told until when L1 may answer by itself. max_unsynced_s: for how long after the last proof that
    everything was heard (G2). everything: the tag of the whole namespace.

    Where a node cannot tell of changes, L1 is *blind*: everything is dropped every `max_unsynced_s`, so what it answers
    was valid no longer ago than that, as with G2; and nothing can be shown to have held still.
    """

    def __init__(
        self,
        near: HeldHere,
        clock: Clock,
        flights: Sequence[Flights],
        open_until: Callable[[float], None],
        *,
        everything: TagId,
        max_unsynced_s: float,
    ) -> None:
        self._near = near
        self._clock = clock
        self._flights = flights
        self._open_until = open_until
        self._max_unsynced_s = max_unsynced_s
        self._expected: frozenset[str] = frozenset()
        self._synced: dict[str, float] = {}
        self._beat_waiters: list[tuple[float, Wake]] = []
        self._done_waiters: dict[TagId, list[Wake]] = {}
        self._everything_tags = (everything,)
        self._everything: tuple[Generation | None, int] = (None, 0)
        self._known_until = -math.inf
        self._blind: frozenset[str] = frozenset()
        """The nodes that do not tell of changes."""
        self._blind_since = -math.inf
        self.beat_soon: Callable[[], None] = _nothing
        """Asks the listener for a heartbeat now."""
        self.owed: Callable[[Sequence[TagId]], None] = _nothing_of
        """Takes tags whose change the tier did not acknowledge, to try again."""
        self.lag = Histogram()
        """Just before each answered heartbeat: how long ago it was last known that everything had been heard."""

    # -- what the listener tells -------------------------------------------------------------------------------

    def expect(self, nodes: Iterable[str]) -> None:
        """From now on these are the nodes, and what is known of others is forgotten.

        What is held of a blind one goes with it: (1) a change there is told to nobody (2) another node, which tells,
        takes its place (3) L1 is not blind any more, and would hold what (1) changed.
        """
        with self._near.lock:
            self._expected = frozenset(nodes)
            self._synced = {node: at for node, at in self._synced.items() if node in self._expected}
            if not self._blind <= self._expected:
                self._near.clear()
                self._blind &= self._expected
            self._open()

    def listening(self, node: str, *, blind: bool = False) -> None:
        """Changes at `node` are heard from now on, unless L1 is blind there; what was held before may have missed some.

        Listen, *then* drop. The other order: (1) all is dropped (2) a fetch finds an entry that is valid still, and it
        is kept (3) a writer bumps it: nobody is told (4) the listener listens: L1 holds an old value, and hears
        nothing more of it.

        What was proved over an earlier connection is not this one's: L1 answers again once this one has answered. By
        then there is little in it.
        """
        with self._near.lock:
            self._near.clear()
            self._synced[node] = -math.inf
            # Of each node by itself: (1) a blind one begins (2) one that tells begins: L1 is as blind as before.
            self._blind = self._blind | {node} if blind else self._blind - {node}
            self._blind_since = self._clock.now()
            self._open()

    @property
    def is_blind(self) -> bool:
        """Whether a node does not tell of changes."""
        return bool(self._blind)

    def heard(self, tags: Sequence[TagId] | None) -> None:
        """A node says that these changed; None: that everything may have."""
        if tags is None:
            self._near.clear()
            return
        # Flights stay open: what their fill sends is told too, and the first load of a key would be nobody's to join. A
        # write that others have acknowledged is found by the fill when it looks at the generations again.
        self._near.changed(tags)

    def flushed(self) -> None:
        """A node says that it lost everything. What was held before is as old as it was told to be, unlike when a
        server's clock was set: so what may be served outdated stays."""
        self._near.changed_all()

    def done(self, key: TagId) -> None:
        """Another process says that it is done loading `key`."""
        with self._near.lock:
            waiters = list(self._done_waiters.get(key, ()))
        for wake in waiters:
            wake()

    def synced(self, node: str, sent_at: float) -> None:
        """A heartbeat that was sent to `node` at `sent_at` was answered, and everything before it was told."""
        with self._near.lock:
            if node not in self._synced:
                return
            before = self.synced_through
            if not math.isinf(before):
                self.lag.record(self._clock.now() - before)
            self._synced[node] = max(self._synced[node], sent_at)
            if self._blind and self._clock.now() >= self._blind_since + self._max_unsynced_s:
                self._near.clear()
                self._blind_since = self._clock.now()
            self._open()
            through = self.synced_through
            due = [wake for at, wake in self._beat_waiters if at <= through]
            if due:
                self._beat_waiters = [one for one in self._beat_waiters if one[0] > through]
        for wake in due:
            wake()

    def lost(self, node: str) -> None:
        """The connection to `node` is gone. What was proved up to now holds until it is too old."""

    def restart(self) -> None:
        """In a child made by fork: nothing is listened to, and nobody waits."""
        with self._near.lock:
            self._synced = {}
            self._beat_waiters = []
            self._done_waiters = {}
            self._open()

    @property
    def synced_through(self) -> float:
        """Every change acknowledged before this moment has been heard; -inf when that was never shown."""
        # Both taken once: whoever reads it without the lock, as stats do, may be overtaken. (1) All that is expected is
        # there (2) another thread expects another node, or begins anew (3) its name is looked up: a KeyError. From one
        # dictionary no name is ever taken away.
        expected, synced = self._expected, self._synced
        if not expected or not expected <= synced.keys():
            return -math.inf
        return min([synced[node] for node in expected])

    def _open(self) -> None:
        since = min(self.synced_through, self._blind_since) if self._blind else self.synced_through
        self._known_until = since + self._max_unsynced_s
        self._open_until(self._known_until)

    # -- what flows ask ----------------------------------------------------------------------------------------

    def position(self) -> Position:
        """A place in the log, now."""
        return Position(self._near.log.number, self._clock.now())

    def still(self, tags: Sequence[TagId], since: Position) -> bool:
        """True when it is shown that none of `tags` changed after `since`.

        The expiry of a mark is told like any change, at the latest when a fill looks for it (`Tier.stamp`), which is
        before this is asked.
        """
        with self._near.lock:
            return not self._blind and self._near.log.unchanged(tags, since.number)

    def hear(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        """As `flow.ports.Heard.hear`."""
        self._near.changed(tags, calls)
        for flights in self._flights:
            flights.close_touching(tags)

    def owe(self, tags: Sequence[TagId], calls: Sequence[Call] = ()) -> None:
        """As `flow.ports.Heard.owe`. Owed first: (1) it is heard (2) a fill begins, and stores what it loads under a
        generation that nobody will have moved (3) it is owed."""
        self.owed(tags)
        self.hear(tags, calls)

    # -- waiting, for both colours -----------------------------------------------------------------------------

    def when_synced(self, since: float, wake: Wake) -> bool:
        """Have `wake` called once a heartbeat sent after `since` was answered by every node, and ask for one. False
        when nobody can be expected to answer, or too many wait."""
        with self._near.lock:
            if not self._expected <= self._synced.keys() or len(self._beat_waiters) >= WAITERS_MAX:
                return False
            self._beat_waiters.append((since, wake))
        self.beat_soon()
        return True

    def when_done(self, key: TagId, wake: Wake) -> bool:
        """Have `wake` called whenever another process may be done loading `key`, until `forget_done`. False when L1
        hears nothing just now."""
        with self._near.lock:
            if self._blind or self._clock.now() > self.synced_through + self._max_unsynced_s:
                return False
            if len(self._done_waiters) >= WAITERS_MAX:
                return False
            self._done_waiters.setdefault(key, []).append(wake)
            return True

    def forget_synced(self, wake: Wake) -> None:
        """`wake` is no longer to be called for a heartbeat."""
        with self._near.lock:
            self._beat_waiters = [one for one in self._beat_waiters if one[1] is not wake]

    def forget_done(self, key: TagId, wake: Wake) -> None:
        """`wake` is no longer to be called for `key`."""
        with self._near.lock:
            waiters = self._done_waiters.get(key)
            if waiters is not None and wake in waiters:
                waiters.remove(wake)
                if not waiters:
                    del self._done_waiters[key]

    # -- the generation of the whole namespace -----------------------------------------------------------------

    def everything(self) -> Generation | None:
        """The generation of the namespace's own tag, kept in memory since every entry depends on it and one key
        cannot be read with every read; None when it is to be read. For it G2 holds, where for others G1 does."""
        known, number = self._everything
        if known is None or self._clock.now() > self._known_until:
            return None
        return known if self._near.log.unchanged(self._everything_tags, number) else None

    def know_everything(self, generation: Generation | None, since: Position) -> None:
        """It was read, after `since`. In that order: (1) it is read (2) a writer bumps it, which is heard (3) the
        answer to (1) arrives: it is not to be believed."""
        with self._near.lock:
            if self._near.log.unchanged(self._everything_tags, since.number):
                self._everything = generation, since.number


def _nothing() -> None:
    return


def _nothing_of(_tags: Sequence[TagId]) -> None:
    return
