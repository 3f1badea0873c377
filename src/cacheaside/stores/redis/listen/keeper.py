"""Keeps a process in touch with its shared tier: finds the primaries, listens to each, proves by heartbeats that
all was heard, and says who is up. One thread for each cache that is used.

It is the breaker too: while a server is not heard, nobody waits for it; attempts to reach it are made here, behind
everybody, with a pause that doubles.

Connections are read by whoever comes first: every event loop that uses the cache watches them, and so does the thread.
A thread alone starves beside a loop that is busy, a loop alone hears nothing while it is blocked; so the thread leaves
what arrives to the loops for `LOOPS_FIRST_S`, and then reads it itself.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import Final

from cacheaside.coherence.hearing import Hearing
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.fleet import Fleet, Topology
from cacheaside.stores.redis.connect.server import Limits, Login, ServerAddress
from cacheaside.stores.redis.listen.beliefs import believe
from cacheaside.stores.redis.listen.ear import Beat, Ear, Start, open_ear
from cacheaside.stores.redis.listen.finding import find
from cacheaside.stores.redis.listen.saying import Saying
from cacheaside.stores.redis.listen.servers import Servers, ServerState
from cacheaside.stores.redis.listen.turns import begin
from cacheaside.stores.redis.listen.waker import Waker
from cacheaside.stores.redis.listen.watch import LoopWatch
from cacheaside.stores.redis.wire.names import changed_tag, changes_prefix, control_name, waiting_key

__all__ = ["Keeper"]

LOOPS_FIRST_S: Final = 0.003
SILENT_BEATS: Final = 4
"""A connection whose heartbeat is not answered while so many should have been is given up."""
BEATS_A_WINDOW: Final = 8
WAIT_MAX_S: Final = 60.0
"""How long its thread waits at most: what the kernel is given is a C int of milliseconds, and more an OverflowError."""


class Keeper:
    """Thread-safe. It starts with the first use, and again after `close` or a fork.

    now: the clock that ages are told by. pace: the one that waiting is told by, which a test does not move.

    on_fleet: told of the primaries when they change. on_end: told that they are forgotten, by `close`. on_set_back:
    told that a server's clock was set back, or that its data may be older than what was stored: everything is to be
    forgotten. on_up: told when all are up again. All but `on_turn` are told under its lock.
    """

    def __init__(
        self,
        topology: Topology,
        login: Login,
        limits: Limits,
        servers: Servers,
        hearing: Hearing,
        *,
        namespace: str,
        touched: str,
        now: Callable[[], float],
        pace: Callable[[], float],
        chance: Callable[[], float],
        max_unsynced_s: float,
    ) -> None:
        self._topology = topology
        self._login = login
        self._limits = limits
        self.servers = servers
        self.hearing = hearing
        self._saying = Saying(namespace, limits, pace, chance)
        self._prefix = changes_prefix(namespace)
        self._prefix_bytes = self._prefix.encode()
        self._control = control_name(namespace).encode()
        self._touched = touched
        self._now = now
        self._pace = pace
        self._chance = chance
        self._beat_s = max_unsynced_s / BEATS_A_WINDOW
        self._silent_s = max_unsynced_s / BEATS_A_WINDOW * SILENT_BEATS
        self.on_fleet: Callable[[Fleet], None] = lambda fleet: None
        self.on_end: Callable[[], None] = lambda: None
        self.on_up: Callable[[], None] = lambda: None
        self.on_set_back: Callable[[str], None] = lambda why: None
        self.on_new_identity: Callable[[str], None] = lambda name: None
        self.on_start: Callable[[Start], None] = lambda start: None
        self.on_control: Callable[[], None] = lambda: None
        """Told that the control state of the fleet may have changed; from any thread, under the lock."""
        self.on_turn: Callable[[], float | None] = lambda: None
        """Run by the thread at each turn, when all are up; says after how many seconds it wants another."""
        hearing.beat_soon = self.beat_soon
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._ears: dict[str, Ear] = {}
        self._dropped: list[Ear] = []
        """Ears that are forgotten, for the thread to close."""
        self._watches = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, LoopWatch]()
        self._found: tuple[Fleet | None, list[Ear], ConnectionAway | None] | None = None
        self._attempting: object = None
        """The attempt that is under way; what an earlier one comes to is nobody's."""
        self._looks_again = True
        self._failures = 0
        self._retry_at = float("-inf")
        self._waiting: list[Callable[[], None]] = []
        self._tried = False
        self._waker: Waker | None = None

    # -- what users of the tier ask ----------------------------------------------------------------------------

    def start(self) -> None:
        """See to it that the thread runs. Never waits."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            return
        with self._lock:
            if self._thread is not None and self._thread.is_alive():
                return
            try:
                self._thread, self._waker = begin(weakref.ref(self), self._ears)
            except (OSError, RuntimeError) as error:  # descriptors or threads are wanting, or it is all over
                self._thread = None
                self._say_tried()
                if not sys.is_finalizing():
                    why = f"no thread ({error})"
                    self._failed(ConnectionAway(why, endpoint="the shared tier", reason=Away.REFUSED))

    @property
    def has_tried(self) -> bool:
        """Whether the first attempt to reach the servers is over: from then on nobody waits for one."""
        return self._tried

    @property
    def thread(self) -> threading.Thread | None:
        """The thread that keeps; another one ends."""
        return self._thread

    def when_tried(self, wake: Callable[[], None]) -> bool:
        """Have `wake` called when the first attempt is over; False when it is."""
        self.start()
        with self._lock:
            if self._tried:
                return False
            self._waiting.append(wake)
            return True

    def watch_from(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have `loop`, the running one, hear too."""
        if loop in self._watches:
            return
        with self._lock:
            for other in [other for other in self._watches if other.is_closed()]:
                self._watches.pop(other).end()
            watch = self._watches[loop] = LoopWatch(self, loop, self._beat_s)
            for ear in self._ears.values():
                watch.add(ear)

    def waited_in_vain(self) -> None:
        """Somebody waited for the first attempt as long as anybody is to: nobody else does."""
        with self._lock:
            self._say_tried()

    def suspect(self, name: str) -> None:
        """Another server than the one that is listened to answers at this address: listen to that one."""
        with self._lock:
            ear = self._ears.get(name)
            if ear is not None:
                ear.lose("another server answers at its address", Away.LOST)
                self._drop_lost()

    def doubt(self) -> None:
        """A server answered as one that is not the primary, or not of that slot: look who is."""
        with self._lock:
            self._looks_again = True
        self._wake()

    def beat_soon(self) -> None:
        """Send a heartbeat to every server now."""
        with self._lock:
            for ear in self._ears.values():
                ear.beat()
            self._drop_lost()

    def close(self, leaving: asyncio.AbstractEventLoop | None = None) -> None:
        """End the thread and close the connections. It can be used again after, also while this waits for the thread.

        leaving: the loop that uses it no more. Others that still run will hear again once it is used again.

        All is forgotten in one hold of the lock, and `on_end` told in it. Else: (1) the thread is to end (2) another
        read starts another, which finds the same primaries, and has the transports use them (3) the transports are
        closed (4) nobody has them use anything again, since the primaries have not changed.
        """
        with self._lock:
            thread, self._thread = self._thread, None
            waker, self._waker = self._waker, None
            ears = self._forget_all(leaving)
            self.on_end()
        if waker is not None:
            waker.wake()
        if thread is not None and thread is not threading.current_thread():
            thread.join(self._limits.connect_s)
        for ear in ears:
            ear.close()

    def after_fork(self) -> None:
        """In the child: the thread stayed in the parent, and the connections are the parent's."""
        ears, watches = self._ears, list(self._watches.values())
        if self._waker is not None:
            self._waker.close()
        self._begin()
        for ear in ears.values():
            ear.begin_as_child()
        for watch in watches:
            watch.begin_as_child()
        self.servers.forget()
        self.hearing.restart()

    # -- the thread --------------------------------------------------------------------------------------------

    def before_wait(self, selector: selectors.BaseSelector, watched: dict[str, Ear]) -> float | None:
        """How long the thread may wait for what comes next, and by what; None: another thread keeps."""
        with self._lock:
            if self._thread is not threading.current_thread():
                return None
            self._drop_lost()  # a thread that ended has closed what it watched
            self._sync_selector(selector, watched)
            return self._due()

    def after_wait(self, ears: Sequence[Ear], waker: Waker) -> None:
        """Do what has come, or is due."""
        if ears and self._loops_are_watching():
            # Only a wake-up ends this early: what arrives is the loops' to read, for so long.
            waker.pause(LOOPS_FIRST_S)
            ears = [ear for ear in ears if ear.gone is None and ear.is_readable()]
        with self._lock:
            for ear in ears:
                ear.pump(self)
            self._drop_lost()
            self._adopt()
            self._beat_if_due()
        if self.servers.all_up:
            self.on_turn()

    def recover(self, error: Exception) -> float:
        """After a turn of the thread that failed, nobody knows how far it came: every server is found and listened to
        anew, after a pause of so many seconds."""
        with self._lock:
            what, pause_s = self._saying.mishap(error)
            ears = self._forget_all()
            self.servers.why = ConnectionAway(what, endpoint="the shared tier", reason=Away.LOST)
            self._say_tried()
        for ear in ears:
            ear.close()
        return pause_s

    def _sync_selector(self, selector: selectors.BaseSelector, watched: dict[str, Ear]) -> None:
        for name, ear in list(watched.items()):
            if self._ears.get(name) is not ear:
                del watched[name]
                selector.unregister(ear)
        while self._dropped:
            self._dropped.pop().close()
        for name, ear in self._ears.items():
            if name not in watched:
                selector.register(ear, selectors.EVENT_READ, ear)
                watched[name] = ear

    def _due(self) -> float:
        """How long the thread may wait; begins an attempt when one is due."""
        now = self._pace()
        due = now + min(self._beat_s, WAIT_MAX_S)
        wanted = self._looks_again or len(self._ears) < len(self.servers.states)
        if wanted and not self._attempting:
            if now >= self._retry_at:
                self._attempt()
            else:
                due = min(due, self._retry_at)
        for ear in self._ears.values():
            due = min(due, ear.last_beat + self._beat_s)
        return max(0.0, due - now)

    def _attempt(self) -> None:
        attempt = self._attempting = object()
        have = {ear.address for ear in self._ears.values()}

        # On a thread of its own: while it waits for one server, the others are heard.
        def listen(address: ServerAddress) -> Ear:
            return open_ear(address, login, prefix, touched, limits, now, pace)

        login, prefix, touched, limits = self._login, self._prefix, self._touched, self._limits
        now, pace = self._now, self._pace
        what = attempt, self._topology, listen, have, limits.connect_s
        thread = threading.Thread(
            target=find, args=(weakref.ref(self), *what), name="cacheaside-connect", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:
            self._attempting = None
            self._failed(ConnectionAway("no thread can be started", endpoint="", reason=Away.REFUSED))

    def found(
        self, attempt: object, fleet: Fleet | None, ears: list[Ear], why: ConnectionAway | None
    ) -> bool:
        """What an attempt came to; False when nobody waits for it any more, so that its ears are to be closed."""
        with self._lock:
            if self._attempting is not attempt:
                return False
            self._found = fleet, ears, why
        self._wake()
        return True

    def _adopt(self) -> None:
        if self._found is None:
            return
        (fleet, ears, why), self._found = self._found, None
        self._attempting = None
        if fleet is not None:
            self._looks_again = False
            if fleet != self.servers.fleet:
                self.servers.use(fleet)
                self.hearing.expect(state.name for state in self.servers.states)
                self.on_fleet(fleet)
            names = {state.name for state in self.servers.states}
            for name in [name for name in self._ears if name not in names]:
                self._forget_ear(self._ears[name])
        for ear in ears:
            self._ears[ear.name] = ear
            for watch in list(self._watches.values()):
                watch.add(ear)
            ear.beat()
        if why is not None:
            self._failed(why)
        self._drop_lost()

    def _failed(self, why: ConnectionAway) -> None:
        self._failures += 1
        self._retry_at = self._pace() + self._limits.pause_s(self._failures, self._chance())
        self.servers.why = why
        for state in self.servers.states:
            if not state.is_up:
                state.why = why
        self._saying.away(why)
        self._say_tried()

    def _say_tried(self) -> None:
        self._tried = True
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    def beat_if_due(self) -> None:
        """For loops, whose timers go on where the thread is starved."""
        with self._lock:
            self._beat_if_due()

    def _beat_if_due(self) -> None:
        now = self._pace()
        for ear in list(self._ears.values()):
            since = ear.unanswered_since
            if since is not None and now - since > self._silent_s:
                # Unread is not unanswered: whoever should have read it may have been kept from it.
                ear.pump(self)
                if ear.unanswered_since == since:
                    ear.lose(f"it answered nothing for {self._silent_s:g} s", Away.LATE)
            elif now - ear.last_beat >= self._beat_s:
                ear.beat()
        self._drop_lost()

    def pump(self, ear: Ear) -> None:
        """For loops: read what has come."""
        with self._lock:
            if self._ears.get(ear.name) is ear:
                ear.pump(self)
                self._drop_lost()

    def _drop_lost(self) -> None:
        for ear in [ear for ear in self._ears.values() if ear.gone is not None]:
            assert ear.gone is not None
            self._forget_ear(ear)
            state = self._state(ear)
            if state is not None:
                self.servers.say(state, is_up=False, why=ear.gone)
            self._looks_again = True
            self._saying.away(ear.gone)
            if ear.gone.reason is not Away.LOST:
                self._failed(ear.gone)
            self._wake()

    def _forget_ear(self, ear: Ear) -> None:
        self._ears.pop(ear.name, None)
        self.hearing.lost(ear.name)
        for watch in list(self._watches.values()):
            watch.remove(ear)
        # Closed by the thread, which may be waiting for it in its selector, or may not have seen it yet.
        self._dropped.append(ear)
        if ear.gone is None:
            ear.lose("no longer needed", Away.CLOSED)

    def _forget_all(self, leaving: asyncio.AbstractEventLoop | None = None) -> list[Ear]:
        """Begin anew; the ears that are to be closed."""
        self.servers.forget()
        self._attempting = None
        self._tried = False
        self._failures, self._retry_at, self._looks_again = 0, float("-inf"), True
        found, self._found = self._found, None
        for ear in list(self._ears.values()):
            self._forget_ear(ear)
        ears, self._dropped = [*self._dropped, *(found[1] if found is not None else ())], []
        for loop in [loop for loop in self._watches if loop is leaving or loop.is_closed()]:
            self._watches.pop(loop).end()
        return ears

    def _state(self, ear: Ear) -> ServerState | None:
        return next((state for state in self.servers.states if state.address == ear.address), None)

    def _loops_are_watching(self) -> bool:
        with self._lock:
            loops = list(self._watches)
            for loop in loops:
                if loop.is_closed():
                    self._watches.pop(loop).end()
            return any(loop.is_running() for loop in loops)

    def _wake(self) -> None:
        if (waker := self._waker) is not None:
            waker.wake()

    # -- what ears tell ----------------------------------------------------------------------------------------

    def started(self, ear: Ear, start: Start) -> None:
        self.hearing.listening(ear.name, blind=start.blind)
        self.on_start(start)
        if start.blind:
            self._saying.blind(ear.name)

    def changed(self, ear: Ear, names: Sequence[bytes] | None) -> None:
        if names is None:
            self.hearing.flushed()
            return
        tags = []
        for name in names:
            if (tag := changed_tag(name, self._prefix_bytes)) is not None:
                tags.append(tag)
            elif (key := waiting_key(name, self._prefix_bytes)) is not None:
                self.hearing.done(key)
            elif name == self._control:
                self.on_control()
        if tags:
            self.hearing.heard(tags)

    def beaten(self, ear: Ear, beat: Beat) -> None:
        state = self._state(ear)
        if state is None:
            return
        if not beat.is_primary:
            ear.lose("it is a replica, and takes no writes", Away.REFUSED)
            return
        if beat.identity is None and not self.servers.trusting:
            self._saying.no_identity(ear.name)
        news = believe(
            state,
            beat.reading,
            beat.identity,
            self.servers,
            self.hearing,
            on_set_back=lambda by_s: self.on_set_back(
                f"the clock of {ear.name} was set back by {by_s:.3g} s"
            ),
            on_new_identity=lambda: self._another_history(ear),
        )
        if news.is_up:
            self._failures, self._retry_at = 0, float("-inf")
            if self.servers.all_up:
                self._saying.back()
                self.servers.why = None
                self._say_tried()
                self.on_up()
            self._wake()

    def _another_history(self, ear: Ear) -> None:
        self._saying.another_history(ear.name)
        self.on_new_identity(ear.name)
