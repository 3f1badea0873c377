"""The world of several processes around one server: the shipped tier, hearing and debts over a simulated network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final

from cacheaside.policy.timebase import DRIFT
from cacheaside.stores.redis.counts import Counts
from cacheaside.stores.redis.listen.servers import Servers
from cacheaside.stores.redis.owed import Owed
from cacheaside.stores.redis.wire.commands import Commands
from cacheaside.stores.redis.wire.envelope import PLAIN
from cacheaside.stores.redis.wire.names import changes_prefix, generation_name, writers_name
from cacheaside.testing.simulator import mishaps
from cacheaside.testing.simulator.clocks import ProcessClock, ServerClock, Times
from cacheaside.testing.simulator.heard import SimulatedHeard
from cacheaside.testing.simulator.listening import Listener
from cacheaside.testing.simulator.paying import Payer
from cacheaside.testing.simulator.process import Process
from cacheaside.testing.simulator.promises import Promises, Versions
from cacheaside.testing.simulator.remote import SharedMarks, WatchedTier
from cacheaside.testing.simulator.rows import Rows
from cacheaside.testing.simulator.scenario import MARK_LIFETIME_S, Scenario
from cacheaside.testing.simulator.scheduler import Scheduler
from cacheaside.testing.simulator.server import Pong, Server
from cacheaside.testing.simulator.transport import DEADLINE_S, SimulatedTransport
from cacheaside.testing.simulator.verdicts import Violation
from cacheaside.testing.simulator.views import EVERYTHING, NAMESPACE, THINGS, thing_of
from cacheaside.testing.simulator.watched import INTERLUDE_STEPS, WatchedHearing
from cacheaside.types import TagId

__all__ = ["Shared", "SharedProcess"]

PREFIX: Final = changes_prefix(NAMESPACE)


class SharedProcess(Process):
    """A process with its way to the server."""

    def join(self, server: Server, times: Times, shared_marks: SharedMarks, random: Random) -> None:
        """Put its shared tier together, as `stores.redis.shared` does, and begin to listen."""
        scheduler, scenario = self.scheduler, self.scenario
        self.server = server
        self.forgets = scenario.on_failover == "forget"
        self.times = times
        servers = self.servers = Servers(trusting=scenario.on_failover == "trust")
        owed = self.owed = Owed(EVERYTHING)
        self.has_heard = False
        self.l1.log.unsettled = owed.any_of
        hearing = WatchedHearing(
            self.l1,
            self.clock,
            (self.flights,),
            self.gate.open_until,
            everything=EVERYTHING,
            max_unsynced_s=scenario.max_unsynced_s,
        )
        hearing.watched_by(scheduler, self.flights, self.marks)
        self.payer = Payer(self, owed, hearing)
        transport = SimulatedTransport(server, scheduler, scenario)
        self.listener = Listener(self, server, servers, hearing, transport, scenario, PREFIX.encode())
        self.listener.on_knows = self._knows
        self.listener.on_set_back = self._set_back
        self.listener.on_new_identity = self._new_identity
        self.hearing = hearing
        tier = WatchedTier(
            transport,
            servers,
            Commands(random.randbytes, int(scenario.generation_s * 1000)),
            PLAIN,
            self.clock,
            hearing,
            owed,
            Counts(),
            namespace=NAMESPACE,
            moment=self.flights.moment,
            everything=EVERYTHING,
            forgets=scenario.on_failover == "forget",
            ready=self._ready,
            pause=scheduler.sleep,
            doubt=_no_doubt,
            pace=self.clock.now,
            write_deadline_s=scenario.write_deadline_s,
            wait_replicas=scenario.wait_replicas,
            mark_lifetime_s=MARK_LIFETIME_S,
            random_bytes=random.randbytes,
        )
        tier.watched_by(scheduler, self.marks, shared_marks)
        self.look = tier.look
        self.payer.tier = tier
        self.connect(tier, SimulatedHeard(hearing, self))
        self.listener.begin(connected=scenario.connected)

    async def _ready(self) -> None:
        wake = self.scheduler.wake()
        if self.listener.when_tried(wake):
            await self.scheduler.parked(wake, DEADLINE_S)

    def _set_back(self, by_s: float) -> None:
        if self.servers.states[0].base is not self.listener.base_before:
            raise Violation("G3", "a clock that was set back is believed before everything is forgotten")
        self._forget_everything()

    def _forget_everything(self) -> None:
        self.payer.owe((EVERYTHING,))
        self.hearing.hear((EVERYTHING,))
        self.scheduler.interlude(INTERLUDE_STEPS)

    def _new_identity(self) -> None:
        if self.forgets:
            self._forget_everything()

    def _knows(self, pong: Pong, sharp: bool) -> None:
        known = self.promises.known
        if pong.term > known[self.index]:
            known[self.index] = pong.term
            if self.promises.identity_counts:
                self.l1.vouched_for_by(pong.identity)
                self._is_forgotten()
        self.has_heard = True
        if sharp:
            self.times_set = self.times.knows(self.index, pong.times_set)

    def _is_forgotten(self) -> None:
        """Say that what was stored before another history is still there, where that is to be forgotten."""
        server, name = self.server, generation_name(EVERYTHING)
        is_there = name in server.data and server.landed[name] < server.took_over
        if self.forgets and self.has_heard and is_there and not self.owed.any_of((EVERYTHING,)):
            raise Violation("owed", "after a failover everything was to be forgotten, and is not even owed")

    def unnoticed_s(self, born: float, times_set: int) -> float:
        return self.times.unnoticed_s(self.index, born, times_set) if self.server.clock_set else 0.0

    # What writers tell.

    def unacknowledged(self, versions: Versions, tags: tuple[TagId, ...]) -> None:
        self.payer.wrote(versions, tags)

    def number_of(self, tags: Sequence[TagId]) -> int:
        landed = self.server.landed
        return max(max(landed.get(generation_name(tag), 0), landed.get(writers_name(tag), 0)) for tag in tags)


class Shared:
    """The server, its processes, and what will befall them."""

    def __init__(self, scheduler: Scheduler, rows: Rows, scenario: Scenario, random: Random) -> None:
        self.scenario = scenario
        self.say: Callable[[str], None] | None = None
        """Told of what befalls the server, when a schedule is traced."""
        self._scheduler = scheduler
        self.promises = Promises(
            scheduler.clock, len(THINGS), scenario.processes, scenario.max_unsynced_s * (1.0 + DRIFT)
        )
        self.promises.identity_counts = scenario.on_failover != "trust" and scenario.tells_identity
        self.server = Server(self.a_clock(), PREFIX, random)
        self.processes = [
            SharedProcess(
                index,
                scheduler,
                rows,
                self.promises,
                scenario,
                ProcessClock(scheduler.clock, random.random() * 1000.0, self._drift()),
                shared=True,
            )
            for index in range(scenario.processes)
        ]
        shared_marks = SharedMarks(self.server, [process.marks for process in self.processes])
        self.server.on_mark_lost = lambda tag: self._mark_lost(tag, shared_marks)
        times = Times(
            scheduler.clock,
            self.server.clock_set,
            self.server.failovers,
            scenario.processes,
            tells=scenario.tells_identity,
        )
        for process in self.processes:
            process.join(self.server, times, shared_marks, random)
        mishaps.begin(self, scheduler, scenario)

    def _drift(self) -> float:
        return (self._scheduler.random() - 0.5) * DRIFT * self.scenario.drift

    def a_clock(self) -> ServerClock:
        """The clock of a server."""
        ahead_s = (self._scheduler.random() - 0.5) * self.scenario.ahead_s
        return ServerClock(self._scheduler.clock, ahead_s, self._drift())

    def fail_over(self) -> None:
        """A replica takes over. Or the primary itself goes back, while those who listen stay connected: it was made a
        replica for a moment, took over the data of another, and was made the primary again."""
        scheduler, scenario = self._scheduler, self.scenario
        lose = scheduler.pick(scenario.lagging + 1)
        stays = scheduler.chance(scenario.stays)
        lost = self.server.fail_over(lose, self.a_clock(), moves=scenario.moves, stays=stays)
        self.promises.changes_lost(*lost)
        if not stays:
            for process in self.processes:
                process.listener.cut(noticed=scheduler.chance(0.5))

    def _mark_lost(self, tag: TagId, shared_marks: SharedMarks) -> None:
        shared_marks.lost(tag)
        thing = thing_of(tag)
        if thing is not None:
            self.promises.mark_lost(thing)


def _no_doubt() -> None:
    return
