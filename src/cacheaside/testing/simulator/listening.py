"""How a process hears of changes: what the keeper of the shared tier does with threads and sockets, by callbacks.

What the server says on the connection is heard in order, and late. The connection may be cut, with a notice or without
one; then what is said on it is lost. Heartbeats say what was heard through when; after a new connection, and after a
change of primaries, the same things are done in the same order as by `stores.redis.keeper`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from cacheaside.coherence.hearing import Hearing
from cacheaside.policy.timebase import DRIFT, Reading, Timebase
from cacheaside.stores.redis.connect.away import Away, ConnectionAway
from cacheaside.stores.redis.connect.fleet import Fleet
from cacheaside.stores.redis.listen.beliefs import believe
from cacheaside.stores.redis.listen.servers import Servers, ServerState
from cacheaside.stores.redis.wire.names import changed_tag, waiting_key
from cacheaside.testing.simulator.clocks import BLUR_S
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.scenario import Scenario
from cacheaside.testing.simulator.scheduler import Scheduler
from cacheaside.testing.simulator.server import Ear, Pong, Server
from cacheaside.testing.simulator.transport import SimulatedTransport

__all__ = ["Listener"]

CONNECT_STEPS: Final = 60
PAUSE_S: Final = 0.25
tag_in: Final = cache(changed_tag)
PING_STEPS: Final = 20


class Listener:
    """One process's. on_set_back, on_new_identity: as the keeper's. on_knows: told of each heartbeat that was taken in,
    and whether it shows exactly what the server's clock says."""

    def __init__(
        self,
        process: Process,
        server: Server,
        servers: Servers,
        hearing: Hearing,
        transport: SimulatedTransport,
        scenario: Scenario,
        prefix: bytes,
    ) -> None:
        self._process = process
        self._scheduler: Scheduler = process.scheduler
        self._server = server
        self._servers = servers
        self._hearing = hearing
        self._transport = transport
        self._behind_steps = scenario.behind_steps
        self._unavailable = scenario.unavailable
        self._lag = scenario.lag
        self._blind = scenario.blind
        self._tells = scenario.tells_identity
        self._beat_s = scenario.beat_s
        self._silent_s = 2 * scenario.beat_s
        self._prefix = prefix
        self._ear: Ear | None = None
        self._unanswered: deque[float] = deque()
        self._pings: deque[tuple[Ear, float]] = deque()
        self._pumping = False
        self._stalled_until = 0.0
        self._waiting: list[Callable[[], None]] = []
        self.tried = False
        self.base_before: Timebase | None = None
        """What was believed of the server's clock before the heartbeat that is being taken in."""
        self.on_set_back: Callable[[float], None] = _nothing_of
        self.on_new_identity: Callable[[], None] = _nothing
        self.on_knows: Callable[[Pong, bool], None] = _nothing_of
        hearing.beat_soon = self.beat

    # -- connecting --------------------------------------------------------------------------------------------

    def begin(self, *, connected: bool) -> None:
        """Begin; connected: as one that has been for a while."""
        if connected:
            ear = self._server.track(blind=self._blind)
            self._adopt(ear)
            self._pong_at_once(ear)
        else:
            self._scheduler.after(self._scheduler.pick(CONNECT_STEPS), self._connect)
        self._tick()

    def when_tried(self, wake: Callable[[], None]) -> bool:
        """Have `wake` called when the first attempt is over; False when it is."""
        if self.tried:
            return False
        self._waiting.append(wake)
        return True

    def _connect(self) -> None:
        scheduler = self._scheduler
        if scheduler.chance(self._unavailable):
            self._failed()
            return
        # From here on the server keeps what changes for this connection.
        ear = self._server.track(blind=self._blind)
        scheduler.after(scheduler.pick(CONNECT_STEPS), lambda: self._adopt(ear))

    def _adopt(self, ear: Ear) -> None:
        servers, address = self._servers, self._server.address
        if servers.fleet is None or servers.fleet.primaries != (address,):
            fleet = Fleet((address,))
            servers.use(fleet)
            self._hearing.expect([state.name for state in servers.states])
            self._transport.use(fleet)
        self._ear = ear
        self._unanswered.clear()
        self._hearing.listening(self._state.name, blind=self._blind)
        ear.on_said = self._pump_soon
        if ear.said:
            self._pump_soon()
        self.beat()

    def _failed(self) -> None:
        scheduler = self._scheduler
        scheduler.at(scheduler.clock.time + PAUSE_S, self._connect)
        self._say_tried()

    def _say_tried(self) -> None:
        self.tried = True
        waiting, self._waiting = self._waiting, []
        for wake in waiting:
            wake()

    @property
    def _state(self) -> ServerState:
        return self._servers.states[0]

    # -- losing ------------------------------------------------------------------------------------------------

    def cut(self, *, noticed: bool) -> None:
        """The connection is dead; the process notices now, or when its heartbeats stay unanswered."""
        ear = self._ear
        if ear is not None:
            if ear in self._server.ears:
                self._server.ears.remove(ear)
            ear.said.clear()
            if noticed:
                self._lose()

    def stall(self, for_s: float) -> None:
        """Nothing is read for so long: the network is slow, or whoever should read is kept from it."""
        self._stalled_until = self._scheduler.clock.time + for_s

    def _lose(self) -> None:
        self._ear = None
        state = self._state
        self._hearing.lost(state.name)
        why = ConnectionAway("cut", endpoint=state.name, reason=Away.LOST)
        self._servers.say(state, is_up=False, why=why)
        self._scheduler.after(self._scheduler.pick(CONNECT_STEPS), self._connect)

    # -- heartbeats --------------------------------------------------------------------------------------------

    def _tick(self) -> None:
        scheduler = self._scheduler
        if self._ear is not None:
            if self._unanswered and scheduler.clock.time - self._unanswered[0] > self._silent_s:
                self.cut(noticed=True)
            elif self._ear.said or scheduler.clock.time < self._stalled_until or scheduler.chance(self._lag):
                self.beat()
            else:
                self._pong_at_once(self._ear)
        scheduler.at(scheduler.clock.time + self._beat_s, self._tick)

    def _pong_at_once(self, ear: Ear) -> None:
        """A heartbeat that takes no time at all, as most do while nothing else happens."""
        server = self._server
        if ear not in server.ears:
            self.beat()
            return
        server.tell()
        if ear.said:
            self.beat()
            return
        self._beaten(server.pong_now(self._process.clock.now()))

    def beat(self) -> None:
        """Send a heartbeat."""
        ear, scheduler = self._ear, self._scheduler
        if ear is None:
            return
        self._unanswered.append(scheduler.clock.time)
        self._pings.append((ear, self._process.clock.now()))
        steps = scheduler.pick(PING_STEPS) if scheduler.chance(self._lag) else scheduler.pick(3)
        scheduler.after(steps, self._ping_lands)

    def _ping_lands(self) -> None:
        # In the order in which they were sent, whatever each took: a connection keeps it.
        ear, sent = self._pings.popleft()
        self._server.pong(ear, sent)
        if self._scheduler.chance(0.3):
            self._server.expire()

    # -- hearing -----------------------------------------------------------------------------------------------

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._scheduler.after(self._scheduler.pick(self._behind_steps), self._pump)

    def _pump(self) -> None:
        scheduler, ear = self._scheduler, self._ear
        if scheduler.clock.time < self._stalled_until:
            scheduler.at(self._stalled_until, self._pump)
            return
        self._pumping = False
        if ear is None or not ear.said:
            return
        said = ear.said.popleft()
        if ear.said:
            self._pump_soon()
        if type(said) is Pong:
            if self._unanswered:
                self._unanswered.popleft()
            self._beaten(said)
        else:
            assert said is None or not isinstance(said, Pong)
            self._changed(said)

    def _changed(self, names: tuple[bytes, ...] | None) -> None:
        if names is None:
            self._hearing.flushed()
            return
        tags = []
        for name in names:
            tag = tag_in(name, self._prefix)
            if tag is not None:
                tags.append(tag)
            elif (key := waiting_key(name, self._prefix)) is not None:
                self._hearing.done(key)
        if tags:
            self._hearing.heard(tags)

    def _beaten(self, pong: Pong) -> None:
        reading = Reading(pong.sent, self._process.clock.now(), pong.server_s)
        state = self._state
        self.base_before = state.base
        sharp = reading.received - reading.sent <= BLUR_S and _is_sharp(state.base, reading.received)
        believe(
            state,
            reading,
            pong.identity if self._tells else None,
            self._servers,
            self._hearing,
            on_set_back=self.on_set_back,
            on_new_identity=self.on_new_identity,
        )
        self.on_knows(pong, sharp)
        self._say_tried()


def _is_sharp(base: Timebase | None, now: float) -> bool:
    return base is None or base.high_s - base.low_s + 2 * DRIFT * (now - base.at) <= BLUR_S


def _nothing() -> None:
    return


def _nothing_of(*_: Any) -> None:
    return
